"""The simulator's evaluator of SNIPPET code: the documented language, every dialect, hostile
code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from reconciler.features.practice.simulator.snippet import (
    SimDialect,
    SimSnippet,
    script_text,
    script_value,
)
from tests.support.cases import each_case
from tests.support.work_bounds import takes_at_most
from tests.tiers import size

DIALECTS = [SimDialect(*facts) for facts in product((False, True), repeat=4)]


def run(
    code: str, dialect: SimDialect = DIALECTS[0], **variables: Any
) -> dict[str, str]:
    """Return the variables after a run, as texts; `_err` is one of them if the code failed."""
    values = {name.lower(): script_value(value) for name, value in variables.items()}
    SimSnippet(code, values, dialect, is_active=True).run()
    return {name: script_text(value) for name, value in values.items()}


def result(expression: str, dialect: SimDialect = DIALECTS[0], **variables: Any) -> str:
    """Return the value of an expression, which has no error."""
    after = run(f"ASSIGN result = {expression}", dialect, **variables)
    assert "_err" not in after, after
    return after["result"]


EVERYWHERE = [
    ("( 2 + 3 ) * 4", "20"),
    ("7 % 4", "3"),
    ("2 ^ 10", "1024"),
    ("1 / 4", "0.25"),
    ("0 - 1.50", "-1.5"),
    ("0.1 + 0.2 = 0.3", "1"),
    ("10 > 9", "1"),
    ("( 1 = 1 ) & ( 1 != 2 )", "1"),
    ("( 1 = 2 ) | ( 2 <= 2 )", "1"),
    ("( 1 = 1 ) ~ ( 2 = 2 )", "0"),
    ('"a{n}b{D$}c{missing}d"', "a5b20cd"),
    ('"{"', "{"),
    ('"{n + 1}"', "{n + 1}"),
    ("missing + 3", "3"),
    ("word + 3", "3"),
    ("word + missing", "0"),
    ('digits.contains("0")', "1"),
    ('word.beginswith("ca")', "1"),
    ('WORD.Contains("ar") & ( word.beginswith("x") = 0 )', "1"),
    ("d$ > 100", "1"),
    ("d$ + 1", "21"),
    ("ContactID % 100", "42"),
]


@each_case("expression, value", EVERYWHERE)
def test_an_expression_is_the_same_in_every_dialect(
    expression: str, value: str
) -> None:
    """Arithmetic, truth values, texts, methods and `$` do not depend on the unknown facts."""
    variables = {"n": 5, "word": "card", "digits": "20", "d$": 20, "ContactID": 1042}
    assert {value} == {result(expression, dialect, **variables) for dialect in DIALECTS}


DEPENDENT: list[tuple[str, Callable[[SimDialect], bool]]] = [
    ('"Card" = "card"', lambda dialect: not dialect.case_sensitive),
    ('w$ = "CARD"', lambda dialect: not dialect.case_sensitive),
    ('"my Card".contains("card")', lambda dialect: not dialect.case_sensitive),
    ('"Card".beginswith("ca")', lambda dialect: not dialect.case_sensitive),
    ('" card" = "card "', lambda dialect: dialect.trims_blanks),
    ('" card".beginswith("c")', lambda dialect: dialect.trims_blanks),
    ('"1.0" = "1"', lambda dialect: dialect.digit_text_is_number),
    ('"10" > "9"', lambda dialect: dialect.digit_text_is_number),
    ('5 = "5.0"', lambda dialect: dialect.digit_text_is_number),
    ('0 = "x"', lambda dialect: dialect.mixed_is_zero),
    ('5 > "x"', lambda dialect: dialect.mixed_is_zero),
    ('"0" = "x"', lambda _: False),
    ('d$ = "20.0"', lambda _: False),
    ('w$ < "d"', lambda _: True),
]


@each_case("dialect", DIALECTS)
def test_arithmetic_with_text_of_digits_follows_the_dialect(
    dialect: SimDialect,
) -> None:
    """Where such text is not a number, it is ignored as any text, also as a condition."""
    texts = ('digits + "2"', "digits + 1", '"5" + 0', '( "1" ) & ( 1 = 1 )')
    expected = (
        ("22", "21", "5", "1") if dialect.digit_text_is_number else ("0", "1", "0", "0")
    )
    assert expected == tuple(result(text, dialect, digits="20") for text in texts)


@each_case("dialect", DIALECTS)
def test_a_comparison_follows_the_dialect(dialect: SimDialect) -> None:
    """Each fact decides its comparisons, and no other; with `$` digits stay text."""
    expected = [(text, str(int(holds(dialect)))) for text, holds in DEPENDENT]
    variables = {"w$": "card", "d$": 20}
    assert expected == [
        (text, result(text, dialect, **variables)) for text, _ in DEPENDENT
    ]


STATEMENTS = [
    ("r = 1\r\nASSIGN R = r + 1 // r = 9\r\n", "2"),
    ("IF ( 1 = 2 ) { r = 1 }\nELSE\n{\n  r = 2\n}", "2"),
    ("IF x = 1\n{\n  r = 1\n} ELSE { IF 1 { r = 3 } }", "3"),
    (
        "SELECT {\n CASE x = 1\n CASE 1 { r = 1 }\n CASE 1 { r = 2 }\n DEFAULT { r = 3 }\n}",
        "1",
    ),
    ("select { case 0 { r = 1 } default { r = 3 } }", "3"),
    ("r = 0\nSELECT { CASE x = 1 { r = 1 } }", "0"),
    (
        "r = 1\nIF ( 1 = 2 ) { r = 1 / 0 }\nSELECT { CASE 1 { r = 2 }\n CASE ( 1 / 0 ) { r = 3 } }",
        "2",
    ),
]


@each_case("code, value", STATEMENTS)
def test_statements(code: str, value: str) -> None:
    """Key words and names ignore case, the first true CASE counts, and what is not reached is not
    computed.
    """
    after = run(code, x="c")
    assert (value, False) == (after["r"], "_err" in after)


def test_a_failing_snippet_stops_and_says_why() -> None:
    """What was assigned before stays; `_err` has the reason."""
    after = run("a = 1\nb = 1 / 0\nc = 1")
    assert {"a": "1", "_err": "DivisionByZero"} == after


def test_trace_prints_and_changes_nothing() -> None:
    """The lines of a run are kept in order; an inactive TRACE prints nothing."""
    values: dict[str, Any] = {"a": Decimal(2)}
    snippet = SimSnippet(
        'TRACE "a is {a}"\nIF 0 { TRACE "no" }\nTRACE a',
        values,
        DIALECTS[0],
        is_active=True,
    )
    assert ("", ["a is 2", "2"], {"a": 2}) == (snippet.run(), snippet.traces, values)


INVALID = [
    ("a = 1 2", "line 1: expected END"),
    ("\n\nIF ( 1", "line 3: expected )"),
    ("a", "line 1: expected ="),
    ("IF 1\na = 1", "line 1: expected {"),
    ("SELECT { a = 1 }", "line 1: expected case"),
    ('a = "open', "expected NAME"),
    ("a = x.foo(1)", "line 1: expected END"),
    ("a = x.contains", "line 1: expected END"),
    ('a = x.contains("a", 1)', "line 1: expected )"),
    ('SWITCH x { CASE "a" { r = 1 } }', "line 1: expected ="),
    ('a = $"x"', "expected NAME"),
    ("}", "expected NAME"),
    ("a = ?", "expected NAME"),
    ("a = 1 +", "expected NAME"),
    ("a = " + "(" * 20_000, "RecursionError"),
    ("IF 1 {" * 20_000, "RecursionError"),
]


@each_case("code, reason", INVALID)
def test_invalid_code_is_refused_without_a_run(code: str, reason: str) -> None:
    """A check names the line, and assigns nothing but the error."""
    values: dict[str, Any] = {}
    assert reason in SimSnippet(code, values, DIALECTS[0], is_active=False).run()
    assert {"_err"} == set(values)


@each_case(
    "code",
    [
        'a = "x"\n' + 'a = "{a}{a}"\n' * 60,
        f'a = "{"x" * 40_000}"',
        'a = "9"\n' + 'a = "{a}9"\n' * 5_100 + "b = a + 1",
        "a = " + "9" * 6_000,
        "a = 9 ^ ( 9 ^ 9 )",
    ],
)
def test_values_are_bounded(code: str) -> None:
    """A text or number that grows without end stops the snippet."""
    assert "_err" in run(code, SimDialect())


def test_long_and_deep_code_within_the_bounds_runs() -> None:
    """64 levels of parentheses and blocks, and 5,000 operands in a row."""
    deep = "IF 1 {\n" * 64 + "r = " + "(" * 64 + "1" + ")" * 64 + "\n" + "}" * 64
    wide = "r = " + " | ".join([*['( x = "a" )'] * 5_000, "( 1 = 1 )"])
    assert ("1", "1") == (run(deep)["r"], run(wide)["r"])


@pytest.mark.slow
def test_a_block_of_ten_thousand_rules_is_quick() -> None:
    """About 0.6 s of CPU time for 2 MB of code."""
    case = '  CASE ( t$ = "intent {}" ) & ( ( k = 1 ) & ( n >= 0.7 ) )\n  {{\n    ASSIGN r = "rule {}"\n  }}\n'
    code = "SELECT\n{\n" + "".join(case.format(n, n) for n in range(10_000)) + "}\n"
    variables: dict[str, Any] = {"t$": "intent 9999", "k": 1, "n": 0.8}
    with takes_at_most(rules=60_000):
        after = run(code, **variables)
    assert "rule 9999" == after["r"]


WORDS = (
    "IF ELSE SELECT CASE DEFAULT ASSIGN TRACE a b$ = != ( ) { } 1 0.5 . .contains( & | + / % ^ // "
    "?"
)
PIECES = strategies.sampled_from([*re.split(" ", WORDS), "\n", '"x"', '"{a}"', '$"\\"'])


@pytest.mark.generated
@given(
    code=strategies.lists(PIECES, max_size=40).map(" ".join)
    | strategies.text(max_size=40)
)
@settings(max_examples=size(fast=60, slow=150, full=300), deadline=None)
def test_any_code_ends_with_a_result_or_a_reason(code: str) -> None:
    """Nothing is raised; code that passes the check runs, or fails for a value."""
    checked = SimSnippet(code, {}, DIALECTS[0], is_active=False).run()
    reason = SimSnippet(code, {}, DIALECTS[0], is_active=True).run()
    assert not checked or reason
    assert not reason.startswith("line") or checked
