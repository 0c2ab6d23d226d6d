"""Regions: conversations whose destination changes, made few and readable.

A region begins as all that two rules have in common, without what earlier rules take. What an earlier rule takes on
one attribute alone is folded into the region's own values; regions that differ in one attribute alone become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.behaviour.domain import REST, covers, meet, minus
from reconciler.behaviour.express import Clause, express, sayable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.domain import Domain, Part
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.shapes import Box, Shape
    from reconciler.behaviour.space import Example, Space, Unknown

MOST_COMPARED = 60


@dataclass(frozen=True, slots=True)
class Region:
    """Conversations for which all of `where` and no whole list of `excepts` holds: they go from `before` to `after`.

    `example` is one of them; `before_rule` and `after_rule` take it (None: the default routing). The other rules that
    take conversations of the region are among `before_rules` and `after_rules`.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    before: Destination
    after: Destination
    example: Example
    before_rule: Entry | None
    after_rule: Entry | None
    before_rules: tuple[Entry | None, ...]
    after_rules: tuple[Entry | None, ...]


@dataclass(slots=True)
class Rough:
    """A region under way: a box without other boxes, and which rules take its conversations before and after."""

    box: Box
    excepts: tuple[Shape, ...]
    before: Destination
    after: Destination
    example: Box
    rules: tuple[Entry | None, Entry | None]
    others: list[tuple[Entry | None, Entry | None]] = field(default_factory=list)
    kind: int = 0
    """A number that regions of equal destinations and exceptions share."""


def simplify(space: Space, box: Box, excepts: Sequence[Shape]) -> tuple[Box, list[Shape]]:
    """Fold exceptions on one attribute into the box, and leave out what says nothing."""
    box = dict(box)
    while True:
        beyond = dict.fromkeys(_beyond(space, box, shape) for shape in excepts)
        beyond.pop(None, None)
        alone: dict[int, list[Part]] = {}
        kept: list[Shape] = []
        for shape in beyond:
            if shape is not None and len(shape) == 1:
                alone.setdefault(shape[0][0], []).append(shape[0][1])
            elif shape is not None:
                kept.append(shape)
        changed = False
        for attribute, parts in alone.items():
            whole = box.get(attribute, space.domains[attribute].all)
            left, still = _without(space.domain(attribute), whole, parts)
            kept += [((attribute, part),) for part in still]
            box[attribute], changed = left, changed or left != whole
        excepts = kept
        if not changed:
            return box, _largest(excepts)


def _beyond(space: Space, box: Box, shape: Shape) -> Shape | None:
    """Return what an exception asks beyond the box; None where it has nothing in common with it."""
    found = []
    for attribute, part in shape:
        here = box.get(attribute, space.domains[attribute].all)
        common = meet(here, part)
        if not common[0]:
            return None
        if common != here:
            found.append((attribute, _shorter(space.domains[attribute], part, common)))
    return tuple(found)


def _shorter(domain: Domain | Unknown, asked: Part, common: Part) -> Part:
    """Return what an exception asks, or just what it has in common with the region: inside that both mean one.

    A pattern or a complement is shorter as it was asked than with all that the region leaves out.
    """
    return asked if common[0] & REST or not sayable(domain, common) else common


def _without(domain: Domain, whole: Part, parts: Sequence[Part]) -> tuple[Part, list[Part]]:
    """Take parts out of a whole, as far as conditions can say what is left; return that, and the parts still in it."""
    left, still = _taken_out(domain, whole, parts)
    if sayable(domain, left) or len(parts) == 1:
        return (left, still) if sayable(domain, left) else (whole, list(parts))
    left, still = whole, []
    for part in parts:
        less, again = _taken_out(domain, left, (part,))
        if again or not sayable(domain, less):
            still.append(part)
        else:
            left = less
    return left, still


def _taken_out(domain: Domain, left: Part, parts: Iterable[Part]) -> tuple[Part, list[Part]]:
    still = []
    for part in parts:
        pieces = minus(domain, left, part)
        if len(pieces) == 1:
            left = pieces[0]
        elif pieces:
            still.append(part)
    return left, still


