"""Rules of equal priority and different destinations that compete for a conversation: the platform may choose."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import chain, groupby, islice
from typing import Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.behaviour.space.domain import REST
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.behaviour.space.space import Example

MAX_TIES_PER_RULE: Final = 20


@dataclass(frozen=True, slots=True)
class Tie:
    """Two rules of equal priority and different destinations, and a conversation for which the platform may choose."""

    first: RoutingEntry
    second: RoutingEntry
    example: Example


def find_ties(slices: PivotSlices, undecided: dict[int, None]) -> Iterator[Tie]:
    """Yield the ties of a list, at most a few of each rule; adds the ranks that were not decided to `undecided`."""
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
        groups: dict[int, list[int]] = {}
        for rank in self._at_level(ordered):
            groups.setdefault(self.slices.boxes[rank].shape, []).append(rank)
        return groups

    def _at_level(self, ordered: Sequence[int]) -> Sequence[int]:
        return ordered[bisect_left(ordered, self.ranks[0]) : bisect_right(ordered, self.ranks[-1])]

    def find_ties(self) -> Iterator[Tie]:
        for rank in self.ranks:
            try:
                ties = (self.find_tie(min(rank, rival), max(rank, rival)) for rival in self.candidates(rank))
                yield from islice((tie for tie in ties if tie is not None), MAX_TIES_PER_RULE)
            except UndecidedError:
                self.undecided[rank] = None

    def candidates(self, rank: int) -> Iterator[int]:
        """Yield the rules that a rule may tie with, in order; of two rules with many values the second."""
        slices, boxes, budget = self.slices, self.slices.boxes, self.slices.space.budget
        budget.spend(len(self.wide_by_shape))
        if not self.open_slices(rank):
            return
        atoms, destination = boxes[rank].atoms, slices.destinations[rank]
        overlapping = slices.space.shapes.overlapping(boxes[rank].shape)
        budget.spend(sum(len(self._at_level(slices.ranks_by_atom[atom])) for atom in atoms))
        near = {
            rival
            for atom in atoms
            for rival in self._at_level(slices.ranks_by_atom[atom])
            if (rival > rank or not boxes[rival].atoms) and overlapping >> boxes[rival].shape & 1
        }
        wide = self.general_by_shape if atoms else self.wide_by_shape
        last = -1
        for rival in merge(sorted(near), *(ranks for shape, ranks in wide.items() if overlapping >> shape & 1)):
            budget.spend()
            if rival > last and slices.destinations[rival] != destination and (atoms or rival > rank):
                last = rival
                yield rival

    def find_tie(self, first: int, second: int) -> Tie | None:
        """Return the tie of two rules, if a conversation that no better priority takes fits both."""
        slices = self.slices
        try:
            atoms = self.open_slices(first) & self.open_slices(second)
            unnamed = (UNNAMED_SLICE,) if atoms & REST else ()  # first: most rules have a free conversation there
            for atom in chain(unnamed, bits(atoms & ~REST)):
                slices.space.budget.spend()
                before = self._masks_before.get(atom)
                if before is None:
                    before = self._masks_before[atom] = slices.mask_before(atom, self.ranks[0])
                heads = slices.shape(atom, first), slices.shape(atom, second)
                box = slices.find_free_box(atom, heads, before)
                if box is not None:
                    slices.space.budget.charge(slices.space.cost_of_example(box))
                    return Tie(slices.entries[first], slices.entries[second], slices.space.example(box))
                for rank, head in zip((first, second), heads, strict=True):
                    # A rule that better priorities cover in a slice has no tie there.
                    if not slices.shapes(atom).may_leave_any(head, before):
                        self._open_masks[rank] &= ~(1 << atom)
        except UndecidedError:
            self.undecided |= {first: None, second: None}
        return None

    def open_slices(self, rank: int) -> int:
        """Return a mask of a rule's slices, without those that better priorities are known to take from it."""
        mask = self._open_masks.get(rank)
        if mask is None:
            mask = self._open_masks[rank] = self.slices.open_mask(rank, self.ranks[0])
        return mask
