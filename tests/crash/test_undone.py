"""SIGKILL of a process that applies or undoes, over a socket: the journal of the killed process
allows the undo.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from reconciler.core.rule_json import parse_live_rule
from reconciler.features.journal.places import JournalFile
from tests.crash.killer import Killer
from tests.crash.stage import CrashRun, CrashSetup, finish
from tests.tiers import FULL

EVERY_POINT: Final = tuple(range(12, 64, 3))
"""Requests at which the process is killed: from the first writes to the last ones."""
POINTS: Final = EVERY_POINT if FULL else (12, 30, 55)
ALLOWED: Final = ("--yes", "--allow", "unrouted", "--reason", "as it was")


def content(trial: CrashRun) -> list[str]:
    """Return the live rules, without ids, fields of the server, and markers."""
    actual = (parse_live_rule(dict(rule)) for rule in trial.state.rules())
    return sorted(
        f"{item.rule} {item.marker and item.marker.address}" for item in actual
    )


def killed(trial: CrashRun, at: int, *arguments: str) -> None:
    """Run a command that is killed after its request `at` was carried out and before the
    response.
    """
    trial.app = killer = Killer(trial.app, at, "after")
    with trial.start(*arguments) as process:
        killer.victim = process.pid
        assert -signal.SIGKILL == finish(process).code
    trial.app = killer.app


def run_of(trial: CrashRun, number: int) -> str:
    return JournalFile(trial.folder / ".cxroute/journal.jsonl").read()[number].id


def test_the_points_reach_the_end_of_the_run(
    stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """A few requests after the last point the run has ended."""
    trial = CrashRun(stages("C"), tmp_path)
    trial.app = counter = Killer(trial.app, 0, "after")
    assert 0 == trial.here("apply", "--yes"), trial.warned
    assert EVERY_POINT[-1] < counter.seen <= EVERY_POINT[-1] + 6


@pytest.mark.parametrize("at", POINTS)
def test_a_killed_apply_is_undone(
    at: int, stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """The completed changes are undone without waiting, because the process is dead."""
    trial = CrashRun(stages("C"), tmp_path)
    before = content(trial)
    killed(trial, at, "apply", "--yes")
    assert before != content(trial)
    assert 0 == trial.here("apply", "--undo", run_of(trial, 0), *ALLOWED), trial.warned
    assert before == content(trial)


@pytest.mark.parametrize("at", POINTS)
def test_a_killed_undo_is_completed_by_the_same_command(
    at: int, stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """30 changes, a temporary copy on the way, an adoption; the same command makes only the
    remaining changes.
    """
    trial = CrashRun(stages("C"), tmp_path)
    before = content(trial)
    assert 0 == trial.here("apply", "--yes"), trial.warned
    run = run_of(trial, 0)
    killed(trial, at, "apply", "--undo", run, *ALLOWED)
    assert 0 == trial.here("apply", "--undo", run, *ALLOWED), trial.warned
    assert before == content(trial)
    writes = len(trial.writes())
    assert 0 == trial.here("apply", "--undo", run, *ALLOWED)
    assert writes == len(trial.writes())
