"""What the rules before a rank take, by shape: the exceptions of a rule about many values of the pivot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.express import unite
from reconciler.behaviour.pattern import bits

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.pairs import Pair
    from reconciler.behaviour.shapes import Shape
    from reconciler.behaviour.slices import Slices

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
