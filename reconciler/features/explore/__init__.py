"""The page on which people try conversations."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "explore": Command(
            "every day",
            90,
            "write a page on which people try conversations, offline",
            f"{__name__}.command",
        ),
    },
    hooks={
        "report_page": f"{__name__}.command:REPORT_PAGE",
    },
)
