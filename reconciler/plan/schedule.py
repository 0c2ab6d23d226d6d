"""Plan -> Plan with its steps: calls in waves, so that each conversation goes to its old or its new queue throughout.

Held, conflicting and unselected changes are no part of it: what is proven is the way from the live rules to those
that will stand after this plan (semantics "Safe order").

Plan -> Plan with what it does to conversations: all live rules before, all that will be live after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.ordering.constraints import Move
from reconciler.behaviour.ordering.order import MoveOrder, order_moves
from reconciler.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.model.change import Change, Create, Delete, PlanStep, is_copy_removal, is_unadoption
from reconciler.model.live import copy_name
from reconciler.plan.routing_table import live_entries
from reconciler.plan.traffic_shares import convert_sample, measure_traffic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.behaviour.ordering.graph import MoveStep as OrderStep
    from reconciler.plan.plan import Plan
    from reconciler.traffic.sample import TrafficSample


@dataclass(frozen=True, slots=True)
class Transition:
    """What the changes of a plan do to the list of rules: `moves`, in their order, beside what stays."""

    fixed: tuple[RoutingEntry, ...]
    moves: tuple[Move, ...]

    @property
    def before(self) -> tuple[RoutingEntry, ...]:
        """The rules that are live."""
        return (*self.fixed, *(move.before for move in self.moves if move.before is not None))

    @property
    def after(self) -> tuple[RoutingEntry, ...]:
        """The rules that will be live."""
        return (*self.fixed, *(move.after for move in self.moves if move.after is not None))


def build_transition(plan: Plan) -> Transition:
    """Return what the plan's changes do."""
    live = {entry.id: entry for entry in live_entries(plan.live.rules, plan.desired)}
    moves = tuple(_build_move(change, live) for change in plan.changes)
    touched = {move.before.id for move in moves if move.before is not None}
    return Transition(tuple(entry for entry in live.values() if entry.id not in touched), moves)


def schedule_steps(plan: Plan, abandoned: Collection[Change] = ()) -> Plan:
    """Return the plan with its steps in waves, and with the changes for which the proof is not whole."""
    # Of changes that are given up, and of what must come after them, no step is taken: without them it would send
    # conversations elsewhere.
    if not plan.changes:
        return replace(plan, steps=(), unproven=())
    now, leftovers = build_transition(plan), _find_leftovers(plan)
    found = order_moves(now.moves, now.fixed, plan.desired.evaluation, stale_copies=leftovers)
    copied = {step.move for wave in found.waves for step in wave if step.kind == "copy"}
    twice = {move for _, move in leftovers} & copied & {*found.unproven}
    drops = [plan.changes[drop] for drop, move in leftovers if move in twice]
    if drops and (cleared := _schedule_leftovers_first(plan, now, drops, abandoned)):
        return cleared
    naming = _TemporaryNames(plan, found)
    left_out = {id(change) for change in abandoned}
    never = found.dependents({move for move, change in enumerate(plan.changes) if id(change) in left_out})
    never |= {step for step in found.graph if step.move in twice and step.kind in ("copy", "drop")}
    taken = (sorted({*wave} - never) for wave in found.waves)
    steps = tuple(
        tuple(PlanStep(plan.changes[step.move], step.kind, naming.name_of(step)) for step in wave)
        for wave in taken
        if wave
    )
    unproven = {plan.changes[move].address for move in found.unproven}
    return replace(plan, steps=steps, unproven=tuple(sorted(unproven)))


def _build_move(change: Change, live: Mapping[str, RoutingEntry]) -> Move:
    before = None if isinstance(change, Create) else live[change.live.id]
    if isinstance(change, Delete):
        return Move(before, None)
    if before is not None and is_unadoption(change):
        return Move(before, RoutingEntry(name=change.after.name, rule=change.after, id=before.id))
    return Move(
        before,
        RoutingEntry(
            name=str(change.address),
            rule=change.after,
            id=before.id if before else "",
            address=change.address,
            source=change.source,
        ),
    )


class _TemporaryNames:
    """The temporary names of a plan's steps (ownership "Temporary copies")."""

    def __init__(self, plan: Plan, ordering: MoveOrder) -> None:
        self.plan = plan
        self.copied_addresses = {change.address for change in plan.changes if is_copy_removal(change)}
        self.copied_addresses |= {
            plan.changes[step.move].address for wave in ordering.waves for step in wave if step.kind == "copy"
        }

    def name_of(self, step: OrderStep) -> str:
        """Return the name: the copy's own, or, for a rule set aside, the same unless there is a copy beside it."""
        if step.kind not in ("copy", "aside"):
            return ""
        address = self.plan.changes[step.move].address
        name = copy_name(self.plan.owner, address)
        return f"{name}, renamed" if step.kind == "aside" and address in self.copied_addresses else name


def _schedule_leftovers_first(
    plan: Plan, transition: Transition, drops: Sequence[Change], abandoned: Collection[Change]
) -> Plan | None:
    """Return the plan with leftover copies deleted first of all, where that moves nobody; else None."""
    gone = {change.live.id for change in drops if not isinstance(change, Create)}
    remaining = tuple(entry for entry in transition.before if entry.id not in gone)
    nobody = compare_behaviour(transition.before, remaining, plan.desired.evaluation)
    if nobody.changed or not nobody.complete or any(one in abandoned for one in drops):
        return None
    live = replace(plan.live, rules=tuple(rule for rule in plan.live.rules if rule.id not in gone))
    others = tuple(change for change in plan.changes if change not in drops)
    rest = schedule_steps(replace(plan, live=live, changes=others), abandoned)
    return replace(plan, steps=(tuple(map(PlanStep, drops)), *rest.steps), unproven=rest.unproven)


def _find_leftovers(plan: Plan) -> frozenset[tuple[int, int]]:
    """Return the places of each change that deletes a copy of an earlier run, and of the change of its address."""
    changed = {change.address: move for move, change in enumerate(plan.changes) if not is_copy_removal(change)}
    return frozenset(
        (move, changed[change.address])
        for move, change in enumerate(plan.changes)
        if is_copy_removal(change) and change.address in changed
    )


def predict_impact(plan: Plan, sample: TrafficSample | None = None) -> Plan:
    """Return the plan with the conversations that go elsewhere, and their share of a sample."""
    # Rules that are not managed take part.
    if not plan.changes and sample is None:
        return replace(plan, behaviour=BehaviourChange(regions=()))
    evaluation = plan.desired.evaluation
    now = build_transition(plan)
    types = plan.desired.types
    behaviour = (
        compare_behaviour(now.before, now.after, evaluation, types=types)
        if plan.changes
        else BehaviourChange(regions=())
    )
    if sample is None:
        return replace(plan, behaviour=behaviour)
    before, after = order_entries(now.before, evaluation), order_entries(now.after, evaluation)
    moved = measure_traffic(behaviour, before, after, convert_sample(types, sample))
    return replace(plan, behaviour=behaviour, traffic_impact=moved, findings=(*plan.findings, *sample.warnings))
