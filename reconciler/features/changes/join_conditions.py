"""The conditions of several rules on one attribute -> conditions for all their values. Pure.

The result may hold for further values: whether that moves a conversation is proven elsewhere.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final

from reconciler.core.model.operators import (
    BOUNDS,
    POSITIVE_OF_NEGATIVE,
    Scalar,
    operators_of,
)
from reconciler.core.model.rule import Condition, canonical_scalar, make_condition

_NEGATIVE: Final = operators_of("equality", "set") & POSITIVE_OF_NEGATIVE.keys()
_POSITIVE: Final = operators_of("equality", "set") - _NEGATIVE
_LOWER: Final = ("greaterThanOrEqual", "greaterThan")  # the weaker one first
_UPPER: Final = ("lessThanOrEqual", "lessThan")


def join_conditions(
    rules: Sequence[Sequence[Condition]],
) -> tuple[Condition, ...] | None:
    """Return conditions that hold where those of one of the rules hold; None if no simple ones do.

    All are about one attribute. A rule without a condition holds everywhere, and so does the result.
    """
    if not all(rules):
        return ()
    operators = {part.operator for parts in rules for part in parts}
    if operators <= BOUNDS:
        return _join_bounds(rules)
    if any(len(parts) > 1 for parts in rules):
        return None
    conditions = [parts[0] for parts in rules]
    if operators <= _POSITIVE:
        return _one_condition(conditions, "in", _union(conditions))
    if operators <= _NEGATIVE:
        return _one_condition(conditions, "notIn", _intersection(conditions))
    return None


def _one_condition(
    conditions: Sequence[Condition], operator: str, values: Sequence[Scalar]
) -> tuple[Condition, ...] | None:
    if not values:
        return None
    return (make_condition(conditions[0].attribute, operator, list(values)),)


def _union(conditions: Iterable[Condition]) -> list[Scalar]:
    """Return the values of all conditions, in order, as they are written."""
    values: dict[str, Scalar] = {}
    for condition in conditions:
        for value in _written(condition):
            values.setdefault(_key(value), value)
    return list(values.values())


def _intersection(conditions: Sequence[Condition]) -> list[Scalar]:
    """Return the values that all conditions have, in order, as the first one writes them."""
    first, *others = conditions
    common = [{_key(value) for value in _written(condition)} for condition in others]
    return [
        value
        for value in _written(first)
        if all(_key(value) in keys for keys in common)
    ]


def _written(condition: Condition) -> tuple[Scalar, ...]:
    value = condition.raw_value
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)


def _key(value: Scalar) -> str:
    """Return what equal values have in common: True == 1 in Python, and "true" in rules."""
    canonical = canonical_scalar(value)
    return repr(float(canonical)) if not isinstance(canonical, str) else repr(canonical)


def _join_bounds(rules: Sequence[Sequence[Condition]]) -> tuple[Condition, ...]:
    """Return the lowest lower bound and the highest upper bound; none where a rule has none."""
    lower = [_of_side(parts, _LOWER) for parts in rules]
    upper = [_of_side(parts, _UPPER) for parts in rules]
    joined = []
    if all(lower):
        joined.append(reduce(_lower_bound, map(_strictest_lower, lower)))
    if all(upper):
        joined.append(reduce(_higher_bound, map(_strictest_upper, upper)))
    return tuple(joined)


def _of_side(parts: Iterable[Condition], operators: Sequence[str]) -> list[Condition]:
    return [part for part in parts if part.operator in operators]


def _strictest_lower(parts: Sequence[Condition]) -> Condition:
    return max(parts, key=lambda part: _position(part, _LOWER))


def _strictest_upper(parts: Sequence[Condition]) -> Condition:
    return min(parts, key=lambda part: _position(part, _UPPER[::-1]))


def _lower_bound(first: Condition, second: Condition) -> Condition:
    return min(first, second, key=lambda part: _position(part, _LOWER))


def _higher_bound(first: Condition, second: Condition) -> Condition:
    return max(first, second, key=lambda part: _position(part, _UPPER[::-1]))


def _position(part: Condition, operators: Sequence[str]) -> tuple[float, int]:
    """Return where a bound is: by its number, and of equal numbers by its operator."""
    (number,) = part.values
    return float(number), operators.index(part.operator)
