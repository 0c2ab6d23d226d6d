"""The marker of a managed rule: only an exact line is a marker."""

from __future__ import annotations

import pytest

from reconciler.core.model.live import (
    Marker,
    find_foreign_marker,
    format_description,
    marker_digest,
    parse_marker,
)
from reconciler.core.model.rule import Address
from tests.support.builders import rule
from tests.support.cases import each_case

MARKER = Marker("acme", Address("cards", "card-help"), "0123abcd")
LINE = "[cxroute:acme/cards/card-help#0123abcd]"


@each_case(
    "text",
    [
        "",
        "Cards",
        "Two\nlines",
        "Ends in a break\n",
        f"quotes {LINE} inside",
        "ü 🙂\u202e",
    ],
)
def test_a_formatted_description_is_parsed_again(text: str) -> None:
    """Every description and every marker is the same afterwards, a copy's marker included."""
    for marker in (
        MARKER,
        Marker("acme", Address("cards", "card-help"), "0123abcd", copy=True),
    ):
        assert (text, marker) == parse_marker(
            format_description(rule(description=text), marker)
        )


@each_case(
    "text",
    [
        f"Cards {LINE}",
        f"Cards\n {LINE}",
        f"Cards\n{LINE} and more",
        f"Cards\n{LINE}\n\nand more",
        f"Cards\n{LINE}.",
        f"Cards\n{LINE}\u00a0",
        f"Cards\n{LINE}\u2028",
        f"Cards\n{LINE}\x0b",
        f"Cards\t{LINE}\n",
        f"Cards\r{LINE}\n",
        f"Cards<br>{LINE}",
        f"two\nlines {LINE}\n",
        f"Cards\n{LINE[:-1]}",
        "[cxroute:Acme/cards/card-help#0123abcd]",
        "[cxroute:acme/cards/card-help#0123ABCD]",
        "[cxroute:acme/cards/card-help#0123abc]",
        "[cxroute:acme/cards#0123abcd]",
        "[cxroute:acme/cards/card-help/more#0123abcd]",
        "[cxroute:acme/cards/-help#0123abcd]",
        "[cxroute:acme/cards/card-help~last#0123abcd]",
        f"[cxroute:acme/cards/{'k' * 65}#0123abcd]",
        "[cxroute:acme/cards/c٠#0123abcd]",
    ],
)
def test_a_line_similar_to_a_marker_is_text(text: str) -> None:
    """A rule is managed only if its last line is exactly a marker."""
    assert (text, None) == parse_marker(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LINE),
        ("Cards", f"Cards\n{LINE}"),
        ("Ends in a break\n", f"Ends in a break\n\n{LINE}"),
        ("\n", f"\n\n{LINE}"),
    ],
)
def test_the_marker_is_the_last_line_without_a_blank_line(
    text: str, expected: str
) -> None:
    """One line end separates it from the text, if there is a text; a rule that is un-adopted has no
    marker.
    """
    assert expected == format_description(rule(description=text), MARKER)
    assert text == format_description(rule(description=text), None)


@each_case("text", ["", "\n", "Cards", "Cards\n", "Cards\n\n"])
def test_a_blank_line_before_the_marker_belongs_to_the_text(text: str) -> None:
    """Only the line end before the marker is removed, whether LF or CR LF."""
    assert (text, MARKER) == parse_marker(f"{text}\n{LINE}")
    assert (text, MARKER) == parse_marker(f"{text}\n{LINE}".replace("\n", "\r\n"))


def test_a_server_may_change_the_line_ends() -> None:
    """CR LF before the marker counts as LF."""
    assert ("Cards", MARKER) == parse_marker(f"Cards\r\n{LINE}")


@each_case("space", ["\n", "\r\n", " ", "  \t ", "\n\n \r\n"])
@each_case("text", ["", "Cards", "Two\nlines"])
def test_white_space_after_the_marker_is_ignored(text: str, space: str) -> None:
    """A tenant may append a line end or spaces to every text."""
    assert (text, MARKER) == parse_marker(
        format_description(rule(description=text), MARKER) + space
    )


def test_line_ends_of_a_managed_text_are_equal() -> None:
    """CR LF in a managed description counts as LF; an unmanaged description is not changed."""
    assert ("Two\nlines\n", MARKER) == parse_marker(f"Two\r\nlines\r\n\r\n{LINE}\r\n")
    assert ("Two\r\nlines", None) == parse_marker("Two\r\nlines")


def test_the_last_of_two_markers_counts() -> None:
    """A marker before the last line is text of the description."""
    candidate = "[cxroute:other/a/b#ffffffff]"
    assert (candidate, MARKER) == parse_marker(f"{candidate}\n{LINE}")


def test_the_digest_covers_the_written_fields_without_the_marker() -> None:
    """A new description or priority changes the digest; a new order of conditions does not."""
    assert marker_digest(rule()) != marker_digest(rule(description="else"))
    assert marker_digest(rule()) != marker_digest(rule(priority=1))
    assert 8 == len(marker_digest(rule()))


@each_case(
    "description, expected",
    [
        ("do not edit\n[flowsync:ivr/branch-line@4]", "[flowsync:ivr/branch-line@4]"),
        ("[terraform:x]\r\n", "[terraform:x]"),
        ("see [flowsync:a]", ""),
        ("[flowsync:a]\nby hand", ""),
        ("[12:30]", ""),
        ("a [link]", ""),
        ("Cards\n[cxroute:", ""),
        (f"Cards\n{LINE}", ""),
        ("", ""),
    ],
)
def test_a_marker_of_another_tool_is_recognised_by_its_line(
    description: str, expected: str
) -> None:
    """It is the last line, a word and a value in brackets; cxroute's own marker is not one."""
    assert expected == find_foreign_marker(description)
