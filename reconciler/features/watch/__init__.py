"""The reconcile loop: cycles, intervals, notifications, metrics and the webhook."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "watch": Command(
            "operate",
            20,
            "check a tenant at intervals; report differences, or correct them",
            f"{__name__}.command",
        ),
    },
    hooks={
        "after_apply": f"{__name__}.notify:NOTIFY",
    },
)
