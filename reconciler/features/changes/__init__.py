"""Questions about changes of the manifests that need an exact analysis."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "merge-check": Command(
            "every day",
            130,
            "show conversations that two changes together send where neither does",
            f"{__name__}.command_merge_check",
        ),
    },
    documents={
        "merge-check": f"{__name__}.merge_json:MergeCheckJson",
    },
)
