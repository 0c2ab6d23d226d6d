"""Changes -> Scheduled: the calls in waves (semantics "Safe order").

Held, conflicting and unselected changes are excluded: the proof covers the transition from the live
rules to the rules after this plan.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.ordering.constraints import Move
from reconciler.core.behaviour.ordering.graph import MoveStep
from reconciler.core.behaviour.ordering.order import MoveOrder, order_moves
from reconciler.core.behaviour.routing_entry import RoutingEntry
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
from reconciler.core.plan.routing_table import live_entries
from reconciler.core.plan.stages import Changes, Scheduled


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


def build_transition(plan: Changes) -> Transition:
    """Return the effect of the plan's changes."""
    live = {entry.id: entry for entry in live_entries(plan.live.rules, plan.desired)}
    moves = tuple(_build_move(change, live) for change in plan.changes)
    touched = {move.before.id for move in moves if move.before is not None}
    fixed = tuple(entry for entry in live.values() if entry.id not in touched)
    return Transition(fixed, moves)


def schedule_steps(plan: Changes, abandoned: Collection[Change] = ()) -> Scheduled:
    """Return the changes with their steps in waves, and those for which the proof is incomplete."""
    # Abandoned changes get no steps. Steps that must follow them get none either: they would move
    # conversations.
    if not plan.changes:
        return _scheduled(plan, ())
    if plan.desired.form.switches == "whole table":
        return _scheduled(plan, (tuple(map(PlanStep, plan.changes)),))
    now = build_transition(plan)
    leftovers = _leftover_copies(plan)
    ordering = order_moves(
        now.moves, now.fixed, plan.desired.evaluation, stale_copies=leftovers
    )
    replaced = {move for _, move in leftovers}
    twice = replaced & _copied_moves(ordering) & {*ordering.unproven}
    drops = [plan.changes[drop] for drop, move in leftovers if move in twice]
    if drops:
        cleared = _schedule_leftovers_first(plan, now, drops, abandoned)
        if cleared:
            return cleared

    never = ordering.dependents(_moves_of(plan, abandoned))
    never |= _copy_steps(ordering, twice)
    unproven = _addresses(plan, ordering.unproven)
    return _scheduled(plan, _plan_waves(plan, ordering, never), sorted(unproven))


def _plan_waves(
    plan: Changes, ordering: MoveOrder, never: Collection[MoveStep]
) -> tuple[tuple[PlanStep, ...], ...]:
    """Return the steps in their waves, without those that are never made."""
    copy_addresses = _copy_addresses(plan, _copied_moves(ordering))
    waves = []
    for wave in ordering.waves:
        steps = sorted(step for step in wave if step not in never)
        waves.append(tuple(_plan_step(plan, copy_addresses, step) for step in steps))
    return tuple(wave for wave in waves if wave)


def _addresses(plan: Changes, moves: Iterable[int]) -> set[Address]:
    return {plan.changes[move].address for move in moves}


def _copied_moves(ordering: MoveOrder) -> set[int]:
    """Return the moves that need a temporary copy."""
    steps = chain.from_iterable(ordering.waves)
    return {step.move for step in steps if step.kind == "copy"}


def _moves_of(plan: Changes, changes: Iterable[Change]) -> set[int]:
    """Return the moves of some changes of the plan."""
    ids = {id(change) for change in changes}
    return {move for move, change in enumerate(plan.changes) if id(change) in ids}


def _copy_steps(ordering: MoveOrder, moves: Collection[int]) -> set[MoveStep]:
    """Return the steps that create or delete the temporary copies of some moves."""
    return {
        step
        for step in ordering.graph
        if step.move in moves and step.kind in ("copy", "drop")
    }


def _scheduled(
    plan: Changes,
    waves: tuple[tuple[PlanStep, ...], ...],
    unproven: Iterable[Address] = (),
) -> Scheduled:
    return Scheduled(**Changes.parts_of(plan), steps=waves, unproven=tuple(unproven))


def _copy_addresses(plan: Changes, copied: Iterable[int]) -> set[Address]:
    """Return the addresses with a temporary copy, those that an earlier run left included."""
    addresses = _addresses(plan, copied)
    for change in plan.changes:
        if is_copy_removal(change):
            addresses.add(change.address)
    return addresses


def _leftover_copies(plan: Changes) -> frozenset[tuple[int, int]]:
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
    plan: Changes, copy_addresses: Collection[Address], step: MoveStep
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
    plan: Changes,
    transition: Transition,
    drops: Sequence[Change],
    abandoned: Collection[Change],
) -> Scheduled | None:
    """Return the changes with leftover copies deleted first, or None if that would move
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
    return _scheduled(plan, (first_wave, *rest.steps), rest.unproven)
