"""Values as readable conditions (those of the API, or their complements), and boxes with few and
short exceptions.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Final, NamedTuple

from reconciler.core.behaviour.space.attribute_index import bit_runs
from reconciler.core.behaviour.space.boxes import Box, Shape
from reconciler.core.behaviour.space.domain import (
    FIRST_TEXT,
    MISSING,
    REST,
    Domain,
    ValueSet,
    covers,
    intersect,
    subtract,
)
from reconciler.core.behaviour.space.patterns import bits, union
from reconciler.core.behaviour.space.space import FAILS, HOLDS, OpaqueDomain, Space
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Condition, Json, Opaque, make_condition

_MAX_LISTED_NUMBERS = 1_000  # single numbers in one list


class Clause(NamedTuple):
    """A condition of the API, or (`negate`) its plain complement, which a missing attribute
    satisfies.
    """

    condition: Condition | Opaque
    negate: bool = False


def clause_values(domain: Domain, clause: Clause) -> ValueSet:
    """Return the values for which a clause on an attribute holds."""
    if isinstance(clause.condition, Opaque):
        return FAILS if clause.negate else HOLDS
    values = domain.values_for(clause.condition)
    if not clause.negate:
        return values
    # at most one: a condition has at most one pattern
    pieces = subtract(domain, domain.all, values)
    return pieces[0] if pieces else (0, 0, 0)


def express_values(domain: Domain, part: ValueSet) -> tuple[Clause, ...]:
    """Return conditions that together express exactly a part that `is_expressible`."""
    if part == domain.all:
        return ()
    if isinstance(domain, OpaqueDomain):
        return (Clause(domain.condition, part != HOLDS),)
    return tuple(_express_clauses(domain, part))


def is_expressible(domain: Domain, part: ValueSet) -> bool:
    """Return whether conditions express exactly this part; fast for most parts."""
    if part == domain.all:
        return True
    atoms, yes, no = part
    if not atoms & REST:
        # a list of values
        if atoms & domain.text_mask and not atoms & domain.number_mask:
            return True
    elif not domain.number_mask:  # the values that patterns leave, except for some
        required, denied = domain.patterns.minimal_patterns(yes, no)
        return not atoms & ~_matching_atoms(domain, required, denied)
    result = domain.expressible.get(part)
    if result is None:
        clauses = _express_clauses(domain, part)
        values = reduce(
            intersect, (clause_values(domain, clause) for clause in clauses), domain.all
        )
        result = domain.expressible[part] = covers(values, part) and covers(
            part, values
        )
    return result


def _matching_atoms(
    domain: Domain,
    required: Iterable[int],
    denied: Iterable[int],
) -> int:
    """Return the atoms of all values with the required patterns and without the denied ones."""
    atoms = domain.all[0]
    for number in required:
        atoms &= domain.pattern_atoms[number] | REST
    for number in denied:
        atoms &= ~domain.pattern_atoms[number]
    return atoms


def unite_values(domain: Domain, parts: Iterable[ValueSet]) -> list[ValueSet]:
    """Return expressible parts, mostly one, that together hold the values of all of these."""
    result: list[ValueSet] = []
    for (yes, no), alike in group_pairs((part[1:], part) for part in parts).items():
        united = (union(part[0] for part in alike), yes, no)
        result += (
            alike if len(alike) > 1 and not is_expressible(domain, united) else [united]
        )
    return result


def _express_clauses(domain: Domain, part: ValueSet) -> Iterator[Clause]:
    atoms = part[0]
    if atoms == MISSING:
        yield _make_clause(domain, "notExists", None)
    elif atoms & REST:
        yield from _open_set_clauses(domain, part)
    elif atoms & domain.text_mask or _are_named_numbers(domain, atoms):
        values = _named_values(domain, atoms & ~MISSING)
        operator, operand = _list_operator(values)
        if not atoms & MISSING:
            yield _make_clause(domain, operator, operand)
        else:
            yield _make_negated_clause(
                domain,
                {"equals": "notEquals", "in": "notIn"}[operator],
                operand,
            )
    else:
        yield from _number_clauses(domain, atoms)


def _open_set_clauses(domain: Domain, part: ValueSet) -> Iterator[Clause]:
    """Yield the clauses of a part with unnamed texts: their patterns, and the excluded values."""
    atoms, yes, no = part
    required, denied = domain.patterns.minimal_patterns(yes, no)
    for number in required:
        yield _make_clause(domain, *domain.patterns.all[number])
    for number in denied:
        yield _make_negated_clause(domain, *domain.patterns.all[number])
    excluded = _matching_atoms(domain, required, denied) & ~atoms
    texts = _named_values(domain, excluded & domain.text_mask & ~REST)
    numbers = excluded & domain.number_mask
    if numbers != domain.number_mask or not numbers:
        if excluded & MISSING:
            yield _make_clause(domain, "exists", None)
        yield from _excluded_range_clauses(domain, numbers)
    elif excluded & MISSING:
        yield _make_clause(domain, "contains", "")
    else:
        yield _make_negated_clause(domain, "notContains", "")
    if texts:
        yield _make_negated_clause(domain, *_list_operator(texts))


def _list_operator(values: list[Json]) -> tuple[str, Json]:
    return ("equals", values[0]) if len(values) == 1 else ("in", values)


def _are_named_numbers(domain: Domain, atoms: int) -> bool:
    """Return whether all numbers are single ones that rules name, and few enough for a list."""
    numbers = atoms & domain.number_mask
    return numbers.bit_count() <= _MAX_LISTED_NUMBERS and all(
        domain.interval(atom)[2] for atom in bits(numbers)
    )


def _named_values(domain: Domain, atoms: int) -> list[Json]:
    """Return the named values among the atoms; ranges of numbers have no name."""
    values: list[Json] = []
    for atom in bits(atoms):
        if atom < domain.first_number:
            values.append(domain.texts[atom - FIRST_TEXT])
        else:
            low, _, named = domain.interval(atom)
            values += [low] if named else []
    return values


def _number_clauses(domain: Domain, atoms: int) -> Iterator[Clause]:
    """Yield the clauses of ranges of numbers, with or without "missing"."""
    numbers = atoms & domain.number_mask
    if atoms & MISSING:
        if domain.text_mask:
            yield _make_negated_clause(domain, "contains", "")
        yield from _excluded_range_clauses(domain, domain.number_mask & ~numbers)
        return
    first, last = _hull(numbers)
    yield from bound_clauses(domain, first, last) or [_any_number_clause(domain)]
    inside = domain.number_mask & ((1 << last + 1) - (1 << first))
    yield from _excluded_range_clauses(domain, inside & ~numbers)


def _any_number_clause(domain: Domain) -> Clause:
    return (
        _make_clause(domain, "notContains", "")
        if domain.text_mask
        else _make_clause(domain, "exists", None)
    )


def _hull(numbers: int) -> tuple[int, int]:
    return (numbers & -numbers).bit_length() - 1, numbers.bit_length() - 1


def bound_clauses(domain: Domain, first: int, last: int) -> list[Clause]:
    """Return the clauses, at most two, for the numbers from one atom to another."""
    # The lowest and the highest number that the attribute can have need no bound.
    low, _, from_named = domain.interval(first)
    _, high, to_named = domain.interval(last)
    if low is not None and from_named and low == high:
        return [_make_clause(domain, "equals", low)]
    lowest, highest = _hull(domain.number_mask)
    clauses = []
    if low is not None and first != lowest:
        clauses.append(
            _make_clause(
                domain,
                "greaterThanOrEqual" if from_named else "greaterThan",
                low,
            )
        )
    if high is not None and last != highest:
        clauses.append(
            _make_clause(domain, "lessThanOrEqual" if to_named else "lessThan", high)
        )
    return clauses


def _excluded_range_clauses(domain: Domain, numbers: int) -> Iterator[Clause]:
    """Yield one complement for each run of these atoms: a number is in none of them."""
    for first, last in number_runs(domain, numbers):
        bounds = bound_clauses(domain, first, last)
        if not bounds:  # every number
            yield _any_number_clause(domain)._replace(negate=True)
        elif len(bounds) == 1:
            yield bounds[0]._replace(negate=True)
        else:
            low = domain.interval(first)[0]
            high = domain.interval(last)[1]
            yield _make_negated_clause(domain, "between", [low, high])


def number_runs(domain: Domain, numbers: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last atom of each run; atoms without a number are part of the run around
    them.
    """
    gaps = (
        (1 << domain.first_number + 2 * len(domain.numbers) + 1)
        - (1 << domain.first_number)
    ) & ~domain.number_mask
    for first, last in bit_runs(numbers | gaps):
        run = numbers & ((1 << last + 1) - (1 << first))
        if run:
            yield _hull(run)


