"""Rules of two lists that ask the same and keep their order: each such pair is one rule.

Facts about one list of rules: which can never match, are shadowed or redundant, and which ties matter.

Facts, each proven: a rule of which nothing could be decided within the bound of work is named in `undecided`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.behaviour.budget import WORK, UndecidedError
from reconciler.behaviour.facts.shadowing import Culprits
from reconciler.behaviour.facts.ties import Tie, ties
from reconciler.behaviour.routing_entry import Entry, Evaluation, in_order
from reconciler.behaviour.space.slices import UNNAMED, Slices
from reconciler.behaviour.space.space import Space, core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.model.rule import Condition, Opaque


@dataclass(frozen=True, slots=True)
class Never:
    """A rule whose conditions cannot hold together; `conditions` are those that contradict each other."""

    entry: Entry
    conditions: tuple[Condition | Opaque, ...]


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A rule all of whose conversations earlier rules take; without any of `by` that would not be so."""

    entry: Entry
    by: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Redundant:
    """A rule whose conversations would go to the same destination without it; `instead` would take them."""

    entry: Entry
    instead: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a list of rules."""

    never: tuple[Never, ...]
    shadowed: tuple[Shadowed, ...]
    redundant: tuple[Redundant, ...]
    ties: tuple[Tie, ...]
    undecided: tuple[Entry, ...]


def lint(
    entries: Iterable[Entry],
    evaluation: Evaluation = "lowest-first",
    texts: Mapping[str, Iterable[str]] | None = None,
    work: int = WORK,
) -> Facts:
    """Return the facts about a list of rules. `texts` are further values of attributes to tell apart."""
    ordered = in_order(entries, evaluation)
    space = Space((ordered,), texts)
    space.budget.left = work
    return facts(Slices(space, ordered))


def facts(slices: Slices) -> Facts:
    """Return the facts about a list that is filed already."""
    return _Lint(slices).result()


class _Lint:
    def __init__(self, slices: Slices) -> None:
        self.slices, self.space = slices, slices.space
        self.undecided: dict[int, None] = {}

    def result(self) -> Facts:
        """Go through the rules in order: first those of the manifests, should the budget not last for all."""
        entries = self.slices.entries
        shadowed: list[Shadowed] = []
        redundant: list[Redundant] = []
        culprits = Culprits(self.slices)
        for rank in sorted(range(len(entries)), key=lambda rank: entries[rank].address is None):
            try:
                instead = self.instead(rank)
                if instead is None:
                    shadowed.append(Shadowed(entries[rank], culprits.of(rank)))
                elif instead:
                    redundant.append(Redundant(entries[rank], instead))
            except UndecidedError:
                self.undecided[rank] = None
        never = tuple(Never(entry, core(self.space, entry)) for entry in self.slices.never)
        tied = tuple(ties(self.slices, self.undecided))
        undecided = tuple(entries[rank] for rank in sorted(self.undecided))
        return Facts(never=never, shadowed=tuple(shadowed), redundant=tuple(redundant), ties=tied, undecided=undecided)

    def instead(self, rank: int) -> tuple[Entry, ...] | None:
        """Return who would send a rule's conversations where it does: nobody where it is needed, None without any."""
        wins = False
        others: dict[int, None] = {}
        for atom in self.slices.open_atoms(rank):
            self.space.budget.spend()
            before = self.slices.before(atom, rank)
            head = self.slices.shape(atom, rank)
            if self.slices.is_free(atom, (head, head), before):
                wins = True
                if self.needed_in(atom, rank, before, others):
                    return ()
        return tuple(self.slices.entries[one] for one in sorted(others)) if wins else None

    def needed_in(self, atom: int, rank: int, before: int, others: dict[int, None]) -> bool:
        """Say whether a slice has a conversation that would go elsewhere without the rule; gathers who takes others."""
        slices = self.slices
        shape, goes = slices.shape(atom, rank), slices.destinations[rank]
        alike = slices.alike_after(atom, rank)
        if not alike or self.slices.is_free(atom, (shape, shape), before | alike):
            return True
        shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
        apart = ~shapes.overlapping(shape)
        for one in slices.members(atom):
            self.space.budget.spend()
            other = slices.shape(atom, one)
            if one <= rank or (apart | before) >> other & 1:
                continue
            if self.slices.is_free(atom, (shape, other), before):
                if slices.destinations[one] != goes:
                    return True
                others[one] = None
            before |= 1 << other
        return False


def firsts(slices: Slices) -> list[int]:
    """Return the ranks of the rules but for those before which another one asks the same: these take nothing."""
    seen: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        seen.setdefault(id(box), rank)
    return list(seen.values())


def twins(old: Slices, new: Slices) -> dict[int, int]:
    """Pair the rules of both lists that ask the same and keep their order: the most that can be paired."""
    place_in_new = {id(new.boxes[rank]): rank for rank in firsts(new)}
    candidates = [(rank, place_in_new.get(id(old.boxes[rank]), -1)) for rank in firsts(old)]
    return _increasing([pair for pair in candidates if pair[1] >= 0])


def _increasing(candidates: Sequence[tuple[int, int]]) -> dict[int, int]:
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
