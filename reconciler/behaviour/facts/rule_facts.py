"""Rules of two lists that ask the same and keep their order: each such pair is one rule.

Facts about one list of rules: which can never match, are shadowed or redundant, and which ties matter.

Facts, each proven: a rule of which nothing could be decided within the bound of work is named in `undecided`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.behaviour.budget import DEFAULT_WORK, UndecidedError
from reconciler.behaviour.facts.shadowing import ShadowingSearch
from reconciler.behaviour.facts.ties import Tie, find_ties
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
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
    """A rule all of whose conversations earlier rules take; without any of `shadowing` that would not be so."""

    entry: RoutingEntry
    shadowing: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True)
class RedundantRule:
    """A rule whose conversations would go to the same destination without it; `replacements` would take them."""

    entry: RoutingEntry
    replacements: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """What is known of a list of rules."""

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
    """Return the facts about a list of rules. `texts` are further values of attributes to tell apart."""
    ordered = order_entries(entries, evaluation)
    space = Space((ordered,), texts)
    space.budget.remaining = work
    return analyze_slices(PivotSlices(space, ordered))


def analyze_slices(slices: PivotSlices) -> RuleFacts:
    """Return the facts about a list that is filed already."""
    return _RuleAnalysis(slices).find_facts()


class _RuleAnalysis:
    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space
        self.undecided: dict[int, None] = {}

    def find_facts(self) -> RuleFacts:
        """Go through the rules in order: first those of the manifests, should the budget not last for all."""
        entries = self.slices.entries
        shadowed: list[ShadowedRule] = []
        redundant: list[RedundantRule] = []
        culprits = ShadowingSearch(self.slices)
        for rank in sorted(range(len(entries)), key=lambda rank: entries[rank].address is None):
            try:
                instead = self.find_replacements(rank)
                if instead is None:
                    shadowed.append(ShadowedRule(entries[rank], culprits.shadowing_rules(rank)))
                elif instead:
                    redundant.append(RedundantRule(entries[rank], instead))
            except UndecidedError:
                self.undecided[rank] = None
        never = tuple(
            ContradictoryRule(entry, find_contradiction(self.space, entry)) for entry in self.slices.never_matching
        )
        tied = tuple(find_ties(self.slices, self.undecided))
        undecided = tuple(entries[rank] for rank in sorted(self.undecided))
        return RuleFacts(
            contradictory=never, shadowed=tuple(shadowed), redundant=tuple(redundant), ties=tied, undecided=undecided
        )

    def find_replacements(self, rank: int) -> tuple[RoutingEntry, ...] | None:
        """Return who would send a rule's conversations where it does: nobody where it is needed, None without any."""
        wins = False
        others: dict[int, None] = {}
        for atom in self.slices.open_atoms(rank):
            self.space.budget.spend()
            before = self.slices.mask_before(atom, rank)
            head = self.slices.shape(atom, rank)
            if self.slices.has_free_box(atom, (head, head), before):
                wins = True
                if self.is_needed_in(atom, rank, before, others):
                    return ()
        return tuple(self.slices.entries[one] for one in sorted(others)) if wins else None

    def is_needed_in(self, atom: int, rank: int, before: int, others: dict[int, None]) -> bool:
        """Say whether a slice has a conversation that would go elsewhere without the rule; gathers who takes others."""
        slices = self.slices
        shape, goes = slices.shape(atom, rank), slices.destinations[rank]
        alike = slices.same_destination_mask_after(atom, rank)
        if not alike or self.slices.has_free_box(atom, (shape, shape), before | alike):
            return True
        shapes = self.space.rest_shapes if atom == UNNAMED_SLICE else self.space.shapes
        apart = ~shapes.overlapping(shape)
        for one in slices.ranks_in(atom):
            self.space.budget.spend()
            other = slices.shape(atom, one)
            if one <= rank or (apart | before) >> other & 1:
                continue
            if self.slices.has_free_box(atom, (shape, other), before):
                if slices.destinations[one] != goes:
                    return True
                others[one] = None
            before |= 1 << other
        return False


def first_ranks(slices: PivotSlices) -> list[int]:
    """Return the ranks of the rules but for those before which another one asks the same: these take nothing."""
    seen: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        seen.setdefault(id(box), rank)
    return list(seen.values())


def pair_equal_rules(old: PivotSlices, new: PivotSlices) -> dict[int, int]:
    """Pair the rules of both lists that ask the same and keep their order: the most that can be paired."""
    place_in_new = {id(new.boxes[rank]): rank for rank in first_ranks(new)}
    candidates = [(rank, place_in_new.get(id(old.boxes[rank]), -1)) for rank in first_ranks(old)]
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
    found = {}
    place = places[-1] if places else -1
    while place >= 0:
        old, twin = candidates[place]
        found[old] = twin
        place = previous[place]
    return found
