"""The rules that take a conversation in four versions of a list: BASE, OURS, THEIRS, and MERGED.
Pure.

A conversation belongs in the report of a merge if the two changes disagree about it, or if the
merged list sends it elsewhere than expected. With "X/Y" for "X and Y send it to different
destinations", that is exactly the case if one of these holds:

    BASE/OURS    and OURS/MERGED
    BASE/THEIRS  and THEIRS/MERGED
    OURS/MERGED  and THEIRS/MERGED

Each pair of versions is compared as in a plan, which gives the pairs of winners that differ. Two
such pairs with a common winner give three of the four rules, and a walk down the fourth list gives
the last one. So the work follows what the two changes do, and not the size of the lists.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.diff.winners import (
    DEFAULT_RANK,
    RankPair,
    WinnerPairs,
)
from reconciler.core.behaviour.space.boxes import Box, intersect_box
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.grouping import group_pairs

VERSIONS: Final = ("base", "ours", "theirs", "merged")
BASE: Final = 0
OURS: Final = 1
THEIRS: Final = 2
MERGED: Final = 3

Ranks = tuple[int, int, int, int]
"""The rank of the winner in each version; DEFAULT_RANK for the default routing."""
_Partial = Mapping[int, int]
"""The rank of the winner in some of the versions, by the number of the version."""

_COMPARED: Final = (
    (BASE, OURS),
    (OURS, MERGED),
    (BASE, THEIRS),
    (THEIRS, MERGED),
)
_JOINS: Final = (
    ((BASE, OURS), (OURS, MERGED), OURS),
    ((BASE, THEIRS), (THEIRS, MERGED), THEIRS),
    ((OURS, MERGED), (THEIRS, MERGED), MERGED),
)
"""Two compared pairs of versions, and the version that both have."""
_ROW_COST: Final = 100  # of a row of the report, in comparisons
_RULES_PER_COMPARISON: Final = 10


class _Pair(NamedTuple):
    """A pair of winners, by version, and the slices that have it; None: not listed."""

    winners: _Partial
    atoms: AbstractSet[int] | None


@dataclass(slots=True)
class FoundWinners:
    """A conversation of four winners, and the slices in which they have one.

    Of rules with many values of the pivot, one slice stands for all.
    """

    box: Box
    atoms: set[int]


@dataclass(slots=True)
class MergeWinners:
    """The winners of all conversations that belong in the report of a merge.

    The boxes of `undecided` have all further ones.
    """

    lists: Sequence[PivotSlices]
    found: dict[Ranks, FoundWinners] = field(default_factory=dict)
    undecided: list[Box] = field(default_factory=list)

    @property
    def space(self) -> Space:
        """The space of all four lists."""
        return self.lists[MERGED].space

    @property
    def new(self) -> PivotSlices:
        """The merged list."""
        return self.lists[MERGED]

    def common_box(self, ranks: Ranks) -> Box | None:
        """Return the box that the rules have in common; None where it is empty."""
        return self.box_of(dict(enumerate(ranks)))

    def box_of(self, winners: _Partial) -> Box | None:
        """Return the box that the rules of some versions have in common; None: it is empty."""
        box: Box | None = {}
        for version, rank in winners.items():
            slices = self.lists[version]
            if box is not None and rank < len(slices.boxes):
                rule_box = self.space.box(slices.boxes[rank])
                box = intersect_box(box, tuple(rule_box.items()))
        return box

    def shapes_of(self, ranks: Ranks, atom: int) -> tuple[int, ...]:
        """Return the shapes of the rules in a slice."""
        return tuple(self.heads_of(dict(enumerate(ranks)), atom))

    def heads_of(self, winners: _Partial, atom: int) -> list[int]:
        """Return the shapes of the rules of some versions in a slice."""
        return [
            self.lists[version].shape(atom, rank) for version, rank in winners.items()
        ]

    def mask_before(self, ranks: Ranks, atom: int) -> int:
        """Return the shapes in a slice that come before one of the rules in its list."""
        return self.blockers_of(dict(enumerate(ranks)), atom)

    def blockers_of(self, winners: _Partial, atom: int) -> int:
        """Return the shapes in a slice that come before a rule of some versions in its list."""
        mask = 0
        for version, rank in winners.items():
            mask |= self.lists[version].mask_before(atom, rank)
        return mask

    def is_narrow(self, winners: _Partial) -> bool:
        """Return whether one of the rules has few values of the pivot."""
        return any(
            self.lists[version].is_narrow(rank) for version, rank in winners.items()
        )


def find_merge_winners(lists: Sequence[PivotSlices], work: int) -> MergeWinners:
    """Return the winners of the conversations that belong in the report; `work` is in
    comparisons.
    """
    return _WinnerSearch(lists).run(work)


class _WinnerSearch:
    def __init__(self, lists: Sequence[PivotSlices]) -> None:
        self._winners = MergeWinners(lists)
        self._lists = lists
        self._space = self._winners.space
        self._pairs: dict[tuple[int, int], list[_Pair]] = {}
        self._free_boxes: dict[tuple[bool, frozenset[int], int], Box | None] = {}

    def run(self, work: int) -> MergeWinners:
        """Return what is found with so many comparisons."""
        steps = (*_COMPARED, None)
        for versions in self._space.budget.share(steps, work):
            if versions is None:
                self._join_all()
            else:
                self._compare(versions)
        return self._winners

    def _compare(self, versions: tuple[int, int]) -> None:
        """Find the pairs of winners of two versions that differ."""
        first, second = versions
        pairs = WinnerPairs(self._lists[first], self._lists[second])

        def by_version(pair: RankPair) -> _Partial:
            return dict(zip(versions, pair, strict=True))

        self._pairs[versions] = [
            _Pair(by_version(pair), narrow.masks_by_atom.keys())
            for pair, narrow in pairs.narrow.items()
        ]
        self._pairs[versions] += [_Pair(by_version(pair), None) for pair in pairs.wide]
        for pair in pairs.unknown:
            self._give_up(by_version(pair))

    def _give_up(self, winners: _Partial) -> None:
        box = self._winners.box_of(winners)
        if box is not None:
            self._winners.undecided.append(box)

    def _join_all(self) -> None:
        for first, second, shared in _JOINS:
            followers = group_pairs(
                (pair.winners[shared], pair) for pair in self._pairs[second]
            )
            for pair in self._pairs[first]:
                for other in followers.get(pair.winners[shared], ()):
                    winners = {**pair.winners, **other.winners}
                    self._complete(winners, self._common_atoms(pair, other, winners))

    def _common_atoms(
        self, first: _Pair, second: _Pair, winners: _Partial
    ) -> Iterable[int]:
        """Return the slices in which both pairs may have a conversation."""
        listed = [pair.atoms for pair in (first, second) if pair.atoms is not None]
        if not listed:
            return self._slices_of(winners)
        atoms = set(listed[0]).intersection(*listed[1:])
        return sorted(atom for atom in atoms if self._hold(winners, atom))

    def _hold(self, winners: _Partial, atom: int) -> bool:
        return all(
            self._lists[version].holds(atom, rank) for version, rank in winners.items()
        )

    def _slices_of(self, winners: _Partial) -> Iterable[int]:
        """Return the slices of rules with many values of the pivot."""
        if self._space.pivot < 0:  # without a pivot all slices are alike
            return (UNNAMED_SLICE,)
        box = self._winners.box_of(winners)
        if box is None:
            return ()
        return bits(box.get(self._space.pivot, self._space.pivot_domain.all)[0])

    def _complete(self, winners: _Partial, atoms: Iterable[int]) -> None:
        """Record the winners of three versions with each winner of the fourth one."""
        (missing,) = set(range(len(VERSIONS))) - winners.keys()
        is_narrow = self._winners.is_narrow(winners)
        known: set[int] = set()  # these need no further slice
        try:
            for atom in atoms:
                self._space.budget.spend()
                for rank, box in self._takers(winners, missing, atom, known):
                    everything = {**winners, missing: rank}
                    self._record(everything, atom, box)
                    if not is_narrow and not self._lists[missing].is_narrow(rank):
                        known.add(rank)
        except UndecidedError:
            self._give_up(winners)

    def _record(self, winners: _Partial, atom: int, box: Box) -> None:
        base, ours, theirs, merged = (winners[n] for n in range(len(VERSIONS)))
        ranks = (base, ours, theirs, merged)
        found = self._winners.found.get(ranks)
        if found is not None:
            found.atoms.add(atom)
            return
        rules = sum(
            min(rank, len(slices.boxes))
            for rank, slices in zip(ranks, self._lists, strict=True)
        )
        self._space.budget.spend(_ROW_COST + rules // _RULES_PER_COMPARISON)
        self._winners.found[ranks] = FoundWinners(box, {atom})

    def _takers(
        self,
        winners: _Partial,
        missing: int,
        atom: int,
        known: AbstractSet[int],
    ) -> Iterator[tuple[int, Box]]:
        """Yield the rules of the fourth list that take conversations of the others in a slice, each
        with a box of them; none of the known ones.
        """
        heads = self._winners.heads_of(winners, atom)
        blockers = self._winners.blockers_of(winners, atom)
        if self._find_free_box(atom, heads, blockers) is None:
            return
        slices = self._lists[missing]
        overlapping, covering = self._relations(atom, heads)
        for rank in (*slices.first_ranks_in(atom), DEFAULT_RANK):
            shape = slices.shape(atom, rank)
            if rank != DEFAULT_RANK and not overlapping >> shape & 1:
                continue
            if rank not in known:
                mask = blockers | slices.mask_before(atom, rank)
                box = self._find_free_box(atom, (*heads, shape), mask)
                if box is not None:
                    yield rank, box
            if covering >> shape & 1:
                return

    def _relations(self, atom: int, heads: Iterable[int]) -> tuple[int, int]:
        """Return the shapes of a slice that overlap all of the heads, and those that cover one."""
        shapes = self._lists[BASE].shapes(atom)
        overlapping = -1
        covering = 0
        for head in heads:
            overlapping &= shapes.overlapping(head)
            covering |= shapes.covering(head)
        return overlapping, covering

    def _find_free_box(
        self, atom: int, heads: Iterable[int], blockers: int
    ) -> Box | None:
        """Return a box of a slice in all of these shapes that no blocker touches, or None."""
        is_unnamed = atom == UNNAMED_SLICE
        shapes = self._lists[BASE].shapes(atom)
        distinct = frozenset(heads)
        for head in distinct:
            blockers &= shapes.overlapping(head)
        key = is_unnamed, distinct, blockers
        if key not in self._free_boxes:
            is_covered = any(shapes.covering(head) & blockers for head in distinct)
            found = None
            if not is_covered:
                found = shapes.find_free_box_in_all(distinct, blockers)
            self._free_boxes[key] = found
        box = self._free_boxes[key]
        if box is None or is_unnamed or self._space.pivot < 0:
            return box
        return {**box, self._space.pivot: (1 << atom, 0, 0)}
