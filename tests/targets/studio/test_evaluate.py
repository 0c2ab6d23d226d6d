"""A block decides as the rules do, in every dialect; and the language is evaluated as it is
documented.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    destination_of,
    order_entries,
)
from reconciler.core.model.rule import Rule, make_condition
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.language import SnippetError, parse_snippet
from reconciler.targets.studio.layout import BlockLayout, storable_rule
from tests.support.cases import each_case
from tests.support.studio_rules import (
    HIGHEST_FIRST,
    LAYOUT,
    STRICT,
    block_of,
    conversation,
    domain_rule,
    plain_rule,
)
from tests.tiers import FULL, size

DIALECTS = possible_dialects({})
CONVERSATIONS = size(fast=100, slow=1000, full=100000)
PER_LIST = 50
PARTS = 8 if FULL else 1


def queue_at(rule: Rule, contact_id: int) -> int:
    """Return the queue of a contact: those of the split, one after another, each as many of 100 as
    its percent.
    """
    shares = destination_of(rule.targets) or ()
    targets = [
        part
        for part in storable_rule(rule, LAYOUT).targets
        if hasattr(part, "queue_id")
    ]
    order = sorted(
        shares, key=lambda share: [part.queue_id for part in targets].index(share[0])
    )
    total = 0
    for queue_id, share in order:
        total += int(share * 100)
        if contact_id % 100 < total:
            return int(queue_id)
    raise AssertionError(rule)


@pytest.mark.generated
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    "layout", [LAYOUT, HIGHEST_FIRST], ids=["lowest-first", "highest-first"]
)
def test_a_block_decides_as_its_rules_in_every_dialect(
    layout: BlockLayout, part: int
) -> None:
    """For conversations in Studio's domain, skill and address are those of the winner; without one,
    the presets.
    """
    evaluation: Evaluation = "highest-first" if layout.highest_first else "lowest-first"
    for seed in range(part, CONVERSATIONS // PER_LIST // 2, PARTS):
        random = Random(f"decide {seed}")
        rules = [
            domain_rule(random, random.choice((1, 2, 2, 3)))
            for _ in range(random.choice((1, 3, 6)))
        ]
        statements = parse_snippet(block_of(rules, layout))
        entries = [
            RoutingEntry(name=f"cards/r{i}", id=f"cards/r{i}", rule=rule)
            for i, rule in enumerate(rules)
        ]
        ordered = order_entries(entries, evaluation)
        for dialect in DIALECTS:
            for _ in range(PER_LIST):
                attributes, variables = conversation(random, dialect)
                contact_id = random.randrange(10**12)
                winner = route_conversation(ordered, attributes).winner
                expected = (
                    (queue_at(winner.rule, contact_id), winner.name)
                    if winner
                    else (77, "")
                )
                result = run_snippet(
                    statements, {"cxr_skill": 77, **variables}, dialect, contact_id
                )
                assert expected == (result["cxr_skill"], result["cxr_rule"]), (
                    dialect,
                    variables,
                    block_of(rules, layout),
                )


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    "value",
    [None, "", "abc", "n/a", " ", "1,5", "0x10", "--", "1 2", "NaN", "Infinity"],
)
def test_no_numeric_condition_holds_for_a_value_that_is_not_a_number(
    value: str | None,
) -> None:
    """In no dialect does a missing, empty or other text satisfy a numeric condition, also
    around 0.
    """
    tests: list[tuple[str, Any]] = [
        ("lessThan", 5),
        ("lessThanOrEqual", 0),
        ("greaterThan", -1),
        ("equals", 0),
    ]
    tests += [("between", [-9, 9]), ("in", [0, 1]), ("greaterThanOrEqual", 0)]
    for dialect in DIALECTS:
        for operator, operand in tests:
            statements = parse_snippet(
                block_of([plain_rule(1, [make_condition("Score", operator, operand)])])
            )
            result = run_snippet(
                statements, {} if value is None else {"score": value}, dialect
            )
            assert "cxr_skill" not in result, (dialect, operator)


@each_case("value", [0, 0.0, -0.0, "0", "0.0"])
def test_zero_is_a_number(value: str | float) -> None:
    """A zero satisfies the conditions that it satisfies for the rules."""
    for operator, operand, is_taken in (
        ("lessThan", 5, True),
        ("equals", 0, True),
        ("greaterThan", 0, False),
    ):
        statements = parse_snippet(
            block_of([plain_rule(1, [make_condition("Score", operator, operand)])])
        )
        assert is_taken == (
            "cxr_skill" in run_snippet(statements, {"Score": value}, STRICT)
        )


LANGUAGE: list[tuple[str, dict[str, Any], str, Any]] = [
    ("ASSIGN a = 1 + 2 - 7 + 11", {}, "a", 7),
    ("a = ( 7 % 4 ) - 1", {}, "a", 2),
    ("a = -2 + -3", {}, "a", -5),
    ("a = 0.1 + 0.2", {}, "a", 0.3),
    ('a = "x{b}y{c}{d"', {"b": 1.50}, "a", "x1.5y{d"),
    ('a = "{b}"', {"B": 2}, "a", "2"),
    ("a = b + 1\n", {"b": "text"}, "a", 1),
    ("a = b + c", {}, "a", 0),
    ("a$ = 20\nIF a$ > 100 { b = 1 } ELSE { b = 2 }", {}, "b", 1),
    ("a = 20\nif a > 100\n{\nb = 1\n}\n// no\nelse\n{\nb = 2\n}", {}, "b", 2),
    ("SELECT { CASE a = 1 { b = 1 }\nCASE a = 2\nCASE a = 3 { b = 2 }\nDEFAULT { b = 3 } }", {"a": 3}, "b", 2),
    ("SELECT { DEFAULT { b = 3 }\nCASE a = 1 { b = 1 } }", {"a": 1}, "b", 1),
    ("SELECT { CASE a = 1 { b = 1 }\nDEFAULT { b = 3 } }", {"a": 3}, "b", 3),
    ('SWITCH a { CASE "x" { b = 1 }\nCASE "y" { b = 2 } }', {"a": "y"}, "b", 2),
    ("a = ( 1 & 0 ) | ( 1 ~ 0 )", {}, "a", 1),
    ('a = b.beginswith("He") + b.contains("lo")', {"b": "Hello"}, "a", 2),
    ("a = 1 != 2", {}, "a", 1),
    ("a = ContactID % 100", {}, "a", 42),
    ("// only a comment", {}, "contactid", 1042),
    ('IF "abc" { a = 1 } ELSE { a = 2 }', {}, "a", 2),
]  # fmt: skip


@each_case("snippet, variables, name, expected", LANGUAGE)
def test_the_documented_language_is_evaluated(
    snippet: str, variables: Any, name: str, expected: Any
) -> None:
    """Line ends, comments, key words and names in any case, operators, text with variables,
    methods.
    """
    for text in (snippet, snippet.replace("\n", "\r\n")):
        assert (
            expected == run_snippet(parse_snippet(text), variables, STRICT, 1042)[name]
        )


@each_case(
    "snippet",
    [
        "a = 1 / 2",
        "a = 2 * 3",
        "a = 1 | 0 ~ 1",
        'a = "Hello".replace("l", "L")',
        "a = 1 % 0",
        "a = 2 ^ 0.5",
        "a = 0 ^ ( 0 - 1 )",
        "a = 2 ^ 1000",
        "a = 1 < 2 < 3",
        "a = b.c",
        'a = b.endswith("x")',
        "a = b.left(c)",
        'a = $"\\n"',
        "a = f(1)",
        "a = [1]",
        "FOREACH x IN y { z = 1 }",
        "CASE 1 { z = 1 }",
        "\n".join(["a = 9", *["a = a * a"] * 20]),
        "\n".join(['a = "xxxxxxxx"', *['a = "{a}{a}"'] * 20]),
    ],
)
def test_an_undocumented_or_unbounded_part_is_an_error(snippet: str) -> None:
    """The evaluation stops with the line, and takes no time or memory without a bound."""
    with pytest.raises(SnippetError, match=r"line [0-9]+: "):
        run_snippet(parse_snippet(snippet), {}, STRICT)


def test_the_facts_rule_dialects_out() -> None:
    """Each known fact halves the dialects; keys are equal as the dialect says."""
    assert len(DIALECTS) == 16 == len(set(DIALECTS))
    assert {
        dialect.trims_blanks for dialect in possible_dialects({"trimsBlanks": False})
    } == {False}
    assert len(possible_dialects({"caseSensitive": True, "mixedIsZero": False})) == 4
    equal = [
        dialect
        for dialect in DIALECTS
        if dialect.text_key(" Card") == dialect.text_key("card")
    ]
    assert equal == [
        dialect
        for dialect in DIALECTS
        if dialect.trims_blanks and not dialect.case_sensitive
    ]
