"""The journal of applied changes, and the undo of a recorded run."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "history": Command(
            "operate",
            40,
            "show who changed which rules, when and why",
            f"{__name__}.command",
        ),
    },
    hooks={
        "journal": f"{__name__}.run_journal:JOURNAL",
    },
    documents={
        "history": f"{__name__}.run_json:HISTORY",
    },
)
