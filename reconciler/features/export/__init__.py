"""Live rules -> new manifests, and live values -> edits of existing manifests."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "export": Command(
            "operate",
            10,
            "write manifests from live rules, or live values into manifests",
            f"{__name__}.command",
        ),
    },
)
