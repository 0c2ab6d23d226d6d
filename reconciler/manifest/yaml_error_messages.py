"""The YAML parser's errors in words for people: place, problem, and correction."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from yaml import YAMLError

_CONFLICT_MARKER: Final = re.compile(r"^(?:<{7}|\|{7}|>{7})(?: .*)?\r?$|^={7}\r?$", re.MULTILINE)
_END_OF_FILE: Final = "the end of the file"


class YamlErrorMessage(NamedTuple):
    """A syntax error: its place, the problem, and the correction."""

    position: int
    message: str
    hint: str = ""


class _ErrorContext(NamedTuple):
    """Where the parser stopped, and where the construct began. Columns count from 1."""

    text: str
    position: int
    line: int
    start: int
    start_line: int
    start_column: int
    problem: str
    context: str

    @property
    def character(self) -> str:
        """Return the character at which the parser stopped, as it may stand in a message."""
        return quote_name(self.text[self.position]) if self.position < len(self.text) else _END_OF_FILE

    def error(self, message: str, hint: str = "") -> YamlErrorMessage:
        """Return an error at the place where the parser stopped."""
        return YamlErrorMessage(self.position, message, hint)


def find_merge_conflict(text: str) -> YamlErrorMessage | None:
    """Return the error of the first line that a merge left behind, if any."""
    marker = _CONFLICT_MARKER.search(text)
    hint = "keep one side, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
    return YamlErrorMessage(marker.start(), "an unresolved merge conflict", hint) if marker else None


def describe_yaml_error(error: YAMLError, text: str) -> YamlErrorMessage:
    """Return a parser error in words, or in the parser's own."""
    mark: Any = getattr(error, "problem_mark", None)
    began: Any = getattr(error, "context_mark", None) or mark
    problem, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    spot = _ErrorContext(text, 0, 1, 0, 1, 1, problem, context)
    if mark is not None:
        index, start = min(mark.index, len(text)), min(began.index, len(text))
        spot = _ErrorContext(text, index, mark.line + 1, start, began.line + 1, began.column + 1, problem, context)
    for opening, describe in _DESCRIPTIONS.items():
        if problem.startswith(opening):
            return describe(spot)
    where = f", {context}" if context else ""
    if where and spot.start_line != spot.line:
        where += f" that began on line {spot.start_line}"
    return spot.error(f"not YAML: {problem}{where}")


def _not_an_item(spot: _ErrorContext) -> YamlErrorMessage:
    message = f"wrong indentation: this line is not part of the list that began on line {spot.start_line}"
    column = spot.start_column
    if spot.character == '"-"':
        return spot.error(message, f"begin its - in column {column}, below those of the other items")
    return spot.error(
        message, f"an item begins with - in column {column}, and its further fields stand in column {column + 2}"
    )


def _not_a_key(spot: _ErrorContext) -> YamlErrorMessage:
    message = f"wrong indentation: this line is not part of the mapping that began on line {spot.start_line}"
    if spot.character == '"-"':
        return spot.error(message, "begin its - below those of the other items")
    return spot.error(message, f"begin it in column {spot.start_column}, or below the fields that it belongs to")


def _second_colon(spot: _ErrorContext) -> YamlErrorMessage:
    if re.search(r":\s", spot.text[spot.text.rfind("\n", 0, spot.position) + 1 : spot.position]):
        return spot.error('a text that holds ": " is not in quotes', "put it in quotes")
    message = "wrong indentation: this line is deeper than the one above, which has a value already"
    return spot.error(message, "begin it below the field or item that it belongs to")


def _bad_start(spot: _ErrorContext) -> YamlErrorMessage:
    if spot.character == quote_name("\t"):
        return spot.error("a tab cannot indent a line", "indent with spaces")
    return spot.error(f"a text cannot begin with {spot.character}", "put the text in quotes")


def _early_end(spot: _ErrorContext) -> YamlErrorMessage:
    if "quoted" not in spot.context:
        return spot.error("the file ends too early")
    return YamlErrorMessage(spot.start, "this quote is never closed", "close it where the text ends")


def _not_closed(spot: _ErrorContext) -> YamlErrorMessage:
    bracket, closing = ("[", "]") if "sequence" in spot.context else ("{", "}")
    message = f"the {bracket} of line {spot.start_line} is not closed before {spot.character}, or a comma is missing"
    return spot.error(message, f"separate what stands in brackets with commas, and end it with {closing}")


_DESCRIPTIONS: Final[dict[str, Callable[[_ErrorContext], YamlErrorMessage]]] = {
    "did not find expected '-' indicator": _not_an_item,
    "did not find expected key": _not_a_key,
    "mapping values are not allowed": _second_colon,
    "could not find expected ':'": lambda spot: YamlErrorMessage(
        spot.start, 'this line has no ": " after its name', "write a field as name: value"
    ),
    "block sequence entries are not allowed": lambda spot: spot.error(
        "an item of a list cannot begin in the line of the field's name",
        "begin it on a line of its own, or write the list in brackets: [a, b]",
    ),
    "found character that cannot start": _bad_start,
    "did not find expected alphabetic": lambda spot: YamlErrorMessage(
        spot.start, f"a text cannot begin with {quote_name(spot.text[spot.start])}", "put the text in quotes"
    ),
    "found unexpected end of stream": _early_end,
    "did not find expected ',' or": _not_closed,
    "did not find expected node content": lambda spot: spot.error(
        f"a value is missing before {spot.character}: a bracket is not closed, or one is too many",
        "put a text that holds brackets in quotes",
    ),
    "found unknown escape": lambda spot: spot.error(
        "an escape in this text is not known", "write \\\\ for a backslash, or use single quotes"
    ),
}
"""By the start of the parser's message."""
