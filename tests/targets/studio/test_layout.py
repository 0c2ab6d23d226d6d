"""A rule that Studio cannot hold is refused with a reason, and equal meanings are stored in one
form.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model.live import marker_digest
from reconciler.core.model.rule import Condition, Target, make_condition, make_opaque
from reconciler.core.target import NotStorableError
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.layout import BlockLayout, find_conflicts, storable_rule
from reconciler.targets.studio.read import read_block
from tests.support.cases import each_case
from tests.support.studio_rules import LAYOUT, entries_of, plain_rule

RULE = plain_rule(1, [])


def refused(attribute: str, operator: str, value: Any) -> str:
    condition = make_condition(attribute, operator, value)
    with pytest.raises(NotStorableError) as caught:
        storable_rule(replace(RULE, conditions=(condition,)), LAYOUT)
    assert caught.value.part == condition
    return str(caught.value)


@each_case(
    "text",
    [
        'a"b',
        "{a",
        "a}",
        "\\",
        "a\nb",
        "\t",
        "\x7f",
        "\x85",
        "a\u2028",
        "\u2029",
        "\ud800",
    ],
)
def test_a_text_that_a_literal_cannot_hold_is_refused(text: str) -> None:
    """In every operator on texts, and in lists."""
    for operator in (
        "equals",
        "notEquals",
        "contains",
        "notContains",
        "startsWith",
        "notStartsWith",
        "in",
        "notIn",
    ):
        message = refused(
            "intent",
            operator,
            ["a", f"x{text}"] if operator.lower().endswith("in") else f"x{text}",
        )
        assert "which a Studio script cannot hold" in message or "empty text" in message


@each_case(
    "attribute, operator, value, message",
    [
        ("intent", "endsWith", "a", "cannot hold `endsWith`"),
        ("intent", "notEndsWith", "a", "cannot hold `notEndsWith`"),
        ("intent", "in", [], "empty list"),
        ("intent", "notIn", [], "empty list"),
        ("intent", "equals", "", "an empty text is a missing value"),
        ("intent", "contains", "", "an empty text is a missing value"),
        ("intent", "notIn", ["a", "  "], "an empty text is a missing value"),
        ("score", "lessThan", float("inf"), "not finite"),
        ("score", "equals", float("nan"), "not finite"),
        ("score", "between", [0, 10**500], "too large"),
        (
            "my intent",
            "exists",
            None,
            'the script variable "my intent", which is not letters',
        ),
        ("ünder", "exists", None, "which is not letters"),
        ("1a", "exists", None, "which is not letters"),
        ("a$", "exists", None, "which is not letters"),
        ("CXR_x", "exists", None, "has a meaning of its own in Studio"),
        ("ContactId", "exists", None, "has a meaning of its own in Studio"),
        ("Select", "exists", None, "has a meaning of its own in Studio"),
    ],
)
def test_a_condition_that_studio_cannot_hold_is_refused(
    attribute: str, operator: str, value: Any, message: str
) -> None:
    """With the condition, and with what to do."""
    assert message in refused(attribute, operator, value)


@each_case(
    "targets, message",
    [
        ((), "this rule has 0 queues"),
        ((Target("1", 0),), "this rule has 0 queues"),
        ((Target("1", 1), Target("2", 2)), "gets 33.33 % of the conversations"),
        ((make_opaque({"type": "skill"}),), "of an unknown type"),
        (tuple(Target(str(number), 1) for number in range(100)), "1 to 50 queues"),
    ],
)
def test_targets_that_studio_cannot_hold_are_refused(
    targets: tuple[Any, ...], message: str
) -> None:
    """Weights are whole percents, ids are numbers."""
    with pytest.raises(NotStorableError, match=re.escape(message)):
        storable_rule(replace(RULE, targets=targets), LAYOUT)


def test_other_parts_that_studio_cannot_hold_are_refused() -> None:
    """A condition of an unknown type, a huge priority; building a rule that is not storable is an
    error, too.
    """
    opaque = replace(RULE, conditions=(make_opaque({"type": "schedule"}),))
    for rule in (
        opaque,
        replace(RULE, priority=1e15),
        replace(RULE, priority=float("nan")),
    ):
        with pytest.raises(NotStorableError):
            storable_rule(rule, LAYOUT)
    for rule in (opaque, replace(RULE, targets=(make_opaque({"type": "x"}),))):
        with pytest.raises(NotStorableError):
            build_block([BlockEntry(rule, None, "", "")], LAYOUT, {})


def test_equal_meanings_have_one_stored_form() -> None:
    """Booleans, integral floats, numbers as text, the order of lists, and weights: one digest."""
    pairs: list[tuple[Condition, Condition]] = [
        (make_condition("a", "equals", True), make_condition("a", "equals", "true")),
        (make_condition("a", "equals", 1.0), make_condition("a", "equals", 1)),
        (make_condition("a", "lessThan", "7e-1"), make_condition("a", "lessThan", 0.7)),
        (
            make_condition("a", "between", ["1", 1e22]),
            make_condition("a", "between", [1, 10**22]),
        ),
        (
            make_condition("a", "in", ["b", "a", "b", False]),
            make_condition("a", "in", ["a", "b", "false"]),
        ),
        (
            make_condition("a", "notIn", [2, 1.0, 1]),
            make_condition("a", "notIn", [1, 2]),
        ),
    ]
    for item, candidate in pairs:
        stored = [
            storable_rule(replace(RULE, conditions=(part,)), LAYOUT)
            for part in (item, candidate)
        ]
        assert len({marker_digest(rule) for rule in stored}) == 1
    weights = [
        (Target("1", 1), Target("2", 3)),
        (Target("2", 15), Target("1", 10), Target("2", 15), Target("3", 0)),
    ]
    stored = [
        storable_rule(replace(RULE, targets=targets), LAYOUT) for targets in weights
    ]
    assert stored[0].targets == stored[1].targets == (Target("1", 25), Target("2", 75))


def test_conflicts_between_rules_are_found() -> None:
    """One attribute as text and as number, and two attributes with one variable, name the later
    rule.
    """
    text = make_condition("a", "contains", "1")
    number = make_condition("a", "lessThan", 1)
    rules = [
        plain_rule(1, [text]),
        plain_rule(2, [make_condition("a", "exists", None)]),
        plain_rule(3, [number]),
    ]
    ((rule, message),) = find_conflicts(rules, LAYOUT)
    assert rule is rules[2]
    assert message.startswith(
        '"a" is compared as a number here and as a text by the rule "rule 1", and Studio may not'
    )
    mixed = plain_rule(1, [make_condition("a", "in", ["x", 1])])
    assert [rule for rule, _ in find_conflicts([mixed], LAYOUT)] == [mixed]
    layout = BlockLayout(owner="o", block="b", variables={"x": "Intent"})
    rules = [
        plain_rule(1, [make_condition("x", "exists", None)]),
        plain_rule(2, [make_condition("intent", "in", ["a"])]),
    ]
    ((rule, message),) = find_conflicts(
        [*rules, replace(rules[1], conditions=(make_opaque({}),))], layout
    )
    assert (rule, message.partition(";")[0]) == (
        rules[1],
        'the attributes "x" and "intent" have one script variable, intent',
    )
    assert find_conflicts(rules[:1] * 2, layout) == ()


def test_kept_lines_have_their_helper_variables() -> None:
    """Lines that are kept as they were read use variables that the block assigns, though a part is
    not understood.
    """
    retained = (
        "  CASE ( ( cxr_isnum_other = 1 ) & ( cxr_num_other > 3 ) ) & ( x = 1 )\n  {\n    IF ( "
        "cxr_split < 2 ) { }\n  }"
    )
    (rule,) = read_block(f"SELECT\n{{\n{retained}\n}}", LAYOUT)
    assert rule.text == retained
    entries = entries_of(
        [plain_rule(5, [make_condition("intent", "exists", None)])], LAYOUT
    )
    entries += [BlockEntry(replace(rule.rule, priority=1), None, "", retained)]
    text = build_block(entries, LAYOUT, {})
    for line in (
        'ASSIGN cxr_text_other$ = "{other}"',
        "ASSIGN cxr_isnum_other = 0",
        "ASSIGN cxr_split = (",
    ):
        assert line in text
    places = [
        text.index(part) for part in ("SELECT", retained, "CASE ( cxr_text_intent$")
    ]
    assert places == sorted(places)


def test_a_kept_line_with_another_spelling_uses_the_one_helper_variable() -> None:
    """Studio does not distinguish upper and lower case in names: a second assignment would count as
    an edit.
    """
    retained = '  CASE ( cxr_text_INTENT$ != "x" )\n  {\n    ASSIGN cxr_skill = 1\n  }'
    (rule,) = read_block(f"SELECT\n{{\n{retained}\n}}", LAYOUT)
    entries = entries_of(
        [plain_rule(5, [make_condition("intent", "equals", "a")])], LAYOUT
    )
    text = build_block(
        [BlockEntry(rule.rule, None, "", rule.text), *entries], LAYOUT, {}
    )
    assert 1 == text.lower().count("assign cxr_text_intent$")
    assert entries[0].rule.conditions in [
        each.rule.conditions for each in read_block(text, LAYOUT)
    ]
