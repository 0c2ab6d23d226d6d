"""The report, as an HTML parser reads it: exactly the intended elements, for all names."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256

import pytest

from reconciler.render.html import split_sentence
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.parsed_html import Page, parse_html
from tests.support.plan_formats import as_html
from tests.support.plans import (
    ORIGIN,
    empty_plan,
    hostile_plan,
    large_plan,
    plan_of_everything,
    plan_of_many,
)

NAMES = pytest.mark.parametrize(
    "name",
    (HOSTILE_NAMES | MARKDOWN_NAMES).values(),
    ids=HOSTILE_NAMES | MARKDOWN_NAMES,
)


@cache
def of(name: str) -> Page:
    return parse_html(as_html(hostile_plan(name)))


def shape(read: Page) -> list[str]:
    """Return the elements without values and links, whose number depends on a name."""
    return [tag for tag in read.shape if tag.strip("/") not in ("code", "a", "span")]


@pytest.mark.fast_cases(12)
@NAMES
def test_a_name_changes_only_text(name: str) -> None:
    """The elements are those of a plain name, each of them closed; no name becomes an attribute."""
    read = of(name)
    assert shape(of("Billing")) == shape(read)
    assert [] == read.unclosed
    assert [] == read.comments
    assert set() == {
        key
        for _, attributes in read.tags
        for key in attributes
        if key.startswith("on") or key == "style"
    }


@pytest.mark.fast_cases(12)
@NAMES
def test_the_page_is_self_contained(name: str) -> None:
    """No element loads anything; links lead to this repository; the policy allows only this page's
    style and script.
    """
    read = of(name)
    loading = {
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "source",
    }
    assert set() == loading & {tag for tag, _ in read.tags}
    assert set() == {
        key
        for _, attributes in read.tags
        for key in attributes
        if key in ("src", "srcset", "background")
    }
    ids = {attributes.get("id") for _, attributes in read.tags}
    links = [str(link["href"]) for link in read.all("a")]
    assert [] == [
        link
        for link in links
        if link[1:] not in ids and not link.startswith(f"{ORIGIN.repository}/")
    ]
    assert "url(" not in read.text_inside("style")
    policy = str(read.all("meta")[1]["content"])
    for element in ("style", "script"):
        digest = b64encode(sha256(read.text_inside(element).encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


@pytest.mark.fast_cases(12)
@NAMES
def test_every_character_is_visible(name: str) -> None:
    """The page contains no invisible or directional character."""
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]",
        as_html(hostile_plan(name)),
    )


@pytest.mark.parametrize("made", [plan_of_everything, plan_of_many, empty_plan])
def test_ids_are_unique_and_labels_refer_to_an_element(made: object) -> None:
    """A screen reader can follow each reference."""
    assert callable(made)
    read = parse_html(as_html(made()))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    expected = {
        attributes[key]
        for _, attributes in read.tags
        for key in ("aria-labelledby", "for")
        if attributes.get(key)
    }
    assert set() == expected - set(ids)


def test_the_page_has_all_that_the_comment_omits() -> None:
    """Every change, and findings with reasons."""
    read = parse_html(as_html(plan_of_everything()))
    assert 8 == len(read.all("article"))
    assert "give cards/off a higher priority" in read.text_inside("section")


def test_the_page_is_about_the_change() -> None:
    """It lists no rule that does not change, managed or not: the page beside it does."""
    created = plan_of_everything()
    assert {"same", "partner"} <= {live.rule.name for live in created.live.rules}
    text = parse_html(as_html(created)).text_inside("body")
    assert "cards/fax" in text
    assert not {"cards/same", "partner"} & set(text.split())


@pytest.mark.slow
def test_a_thousand_changes_are_all_there() -> None:
    """The page omits none of them, and is smaller than a megabyte."""
    text = as_html(large_plan(1_000))
    assert 1_000 == len(parse_html(text).all("article"))
    assert all(f"<code>cards/r{n}</code>" in text for n in range(1_000))
    assert len(text.encode()) < 1_000_000


def test_values_and_words_have_different_elements() -> None:
    """A quoted text is a value; arrows are drawn."""
    assert [("Cards", True), (" → the tenant's default routing", False)] == [
        (piece.text, piece.is_value)
        for piece in split_sentence('"Cards" -> the tenant\'s default routing')
    ]


def test_a_command_is_one_piece() -> None:
    """The command that explains a failed route test can be copied completely."""
    assert (
        "cxroute explain -e prod --intent lost"
        == split_sentence('to "x"; why: cxroute explain -e prod --intent lost')[-1].text
    )


def test_a_language_stays_on_one_line() -> None:
    """No line break inside de-AT; a name with spaces, and a long one, may be broken."""
    actual = split_sentence(
        'language "de" or "de-AT", to "Late-night Desk" or "a-name-that-no-column-of-a-phone-holds"'
    )
    assert ["de-AT"] == [piece.text for piece in actual if piece.is_unbreakable]
