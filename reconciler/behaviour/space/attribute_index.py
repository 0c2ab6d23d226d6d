"""What all shapes ask of one attribute: which of them lie apart from some values, and which do not allow all of them.

Most shapes ask for one run of atoms, a value or a range, and are filed by where it begins and ends. Of the texts that
no rule names, shapes are filed by the patterns that they ask to hold or not to hold. Only shapes that ask for several
runs are compared one by one. Answers are remembered: all shapes are entered before the first question.

Masks by attribute, layered: which places stand in some mask but for those of a few attributes, without a loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.space.domain import REST, Domain, ValueSet
from reconciler.behaviour.space.patterns import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.budget import WorkBudget


class MaskLayers:
    """One mask for each attribute. Layer k holds the places that stand in more than k of the masks."""

    def __init__(self, masks: Mapping[int, int]) -> None:
        self._masks = masks
        self._layers = _build_layers(masks.values())

    def outside(self, attributes: Iterable[int]) -> int:
        """Return the places that stand in the mask of some attribute but these."""
        inside = _build_layers(self._masks.get(attribute, 0) for attribute in attributes)
        found = 0
        for depth, layer in enumerate(self._layers):
            found |= layer & ~inside[depth] if depth < len(inside) else layer
        return found


def _build_layers(masks: Iterable[int]) -> list[int]:
    layers: list[int] = []
    for mask in masks:
        above = mask
        for depth, layer in enumerate(layers):
            layers[depth], above = layer | above, layer & above
        if above:
            layers.append(above)
    return layers


_MAX_CACHED: Final = 20_000


class AttributeIndex:
    """One attribute: `by` is the mask of the shapes that ask for some of its values."""

    def __init__(self, domain: Domain, budget: WorkBudget) -> None:
        self.domain: Final = domain
        self.budget: Final = budget
        self.asking = 0
        self._shapes: dict[ValueSet, int] = {}
        self._classified: dict[ValueSet, tuple[int, int]] = {}
        self._tables: _ShapeTables | None = None

    def add(self, part: ValueSet, shape: int) -> None:
        """Note what a shape, given as a mask, asks."""
        self._shapes[part] = self._shapes.get(part, 0) | shape
        self.asking |= shape

    def classify(self, part: ValueSet) -> tuple[int, int]:
        """Return which shapes ask for none of these values, and which ask for anything but all of them."""
        found = self._classified.get(part)
        if found is None:
            if len(self._classified) * self.budget.cost_per_comparison > _MAX_CACHED:
                self._classified.clear()
            found = self._classified[part] = self._classify(part)
        return found

    def _classify(self, part: ValueSet) -> tuple[int, int]:
        if self._tables is None:
            self._tables = _ShapeTables(self.domain, self._shapes)
        tables = self._tables
        return self.asking & ~tables.touching(part, self.budget), self.asking & ~tables.allowing(part, self.budget)


class _ShapeTables:
    """The shapes of one attribute, by the values that rules name and by the patterns of all other texts.

    `begun` has for each atom those whose run begins there or before, `ended` those whose run ends before.
    """

    def __init__(self, domain: Domain, shapes_by_values: Mapping[ValueSet, int]) -> None:
        size = domain.all[0].bit_length() + 1
        begun, ended = [0] * size, [0] * (size + 1)
        self.every = 0
        self.rest = 0
        self.scattered: list[tuple[int, int]] = []
        self.required, self.excluded = _PatternIndex(), _PatternIndex()
        for part, shapes in shapes_by_values.items():
            self.every |= shapes
            spans = list(bit_runs(part[0] & ~REST))
            if len(spans) > 1:
                self.scattered.append((part[0] & ~REST, shapes))
            elif spans:
                begun[spans[0][0]] |= shapes
                ended[spans[0][1] + 1] |= shapes
            if part[0] & REST:
                self.rest |= shapes
                held, denied = domain.patterns.minimal_patterns(part[1], part[2])
                self.required.add(held, part[1], shapes)
                self.excluded.add(denied, part[2], shapes)
        self.started, self.ended = _prefix_unions(begun), _prefix_unions(ended)

    def touching(self, part: ValueSet, budget: WorkBudget) -> int:
        """Return the shapes that ask for some of these values."""
        atoms, yes, no = part
        spans = list(bit_runs(atoms & ~REST))
        budget.charge(len(spans) + len(self.scattered))
        found = 0
        for first, last in spans:
            found |= self.started[last] & ~self.ended[first]
        for other, shapes in self.scattered:
            if other & atoms:
                found |= shapes
        if atoms & REST:
            found |= self.rest & ~(
                self.required.shapes_matching(no, budget) | self.excluded.shapes_matching(yes, budget)
            )
        return found

    def allowing(self, part: ValueSet, budget: WorkBudget) -> int:
        """Return the shapes that ask for these values or more."""
        atoms, yes, no = part
        named = atoms & ~REST
        found = self.every
        spans = list(bit_runs(named))
        budget.charge(len(spans) + len(self.scattered))
        scattered = 0
        for other, shapes in self.scattered:
            if not named & ~other:
                scattered |= shapes
        for first, last in spans:
            found &= self.started[first] & ~self.ended[last] | scattered
        if atoms & REST:
            found &= self.rest & ~(
                self.required.shapes_matching(~yes, budget) | self.excluded.shapes_matching(~no, budget)
            )
        return found


class _PatternIndex:
    """Shapes by the patterns that they ask to hold; or by those that they ask not to hold."""

    def __init__(self) -> None:
        self._shapes_by_pattern: dict[int, int] = {}
        self._pattern_mask = 0
        self._all_shapes = 0
        self._multi_pattern_shapes = 0
        self._masks_by_shape: dict[int, int] = {}

    def add(self, numbers: Sequence[int], mask: int, shapes: int) -> None:
        """File shapes under patterns from which all that they ask, a mask of patterns, follows."""
        for number in numbers:
            self._shapes_by_pattern[number] = self._shapes_by_pattern.get(number, 0) | shapes
            self._pattern_mask |= 1 << number
        self._all_shapes |= shapes if numbers else 0
        if len(numbers) > 1:
            self._multi_pattern_shapes |= shapes
            self._masks_by_shape.update(dict.fromkeys(bits(shapes), mask))

    def shapes_matching(self, numbers: int, budget: WorkBudget) -> int:
        """Return the shapes that are filed under some of these patterns: all but those filed under others alone."""
        near, far = numbers & self._pattern_mask, self._pattern_mask & ~numbers
        few, many = near.bit_count(), far.bit_count()
        if few <= many:
            budget.charge(few)
            return self._union(near)
        others = self._union(far)
        several = others & self._multi_pattern_shapes
        budget.charge(many + several.bit_count())
        also = sum(1 << shape for shape in bits(several) if self._masks_by_shape[shape] & numbers)
        return self._all_shapes & ~others | also

    def _union(self, numbers: int) -> int:
        shapes = 0
        for number in bits(numbers):
            shapes |= self._shapes_by_pattern[number]
        return shapes


def bit_runs(mask: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last place of each run of bits."""
    while mask:
        first = (mask & -mask).bit_length() - 1
        above = mask + (1 << first)
        last = (above & -above).bit_length() - 2
        yield first, last
        mask &= above


def _prefix_unions(masks: Iterable[int]) -> list[int]:
    found, every = [], 0
    for mask in masks:
        every |= mask
        found.append(every)
    return found
