"""The conversations that earlier rules take from a pair of winners: the exceptions of its region,
as shapes.
"""

from collections.abc import Hashable, Sequence

from reconciler.core.behaviour.diff.winners import RankPair
from reconciler.core.behaviour.space.boxes import Shape
from reconciler.core.behaviour.space.clauses import unite_values
from reconciler.core.behaviour.space.domain import ValueSet
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import PivotSlices

_ValuesByKey = dict["Hashable", "ValueSet"]


class _RunningUnion:
    """The values that the rules of one list before a rank take, by shape; cheap while the rank
    grows.
    """

    def __init__(self, slices: PivotSlices) -> None:
        self.slices = slices
        self.space = slices.space
        # Conditions can express any values with equal patterns as one, unless the pivot has
        # numbers.
        self.keeps_values_apart = self.space.pivot_domain.number_mask != 0
        self.rank = 0
        self.mask = 0
        self.by_shape: dict[int, _ValuesByKey] = {}

    def advance_to(self, rank: int) -> None:
        if rank < self.rank:
            self.rank = 0
            self.mask = 0
            self.by_shape = {}
        for box in self.slices.boxes[self.rank : rank]:
            self.mask |= 1 << box.shape
            part = self.space.pivot_values(box)
            key: Hashable = part if self.keeps_values_apart else part[1:]
            parts = self.by_shape.setdefault(box.shape, {})
            _add_values(parts, key, part)
        self.rank = min(rank, len(self.slices.boxes))


def _add_values(parts: _ValuesByKey, key: Hashable, part: ValueSet) -> None:
    earlier = parts.get(key)
    if earlier is None:
        parts[key] = part
        return
    atoms, yes, no = part
    parts[key] = (earlier[0] | atoms, yes, no)


class RunningExceptions:
    """The shapes that earlier rules of two lists take from pairs; cheap where both ranks grow from
    pair to pair.
    """

    def __init__(self, old: PivotSlices, new: PivotSlices) -> None:
        self.space = old.space
        self._old = _RunningUnion(old)
        self._new = _RunningUnion(new)

    def shapes_before(self, pair: RankPair, overlapping: int) -> list[Shape]:
        """Return the parts that rules of these shapes take before a pair, as few shapes as
        conditions can express.
        """
        for running, rank in zip((self._old, self._new), pair, strict=True):
            running.advance_to(rank)
        shapes: list[Shape] = []
        for number in bits((self._old.mask | self._new.mask) & overlapping):
            old = self._old.by_shape.get(number, {})
            new = self._new.by_shape.get(number, {})
            parts = dict(old)
            if old != new:
                for key, part in new.items():
                    _add_values(parts, key, part)
            values = list(parts.values())
            if self._old.keeps_values_apart:
                values = unite_values(self.space.pivot_domain, values)
            shapes += self.with_pivot(number, values)
        return shapes

    def with_pivot(self, number: int, parts: Sequence[ValueSet]) -> list[Shape]:
        """Return a shape with each of these values of the pivot."""
        shape = self.space.shapes.all[number]
        pivot = self.space.pivot
        if pivot < 0 or self.space.pivot_domain.all in parts:
            return [shape]
        return [tuple(sorted((*shape, (pivot, part)))) for part in parts]
