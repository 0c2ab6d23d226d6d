"""What the YAML parser gave up on, in words for people: where, what is wrong, and how to write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml import YAMLError


_CONFLICT: Final = re.compile(r"^(?:<{7}|\|{7}|>{7})(?: .*)?\r?$|^={7}\r?$", re.MULTILINE)
_MISSING: Final = "the end of the file"


class Worded(NamedTuple):
    """An error of grammar: the place that it is about, what is wrong, and what to do."""

    at: int
    message: str
    hint: str = ""


class _Spot(NamedTuple):
    """Where the parser gave up, and where what it was reading began. Columns are from 1, as people see them."""

    text: str
    at: int
    line: int
    column: int
    start: int
    began: int
    """The line where it began."""
    begin: int
    """The column where it began."""
    problem: str
    context: str

    @property
    def here(self) -> str:
        """Return the character at which the parser gave up, as it may stand in a message."""
        return quote_name(self.text[self.at]) if self.at < len(self.text) else _MISSING

    @property
    def before(self) -> str:
        """Return what stands in the line before that place."""
        return self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at]


def conflict(text: str) -> Worded | None:
    """Return the error of the first line that a merge left behind, where there is one."""
    found = _CONFLICT.search(text)
    if found is None:
        return None
    hint = "keep one side, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
    return Worded(found.start(), "an unresolved merge conflict", hint)


def worded(error: YAMLError, text: str) -> Worded:
    """Return an error of the parser in words; its own where none are known."""
    spot = _spot(error, text)
    for problem, word in _WORDS.items():
        if spot.problem.startswith(problem):
            return word(spot)
    where = f", {spot.context}" if spot.context else ""
    if where and spot.began != spot.line:
        where += f" that began on line {spot.began}"
    return Worded(spot.at, f"not YAML: {spot.problem}{where}")


def _spot(error: YAMLError, text: str) -> _Spot:
    mark: Any = getattr(error, "problem_mark", None)
    began: Any = getattr(error, "context_mark", None) or mark
    problem, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    if mark is None:
        return _Spot(text, 0, 1, 1, 0, 1, 1, problem, context)
    index, start = min(mark.index, len(text)), min(began.index, len(text))
    ends = (mark.line + 1, mark.column + 1, start, began.line + 1, began.column + 1)
    return _Spot(text, index, *ends, problem, context)


def _not_an_item(spot: _Spot) -> Worded:
    message = f"wrong indentation: this line is not part of the list that began on line {spot.began}"
    if spot.here == '"-"':
        return Worded(spot.at, message, f"begin its - in column {spot.begin}, below those of the other items")
    hint = f"an item begins with - in column {spot.begin}, and its further fields stand in column {spot.begin + 2}"
    return Worded(spot.at, message, hint)


def _not_a_key(spot: _Spot) -> Worded:
    message = f"wrong indentation: this line is not part of the mapping that began on line {spot.began}"
    if spot.here == '"-"':
        return Worded(spot.at, message, "begin its - below those of the other items")
    return Worded(spot.at, message, f"begin it in column {spot.begin}, or below the fields that it belongs to")


def _second_colon(spot: _Spot) -> Worded:
    if re.search(r":\s", spot.before):
        return Worded(spot.at, 'a text that holds ": " is not in quotes', "put it in quotes")
    message = "wrong indentation: this line is deeper than the one above, which has a value already"
    return Worded(spot.at, message, "begin it below the field or item that it belongs to")


def _no_colon(spot: _Spot) -> Worded:
    return Worded(spot.start, 'this line has no ": " after its name', "write a field as name: value")


def _item_in_line(spot: _Spot) -> Worded:
    message = "an item of a list cannot begin in the line of the field's name"
    return Worded(spot.at, message, "begin it on a line of its own, or write the list in brackets: [a, b]")


def _bad_start(spot: _Spot) -> Worded:
    if spot.here == quote_name("\t"):
        return Worded(spot.at, "a tab cannot indent a line", "indent with spaces")
    return Worded(spot.at, f"a text cannot begin with {spot.here}", "put the text in quotes")


def _bare_sign(spot: _Spot) -> Worded:
    return Worded(spot.start, f"a text cannot begin with {quote_name(spot.text[spot.start])}", "put the text in quotes")


def _open_end(spot: _Spot) -> Worded:
    if "quoted" not in spot.context:
        return Worded(spot.at, "the file ends too early")
    return Worded(spot.start, "this quote is never closed", "close it where the text ends")


def _not_closed(spot: _Spot) -> Worded:
    bracket, closing = ("[", "]") if "sequence" in spot.context else ("{", "}")
    message = f"the {bracket} of line {spot.began} is not closed before {spot.here}, or a comma is missing"
    return Worded(spot.at, message, f"separate what stands in brackets with commas, and end it with {closing}")


def _no_value(spot: _Spot) -> Worded:
    message = f"a value is missing before {spot.here}: a bracket is not closed, or one is too many"
    return Worded(spot.at, message, "put a text that holds brackets in quotes")


def _bad_escape(spot: _Spot) -> Worded:
    return Worded(spot.at, "an escape in this text is not known", "write \\\\ for a backslash, or use single quotes")


_WORDS: Final[dict[str, Callable[[_Spot], Worded]]] = {
    "did not find expected '-' indicator": _not_an_item,
    "did not find expected key": _not_a_key,
    "mapping values are not allowed": _second_colon,
    "could not find expected ':'": _no_colon,
    "block sequence entries are not allowed": _item_in_line,
    "found character that cannot start": _bad_start,
    "did not find expected alphabetic": _bare_sign,
    "found unexpected end of stream": _open_end,
    "did not find expected ',' or": _not_closed,
    "did not find expected node content": _no_value,
    "found unknown escape": _bad_escape,
}
"""By how the parser's message begins."""
