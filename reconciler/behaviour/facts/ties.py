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
from reconciler.behaviour.space.slices import UNNAMED, Slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.routing_entry import Entry
    from reconciler.behaviour.space.space import Example


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
        self._before: dict[int, int] = {}
        self._open: dict[int, int] = {}

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
            try:
                found = (self.tie(min(rank, other), max(rank, other)) for other in self.rivals(rank))
                yield from islice((tie for tie in found if tie is not None), MOST_TIES_OF_ONE_RULE)
            except UndecidedError:
                self.undecided[rank] = None

    def rivals(self, rank: int) -> Iterator[int]:
        """Yield the rules that a rule may tie with, in order; of two rules about many values the second."""
        budget = self.slices.space.budget
        budget.spend(len(self.wide))
        if not self.open(rank):
            return
        boxes, goes = self.slices.boxes, self.slices.destinations[rank]
        overlapping = self.slices.space.shapes.overlapping(boxes[rank].shape)
        budget.spend(sum(len(self._here(self.slices.about[atom])) for atom in boxes[rank].atoms))
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
            budget.spend()
            if other > last and self.slices.destinations[other] != goes and (boxes[rank].atoms or other > rank):
                last = other
                yield other

    def tie(self, one: int, other: int) -> Tie | None:
        """Return the tie of two rules, where some conversation that no rule of a better priority takes fits both."""
        slices = self.slices
        try:
            for atom in _in_order(self.open(one) & self.open(other)):
                slices.space.budget.spend()
                heads = slices.shape(atom, one), slices.shape(atom, other)
                box = slices.free(atom, heads, self.before(atom))
                if box is not None:
                    slices.space.budget.charge(slices.space.cost_of_example(box))
                    return Tie(slices.entries[one], slices.entries[other], slices.space.example(box))
                self.close(atom, one)
                self.close(atom, other)
        except UndecidedError:
            self.undecided |= {one: None, other: None}
        return None

    def before(self, atom: int) -> int:
        """Return the shapes of the rules of better priorities in a slice."""
        found = self._before.get(atom)
        if found is None:
            found = self._before[atom] = self.slices.before(atom, self.ranks[0])
        return found

    def open(self, rank: int) -> int:
        """Return a mask of the slices of a rule, without those that better priorities are known to take from it."""
        found = self._open.get(rank)
        if found is None:
            found = self._open[rank] = self.slices.open_mask(rank, self.ranks[0])
        return found

    def close(self, atom: int, rank: int) -> None:
        """Look whether better priorities take all of a slice from a rule: then no other one is tied with it there."""
        if not self.slices.shapes(atom).leave(self.slices.shape(atom, rank), self.before(atom)):
            self._open[rank] &= ~(1 << atom)


def _in_order(atoms: int) -> Iterator[int]:
    """Yield slices: texts that no rule names first, where most rules have a free place."""
    if atoms & REST:
        yield UNNAMED
    yield from bits(atoms & ~REST)
