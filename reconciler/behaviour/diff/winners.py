"""Pairs of winners, before and after, that some conversation has and whose destinations differ.

Who takes what is left of a shape in a slice of a list: down the slice, until nothing is left.

What rules about most values of the pivot take is the same in most slices, and is worked out once for what others leave.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from sys import maxsize
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.facts.rule_facts import first_ranks, pair_equal_rules
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.behaviour.routing_entry import Destination
    from reconciler.behaviour.space.boxes import Box


DEFAULT_RANK: Final = maxsize
"""The rank of the default routing: after all rules."""

_ORDINARY_SLICE: Final = -1


class Taker(NamedTuple):
    """A rule that takes something, and a box of what it takes; None where it was not decided whether it does."""

    rank: int
    box: Box | None


class _TakerRun(NamedTuple):
    ranks: list[int]
    takers: list[Taker]


class SliceWalk:
    """Walks of one list."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space
        self._first_ranks: dict[int, list[int]] = {}
        self._runs: dict[tuple[int, int, int], _TakerRun] = {}

    def find_takers(
        self, atom: int, shape: int, before: int, visited_runs: set[tuple[int, int, int]]
    ) -> Iterator[Taker]:
        """Yield who takes what the shapes `before` leave of a shape in a slice.

        Of rules about most values, only runs that are not in `seen` yet, in which they are noted.
        """
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        low = -1
        for rank in slices.ranks_by_atom.get(atom, ()) if atom != UNNAMED_SLICE else ():
            self.space.budget.spend()
            other = slices.boxes[rank].shape
            if not (overlapping & ~before) >> other & 1:
                continue
            yield from self._takers_between(atom, shape, before, (low, rank), visited_runs)
            taker = self._find_taker(atom, shape, rank, before | slices.prefix_masks.mask_before(rank, atom))
            if taker is not None:
                yield taker
            if covering >> other & 1:
                return
            before |= 1 << other
            low = rank
        yield from self._takers_between(atom, shape, before, (low, DEFAULT_RANK + 1), visited_runs)

    def _takers_between(
        self, atom: int, shape: int, before: int, ends: tuple[int, int], visited_runs: set[tuple[int, int, int]]
    ) -> list[Taker]:
        """Return the rules about most values, between two ranks, that take something."""
        run = self._taker_run(atom, shape, before)
        first, last = bisect_right(run.ranks, ends[0]), bisect_left(run.ranks, ends[1])
        key = (id(run), first, last)
        if key in visited_runs:
            return []
        visited_runs.add(key)
        return run.takers[first:last]

    def _taker_run(self, atom: int, shape: int, before: int) -> _TakerRun:
        slices = self.slices
        kind = atom if atom == UNNAMED_SLICE or atom in slices.prefix_masks.late_ranks else _ORDINARY_SLICE
        key = (kind, shape, before)
        run = self._runs.get(key)
        if run is None:
            takers = list(self._wide_takers(atom, kind, shape, before))
            run = self._runs[key] = _TakerRun([taker.rank for taker in takers], takers)
        return run

    def _wide_takers(self, atom: int, kind: int, shape: int, before: int) -> Iterator[Taker]:
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        cumulated = slices.unnamed_prefix_masks if atom == UNNAMED_SLICE else slices.prefix_masks
        if kind not in self._first_ranks:
            self._first_ranks[kind] = [
                rank for rank in sorted(cumulated.first_ranks(kind).values()) if rank < DEFAULT_RANK
            ]
        self.space.budget.spend(len(self._first_ranks[kind]))
        for rank in self._first_ranks[kind]:
            other = slices.shape(atom, rank)
            if (overlapping & ~before) >> other & 1:
                taker = self._find_taker(atom, shape, rank, before | cumulated.mask_before(rank, kind))
                if taker is not None:
                    yield taker
                if covering >> other & 1:
                    return
        taker = self._find_taker(atom, shape, DEFAULT_RANK, before | cumulated.mask_before(DEFAULT_RANK, kind))
        if taker is not None:
            yield taker

    def _find_taker(self, atom: int, shape: int, rank: int, before: int) -> Taker | None:
        slices = self.slices
        try:
            box = slices.shapes(atom).find_free_box(shape, slices.shape_of_rank(atom, rank), before)
        except UndecidedError:
            if self.space.budget.is_exhausted():
                raise
            return Taker(rank, None)
        return None if box is None else Taker(rank, box)


_EXCEPTION_COST: Final = 100
"""What it costs to make an exception of a region, or to keep a value of its example, in comparisons."""
_CONDITION_COST: Final = 50
"""What it costs to say each further condition of an exception, or ten values of one."""

RankPair = tuple[int, int]
"""The rank before and the rank after; DEFAULT for the default routing."""


@dataclass(slots=True)
class NarrowPair:
    """A pair of which one rule is about few values of the pivot: a box, and what earlier rules take, by value."""

    box: Box
    masks_by_atom: dict[int, int] = field(default_factory=dict)


