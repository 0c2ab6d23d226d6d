"""The parts of one attribute's values that shapes have, indexed: which shapes lie apart from a part
or do not cover it.

Most shapes have one run of atoms, a value or a range, and are indexed by its ends; shapes with
unnamed texts also by their patterns. Answers are remembered, so all shapes are added before the
first question.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import or_
from typing import Final

from reconciler.core.behaviour.budget import WorkBudget
from reconciler.core.behaviour.space.domain import REST, Domain, ValueSet
from reconciler.core.behaviour.space.patterns import bits, union

_MAX_REMEMBERED: Final = 20_000


class MaskLayers:
    """One mask for each attribute.

    Layer k holds the places that are in more than k of the masks.
    """

    def __init__(self, masks: Mapping[int, int]) -> None:
        self._masks = masks
        self._layers = _build_layers(masks.values())

    def outside(self, attributes: Iterable[int]) -> int:
        """Return the places in the mask of an attribute other than these."""
        inside = _build_layers(
            self._masks.get(attribute, 0) for attribute in attributes
        )
        places = 0
        for depth, layer in enumerate(self._layers):
            places |= layer & ~inside[depth] if depth < len(inside) else layer
        return places


def _build_layers(masks: Iterable[int]) -> list[int]:
    layers: list[int] = []
    for mask in masks:
        above = mask
        for depth, layer in enumerate(layers):
            layers[depth] = layer | above
            above &= layer
        if above:
            layers.append(above)
    return layers


class AttributeIndex:
    """The index of one attribute: `restricting` is the mask of the shapes that restrict it."""

    def __init__(self, domain: Domain, budget: WorkBudget) -> None:
        self.domain: Final = domain
        self.budget: Final = budget
        self.restricting = 0
        self._shapes: dict[ValueSet, int] = {}
        self._classified: dict[ValueSet, tuple[int, int]] = {}
        self._tables: _ShapeTables | None = None

    def add(self, part: ValueSet, shape: int) -> None:
        """Add the part of a shape, which is given as a mask."""
        self._shapes[part] = self._shapes.get(part, 0) | shape
        self.restricting |= shape

    def classify(self, part: ValueSet) -> tuple[int, int]:
        """Return the shapes with none of these values, and the shapes without some of them."""
        answer = self._classified.get(part)
        if answer is None:
            if (
                len(self._classified) * self.budget.cost_per_comparison
                > _MAX_REMEMBERED
            ):
                self._classified.clear()
            if self._tables is None:
                self._tables = _ShapeTables(self.domain, self._shapes, self.budget)
            apart = self.restricting & ~self._tables.touching(part)
            beyond = self.restricting & ~self._tables.allowing(part)
            answer = (apart, beyond)
            self._classified[part] = answer
        return answer


class _ShapeTables:
    """The shapes of one attribute, by their named values and by their patterns of unnamed texts."""

    def __init__(
        self,
        domain: Domain,
        shapes_by_values: Mapping[ValueSet, int],
        budget: WorkBudget,
    ) -> None:
        self.budget = budget
        self.every = union(shapes_by_values.values())
        self.rest = 0
        self.required = _PatternIndex(budget)
        self.excluded = _PatternIndex(budget)
        for values, shapes in shapes_by_values.items():
            if values[0] & REST:
                self._add_unnamed(domain, values, shapes)
        self.scattered: list[tuple[int, int]] = []
        self._index_runs(domain.all[0].bit_length() + 1, shapes_by_values)

    def _index_runs(self, size: int, shapes_by_values: Mapping[ValueSet, int]) -> None:
        begun = [0] * size
        ended = [0] * (size + 1)
        for (atoms, _, _), shapes in shapes_by_values.items():
            named = atoms & ~REST
            spans = list(bit_runs(named))
            if len(spans) > 1:
                self.scattered.append((named, shapes))
            elif spans:
                first, last = spans[0]
                begun[first] |= shapes
                ended[last + 1] |= shapes
        # For each atom, the shapes whose run begins there or before, and the shapes whose run ends
        # before.
        self.started = list(accumulate(begun, or_))
        self.ended = list(accumulate(ended, or_))

    def _add_unnamed(self, domain: Domain, values: ValueSet, shapes: int) -> None:
        """Add shapes with unnamed texts, by the patterns of these."""
        _, yes, no = values
        self.rest |= shapes
        required, denied = domain.patterns.minimal_patterns(yes, no)
        self.required.add(required, yes, shapes)
        self.excluded.add(denied, no, shapes)

    def touching(self, part: ValueSet) -> int:
        """Return the shapes with some of these values."""
        atoms, yes, no = part
        spans = list(bit_runs(atoms & ~REST))
        self.budget.charge(len(spans) + len(self.scattered))
        result = union(self.started[last] & ~self.ended[first] for first, last in spans)
        result |= union(shapes for mask, shapes in self.scattered if mask & atoms)
        if atoms & REST:
            apart = self.required.shapes_matching(no)
            apart |= self.excluded.shapes_matching(yes)
            result |= self.rest & ~apart
        return result

    def allowing(self, part: ValueSet) -> int:
        """Return the shapes with all of these values."""
        atoms, yes, no = part
        named = atoms & ~REST
        result = self.every
        spans = list(bit_runs(named))
        self.budget.charge(len(spans) + len(self.scattered))
        scattered = union(
            shapes for mask, shapes in self.scattered if not named & ~mask
        )
        for first, last in spans:
            result &= self.started[first] & ~self.ended[last] | scattered
        if atoms & REST:
            result &= self.rest & ~(
                self.required.shapes_matching(~yes) | self.excluded.shapes_matching(~no)
            )
        return result


class _PatternIndex:
    """Shapes by the patterns that they require, or by those that they deny."""

    def __init__(self, budget: WorkBudget) -> None:
        self._budget = budget
        self._shapes_by_pattern: dict[int, int] = {}
        self._pattern_mask = 0
        self._all_shapes = 0
        self._multi_pattern_shapes = 0
        self._masks_by_shape: dict[int, int] = {}

    def add(self, numbers: Sequence[int], mask: int, shapes: int) -> None:
        """Add shapes under patterns from which all of their patterns, a mask, follow."""
        for number in numbers:
            self._shapes_by_pattern[number] = (
                self._shapes_by_pattern.get(number, 0) | shapes
            )
            self._pattern_mask |= 1 << number
        self._all_shapes |= shapes if numbers else 0
        if len(numbers) > 1:
            self._multi_pattern_shapes |= shapes
            self._masks_by_shape.update(dict.fromkeys(bits(shapes), mask))

    def shapes_matching(self, numbers: int) -> int:
        """Return the shapes under some of these patterns, from the smaller side: all but those
        under others only.
        """
        near = numbers & self._pattern_mask
        far = self._pattern_mask & ~numbers
        few = near.bit_count()
        many = far.bit_count()
        if few <= many:
            self._budget.charge(few)
            return union(map(self._shapes_by_pattern.__getitem__, bits(near)))
        others = union(map(self._shapes_by_pattern.__getitem__, bits(far)))
        several = others & self._multi_pattern_shapes
        self._budget.charge(many + several.bit_count())
        also = sum(
            1 << shape
            for shape in bits(several)
            if self._masks_by_shape[shape] & numbers
        )
        return self._all_shapes & ~others | also


def bit_runs(mask: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of each run of bits."""
    while mask:
        first = (mask & -mask).bit_length() - 1
        above = mask + (1 << first)
        last = (above & -above).bit_length() - 2
        yield first, last
        mask &= above
