"""Plan -> Plan with its steps: calls in waves, so that each conversation goes to its old or its new queue throughout.

Held, conflicting and unselected changes are no part of it: what is proven is the way from the live rules to those
that will stand after this plan (semantics "Safe order").

Plan -> Plan with what it does to conversations: all live rules before, all that will be live after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.diff.difference import Behaviour, difference
from reconciler.behaviour.ordering.constraints import Move
from reconciler.behaviour.ordering.order import Order, order
from reconciler.behaviour.routing_entry import Entry, in_order
from reconciler.model.change import Change, Create, Delete, Step, is_copy, is_release
from reconciler.model.live import copy_name
from reconciler.plan.routing_table import live_entries
from reconciler.plan.traffic_shares import sample_as_written, shares

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.behaviour.ordering.graph import Step as OrderStep
    from reconciler.plan.plan import Plan
    from reconciler.traffic.sample import Sample


@dataclass(frozen=True, slots=True)
class Transition:
    """What the changes of a plan do to the list of rules: `moves`, in their order, beside what stays."""

    fixed: tuple[Entry, ...]
    moves: tuple[Move, ...]

    @property
    def before(self) -> tuple[Entry, ...]:
        """The rules that are live."""
        return (*self.fixed, *(move.before for move in self.moves if move.before is not None))

    @property
    def after(self) -> tuple[Entry, ...]:
        """The rules that will be live."""
        return (*self.fixed, *(move.after for move in self.moves if move.after is not None))


def transition(plan: Plan) -> Transition:
    """Return what the plan's changes do."""
    live = {entry.id: entry for entry in live_entries(plan.live.rules, plan.desired)}
    moves = tuple(_move(change, live) for change in plan.changes)
    touched = {move.before.id for move in moves if move.before is not None}
    return Transition(tuple(entry for entry in live.values() if entry.id not in touched), moves)


def arrange(plan: Plan, given_up: Collection[Change] = ()) -> Plan:
    """Return the plan with its steps in waves, and with the changes for which the proof is not whole.

    Of changes that are given up, and of what must come after them, no step is taken: without them it would send
    conversations elsewhere.
    """
    if not plan.changes:
        return replace(plan, steps=(), unproven=())
    now, leftovers = transition(plan), _leftovers(plan)
    found = order(now.moves, now.fixed, plan.desired.evaluation, leftovers=leftovers)
    copied = {step.move for wave in found.waves for step in wave if step.kind == "copy"}
    twice = {move for _, move in leftovers} & copied & {*found.unproven}
    drops = [plan.changes[drop] for drop, move in leftovers if move in twice]
    if drops and (cleared := _cleared(plan, now, drops, given_up)):
        return cleared
    naming = _Naming(plan, found)
    left_out = {id(change) for change in given_up}
    never = found.behind({move for move, change in enumerate(plan.changes) if id(change) in left_out})
    never |= {step for step in found.graph if step.move in twice and step.kind in ("copy", "drop")}
    taken = (sorted({*wave} - never) for wave in found.waves)
    steps = tuple(
        tuple(Step(plan.changes[step.move], step.kind, naming.of(step)) for step in wave) for wave in taken if wave
    )
    unproven = {plan.changes[move].address for move in found.unproven}
    return replace(plan, steps=steps, unproven=tuple(sorted(unproven)))


def _move(change: Change, live: Mapping[str, Entry]) -> Move:
    before = None if isinstance(change, Create) else live[change.live.id]
    if isinstance(change, Delete):
        return Move(before, None)
    if before is not None and is_release(change):
        return Move(before, Entry(name=change.after.name, rule=change.after, id=before.id))
    return Move(
        before,
        Entry(
            name=str(change.address),
            rule=change.after,
            id=before.id if before else "",
            address=change.address,
            source=change.source,
        ),
    )


class _Naming:
    """The temporary names of a plan's steps (ownership "Temporary copies")."""

    def __init__(self, plan: Plan, found: Order) -> None:
        self.plan = plan
        self.copied = {change.address for change in plan.changes if is_copy(change)}
        self.copied |= {plan.changes[step.move].address for wave in found.waves for step in wave if step.kind == "copy"}

    def of(self, step: OrderStep) -> str:
        """Return the name: the copy's own, or, for a rule set aside, the same unless there is a copy beside it."""
        if step.kind not in ("copy", "aside"):
            return ""
        address = self.plan.changes[step.move].address
        name = copy_name(self.plan.owner, address)
        return f"{name}, renamed" if step.kind == "aside" and address in self.copied else name


def _cleared(plan: Plan, now: Transition, drops: Sequence[Change], given_up: Collection[Change]) -> Plan | None:
    """Return the plan with leftover copies deleted first of all, where that moves nobody; else None."""
    gone = {change.live.id for change in drops if not isinstance(change, Create)}
    remaining = tuple(entry for entry in now.before if entry.id not in gone)
    nobody = difference(now.before, remaining, plan.desired.evaluation)
    if nobody.changed or not nobody.complete or any(one in given_up for one in drops):
        return None
    live = replace(plan.live, rules=tuple(rule for rule in plan.live.rules if rule.id not in gone))
    others = tuple(change for change in plan.changes if change not in drops)
    rest = arrange(replace(plan, live=live, changes=others), given_up)
    return replace(plan, steps=(tuple(map(Step, drops)), *rest.steps), unproven=rest.unproven)


def _leftovers(plan: Plan) -> frozenset[tuple[int, int]]:
    """Return the places of each change that deletes a copy of an earlier run, and of the change of its address."""
    changed = {change.address: move for move, change in enumerate(plan.changes) if not is_copy(change)}
    return frozenset(
        (move, changed[change.address])
        for move, change in enumerate(plan.changes)
        if is_copy(change) and change.address in changed
    )


def foresee(plan: Plan, sample: Sample | None = None) -> Plan:
    """Return the plan with the conversations that go elsewhere, and their share of a sample.

    Rules that are not managed take part.
    """
    if not plan.changes and sample is None:
        return replace(plan, behaviour=Behaviour(regions=()))
    evaluation = plan.desired.evaluation
    now = transition(plan)
    types = plan.desired.types
    behaviour = difference(now.before, now.after, evaluation, types=types) if plan.changes else Behaviour(regions=())
    if sample is None:
        return replace(plan, behaviour=behaviour)
    before, after = in_order(now.before, evaluation), in_order(now.after, evaluation)
    moved = shares(behaviour, before, after, sample_as_written(types, sample))
    return replace(plan, behaviour=behaviour, moved=moved, findings=(*plan.findings, *sample.warnings))
