"""Plan -> Plan with its steps in waves (semantics "Safe order"), and with its impact on
conversations.

Held, conflicting and unselected changes are excluded: the proof covers the transition from the live
rules to the rules after this plan.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.ordering.constraints import Move
from reconciler.core.behaviour.ordering.graph import MoveStep
from reconciler.core.behaviour.ordering.order import order_moves
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.model.change import (
    Change,
    Create,
    Delete,
    PlanStep,
    is_copy_removal,
    is_unadoption,
)
from reconciler.core.model.live import copy_name
from reconciler.core.model.rule import Address
from reconciler.core.plan.changes import Plan
from reconciler.core.plan.edits import edits_of_changes
from reconciler.core.plan.impact import NO_IMPACT, Impact
from reconciler.core.plan.replay import ReplayResult, ReplaySide, replay
from reconciler.core.plan.routing_table import live_entries
from reconciler.core.plan.traffic_shares import convert_sample, measure_traffic
from reconciler.core.plan.words import order_effects
from reconciler.core.traffic.records import RecordReader
from reconciler.core.traffic.sample import TrafficSample


@dataclass(frozen=True, slots=True)
class Transition:
    """The effect of a plan on the list of rules: `moves`, in the order of the changes, and the
    `fixed` rules.
    """

    fixed: tuple[RoutingEntry, ...]
    moves: tuple[Move, ...]

    @property
    def before(self) -> tuple[RoutingEntry, ...]:
        """The rules that are live."""
        moved = (move.before for move in self.moves)
        return (*self.fixed, *(entry for entry in moved if entry is not None))

    @property
    def after(self) -> tuple[RoutingEntry, ...]:
        """The rules that will be live."""
        moved = (move.after for move in self.moves)
        return (*self.fixed, *(entry for entry in moved if entry is not None))


def build_transition(plan: Plan) -> Transition:
    """Return the effect of the plan's changes."""
    live = {entry.id: entry for entry in live_entries(plan.live.rules, plan.desired)}
    moves = tuple(_build_move(change, live) for change in plan.changes)
    touched = {move.before.id for move in moves if move.before is not None}
    fixed = tuple(entry for entry in live.values() if entry.id not in touched)
    return Transition(fixed, moves)


def schedule_steps(plan: Plan, abandoned: Collection[Change] = ()) -> Plan:
    """Return the plan with its steps in waves, and with the changes for which the proof is
    incomplete.
    """
    # Abandoned changes get no steps. Steps that must follow them get none either: they would move
    # conversations.
    if not plan.changes:
        return replace(plan, steps=(), unproven=())
    if plan.desired.layout is not None:  # one save switches all rules
        return replace(plan, steps=(tuple(map(PlanStep, plan.changes)),), unproven=())
    now = build_transition(plan)
    leftovers = _leftover_copies(plan)
    ordering = order_moves(
        now.moves, now.fixed, plan.desired.evaluation, stale_copies=leftovers
    )
    steps = chain.from_iterable(ordering.waves)
    copied = {step.move for step in steps if step.kind == "copy"}
    twice = {move for _, move in leftovers} & copied & {*ordering.unproven}
    drops = [plan.changes[drop] for drop, move in leftovers if move in twice]
    if drops:
        cleared = _schedule_leftovers_first(plan, now, drops, abandoned)
        if cleared:
            return cleared

    abandoned_ids = {id(change) for change in abandoned}
    moves = enumerate(plan.changes)
    never = ordering.dependents(
        {move for move, change in moves if id(change) in abandoned_ids}
    )
    never |= {
        step
        for step in ordering.graph
        if step.move in twice and step.kind in ("copy", "drop")
    }
    plan_step = partial(_plan_step, plan, _copy_addresses(plan, copied))
    waves = (tuple(map(plan_step, sorted({*wave} - never))) for wave in ordering.waves)
    unproven = {plan.changes[move].address for move in ordering.unproven}
    return replace(
        plan, steps=tuple(filter(None, waves)), unproven=tuple(sorted(unproven))
    )


def _copy_addresses(plan: Plan, copied: Iterable[int]) -> set[Address]:
    """Return the addresses with a temporary copy, those that an earlier run left included."""
    addresses = {plan.changes[move].address for move in copied}
    for change in plan.changes:
        if is_copy_removal(change):
            addresses.add(change.address)
    return addresses


