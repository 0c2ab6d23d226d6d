"""The marker: found only where it stands exactly."""

from __future__ import annotations

import pytest

from reconciler.model.live import Marker, find_foreign_marker, format_description, marker_digest, parse_marker
from reconciler.model.rule import Address
from tests.support.builders import rule

MARKER = Marker("acme", Address("cards", "card-help"), "0123abcd")
LINE = "[cxroute:acme/cards/card-help#0123abcd]"


@pytest.mark.parametrize(
    "text", ["", "Cards", "Two\nlines", "Ends in a break\n", f"quotes {LINE} inside", "ü 🙂\u202e"]
)
def test_what_is_signed_is_split_again(text: str) -> None:
    """Every description survives, and so does a copy's marker."""
    for marker in (MARKER, Marker("acme", Address("cards", "card-help"), "0123abcd", copy=True)):
        assert (text, marker) == parse_marker(format_description(rule(description=text), marker))


@pytest.mark.parametrize(
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
def test_what_only_looks_like_a_marker_is_text(text: str) -> None:
    """A rule is ours only when its last line is exactly a marker."""
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
def test_the_marker_stands_on_a_line_of_its_own_without_a_blank_line_before_it(text: str, expected: str) -> None:
    """One line end divides it from a text, and none from no text; a rule that is given back has no marker."""
    assert expected == format_description(rule(description=text), MARKER)
    assert text == format_description(rule(description=text), None)


@pytest.mark.parametrize("text", ["", "\n", "Cards", "Cards\n", "Cards\n\n"])
def test_a_blank_line_before_the_marker_belongs_to_the_text(text: str) -> None:
    """Only the line end that the marker came with goes, whatever kind it is of."""
    assert (text, MARKER) == parse_marker(f"{text}\n{LINE}")
    assert (text, MARKER) == parse_marker(f"{text}\n{LINE}".replace("\n", "\r\n"))


def test_a_server_may_write_line_ends_its_own_way() -> None:
    """CR LF before the marker is the same line end."""
    assert ("Cards", MARKER) == parse_marker(f"Cards\r\n{LINE}")


@pytest.mark.parametrize("space", ["\n", "\r\n", " ", "  \t ", "\n\n \r\n"])
@pytest.mark.parametrize("text", ["", "Cards", "Two\nlines"])
def test_white_space_behind_the_marker_says_nothing(text: str, space: str) -> None:
    """A tenant that appends a line end, or spaces, to every text keeps the marker."""
    assert (text, MARKER) == parse_marker(format_description(rule(description=text), MARKER) + space)


def test_line_ends_of_a_text_of_ours_are_equal() -> None:
    """What a tenant makes CR LF of is still what was written; a text that is not ours stays as it is."""
    assert ("Two\nlines\n", MARKER) == parse_marker(f"Two\r\nlines\r\n\r\n{LINE}\r\n")
    assert ("Two\r\nlines", None) == parse_marker("Two\r\nlines")


def test_the_last_of_two_markers_counts() -> None:
    """A marker above another is text of the description."""
    other = "[cxroute:other/a/b#ffffffff]"
    assert (other, MARKER) == parse_marker(f"{other}\n{LINE}")


def test_the_digest_is_of_what_is_written_without_the_marker() -> None:
    """Another description or priority is another digest; the order of conditions is not."""
    assert marker_digest(rule()) != marker_digest(rule(description="else"))
    assert marker_digest(rule()) != marker_digest(rule(priority=1))
    assert 8 == len(marker_digest(rule()))


@pytest.mark.parametrize(
    ("description", "expected"),
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
def test_a_mark_of_another_tool_is_known_by_its_line(description: str, expected: str) -> None:
    """A last line of its own, a word and what it stands for in brackets; ours is none."""
    assert expected == find_foreign_marker(description)
