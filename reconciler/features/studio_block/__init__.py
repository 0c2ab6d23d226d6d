"""Commands for the block of a Studio script, offline."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "studio": Command(
            "set up",
            20,
            "build the rules of a Studio script offline, import a snippet, print its set-up",
            f"{__name__}.command",
        ),
    },
)
