"""What earlier rules take from a pair of patterns: few values of the pivot that rules name, and texts that none names.

Of the many rules before a pattern few have anything in common with it, and which these are is in the slices' masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.domain import REST
from reconciler.behaviour.pattern import bits
from reconciler.behaviour.slices import UNNAMED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.pairs import Pair, Pairs
    from reconciler.behaviour.shapes import Shape

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
