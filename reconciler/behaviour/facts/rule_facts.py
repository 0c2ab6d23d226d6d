"""Facts about one list of rules, each proven: contradictory, shadowed and redundant rules, and ties that matter.

A rule that could not be decided within the work budget is in `undecided`. Also the pairs of equal rules of two lists.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.behaviour.budget import DEFAULT_WORK, UndecidedError
from reconciler.behaviour.facts.shadowing import ShadowingSearch
from reconciler.behaviour.facts.ties import Tie, find_ties
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space, find_contradiction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.model.rule import Condition, Opaque


@dataclass(frozen=True, slots=True)
class ContradictoryRule:
    """A rule whose conditions cannot hold together; `conditions` are those that contradict each other."""

    entry: RoutingEntry
    conditions: tuple[Condition | Opaque, ...]


@dataclass(frozen=True, slots=True)
class ShadowedRule:
    """A rule whose conversations earlier rules all take; each of the `shadowing` rules is necessary for that."""

    entry: RoutingEntry
    shadowing: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True)
class RedundantRule:
    """A rule whose conversations would go to the same destination without it; `replacements` would take them."""

    entry: RoutingEntry
    replacements: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """The facts about a list of rules."""

    contradictory: tuple[ContradictoryRule, ...]
    shadowed: tuple[ShadowedRule, ...]
    redundant: tuple[RedundantRule, ...]
    ties: tuple[Tie, ...]
    undecided: tuple[RoutingEntry, ...]


def analyze_rules(
    entries: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    texts: Mapping[str, Iterable[str]] | None = None,
    work: int = DEFAULT_WORK,
) -> RuleFacts:
    """Return the facts about a list of rules; `texts` are further values of attributes to distinguish."""
    ordered = order_entries(entries, evaluation)
    space = Space((ordered,), texts)
    space.budget.remaining = work
    return analyze_slices(PivotSlices(space, ordered))


def analyze_slices(slices: PivotSlices) -> RuleFacts:
    """Return the facts about a list, managed rules first in case the budget does not last for all."""
    entries = slices.entries
    shadowed: list[ShadowedRule] = []
    redundant: list[RedundantRule] = []
    undecided: dict[int, None] = {}
    search = ShadowingSearch(slices)
    for rank in sorted(range(len(entries)), key=lambda rank: entries[rank].address is None):
        try:
            replacements = _find_replacements(slices, rank)
            if replacements is None:
                shadowed.append(ShadowedRule(entries[rank], search.shadowing_rules(rank)))
            elif replacements:
                redundant.append(RedundantRule(entries[rank], replacements))
        except UndecidedError:
            undecided[rank] = None
    never = (ContradictoryRule(entry, find_contradiction(slices.space, entry)) for entry in slices.never_matching)
    return RuleFacts(
        contradictory=tuple(never),
        shadowed=tuple(shadowed),
        redundant=tuple(redundant),
        ties=tuple(find_ties(slices, undecided)),  # adds to `undecided`
        undecided=tuple(entries[rank] for rank in sorted(undecided)),
    )


def _find_replacements(slices: PivotSlices, rank: int) -> tuple[RoutingEntry, ...] | None:
    """Return the rules that make this one redundant; () where it is needed, None where it wins no conversation."""
    wins = False
    takers: dict[int, None] = {}
    for atom in slices.open_atoms(rank):
        slices.space.budget.spend()
        before = slices.mask_before(atom, rank)
        head = slices.shape(atom, rank)
        if slices.has_free_box(atom, (head, head), before):
            wins = True
            if _is_needed_in(slices, atom, rank, before, takers):
                return ()
    return tuple(slices.entries[taker] for taker in sorted(takers)) if wins else None


def _is_needed_in(slices: PivotSlices, atom: int, rank: int, before: int, takers: dict[int, None]) -> bool:
    """Return whether a conversation of a slice would go elsewhere without the rule; adds the others to `takers`."""
    shape, destination = slices.shape(atom, rank), slices.destinations[rank]
    alike = slices.same_destination_mask_after(atom, rank)
    if not alike or slices.has_free_box(atom, (shape, shape), before | alike):
        return True
    apart = ~slices.shapes(atom).overlapping(shape)
    for later in slices.ranks_in(atom):
        slices.space.budget.spend()
        later_shape = slices.shape(atom, later)
        if later <= rank or (apart | before) >> later_shape & 1:
            continue
        if slices.has_free_box(atom, (shape, later_shape), before):
            if slices.destinations[later] != destination:
                return True
            takers[later] = None
        before |= 1 << later_shape
    return False


def first_ranks(slices: PivotSlices) -> list[int]:
    """Return the ranks of the rules without those behind a rule with equal conditions, which take nothing."""
    ranks: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        ranks.setdefault(id(box), rank)
    return list(ranks.values())


def pair_equal_rules(old: PivotSlices, new: PivotSlices) -> dict[int, int]:
    """Return as many pairs of rules with equal conditions as keep their order in both lists."""
    rank_in_new = {id(new.boxes[rank]): rank for rank in first_ranks(new)}
    candidates = [(rank, rank_in_new.get(id(old.boxes[rank]), -1)) for rank in first_ranks(old)]
    return _longest_increasing([pair for pair in candidates if pair[1] >= 0])


def _longest_increasing(candidates: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return a longest part of the pairs whose second members increase as the first do."""
    ends: list[int] = []
    places: list[int] = []
    previous: list[int] = []
    for place, (_, twin) in enumerate(candidates):
        at = bisect_left(ends, twin)
        previous.append(places[at - 1] if at else -1)
        if at == len(ends):
            ends.append(twin)
            places.append(place)
        else:
            ends[at], places[at] = twin, place
    pairs = {}
    place = places[-1] if places else -1
    while place >= 0:
        old, twin = candidates[place]
        pairs[old] = twin
        place = previous[place]
    return pairs
