"""Forges: one comment on a pull request, the reviewed plan, one issue about drift."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "github": Command(
            "set up",
            30,
            "run steps of a GitHub workflow: comment, consent, reviewed plan, drift issue",
            f"{__name__}.command",
        ),
        "gitlab": Command(
            "set up",
            40,
            "run steps of a GitLab job: note, consent, reviewed plan, drift issue",
            f"{__name__}.command",
        ),
        "azure": Command(
            "set up",
            50,
            "run steps of an Azure pipeline: note, consent, reviewed plan, drift issue",
            f"{__name__}.command",
        ),
        "bitbucket": Command(
            "set up",
            60,
            "run steps of a Bitbucket pipeline: note, consent, reviewed plan",
            f"{__name__}.command",
        ),
    },
    hooks={
        "init_files": f"{__name__}.init_files:PIPELINE_FILES",
        "journal_copies": f"{__name__}.pipeline_files:JOURNAL_COPIES",
    },
)
