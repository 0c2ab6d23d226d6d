"""Exactly which conversations two lists of rules send to different destinations (behaviour.md section 2).

Every conversation has one winner before and one after. Pairs of winners that differ in destination, and that some
conversation really has, are the difference; each pair is a region. Rules with equal conditions whose order is kept
are one rule, so a renumbering leaves nothing to look at.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.behaviour.domain import meet
from reconciler.behaviour.entry import in_order
from reconciler.behaviour.evaluate import winner
from reconciler.behaviour.express import express, unite
from reconciler.behaviour.pattern import bits
from reconciler.behaviour.region import Region, Rough, clauses, finish, merge, simplify
from reconciler.behaviour.shapes import UndecidedError
from reconciler.behaviour.slices import UNNAMED, Slices
from reconciler.behaviour.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.entry import Entry, Evaluation
    from reconciler.behaviour.express import Clause
    from reconciler.behaviour.shapes import Box, Shape

Rank = int | None
"""A rule's rank, or None for the default routing."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What changes for conversations. `unknown` says for which ones nothing is known, where the bound was reached."""

    regions: tuple[Region, ...]
    unknown: tuple[tuple[Clause, ...], ...] = ()

    @property
    def changed(self) -> bool:
        """Say whether any conversation is known to go elsewhere."""
        return bool(self.regions)

    @property
    def complete(self) -> bool:
        """Say whether everything is known."""
        return not self.unknown


def difference(
    old: Iterable[Entry], new: Iterable[Entry], evaluation: Evaluation = "lowest-first", steps: int | None = None
) -> Behaviour:
    """Return the regions of conversations whose destination differs, each with an example put through both lists.

    `steps` bounds the search; what could not be decided within it is in the answer's `unknown`.
    """
    before, after = in_order(old, evaluation), in_order(new, evaluation)
    space = Space((before, after))
    if steps is not None:
        space.budget.left = steps
    found = _Difference(Slices(space, before), Slices(space, after)).result()
    for region in found.regions:
        _prove(region, before, after)
    return found


def _prove(region: Region, before: Sequence[Entry], after: Sequence[Entry]) -> None:
    """Put a region's example through both lists, one rule at a time."""
    for ordered, expected in ((before, region.before_rule), (after, region.after_rule)):
        if winner(ordered, region.example.attributes, region.example.assumed) is not expected:
            raise AssertionError(f"the example {region.example} is not taken by {expected}")


@dataclass(slots=True)
class _Pair:
    """Two winners of some conversation: a box of such ones, and the values of the pivot in which there are any."""

    box: Box
    atoms: list[int] = field(default_factory=list)


