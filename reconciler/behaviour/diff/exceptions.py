"""What earlier rules take from a pair of patterns: few values of the pivot that rules name, and texts that none names.

Of the many rules before a pattern few have anything in common with it, and which these are is in the slices' masks.

What the rules before a rank take, by shape: the exceptions of a rule about many values of the pivot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.space.clauses import unite
from reconciler.behaviour.space.domain import REST, Part
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED, Slices

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from reconciler.behaviour.diff.winners import Pair, Pairs
    from reconciler.behaviour.space.boxes import Shape


_Parts = dict["Hashable", "Part"]


class _Running:
    """What the rules of one list before a rank take, carried on from one rank to the next: it goes back at a cost."""

    def __init__(self, slices: Slices) -> None:
        self.slices, self.space = slices, slices.space
        # Conditions can say any parts of equal patterns as one, unless numbers are among the values of the pivot.
        self.apart = self.space.pivot_domain.number_mask != 0
        self.rank, self.mask = 0, 0
        self.by_shape: dict[int, _Parts] = {}

    def go_to(self, rank: int) -> None:
        """Take in the rules before a rank, and no others."""
        if rank < self.rank:
            self.rank, self.mask = 0, 0
            self.by_shape = {}
        for box in self.slices.boxes[self.rank : rank]:
            parts = self.by_shape.setdefault(box.shape, {})
            self.mask |= 1 << box.shape
            part = self.space.pivot_part(box)
            key: Hashable = part if self.apart else part[1:]
            known = parts.get(key)
            parts[key] = part if known is None else (known[0] | part[0], part[1], part[2])
        self.rank = min(rank, len(self.slices.boxes))


class Taken:
    """What earlier rules of two lists take from pairs: cheap where both ranks only grow from one pair to the next."""

    def __init__(self, old: Slices, new: Slices) -> None:
        self.space = old.space
        self._old, self._new = _Running(old), _Running(new)

    def before(self, pair: Pair, overlapping: int) -> list[Shape]:
        """Return what is taken before a pair of ranks by rules of these shapes, as few shapes as conditions can say."""
        for running, rank in zip((self._old, self._new), pair, strict=True):
            running.go_to(rank)
        found: list[Shape] = []
        for number in bits((self._old.mask | self._new.mask) & overlapping):
            parts = _united(self._old.by_shape.get(number, {}), self._new.by_shape.get(number, {}))
            if self._old.apart:
                parts = unite(self.space.pivot_domain, parts)
            found += self.with_pivot(number, parts)
        return found

    def with_pivot(self, number: int, parts: Sequence[Part]) -> list[Shape]:
        """Return a shape with each of these values of the pivot."""
        shape = self.space.shapes.all[number]
        if self.space.pivot < 0:
            return [shape]
        if self.space.pivot_domain.all in parts:
            return [shape]
        return [tuple(sorted((*shape, (self.space.pivot, part)))) for part in parts]


def _united(old: _Parts, new: _Parts) -> list[Part]:
    """Return the parts of both, those under one key as one."""
    if old == new:
        return list(old.values())
    found = dict(old)
    for key, part in new.items():
        known = found.get(key)
        found[key] = part if known is None else (known[0] | part[0], part[1], part[2])
    return list(found.values())


FEW: Final = 64


class _Asked(NamedTuple):
    """All that a rule asks; its named values of the pivot, and its shape on the other attributes."""

    whole: Shape
    atoms: int
    shape: int


class Near:
    """Answers for the pairs of two lists; what a rule asks is one object wherever it is an exception."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs, self.space = pairs, pairs.space
        self._asked: dict[int, dict[int, _Asked]] | None = None

    def knows(self, pivot: Part) -> bool:
        """Say whether the values of the pivot are few enough, and no numbers: not all sets of those can be said."""
        texts = self.space.pivot >= 0 and not self.space.pivot_domain.number_mask
        return texts and (pivot[0] & ~REST).bit_count() <= FEW

    def before(self, pair: Pair, pivot: Part) -> tuple[list[Shape], list[Shape]]:
        """Return exceptions none of which lies in another, each as a rule says it, and further ones, by value."""
        literals = pivot[0] & ~REST
        taken: dict[int, int] = {}
        outer: dict[int, int] = {}
        for atom in bits(literals):
            mask = self._mask(atom, pair)
            self.space.budget.charge(mask.bit_count())
            for number in bits(mask):
                taken[number] = taken.get(number, 0) | 1 << atom
                if not self.space.shapes.covering(number) & mask & ~(1 << number):
                    outer[number] = outer.get(number, 0) | 1 << atom
        rules: list[Shape] = []
        for asked in self._unnamed(pair, literals, taken) if pivot[0] & REST else ():
            rules.append(asked.whole)
            outer[asked.shape] = outer.get(asked.shape, 0) & ~asked.atoms
        shapes = self.space.shapes.all
        others = [_with(shapes[number], self.space.pivot, (atoms, 0, 0)) for number, atoms in outer.items() if atoms]
        return rules, others

    def _mask(self, atom: int, pair: Pair) -> int:
        """Return the shapes before a pair in a slice that have something in common with both rules."""
        found = -1
        before = 0
        for slices, rank in zip((self.pairs.old, self.pairs.new), pair, strict=True):
            before |= slices.before(atom, rank)
            found &= slices.shapes(atom).overlapping(slices.shape_of_rank(atom, rank))
        return found & before

    def _unnamed(self, pair: Pair, literals: int, taken: dict[int, int]) -> Iterator[_Asked]:
        """Yield what takes texts that no rule names; of rules alike but for named values, one before the pair."""
        mask = self._mask(UNNAMED, pair)
        self.space.budget.charge(mask.bit_count())
        for number in bits(mask):
            if not self.space.rest_shapes.covering(number) & mask & ~(1 << number):
                alike = self.asked[number].values()
                yield next(one for one in alike if not one.atoms & literals & ~taken.get(one.shape, 0))

    @property
    def asked(self) -> dict[int, dict[int, _Asked]]:
        """What the rules of both lists ask, by their shape among texts that no rule names."""
        if self._asked is None:
            self._asked = {}
            for slices in (self.pairs.old, self.pairs.new):
                for rank in slices.unnamed:
                    box = slices.boxes[rank]
                    alike = self._asked.setdefault(box.rest, {})
                    if id(box) not in alike:
                        whole = tuple(sorted(self.space.box(box).items()))
                        alike[id(box)] = _Asked(whole, box.pivot[0] & ~REST, box.shape)
        return self._asked


def _with(shape: Shape, pivot: int, part: Part) -> Shape:
    return tuple(sorted((*shape, (pivot, part))))
