"""Practice without a tenant: the simulated CXone, the sandbox and the tour."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "demo": Command(
            "try it",
            10,
            "run a guided tour on a simulated bank",
            f"{__name__}.command_demo",
        ),
        "simulate": Command(
            "try it",
            20,
            "serve a simulated CXone over HTTP",
            f"{__name__}.command_simulate",
        ),
    },
    hooks={
        "sandbox": f"{__name__}.sandbox:OPEN_SANDBOX",
        "sandbox_tables": f"{__name__}.sandbox_tables:OPEN_SANDBOX_TABLES",
    },
)
