"""YAML text -> values with their places, read strictly: pull requests are untrusted (invariants R14).

On the events of libyaml's parser, not on a loader: a loader would have resolved aliases, tags and `no` before anyone
could refuse them. Nothing raises here: a file yields what could be read of it, and what is wrong in it.

A file's bytes -> text that every parser and editor takes alike (invariants R14).
"""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from yaml import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
    YAMLError,
)
from yaml._yaml import CParser

from reconciler.manifest.text import Complaints, Document, List, Map, Text
from reconciler.manifest.yaml_error_messages import conflict, worded
from reconciler.model.rule import DECIMAL, number
from reconciler.text.escape import LONGEST_NAME, quote_name, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable


LARGEST: Final = 5 * 1024 * 1024
"""Bytes of a file."""

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_MOST_FORBIDDEN: Final = 20
_MOST_TAG_DIRECTIVES: Final = 100
_PLACEHOLDER: Final = "\ufffd"


class EndOfReadingError(Exception):
    """Nothing further in this file can be read with any certainty; the complaint is already made."""


def decoded(data: bytes, complaints: Complaints) -> str:
    """Return the text of UTF-8 bytes, without the mark that some editors put in front."""
    if len(data) > LARGEST:
        complaints.refuse("CXR002", 0, "the file is larger than 5 MiB", "split it into several files")
        raise EndOfReadingError
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        complaints.refuse("CXR001", 0, "the file is UTF-16, not UTF-8", "save it as UTF-8")
        raise EndOfReadingError
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        complaints.text = Text(complaints.text.file, data[: error.start].decode().removeprefix("\ufeff"))
        byte = data[error.start]
        complaints.refuse(
            "CXR001", len(complaints.text.text), f"byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8"
        )
        raise EndOfReadingError from error


def cleaned(complaints: Complaints) -> str:
    """Refuse characters that editors and parsers take differently, and put a harmless one in the place of each.

    A lone carriage return is one of them: a review shows one line where YAML sees two. Without these, the parser's
    lines are those that people see. %TAG lines are counted here since the parser's time grows with their square.
    """
    text = complaints.text.text
    for pattern in (_FORBIDDEN, _LONE_RETURN):
        for count, match in enumerate(pattern.finditer(text)):
            if count == _MOST_FORBIDDEN:
                complaints.refuse("CXR015", match.start(), "too many forbidden characters: is this a text file?")
                raise EndOfReadingError
            _refuse_character(match, complaints)
        text = pattern.sub(_PLACEHOLDER, text)
    if text.count("\n%TAG") > _MOST_TAG_DIRECTIVES:
        complaints.refuse(
            "CXR008", 0 if text.startswith("%TAG") else text.index("\n%TAG") + 1, "%TAG directives are refused"
        )
        raise EndOfReadingError
    return text


def _refuse_character(match: re.Match[str], complaints: Complaints) -> None:
    point = ord(match[0])
    name = f"the character U+{point:04X}" if match[0] != "\r" else "a carriage return without a line feed"
    hint = f'in a text, write it as "\\u{point:04x}" in double quotes'
    complaints.refuse("CXR015", match.start(), f"{name} may not stand in a manifest", hint)


DEEPEST: Final = 32
MOST_ENTRIES: Final = 250_000
"""Keys and list items of one file: what is read and checked in under a second. 10,000 rules of four fields: 50,000."""
MOST_KEYS: Final = 10_000
"""Keys of one mapping."""
MOST_DOCUMENTS: Final = 2_000
"""Documents of one file."""

_Event = Any
"""What the C parser yields; its classes are for looking at, not for type checkers."""
_Value = Any

_YAML_TAG: Final = "tag:yaml.org,2002:"
_SHORT: Final = 16
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None, "": None}
_NUMERIC: Final = frozenset("-0123456789")


class Reading(NamedTuple):
    """What became of a file. `complete` is false where reading had to end early, so that documents may be missing."""

    text: Text
    documents: list[Document]
    complaints: Complaints
    complete: bool


def read(data: bytes, file: str) -> Reading:
    """Read a file's bytes. Every error is among the complaints; nothing is raised, and no input takes a second."""
    complaints = Complaints(text=Text(file, ""))
    documents: list[Document] = []
    complete = False
    try:
        complaints.text = Text(file, decoded(data, complaints))
        _Reader(cleaned(complaints), complaints).documents(documents)
        complete = True
    except YAMLError as error:
        _explain(error, complaints)
    except EndOfReadingError:
        pass
    return Reading(complaints.text, documents, complaints, complete)


def _explain(error: YAMLError, complaints: Complaints) -> None:
    """Word the parser's error at its place; a merge conflict comes before all that follows from it."""
    text = complaints.text.text
    found = conflict(text) or worded(error, text)
    said = (str(getattr(error, name, None)) for name in ("problem", "context"))
    if any("nesting depth" in one for one in said):
        complaints.refuse("CXR005", found.at, f"nested more than {DEEPEST} levels deep")
        return
    line = complaints.text.source(found.at).line
    if any(one.source and one.source.line == line for one in complaints.found):
        return  # most likely it only follows from what was refused in this line
    complaints.refuse("CXR004", found.at, found.message, found.hint)