class _Difference:
    def __init__(self, old: Slices, new: Slices) -> None:
        self.old, self.new, self.space = old, new, old.space
        self.twin = _twins(old, new)
        self.pairs: dict[tuple[Rank, Rank], _Pair] = {}
        self.unknown: dict[tuple[Rank, Rank], None] = {}

    def result(self) -> Behaviour:
        """Find every pair of winners, and make regions of them."""
        for rank in firsts(self.old):
            twin = self.twin.get(rank)
            if twin is None:
                self.meet_all(rank, self.old, self.new)
            elif self.old.destinations[rank] != self.new.destinations[twin]:
                self.try_pair(rank, twin)
        twins_of_old = set(self.twin.values())
        for rank in firsts(self.new):
            if rank not in twins_of_old:
                self.meet_all(rank, self.new, self.old)
        roughs = [simplify(self.space, self.rough(pair, found)) for pair, found in self.pairs.items()]
        regions = tuple(finish(self.space, rough) for rough in merge(self.space, roughs))
        unknown = tuple(clauses(self.space, tuple((self.common(*pair) or {}).items())) for pair in self.unknown)
        return Behaviour(regions, tuple(dict.fromkeys(unknown)))

    def meet_all(self, rank: int, here: Slices, there: Slices) -> None:
        """Try a rule of one list that has no twin with every rule of the other that has something in common with it."""
        box = here.boxes[rank]
        if box.atoms:
            for atom in box.atoms:
                self.walk(atom, rank, here, there)
            return
        for other in range(len(there.entries)):
            self.try_either(rank, other, here)
        self.try_either(rank, None, here)

    def walk(self, atom: int, rank: int, here: Slices, there: Slices) -> None:
        """Go down one slice of the other list, until a rule takes all that is left."""
        shapes = self.space.shapes
        shape = here.boxes[rank].shape
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        for other in there.members(atom):
            number = there.boxes[other].shape
            if overlapping >> number & 1:
                self.try_either(rank, other, here, atom)
                if covering >> number & 1:
                    return
        self.try_either(rank, None, here, atom)

    def try_either(self, rank: int, other: Rank, here: Slices, atom: int | None = None) -> None:
        """Try a pair whose first is of the list `here`."""
        old, new = (rank, other) if here is self.old else (other, rank)
        if (old, new) in self.pairs and atom is None:
            return
        if self.destination(self.old, old) == self.destination(self.new, new):
            return
        self.try_pair(old, new, atom)

    def destination(self, slices: Slices, rank: Rank) -> object:
        """Return where a rule sends conversations; None for the default routing."""
        return None if rank is None else slices.destinations[rank]

    def try_pair(self, old: Rank, new: Rank, atom: int | None = None) -> None:
        """Note the pair if some conversation has just these winners: of one value of the pivot, or of any."""
        wide = atom is None and self.is_wide(old, new)
        if wide and not self.possible(old, new):
            return
        places = self.places(old, new) if atom is None else iter((atom,))
        try:
            for place in places:
                box = self.free(place, old, new)
                if box is not None:
                    pair = self.pairs.setdefault((old, new), _Pair(box))
                    if not wide and place not in pair.atoms:
                        pair.atoms.append(place)
                    if wide:
                        return
        except UndecidedError:
            self.unknown[old, new] = None

    def possible(self, old: Rank, new: Rank) -> bool:
        """Say whether the rules that ask nothing of the pivot, and so are in every slice, leave the pair anything."""
        heads, blockers = [], 0
        for slices, rank in ((self.old, old), (self.new, new)):
            heads.append(self.space.always.shape if rank is None else slices.boxes[rank].shape)
            blockers |= slices.always_before(len(slices.entries) if rank is None else rank)
        try:
            return self.space.shapes.free(heads[0], heads[1], blockers) is not None
        except UndecidedError:
            return True

    def is_wide(self, old: Rank, new: Rank) -> bool:
        """Say whether both rules are about too many values of the pivot to look at each."""
        sides = ((self.old, old), (self.new, new))
        return not any(rank is not None and slices.boxes[rank].atoms for slices, rank in sides)

    def places(self, old: Rank, new: Rank) -> Iterator[int]:
        """Yield the slices that both rules are in."""
        if old is None or (new is not None and self.new.boxes[new].atoms):
            one, other, others = new, old, self.old
            slices = self.new
        else:
            one, other, others = old, new, self.new
            slices = self.old
        for atom in () if one is None else slices.atoms(one):
            if other is None or others.holds(atom, other):
                yield atom

    def free(self, atom: int, old: Rank, new: Rank) -> Box | None:
        """Return a box of conversations in a slice that have just these winners. Raises UndecidedError."""
        shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
        every = self.space.rest_always if atom == UNNAMED else self.space.always.shape
        heads = [
            every if rank is None else slices.shape(atom, rank) for slices, rank in ((self.old, old), (self.new, new))
        ]
        blockers = self.before(self.old, atom, old) | self.before(self.new, atom, new)
        found = shapes.free(heads[0], heads[1], blockers)
        if found is None or atom == UNNAMED:
            return found
        return found if self.space.pivot < 0 else {**found, self.space.pivot: (1 << atom, 0, 0)}

    def before(self, slices: Slices, atom: int, rank: Rank) -> int:
        """Return the shapes of the rules of a slice before a rule."""
        return slices.before(atom, len(slices.entries) if rank is None else rank)

    def common(self, old: Rank, new: Rank) -> Box | None:
        """Return what both rules ask."""
        found: Box = {}
        for slices, rank in ((self.old, old), (self.new, new)):
            for attribute, part in self.space.box(slices.boxes[rank]).items() if rank is not None else ():
                found[attribute] = meet(found[attribute], part) if attribute in found else part
        return found if all(part[0] for part in found.values()) else None

    def rough(self, pair: tuple[Rank, Rank], found: _Pair) -> Rough:
        """Return the region of a pair: what both rules ask, without what earlier rules take."""
        old, new = pair
        box = self.common(old, new) or {}
        atoms = found.atoms
        if atoms:
            pivot = (sum(1 << atom for atom in atoms), 0, 0)
            if express(self.space.domains[self.space.pivot], pivot) is None:
                pivot = box.get(self.space.pivot, self.space.pivot_domain.all)
                atoms = list(bits(pivot[0]))
            box[self.space.pivot] = pivot
        excepts = self.taken_in(atoms, old, new) if atoms else None
        if excepts is None:
            excepts = self.taken_before(old, new)
        return Rough(
            box,
            excepts,
            None if old is None else self.old.destinations[old],
            None if new is None else self.new.destinations[new],
            found.box,
            (None if old is None else self.old.entries[old], None if new is None else self.new.entries[new]),
        )

    def taken_in(self, atoms: Sequence[int], old: Rank, new: Rank) -> list[Shape] | None:
        """Return what earlier rules take in a few slices: each shape, and the values of the pivot for which it does.

        None where no conditions say those values.
        """
        taken: dict[int, int] = {}
        for atom in atoms:
            for number in bits(self.before(self.old, atom, old) | self.before(self.new, atom, new)):
                taken[number] = taken.get(number, 0) | 1 << atom
        if any(express(self.space.pivot_domain, (mask, 0, 0)) is None for mask in set(taken.values())):
            return None
        return [shape for number, mask in taken.items() for shape in self.with_pivot(number, [(mask, 0, 0)])]

    def taken_before(self, old: Rank, new: Rank) -> list[Shape]:
        """Return what earlier rules take anywhere; rules that ask the same but for the pivot are one."""
        taken: dict[int, dict[Part, None]] = {}
        for slices, rank in ((self.old, old), (self.new, new)):
            for earlier in slices.boxes[: len(slices.boxes) if rank is None else rank]:
                taken.setdefault(earlier.shape, {})[self.space.pivot_part(earlier)] = None
        return [shape for number, parts in taken.items() for shape in self.with_pivot(number, list(parts))]

    def with_pivot(self, number: int, pivots: list[Part]) -> list[Shape]:
        """Return a shape with these values of the pivot: as few shapes as conditions can say."""
        shape = self.space.shapes.all[number]
        if self.space.pivot < 0:
            return [shape]
        return [tuple(sorted((*shape, (self.space.pivot, part)))) for part in unite(self.space.pivot_domain, pivots)]


def firsts(slices: Slices) -> list[int]:
    """Return the ranks of the rules but for those before which another one asks the same: these take nothing."""
    seen: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        seen.setdefault(id(box), rank)
    return list(seen.values())


def _twins(old: Slices, new: Slices) -> dict[int, int]:
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
