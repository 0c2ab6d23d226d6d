"""The simulator's evaluation against semantics "Evaluation", line by line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.support.cases import each_case
from tests.support.simulated import stored
from tests.support.simulated_routing import (
    SimulatedConditionError,
    condition_holds,
    opaque_text,
    queue_shares,
    rule_shares,
)


def condition(operator: str, value: Any = None) -> dict[str, Any]:
    """Return a condition on the attribute `a`."""
    return {
        "type": "attribute",
        "attributeName": "a",
        "operator": operator,
        "value": value,
    }


def route(
    number: int, queue: str, *conditions: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Return a rule of one queue."""
    target = {"type": "queue", "queueId": queue, "weight": 1}
    return stored(
        number,
        **{
            "conditions": list(conditions),
            "targets": [target],
            "priority": number,
            **more,
        },
    )


ONE = Fraction(1)
GONE = object()

HOLDS = [
    # S3: missing, negative operators included
    *[
        (item, "x", GONE, False)
        for item in ("equals", "notEquals", "contains", "notContains", "startsWith")
    ],
    ("notIn", ["x"], GONE, False),
    ("greaterThan", 1, GONE, False),
    ("exists", None, GONE, False),
    ("notExists", None, GONE, True),
    ("notEquals", "x", None, False),
    ("notExists", None, None, True),
    ("notExists", None, "", False),
    ("exists", None, "", True),
    # S4: text and numbers, booleans are texts, 1 equals 1.0
    ("equals", "1", 1, False),
    ("equals", 1, "1", False),
    ("equals", 1, 1.0, True),
    ("equals", 1, True, False),
    ("equals", True, "true", True),
    ("equals", "false", False, True),
    ("in", [1, "x"], 1.0, True),
    ("in", ["1"], 1, False),
    ("in", [], "x", False),
    # S5: wrong type is false for a positive operator
    ("contains", "1", 10, False),
    ("startsWith", "t", True, True),
    ("greaterThan", 1, "2", False),
    ("between", [0, 1], "0.5", False),
    # S6: a negative operator is the complement where the attribute is there
    ("notContains", "1", 10, True),
    ("notEquals", "1", 1, True),
    ("notIn", [], "x", True),
    ("notIn", ["x", 1], 1, False),
    ("notStartsWith", "ab", "abc", False),
    ("notEndsWith", "bc", "abc", False),
    ("notEndsWith", "ab", "abc", True),
    # S7: both ends, and lo > hi never holds
    ("between", [0.2, 0.7], 0.2, True),
    ("between", [0.2, 0.7], 0.7, True),
    ("between", [0.2, 0.7], 0.71, False),
    ("between", [0.7, 0.2], 0.5, False),
    # S8: case, blanks, accents
    ("equals", "x", "X", False),
    ("equals", "x", " x", False),
    ("equals", "\u00e9", "e\u0301", False),
    ("contains", "", "x", True),
    ("startsWith", "ab", "abc", True),
    ("endsWith", "bc", "abc", True),
    # S9: a text that holds a decimal number means that number
    ("greaterThanOrEqual", "0.7", 0.7, True),
    ("lessThanOrEqual", "7e-1", 0.7, True),
    ("greaterThan", 0.7, 0.7, False),
    ("lessThan", 0.7, 0.69, True),
    ("lessThan", 0.7, 0.7, False),
    ("greaterThan", "-1", 0, True),
    ("between", ["0.1", 0.3], 0.3, True),
]


@each_case("operator, wanted, value, expected", HOLDS)
def test_each_operator_follows_the_semantics(
    operator: str,
    wanted: Any,
    value: Any,
    expected: bool,  # noqa: FBT001 - the table's last column
) -> None:
    """S3 to S9, one case per line."""
    attributes = {} if value is GONE else {"a": value}
    assert expected == condition_holds(condition(operator, wanted), attributes)


@each_case("wanted", ["x", "", "1.", "01", "0x1", "1e", "NaN", " 1"])
def test_other_text_is_not_a_number(wanted: str) -> None:
    """S9: any other text there is invalid."""
    with pytest.raises(ValueError, match="is not a decimal number"):
        condition_holds(condition("greaterThan", wanted), {"a": 1})


