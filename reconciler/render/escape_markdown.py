"""Sentences with names from outside as Markdown without markup, mentions, links or references.

A value in quotes becomes a code span, and so does every word with more than letters, digits and plain punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reconciler.text.escape import escape_invisible, sanitize

_STANDALONE: Final = r"(?<![^\s(\[]){}(?![^\s)\],.;:])"
QUOTED_VALUE: Final = "|".join(
    [r'"(?:[^"\\]|\\.)*"', _STANDALONE.format(r"'(?:[^'\\]|\\.)*'"), _STANDALONE.format(r"`[^`]+`")]
)  # a value as JSON writes it or, between spaces, as Python does; or a word of a manifest in backticks
EXPLAIN_COMMAND: Final = re.compile(r"(?<=why: )cxroute .+$", re.DOTALL)
"""The command that explains a failed route test: one code span, not one for each of its options."""
_PIECES: Final = re.compile(rf"(?:{QUOTED_VALUE}|\S)+|\s+%(?!\S)|\s+")
"""Words, with values as one word, and the spaces between them."""
_VALUE: Final = re.compile(rf"([(\[]*)({QUOTED_VALUE})([)\],.;:]*)")
_OPENING, _CLOSING = "([", ")],.;:"
_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W\d_]+)*|\d[\d,.]*%?|%")
"""A word, one with an apostrophe or a hyphen in it, a number."""
_REFERENCE: Final = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)  # what GitHub may take for a commit
_NUMBERED: Final = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")  # what begins a numbered list, where it begins a line
_SIGNS: Final = {"->": "→", ">=": "≥", "<=": "≤", "<": "\\<", ">": "\\>", "+": "\\+", "=": "="}
_BARS: Final = re.compile(r"(\\*)\|")
_BACKTICKS: Final = re.compile("`+")


def escape_markdown(text: str) -> str:
    """Return a sentence as Markdown, whole. Its invisible characters are escaped already, or are here."""
    escaped = escape_invisible(text)
    command = EXPLAIN_COMMAND.search(escaped)
    words = escaped[: command.start()] if command else escaped
    markdown = "".join(_escape_piece(match.group()) for match in _PIECES.finditer(words))
    return _NUMBERED.sub(r"\1\\\2", markdown) + (code_span(command.group()) if command else "")


def code_span(text: str) -> str:
    """Return a code span that shows just this text, on one line."""
    content = sanitize(text)
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(content)), default=0) + 1)
    pad = " " if content[:1] in ("`", " ", "") or content[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{content}{pad}{fence}"


def unquote(value: str) -> str:
    """Return a value without its quotes, where it cannot be mistaken for a number or a keyword."""
    bare = value[1:-1]
    if "\\" in bare or bare != bare.strip() or not re.search(r"[^\W\d]", bare):
        return value
    return value if bare in ("true", "false", "null") or not re.fullmatch(QUOTED_VALUE, value) else bare


def unquote_values(text: str) -> str:
    """Return a sentence with its values unquoted, for where no letter may look otherwise than its neighbour."""
    return re.sub(QUOTED_VALUE, lambda match: unquote(match.group()), text)


def table_cell(text: str) -> str:
    """Return Markdown for a cell of a table, in which a vertical bar, in code too, is no border."""
    # Behind an odd number of backslashes parsers differ on what one more means.
    return _BARS.sub(lambda match: match[1] + ("\\|" if len(match[1]) % 2 == 0 else "\\u007c"), text)


def code_block(lines: str, language: str) -> str:
    """Return a code block; its fence is longer than any in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in [*_BACKTICKS.findall(lines), ""]))
    return f"{fence}{language}\n{lines.rstrip()}\n{fence}\n"


def alert(kind: str, lines: Sequence[str]) -> str:
    """Return one of GitHub's coloured boxes: NOTE, WARNING, CAUTION."""
    return "\n".join([f"> [!{kind}]", *(f"> {line}".rstrip() for line in lines)])


def details(title: str, body: str) -> str:
    """Return a part that is opened by a click."""
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>"


def _escape_piece(piece: str) -> str:
    if piece.isspace():
        return " "
    if piece[0].isspace():
        return "\u00a0%"  # a number stays with its percent sign where the line is broken
    if piece in _SIGNS:
        return _SIGNS[piece]
    if value := _VALUE.fullmatch(piece):
        return f"{_escape(value[1])}{code_span(unquote(value[2]))}{_escape(value[3])}"
    core = piece.lstrip(_OPENING).rstrip(_CLOSING)
    if not core:
        return _escape(piece)
    start, end = piece[: piece.index(core)], piece[piece.index(core) + len(core) :]
    middle = _SIGNS.get(core) or (core if _is_harmless(core) else code_span(core))
    return f"{_escape(start)}{middle}{_escape(end)}"


def _is_harmless(word: str) -> bool:
    return bool(_WORD.fullmatch(word)) and not any(map(_is_reference, re.split("['-]", word)))


def _is_reference(part: str) -> bool:
    """Return whether GitHub may take a part for a commit; a word without a digit is not one."""
    return bool(_REFERENCE.fullmatch(part)) and any(character.isdigit() for character in part)


def _escape(signs: str) -> str:
    return "".join(f"\\{character}" if character in "[]" else character for character in signs)
