"""What earlier rules take from a pair of patterns: few values of the pivot that rules name, and texts that none names.

Of the many rules before a pattern few have anything in common with it, and which these are is in the slices' masks.

What the rules before a rank take, by shape: the exceptions of a rule about many values of the pivot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.space.clauses import unite_values
from reconciler.behaviour.space.domain import REST, ValueSet
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from reconciler.behaviour.diff.winners import RankPair, WinnerPairs
    from reconciler.behaviour.space.boxes import Shape


_ValuesByKey = dict["Hashable", "ValueSet"]


class _RunningUnion:
    """What the rules of one list before a rank take, carried on from one rank to the next: it goes back at a cost."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space
        # Conditions can say any parts of equal patterns as one, unless numbers are among the values of the pivot.
        self.keeps_values_apart = self.space.pivot_domain.number_mask != 0
        self.rank, self.mask = 0, 0
        self.by_shape: dict[int, _ValuesByKey] = {}

    def advance_to(self, rank: int) -> None:
        """Take in the rules before a rank, and no others."""
        if rank < self.rank:
            self.rank, self.mask = 0, 0
            self.by_shape = {}
        for box in self.slices.boxes[self.rank : rank]:
            parts = self.by_shape.setdefault(box.shape, {})
            self.mask |= 1 << box.shape
            part = self.space.pivot_values(box)
            key: Hashable = part if self.keeps_values_apart else part[1:]
            known = parts.get(key)
            parts[key] = part if known is None else (known[0] | part[0], part[1], part[2])
        self.rank = min(rank, len(self.slices.boxes))


class RunningExceptions:
    """What earlier rules of two lists take from pairs: cheap where both ranks only grow from one pair to the next."""

    def __init__(self, old: PivotSlices, new: PivotSlices) -> None:
        self.space = old.space
        self._old, self._new = _RunningUnion(old), _RunningUnion(new)

    def shapes_before(self, pair: RankPair, overlapping: int) -> list[Shape]:
        """Return what is taken before a pair of ranks by rules of these shapes, as few shapes as conditions can say."""
        for running, rank in zip((self._old, self._new), pair, strict=True):
            running.advance_to(rank)
        found: list[Shape] = []
        for number in bits((self._old.mask | self._new.mask) & overlapping):
            parts = _unite_by_key(self._old.by_shape.get(number, {}), self._new.by_shape.get(number, {}))
            if self._old.keeps_values_apart:
                parts = unite_values(self.space.pivot_domain, parts)
            found += self.with_pivot(number, parts)
        return found

    def with_pivot(self, number: int, parts: Sequence[ValueSet]) -> list[Shape]:
        """Return a shape with each of these values of the pivot."""
        shape = self.space.shapes.all[number]
        if self.space.pivot < 0:
            return [shape]
        if self.space.pivot_domain.all in parts:
            return [shape]
        return [tuple(sorted((*shape, (self.space.pivot, part)))) for part in parts]


def _unite_by_key(old: _ValuesByKey, new: _ValuesByKey) -> list[ValueSet]:
    """Return the parts of both, those under one key as one."""
    if old == new:
        return list(old.values())
    found = dict(old)
    for key, part in new.items():
        known = found.get(key)
        found[key] = part if known is None else (known[0] | part[0], part[1], part[2])
    return list(found.values())


MAX_NAMED_VALUES: Final = 64


class _RuleExtent(NamedTuple):
    """All that a rule asks; its named values of the pivot, and its shape on the other attributes."""

    full_shape: Shape
    atoms: int
    shape: int


class PatternExceptions:
    """Answers for the pairs of two lists; what a rule asks is one object wherever it is an exception."""

    def __init__(self, pairs: WinnerPairs) -> None:
        self.pairs, self.space = pairs, pairs.space
        self._extents: dict[int, dict[int, _RuleExtent]] | None = None

    def applies_to(self, pivot: ValueSet) -> bool:
        """Say whether the values of the pivot are few enough, and no numbers: not all sets of those can be said."""
        texts = self.space.pivot >= 0 and not self.space.pivot_domain.number_mask
        return texts and (pivot[0] & ~REST).bit_count() <= MAX_NAMED_VALUES

    def shapes_before(self, pair: RankPair, pivot: ValueSet) -> tuple[list[Shape], list[Shape]]:
        """Return exceptions none of which lies in another, each as a rule says it, and further ones, by value."""
        literals = pivot[0] & ~REST
        taken: dict[int, int] = {}
        outer: dict[int, int] = {}
        for atom in bits(literals):
            mask = self._mask_before(atom, pair)
            self.space.budget.charge(mask.bit_count())
            for number in bits(mask):
                taken[number] = taken.get(number, 0) | 1 << atom
                if not self.space.shapes.covering(number) & mask & ~(1 << number):
                    outer[number] = outer.get(number, 0) | 1 << atom
        rules: list[Shape] = []
        for asked in self._unnamed_extents(pair, literals, taken) if pivot[0] & REST else ():
            rules.append(asked.full_shape)
            outer[asked.shape] = outer.get(asked.shape, 0) & ~asked.atoms
        shapes = self.space.shapes.all
        others = [
            _add_pivot(shapes[number], self.space.pivot, (atoms, 0, 0)) for number, atoms in outer.items() if atoms
        ]
        return rules, others

    def _mask_before(self, atom: int, pair: RankPair) -> int:
        """Return the shapes before a pair in a slice that have something in common with both rules."""
        found = -1
        before = 0
        for slices, rank in zip((self.pairs.old, self.pairs.new), pair, strict=True):
            before |= slices.mask_before(atom, rank)
            found &= slices.shapes(atom).overlapping(slices.shape_of_rank(atom, rank))
        return found & before

    def _unnamed_extents(self, pair: RankPair, literals: int, atoms_by_shape: dict[int, int]) -> Iterator[_RuleExtent]:
        """Yield what takes texts that no rule names; of rules alike but for named values, one before the pair."""
        mask = self._mask_before(UNNAMED_SLICE, pair)
        self.space.budget.charge(mask.bit_count())
        for number in bits(mask):
            if not self.space.rest_shapes.covering(number) & mask & ~(1 << number):
                alike = self.extents[number].values()
                yield next(one for one in alike if not one.atoms & literals & ~atoms_by_shape.get(one.shape, 0))

    @property
    def extents(self) -> dict[int, dict[int, _RuleExtent]]:
        """What the rules of both lists ask, by their shape among texts that no rule names."""
        if self._extents is None:
            self._extents = {}
            for slices in (self.pairs.old, self.pairs.new):
                for rank in slices.unnamed_ranks:
                    box = slices.boxes[rank]
                    alike = self._extents.setdefault(box.rest, {})
                    if id(box) not in alike:
                        whole = tuple(sorted(self.space.box(box).items()))
                        alike[id(box)] = _RuleExtent(whole, box.pivot[0] & ~REST, box.shape)
        return self._extents


def _add_pivot(shape: Shape, pivot: int, part: ValueSet) -> Shape:
    return tuple(sorted((*shape, (pivot, part))))
