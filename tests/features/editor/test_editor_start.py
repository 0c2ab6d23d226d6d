"""The start of the language server: its answer to `initialize` waits for no analysis."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from tests.support.command import process_environment
from tests.support.language_client import processor_seconds, start_seconds

HEAVY: Final = (
    "pydantic",
    "yaml",
    "reconciler.core.manifest",
    "reconciler.core.checks",
    "reconciler.cli.validation",
)
PROTOCOL: Final = "import pygls.lsp.server"


@pytest.mark.slow
def test_the_server_is_loaded_without_what_checks_manifests() -> None:
    """The answer comes first; then the server loads the manifests' packages, which takes half a
    second.
    """
    code = (
        f"import json, sys, reconciler.features.editor.server; print(json.dumps([n for n in {HEAVY} if "
        f"n in sys.modules]))"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(
        command, capture_output=True, text=True, check=True, env=process_environment()
    ).stdout
    assert [] == json.loads(loaded)


@pytest.mark.campaign
def test_the_start_takes_little_more_than_the_protocol() -> None:
    """Processor time from the start of the process to its end after the answer: at most 0.7 s on a
    quiet machine.

    Neighbours make every instruction slower, so the bound is a multiple of what the protocol's own
    import takes now.
    """
    floor = min(processor_seconds([sys.executable, "-c", PROTOCOL]) for _ in range(3))
    start = min(start_seconds() for _ in range(3))
    assert start < 1.7 * floor, (start, floor)
