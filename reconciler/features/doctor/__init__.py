"""Diagnosis of a tenant: single calls, findings in the responses, and advice."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "doctor": Command(
            "operate",
            30,
            "check settings, network, token and a page of rules; suggest fixes",
            f"{__name__}.command",
        ),
    },
    documents={
        "doctor": f"{__name__}.doctor_json:DoctorJson",
    },
)
