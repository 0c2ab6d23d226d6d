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

from reconciler.manifest.text import Document, ErrorCollector, List, Map, SourceText
from reconciler.manifest.yaml_error_messages import describe_yaml_error, find_merge_conflict
from reconciler.model.rule import JSON_NUMBER, parse_number
from reconciler.text.escape import LONGEST_NAME, quote_name, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_FILE_BYTES: Final = 5 * 1024 * 1024
"""Bytes of a file."""

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_MAX_FORBIDDEN: Final = 20
_MAX_TAG_DIRECTIVES: Final = 100
_PLACEHOLDER: Final = "\ufffd"


class StopReadingError(Exception):
    """Nothing further in this file can be read with any certainty; the complaint is already made."""


def decode_text(data: bytes, collector: ErrorCollector) -> str:
    """Return the text of UTF-8 bytes, without the mark that some editors put in front."""
    if len(data) > MAX_FILE_BYTES:
        collector.report_unreadable("CXR002", 0, "the file is larger than 5 MiB", "split it into several files")
        raise StopReadingError
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        collector.report_unreadable("CXR001", 0, "the file is UTF-16, not UTF-8", "save it as UTF-8")
        raise StopReadingError
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        collector.text = SourceText(collector.text.file, data[: error.start].decode().removeprefix("\ufeff"))
        byte = data[error.start]
        collector.report_unreadable(
            "CXR001", len(collector.text.text), f"byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8"
        )
        raise StopReadingError from error


def replace_forbidden(collector: ErrorCollector) -> str:
    """Refuse characters that editors and parsers take differently, and put a harmless one in the place of each.

    A lone carriage return is one of them: a review shows one line where YAML sees two. Without these, the parser's
    lines are those that people see. %TAG lines are counted here since the parser's time grows with their square.
    """
    text = collector.text.text
    for pattern in (_FORBIDDEN, _LONE_RETURN):
        for count, match in enumerate(pattern.finditer(text)):
            if count == _MAX_FORBIDDEN:
                collector.report_unreadable(
                    "CXR015", match.start(), "too many forbidden characters: is this a text file?"
                )
                raise StopReadingError
            _refuse_character(match, collector)
        text = pattern.sub(_PLACEHOLDER, text)
    if text.count("\n%TAG") > _MAX_TAG_DIRECTIVES:
        collector.report_unreadable(
            "CXR008", 0 if text.startswith("%TAG") else text.index("\n%TAG") + 1, "%TAG directives are refused"
        )
        raise StopReadingError
    return text


def _refuse_character(match: re.Match[str], collector: ErrorCollector) -> None:
    point = ord(match[0])
    name = f"the character U+{point:04X}" if match[0] != "\r" else "a carriage return without a line feed"
    hint = f'in a text, write it as "\\u{point:04x}" in double quotes'
    collector.report_unreadable("CXR015", match.start(), f"{name} may not stand in a manifest", hint)


MAX_DEPTH: Final = 32
MAX_ENTRIES: Final = 250_000
"""Keys and list items of one file: what is read and checked in under a second. 10,000 rules of four fields: 50,000."""
MAX_KEYS: Final = 10_000
"""Keys of one mapping."""
MAX_DOCUMENTS: Final = 2_000
"""Documents of one file."""

_Event = Any
"""What the C parser yields; its classes are for looking at, not for type checkers."""
_Value = Any

_YAML_TAG: Final = "tag:yaml.org,2002:"
_MAX_FAST_DIGITS: Final = 16
_KEYWORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None, "": None}
_NUMERIC: Final = frozenset("-0123456789")


class ParsedFile(NamedTuple):
    """What became of a file.

    `is_complete` is false where reading had to end early, so that documents may be missing.
    """

    text: SourceText
    documents: list[Document]
    collector: ErrorCollector
    is_complete: bool


def parse_file(data: bytes, file: str) -> ParsedFile:
    """Read a file's bytes. Every error is among the complaints; nothing is raised, and no input takes a second."""
    complaints = ErrorCollector(text=SourceText(file, ""))
    documents: list[Document] = []
    complete = False
    try:
        complaints.text = SourceText(file, decode_text(data, complaints))
        _EventReader(replace_forbidden(complaints), complaints).read_documents(documents)
        complete = True
    except YAMLError as error:
        _report_yaml_error(error, complaints)
    except StopReadingError:
        pass
    return ParsedFile(complaints.text, documents, complaints, complete)


def _report_yaml_error(error: YAMLError, collector: ErrorCollector) -> None:
    """Word the parser's error at its place; a merge conflict comes before all that follows from it."""
    text = collector.text.text
    found = find_merge_conflict(text) or describe_yaml_error(error, text)
    said = (str(getattr(error, name, None)) for name in ("problem", "context"))
    if any("nesting depth" in one for one in said):
        collector.report_unreadable("CXR005", found.position, f"nested more than {MAX_DEPTH} levels deep")
        return
    line = collector.text.source(found.position).line
    if any(one.source and one.source.line == line for one in collector.collected):
        return  # most likely it only follows from what was refused in this line
    collector.report_unreadable("CXR004", found.position, found.message, found.hint)


