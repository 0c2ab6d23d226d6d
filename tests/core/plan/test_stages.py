"""The stages of a plan: each has everything of the earlier ones."""

from __future__ import annotations

from dataclasses import fields

from reconciler.core.plan.assess import assess
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import Assessed, Changes, Plan, PlanOptions, Scheduled
from tests.support.builders import NOW, desired, live, managed, rule, wanted
from tests.support.plans import complete


def some_changes() -> Changes:
    """Return one update."""
    want = desired(wanted("cards/vip", rule(priority=1)))
    return find_changes(
        want, live(managed("1", "cards/vip", rule())), PlanOptions(), NOW
    )


def test_a_stage_keeps_everything_of_the_earlier_ones() -> None:
    """No later stage changes what an earlier one said, except for further findings."""
    changes = some_changes()
    scheduled = schedule_steps(changes)
    assessed = assess(scheduled)
    plan = complete(changes)
    assert Changes.parts_of(changes) == Changes.parts_of(plan)
    assert Scheduled.parts_of(scheduled) == Scheduled.parts_of(plan)
    assert Assessed.parts_of(assessed) == Assessed.parts_of(plan)


def test_a_later_stage_can_be_scheduled_again() -> None:
    """A function of an early stage takes what that stage has, and nothing of a later one."""
    plan = complete(some_changes())
    again = schedule_steps(plan)
    assert type(again) is Scheduled
    assert again == schedule_steps(some_changes())


def test_each_stage_adds_its_own_parts() -> None:
    """Nothing of a stage is empty because a later step has not run: it has no such field."""
    names = [
        {part.name for part in fields(stage)}
        for stage in (Changes, Scheduled, Assessed, Plan)
    ]
    assert {"steps", "unproven"} == names[1] - names[0]
    assert {"impact", "promises"} == names[2] - names[1]
    assert {"guards", "consent"} <= names[3] - names[2]
