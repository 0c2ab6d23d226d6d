"""`cxroute studio build` with rules with dates: the block of now, or that of --at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.program import Program, write

MANIFESTS = """apiVersion: routing/v1
kind: Environment
name: studio
owner: acme
tenant: acme
timezone: Europe/Zurich
api:
  auth: access-key
  area: na1
  queues: acd-skills
  rules: studio
  studio: {script: Hand-over}
---
apiVersion: routing/v1
kind: Queues
name: skills
queues: {fraud: {studio: {id: "4001"}}, cards: {studio: {id: "4002"}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: xmas, intent: refund, queue: fraud, from: 2026-12-20T00:00, until: 2026-12-27T00:00}
  - intent: card
    targets: [{queue: cards, weight: 1}, {queue: fraud, weight: 0}]
    steps: [{at: 2026-12-23T06:00, weights: {cards: 0, fraud: 1}, if: {query: q, above: 1, for: 5m}}]
"""


def skills(cxroute: Program, *arguments: str) -> dict[str, str]:
    """Return the skill of each rule in the block."""
    assert 0 == cxroute("-e", "studio", "studio", "build", *arguments), cxroute.err
    found = {}
    intent = ""
    for line in cxroute.out.splitlines():
        if '$ = "' in line:
            intent = line.rpartition('$ = "')[2].partition('"')[0]
        if "ASSIGN cxr_skill = 4" in line:
            found[intent] = line.rpartition(" ")[2]
    return found


def test_the_block_is_that_of_a_time(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A due step with a condition counts as made, and a note says so."""
    write("m.yaml", MANIFESTS)
    instant = datetime(2026, 12, 21, tzinfo=UTC)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: instant)
    assert {"refund": "4001", "card": "4002"} == skills(cxroute)
    assert "counts as made" not in cxroute.err
    after = ("--at", "2026-12-26T23:00:00Z")
    assert {"card": "4001"} == skills(cxroute, *after)
    assert "A due step with `if` counts as made here (cards/card)" in cxroute.err
    before = ("--at", "2026-12-19T23:59:59+01:00")
    assert {"card": "4002"} == skills(cxroute, *before)


def test_another_task_has_no_time(cxroute: Program) -> None:
    """A snippet is read as it is."""
    write("m.yaml", MANIFESTS)
    assert 64 == cxroute(
        "-e", "studio", "studio", "recipe", "--at", "2026-12-26T23:00:00Z"
    )
    assert "--at is an option of `studio build`" in cxroute.err
