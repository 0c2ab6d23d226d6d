"""Plan -> Plan with what it does to conversations: all live rules before, all that will be live after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.arrange import transition
from reconciler.behaviour.difference import Behaviour, difference
from reconciler.behaviour.entry import in_order
from reconciler.desired import sample_as_written
from reconciler.shares import shares

if TYPE_CHECKING:
    from reconciler.plan import Plan
    from reconciler.traffic import Sample


def foresee(plan: Plan, sample: Sample | None = None) -> Plan:
    """Return the plan with the conversations that go elsewhere, and their share of a sample.

    Rules that are not managed take part.
    """
    if not plan.changes and sample is None:
        return replace(plan, behaviour=Behaviour(()))
    evaluation = plan.desired.evaluation
    now = transition(plan)
    types = plan.desired.types
    behaviour = difference(now.before, now.after, evaluation, types=types) if plan.changes else Behaviour(())
    if sample is None:
        return replace(plan, behaviour=behaviour)
    before, after = in_order(now.before, evaluation), in_order(now.after, evaluation)
    moved = shares(behaviour, before, after, sample_as_written(types, sample))
    return replace(plan, behaviour=behaviour, moved=moved, findings=(*plan.findings, *sample.warnings))
