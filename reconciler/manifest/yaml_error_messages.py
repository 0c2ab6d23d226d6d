"""What the YAML parser gave up on, in words for people: where, what is wrong, and how to write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml import YAMLError


_CONFLICT_MARKER: Final = re.compile(r"^(?:<{7}|\|{7}|>{7})(?: .*)?\r?$|^={7}\r?$", re.MULTILINE)
_END_OF_FILE: Final = "the end of the file"


class YamlErrorMessage(NamedTuple):
    """An error of grammar: the place that it is about, what is wrong, and what to do."""

    position: int
    message: str
    hint: str = ""


class _ErrorContext(NamedTuple):
    """Where the parser gave up, and where what it was reading began. Columns are from 1, as people see them."""

    text: str
    position: int
    line: int
    column: int
    start: int
    start_line: int
    """The line where it began."""
    start_column: int
    """The column where it began."""
    problem: str
    context: str

    @property
    def character(self) -> str:
        """Return the character at which the parser gave up, as it may stand in a message."""
        return quote_name(self.text[self.position]) if self.position < len(self.text) else _END_OF_FILE

    @property
    def line_prefix(self) -> str:
        """Return what stands in the line before that place."""
        return self.text[self.text.rfind("\n", 0, self.position) + 1 : self.position]


def find_merge_conflict(text: str) -> YamlErrorMessage | None:
    """Return the error of the first line that a merge left behind, where there is one."""
    found = _CONFLICT_MARKER.search(text)
    if found is None:
        return None
    hint = "keep one side, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
    return YamlErrorMessage(found.start(), "an unresolved merge conflict", hint)


def describe_yaml_error(error: YAMLError, text: str) -> YamlErrorMessage:
    """Return an error of the parser in words; its own where none are known."""
    spot = _error_context(error, text)
    for problem, word in _DESCRIPTIONS.items():
        if spot.problem.startswith(problem):
            return word(spot)
    where = f", {spot.context}" if spot.context else ""
    if where and spot.start_line != spot.line:
        where += f" that began on line {spot.start_line}"
    return YamlErrorMessage(spot.position, f"not YAML: {spot.problem}{where}")


def _error_context(error: YAMLError, text: str) -> _ErrorContext:
    mark: Any = getattr(error, "problem_mark", None)
    began: Any = getattr(error, "context_mark", None) or mark
    problem, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    if mark is None:
        return _ErrorContext(text, 0, 1, 1, 0, 1, 1, problem, context)
    index, start = min(mark.index, len(text)), min(began.index, len(text))
    ends = (mark.line + 1, mark.column + 1, start, began.line + 1, began.column + 1)
    return _ErrorContext(text, index, *ends, problem, context)


def _not_an_item(spot: _ErrorContext) -> YamlErrorMessage:
    message = f"wrong indentation: this line is not part of the list that began on line {spot.start_line}"
    if spot.character == '"-"':
        return YamlErrorMessage(
            spot.position, message, f"begin its - in column {spot.start_column}, below those of the other items"
        )
    hint = f"an item begins with - in column {spot.start_column}, and its further fields stand in column {spot.start_column + 2}"
    return YamlErrorMessage(spot.position, message, hint)


def _not_a_key(spot: _ErrorContext) -> YamlErrorMessage:
    message = f"wrong indentation: this line is not part of the mapping that began on line {spot.start_line}"
    if spot.character == '"-"':
        return YamlErrorMessage(spot.position, message, "begin its - below those of the other items")
    return YamlErrorMessage(
        spot.position, message, f"begin it in column {spot.start_column}, or below the fields that it belongs to"
    )


def _second_colon(spot: _ErrorContext) -> YamlErrorMessage:
    if re.search(r":\s", spot.line_prefix):
        return YamlErrorMessage(spot.position, 'a text that holds ": " is not in quotes', "put it in quotes")
    message = "wrong indentation: this line is deeper than the one above, which has a value already"
    return YamlErrorMessage(spot.position, message, "begin it below the field or item that it belongs to")


def _no_colon(spot: _ErrorContext) -> YamlErrorMessage:
    return YamlErrorMessage(spot.start, 'this line has no ": " after its name', "write a field as name: value")


def _item_in_line(spot: _ErrorContext) -> YamlErrorMessage:
    message = "an item of a list cannot begin in the line of the field's name"
    return YamlErrorMessage(
        spot.position, message, "begin it on a line of its own, or write the list in brackets: [a, b]"
    )


def _bad_start(spot: _ErrorContext) -> YamlErrorMessage:
    if spot.character == quote_name("\t"):
        return YamlErrorMessage(spot.position, "a tab cannot indent a line", "indent with spaces")
    return YamlErrorMessage(spot.position, f"a text cannot begin with {spot.character}", "put the text in quotes")


def _unquoted_sign(spot: _ErrorContext) -> YamlErrorMessage:
    return YamlErrorMessage(
        spot.start, f"a text cannot begin with {quote_name(spot.text[spot.start])}", "put the text in quotes"
    )


def _early_end(spot: _ErrorContext) -> YamlErrorMessage:
    if "quoted" not in spot.context:
        return YamlErrorMessage(spot.position, "the file ends too early")
    return YamlErrorMessage(spot.start, "this quote is never closed", "close it where the text ends")


def _not_closed(spot: _ErrorContext) -> YamlErrorMessage:
    bracket, closing = ("[", "]") if "sequence" in spot.context else ("{", "}")
    message = f"the {bracket} of line {spot.start_line} is not closed before {spot.character}, or a comma is missing"
    return YamlErrorMessage(
        spot.position, message, f"separate what stands in brackets with commas, and end it with {closing}"
    )


def _no_value(spot: _ErrorContext) -> YamlErrorMessage:
    message = f"a value is missing before {spot.character}: a bracket is not closed, or one is too many"
    return YamlErrorMessage(spot.position, message, "put a text that holds brackets in quotes")


def _bad_escape(spot: _ErrorContext) -> YamlErrorMessage:
    return YamlErrorMessage(
        spot.position, "an escape in this text is not known", "write \\\\ for a backslash, or use single quotes"
    )


_DESCRIPTIONS: Final[dict[str, Callable[[_ErrorContext], YamlErrorMessage]]] = {
    "did not find expected '-' indicator": _not_an_item,
    "did not find expected key": _not_a_key,
    "mapping values are not allowed": _second_colon,
    "could not find expected ':'": _no_colon,
    "block sequence entries are not allowed": _item_in_line,
    "found character that cannot start": _bad_start,
    "did not find expected alphabetic": _unquoted_sign,
    "found unexpected end of stream": _early_end,
    "did not find expected ',' or": _not_closed,
    "did not find expected node content": _no_value,
    "found unknown escape": _bad_escape,
}
"""By how the parser's message begins."""
