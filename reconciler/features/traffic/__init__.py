"""Traffic samples, from the endpoint's counters or from records."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "traffic": Command(
            "context endpoint",
            30,
            "write a traffic sample from the endpoint's counters or from records",
            f"{__name__}.command",
        ),
    },
)