def test_the_first_enabled_rule_by_priority_decides() -> None:
    """S1, S2: lowest first in any list order; disabled rules do not match; a rule without
    conditions always matches.
    """
    rules = [
        route(3, "all"),
        route(2, "x", condition("equals", "x")),
        route(1, "off", enabled=False),
        route(9, "never", condition("equals", "x")),
    ]
    assert {"x": ONE} == queue_shares(rules, {"a": "x"})
    assert {"all": ONE} == queue_shares(rules, {"a": "y"})
    assert {"never": ONE} == queue_shares(rules, {"a": "x"}, "highest-first")
    assert {"all": ONE} == queue_shares(rules, {}, "highest-first")
    assert queue_shares(rules[1:], {"a": "y"}) is None
    assert queue_shares([], {}) is None


def test_all_conditions_must_hold() -> None:
    """A rule with one condition that fails does not match."""
    rules = [route(1, "q", condition("startsWith", "a"), condition("endsWith", "z"))]
    assert ({"q": ONE}, None) == (
        queue_shares(rules, {"a": "az"}),
        queue_shares(rules, {"a": "ab"}),
    )


@pytest.mark.parametrize("evaluation", ["lowest-first", "highest-first"])
def test_equal_priorities_are_ordered_by_name(evaluation: Any) -> None:
    """S1: by ascending name in code-point order, in both directions of priority: Z before a."""
    rules = [route(1, "a", name="a", priority=5), route(2, "Z", name="Z", priority=5.0)]
    assert {"Z": ONE} == queue_shares(rules, {}, evaluation)


def test_a_split_is_normalised() -> None:
    """S10: weights of a queue add up, zero ones are dropped, shares are exact; no positive weight
    is an empty split.
    """

    def weighed(*pairs: tuple[str, float]) -> dict[str, Fraction]:
        return rule_shares(
            {
                "targets": [
                    {"type": "queue", "queueId": q, "weight": w} for q, w in pairs
                ]
            }
        )

    assert {"a": ONE} == weighed(("a", 7)) == weighed(("a", 1), ("b", 0))
    assert {"a": Fraction(2, 3), "b": Fraction(1, 3)} == weighed(
        ("a", 0.1), ("b", 0.1), ("a", 0.1)
    )
    assert {} == weighed(("a", 0)) == weighed()
    assert queue_shares([route(1, "q", targets=[])], {}) == {}


def test_an_unknown_condition_holds_as_specified() -> None:
    """S11: one truth value for each distinct text; without it, only a case that it decides is an
    error.
    """
    odd = {
        "type": "attribute",
        "attributeName": "a",
        "operator": "matches",
        "value": "x",
    }
    again = dict(reversed(odd.items()))
    rules = [
        route(1, "odd", odd, condition("startsWith", "a")),
        route(2, "too", again),
        route(3, "rest"),
    ]
    text = opaque_text(odd)
    assert {"odd": ONE} == queue_shares(rules, {"a": "ab"}, opaque={text: True})
    assert {"too": ONE} == queue_shares(rules, {"a": "b"}, opaque={text: True})
    assert {"rest": ONE} == queue_shares(rules, {"a": "ab"}, opaque={text: False})
    assert {"rest": ONE} == queue_shares(rules[::2], {"a": "b"})
    with pytest.raises(SimulatedConditionError) as caught:
        queue_shares(rules, {"a": "ab"})
    assert text == caught.value.text


def test_an_unknown_type_of_condition_or_target_is_opaque() -> None:
    """S11: a condition of another type is opaque; a target of another type is a separate
    destination.
    """
    with pytest.raises(SimulatedConditionError):
        queue_shares([route(1, "q", {"type": "schedule", "id": "s1"})], {})
    skill = {"type": "skill", "skillId": "s1"}
    assert {opaque_text(skill): ONE} == queue_shares(
        [route(1, "q", targets=[skill])], {}
    )
