"""Which queues a conversation goes to: the simulator's own reading of its rules (semantics S1 to S11).

Written to be read beside that page, rule by rule, and to share nothing with the analysis that it checks.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = Any  # any JSON value

QueueShares = dict[str, Fraction]
"""Queue id (or the JSON of a target of unknown type) to its share; shares add up to 1. Empty: no positive weight."""

_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NEGATIVE_OPERATORS: Final = {
    "notEquals": "equals",
    "notIn": "in",
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}
_POSITIVE_OPERATORS: Final = frozenset(
    {*_NEGATIVE_OPERATORS.values(), "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between"}
)


class SimulatedConditionError(Exception):
    """A condition that is not understood decides, and nobody said whether it holds. `text` is its JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


def queue_shares(
    rules: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    evaluation: Literal["lowest-first", "highest-first"] = "lowest-first",
    opaque: Mapping[str, bool] | None = None,
) -> QueueShares | None:
    """Return the split that a conversation with these attributes gets; None for the default routing.

    `opaque` says for each condition that is not understood, by `opaque_text`, whether it holds (S11). Raises
    OpaqueConditionError where it does not say and that decides.
    """
    rule = find_winner(rules, attributes, evaluation, opaque)
    return None if rule is None else rule_shares(rule)


def find_winner(
    rules: Iterable[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    evaluation: Literal["lowest-first", "highest-first"] = "lowest-first",
    opaque: Mapping[str, bool] | None = None,
) -> Mapping[str, Any] | None:
    """Return the first enabled rule whose conditions all hold (S1, S2); where even names are equal, by id."""
    sign = 1 if evaluation == "lowest-first" else -1
    enabled = [rule for rule in rules if rule["enabled"]]
    for rule in sorted(enabled, key=lambda rule: (sign * rule["priority"], rule["name"], rule["id"])):
        if _matches(rule["conditions"], attributes, opaque or {}):
            return rule
    return None


def rule_shares(rule: Mapping[str, Any]) -> QueueShares:
    """Return a rule's split (S10): weights of one queue added, zero ones dropped, the rest over their sum."""
    weights: QueueShares = {}
    for target in rule["targets"]:
        queue = target["queueId"] if target.get("type") == "queue" else opaque_text(target)
        weights[queue] = weights.get(queue, Fraction(0)) + _exact(target.get("weight", 1))
    total = sum(weights.values())
    return {queue: weight / total for queue, weight in weights.items() if weight > 0}


def condition_holds(condition: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Tell whether a condition that is understood holds."""
    value = _canonical(attributes.get(condition["attributeName"]))
    operator = condition["operator"]
    if operator == "notExists":
        return value is None
    if value is None:
        return False  # S3: nothing else holds on a missing attribute
    if operator == "exists":
        return True
    if operator in _NEGATIVE_OPERATORS:
        return not _positive(_NEGATIVE_OPERATORS[operator], value, condition["value"])  # S6
    return _positive(operator, value, condition["value"])


def opaque_text(opaque: Mapping[str, Any]) -> str:
    """Return the JSON by which a condition or target that is not understood is known: keys sorted, no spaces."""
    return json.dumps(opaque, sort_keys=True, separators=(",", ":"))


def _is_opaque(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") != "attribute" or (
        condition.get("operator") not in _POSITIVE_OPERATORS
        and condition.get("operator") not in _NEGATIVE_OPERATORS
        and condition.get("operator") not in ("exists", "notExists")
    )


def _matches(
    conditions: Iterable[Mapping[str, Any]], attributes: Mapping[str, Any], opaque: Mapping[str, bool]
) -> bool:
    unknown = []
    for condition in conditions:
        text = opaque_text(condition) if _is_opaque(condition) else ""
        if text and text not in opaque:
            unknown.append(text)
        elif not (opaque[text] if text else condition_holds(condition, attributes)):
            return False
    if unknown:
        raise SimulatedConditionError(unknown[0])
    return True


def _positive(operator: str, value: str | Fraction, wanted: Json) -> bool:
    if operator == "equals":
        return _equal(value, wanted)
    if operator == "in":
        return any(_equal(value, one) for one in wanted)
    if operator in ("contains", "startsWith", "endsWith"):
        return isinstance(value, str) and _pattern(operator, value, wanted)
    if isinstance(value, str):
        return False  # S5: numeric operators work on numbers alone
    if operator == "between":
        low, high = (_number(one) for one in wanted)
        return low <= value <= high  # S7
    return _ordered(operator, value, _number(wanted))


def _pattern(operator: str, value: str, wanted: str) -> bool:
    if operator == "contains":
        return wanted in value
    return value.startswith(wanted) if operator == "startsWith" else value.endswith(wanted)


def _ordered(operator: str, value: Fraction, wanted: Fraction) -> bool:
    if operator == "greaterThan":
        return value > wanted
    if operator == "greaterThanOrEqual":
        return value >= wanted
    return value < wanted if operator == "lessThan" else value <= wanted


def _equal(value: str | Fraction, wanted: object) -> bool:
    """S4: text and numbers never equal each other; 1 equals 1.0."""
    return value == _canonical(wanted)


def _canonical(value: Json) -> str | Fraction | None:
    """S4: booleans are the texts true and false; numbers are exact."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _exact(value) if isinstance(value, (int, float)) else cast("str | None", value)


def _number(wanted: str | float) -> Fraction:
    """S9: a text that holds a decimal number means that number."""
    if isinstance(wanted, str) and not _DECIMAL.fullmatch(wanted):
        raise ValueError(f"{wanted!r} is no decimal number")
    return _exact(wanted)


@lru_cache(4096)
def _exact(value: str | float) -> Fraction:
    """Read a number as it is written: 0.7 is seven tenths, whatever binary makes of it."""
    return Fraction(str(value))
