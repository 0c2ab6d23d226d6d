"""Pairs of winners, before and after, that some conversation has and whose destinations differ.

A walk goes down a slice of a list and yields the rules that take a shape's conversations, until no
conversation is left. The rules with most values of the pivot take the same in most slices, so their
runs are computed once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from sys import maxsize
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.facts.rule_facts import first_ranks, pair_equal_rules
from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.behaviour.space.boxes import Box, intersect_box
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import UNNAMED_SLICE, PivotSlices

DEFAULT_RANK: Final = maxsize  # the rank of the default routing: after all rules
ORDINARY_SLICE: Final = -1
# of an exception of a region or a value of its example, in comparisons
_EXCEPTION_COST: Final = 100
# of each further condition of an exception, or ten values of one
_CONDITION_COST: Final = 50

# the rank before and the rank after; DEFAULT_RANK for the default routing
RankPair = tuple[int, int]
_Runs = set[tuple[int, int, int]]  # each a run, its first and its last taker


class Taker(NamedTuple):
    """A rule that takes conversations, and a box of them; None where the search was not decided."""

    rank: int
    box: Box | None


class SliceWalk:
    """Walks of one list."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices = slices
        self.space = slices.space
        self._first_ranks: dict[int, list[int]] = {}
        self._runs: dict[tuple[int, int, int], list[Taker]] = {}

    def find_takers(
        self,
        atom: int,
        shape: int,
        before: int,
        visited: _Runs,
    ) -> Iterator[Taker]:
        """Yield the rules that take the part of a shape in a slice that the shapes `before` leave;
        no run twice.
        """
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping = shapes.overlapping(shape)
        covering = shapes.covering(shape)
        low = -1
        for rank in slices.ranks_by_atom.get(atom, ()) if atom != UNNAMED_SLICE else ():
            self.space.budget.spend()
            blocker = slices.boxes[rank].shape
            if not (overlapping & ~before) >> blocker & 1:
                continue
            yield from self._takers_between(atom, shape, before, (low, rank), visited)
            yield from self._find_taker(
                atom,
                shape,
                rank,
                before | slices.prefix_masks.mask_before(rank, atom),
            )
            if covering >> blocker & 1:
                return
            before |= 1 << blocker
            low = rank
        yield from self._takers_between(
            atom,
            shape,
            before,
            (low, DEFAULT_RANK + 1),
            visited,
        )

    def _takers_between(
        self,
        atom: int,
        shape: int,
        before: int,
        ends: tuple[int, int],
        visited: _Runs,
    ) -> list[Taker]:
        """Return the rules with most values, between two ranks, that take conversations."""
        kind = ORDINARY_SLICE
        if atom == UNNAMED_SLICE or atom in self.slices.prefix_masks.late_ranks:
            kind = atom
        run = self._runs.get((kind, shape, before))
        if run is None:
            run = list(self._wide_takers(atom, kind, shape, before))
            self._runs[kind, shape, before] = run
        rank_of = attrgetter("rank")
        first = bisect_right(run, ends[0], key=rank_of)
        last = bisect_left(run, ends[1], key=rank_of)
        key = (id(run), first, last)
        if key in visited:
            return []
        visited.add(key)
        return run[first:last]

    def _wide_takers(
        self,
        atom: int,
        kind: int,
        shape: int,
        before: int,
    ) -> Iterator[Taker]:
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping = shapes.overlapping(shape)
        covering = shapes.covering(shape)
        masks = slices.prefix_masks
        if atom == UNNAMED_SLICE:
            masks = slices.unnamed_prefix_masks
        if kind not in self._first_ranks:
            ranks = sorted(masks.first_ranks(kind).values())
            self._first_ranks[kind] = [rank for rank in ranks if rank < DEFAULT_RANK]
        self.space.budget.spend(len(self._first_ranks[kind]))
        for rank in self._first_ranks[kind]:
            blocker = slices.shape(atom, rank)
            if (overlapping & ~before) >> blocker & 1:
                yield from self._find_taker(
                    atom,
                    shape,
                    rank,
                    before | masks.mask_before(rank, kind),
                )
                if covering >> blocker & 1:
                    return
        yield from self._find_taker(
            atom,
            shape,
            DEFAULT_RANK,
            before | masks.mask_before(DEFAULT_RANK, kind),
        )

    def _find_taker(
        self,
        atom: int,
        shape: int,
        rank: int,
        before: int,
    ) -> Iterator[Taker]:
        slices = self.slices
        try:
            box = slices.shapes(atom).find_free_box(
                shape,
                slices.shape(atom, rank),
                before,
            )
        except UndecidedError:
            if self.space.budget.remaining < 0:
                raise
            yield Taker(rank, None)
        else:
            if box is not None:
                yield Taker(rank, box)


