"""Ramps for tests: a rule whose partner gets more conversations step by step, some with a condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from reconciler.core.desired.desired import state_at
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Target
from reconciler.core.pipeline import Planner, planner_for
from reconciler.core.plan.changes import rules_after
from reconciler.core.plan.stages import Changes, LiveState
from tests.support.builders import QUEUES
from tests.support.written_manifests import ENVIRONMENT, HEAD

CONDITION = "{query: q, above: 0.8, for: 30m}"


class Step(NamedTuple):
    """A step: its time, the partner's weight of 100, and whether it has a condition."""

    at: datetime
    share: int
    waits: bool


def ramp_text(steps: Iterable[Step], key: str = "card") -> str:
    """Return a rule in a manifest that sends all to "Fraud" at first, and shares to "General"."""
    written = [
        f"{{at: {step.at:%Y-%m-%dT%H:%M:%SZ}, weights: {{Fraud: {100 - step.share}, General: {step.share}}}"
        + (f", if: {CONDITION}}}" if step.waits else "}")
        for step in steps
    ]
    return (
        f"{{intent: {key}, targets: [{{queue: Fraud, weight: 100}}, {{queue: General, weight: 0}}], "
        f"steps: [{', '.join(written)}]}}"
    )


def planner_of(
    room: Path, rules: Sequence[str], instant: datetime, more: str = ""
) -> Planner:
    """Return the planner of prod with these rules at an instant; `more` are further lines of the
    Environment.
    """
    text = (
        ENVIRONMENT + more + "---\n" + HEAD + "".join(f"  - {rule}\n" for rule in rules)
    )
    (room / "m.yaml").write_text(text, "utf-8")
    manifests = load_manifests(room, instant)
    live = LiveState((), QUEUES)
    planner = planner_for(manifests, manifests.environment("prod"), live)
    return replace(planner, clock=lambda: instant)


def planner_at(planner: Planner, instant: datetime) -> Planner:
    """Return the planner of another run, which has asked nothing."""
    calendar = planner.desired.calendar
    assert calendar is not None
    return replace(
        planner,
        desired=state_at(planner.desired, instant),
        clock=lambda: instant,
        answers={},
    )


def made(changes: Changes) -> tuple[LiveRule, ...]:
    """Return the live rules after all changes."""
    return tuple(
        replace(live, raw={"id": live.id, "name": live.rule.name})
        for live in rules_after(changes, changes.changes)
    )


def share_of(live: Iterable[LiveRule], key: str = "card") -> int | None:
    """Return the share of "General" in the live rule of a ramp; None if it is not live."""
    for rule in live:
        if rule.marker is not None and rule.marker.address.key == key:
            shares = {
                target.queue_id: target.weight
                for target in rule.rule.targets
                if isinstance(target, Target)
            }
            return round(shares.get("q-general", 0))
    return None
