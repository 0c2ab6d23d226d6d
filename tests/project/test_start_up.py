"""An interrupt during start-up: exit 130, no traceback, and one document under `--format json`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.main import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CUSTOMIZE = """\
import os, signal, sys
MOMENTS = [os.environ["MOMENT"]]

def look(event, arguments):
    if event in ("import", "open") and MOMENTS and str(arguments[0]).endswith(MOMENTS[0]):
        MOMENTS.clear()
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(look)
"""
MOMENTS = [
    "reconciler.cli",
    "reconciler.cli.stdio",
    "reconciler.core.errors",
    "reconciler.cli.parsing",
    "pydantic",
    "yaml",
    "reconciler.core.manifest.load",
    "reconciler.core.checks.lint",
    "queues.yaml",
    "routing.yaml",
]
"""A module that is imported, or a file that is opened."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interrupted")
    (path / "sitecustomize.py").write_text(CUSTOMIZE, encoding="utf-8")
    assert 0 == main(["init", str(path / "manifests")])
    return path


def started(
    folder: Path, moment: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Start the program, and send a signal at the given moment."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "MOMENT": moment}
    command = [sys.executable, "-m", "reconciler", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_during_the_start_is_one_sentence(
    moment: str, folder: Path
) -> None:
    """During the import of modules, and while manifests are read."""
    ended = started(folder, moment, "plan")
    assert (130, "", "error: interrupted\n") == (
        ended.returncode,
        ended.stdout,
        ended.stderr,
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_during_the_start_is_one_document(
    moment: str, folder: Path
) -> None:
    """Under `--format json` the error is the only document on stdout, and stderr is empty."""
    ended = started(folder, moment, "plan", "--format", "json")
    assert (130, "") == (ended.returncode, ended.stderr)
    error = {"kind": "InterruptedRun", "message": "interrupted", "exitCode": 130}
    assert {"error": error} == json.loads(ended.stdout)


def test_without_a_signal_the_program_runs(folder: Path) -> None:
    """The same start without a signal succeeds."""
    assert (
        0 == started(folder, "no.such.module", "validate", "-e", "sandbox").returncode
    )
