"""Rules of equal priority and different destinations that compete for a conversation: the platform may choose."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.space.domain import REST
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.routing_entry import RoutingEntry
    from reconciler.behaviour.space.space import Example


MAX_TIES_PER_RULE: Final = 20


@dataclass(frozen=True, slots=True)
class Tie:
    """Two rules of equal priority and different destinations, and a conversation for which the platform may choose."""

    first: RoutingEntry
    second: RoutingEntry
    example: Example


def find_ties(slices: PivotSlices, undecided: dict[int, None]) -> Iterator[Tie]:
    """Yield the ties of a list, a few of each rule; notes the ranks of which something was not decided."""
    for _, group in groupby(range(len(slices.entries)), key=lambda rank: slices.entries[rank].rule.priority):
        ranks = list(group)
        if len(ranks) > 1:
            yield from _PriorityLevel(slices, ranks, undecided).find_ties()


class _PriorityLevel:
    """The rules of one priority, which have neighbouring ranks."""

    def __init__(self, slices: PivotSlices, ranks: Sequence[int], undecided: dict[int, None]) -> None:
        self.slices, self.ranks, self.undecided = slices, ranks, undecided
        self.general_by_shape = self._group_by_shape(slices.general_ranks)
        self.wide_by_shape = self._group_by_shape([rank for rank in ranks if not slices.boxes[rank].atoms])
        self._masks_before: dict[int, int] = {}
        self._open_masks: dict[int, int] = {}

    def _group_by_shape(self, ordered: Sequence[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for rank in self._at_level(ordered):
            found.setdefault(self.slices.boxes[rank].shape, []).append(rank)
        return found

    def _at_level(self, ordered: Sequence[int]) -> Sequence[int]:
        """Return those of some ranks that are of this priority."""
        return ordered[bisect_left(ordered, self.ranks[0]) : bisect_right(ordered, self.ranks[-1])]

    def find_ties(self) -> Iterator[Tie]:
        """Yield the ties: among rules about one value, and of each with those about many."""
        for rank in self.ranks:
            try:
                found = (self.find_tie(min(rank, other), max(rank, other)) for other in self.candidates(rank))
                yield from islice((tie for tie in found if tie is not None), MAX_TIES_PER_RULE)
            except UndecidedError:
                self.undecided[rank] = None

    def candidates(self, rank: int) -> Iterator[int]:
        """Yield the rules that a rule may tie with, in order; of two rules about many values the second."""
        budget = self.slices.space.budget
        budget.spend(len(self.wide_by_shape))
        if not self.open_slices(rank):
            return
        boxes, goes = self.slices.boxes, self.slices.destinations[rank]
        overlapping = self.slices.space.shapes.overlapping(boxes[rank].shape)
        budget.spend(sum(len(self._at_level(self.slices.ranks_by_atom[atom])) for atom in boxes[rank].atoms))
        near = {
            other
            for atom in boxes[rank].atoms
            for other in self._at_level(self.slices.ranks_by_atom[atom])
            if (other > rank or not boxes[other].atoms) and overlapping >> boxes[other].shape & 1
        }
        wide = self.general_by_shape if boxes[rank].atoms else self.wide_by_shape
        lists = [ranks for shape, ranks in wide.items() if overlapping >> shape & 1]
        last = -1
        for other in merge(sorted(near), *lists):
            budget.spend()
            if other > last and self.slices.destinations[other] != goes and (boxes[rank].atoms or other > rank):
                last = other
                yield other

    def find_tie(self, first: int, second: int) -> Tie | None:
        """Return the tie of two rules, where some conversation that no rule of a better priority takes fits both."""
        slices = self.slices
        try:
            for atom in _slices_of(self.open_slices(first) & self.open_slices(second)):
                slices.space.budget.spend()
                heads = slices.shape(atom, first), slices.shape(atom, second)
                box = slices.find_free_box(atom, heads, self.mask_before(atom))
                if box is not None:
                    slices.space.budget.charge(slices.space.cost_of_example(box))
                    return Tie(slices.entries[first], slices.entries[second], slices.space.example(box))
                self.close_if_covered(atom, first)
                self.close_if_covered(atom, second)
        except UndecidedError:
            self.undecided |= {first: None, second: None}
        return None

    def mask_before(self, atom: int) -> int:
        """Return the shapes of the rules of better priorities in a slice."""
        found = self._masks_before.get(atom)
        if found is None:
            found = self._masks_before[atom] = self.slices.mask_before(atom, self.ranks[0])
        return found

    def open_slices(self, rank: int) -> int:
        """Return a mask of the slices of a rule, without those that better priorities are known to take from it."""
        found = self._open_masks.get(rank)
        if found is None:
            found = self._open_masks[rank] = self.slices.open_mask(rank, self.ranks[0])
        return found

    def close_if_covered(self, atom: int, rank: int) -> None:
        """Look whether better priorities take all of a slice from a rule: then no other one is tied with it there."""
        if not self.slices.shapes(atom).may_leave_any(self.slices.shape(atom, rank), self.mask_before(atom)):
            self._open_masks[rank] &= ~(1 << atom)


def _slices_of(atoms: int) -> Iterator[int]:
    """Yield slices: texts that no rule names first, where most rules have a free place."""
    if atoms & REST:
        yield UNNAMED_SLICE
    yield from bits(atoms & ~REST)
