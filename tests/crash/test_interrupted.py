"""SIGINT and SIGTERM to the real process (F41): nothing new is begun, what is under way ends, all of it is told."""

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

INT, TERM = signal.SIGINT, signal.SIGTERM
WRITES: Final = 33
"""What an undisturbed apply sends."""
STATUSES: Final = ("applied", "skipped", "failed", "unknown")
HALF_WAY: Final = {"rules/left", "rules/right"}
"""Made in several calls: what is half made is told as a failure, since neither of the other words is true."""


@pytest.fixture
def one_by_one(stages: Callable[[str], CrashSetup], tmp_path: Path) -> CrashRun:
    """The tenant, and manifests that let one write at a time be under way."""
    stage = stages("C")
    scene.write_manifests(tmp_path / "single", scene.after(), stage.served.url, unique=False, places=1)
    return CrashRun(stage, tmp_path)


def interrupted(trial: CrashRun, gate: Gate, *signals: signal.Signals, manifests: str) -> RunResult:
    """Apply; send signals when the gate is reached, and open it when they were heard."""
    trial.app = gate
    with trial.start("apply", "--yes", "--format", "json", manifests=manifests) as process:
        gate.wait()
        for number in signals:
            process.send_signal(number)
            wait_until_heard(process.pid)
        gate.open()
        ended = finish(process)
    trial.app = gate.app
    return ended


def told(ended: RunResult) -> dict[str, set[str]]:
    """Return which rules have each outcome, of all 30."""
    outcomes = json.loads(ended.out)["outcomes"]
    assert 30 == len(outcomes)
    return {kind: {one["address"] for one in outcomes if one["status"] == kind} for kind in STATUSES}


CASES = [(3, [INT]), (12, [TERM]), (20, [INT, INT]), (30, [TERM, INT, TERM])]


@pytest.mark.parametrize(("at", "signals"), CASES)
def test_no_write_is_begun_after_a_signal(one_by_one: CrashRun, at: int, signals: list[signal.Signals]) -> None:
    """The write under way is done and counted, the rest is skipped, exit 130; the next run goes on from there."""
    ended = interrupted(one_by_one, Gate(one_by_one.app, at, of="writes"), *signals, manifests="single")
    assert (130, at) == (ended.code, len(one_by_one.writes())), ended
    assert "interrupted" in ended.out
    done = told(ended)
    assert one_by_one.reached() == done["applied"]
    assert set() == done["unknown"]
    assert done["failed"] <= HALF_WAY
    one_by_one.assert_heals_here()


@pytest.mark.parametrize(("at", "number"), [(1, TERM), (14, INT), (22, TERM)])
def test_what_is_under_way_ends(trial: CrashRun, at: int, number: signal.Signals) -> None:
    """Four at a time: behind the one that was held when the signal came, three at the most; each is told of truly."""
    gate = Gate(trial.app, at, of="writes")
    ended = interrupted(trial, gate, number, manifests="shall")
    assert 130 == ended.code, ended
    assert len(trial.writes()) <= gate.seen_at_opening + 3
    assert trial.reached() == told(ended)["applied"]
    trial.assert_heals_here()


def test_a_signal_at_the_last_write_finds_all_done(one_by_one: CrashRun) -> None:
    """A read after it shows no difference: that is exit 0, as nothing was left undone."""
    ended = interrupted(one_by_one, Gate(one_by_one.app, WRITES, of="writes"), TERM, manifests="single")
    assert (0, 30) == (ended.code, len(told(ended)["applied"])), ended
    one_by_one.assert_heals_here()


@pytest.mark.parametrize(("at", "number"), [(1, INT), (2, TERM), (3, INT)])
def test_a_signal_before_anything_is_written_ends_it_at_once(trial: CrashRun, at: int, number: signal.Signals) -> None:
    """Token, rules or queues are waited for: the process does not wait, says so, and nothing was written."""
    trial.app = gate = Gate(trial.app, at)
    with trial.start("apply", "--yes") as process:
        gate.wait()
        process.send_signal(number)
        ended = finish(process)
        gate.open()
    assert (130, "", "error: interrupted; nothing was written\n") == (ended.code, ended.out, ended.err)
    assert [] == trial.writes()


@pytest.mark.parametrize("number", [INT, TERM])
def test_a_signal_ends_the_question(trial: CrashRun, number: signal.Signals) -> None:
    """A person is asked on a terminal and does not answer: exit 130, nothing written."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    with trial.start("apply", stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        asked = b""
        while b"to continue: " not in asked:
            asked += os.read(ours, 1024)
        process.send_signal(number)
        out, _ = process.communicate(timeout=LONGEST)
        said = os.read(ours, 1024)
    os.close(ours)
    assert 130 == process.returncode
    assert "create" in out
    assert b"interrupted; nothing was written" in said
    assert [] == trial.writes()
