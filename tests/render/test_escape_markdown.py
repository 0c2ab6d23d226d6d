"""Sentences as Markdown: values become code spans, and so does every word with a possible meaning
in Markdown.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.text.escape import escape_invisible, quote
from reconciler.render.escape_markdown import (
    code_block,
    code_span,
    escape_markdown,
    table_cell,
    unquote,
)
from tests.support.cases import each_case
from tests.support.parsed_html import Page, parse_as_github
from tests.tiers import size

SIGNS = st.text(
    st.sampled_from("ab 12\"'`|\\[]()<>@#*_~:;.,!$&/-+={}\n\t\u200bé漢😀"), max_size=24
)


@each_case(
    "said, expected",
    [
        ('"Card Services" -> "General"', "`Card Services` → `General`"),
        ("confidence >= 0.7 (or not known)", "confidence ≥ 0.7 (or not known)"),
        ('intent is "10": to "x", priority 5', 'intent is `"10"`: to `x`, priority 5'),
        (
            "queue 'Card Services' is no alias of October's",
            "queue `Card Services` is no alias of October's",
        ),
        ("take it over with `adopt:` here", "take it over with `adopt:` here"),
        ("by cards/vip and 1 more", "by `cards/vip` and 1 more"),
        ("9.4 % of it", "9.4\u00a0% of it"),
        ("1. a", r"1\. a"),
        ("2) a", r"2\) a"),
        (" 1. a", r" 1\. a"),
        ('"a""b" c"d', '`"a""b"` `c"d`'),
        ("deadbee1-foo GH-12 #12 facade", "`deadbee1-foo` `GH-12` `#12` facade"),
        ("[x](y) :a: _b_", r"\[`x](y`) `:a`: `_b_`"),
        ("a\nb", r"`a\u000ab`"),
        (
            'to "x"; why: cxroute explain -e a --attr b="c d"',
            'to `x`; why: `cxroute explain -e a --attr b="c d"`',
        ),
    ],
)
def test_a_sentence_reads_like_this(said: str, expected: str) -> None:
    """Plain words stay text; arrows are drawn; every other word is code."""
    assert expected == escape_markdown(said)


def test_a_long_sentence_is_complete() -> None:
    """A case of many intents is not cut if the terminal does not cut it; a name is cut in every
    format.
    """
    text = ", ".join(f'"intent_number_{n}"' for n in range(40))
    assert "`intent_number_39`" in escape_markdown(text)
    assert 303 == len(code_span("x" * 400).strip("`"))


@pytest.mark.parametrize("name", ["x" * 400, "\\" * 400, '"' * 400])
def test_a_cut_value_does_not_include_the_next_words(name: str) -> None:
    """The words after a long name are not part of it."""
    assert escape_markdown(f'{quote(name)} -> "General"').endswith("` → `General`")


@each_case(
    "written, expected",
    [
        ('"Cards"', "Cards"),
        ('"10"', '"10"'),
        ('"true"', '"true"'),
        ('" a"', '" a"'),
        (r'"a\"b"', r'"a\"b"'),
        ("10", "10"),
        ("a queue", "a queue"),
        ('"a" "b"', '"a" "b"'),
    ],
)
def test_quotes_with_a_meaning_stay(written: str, expected: str) -> None:
    """A text that looks like a number, like true, or shorter than it is, keeps its quotes."""
    assert expected == unquote(written)


@pytest.mark.generated
@settings(max_examples=size(fast=80, slow=200, full=400), deadline=None)
@given(SIGNS)
def test_every_sentence_is_one_paragraph_of_text_and_code(said: str) -> None:
    """No text creates another element, and all of it is readable, also at the start of a line."""
    page = parse_as_github(f"- {escape_markdown(said)}\n")
    assert set() == {tag for tag, _ in page.tags} - {"ul", "li", "code"}
    assert [] == [
        text
        for text in page.texts_outside("code")
        if re.search(r"[@#`*_~$|]|<[\w/!?]", text)
    ]
    assert folded(escape_invisible(said)) == folded(read(page))


@pytest.mark.generated
@settings(max_examples=size(fast=80, slow=200, full=400), deadline=None)
@given(SIGNS)
def test_a_code_span_has_exactly_its_text(name: str) -> None:
    """On one line, with every visible character."""
    page = parse_as_github(f"a {code_span(name)} b")
    assert set() == {tag for tag, _ in page.tags} - {"p", "code"}
    assert escape_invisible(name) == page.text_inside("code") or not name.strip()


@pytest.mark.generated
@settings(max_examples=size(fast=80, slow=200, full=400), deadline=None)
@given(SIGNS, SIGNS)
def test_a_cell_is_one_cell(name: str, said: str) -> None:
    """With any content: bars are escaped, in code too; after an odd number of backslashes they are
    numeric escapes.
    """
    page = parse_as_github(
        f"| a | b |\n|---|---|\n| {table_cell(code_span(name))} | "
        f"{table_cell(escape_markdown(said))} |\n"
    )
    assert [2, 2] == [len(row) for row in page.rows()[0]]
    printed = page.rows()[0][1][0].replace("\\u007c", "|")
    assert escape_invisible(name).strip() == printed.strip()


@each_case(
    "text, expected",
    [("a|b", r"a\|b"), (r"a\|b", r"a\\u007cb"), (r"a\\|b", r"a\\\|b"), ("||", r"\|\|")],
)
def test_every_parser_reads_a_bar_in_the_same_way(text: str, expected: str) -> None:
    """Parsers disagree on whether a backslash before a bar belongs to it."""
    assert expected == table_cell(text)


@pytest.mark.generated
@settings(max_examples=size(fast=40, slow=100, full=200), deadline=None)
@given(st.text(st.sampled_from("`~ab\n "), max_size=40))
def test_no_text_ends_its_block(text: str) -> None:
    """The fence is longer than any run of backticks inside."""
    page = parse_as_github(f"{code_block(text, 'diff')}after\n")
    assert "after" == page.text_inside("p").strip()
    assert 1 == len(page.all("pre"))


def read(page: Page) -> str:
    return "".join(text.text for text in page.texts)


def folded(text: str) -> str:
    """Return text without spaces and quotes, and with drawn arrows."""
    for typed, drawn in (("->", "→"), (">=", "≥"), ("<=", "≤")):
        text = text.replace(typed, drawn)
    return "".join(item for item in text if item not in " \u00a0\"'`\n")
