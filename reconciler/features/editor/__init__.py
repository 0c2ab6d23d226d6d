"""Manifests in an editor: analyses of texts that are not saved yet, and the server that answers
from them.
"""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "lsp": Command(
            "set up",
            70,
            "serve diagnostics and help for manifests to an editor",
            f"{__name__}.command",
        ),
    },
)
