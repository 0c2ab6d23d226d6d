"""Examples that are sent: where a pair of winners has conversations with the intents and values that
the manifests declare, the example is one of them.

The walks find any conversation of a pair, often one without an intent, or with a text where a
number is usual, because there most rules leave one free.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.space.boxes import Box, Shape, intersect_box
from reconciler.core.behaviour.space.domain import (
    REST,
    ValueSet,
    intersect,
    usual_part,
)
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.core.behaviour.space.space import SENT_UNDECIDED, Space

RanksT = TypeVar("RanksT")  # the rank of the winner in each list
RanksT_contra = TypeVar("RanksT_contra", contravariant=True)


class CommonWinners(Protocol[RanksT_contra]):
    """The rules of several lists that take a conversation, one of each list, by their ranks."""

    @property
    def space(self) -> Space:
        """Return the space of all lists."""
        ...

    @property
    def new(self) -> PivotSlices:
        """Return the last list."""
        ...

    def common_box(self, pair: RanksT_contra, /) -> Box | None:
        """Return the box that all rules have in common; None where it is empty."""
        ...

    def shapes_of(self, pair: RanksT_contra, atom: int, /) -> tuple[int, ...]:
        """Return the shapes of all rules in a slice."""
        ...

    def mask_before(self, pair: RanksT_contra, atom: int, /) -> int:
        """Return the shapes in a slice that come before one of the rules."""
        ...


class FurtherRule(NamedTuple):
    """A rule of a list, by its rank."""

    slices: PivotSlices
    rank: int


class PairExample(NamedTuple, Generic[RanksT]):
    """A box of conversations, and the winners that take them."""

    pair: RanksT
    box: Box


class _UsualValue(NamedTuple, Generic[RanksT]):
    """The values of an attribute that an example has one of, and that example."""

    values: ValueSet
    example: PairExample[RanksT]


class UsualExamples(Generic[RanksT]):
    """Finds examples of pairs in which attributes have the values that conversations usually have.

    With `further`, conversations that this rule of a third list takes, too.
    """

    def __init__(
        self, pairs: CommonWinners[RanksT], further: FurtherRule | None = None
    ) -> None:
        self._pairs = pairs
        self._further = further
        self._space = pairs.space

    def improve(self, group: Sequence[RanksT], example: Box) -> PairExample[RanksT]:
        """Return an example of one of the pairs, with as many usual values as fit: the given one if
        it has them.

        It is one that is sent, by the declared values, if there is one.
        """
        chosen = PairExample(group[0], example)
        if not self._space.lacks_usual_value(example):
            return chosen
        return self._improve(group, chosen, {}, self._space.usual_domains) or chosen

    def _improve(
        self,
        group: Sequence[RanksT],
        chosen: PairExample[RanksT],
        fixed: Box,
        numbers: Sequence[int],
    ) -> PairExample[RanksT] | None:
        """Return the example with the most usual values of these attributes; None: none is sent.

        In each example, `fixed` holds. Those that declare their values are the first attributes.
        """
        if not numbers:
            return chosen
        number, *further = numbers
        for values, example in self._with_usual_values(group, chosen, fixed, number):
            found = self._improve(group, example, {**fixed, number: values}, further)
            if found is not None:
                return found
        if self._space.domains[number].declares_values:
            return None
        return self._improve(group, chosen, fixed, further)

    def _with_usual_values(
        self,
        group: Sequence[RanksT],
        chosen: PairExample[RanksT],
        fixed: Box,
        number: int,
    ) -> Iterator[_UsualValue[RanksT]]:
        """Yield examples with usual values of an attribute, the most usual ones first.

        It is the chosen one if that has the value; in another one, `fixed` still holds.
        """
        domain = self._space.domains[number]
        here = chosen.box.get(number, domain.all)
        if domain.usual_level(here) == 0 and not domain.declares_values:
            most_usual = domain.usual_levels[0]
            yield _UsualValue(usual_part(most_usual, here) or most_usual[0], chosen)
            return
        for level in domain.usual_levels:
            own = [values for values in level if intersect(values, here)[0]]
            for values in own:
                yield _UsualValue(values, chosen)
            for values in level:
                found = (
                    None
                    if values in own
                    else self._find(group, {**fixed, number: values})
                )
                if found is not None:
                    yield _UsualValue(values, found)

    def _find(self, group: Sequence[RanksT], fixed: Box) -> PairExample[RanksT] | None:
        """Return a box of one of the pairs with the values `fixed`; None without one."""
        for pair in group:
            common = self._pairs.common_box(pair)
            box = (
                None if common is None else intersect_box(common, tuple(fixed.items()))
            )
            for atom in self._atoms(box, fixed) if box is not None else ():
                found = self._find_box(pair, atom, self._parts(atom, fixed))
                if found is not None:
                    return PairExample(pair, found)
        return None

    def _atoms(self, box: Box, fixed: Box) -> Iterator[int]:
        """Yield the slices of a box, unnamed texts last if the pivot is fixed, otherwise first."""
        space = self._space
        if space.pivot < 0:  # without a pivot all slices are alike
            yield UNNAMED_SLICE
            return
        atoms = box.get(space.pivot, space.pivot_domain.all)[0]
        named = atoms & ~REST
        is_fixed = space.pivot in fixed
        if atoms & REST and not is_fixed:
            yield UNNAMED_SLICE
        yield from bits(named)
        if atoms & REST and is_fixed:
            yield UNNAMED_SLICE

    def _parts(self, atom: int, fixed: Box) -> Shape:
        """Return the fixed values that a slice leaves open.

        Of the pivot these are the patterns, in the slice of unnamed texts.
        """
        pivot = self._space.pivot
        parts: Box = {
            number: values for number, values in fixed.items() if number != pivot
        }
        if atom == UNNAMED_SLICE and pivot in fixed:
            yes, no = fixed[pivot][1:]
            if yes or no:
                parts[pivot] = (REST, yes, no)
        return tuple(parts.items())

    def _find_box(self, pair: RanksT, atom: int, parts: Shape) -> Box | None:
        """Return a box of a pair in a slice with these values; None without one or enough work."""
        pairs = self._pairs
        heads: tuple[int, ...] = pairs.shapes_of(pair, atom)
        mask = pairs.mask_before(pair, atom)
        if self._further is not None:
            slices, rank = self._further
            if not slices.holds(atom, rank):
                return None
            heads = (*heads, slices.shape(atom, rank))
            mask |= slices.mask_before(atom, rank)
        try:
            self._space.budget.spend()
            return pairs.new.find_free_box(atom, heads, mask, parts)
        except UndecidedError:
            self._space.reason_without_example = SENT_UNDECIDED
            return None