def _make_clause(domain: Domain, operator: str, value: Json) -> Clause:
    return Clause(make_condition(domain.attribute, operator, value))


def _make_negated_clause(domain: Domain, operator: str, value: Json) -> Clause:
    return _make_clause(domain, operator, value)._replace(negate=True)


MAX_COMPARISONS: Final = 10_000


def simplify(
    space: Space,
    box: Box,
    excepts: Sequence[Shape],
    apart: Sequence[Shape] = (),
) -> tuple[Box, list[Shape]]:
    """Return the box with exceptions on one attribute folded in, and the other exceptions that are
    not superfluous.
    """
    # No exception in `apart` is contained in another one.
    box = dict(box)
    apart_ids = {id(shape) for shape in apart}
    unchanged: list[Shape] = []
    while True:
        trimmed = (_trim_to_box(space, box, shape) for shape in excepts)
        remaining, alone = _partition_exceptions(trimmed, apart_ids)
        before = dict(box)
        remaining += _fold_into_box(space, box, alone)
        changed = {
            attribute
            for attribute in alone
            if box[attribute] != before.get(attribute, space.domains[attribute].all)
        }
        excepts = []
        for shape in remaining:
            is_unchanged = changed.isdisjoint(attribute for attribute, _ in shape)
            (unchanged if is_unchanged else excepts).append(shape)
        if not excepts:
            return box, _drop_contained(unchanged, apart_ids)


