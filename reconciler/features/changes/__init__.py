"""Questions about changes of the manifests that need an exact analysis."""

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
        "merge-check": Command(
            "every day",
            130,
            "show conversations that two changes together send where neither does",
            f"{__name__}.command_merge_check",
        ),
        "simplify": Command(
            "every day",
            140,
            "propose fewer rules that route every conversation as before",
            f"{__name__}.command_simplify",
        ),
    },
    hooks={
        "explain_parts": f"{__name__}.explain_since:SinceOption",
        "pair_checks": f"{__name__}.pairs:PAIR_CHECKS",
    },
    documents={
        "since": f"{__name__}.since_json:SinceJson",
        "merge-check": f"{__name__}.merge_json:MergeCheckJson",
        "simplify": f"{__name__}.simplify_json:SimplifyJson",
    },
)
