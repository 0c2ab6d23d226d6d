"""The conditions of several rules on one attribute -> conditions for all their values. Pure.

The result may hold for further values: whether that moves a conversation is proven elsewhere.
"""

from collections.abc import Iterable, Sequence
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
_LOWER: Final = frozenset({"greaterThanOrEqual", "greaterThan"})
_UPPER: Final = frozenset({"lessThanOrEqual", "lessThan"})
_RISING: Final = ("greaterThanOrEqual", "lessThan", "lessThanOrEqual", "greaterThan")
"""The bounds at one number: where their values begin or end, from the lowest to the highest."""


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
    lower = [[part for part in parts if part.operator in _LOWER] for parts in rules]
    upper = [[part for part in parts if part.operator in _UPPER] for parts in rules]
    joined = []
    if all(lower):
        strictest = [max(parts, key=_position) for parts in lower]
        joined.append(min(strictest, key=_position))
    if all(upper):
        strictest = [min(parts, key=_position) for parts in upper]
        joined.append(max(strictest, key=_position))
    return tuple(joined)


def _position(part: Condition) -> tuple[float, int]:
    """Return where a bound is: by its number, and of equal numbers by its operator."""
    (number,) = part.values
    return float(number), _RISING.index(part.operator)