class WinnerPairs:
    """The pairs of two lists: `narrow`, `wide` with a box of each, and `unknown` ones, which may be none."""

    def __init__(self, old: PivotSlices, new: PivotSlices) -> None:
        self.old, self.new, self.space = old, new, old.space
        self.narrow: dict[RankPair, NarrowPair] = {}
        self.wide: dict[RankPair, Box] = {}
        self.unknown: dict[RankPair, None] = {}
        self.same_destination: dict[int, set[int]] = {}
        """Of each rank after: the ranks before whose conversations it takes, and sends where they went."""
        self.unchanged_ranks: set[int] = set()
        """The ranks after of rules that ask and send what a rule before does: what these keep is not in `same`."""
        self._priced: set[tuple[int, ...]] = set()
        self._prices: dict[tuple[int, int], int] = {}
        self._walks = {id(slices): SliceWalk(slices) for slices in (old, new)}
        self._find_pairs()

    def _find_pairs(self) -> None:
        """Try the rules that have no twin with all others, and those whose twin leads elsewhere with that."""
        twin_of = pair_equal_rules(self.old, self.new)
        for rank in first_ranks(self.old):
            twin = twin_of.get(rank)
            if twin is None:
                self._pair_with_takers(rank, self.old, self.new)
            elif self.old.destinations[rank] != self.new.destinations[twin]:
                self._pair_equal_rules(rank, twin)
            else:
                self.unchanged_ranks.add(twin)
        staying = set(twin_of.values())
        for rank in first_ranks(self.new):
            if rank not in staying:
                self._pair_with_takers(rank, self.new, self.old)

    def destinations_of(self, pair: RankPair) -> tuple[Destination, Destination]:
        """Return where a pair sends conversations, before and after."""
        return self.old.destination_of_rank(pair[0]), self.new.destination_of_rank(pair[1])

    def _pair_with_takers(self, rank: int, side: PivotSlices, opposite_side: PivotSlices) -> None:
        """Find who of the other list takes what this rule wins."""
        walk = self._walks[id(opposite_side)]
        seen: set[tuple[int, int, int]] = set()
        narrow = bool(side.boxes[rank].atoms)
        try:
            for atom in side.open_atoms(rank):
                self.space.budget.spend()
                shape, shapes = side.shape(atom, rank), side.shapes(atom)
                before = side.mask_before(atom, rank) & shapes.overlapping(shape)
                if before & shapes.covering(shape):
                    continue
                for other, box in walk.find_takers(atom, shape, before, set() if narrow else seen):
                    self._record(atom, (rank, other) if side is self.old else (other, rank), box)
        except UndecidedError:
            self.unknown[(rank, DEFAULT_RANK) if side is self.old else (DEFAULT_RANK, rank)] = None

    def _pair_equal_rules(self, old: int, new: int) -> None:
        """Find whether two rules that ask the same win a conversation; of rules about many values one is enough."""
        try:
            for atom in self._open_atoms(old, new):
                self.space.budget.spend()
                shapes, heads = self.old.shapes(atom), (self.old.shape(atom, old), self.new.shape(atom, new))
                box = shapes.find_free_box(*heads, self.old.mask_before(atom, old) | self.new.mask_before(atom, new))
                if box is not None:
                    self._record(atom, (old, new), box)
                    if not self.old.boxes[old].atoms:
                        return
        except UndecidedError:
            self.unknown[old, new] = None

    def _open_atoms(self, old: int, new: int) -> Iterable[int]:
        """Return the slices of two twins in which the rules about most values may leave them anything."""
        box, wide = self.old.boxes[old], (self.old.prefix_masks, self.new.prefix_masks)
        if box.atoms or self.space.shapes.may_leave_any(box.shape, wide[0].mask_before(old) | wide[1].mask_before(new)):
            return self.old.atoms(old)
        unnamed = (UNNAMED_SLICE,) if box.rest >= 0 else ()
        return [*unnamed, *(atom for atom in wide[0].late_ranks | wide[1].late_ranks if self.old.holds(atom, old))]

    def _record(self, atom: int, pair: RankPair, box: Box | None) -> None:
        """Note a pair that takes a box in a slice, unless it leads to one destination."""
        if pair in self.wide:
            return
        before, after = self.destinations_of(pair)
        if before == after:
            self.same_destination.setdefault(pair[1], set()).add(pair[0])
            return
        if box is None:
            self.unknown[pair] = None
            return
        taken = self._charge_region(atom, pair, box)
        if atom != UNNAMED_SLICE:
            box = {**box, self.space.pivot: (1 << atom, 0, 0)}
        old, new = pair
        if not (self.old.is_narrow(old) or self.new.is_narrow(new)):
            self.wide[pair] = box
            return
        self.narrow.setdefault(pair, NarrowPair(box)).masks_by_atom[atom] = taken

    def _charge_region(self, atom: int, pair: RankPair, box: Box) -> int:
        """Return the shapes that take something before a pair; counts the work of making a region of it.

        Raises UndecidedError.
        """
        taken = self.old.mask_before(atom, pair[0]) | self.new.mask_before(atom, pair[1])
        shapes = []
        for slices, rank in zip((self.old, self.new), pair, strict=True):
            shapes.append(slices.shape_of_rank(atom, rank))
            taken &= slices.shapes(atom).overlapping(shapes[-1])
        key = (*shapes, taken)
        if key not in self._priced:
            price = _EXCEPTION_COST * (1 + len(box)) + sum(self._price(atom, number) for number in bits(taken))
            self.space.budget.spend(price + self.space.cost_of_example(box))
            self._priced.add(key)
        return taken

    def _price(self, atom: int, number: int) -> int:
        """Return what it costs to say a shape as an exception: a document holds each of its conditions."""
        shapes = self.old.shapes(atom)
        price = self._prices.get((id(shapes), number))
        if price is None:
            length = 0.0
            for attribute, part in shapes.all[number]:
                domain = self.space.domain(attribute)
                # Among texts of the pivot that no rule names a shape has none of the others, which it need not deny.
                denied = domain.text_mask if atom == UNNAMED_SLICE and attribute == self.space.pivot else 0
                length += domain.clause_cost((part[0] | denied, *part[1:]))
            price = _EXCEPTION_COST + int(_CONDITION_COST * max(0, length - 1))
            self._prices[id(shapes), number] = price
        return price
