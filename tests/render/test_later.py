"""What a plan says about later changes that may not be made at their dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from reconciler.core.manifest.load import load_contents
from reconciler.core.model.rule import Queue
from reconciler.core.pipeline import build_plan
from reconciler.core.plan.stages import LiveState
from reconciler.render.later import summarize_later

LIVE: Final = LiveState((), (Queue("1", "Q"), Queue("2", "R")))
RULES: Final = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
%s
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - intent: card
    targets: [{queue: Q, weight: 100}, {queue: R, weight: 0}]
    steps:
      - {at: 2026-12-21T06:00Z, weights: {Q: 95, R: 5}}
      - {at: 2026-12-23T06:00Z, weights: {Q: 75, R: 25}, if: {query: up, above: 0, for: 30m}}
      - {at: 2026-12-25T06:00Z, weights: {Q: 50, R: 50}}
  - {intent: fees, queue: R, from: 2026-12-27T06:00Z}
"""
FREEZE: Final = "freeze: [{start: 2026-12-25, end: 2026-12-26, reason: peak}]"
WAITS: Final = "unless a step of cards/card waits for its condition"
DELAYED: Final = (
    "due 25 Dec 2026, 06:00 (UTC), and made at the end of the freeze; " + WAITS
)


def delays(environment: str) -> list[str]:
    now = datetime(2026, 12, 2, tzinfo=UTC)
    text = (RULES % environment).encode()
    manifests = load_contents([("rules.yaml", text)], instant=now)
    plan = build_plan(manifests, manifests.environment("prod"), LIVE)
    later = summarize_later(plan)
    assert later is not None
    return [change.delay for change in later.changes]


def test_a_step_that_may_wait_is_named_at_its_date_and_later() -> None:
    """A step after one with a condition waits with it; the other rules do not."""
    assert ["", WAITS, WAITS, ""] == delays("")


def test_a_freeze_and_a_condition_are_both_named() -> None:
    assert ["", WAITS, DELAYED, ""] == delays(FREEZE)
