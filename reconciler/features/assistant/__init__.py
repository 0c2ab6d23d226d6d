"""Questions of assistants about the rules: a server of the Model Context Protocol that only reads."""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "mcp": Command(
            "set up",
            75,
            "answer an assistant's questions about the rules; reads only",
            f"{__name__}.command",
        ),
    },
)