@dataclass(slots=True)
class NarrowPair:
    """A pair with a rule of few values of the pivot: a box, and the earlier shapes that take from
    it, by value.
    """

    box: Box
    masks_by_atom: dict[int, int] = field(default_factory=dict)


class WinnerPairs:
    """The pairs of two lists: `narrow`, `wide` with a box of each, and `unknown` pairs, which may
    not exist.
    """

    def __init__(self, old: PivotSlices, new: PivotSlices) -> None:
        self.old = old
        self.new = new
        self.space = old.space
        self.narrow: dict[RankPair, NarrowPair] = {}
        self.wide: dict[RankPair, Box] = {}
        self.unknown: dict[RankPair, None] = {}
        self._priced: set[tuple[int, ...]] = set()
        self._prices: dict[tuple[int, int], int] = {}
        self._walks = {id(slices): SliceWalk(slices) for slices in (old, new)}
        self._find_pairs()

    def _find_pairs(self) -> None:
        # Rules without a twin are tried with all others, and rules whose twin has another
        # destination with it.
        old = self.old
        new = self.new
        twin_of = pair_equal_rules(old, new)
        for rank in first_ranks(old):
            twin = twin_of.get(rank)
            if twin is None:
                self._pair_with_takers(rank, old, new)
            elif old.destinations[rank] != new.destinations[twin]:
                self._pair_rules(rank, twin)
        twins = set(twin_of.values())
        for rank in first_ranks(new):
            if rank not in twins:
                self._pair_with_takers(rank, new, old)

    def destinations_of(self, pair: RankPair) -> tuple[Destination, Destination]:
        """Return the destinations of a pair, before and after."""
        old, new = pair
        return self.old.destination_of_rank(old), self.new.destination_of_rank(new)

    def shapes_of(self, pair: RankPair, atom: int) -> tuple[int, int]:
        """Return the shapes of both rules of a pair in a slice."""
        old, new = pair
        return self.old.shape(atom, old), self.new.shape(atom, new)

    def mask_before(self, pair: RankPair, atom: int) -> int:
        """Return the shapes in a slice that come before a pair and overlap both rules."""
        old, new = pair
        first, second = self.shapes_of(pair, atom)
        shapes = self.old.shapes(atom)
        overlapping = shapes.overlapping(first) & shapes.overlapping(second)
        before = self.old.mask_before(atom, old) | self.new.mask_before(atom, new)
        return before & overlapping

    def common_box(self, pair: RankPair) -> Box | None:
        """Return the box that both rules of a pair have in common; None where it is empty."""
        box: Box | None = {}
        for slices, rank in zip((self.old, self.new), pair, strict=True):
            if box is not None and rank < len(slices.boxes):
                rule_box = self.space.box(slices.boxes[rank])
                box = intersect_box(box, tuple(rule_box.items()))
        return box

    def _pair_with_takers(
        self,
        rank: int,
        side: PivotSlices,
        opposite_side: PivotSlices,
    ) -> None:
        """Find the rules of the opposite list that take conversations of this winner."""
        walk = self._walks[id(opposite_side)]
        visited: _Runs = set()
        narrow = bool(side.boxes[rank].atoms)
        try:
            for atom in side.open_atoms(rank):
                self.space.budget.spend()
                shape = side.shape(atom, rank)
                shapes = side.shapes(atom)
                before = side.mask_before(atom, rank) & shapes.overlapping(shape)
                if before & shapes.covering(shape):
                    continue
                runs = set() if narrow else visited
                for taker, box in walk.find_takers(atom, shape, before, runs):
                    pair = (rank, taker) if side is self.old else (taker, rank)
                    self._record(atom, pair, box)
        except UndecidedError:
            pair = (DEFAULT_RANK, rank)
            if side is self.old:
                pair = (rank, DEFAULT_RANK)
            self.unknown[pair] = None

    def _pair_rules(self, old: int, new: int) -> None:
        """Find whether two rules win a conversation; one slice is enough for many values."""
        try:
            for atom in self._open_atoms(old, new):
                self.space.budget.spend()
                shapes = self.new.shapes(atom)
                heads = self.shapes_of((old, new), atom)
                old_mask = self.old.mask_before(atom, old)
                new_mask = self.new.mask_before(atom, new)
                box = shapes.find_free_box(*heads, old_mask | new_mask)
                if box is not None:
                    self._record(atom, (old, new), box)
                    if not self._is_narrow((old, new)):
                        return
        except UndecidedError:
            self.unknown[old, new] = None

    def _open_atoms(self, old: int, new: int) -> Iterator[int]:
        """Yield the slices of two rules in which the rules with most values may leave conversations
        to both.
        """
        atoms: Iterable[int] = self.old.atoms(old)
        if self.new.is_narrow(new):
            atoms = self.new.boxes[new].atoms
        old_masks = self.old.prefix_masks
        new_masks = self.new.prefix_masks
        taken = old_masks.mask_before(old) | new_masks.mask_before(new)
        heads = self.shapes_of((old, new), ORDINARY_SLICE)
        shapes = self.space.shapes
        is_narrow = self._is_narrow((old, new))
        if not is_narrow and not shapes.may_leave_any(*heads, taken):
            late = old_masks.late_ranks | new_masks.late_ranks
            atoms = (UNNAMED_SLICE, *late)

        return (
            atom
            for atom in atoms
            if self.old.holds(atom, old) and self.new.holds(atom, new)
        )

    def _is_narrow(self, pair: RankPair) -> bool:
        old, new = pair
        return self.old.is_narrow(old) or self.new.is_narrow(new)

    def _record(self, atom: int, pair: RankPair, box: Box | None) -> None:
        """Record a pair that takes a box in a slice, unless both rules have one destination."""
        if pair in self.wide:
            return
        before, after = self.destinations_of(pair)
        if before == after:
            return
        if box is None:
            self.unknown[pair] = None
            return
        earlier = self._charge_region(atom, pair, box)
        if atom != UNNAMED_SLICE:
            box = {**box, self.space.pivot: (1 << atom, 0, 0)}
        if self._is_narrow(pair):
            self.narrow.setdefault(pair, NarrowPair(box)).masks_by_atom[atom] = earlier
        else:
            self.wide[pair] = box

    def _charge_region(self, atom: int, pair: RankPair, box: Box) -> int:
        """Return the shapes that take conversations before a pair; spends the work of building its
        region.
        """
        taken = self.mask_before(pair, atom)
        key = (*self.shapes_of(pair, atom), taken)
        if key not in self._priced:
            price = _EXCEPTION_COST * (1 + len(box)) + sum(
                self._price(atom, number) for number in bits(taken)
            )
            self.space.budget.spend(price + self.space.cost_of_example(box))
            self._priced.add(key)
        return taken

    def _price(self, atom: int, number: int) -> int:
        """Return the cost of a shape as an exception: a document holds each of its conditions."""
        shapes = self.old.shapes(atom)
        key = id(shapes), number
        if key not in self._prices:
            length = 0.0
            for attribute, part in shapes.all[number]:
                domain = self.space.domains[attribute]
                # Among unnamed texts of the pivot a shape has none of the named ones, which it need
                # not deny.
                denied = (
                    domain.text_mask
                    if atom == UNNAMED_SLICE and attribute == self.space.pivot
                    else 0
                )
                length += domain.clause_cost((part[0] | denied, *part[1:]))
            self._prices[key] = _EXCEPTION_COST + int(
                _CONDITION_COST * max(0, length - 1)
            )
        return self._prices[key]