class _EventReader:
    """One pass over a file's events."""

    def __init__(self, text: str, collector: ErrorCollector) -> None:
        self._next: Callable[[], _Event] = CParser(text).get_event
        self._collector = collector
        self._entries_left = MAX_ENTRIES

    def read_documents(self, documents: list[Document]) -> None:
        """Append the stream's documents; empty ones (`---` at the end of a file) are none."""
        self._next()
        while type(start := self._next()) is not StreamEndEvent:
            if start.tags:
                self._collector.report_unreadable("CXR008", start.start_mark.index, "%TAG directives are refused")
            event = self._next()
            if len(documents) == MAX_DOCUMENTS:
                self._refuse_size(event, f"the file holds more than {MAX_DOCUMENTS:,} documents")
            self._count(event)
            value = self._node(event, 0)
            if value is not None or event.start_mark.index in self._collector.refused_indexes:
                documents.append(Document(value, event.start_mark.index))
            self._next()

    def _node(self, event: _Event, depth: int) -> _Value:
        """Return the value that begins with an event, refusing anchors, aliases and tags."""
        kind = type(event)
        if kind is AliasEvent:
            self._collector.report_unreadable(
                "CXR006", event.start_mark.index, f"alias *{sanitize(event.anchor, LONGEST_NAME)} is refused"
            )
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        if kind is ScalarEvent:
            return event.value if event.style else self._plain_scalar(event)
        if depth == MAX_DEPTH:
            self._collector.report_unreadable(
                "CXR005", event.start_mark.index, f"nested more than {MAX_DEPTH} levels deep"
            )
            raise StopReadingError
        return self._mapping(depth + 1) if kind is MappingStartEvent else self._sequence(depth + 1)

    def _plain_scalar(self, event: _Event) -> _Value:
        """Return what a plain scalar means: one of three words, a decimal number, else its text."""
        text: str = event.value
        value = _KEYWORDS.get(text, text)
        if value is not text or text[0] not in _NUMERIC:
            return value
        if len(text) < _MAX_FAST_DIGITS and text.isdigit() and text.isascii() and text[0] != "0":
            return int(text)
        try:
            return parse_number(text)
        except ValueError:
            if JSON_NUMBER.fullmatch(text):
                hint = "put it in quotes if it is meant as text"
                self._collector.report_unreadable("CXR012", event.start_mark.index, "the number is out of range", hint)
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
                if len(again) > MAX_KEYS:
                    self._refuse_size(event, f"one mapping holds more than {MAX_KEYS:,} keys")
            elif key is not None:
                found[key] = value
                marks.append(event.start_mark.index)
                marks.append(value_event.start_mark.index)
                if len(found) > MAX_KEYS:
                    self._refuse_size(event, f"one mapping holds more than {MAX_KEYS:,} keys")
        if again:
            self._refuse_duplicates(again, found)
        return found

    def _key(self, event: _Event, depth: int) -> str | None:
        """Return a mapping's key; None where it is refused, so that its value is read and dropped."""
        kind = type(event)
        if kind is not ScalarEvent:
            if kind is not AliasEvent:
                self._collector.report_unreadable(
                    "CXR009", event.start_mark.index, "a key must be text, not a list or mapping"
                )
            self._node(event, depth)
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        if event.value == "<<" and not event.style:
            self._collector.report_unreadable("CXR007", event.start_mark.index, "the merge key << is refused")
            return None
        return intern(event.value)

    def _count(self, event: _Event) -> None:
        """Count a value (in mappings, a key with its value) against the limit of a file."""
        self._entries_left -= 1
        if self._entries_left < 0:
            self._refuse_size(event, f"the file holds more than {MAX_ENTRIES:,} entries")

    def _refuse_size(self, event: _Event, message: str) -> NoReturn:
        self._collector.report_unreadable("CXR010", event.start_mark.index, message, "split it")
        raise StopReadingError

    def _refuse_properties(self, event: _Event) -> None:
        if event.anchor is not None:
            self._collector.report_unreadable(
                "CXR006", event.start_mark.index, f"anchor &{sanitize(event.anchor, LONGEST_NAME)} is refused"
            )
        if event.tag is not None:
            self._collector.report_unreadable(
                "CXR008", event.start_mark.index, f"tag {quote_name(event.tag.replace(_YAML_TAG, '!!'))} is refused"
            )

    def _refuse_duplicates(self, duplicates: list[tuple[str, int]], mapping: Map) -> None:
        """Say of each repeated key where it stood first; that one's value is kept."""
        for key, index in duplicates:
            line = 0 if self._collector.is_full else self._collector.text.source(mapping.key_index(key)).line
            self._collector.report_unreadable(
                "CXR011", index, f"duplicate key '{sanitize(key, LONGEST_NAME)}', first on line {line}"
            )
