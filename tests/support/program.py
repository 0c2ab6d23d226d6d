"""The program in this process: commands as a user types them, and their output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.main import main
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME

NO_BACKOFF: Final = replace(REAL_TIME, random=lambda: 0.0)
"""A random number that makes waits zero: an empty list is read twice, with a wait of half a
second."""


class Program:
    """Runs commands and keeps their output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        """Run a command; its output is `out` and `err`."""
        self.capsys.readouterr()
        code = main(list(arguments))
        self.out, self.err = self.capsys.readouterr()
        return code

    def json(self, *arguments: str) -> tuple[int, Any]:
        """Run a command under --format json; return its exit code and its one document."""
        code = self(*arguments, "--format", "json")
        return code, json.loads(self.out)


def name_tenant() -> None:
    """Replace the placeholder that `init` wrote for the tenant."""
    path = Path("manifests/environments/prod.yaml")
    path.write_text(
        path.read_text(encoding="utf-8").replace("your-tenant.invalid", "acme"),
        encoding="utf-8",
    )


def write(name: str, text: str) -> None:
    """Write one manifest."""
    path = Path("manifests") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
