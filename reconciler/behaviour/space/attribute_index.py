"""What all shapes ask of one attribute: which of them lie apart from some values, and which do not allow all of them.

Most shapes ask for one run of atoms, a value or a range, and are filed by where it begins and ends. Of the texts that
no rule names, shapes are filed by the patterns that they ask to hold or not to hold. Only shapes that ask for several
runs are compared one by one. Answers are remembered: all shapes are entered before the first question.

Masks by attribute, layered: which places stand in some mask but for those of a few attributes, without a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.space.domain import REST, Domain, Part
from reconciler.behaviour.space.patterns import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.budget import Budget


class Layers:
    """One mask for each attribute. Layer k holds the places that stand in more than k of the masks."""

    def __init__(self, masks: Mapping[int, int]) -> None:
        self._masks = masks
        self._layers = _layers(masks.values())

    def outside(self, attributes: Iterable[int]) -> int:
        """Return the places that stand in the mask of some attribute but these."""
        inside = _layers(self._masks.get(attribute, 0) for attribute in attributes)
        found = 0
        for depth, layer in enumerate(self._layers):
            found |= layer & ~inside[depth] if depth < len(inside) else layer
        return found


def _layers(masks: Iterable[int]) -> list[int]:
    layers: list[int] = []
    for mask in masks:
        above = mask
        for depth, layer in enumerate(layers):
            layers[depth], above = layer | above, layer & above
        if above:
            layers.append(above)
    return layers


_MOST_REMEMBERED: Final = 20_000


class Asked:
    """One attribute: `by` is the mask of the shapes that ask for some of its values."""

    def __init__(self, domain: Domain, budget: Budget) -> None:
        self.domain: Final = domain
        self.budget: Final = budget
        self.by = 0
        self._shapes: dict[Part, int] = {}
        self._lying: dict[Part, tuple[int, int]] = {}
        self._tables: _Tables | None = None

    def enter(self, part: Part, shape: int) -> None:
        """Note what a shape, given as a mask, asks."""
        self._shapes[part] = self._shapes.get(part, 0) | shape
        self.by |= shape

    def lying(self, part: Part) -> tuple[int, int]:
        """Return which shapes ask for none of these values, and which ask for anything but all of them."""
        found = self._lying.get(part)
        if found is None:
            if len(self._lying) * self.budget.width > _MOST_REMEMBERED:
                self._lying.clear()
            found = self._lying[part] = self._compare(part)
        return found

    def _compare(self, part: Part) -> tuple[int, int]:
        if self._tables is None:
            self._tables = _Tables(self.domain, self._shapes)
        tables = self._tables
        return self.by & ~tables.touching(part, self.budget), self.by & ~tables.allowing(part, self.budget)


class _Tables:
    """The shapes of one attribute, by the values that rules name and by the patterns of all other texts.

    `begun` has for each atom those whose run begins there or before, `ended` those whose run ends before.
    """

    def __init__(self, domain: Domain, asked: Mapping[Part, int]) -> None:
        size = domain.all[0].bit_length() + 1
        begun, ended = [0] * size, [0] * (size + 1)
        self.every = 0
        self.rest = 0
        self.scattered: list[tuple[int, int]] = []
        self.held, self.denied = _ByPattern(), _ByPattern()
        for part, shapes in asked.items():
            self.every |= shapes
            spans = list(runs(part[0] & ~REST))
            if len(spans) > 1:
                self.scattered.append((part[0] & ~REST, shapes))
            elif spans:
                begun[spans[0][0]] |= shapes
                ended[spans[0][1] + 1] |= shapes
            if part[0] & REST:
                self.rest |= shapes
                held, denied = domain.patterns.said(part[1], part[2])
                self.held.file(held, part[1], shapes)
                self.denied.file(denied, part[2], shapes)
        self.begun, self.ended = _summed(begun), _summed(ended)

    def touching(self, part: Part, budget: Budget) -> int:
        """Return the shapes that ask for some of these values."""
        atoms, yes, no = part
        spans = list(runs(atoms & ~REST))
        budget.charge(len(spans) + len(self.scattered))
        found = 0
        for first, last in spans:
            found |= self.begun[last] & ~self.ended[first]
        for other, shapes in self.scattered:
            if other & atoms:
                found |= shapes
        if atoms & REST:
            found |= self.rest & ~(self.held.under(no, budget) | self.denied.under(yes, budget))
        return found

    def allowing(self, part: Part, budget: Budget) -> int:
        """Return the shapes that ask for these values or more."""
        atoms, yes, no = part
        named = atoms & ~REST
        found = self.every
        spans = list(runs(named))
        budget.charge(len(spans) + len(self.scattered))
        scattered = 0
        for other, shapes in self.scattered:
            if not named & ~other:
                scattered |= shapes
        for first, last in spans:
            found &= self.begun[first] & ~self.ended[last] | scattered
        if atoms & REST:
            found &= self.rest & ~(self.held.under(~yes, budget) | self.denied.under(~no, budget))
        return found


class _ByPattern:
    """Shapes by the patterns that they ask to hold; or by those that they ask not to hold."""

    def __init__(self) -> None:
        self._by: dict[int, int] = {}
        self._numbers = 0
        self._every = 0
        self._several = 0
        self._asking: dict[int, int] = {}

    def file(self, numbers: Sequence[int], mask: int, shapes: int) -> None:
        """File shapes under patterns from which all that they ask, a mask of patterns, follows."""
        for number in numbers:
            self._by[number] = self._by.get(number, 0) | shapes
            self._numbers |= 1 << number
        self._every |= shapes if numbers else 0
        if len(numbers) > 1:
            self._several |= shapes
            self._asking.update(dict.fromkeys(bits(shapes), mask))

    def under(self, numbers: int, budget: Budget) -> int:
        """Return the shapes that are filed under some of these patterns: all but those filed under others alone."""
        near, far = numbers & self._numbers, self._numbers & ~numbers
        few, many = near.bit_count(), far.bit_count()
        if few <= many:
            budget.charge(few)
            return self._of(near)
        others = self._of(far)
        several = others & self._several
        budget.charge(many + several.bit_count())
        also = sum(1 << shape for shape in bits(several) if self._asking[shape] & numbers)
        return self._every & ~others | also

    def _of(self, numbers: int) -> int:
        shapes = 0
        for number in bits(numbers):
            shapes |= self._by[number]
        return shapes


def runs(mask: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last place of each run of bits."""
    while mask:
        first = (mask & -mask).bit_length() - 1
        above = mask + (1 << first)
        last = (above & -above).bit_length() - 2
        yield first, last
        mask &= above


def _summed(masks: Iterable[int]) -> list[int]:
    found, every = [], 0
    for mask in masks:
        every |= mask
        found.append(every)
    return found
