"""Examples that a bot can send: where a pair of winners has conversations with an intent, the example is one of them.

The walks find any conversation of a pair, often one without an intent, or with a text where a number is usual, because
there most rules leave one free.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.winners import RankPair, WinnerPairs
from reconciler.behaviour.space.boxes import Box
from reconciler.behaviour.space.domain import REST, ValueSet
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices


class FurtherRule(NamedTuple):
    """A rule of a list, by its rank."""

    slices: PivotSlices
    rank: int


class PairExample(NamedTuple):
    """A box of conversations, and the pair of winners that takes them."""

    pair: RankPair
    box: Box


Places = Mapping[int, int]  # by attribute, the position of the part among those that an example prefers


class UsualExamples:
    """Finds examples of pairs in which attributes have the values that conversations usually have.

    With `further`, conversations that this rule of a third list takes, too.
    """

    def __init__(self, pairs: WinnerPairs, further: FurtherRule | None = None) -> None:
        self._pairs, self._further = pairs, further
        self._space = pairs.space

    def improve(self, group: Sequence[RankPair], example: Box) -> PairExample:
        """Return an example of one of the pairs, with as many usual values as fit: the given one if it has them."""
        chosen = PairExample(group[0], example)
        if not self._space.lacks_usual_value(example):
            return chosen
        fixed: dict[int, int] = {}
        for number in self._space.usual_domains:
            domain = self._space.domains[number]
            for place in range(len(domain.usual_parts)):
                if domain.is_usual(self._part(chosen.box, number), place):
                    fixed[number] = place
                    break
                found = self._find(group, {**fixed, number: place})
                if found is not None and domain.is_usual(self._part(found.box, number), place):
                    chosen = found
                    fixed[number] = place
                    break
        return chosen

    def _part(self, box: Box, number: int) -> ValueSet:
        return box.get(number, self._space.domains[number].all)

    def _find(self, group: Sequence[RankPair], places: Places) -> PairExample | None:
        """Return a box of one of the pairs in which attributes have the parts at these places; None without one."""
        space = self._space
        slices = self._slices(places)
        others = {number: place for number, place in places.items() if number != space.pivot}
        for pair in group:
            for atom in slices:
                is_rest = atom == UNNAMED_SLICE
                shapes = [space.usual_shapes[number][place] for number, place in others.items()]
                further = [shape.rest if is_rest else shape.ordinary for shape in shapes]
                box = self._find_box(pair, atom, further)
                if box is not None:
                    return PairExample(pair, box)
        return None

    def _slices(self, places: Places) -> Sequence[int]:
        """Return the slices of the pivot's part: named values first, then the texts that no rule names."""
        space = self._space
        if space.pivot < 0:  # without a pivot all slices are alike
            return (UNNAMED_SLICE,)
        domain = space.pivot_domain
        part = domain.usual_parts[places[space.pivot]] if space.pivot in places else domain.all
        unnamed = (UNNAMED_SLICE,) if part[0] & REST else ()
        named = tuple(bits(part[0] & ~REST))
        return (*named, *unnamed) if space.pivot in places else (*unnamed, *named)

    def _find_box(self, pair: RankPair, atom: int, further: Sequence[int]) -> Box | None:
        """Return a box of a pair in a slice and in further shapes; None without one, or without enough work."""
        pairs = self._pairs
        before, after = pair
        if not (pairs.old.holds(atom, before) and pairs.new.holds(atom, after)):
            return None
        heads, mask = (*pairs.shapes_of(pair, atom), *further), pairs.mask_before(pair, atom)
        if self._further is not None:
            slices, rank = self._further
            if not slices.holds(atom, rank):
                return None
            heads = (*heads, slices.shape(atom, rank))
            mask |= slices.mask_before(atom, rank)
        try:
            self._space.budget.spend()
            return pairs.new.find_free_box(atom, heads, mask)
        except UndecidedError:
            return None
