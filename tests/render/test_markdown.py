"""The comment and the drift issue, as GitHub's own parser reads them: exactly the intended
elements, for all names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from reconciler.core.model.rule import Source
from reconciler.core.plan.stages import Plan
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.provenance import SourceLinks
from tests.support.cases import each_case
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.parsed_html import Page, parse_as_github
from tests.support.plan_formats import as_drift_markdown, as_markdown, as_whole_markdown
from tests.support.plans import (
    FACTS,
    ORIGIN,
    empty_plan,
    hostile_plan,
    plan_of_everything,
    summary_of,
)

NAMES = pytest.mark.parametrize(
    "name",
    (HOSTILE_NAMES | MARKDOWN_NAMES).values(),
    ids=HOSTILE_NAMES | MARKDOWN_NAMES,
)
MARKDOWN = pytest.mark.parametrize("form", [as_whole_markdown, as_drift_markdown])
OURS = {
    *("h3", "h4", "p", "strong", "em", "code", "pre", "blockquote", "ul", "li", "a"),
    *("table", "thead", "tbody", "tr", "th", "td", "br", "details", "summary", "sub"),
}
ENDS = re.compile(r"\.\.\.$|:1$|^removed$|^$")
ACTS = re.compile(
    r"@\w|#\w|\bgh-\d|www\.|://|\w@|:[\w+-]+:|\$|\[\^|(?<![\w,.])(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b|<|!\[",
    re.IGNORECASE,
)
"""Plain text that GitHub acts on: mentions, references, addresses, emoji, mathematics, commits."""


def shape(page: Page) -> list[str]:
    """Return the elements without code spans and links, whose number depends on a name."""
    within = False
    actual = []
    for tag in page.shape:
        within = tag == "pre" or (within and tag != "/pre")
        if within or tag.strip("/") not in ("code", "a"):
            actual.append(tag)
    return actual


@cache
def of(name: str, form: Callable[[Plan], str]) -> Page:
    return parse_as_github(form(hostile_plan(name)))


@pytest.mark.fast_cases(12)
@NAMES
@MARKDOWN
def test_a_name_changes_only_text(name: str, form: Callable[[Plan], str]) -> None:
    """Elements, tables, cells and headings are those of a plain name, and each is closed."""
    page = of(name, form)
    assert shape(of("Billing", form)) == shape(page)
    assert [] == page.unclosed
    assert set() == {tag for tag, _ in page.tags} - OURS


@pytest.mark.fast_cases(12)
@NAMES
@MARKDOWN
def test_only_intended_links_and_no_active_text(
    name: str, form: Callable[[Plan], str]
) -> None:
    """Links lead to this repository; no image, no further attribute; plain text has nothing that
    GitHub acts on.
    """
    page = of(name, form)
    assert [] == [
        link
        for link in page.all("a")
        if not str(link["href"]).startswith(f"{ORIGIN.repository}/")
    ]
    assert {"href"} == {attribute for link in page.all("a") for attribute in link}
    assert set() == {
        key for tag, attributes in page.tags if tag != "a" for key in attributes
    } - {"align", "lang"}
    assert [] == [
        text for text in page.texts_outside("code", "pre") if ACTS.search(text)
    ]


@pytest.mark.fast_cases(12)
@NAMES
def test_only_the_first_line_is_the_marker(name: str) -> None:
    """The line by which the next run finds the comment is the first and the only HTML comment."""
    text = as_markdown(hostile_plan(name))
    marker = "<!-- cxroute:plan env=prod -->"
    assert [0] == [
        number
        for number, line in enumerate(text.split("\n"))
        if line.lstrip().startswith("<!--")
    ]
    assert marker == text.split("\n")[0]
    assert [" cxroute:plan env=prod "] == parse_as_github(text).comments


@pytest.mark.fast_cases(12)
@NAMES
def test_every_row_has_the_cells_of_its_head(name: str) -> None:
    """A bar in a name creates no cell, in any table: GitHub drops surplus cells."""
    for form in (as_whole_markdown, as_drift_markdown):
        for table in of(name, form).rows():
            assert {len(table[0])} == {len(row) for row in table}
            assert [] == [
                row
                for row in table[1:]
                if "Where" in table[0] and not ENDS.search(row[-1])
            ]


@pytest.mark.fast_cases(12)
@NAMES
def test_no_line_end_from_a_name(name: str) -> None:
    """Characters that other readers treat as a line end are escaped."""
    for form in (as_markdown, as_drift_markdown):
        text = form(hostile_plan(name))
        assert text.split("\n") == [*text.splitlines(), ""]


def test_a_name_is_read_unchanged() -> None:
    """Brackets, bars, backticks and backslashes are in the text as in the name."""
    for name in ("a | b", "``x``", "[x](y)", "<b>", r"a\b", "* _c_", "@me", '#1 "'):
        assert name.replace('"', r"\"") in parse_as_github(
            as_markdown(hostile_plan(name))
        ).text_inside("table")


def test_counts_and_headings() -> None:
    """One heading; the first table has the effects, then come the held rules, and the queues in a
    closed part.
    """
    page = parse_as_github(as_markdown(plan_of_everything()))
    assert 1 == len(page.all("h3"))
    heads = [
        ["Callers", "Today", "Afterwards", "Share"],
        ["", "Rule", "Change", "Why", "Where"],
        ["Queue", "Today", "Afterwards", "Change"],
    ]
    assert heads == [table[0] for table in page.rows()]
    assert ["cards/held"] == [
        row[1] for row in page.rows()[1] if row[3] == "your change"
    ]


def test_nothing_to_do_is_short() -> None:
    """No table, no collapsed part; the number of matching rules."""
    page = parse_as_github(as_markdown(empty_plan()))
    assert "No changes. 1 rule in prod matches the manifests." in page.text_inside("p")
    assert not {"table", "details", "blockquote"} & {tag for tag, _ in page.tags}


def test_without_a_repository_nothing_is_linked() -> None:
    """Locations are plain text if their URL is unknown."""
    telling, routing, _ = summary_of(plan_of_everything())
    page = parse_as_github(
        render_markdown(telling, routing, replace(FACTS, links=SourceLinks()))
    )
    assert [] == page.all("a")
    assert "cards.yaml:4" in page.text_inside("td")


@each_case(
    "file, expected",
    [
        ("manifests/a b#c.yaml", "manifests/a%20b%23c.yaml"),
        ("../shared/x.yaml", "teams/shared/x.yaml"),
        ("caf\udce9.yaml", "teams/emea/caf%E9.yaml"),
        ("../../../x.yaml", ""),
        ("half\ud800.yaml", ""),
    ],
)
def test_a_link_leads_into_the_repository(file: str, expected: str) -> None:
    """The path is relative to the repository's root; a path outside the repository has no link."""
    prefix = "teams/emea/" if not file.startswith("manifests") else ""
    link = replace(ORIGIN, prefix=prefix).link(Source(file, 3, 1))
    assert (
        f"{ORIGIN.repository}/blob/{ORIGIN.commit}/{expected}#L3" if expected else ""
    ) == link
