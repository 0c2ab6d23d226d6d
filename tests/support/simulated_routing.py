"""The queues of a conversation: a separate evaluation of a tenant's rules (semantics S1 to S11).

Compare it with that page, rule by rule. It shares nothing with the analysis that it checks.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal, cast

Json = Any  # any JSON value

QueueShares = dict[str, Fraction]
"""Shares, which add up to 1, by queue id (or JSON of a target of unknown type).

Empty: no positive weight.
"""
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NEGATIVE_OPERATORS: Final = {
    "notEquals": "equals",
    "notIn": "in",
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}
_TEXT_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_ORDERS: Final[Mapping[str, Callable[[Fraction, Fraction], bool]]] = {
    "greaterThan": operator.gt,
    "greaterThanOrEqual": operator.ge,
    "lessThan": operator.lt,
    "lessThanOrEqual": operator.le,
}
_OPERATORS: Final = frozenset(
    {
        *_NEGATIVE_OPERATORS,
        *_NEGATIVE_OPERATORS.values(),
        *_ORDERS,
        "between",
        "exists",
        "notExists",
    }
)


class SimulatedConditionError(Exception):
    """A condition of unknown type decides, and its result is not given. `text` is its JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


def queue_shares(
    rules: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    evaluation: Literal["lowest-first", "highest-first"] = "lowest-first",
    opaque: Mapping[str, bool] | None = None,
) -> QueueShares | None:
    """Return the split for a conversation with these attributes, or None for the default routing.

    `opaque` has the results of conditions of unknown type, by `opaque_text` (S11). Raises
    SimulatedConditionError if such a condition decides and has no result.
    """
    rule = find_winner(rules, attributes, evaluation, opaque)
    return None if rule is None else rule_shares(rule)


def find_winner(
    rules: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    evaluation: Literal["lowest-first", "highest-first"] = "lowest-first",
    opaque: Mapping[str, bool] | None = None,
) -> Mapping[str, Any] | None:
    """Return the first enabled rule whose conditions all hold (S1, S2); ids order rules of one
    name.
    """
    sign = 1 if evaluation == "lowest-first" else -1
    enabled = [rule for rule in rules if rule["enabled"]]
    for rule in sorted(
        enabled, key=lambda rule: (sign * rule["priority"], rule["name"], rule["id"])
    ):
        if _matches(rule["conditions"], attributes, opaque or {}):
            return rule
    return None


def rule_shares(rule: Mapping[str, Any]) -> QueueShares:
    """Return a rule's split (S10): add the weights of each queue, drop zeros, divide by their
    sum.
    """
    weights: QueueShares = {}
    for target in rule["targets"]:
        queue = (
            target["queueId"] if target.get("type") == "queue" else opaque_text(target)
        )
        weights[queue] = weights.get(queue, Fraction(0)) + _exact(
            target.get("weight", 1)
        )
    total = sum(weights.values())
    return {queue: weight / total for queue, weight in weights.items() if weight > 0}


def condition_holds(
    condition: Mapping[str, Any], attributes: Mapping[str, Any]
) -> bool:
    """Return whether a condition of known type holds."""
    value = _canonical(attributes.get(condition["attributeName"]))
    name: str = condition["operator"]
    if name in ("exists", "notExists"):
        return (value is None) == (name == "notExists")
    if value is None:
        return False  # S3: other operators do not hold on a missing attribute
    if name in _NEGATIVE_OPERATORS:
        return not _positive(_NEGATIVE_OPERATORS[name], value, condition["value"])  # S6
    return _positive(name, value, condition["value"])


def opaque_text(opaque: Mapping[str, Any]) -> str:
    """Return the JSON that identifies a condition or target of unknown type: keys sorted, no
    spaces.
    """
    return json.dumps(opaque, sort_keys=True, separators=(",", ":"))


def _matches(
    conditions: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    opaque: Mapping[str, bool],
) -> bool:
    unknown = []
    for condition in conditions:
        is_opaque = (
            condition.get("type") != "attribute"
            or condition.get("operator") not in _OPERATORS
        )
        text = opaque_text(condition) if is_opaque else ""
        if text and text not in opaque:
            unknown.append(text)
        elif not (opaque[text] if text else condition_holds(condition, attributes)):
            return False
    if unknown:
        raise SimulatedConditionError(unknown[0])
    return True


def _positive(name: str, value: str | Fraction, operand: Json) -> bool:
    if name == "equals":
        # S4: text and numbers never equal each other; 1 equals 1.0
        return value == _canonical(operand)
    if name == "in":
        return any(value == _canonical(item) for item in operand)
    if name in _TEXT_OPERATORS:
        return isinstance(value, str) and _TEXT_OPERATORS[name](value, operand)
    if isinstance(value, str):
        return False  # S5: numeric operators work only on numbers
    if name == "between":
        low, high = map(_number, operand)
        return low <= value <= high  # S7
    return _ORDERS[name](value, _number(operand))


def _canonical(value: Json) -> str | Fraction | None:
    # S4: booleans are the texts true and false; numbers are exact
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        _exact(value) if isinstance(value, (int, float)) else cast("str | None", value)
    )


def _number(operand: str | float) -> Fraction:
    if isinstance(operand, str) and not _DECIMAL.fullmatch(operand):
        raise ValueError(f"{operand!r} is not a decimal number")
    return _exact(operand)  # S9: the text of a decimal number means that number


@lru_cache(4096)
def _exact(value: str | float) -> Fraction:
    return Fraction(str(value))  # as written: 0.7 is seven tenths
