"""Changes of routing as values: since when a conversation goes where it goes."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "since": Command(
            "every day",
            90,
            "show the commit since which a conversation goes where it goes",
            f"{__name__}.command_since",
        ),
    },
    hooks={
        "explain_parts": f"{__name__}.explain_since:SinceOption",
    },
    documents={
        "since": f"{__name__}.since_json:SinceJson",
    },
)