def _leftover_copies(plan: Plan) -> frozenset[tuple[int, int]]:
    """Return pairs of moves: one deletes a copy that an earlier run left, the other is the change
    of its address.
    """
    moves = list(enumerate(plan.changes))
    changed = {
        change.address: move for move, change in moves if not is_copy_removal(change)
    }
    return frozenset(
        (move, changed[change.address])
        for move, change in moves
        if is_copy_removal(change) and change.address in changed
    )


def _plan_step(
    plan: Plan, copy_addresses: Collection[Address], step: MoveStep
) -> PlanStep:
    change = plan.changes[step.move]
    if step.kind not in ("copy", "aside"):
        return PlanStep(change, step.kind, "")
    # A parked rule has the name of a temporary copy, unless there is a temporary copy as well.
    name = copy_name(plan.owner, change.address)
    if step.kind == "aside" and change.address in copy_addresses:
        name += ", renamed"
    return PlanStep(change, step.kind, name)


def _build_move(change: Change, live: Mapping[str, RoutingEntry]) -> Move:
    before = None if isinstance(change, Create) else live[change.live.id]
    if isinstance(change, Delete):
        return Move(before, None)
    id_ = before.id if before else ""
    if is_unadoption(change):
        after = RoutingEntry(name=change.after.name, rule=change.after, id=id_)
        return Move(before, after)
    after = RoutingEntry(
        name=str(change.address),
        rule=change.after,
        id=id_,
        address=change.address,
        source=change.source,
    )
    return Move(before, after)


def _schedule_leftovers_first(
    plan: Plan,
    transition: Transition,
    drops: Sequence[Change],
    abandoned: Collection[Change],
) -> Plan | None:
    """Return the plan with leftover copies deleted first, or None if that would move
    conversations.
    """
    dropped_ids = {change.live.id for change in drops if not isinstance(change, Create)}
    remaining = tuple(
        entry for entry in transition.before if entry.id not in dropped_ids
    )
    behaviour = compare_behaviour(transition.before, remaining, plan.desired.evaluation)
    if behaviour.changed or not behaviour.complete:
        return None
    if any(change in abandoned for change in drops):
        return None

    rules = tuple(rule for rule in plan.live.rules if rule.id not in dropped_ids)
    live = replace(plan.live, rules=rules)
    changes = tuple(change for change in plan.changes if change not in drops)
    rest = schedule_steps(replace(plan, live=live, changes=changes), abandoned)
    first_wave = tuple(map(PlanStep, drops))
    return replace(plan, steps=(first_wave, *rest.steps), unproven=rest.unproven)


def predict_impact(plan: Plan, sample: TrafficSample | None = None) -> Plan:
    """Return the plan with the conversations that it moves, and their share of a sample."""
    is_changed = plan.changes or plan.changes_endpoint
    if not is_changed and sample is None:
        return replace(plan, impact=NO_IMPACT)

    now = build_transition(plan)
    evaluation = plan.desired.evaluation
    base, endpoint = plan.endpoints
    before = base.pull_back(now.before)
    after = endpoint.pull_back(now.after)
    impact = NO_IMPACT

    if is_changed:
        edits = edits_of_changes(zip(plan.changes, now.moves, strict=True), plan.labels)
        middle = endpoint.pull_back(now.before) if plan.changes_endpoint else None
        edited = EditSet([rule_edit.edit for rule_edit in edits], middle)
        behaviour = compare_behaviour(
            before, after, evaluation, types=endpoint.types, edited=edited
        )
        impact = Impact(behaviour, edits)

    if sample is None:
        return replace(plan, impact=order_effects(impact, plan.labels))

    traffic = measure_traffic(
        impact.behaviour,
        order_entries(before, evaluation),
        order_entries(after, evaluation),
        convert_sample(endpoint.types, sample),
    )
    findings = (
        *plan.findings,
        *sample.warnings,
        *sample.age_findings(plan.generated_at),
    )
    impact = order_effects(replace(impact, traffic=traffic), plan.labels)
    return replace(plan, impact=impact, findings=findings)


def replay_plan(plan: Plan, reader: RecordReader) -> ReplayResult:
    """Return the recorded conversations that the plan moves.

    Raises ManifestError for the first row that is wrong.
    """
    now = build_transition(plan)
    evaluation = plan.desired.evaluation
    base, endpoint = plan.endpoints
    before = order_entries(now.before, evaluation)
    after = order_entries(now.after, evaluation)
    return replay(reader, ReplaySide(before, base), ReplaySide(after, endpoint))
