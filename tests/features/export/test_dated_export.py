"""`cxroute export` with rules with dates: dates stay, and live weights go into the step that is made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import session
from reconciler.features.practice.simulator.state import TenantState
from tests.support.cases import each_case
from tests.support.program import Program, write

ENVIRONMENT = """apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
vars: {partner: Partner}
"""
RULES = """apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - intent: card   # the ramp
    targets: [{queue: Cards, weight: 100}, {queue: "${partner}", weight: 0}]
    steps:
      - {at: 2026-12-01T06:00, weights: {Cards: 95, "${partner}": 5}}  # first
      - {at: 2026-12-03T06:00, weights: {Cards: 75, "${partner}": 25}}
  - {key: xmas, intent: refund, queue: Fraud, from: 2026-12-20T00:00, until: 2026-12-27T00:00}
  - {key: xmas, intent: refund, queue: Cards, from: 2026-12-27T00:00}
"""
RAMP = "Cognigy Intent Route: card"
STATE = Path(".cxroute/sandbox.json")


@pytest.fixture
def dated(cxroute: Program) -> Program:
    write("environment.yaml", ENVIRONMENT)
    write("cards.yaml", RULES)
    return cxroute


def text() -> str:
    return Path("manifests/cards.yaml").read_text("utf-8")


def at(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    """Set the clock of the run."""
    instant = datetime.fromisoformat(day).replace(tzinfo=UTC)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: instant)
    monkeypatch.setattr(session, "utc_now", lambda: instant)


def weigh(**weights: int) -> None:
    """Give the targets of the live ramp other weights, by the names of queues; 0 removes one."""
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] == RAMP)
        names = {queue["id"]: queue["name"] for queue in state.queues}
        targets: list[dict[str, Any]] = []
        for target in rule["targets"]:
            name = names[target["queueId"]]
            if weights[name]:
                targets.append({**target, "weight": weights[name]})
        state.edit(rule["id"], targets=targets)


@each_case(
    "day, weights, old, new",
    [
        (
            "2026-12-02",
            {"Cards": 90, "Partner": 10},
            '{Cards: 95, "${partner}": 5}',
            '{Cards: 90, "${partner}": 10}',
        ),
        (
            "2026-12-04",
            {"Cards": 1, "Partner": 0},
            '{Cards: 75, "${partner}": 25}',
            '{Cards: 1, "${partner}": 0}',
        ),
        (
            "2026-11-30",
            {"Cards": 7},
            "{queue: Cards, weight: 100}",
            "{queue: Cards, weight: 7}",
        ),
    ],
)
def test_live_weights_go_into_the_step_that_is_made(
    dated: Program,
    monkeypatch: pytest.MonkeyPatch,
    day: str,
    weights: dict[str, int],
    old: str,
    new: str,
) -> None:
    """All other bytes stay; then nothing but the marker is left to write."""
    write("cards.yaml", RULES)
    STATE.unlink(missing_ok=True)
    at(monkeypatch, day)
    assert 0 == dated("apply", "--yes"), dated.err
    weigh(**weights)
    assert 0 == dated("export", "cards/card", "--write"), dated.err
    changed = RULES.replace(old, new)
    assert changed != RULES
    assert changed.splitlines() == [
        line for line in text().splitlines() if "description:" not in line
    ]
    _, plan = dated.json("plan")
    paths = [field["path"] for item in plan["changes"] for field in item["fields"]]
    assert ["marker"] == paths


def test_a_step_that_waits_does_not_get_the_weights_of_the_one_before(
    dated: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker of the live rule names the step that is made, whatever is due."""
    waiting = '"${partner}": 25}, if: {query: q, above: 1, for: 5m}}'
    rules = RULES.replace('"${partner}": 25}}', waiting)
    write("cards.yaml", rules)
    at(monkeypatch, "2026-12-02")
    assert 0 == dated("apply", "--yes"), dated.err
    weigh(Cards=90, Partner=10)
    at(monkeypatch, "2026-12-04")
    assert 0 == dated("export", "--all", "--write"), dated.err
    old = '{Cards: 95, "${partner}": 5}'
    assert rules.replace(old, '{Cards: 90, "${partner}": 10}') == text()


def test_a_change_of_another_field_keeps_the_steps(
    dated: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a field of the rule at all times."""
    at(monkeypatch, "2026-12-04")
    assert 0 == dated("apply", "--yes"), dated.err
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] == RAMP)
        state.edit(rule["id"], priority=7)
    assert 0 == dated("export", "--all", "--write"), dated.err
    assert RULES.replace("    steps:\n", "    priority: 7\n    steps:\n") == text()


def test_an_edit_changes_the_rule_of_now_alone(
    dated: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key may stand several times: the other times keep every byte."""
    at(monkeypatch, "2026-12-22")
    assert 0 == dated("apply", "--yes"), dated.err
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] != RAMP)
        state.edit(rule["id"], priority=7)
    assert 0 == dated("export", "cards/xmas", "--write"), dated.err
    assert 1 == text().count("priority: 7")
    assert "queue: Fraud, priority: 7, from: 2026-12-20T00:00" in text()
    assert text().splitlines()[-1] == RULES.splitlines()[-1]


def test_a_live_rule_of_another_time_is_in_the_manifests(
    dated: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not written a second time, and there is no manifest of now to keep its values in."""
    write("cards.yaml", "\n".join(RULES.splitlines()[:-1]) + "\n")
    at(monkeypatch, "2026-12-22")
    assert 0 == dated("apply", "--yes"), dated.err
    at(monkeypatch, "2026-12-28")
    assert 0 == dated("export", "--all"), dated.err
    assert "key: xmas" not in dated.out
    assert 4 == dated("export", "cards/xmas", "--write")
    assert "is not a rule of now, by the dates of its manifest" in dated.err


def test_a_queue_that_no_step_names_is_refused(
    dated: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weight at other times would be a guess."""
    at(monkeypatch, "2026-12-04")
    assert 0 == dated("apply", "--yes"), dated.err
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] == RAMP)
        (fraud,) = (each for each in state.queues if each["name"] == "Fraud")
        targets = [{**rule["targets"][0], "queueId": fraud["id"]}]
        state.edit(rule["id"], targets=targets)
    assert 4 == dated("export", "cards/card", "--write")
    assert "the queue Fraud is not one of its `targets`" in dated.err
    assert RULES == text()
