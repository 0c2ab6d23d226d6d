"""The undo of a change that a date made: the next run makes it again, and `hold` prevents that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Final

import pytest

from reconciler.cli import session
from reconciler.features.journal.places import JournalFile
from tests.support.cases import each_case
from tests.support.program import Program, write

ENVIRONMENT: Final = """apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
"""
RULES: Final = """---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: always, intent: other, queue: Cards}
  - {key: rest, queue: General, when: [], priority: 900}
  - {key: xmas, intent: refund, queue: Fraud, from: 2026-12-20T00:00, until: 2026-12-27T00:00}
  - intent: card
    targets: [{queue: Cards, weight: 100}, {queue: Partner, weight: 0}]
    steps: [{at: 2026-12-23T06:00, weights: {Cards: 95, Partner: 5}}]
"""
AGAIN: Final = "The next apply would make this change again: due since"
BY_A_DATE: Final = "by a date of the manifests"
HOLD: Final = "To leave the rule as it is after the undo, write `hold` in its manifest."


@pytest.fixture
def run(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A sandbox as it is before the dates."""
    begin(cxroute, monkeypatch)
    return cxroute


def begin(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    rmtree(".cxroute", ignore_errors=True)
    write("m.yaml", ENVIRONMENT + RULES)
    set_day(monkeypatch, "2026-12-19T12:00")
    assert 0 == cxroute("apply", "--yes"), cxroute.err


def last() -> str:
    return JournalFile(Path(".cxroute/journal.jsonl")).read()[-1].id


def set_day(monkeypatch: pytest.MonkeyPatch, time: str) -> None:
    instant = datetime.fromisoformat(time).replace(tzinfo=UTC)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: instant)
    monkeypatch.setattr(
        "reconciler.features.journal.run_journal.utc_now", lambda: instant
    )
    monkeypatch.setattr(session, "utc_now", lambda: instant)


@each_case(
    "days, since, hint",
    [
        (["2026-12-21T12:00"], "2026-12-20T00:00:00+01:00", HOLD),
        (
            ["2026-12-21T12:00", "2026-12-24T12:00"],
            "2026-12-23T06:00:00+01:00",
            HOLD,
        ),
        (
            ["2026-12-24T12:00", "2026-12-28T12:00"],
            "2026-12-27T00:00:00+01:00",
            "To keep the rule, give it a later `until`.",
        ),
    ],
)
def test_the_undo_of_a_date_says_that_the_next_run_makes_it_again(
    run: Program,
    monkeypatch: pytest.MonkeyPatch,
    days: list[str],
    since: str,
    hint: str,
) -> None:
    """A rule that begins, a step, and a rule that ends."""
    begin(run, monkeypatch)
    for day in days:
        set_day(monkeypatch, day)
        assert 0 == run("apply", "--yes"), run.err
    assert 0 == run("apply", "--undo", last(), "--yes"), run.err
    assert f"{AGAIN} {since} {BY_A_DATE}. {hint}\n" in run.out
    assert "Revert the commit" not in run.out
    code, _ = run.json("plan", "--detailed-exitcode")
    assert 2 == code


def test_a_hold_keeps_the_undone_rule(
    run: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hint says; then nothing is left to do."""
    set_day(monkeypatch, "2026-12-21T12:00")
    assert 0 == run("apply", "--yes"), run.err
    assert 0 == run("apply", "--undo", last(), "--yes"), run.err
    hold = "hold: {until: 2026-12-26T00:00:00Z}"
    write(
        "m.yaml", ENVIRONMENT + RULES.replace("queue: Fraud", f"queue: Fraud, {hold}")
    )
    code, plan = run.json("plan", "--detailed-exitcode")
    assert 0 == code
    assert ["cards/xmas"] == [each["address"] for each in plan["held"]]


def test_a_commit_beside_a_date_is_reverted_by_a_commit(
    run: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The undone change of another priority is not one of a date."""
    set_day(monkeypatch, "2026-12-21T12:00")
    changed = RULES.replace("intent: other", "priority: 3, intent: other")
    write("m.yaml", ENVIRONMENT + changed)
    assert 0 == run("apply", "--yes"), run.err
    assert 0 == run("apply", "--undo", last(), "--yes"), run.err
    assert f"{AGAIN} 2026-12-20T00:00:00+01:00 {BY_A_DATE}. {HOLD}\n" in run.out
    assert (
        "The next apply would make this change again. Revert the commit first.\n"
        in run.out
    )
