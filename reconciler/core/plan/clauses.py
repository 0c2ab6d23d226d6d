"""Conditions that hold together, or their complements, as one phrase: `"x" or "y", confidence below
0.7`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, cast

from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import (
    BOUNDS,
    OPERATORS,
    POSITIVE_OF_NEGATIVE,
    Value,
)
from reconciler.core.model.rule import Condition, Opaque
from reconciler.core.text.escape import quote, sanitize
from reconciler.core.text.phrases import Labels, range_phrase

# a condition, and whether its complement is meant
_SignedCondition = tuple[Condition, bool]
_Conditions = Sequence[_SignedCondition]
# a condition, and a noun for a list that is cut -> its values in words
_Listed = Callable[..., str]

EVERY_CONVERSATION: Final = "every conversation"
FEW_VALUES: Final = 3  # the longest list that is not cut
_LOWS: Final = {
    name: OPERATORS[name].words for name in BOUNDS if ">" in OPERATORS[name].words
}
_HIGHS: Final = {
    name: OPERATORS[name].words for name in BOUNDS if "<" in OPERATORS[name].words
}


def clauses_phrase(
    clauses: Iterable[Clause], labels: Labels, values: int = FEW_VALUES
) -> str:
    """Return the conversations in words, or `every conversation`; a list of more than `values`
    items is cut.
    """
    return ", ".join(condition_phrases(clauses, labels, values)) or EVERY_CONVERSATION


def condition_phrases(
    clauses: Iterable[Clause], labels: Labels, values: int = FEW_VALUES
) -> tuple[str, ...]:
    """Return the conditions in words, one text for each attribute, the intent first."""
    return tuple(_phrases(clauses, labels, values))


def _phrases(clauses: Iterable[Clause], labels: Labels, values: int) -> Iterator[str]:
    listed = partial(_values, labels, values)
    conditions = [
        (part, negate) for part, negate in clauses if isinstance(part, Condition)
    ]
    order = {name: rank for rank, name in enumerate(labels.short)}
    conditions.sort(key=lambda pair: order.get(pair[0].attribute, len(order)))
    for name, about in group_pairs(
        (pair[0].attribute, pair) for pair in conditions
    ).items():
        short = _intents(listed, about) if labels.is_intent(name) else ""
        yield short or f"{labels.name(name)} {_attribute_phrase(listed, about)}"
    for condition, negate in clauses:
        if isinstance(condition, Opaque):
            yield (
                f"{'unless' if negate else 'if'} {_opaque_phrase(condition)} (not understood "
                f"here)"
            )


def _opaque_phrase(part: Opaque) -> str:
    form = json.loads(part.text)
    name = form.get("attributeName")
    operator = form.get("operator")
    is_condition = (
        form.keys() <= {"type", "attributeName", "operator", "value"}
        and form.get("type") == "attribute"
    )
    if not is_condition or not isinstance(name, str) or not isinstance(operator, str):
        return sanitize(part.text)
    return f"{sanitize(name)} {sanitize(operator)} {quote(form.get('value'))}"


def _intents(listed: _Listed, about: _Conditions) -> str:
    """Return `any intent except "x"`; empty for conditions that have no short form."""
    operators = [(part.operator, negate) for part, negate in about]
    if operators in ([("equals", False)], [("in", False)]):
        return listed(about[0][0], "intents")
    if operators in ([("equals", True)], [("in", True)]):
        return f"any intent except {listed(about[0][0])}, or none"
    if operators in (
        [("exists", False), ("equals", True)],
        [("exists", False), ("in", True)],
    ):
        return f"any intent except {listed(about[1][0])}"
    if operators in ([("exists", False)], [("notExists", False)]):
        return "any intent" if operators[0][0] == "exists" else "no intent"
    return ""


def _attribute_phrase(listed: _Listed, about: _Conditions) -> str:
    """Return `below 0.7 (or not known)`: not known is an attribute that is missing or, for a bound,
    not a number.
    """
    maybe_missing = all(
        negate and part.operator != "notExists" for part, negate in about
    )
    bounds = [
        pair
        for pair in about
        if _operator(pair) in {**_LOWS, **_HIGHS} and (maybe_missing or not pair[1])
    ]
    others = (_phrase(listed, pair) for pair in about if pair not in bounds)
    phrase = " and ".join([*_range(bounds), *others])
    return f"{phrase} (or not known)" if maybe_missing else phrase


def _operator(pair: _SignedCondition) -> str:
    """Return the operator of a bound: for numbers, the complement of `>= 0.7` is `< 0.7`."""
    part, negate = pair
    return OPERATORS[part.operator].complement if negate else part.operator


def _range(bounds: Sequence[_SignedCondition]) -> Iterator[str]:
    ends = {_operator(pair): pair[0].value for pair in bounds}
    low_sign, low = _end(ends, _LOWS)
    high_sign, high = _end(ends, _HIGHS)
    if low_sign or high_sign:
        yield range_phrase(low, low_sign, high, high_sign)


def _end(
    ends: Mapping[str, Value], signs: Mapping[str, str]
) -> tuple[str, float | None]:
    """Return the sign and the value of the first of these bounds; no sign without one."""
    for operator, sign in signs.items():
        if operator in ends:
            return sign, cast("float", ends[operator])
    return "", None


def _phrase(listed: _Listed, pair: _SignedCondition) -> str:
    part, negate = pair
    positive = POSITIVE_OF_NEGATIVE.get(part.operator, part.operator)
    denied = negate is not (positive != part.operator)
    if positive in ("equals", "in"):
        return f"other than {listed(part)}" if denied else listed(part)
    if positive == "contains" and part.value == "":
        if part.operator == "notContains":  # present, and not a text
            return "not a number" if negate else "any number"
        return "not a text" if denied else "any text"
    if positive in ("exists", "notExists"):
        return "known" if (positive == "exists") is not denied else "not known"
    if part.operator in BOUNDS:
        phrase = next(_range([(part, False)]))
    else:
        phrase = OPERATORS[positive].phrase.format(*map(quote, part.values))
    return f"not {phrase}" if denied else phrase


def _values(labels: Labels, limit: int, part: Condition, noun: str = "") -> str:
    """Return the values of `equals` or `in`."""
    return labels.values_phrase(part.attribute, part.values, limit, noun)
