"""Conversations in words: conditions that hold together, and complements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.rule import make_condition, make_opaque
from reconciler.core.plan.clauses import clauses_phrase
from reconciler.core.text.phrases import ALL_VALUES
from tests.support.builders import LABELS
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS

INTENT, CONFIDENCE = LABELS.short


def is_so(attribute: str, operator: str, value: Any = None) -> Clause:
    return Clause(make_condition(attribute, operator, value))


def is_not_so(attribute: str, operator: str, value: Any = None) -> Clause:
    return Clause(make_condition(attribute, operator, value), negate=True)


STRANGE = make_opaque(
    {
        "type": "attribute",
        "attributeName": "words",
        "operator": "matchesRegex",
        "value": "x|y",
    }
)
SCHEDULE = make_opaque({"type": "schedule", "name": "nights"})

PHRASES: list[tuple[list[Clause], str]] = [
    ([], "every conversation"),
    ([is_so(INTENT, "equals", "pin")], "pin"),
    ([is_so(INTENT, "in", ["a", "b", "c"])], "a, b or c"),
    ([is_so(INTENT, "in", [f"i{n}" for n in range(4)])], "i0, i1 and 2 more intents"),
    (
        [is_so(INTENT, "in", [f"i{n:02}" for n in range(20)])],
        "i00, i01 and 18 more intents",
    ),
    (
        [is_not_so(INTENT, "in", ["a", "b", "c", "d"])],
        "any intent except a, b and 2 more, or none",
    ),
    ([is_so("tier", "in", ["a", "b", "c", "d", "e"])], "tier a, b and 3 more"),
    ([is_so(INTENT, "exists")], "any intent"),
    ([is_so(INTENT, "notExists")], "no intent"),
    ([is_not_so(INTENT, "equals", "pin")], "any intent except pin, or none"),
    (
        [is_so(INTENT, "exists"), is_not_so(INTENT, "in", ["a", "b"])],
        "any intent except a or b",
    ),
    ([is_so(INTENT, "startsWith", "card")], 'intent starting with "card"'),
    (
        [is_so(INTENT, "contains", "card"), is_not_so(INTENT, "endsWith", "?")],
        'intent containing "card" and not ending with "?"',
    ),
    (
        [is_so(CONFIDENCE, "greaterThanOrEqual", 0.7), is_so(INTENT, "equals", "pin")],
        "pin, confidence 0.7 or more",
    ),
    ([is_so(CONFIDENCE, "greaterThan", 0.7)], "confidence above 0.7"),
    ([is_so(CONFIDENCE, "lessThanOrEqual", 0.7)], "confidence 0.7 or less"),
    (
        [
            is_so(CONFIDENCE, "greaterThanOrEqual", 0.5),
            is_so(CONFIDENCE, "lessThan", 0.7),
        ],
        "confidence 0.5 to 0.7",
    ),
    (
        [
            is_so(CONFIDENCE, "greaterThanOrEqual", 0),
            is_so(CONFIDENCE, "lessThanOrEqual", 1),
        ],
        "confidence 0 to 1 included",
    ),
    (
        [is_so(CONFIDENCE, "greaterThan", 0.5), is_so(CONFIDENCE, "lessThan", 0.7)],
        "confidence above 0.5 to 0.7",
    ),
    ([is_so(CONFIDENCE, "equals", 0.7)], "confidence 0.7"),
    ([is_so(CONFIDENCE, "notExists")], "confidence not known"),
    ([is_so(CONFIDENCE, "exists")], "confidence known"),
    (
        [is_not_so(CONFIDENCE, "greaterThanOrEqual", 0.7)],
        "confidence below 0.7 (or not known)",
    ),
    (
        [is_not_so(CONFIDENCE, "greaterThan", 0.7)],
        "confidence 0.7 or less (or not known)",
    ),
    ([is_not_so(CONFIDENCE, "lessThan", 0.4)], "confidence 0.4 or more (or not known)"),
    (
        [is_not_so(CONFIDENCE, "lessThanOrEqual", 0.4)],
        "confidence above 0.4 (or not known)",
    ),
    (
        [
            is_so(CONFIDENCE, "greaterThan", 0.1),
            is_not_so(CONFIDENCE, "between", [0.5, 0.6]),
        ],
        "confidence above 0.1 and not from 0.5 to 0.6",
    ),
    (
        [is_not_so(CONFIDENCE, "between", [0.5, 0.6])],
        "confidence not from 0.5 to 0.6 (or not known)",
    ),
    ([is_so("tier", "in", ["gold", "platinum"])], "tier gold or platinum"),
    (
        [is_not_so("tier", "in", ["gold", "platinum"])],
        "tier other than gold or platinum (or not known)",
    ),
    ([is_not_so("tier", "notEquals", "gold")], "tier gold (or not known)"),
    ([is_so("tier", "notEquals", "gold")], "tier other than gold"),
    ([is_so("tier", "notContains", "o")], 'tier not containing "o"'),
    ([is_not_so("tier", "contains", "")], "tier not a text (or not known)"),
    ([is_so("tier", "contains", "")], "tier any text"),
    ([is_so("tier", "notContains", "")], "tier any number"),
    ([is_not_so("tier", "notContains", "")], "tier not a number (or not known)"),
    ([Clause(STRANGE)], 'if words matchesRegex "x|y" (not understood here)'),
    (
        [Clause(STRANGE, negate=True)],
        'unless words matchesRegex "x|y" (not understood here)',
    ),
    (
        [Clause(SCHEDULE)],
        'if {"name":"nights","type":"schedule"} (not understood here)',
    ),
]


@each_case("clauses, phrase", PHRASES)
def test_phrases(clauses: list[Clause], phrase: str) -> None:
    """Intents first, by name only; "not known" only if a missing attribute is included."""
    assert phrase == clauses_phrase(clauses, LABELS)


GROUPS = replace(
    LABELS,
    groups={INTENT: {"Cards": frozenset("abcd")}, "tier": {"Best": frozenset("gp")}},
)


@each_case(
    "clauses, phrase",
    [
        ([is_so(INTENT, "in", [*"abcd"])], "Cards"),
        (
            [is_so(INTENT, "in", [*"abcde"]), is_so("tier", "in", ["g", "p"])],
            "Cards or e, tier Best",
        ),
        ([is_so(INTENT, "in", [*"abcdefg"])], "a, b and 5 more intents"),
        (
            [is_so(INTENT, "exists"), is_not_so(INTENT, "in", [*"abcd"])],
            "any intent except Cards",
        ),
        ([is_not_so("tier", "in", ["g", "p"])], "tier other than Best (or not known)"),
        ([is_so("tier", "notIn", ["g", "p", "x"])], "tier other than Best or x"),
        ([is_so("tier", "in", ["a", "b", "c"])], "tier a, b or c"),
        ([is_so("tier", "equals", "g")], "tier g"),
    ],
)
def test_whole_groups_are_named(clauses: list[Clause], phrase: str) -> None:
    """Those of the attribute alone. The full list has each value."""
    assert phrase == clauses_phrase(clauses, GROUPS)
    assert "Cards" not in clauses_phrase(clauses, GROUPS, ALL_VALUES)
    assert "more" not in clauses_phrase(clauses, GROUPS, ALL_VALUES)


@each_case("hostile", HOSTILE_TEXTS)
def test_names_from_outside_are_escaped(hostile: str) -> None:
    """Attributes and values of any operator are escaped, on one line."""
    for operator in ("equals", "contains"):
        text = clauses_phrase(
            [is_so(hostile, operator, hostile), is_not_so(INTENT, operator, hostile)],
            LABELS,
        )
        assert CONTROL_CHARACTERS.search(text) is None
        assert "\n" not in text
    strange = make_opaque(
        {
            "type": hostile,
            "attributeName": hostile,
            "operator": hostile,
            "value": [hostile],
        }
    )
    assert CONTROL_CHARACTERS.search(clauses_phrase([Clause(strange)], LABELS)) is None