def _fold_into_box(
    space: Space,
    box: Box,
    alone: Mapping[int, list[ValueSet]],
) -> list[Shape]:
    """Take the parts of single attributes out of the box, and return those still in it."""
    remaining: list[Shape] = []
    for attribute, parts in alone.items():
        domain = space.domains[attribute]
        values = box.get(attribute, domain.all)
        box[attribute], still = _subtract_expressible(domain, values, parts)
        remaining += [((attribute, part),) for part in still]
    return remaining


def _partition_exceptions(
    shapes: Iterable[Shape | None], disjoint_ids: Collection[int]
) -> tuple[list[Shape], dict[int, list[ValueSet]]]:
    """Return the distinct exceptions on several attributes, and the values of those on one, by
    attribute.
    """
    several: list[Shape] = []
    alone: dict[int, list[ValueSet]] = {}
    distinct: set[Shape] = set()
    for shape in shapes:
        if shape is None:
            continue
        # disjoint shapes need no comparison, which takes long
        if id(shape) not in disjoint_ids:
            if shape in distinct:
                continue
            distinct.add(shape)
        if len(shape) == 1:
            alone.setdefault(shape[0][0], []).append(shape[0][1])
        else:
            several.append(shape)
    return several, alone


def _trim_to_box(space: Space, box: Box, shape: Shape) -> Shape | None:
    """Return the conditions of an exception beyond the box; None where they have nothing in
    common.
    """
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
            # Inside the box both mean the same; a pattern or a complement is shorter as in the
            # rule.
            as_in_rule = common[0] & REST or not is_expressible(
                space.domains[attribute], common
            )
            same = same and bool(as_in_rule)
            items.append((attribute, part if as_in_rule else common))
    return shape if same else tuple(items)


def _subtract_expressible(
    domain: Domain,
    values: ValueSet,
    parts: list[ValueSet],
) -> tuple[ValueSet, list[ValueSet]]:
    """Return values without parts, as far as conditions can express the result, and the parts still
    in them.
    """
    remaining, still = _subtract_all(domain, values, parts)
    if is_expressible(domain, remaining):
        return remaining, still
    remaining = values
    still = []
    for part in parts:
        less, again = _subtract_all(domain, remaining, (part,))
        if again or not is_expressible(domain, less):
            still.append(part)
        else:
            remaining = less
    return remaining, still


def _subtract_all(
    domain: Domain,
    values: ValueSet,
    parts: Iterable[ValueSet],
) -> tuple[ValueSet, list[ValueSet]]:
    still = []
    for part in parts:
        pieces = subtract(domain, values, part)
        if len(pieces) == 1:
            values = pieces[0]
        elif pieces:
            still.append(part)
    return values, still


def _drop_contained(excepts: Sequence[Shape], apart: Collection[int]) -> list[Shape]:
    """Return the exceptions that are not contained in another one; of very many, all distinct
    ones.
    """
    outer = list(dict.fromkeys(shape for shape in excepts if id(shape) not in apart))
    excepts = [*(shape for shape in excepts if id(shape) in apart), *outer]
    if len(outer) * len(excepts) > MAX_COMPARISONS:
        return sorted(excepts)
    parts_of = [(shape, dict(shape)) for shape in excepts]
    return sorted(
        shape
        for shape, parts in parts_of
        if not any(
            other is not shape and _is_contained(parts, other) for other in outer
        )
    )


def _is_contained(inner: Mapping[int, ValueSet], outer: Shape) -> bool:
    if len(outer) > len(inner):
        return False
    # the hottest loop of a difference: a generator costs a fifth of it
    for (
        attribute,
        part,
    ) in outer:
        inner_part = inner.get(attribute)
        if inner_part is None or not covers(part, inner_part):
            return False
    return True
