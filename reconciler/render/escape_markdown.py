"""Sentences with names from outside as Markdown without markup, mentions, links or references.

A value in quotes becomes a code span, and so does every word with more than letters, digits and
plain punctuation.
"""

import re
from collections.abc import Sequence
from typing import Final

from reconciler.core.text.escape import escape_invisible, sanitize

_STANDALONE: Final = r"(?<![^\s(\[]){}(?![^\s)\],.;:])"
# a JSON string or, between spaces, a Python string or a word in backticks
QUOTED_VALUE: Final = "|".join(
    [
        r'"(?:[^"\\]|\\.)*"',
        _STANDALONE.format(r"'(?:[^'\\]|\\.)*'"),
        _STANDALONE.format(r"`[^`]+`"),
    ]
)
# becomes one code span
EXPLAIN_COMMAND: Final = re.compile(r"(?<=why: )cxroute .+$", re.DOTALL)
# words (a value is one word) and spaces
_PIECES: Final = re.compile(rf"(?:{QUOTED_VALUE}|\S)+|\s+%(?!\S)|\s+")
_VALUE: Final = re.compile(rf"([(\[]*)({QUOTED_VALUE})([)\],.;:]*)")
_OPENING = "(["
_CLOSING = ")],.;:"
_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W\d_]+)*|\d[\d,.]*%?|%")
# GitHub may take it for a commit
_REFERENCE: Final = re.compile(r"(?=\D*\d)[0-9a-f]{7,40}", re.IGNORECASE)
# starts a numbered list at the start of a line
_NUMBERED: Final = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")
_SIGNS: Final = {
    "->": "→",
    ">=": "≥",
    "<=": "≤",
    "<": "\\<",
    ">": "\\>",
    "+": "\\+",
    "=": "=",
}
_BARS: Final = re.compile(r"(?<!\\)(\\*)\|")
_BACKTICKS: Final = re.compile("`+")


def escape_markdown(text: str) -> str:
    """Return the complete sentence as Markdown, with invisible characters escaped."""
    escaped = escape_invisible(text)
    command = EXPLAIN_COMMAND.search(escaped)
    words = escaped[: command.start()] if command else escaped
    markdown = "".join(
        _escape_piece(match.group()) for match in _PIECES.finditer(words)
    )
    return _NUMBERED.sub(r"\1\\\2", markdown) + (
        code_span(command.group()) if command else ""
    )


def code_span(text: str) -> str:
    """Return a code span with exactly this text, on one line."""
    content = sanitize(text)
    longest_run = max(map(len, _BACKTICKS.findall(content)), default=0)
    fence = "`" * (longest_run + 1)
    needs_pad = content[:1] in ("`", " ", "") or content[-1:] in ("`", " ")
    pad = " " if needs_pad else ""
    return f"{fence}{pad}{content}{pad}{fence}"


def unquote(value: str) -> str:
    """Return a value without its quotes, unless it would look like a number or a keyword."""
    bare = value[1:-1]
    if "\\" in bare or bare != bare.strip() or not re.search(r"[^\W\d]", bare):
        return value
    if bare in ("true", "false", "null") or not re.fullmatch(QUOTED_VALUE, value):
        return value
    return bare


def unquote_values(text: str) -> str:
    """Return a sentence with its values unquoted, for places without code spans."""
    return re.sub(QUOTED_VALUE, lambda match: unquote(match.group()), text)


def table_cell(text: str) -> str:
    """Return Markdown for a table cell, its vertical bars escaped, in code too."""
    # After an odd number of backslashes, parsers disagree about one more.
    return _BARS.sub(
        lambda match: match[1] + ("\\|" if len(match[1]) % 2 == 0 else "\\u007c"), text
    )


def code_block(lines: str, language: str) -> str:
    """Return a code block. Its fence is longer than any run of backticks in it."""
    longest_run = max(map(len, _BACKTICKS.findall(lines)), default=0)
    fence = "`" * max(3, longest_run + 1)
    return f"{fence}{language}\n{lines.rstrip()}\n{fence}\n"


def alert(kind: str, lines: Sequence[str]) -> str:
    """Return one of GitHub's coloured boxes: NOTE, WARNING, CAUTION."""
    quoted = [f"> [!{kind}]"]
    quoted += [f"> {line}".rstrip() for line in lines]
    return "\n".join(quoted)


def details(title: str, body: str) -> str:
    """Return a collapsed part."""
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>"


def _escape_piece(piece: str) -> str:
    if piece.isspace():
        return " "
    if piece[0].isspace():
        return "\u00a0%"  # a line is not broken between a number and its percent sign
    if piece in _SIGNS:
        return _SIGNS[piece]
    value = _VALUE.fullmatch(piece)
    if value:
        span = code_span(unquote(value[2]))
        return f"{_escape(value[1])}{span}{_escape(value[3])}"
    core = piece.lstrip(_OPENING).rstrip(_CLOSING)
    if not core:
        return _escape(piece)
    start, _, end = piece.partition(core)
    return f"{_escape(start)}{_escape_core(core)}{_escape(end)}"


def _escape_core(core: str) -> str:
    """Return a word without the signs around it; as a code span if it may mean something."""
    if core in _SIGNS:
        return _SIGNS[core]
    parts = re.split("['-]", core)
    if _WORD.fullmatch(core) and not any(map(_REFERENCE.fullmatch, parts)):
        return core
    return code_span(core)


def _escape(signs: str) -> str:
    return re.sub(r"[\[\]]", r"\\\g<0>", signs)
