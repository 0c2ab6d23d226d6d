"""From pairs of winners to regions under way: what both rules of a pair ask, without what earlier rules take.

Pairs that differ in the value of the pivot alone are one region from the start.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.behaviour.express import sayable, unite
from reconciler.behaviour.near import Near
from reconciler.behaviour.pattern import bits
from reconciler.behaviour.region import Rough
from reconciler.behaviour.shapes import meeting
from reconciler.behaviour.simplify import simplify
from reconciler.behaviour.taken import Taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.pairs import Narrow, Pair, Pairs
    from reconciler.behaviour.shapes import Box, Shape

    Key = tuple[tuple[Destination, Destination], int, int, int]
    """Destinations, both rules' shapes, and the shapes of earlier rules that have something in common with both."""


def common(pairs: Pairs, pair: Pair) -> Box | None:
    """Return what both rules of a pair ask; None where nothing is in both."""
    found: Box | None = {}
    for slices, rank in zip((pairs.old, pairs.new), pair, strict=True):
        if found is not None and rank < len(slices.boxes):
            found = meeting(found, tuple(pairs.space.box(slices.boxes[rank]).items()))
    return found


class Making:
    """Makes regions of the pairs of two lists."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs, self.space = pairs, pairs.space
        self.parts: dict[tuple[int, int, int], tuple[Box, Sequence[Shape]]] = {}

    def roughs(self, without: Collection[int] = ()) -> Iterator[Rough]:
        """Yield the regions of all pairs, simplified, but for those that these new rules take."""
        yield from self.narrow(without)
        yield from (rough for pair, rough in self.wide.items() if pair[1] not in without)

    def narrow(self, without: Collection[int]) -> Iterator[Rough]:
        """Yield regions of pairs about few values: one for those alike but for the value."""
        alike: dict[Key, list[tuple[Pair, Narrow]]] = {}
        for pair, found in self.pairs.narrow.items():
            if pair[1] in without:
                continue
            first, *others = set(found.before.values())
            if others:
                yield self.apart(pair, found)
            else:
                alike.setdefault((self.pairs.goes(pair), *self.shapes_of(pair), first), []).append((pair, found))
        for (_, old, new, before), group in alike.items():
            atoms = sum(1 << atom for _, found in group for atom in found.before)
            if sayable(self.space.pivot_domain, (atoms, 0, 0)):
                box, excepts = self.without_pivot(old, new, before)
                whole = {**box, self.space.pivot: (atoms, 0, 0)}
                yield self.rough([pair for pair, _ in group], whole, excepts, group[0][1].box)
            else:
                yield from (self.apart(pair, found) for pair, found in group)

    def shapes_of(self, pair: Pair) -> tuple[int, int]:
        """Return the shapes of both rules."""
        always = self.space.always.shape
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.boxes[rank].shape if rank < len(slices.boxes) else always for slices, rank in sides)
        return old, new

    def without_pivot(self, old: int, new: int, before: int) -> tuple[Box, Sequence[Shape]]:
        """Return what two shapes have in common without what earlier ones take, simplified."""
        key = (old, new, before)
        if key not in self.parts:
            shapes = self.space.shapes
            box = meeting(dict(shapes.all[old]), shapes.all[new]) or {}
            outer = [one for one in bits(before) if not shapes.covering(one) & before & ~(1 << one)]
            excepts = [shapes.all[number] for number in outer]
            self.parts[key] = simplify(self.space, box, excepts, excepts)
        return self.parts[key]

    def apart(self, pair: Pair, found: Narrow) -> Rough:
        """Return the region of one pair, where what earlier rules take differs by value, or values cannot be said."""
        box = common(self.pairs, pair) or {}
        pivot = (sum(1 << atom for atom in found.before), 0, 0)
        if not sayable(self.space.pivot_domain, pivot):
            excepts = self.taken(Taken(self.pairs.old, self.pairs.new), pair)
            return self.rough([pair], *simplify(self.space, box, excepts), found.box)
        box[self.space.pivot] = pivot
        by_shape: dict[int, int] = {}
        for atom, before in found.before.items():
            for number in bits(before):
                by_shape[number] = by_shape.get(number, 0) | 1 << atom
        taken = Taken(self.pairs.old, self.pairs.new)
        excepts = []
        for number, mask in by_shape.items():
            parts = unite(self.space.pivot_domain, ((1 << atom, 0, 0) for atom in bits(mask)))
            excepts += taken.with_pivot(number, parts)
        return self.rough([pair], *simplify(self.space, box, excepts), found.box)

    @cached_property
    def wide(self) -> dict[Pair, Rough]:
        """The regions of pairs about many values, made in an order in which ranks mostly grow."""
        made: dict[Pair, Rough] = {}
        by_old: dict[int, list[Pair]] = {}
        for pair in sorted(self.pairs.wide):
            by_old.setdefault(pair[0], []).append(pair)
        rising, other = Taken(self.pairs.old, self.pairs.new), Taken(self.pairs.old, self.pairs.new)
        near = Near(self.pairs)
        for group in by_old.values():
            for pair in group:
                box = common(self.pairs, pair) or {}
                pivot = box.get(self.space.pivot, self.space.pivot_domain.all)
                if near.knows(pivot):
                    rules, more = near.before(pair, pivot)
                    box, excepts = simplify(self.space, box, [*rules, *more], rules)
                else:
                    box, excepts = simplify(self.space, box, self.taken(rising if len(group) == 1 else other, pair))
                made[pair] = self.rough([pair], box, excepts, self.pairs.wide[pair])
        return made

    def taken(self, taken: Taken, pair: Pair) -> list[Shape]:
        """Return what earlier rules take of a pair."""
        old, new = self.shapes_of(pair)
        return taken.before(pair, self.space.shapes.overlapping(old) & self.space.shapes.overlapping(new))

    def rough(self, group: Sequence[Pair], box: Box, excepts: Sequence[Shape], example: Box) -> Rough:
        """Return a region of pairs that lead to the same destinations."""
        rules = [self.rules(pair) for pair in group]
        return Rough(box, tuple(excepts), *self.pairs.goes(group[0]), example, rules[0], rules[1:])

    def rules(self, pair: Pair) -> tuple[Entry | None, Entry | None]:
        """Return both rules; None is the default routing."""
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.entries[rank] if rank < len(slices.entries) else None for slices, rank in sides)
        return old, new