class _Reader:
    """One pass over a file's events."""

    def __init__(self, text: str, complaints: Complaints) -> None:
        self._next: Callable[[], _Event] = CParser(text).get_event
        self._complaints = complaints
        self._left = MOST_ENTRIES

    def documents(self, found: list[Document]) -> None:
        """Append the stream's documents; empty ones (`---` at the end of a file) are none."""
        self._next()
        while type(start := self._next()) is not StreamEndEvent:
            if start.tags:
                self._complaints.refuse("CXR008", start.start_mark.index, "%TAG directives are refused")
            event = self._next()
            if len(found) == MOST_DOCUMENTS:
                self._refuse_size(event, f"the file holds more than {MOST_DOCUMENTS:,} documents")
            self._count(event)
            value = self._node(event, 0)
            if value is not None or event.start_mark.index in self._complaints.refused:
                found.append(Document(value, event.start_mark.index))
            self._next()

    def _node(self, event: _Event, depth: int) -> _Value:
        """Return the value that begins with an event, refusing anchors, aliases and tags."""
        kind = type(event)
        if kind is AliasEvent:
            self._complaints.refuse(
                "CXR006", event.start_mark.index, f"alias *{sanitize(event.anchor, LONGEST_NAME)} is refused"
            )
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        if kind is ScalarEvent:
            return event.value if event.style else self._plain(event)
        if depth == DEEPEST:
            self._complaints.refuse("CXR005", event.start_mark.index, f"nested more than {DEEPEST} levels deep")
            raise EndOfReadingError
        return self._mapping(depth + 1) if kind is MappingStartEvent else self._sequence(depth + 1)

    def _plain(self, event: _Event) -> _Value:
        """Return what a plain scalar means: one of three words, a decimal number, else its text."""
        text: str = event.value
        value = _WORDS.get(text, text)
        if value is not text or text[0] not in _NUMERIC:
            return value
        if len(text) < _SHORT and text.isdigit() and text.isascii() and text[0] != "0":
            return int(text)
        try:
            return number(text)
        except ValueError:
            if DECIMAL.fullmatch(text):
                hint = "put it in quotes if it is meant as text"
                self._complaints.refuse("CXR012", event.start_mark.index, "the number is out of range", hint)
            return text

    def _sequence(self, depth: int) -> List:
        found = List()
        found.marks = []
        while type(event := self._next()) is not SequenceEndEvent:
            self._count(event)
            found.marks.append(event.start_mark.index)
            found.append(self._node(event, depth))
        return found

    def _mapping(self, depth: int) -> Map:
        found = Map()
        marks = found.marks = []
        again: list[tuple[str, int]] = []
        while type(event := self._next()) is not MappingEndEvent:
            self._count(event)
            key = self._key(event, depth)
            value_event = self._next()
            value = self._node(value_event, depth)
            if key is not None and key in found:
                again.append((key, event.start_mark.index))
                if len(again) > MOST_KEYS:
                    self._refuse_size(event, f"one mapping holds more than {MOST_KEYS:,} keys")
            elif key is not None:
                found[key] = value
                marks.append(event.start_mark.index)
                marks.append(value_event.start_mark.index)
                if len(found) > MOST_KEYS:
                    self._refuse_size(event, f"one mapping holds more than {MOST_KEYS:,} keys")
        if again:
            self._refuse_duplicates(again, found)
        return found

    def _key(self, event: _Event, depth: int) -> str | None:
        """Return a mapping's key; None where it is refused, so that its value is read and dropped."""
        kind = type(event)
        if kind is not ScalarEvent:
            if kind is not AliasEvent:
                self._complaints.refuse("CXR009", event.start_mark.index, "a key must be text, not a list or mapping")
            self._node(event, depth)
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        if event.value == "<<" and not event.style:
            self._complaints.refuse("CXR007", event.start_mark.index, "the merge key << is refused")
            return None
        return intern(event.value)

    def _count(self, event: _Event) -> None:
        """Count a value (in mappings, a key with its value) against the limit of a file."""
        self._left -= 1
        if self._left < 0:
            self._refuse_size(event, f"the file holds more than {MOST_ENTRIES:,} entries")

    def _refuse_size(self, event: _Event, message: str) -> NoReturn:
        self._complaints.refuse("CXR010", event.start_mark.index, message, "split it")
        raise EndOfReadingError

    def _refuse_properties(self, event: _Event) -> None:
        if event.anchor is not None:
            self._complaints.refuse(
                "CXR006", event.start_mark.index, f"anchor &{sanitize(event.anchor, LONGEST_NAME)} is refused"
            )
        if event.tag is not None:
            self._complaints.refuse(
                "CXR008", event.start_mark.index, f"tag {quote_name(event.tag.replace(_YAML_TAG, '!!'))} is refused"
            )

    def _refuse_duplicates(self, again: list[tuple[str, int]], found: Map) -> None:
        """Say of each repeated key where it stood first; that one's value is kept."""
        for key, index in again:
            line = 0 if self._complaints.full else self._complaints.text.source(found.key_index(key)).line
            self._complaints.refuse(
                "CXR011", index, f"duplicate key '{sanitize(key, LONGEST_NAME)}', first on line {line}"
            )
