"""SIGINT and SIGTERM to the real process (F41): no new call, running calls are completed, every
result is reported.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.crash import scene
from tests.crash.gate import Gate, wait_until_heard
from tests.crash.stage import LONGEST, CrashRun, CrashSetup, finish
from tests.support.command import RunResult

INT = signal.SIGINT
TERM = signal.SIGTERM
WRITES: Final = 33
"""The writes of an undisturbed apply."""
STATUSES: Final = ("applied", "skipped", "failed", "unknown")
HALF_WAY: Final = {"rules/left", "rules/right"}
"""Changes with several calls: a partial one is reported as failed, because the other words would be
wrong."""


@pytest.fixture
def one_by_one(stages: Callable[[str], CrashSetup], tmp_path: Path) -> CrashRun:
    """Return the tenant, and manifests that allow one write at a time."""
    stage = stages("C")
    scene.write_manifests(
        tmp_path / "single", scene.after(), stage.served.url, unique=False, places=1
    )
    return CrashRun(stage, tmp_path)


def interrupted(
    trial: CrashRun, gate: Gate, *signals: signal.Signals, manifests: str
) -> RunResult:
    """Apply; send signals when the request is at the gate, and open it when they were received."""
    trial.app = gate
    with trial.start(
        "apply", "--yes", "--format", "json", manifests=manifests
    ) as process:
        gate.wait()
        for number in signals:
            process.send_signal(number)
            wait_until_heard(process.pid)
        gate.open()
        ended = finish(process)
    trial.app = gate.app
    return ended


def told(ended: RunResult) -> dict[str, set[str]]:
    """Return the rules of each outcome, of all 30."""
    outcomes = json.loads(ended.out)["outcomes"]
    assert 30 == len(outcomes)
    return {
        kind: {outcome["address"] for outcome in outcomes if outcome["status"] == kind}
        for kind in STATUSES
    }


CASES = [(3, [INT]), (12, [TERM]), (20, [INT, INT]), (30, [TERM, INT, TERM])]


@pytest.mark.parametrize(("at", "signals"), CASES)
def test_no_write_is_begun_after_a_signal(
    one_by_one: CrashRun, at: int, signals: list[signal.Signals]
) -> None:
    """The running write is completed and counted, the rest is skipped, exit 130; the next run
    continues from there.
    """
    ended = interrupted(
        one_by_one, Gate(one_by_one.app, at, of="writes"), *signals, manifests="single"
    )
    assert (130, at) == (ended.code, len(one_by_one.writes())), ended
    assert "interrupted" in ended.out
    done = told(ended)
    assert one_by_one.reached() == done["applied"]
    assert set() == done["unknown"]
    assert done["failed"] <= HALF_WAY
    one_by_one.assert_heals_here()


@pytest.mark.parametrize(("at", "number"), [(1, TERM), (14, INT), (22, TERM)])
def test_running_writes_are_completed(
    trial: CrashRun, at: int, number: signal.Signals
) -> None:
    """With four at a time at most three writes complete after the held one, and each is reported
    correctly.
    """
    gate = Gate(trial.app, at, of="writes")
    ended = interrupted(trial, gate, number, manifests="shall")
    assert 130 == ended.code, ended
    assert len(trial.writes()) <= gate.seen_at_opening + 3
    assert trial.reached() == told(ended)["applied"]
    trial.assert_heals_here()


def test_a_signal_at_the_last_write_is_a_success(one_by_one: CrashRun) -> None:
    """A later read shows no difference, so the exit code is 0."""
    ended = interrupted(
        one_by_one, Gate(one_by_one.app, WRITES, of="writes"), TERM, manifests="single"
    )
    assert (0, 30) == (ended.code, len(told(ended)["applied"])), ended
    one_by_one.assert_heals_here()


@pytest.mark.parametrize(("at", "number"), [(1, INT), (2, TERM), (3, INT)])
def test_a_signal_before_the_first_write_ends_the_run(
    trial: CrashRun, at: int, number: signal.Signals
) -> None:
    """The process does not wait for token, rules or queues, reports the signal, and has written
    nothing.
    """
    trial.app = gate = Gate(trial.app, at)
    with trial.start("apply", "--yes") as process:
        gate.wait()
        process.send_signal(number)
        ended = finish(process)
        gate.open()
    assert (130, "", "error: interrupted; nothing was written\n") == (
        ended.code,
        ended.out,
        ended.err,
    )
    assert [] == trial.writes()


@pytest.mark.parametrize("number", [INT, TERM])
def test_a_signal_ends_the_question(trial: CrashRun, number: signal.Signals) -> None:
    """The process waits for the confirmation on a terminal: exit 130, nothing written."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    own_side, foreign_side = pty.openpty()
    with trial.start("apply", stdin=foreign_side, stderr=foreign_side) as process:
        os.close(foreign_side)
        requested = b""
        while b"to continue: " not in requested:
            requested += os.read(own_side, 1024)
        process.send_signal(number)
        out, _ = process.communicate(timeout=LONGEST)
        text = os.read(own_side, 1024)
    os.close(own_side)
    assert 130 == process.returncode
    assert "create" in out
    assert b"interrupted; nothing was written" in text
    assert [] == trial.writes()
