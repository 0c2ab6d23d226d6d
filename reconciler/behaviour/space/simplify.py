"""A box with exceptions, simplified: exceptions on one attribute alone are folded into the box's own values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from reconciler.behaviour.space.boxes import Box, Shape
from reconciler.behaviour.space.clauses import is_expressible
from reconciler.behaviour.space.domain import REST, Domain, ValueSet, covers, intersect, subtract
from reconciler.behaviour.space.space import Space

MAX_COMPARISONS: Final = 10_000


def simplify(space: Space, box: Box, excepts: Sequence[Shape], apart: Sequence[Shape] = ()) -> tuple[Box, list[Shape]]:
    """Return the box with exceptions on one attribute folded in, and the other exceptions that are not superfluous."""
    # Of the exceptions in `apart` none lies in another one.
    box = dict(box)
    apart_ids = {id(shape) for shape in apart}
    unchanged: list[Shape] = []
    while True:
        remaining, alone = _partition_exceptions((_trim_to_box(space, box, shape) for shape in excepts), apart_ids)
        changed = set()
        for attribute, parts in alone.items():
            values = box.get(attribute, space.domains[attribute].all)
            box[attribute], still = _subtract_expressible(space.domain(attribute), values, parts)
            remaining += [((attribute, part),) for part in still]
            if box[attribute] != values:
                changed.add(attribute)
        excepts = []
        for shape in remaining:
            (unchanged if changed.isdisjoint(attribute for attribute, _ in shape) else excepts).append(shape)
        if not excepts:
            return box, _drop_contained(unchanged, apart_ids)


def _partition_exceptions(
    shapes: Iterable[Shape | None], disjoint_ids: Collection[int]
) -> tuple[list[Shape], dict[int, list[ValueSet]]]:
    """Return the distinct exceptions on several attributes, and the values of those on one, by attribute."""
    several: list[Shape] = []
    alone: dict[int, list[ValueSet]] = {}
    distinct: set[Shape] = set()
    for shape in shapes:
        if shape is None:
            continue
        if id(shape) not in disjoint_ids:  # disjoint shapes need no comparison, which takes long
            if shape in distinct:
                continue
            distinct.add(shape)
        if len(shape) == 1:
            alone.setdefault(shape[0][0], []).append(shape[0][1])
        else:
            several.append(shape)
    return several, alone


def _trim_to_box(space: Space, box: Box, shape: Shape) -> Shape | None:
    """Return the conditions of an exception beyond the box; None where they have nothing in common."""
    items = []
    same = True
    for item in shape:
        attribute, part = item
        values = box.get(attribute)
        if values is None:  # a condition of the rule itself
            items.append(item)
            continue
        common = intersect(values, part)
        if not common[0]:
            return None
        if common == values:
            same = False
        elif common == part:
            items.append(item)
        else:
            # Inside the box both mean the same; a pattern or a complement is shorter as the rule has it.
            as_in_rule = common[0] & REST or not is_expressible(space.domains[attribute], common)
            same = same and bool(as_in_rule)
            items.append((attribute, part if as_in_rule else common))
    return shape if same else tuple(items)


def _subtract_expressible(domain: Domain, values: ValueSet, parts: list[ValueSet]) -> tuple[ValueSet, list[ValueSet]]:
    """Return values without parts, as far as conditions can express the result, and the parts still in them."""
    remaining, still = _subtract_all(domain, values, parts)
    if is_expressible(domain, remaining):
        return remaining, still
    remaining, still = values, []
    for part in parts:
        less, again = _subtract_all(domain, remaining, (part,))
        if again or not is_expressible(domain, less):
            still.append(part)
        else:
            remaining = less
    return remaining, still


def _subtract_all(domain: Domain, values: ValueSet, parts: Iterable[ValueSet]) -> tuple[ValueSet, list[ValueSet]]:
    still = []
    for part in parts:
        pieces = subtract(domain, values, part)
        if len(pieces) == 1:
            values = pieces[0]
        elif pieces:
            still.append(part)
    return values, still


def _drop_contained(excepts: Sequence[Shape], apart: Collection[int]) -> list[Shape]:
    """Return the exceptions that do not lie in another one; of very many, all distinct ones."""
    outer = list(dict.fromkeys(shape for shape in excepts if id(shape) not in apart))
    excepts = [*(shape for shape in excepts if id(shape) in apart), *outer]
    if len(outer) * len(excepts) > MAX_COMPARISONS:
        return sorted(excepts)
    parts_of = [(shape, dict(shape)) for shape in excepts]
    return sorted(
        shape
        for shape, parts in parts_of
        if not any(other is not shape and _is_contained(parts, other) for other in outer)
    )


def _is_contained(inner: Mapping[int, ValueSet], outer: Shape) -> bool:
    if len(outer) > len(inner):
        return False
    for attribute, part in outer:  # the hottest loop of a difference: a generator costs a fifth of it
        inner_part = inner.get(attribute)
        if inner_part is None or not covers(part, inner_part):
            return False
    return True