def _largest(excepts: Sequence[Shape]) -> list[Shape]:
    """Leave out exceptions that lie in another one; where there are very many, all stay."""
    if len(excepts) > MOST_COMPARED:
        return sorted(excepts)
    asked = [(shape, dict(shape)) for shape in excepts]
    return sorted(
        shape for shape, parts in asked if not any(other is not shape and _inside(parts, other) for other in excepts)
    )


def _inside(inner: Mapping[int, Part], outer: Shape) -> bool:
    if len(outer) > len(inner):
        return False
    for attribute, part in outer:
        here = inner.get(attribute)
        if here is None or not covers(part, here):
            return False
    return True


def merge(space: Space, roughs: Iterable[Rough]) -> list[Rough]:
    """Make one of regions between the same destinations that differ in one attribute alone, again and again."""
    left = list(roughs)
    kinds: dict[object, int] = {}
    for rough in left:  # exceptions may be long, so they are compared once
        rough.kind = kinds.setdefault((rough.before, rough.after, rough.excepts), len(kinds))
    before = len(left) + 1
    while len(left) < before:
        before = len(left)
        used = sorted({attribute for rough in left for attribute in rough.box})
        for attribute in sorted(used, key=lambda number: number != space.pivot):
            left = _merged(space, left, attribute)
    return left


def _merged(space: Space, roughs: Sequence[Rough], attribute: int) -> list[Rough]:
    every = space.domains[attribute].all
    groups: dict[object, list[Rough]] = {}
    for rough in roughs:
        others = frozenset(item for item in rough.box.items() if item[0] != attribute)
        groups.setdefault((rough.kind, others), []).append(rough)
    found: list[Rough] = []
    for group in groups.values():
        found += [group[0]] if len(group) == 1 else _joined(space, group, attribute, every)
    return found


def _joined(space: Space, group: Sequence[Rough], attribute: int, every: Part) -> list[Rough]:
    """Join the regions of one group, as far as conditions can say what becomes of them."""
    whole = _unions(space, group, attribute, every)
    if whole is not None:
        return [_one(group, attribute, whole)]
    first, found = group[0], []
    for rough in group[1:]:
        part = _unions(space, (first, rough), attribute, every)
        if part is None:
            found.append(rough)
        else:
            first = _one((first, rough), attribute, part)
    return [first, *found]


def _unions(space: Space, group: Sequence[Rough], attribute: int, every: Part) -> Part | None:
    atoms, yes, no = 0, 0, 0
    for rough in group:
        part = rough.box.get(attribute, every)
        if part[0] & REST:
            if atoms & REST:
                return None
            yes, no = part[1], part[2]
        atoms |= part[0]
    return (atoms, yes, no) if sayable(space.domains[attribute], (atoms, yes, no)) else None


def _one(group: Sequence[Rough], attribute: int, part: Part) -> Rough:
    first = group[0]
    others = [*first.others, *(pair for rough in group[1:] for pair in (rough.rules, *rough.others))]
    box = {**first.box, attribute: part}
    return Rough(box, first.excepts, first.before, first.after, first.example, first.rules, others, first.kind)


class Finish:
    """Regions under way -> regions: what was said once of a part is not worked out again."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._said: dict[tuple[int, Part], tuple[Clause, ...]] = {}

    def region(self, rough: Rough) -> Region:
        """Return the region as conditions, with its example as a conversation."""
        pairs = [rough.rules, *rough.others]
        return Region(
            self.clauses(tuple(rough.box.items())),
            tuple(self.clauses(shape) for shape in rough.excepts),
            rough.before,
            rough.after,
            self.space.example(rough.example),
            *rough.rules,
            tuple(dict.fromkeys(before for before, _ in pairs)),
            tuple(dict.fromkeys(after for _, after in pairs)),
        )

    def clauses(self, shape: Shape) -> tuple[Clause, ...]:
        """Return a box as conditions, the pivot's first."""
        ordered = sorted(shape, key=lambda asked: (asked[0] != self.space.pivot, asked[0]))
        found: list[Clause] = []
        for asked in ordered:
            said = self._said.get(asked)
            if said is None:
                said = self._said[asked] = self._clauses(*asked)
            found += said
        return tuple(found)

    def _clauses(self, attribute: int, part: Part) -> tuple[Clause, ...]:
        said = express(self.space.domains[attribute], part)
        if said is None:
            raise AssertionError(f"no conditions say {part} of {self.space.domains[attribute].attribute}")
        return said
