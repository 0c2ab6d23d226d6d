"""Rules, and the equality of two rules."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from reconciler.core.model.live import marker_digest
from reconciler.core.model.rule import (
    Condition,
    Opaque,
    Target,
    canonical_json,
    make_condition,
    make_opaque,
    normalized_conditions,
    parse_number,
    sorted_targets,
    to_api_json,
)
from tests.support.builders import at_least, intent_is, rule
from tests.support.cases import each_case


@each_case(
    "one, other",
    [
        (("a", "equals", 1), ("a", "equals", 1.0)),
        (("a", "equals", True), ("a", "equals", "true")),
        (("a", "in", ["x", "y", "x"]), ("a", "in", ["y", "x"])),
        (("a", "greaterThan", "0.50"), ("a", "greaterThan", 0.5)),
        (("a", "between", ["0", 1]), ("a", "between", [0, 1.0])),
        (("a", "exists", True), ("a", "exists", None)),
    ],
)
def test_conditions_of_equal_meaning_are_equal(
    one: tuple[str, str, object], other: tuple[str, str, object]
) -> None:
    """Numbers compare as numbers, values of `in` as a set, booleans as their texts."""
    assert make_condition(*one) == make_condition(*other)


@each_case(
    "one, other",
    [
        (("a", "equals", 1), ("a", "equals", "1")),
        (("a", "equals", 1), ("a", "equals", True)),
        (("a", "equals", "x"), ("a", "notEquals", "x")),
        (("a", "equals", "x"), ("b", "equals", "x")),
        (("a", "equals", "x"), ("a", "equals", "X")),
        (("a", "between", [0, 1]), ("a", "between", [1, 0])),
    ],
)
def test_conditions_of_different_meaning_differ(
    one: tuple[str, str, object], other: tuple[str, str, object]
) -> None:
    """A text never equals a number, case matters, and the ends of a range are not a set."""
    assert make_condition(*one) != make_condition(*other)


@each_case(
    "operator, value, why",
    [
        ("equals", None, "must be text, a number, true or false"),
        ("equals", ["x"], "must be text, a number, true or false"),
        ("in", "x", "must be a list"),
        ("contains", 5, "must be text (quote a number to compare it as text)"),
        ("greaterThan", "much", "must be a number"),
        ("greaterThan", True, "must be a number"),
        ("between", [1], "must be two numbers, [lowest, highest]"),
        ("matches", "x", "unknown operator 'matches'"),
    ],
)
def test_a_meaningless_value_is_refused_with_the_reason(
    operator: str, value: object, why: str
) -> None:
    """The ValueError has a readable reason."""
    with pytest.raises(ValueError, match=r".+") as refused:
        make_condition("a", operator, value)
    assert why == str(refused.value)


@each_case(
    "text", ["1e999", "9" * 5000, "010", "+1", ".5", "1.", "0x10", "١", "NaN", ""]
)
def test_only_finite_numbers_of_json_grammar_are_numbers(text: str) -> None:
    """Every other text is refused, and fast for any length."""
    with pytest.raises(ValueError, match=r"^"):
        parse_number(text)


def test_the_order_of_parts_makes_no_difference() -> None:
    """Conditions are a set; targets are a multiset."""
    first = intent_is("x")
    second = at_least(0.5)
    assert normalized_conditions([first, second]) == normalized_conditions(
        [second, first, second]
    )
    item = Target("a", 1)
    two = Target("b", 2)
    assert sorted_targets([item, two]) == sorted_targets([two, item])
    assert sorted_targets([item, item, two]) != sorted_targets([item, two])


def test_equal_sets_have_one_order() -> None:
    """Two conditions on one attribute are sorted by their meaning, not by the order of their
    lists.
    """
    item = normalized_conditions(
        [
            make_condition("a", "notIn", ["z", "b"]),
            make_condition("a", "notIn", ["c", "d"]),
        ]
    )
    candidate = normalized_conditions(
        [
            make_condition("a", "notIn", ["b", "z"]),
            make_condition("a", "notIn", ["d", "c"]),
        ]
    )
    assert item == candidate


def test_the_canonical_json_follows_the_specification() -> None:
    """Keys sorted, no spaces, 1.0 as 1, conditions and targets sorted, no fields that the server
    adds.
    """
    subject = rule(
        "Überweisung",
        priority=10.0,
        conditions=[
            at_least(1.0),
            make_condition("cognigyDetectedIntent", "in", ["b", "a"]),
        ],
        targets=[Target("q2", 1.5), Target("q1", 2.0)],
    )
    form = {
        "conditions": sorted(
            [
                {
                    "type": "attribute",
                    "attributeName": "cognigyConfidence",
                    "operator": "greaterThanOrEqual",
                    "value": 1,
                },
                {
                    "type": "attribute",
                    "attributeName": "cognigyDetectedIntent",
                    "operator": "in",
                    "value": ["b", "a"],
                },
            ],
            key=lambda item: json.dumps(item, sort_keys=True),
        ),
        "description": "Routes Überweisung",
        "enabled": True,
        "name": "Überweisung",
        "priority": 10,
        "targets": [
            {"queueId": "q1", "type": "queue", "weight": 2},
            {"queueId": "q2", "type": "queue", "weight": 1.5},
        ],
    }
    expected = json.dumps(form, sort_keys=True, separators=(",", ":"))
    assert expected == canonical_json(subject)
    assert sha256(expected.encode()).hexdigest()[:8] == marker_digest(subject)


def test_the_api_form_is_the_form_of_the_manifest() -> None:
    """A condition is sent to the server as it is in the manifest."""
    assert {
        "type": "attribute",
        "attributeName": "a",
        "operator": "in",
        "value": ["y", True, 1.0],
    } == to_api_json(make_condition("a", "in", ["y", True, 1.0]))
    assert {
        "type": "attribute",
        "attributeName": "a",
        "operator": "exists",
    } == to_api_json(make_condition("a", "exists", True))
    assert {"type": "queue", "queueId": "q", "weight": 2} == to_api_json(Target("q", 2))


def test_opaque_parts_compare_by_their_canonical_json() -> None:
    """Key order and 1.0 for 1 make no difference, and the JSON is kept."""
    assert make_opaque({"b": [1.0], "a": 2}) == make_opaque({"a": 2.0, "b": [1]})
    assert {"a": 2, "b": [1]} == to_api_json(make_opaque({"b": [1.0], "a": 2}))
    assert isinstance(make_opaque({}), Opaque)
    assert not isinstance(make_opaque({}), Condition)
