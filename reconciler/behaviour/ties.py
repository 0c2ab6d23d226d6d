"""Rules of equal priority and different destinations that compete for a conversation: the platform may choose."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.shapes import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.entry import Entry
    from reconciler.behaviour.slices import Slices
    from reconciler.behaviour.space import Example

MOST_TIES_OF_ONE_RULE: Final = 20


@dataclass(frozen=True, slots=True)
class Tie:
    """Two rules of equal priority and different destinations, and a conversation for which the platform may choose."""

    first: Entry
    second: Entry
    example: Example


def ties(slices: Slices, undecided: dict[int, None]) -> Iterator[Tie]:
    """Yield the ties of a list, a few of each rule; notes the ranks of which something was not decided."""
    for _, group in groupby(range(len(slices.entries)), key=lambda rank: slices.entries[rank].rule.priority):
        ranks = list(group)
        if len(ranks) > 1:
            yield from _Level(slices, ranks, undecided).ties()


class _Level:
    """The rules of one priority, which have neighbouring ranks."""

    def __init__(self, slices: Slices, ranks: Sequence[int], undecided: dict[int, None]) -> None:
        self.slices, self.ranks, self.undecided = slices, ranks, undecided
        self.everywhere = self._by_shape(slices.general)
        self.wide = self._by_shape([rank for rank in ranks if not slices.boxes[rank].atoms])

    def _by_shape(self, ordered: Sequence[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for rank in self._here(ordered):
            found.setdefault(self.slices.boxes[rank].shape, []).append(rank)
        return found

    def _here(self, ordered: Sequence[int]) -> Sequence[int]:
        """Return those of some ranks that are of this priority."""
        return ordered[bisect_left(ordered, self.ranks[0]) : bisect_right(ordered, self.ranks[-1])]

    def ties(self) -> Iterator[Tie]:
        """Yield the ties: among rules about one value, and of each with those about many."""
        for rank in self.ranks:
            found = 0
            for other in self.rivals(rank):
                tie = self.tie(min(rank, other), max(rank, other))
                if tie is not None:
                    yield tie
                    found += 1
                    if found == MOST_TIES_OF_ONE_RULE:
                        break

    def rivals(self, rank: int) -> Iterator[int]:
        """Yield the rules that a rule may tie with, in order; of two rules about many values the second."""
        boxes, goes = self.slices.boxes, self.slices.destinations[rank]
        overlapping = self.slices.space.shapes.overlapping(boxes[rank].shape)
        near = {
            other
            for atom in boxes[rank].atoms
            for other in self._here(self.slices.about[atom])
            if (other > rank or not boxes[other].atoms) and overlapping >> boxes[other].shape & 1
        }
        wide = self.everywhere if boxes[rank].atoms else self.wide
        lists = [ranks for shape, ranks in wide.items() if overlapping >> shape & 1]
        last = -1
        for other in merge(sorted(near), *lists):
            if other > last and self.slices.destinations[other] != goes and (boxes[rank].atoms or other > rank):
                last = other
                yield other

    def tie(self, one: int, other: int) -> Tie | None:
        """Return the tie of two rules, where some conversation that no rule of a better priority takes fits both."""
        slices, first = self.slices, self.ranks[0]
        few, more = sorted((one, other), key=self.size)
        try:
            for atom in self.places(few, more):
                slices.space.budget.look()
                heads = slices.shape(atom, few), slices.shape(atom, more)
                box = slices.free(atom, heads, slices.before(atom, first))
                if box is not None:
                    return Tie(slices.entries[one], slices.entries[other], slices.space.example(box))
        except UndecidedError:
            self.undecided[one] = None
        return None

    def size(self, rank: int) -> int:
        """Return how many values of the pivot a rule is about."""
        box = self.slices.boxes[rank]
        return len(box.atoms) or box.pivot[0].bit_count()

    def places(self, few: int, more: int) -> Iterator[int]:
        """Yield the slices of both rules in which those before this priority may leave them anything."""
        for atom in self.slices.open_atoms(few, self.ranks[0]):
            if self.slices.holds(atom, more):
                yield atom
