"""The place of a cursor in a manifest while it is typed: of a field, of a value, or of either.

A text with a cursor in it is seldom valid. So only the text before the cursor is read, with its
brackets closed and a mark in place of the typed word: once as a field, once as a value.
"""

import re
from typing import Any, Final, NamedTuple

from yaml import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    MarkedYAMLError,
    ScalarToken,
    YAMLError,
)
from yaml._yaml import CParser

from reconciler.core.manifest.syntax_tree import (
    Place,
    SyntaxDocument,
    is_readable,
    mask_unreadable,
    read_syntax,
)

_MARK: Final = "cursor-7f3a"
_DOCUMENT: Final = re.compile(r"^---(?:\s|$)", re.MULTILINE)
_CLOSING: Final[dict[type[Any], str]] = {
    FlowMappingStartToken: "}",
    FlowSequenceStartToken: "]",
}
_ENDS: Final = (FlowMappingEndToken, FlowSequenceEndToken)


class Cursor(NamedTuple):
    """A cursor behind a word, which may be empty.

    `start` is the index of the word, with its opening quote.
    """

    start: int
    typed: str
    document: SyntaxDocument  # up to the cursor
    field: Place | None  # the place of a field, with the path that it would have
    value: Place | None


class _Word(NamedTuple):
    start: int
    brackets: str  # what closes the brackets around it


def find_cursor(text: str, offset: int) -> Cursor | None:
    """Return the place of a cursor; None in a comment, and where the text before it is broken."""
    if not is_readable(text):
        return None
    readable = mask_unreadable(text[:offset])
    document_start = 0
    for match in _DOCUMENT.finditer(readable):
        document_start = match.end()
    before = readable[document_start:]
    word = _find_word(before)
    if word is None:
        return None

    head = before[: word.start]
    field_document, field = _marked(f'{head}"{_MARK}": 0{word.brackets}')
    value_document, value = _marked(f'{head}"{_MARK}"{word.brackets}')
    document = field_document or value_document
    if document is None:
        return None
    if field and not field.is_key:
        field = None
    if value and value.is_key:
        value = None
    start = document_start + word.start
    return Cursor(start, text[start:offset], document, field, value)


def _find_word(before: str) -> _Word | None:
    """Return the word at the end of a text, and its open brackets; None in a comment and behind an
    error.
    """
    parser = CParser(before)
    brackets: list[str] = []
    scalar: Any = None
    end = 0
    try:
        while parser.check_token():
            token: Any = parser.get_token()
            if type(token) in _CLOSING:
                brackets.insert(0, _CLOSING[type(token)])
            elif type(token) in _ENDS:
                brackets = brackets[1:]
            if token.end_mark.index > token.start_mark.index:
                scalar = token if type(token) is ScalarToken else None
                end = token.end_mark.index
    except MarkedYAMLError as error:
        start = _unfinished(error, before)
    except YAMLError:
        return None
    else:
        start = _last_word(before, scalar, end)
    return None if start is None else _Word(start, "".join(brackets))


def _unfinished(error: MarkedYAMLError, before: str) -> int | None:
    """Return the start of a word whose quote is not closed, or that lacks the colon of a field."""
    mark: Any = error.context_mark
    context = error.context or ""
    is_word = context.endswith(("quoted scalar", "simple key"))
    if not is_word or mark is None or "\n" in before[mark.index :]:
        return None
    return int(mark.index)


def _last_word(before: str, scalar: Any, end: int) -> int | None:  # noqa: ANN401 - PyYAML's tokens
    """Return the start of the last scalar if the text ends in it, otherwise the end of the text."""
    behind = before[end:]
    _, _, last_line = behind.rpartition("\n")
    if "#" in last_line:
        return None
    if scalar is None:
        return len(before)
    start = int(scalar.start_mark.index)
    if "\n" in before[start:]:
        return len(before)
    is_quoted = bool(scalar.style)
    return None if is_quoted and behind else start


def _marked(text: str) -> tuple[SyntaxDocument, Place] | tuple[None, None]:
    for document in read_syntax(text):
        for place in document.places:
            if place.node.text == _MARK:
                return document, place
    return None, None
