"""Examples that a bot can send: where a pair of winners has conversations with an intent, the example is one of them.

The walks find any conversation of a pair, often one without an intent, because there most rules leave one free.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.winners import RankPair, WinnerPairs
from reconciler.behaviour.space.boxes import Box
from reconciler.behaviour.space.domain import REST
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE
from reconciler.behaviour.space.space import UsualShape


class PairExample(NamedTuple):
    """A box of conversations, and the pair of winners that takes them."""

    pair: RankPair
    box: Box


class UsualExamples:
    """Finds examples of pairs in which attributes have their usual values."""

    def __init__(self, pairs: WinnerPairs) -> None:
        self._pairs = pairs
        self._space = pairs.space

    def improve(self, group: Sequence[RankPair], example: Box) -> PairExample:
        """Return an example with usual values of one of the pairs; the given one, of the first pair, without such."""
        given = PairExample(group[0], example)
        if not self._space.lacks_usual_value(example):
            return given
        chosen = given
        for number in self._space.usual_domains:
            for candidate in self._candidates(group, number):
                if not self._space.lacks_usual_value(candidate.box):
                    return candidate
                if not self._has_text(chosen.box, number):
                    chosen = candidate
        return chosen

    def _has_text(self, box: Box, number: int) -> bool:
        domain = self._space.domains[number]
        part = box.get(number, domain.all)
        return bool(part[0] & domain.text_mask)

    def _candidates(self, group: Sequence[RankPair], number: int) -> Iterator[PairExample]:
        """Yield boxes of the pairs in which an attribute has a usual value, then those with any other text."""
        parts = self._space.domains[number].usual_parts
        for place, part in enumerate(parts):
            for pair in group:
                if number == self._space.pivot:
                    boxes = self._boxes_in_slices(pair, part[0])
                else:
                    boxes = self._boxes_in_shape(pair, self._space.usual_shapes[number][place])
                yield from (PairExample(pair, box) for box in boxes)

    def _boxes_in_slices(self, pair: RankPair, atoms: int) -> Iterator[Box]:
        """Yield boxes of a pair in some slices: named texts first, then the texts that no rule names."""
        slices = [*bits(atoms & ~REST), *([UNNAMED_SLICE] if atoms & REST else [])]
        for atom in slices:
            yield from self._find_box(pair, atom, ())

    def _boxes_in_shape(self, pair: RankPair, shape: UsualShape) -> Iterator[Box]:
        """Yield boxes of a pair that have a usual value, from all slices."""
        for atom in self._slices():
            further = shape.rest if atom == UNNAMED_SLICE else shape.ordinary
            yield from self._find_box(pair, atom, (further,))

    def _slices(self) -> Iterator[int]:
        yield UNNAMED_SLICE
        if self._space.pivot >= 0:  # without a pivot all slices are alike
            yield from bits(self._space.pivot_domain.all[0] & ~REST)

    def _find_box(self, pair: RankPair, atom: int, further: Sequence[int]) -> Iterator[Box]:
        """Yield a box of a pair in a slice and in further shapes, if there is one and the work suffices to find it."""
        pairs = self._pairs
        before, after = pair
        if not (pairs.old.holds(atom, before) and pairs.new.holds(atom, after)):
            return
        heads = (*pairs.shapes_of(pair, atom), *further)
        try:
            self._space.budget.spend()
            box = pairs.new.find_free_box(atom, heads, pairs.mask_before(pair, atom))
        except UndecidedError:
            return
        if box is not None:
            yield box
