"""The order of the steps, where the analysis stops at its bound: what is not proven is not done
first.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    format_description,
    marker_digest,
)
from reconciler.core.model.rule import Target
from reconciler.core.plan import schedule
from reconciler.core.plan.assess import measure_impact
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Changes, PlanOptions
from tests.support.builders import (
    NOW,
    OWNER,
    address,
    at_least,
    desired,
    intent_is,
    live,
    managed,
    rule,
    wanted,
)

FRAUD: Final = [Target("q-fraud", 1)]
GENERAL: Final = [Target("q-general", 1)]


def plan_with_idle_copy() -> Changes:
    """Return a plan that needs a new temporary copy of cards/b, where an earlier run left a copy
    without effect.
    """
    everything = rule("all", priority=900, conditions=[], targets=GENERAL)
    actual = [
        managed(
            "id-a",
            "cards/a",
            rule("a", conditions=[intent_is("x")], priority=20, targets=FRAUD),
        ),
        managed(
            "id-b",
            "cards/b",
            rule("b", conditions=[intent_is("x")], priority=10, targets=GENERAL),
        ),
        managed("id-all", "cards/all", everything),
    ]
    goal = desired(
        wanted(
            "cards/a",
            rule("a", conditions=[intent_is("y")], priority=30, targets=FRAUD),
        ),
        wanted("cards/b", rule("b", conditions=[intent_is("y")], priority=10)),
        wanted("cards/all", everything),
    )
    copied = rule(
        "left", conditions=[intent_is("y"), at_least(0.5)], priority=30, targets=GENERAL
    )
    temporary = replace(copied, name=f"(next) {OWNER}/cards/b")
    marker = Marker(OWNER, address("cards/b"), marker_digest(temporary), copy=True)
    raw = {
        "id": "left",
        "name": temporary.name,
        "description": format_description(temporary, marker),
    }
    state = live(*actual, LiveRule("left", temporary, marker, raw))
    return find_changes(goal, state, PlanOptions(), NOW)


def test_a_leftover_copy_is_deleted_first_only_with_a_complete_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the proof, the copy goes first.

    Where the analysis stops, the plan names what it could not prove.
    """
    proven = schedule.schedule_steps(plan_with_idle_copy())
    first = [(step.call, str(step.change.address)) for step in proven.steps[0]]
    assert ([("delete", "cards/b")], ()) == (first, proven.unproven)
    monkeypatch.setattr(
        schedule, "compare_behaviour", partial(compare_behaviour, work=0)
    )
    stopped = schedule.schedule_steps(plan_with_idle_copy())
    assert (address("cards/b"),) == stopped.unproven
    calls = [step.call for wave in stopped.steps for step in wave]
    assert "delete" not in calls[:1]


def test_a_leftover_copy_is_the_cause_of_what_it_moves() -> None:
    """The rule itself does not change, and neither does the endpoint's fallback."""
    everything = rule("a", conditions=[], priority=20, targets=FRAUD)
    temporary = replace(
        rule("x", conditions=[intent_is("y")], priority=10, targets=GENERAL),
        name="(next) a",
    )
    marker = Marker(OWNER, address("cards/a"), marker_digest(temporary), copy=True)
    raw = {
        "id": "left",
        "name": temporary.name,
        "description": format_description(temporary, marker),
    }
    state = live(
        managed("id-a", "cards/a", everything), LiveRule("left", temporary, marker, raw)
    )

    changes = find_changes(
        desired(wanted("cards/a", everything)), state, PlanOptions(), NOW
    )
    impact = measure_impact(changes)
    (effect,) = impact.behaviour.effects
    (edited,) = (impact.edits[number] for number in effect.edits)
    assert ("delete", f"(next) {OWNER}/cards/a", True) == (
        edited.action,
        edited.entry.name,
        edited.is_copy,
    )
