"""A box without exceptions, made simple: what one takes on one attribute alone is folded into the box's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.space.clauses import is_expressible
from reconciler.behaviour.space.domain import REST, Domain, ValueSet, covers, intersect, subtract

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reconciler.behaviour.space.boxes import Box, Shape
    from reconciler.behaviour.space.space import OpaqueDomain, Space


MAX_COMPARISONS: Final = 10_000


def simplify(
    space: Space, box: Box, excepts: Sequence[Shape], apart: Collection[Shape] = ()
) -> tuple[Box, list[Shape]]:
    """Fold exceptions on one attribute into the box, and leave out what says nothing.

    Of the exceptions that are among `apart` none lies in another.
    """
    box = dict(box)
    known = {id(shape) for shape in apart}
    unchanged: list[Shape] = []
    while True:
        kept, alone = _partition_exceptions((_trim_to_box(space, box, shape) for shape in excepts), known)
        changed = set()
        for attribute, parts in alone.items():
            whole = box.get(attribute, space.domains[attribute].all)
            box[attribute], still = _subtract_expressible(space.domain(attribute), whole, parts)
            kept += [((attribute, part),) for part in still]
            if box[attribute] != whole:
                changed.add(attribute)
        excepts = []
        for shape in kept:
            (unchanged if changed.isdisjoint(attribute for attribute, _ in shape) else excepts).append(shape)
        if not excepts:
            return box, _drop_contained(unchanged, known)


def _partition_exceptions(
    shapes: Iterable[Shape | None], disjoint_ids: Collection[int]
) -> tuple[list[Shape], dict[int, list[ValueSet]]]:
    """Part what is left of exceptions, each once: those on several attributes, and those on one alone, by attribute."""
    several: list[Shape] = []
    alone: dict[int, list[ValueSet]] = {}
    seen: set[Shape] = set()
    for shape in shapes:
        if shape is None:
            continue
        if id(shape) not in disjoint_ids:  # those that are known to lie apart need no comparison, which is long
            if shape in seen:
                continue
            seen.add(shape)
        if len(shape) == 1:
            alone.setdefault(shape[0][0], []).append(shape[0][1])
        else:
            several.append(shape)
    return several, alone


def _trim_to_box(space: Space, box: Box, shape: Shape) -> Shape | None:
    """Return what an exception asks beyond the box; None where it has nothing in common with it."""
    found = []
    same = True
    for asked in shape:
        attribute, part = asked
        here = box.get(attribute)
        if here is None:  # a condition of the rule itself
            found.append(asked)
            continue
        common = intersect(here, part)
        if not common[0]:
            return None
        if common == here:
            same = False
        elif common == part:
            found.append(asked)
        else:
            said = _shorter_values(space.domains[attribute], part, common)
            same = same and said is part
            found.append((attribute, said))
    return shape if same else tuple(found)


def _shorter_values(domain: Domain | OpaqueDomain, values: ValueSet, common: ValueSet) -> ValueSet:
    """Return what an exception asks, or just what it has in common with the region: inside that both mean one.

    A pattern or a complement is shorter as it was asked than with all that the region leaves out.
    """
    return values if common[0] & REST or not is_expressible(domain, common) else common


def _subtract_expressible(
    domain: Domain, values: ValueSet, parts: Sequence[ValueSet]
) -> tuple[ValueSet, list[ValueSet]]:
    """Take parts out of a whole, as far as conditions can say what is left; return that, and the parts still in it."""
    left, still = _subtract_all(domain, values, parts)
    if is_expressible(domain, left) or len(parts) == 1:
        return (left, still) if is_expressible(domain, left) else (values, list(parts))
    left, still = values, []
    for part in parts:
        less, again = _subtract_all(domain, left, (part,))
        if again or not is_expressible(domain, less):
            still.append(part)
        else:
            left = less
    return left, still


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
    """Leave out exceptions that lie in another one; where there are very many to compare with, all stay.

    Of equal ones, which may come about one after the other, one stays.
    """
    outer = list(dict.fromkeys(shape for shape in excepts if id(shape) not in apart))
    excepts = [*(shape for shape in excepts if id(shape) in apart), *outer]
    if len(outer) * len(excepts) > MAX_COMPARISONS:
        return sorted(excepts)
    asked = [(shape, dict(shape)) for shape in excepts]
    return sorted(
        shape
        for shape, parts in asked
        if not any(other is not shape and _is_contained(parts, other) for other in outer)
    )


def _is_contained(inner: Mapping[int, ValueSet], outer: Shape) -> bool:
    if len(outer) > len(inner):
        return False
    for attribute, part in outer:
        here = inner.get(attribute)
        if here is None or not covers(part, here):
            return False
    return True
