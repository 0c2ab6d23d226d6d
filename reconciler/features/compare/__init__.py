"""Comparison of two lists of rules: for all conversations, and for recorded ones."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "diff": Command(
            "every day",
            100,
            "show the conversations that two lists of rules route differently",
            f"{__name__}.command_diff",
        ),
        "replay": Command(
            "every day",
            110,
            "count the recorded conversations that two lists of rules route differently",
            f"{__name__}.command_replay",
        ),
    },
    documents={
        "diff": "reconciler.core.plan.plan_json:BehaviourJson",
        "replay": "reconciler.core.plan.plan_json:ReplayJson",
    },
)
