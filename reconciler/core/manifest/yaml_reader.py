"""YAML bytes -> values with their positions, read strictly: pull requests are untrusted (invariants
R14).

It uses the events of libyaml's parser, because a loader resolves aliases, tags and `no` before they
can be refused. No function raises for an invalid file: the result holds the readable values and the
errors.
"""

import re
from collections.abc import Callable
from sys import intern
from typing import Any, Final, NamedTuple, NoReturn

from yaml import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from yaml._yaml import CParser

from reconciler.core.manifest.other_readings import (
    is_split_in_brackets,
    is_text_elsewhere,
    other_reading,
)
from reconciler.core.manifest.source_map import (
    Document,
    ErrorCollector,
    List,
    Map,
    SourceText,
)
from reconciler.core.model.rule import JSON_NUMBER, parse_number
from reconciler.core.text.escape import MAX_NAME_LENGTH, quote_name, sanitize

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_ENTRIES: Final = 250_000
"""Keys and list items of one file: checked in less than a second.

10,000 rules with four fields: 50,000.
"""
MAX_KEYS: Final = 10_000  # keys of one mapping
_TOO_MANY_KEYS: Final = f"one mapping holds more than {MAX_KEYS:,} keys"
MAX_DOCUMENTS: Final = 2_000  # documents of one file

FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
)
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_MAX_FORBIDDEN: Final = 20
_MAX_TAG_DIRECTIVES: Final = 100
PLACEHOLDER: Final = "\ufffd"
_YAML_TAG: Final = "tag:yaml.org,2002:"
_MAX_FAST_DIGITS: Final = 16
_KEYWORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "false": False,
    "null": None,
    "": None,
}
_NUMERIC: Final = frozenset("-0123456789")
_CONFLICT_MARKER: Final = re.compile(
    r"^(?:<{7}|\|{7}|>{7})(?: .*)?\r?$|^={7}\r?$", re.MULTILINE
)

_Event = Any  # an event of the C parser, which has no types for type checkers
_Value = Any


class StopReadingError(Exception):
    """The rest of the file cannot be read reliably; the error is already reported."""


def stop_reading(
    collector: ErrorCollector,
    code: str,
    index: int,
    message: str,
    hint: str = "",
) -> NoReturn:
    """Report an error after which the rest of the file is unreliable. Raises StopReadingError."""
    collector.report_unreadable(code, index, message, hint)
    raise StopReadingError


def decode_text(data: bytes, collector: ErrorCollector) -> str:
    """Return the text of UTF-8 bytes, without a byte order mark."""
    if len(data) > MAX_FILE_BYTES:
        stop_reading(
            collector,
            "CXR002",
            0,
            "the file is larger than 5 MiB",
            "split it into several files",
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        stop_reading(
            collector,
            "CXR001",
            0,
            "the file is UTF-16, not UTF-8",
            "save it as UTF-8",
        )
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().removeprefix("\ufeff")
        collector.text = SourceText(
            collector.text.file,
            before,
            collector.text.first_line,
        )
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        stop_reading(
            collector,
            "CXR001",
            len(collector.text.text),
            message,
            "save the file as UTF-8",
        )


def replace_forbidden(collector: ErrorCollector) -> str:
    """Report and replace characters that editors and parsers treat differently, and return the
    text.
    """
    text = collector.text.text
    for pattern in (FORBIDDEN, _LONE_RETURN):
        for count, match in enumerate(pattern.finditer(text)):
            if count == _MAX_FORBIDDEN:
                stop_reading(
                    collector,
                    "CXR015",
                    match.start(),
                    "too many forbidden characters: is this a text file?",
                )
            point = ord(match[0])
            name = (
                f"the character U+{point:04X}"
                if match[0] != "\r"
                else "a carriage return without a line feed"
            )
            hint = f'in a text, write it as "\\u{point:04x}" in double quotes'
            collector.report_unreadable(
                "CXR015",
                match.start(),
                f"{name} is not allowed in a manifest",
                hint,
            )
        text = pattern.sub(PLACEHOLDER, text)
    # The parser's time grows with the square of the number of %TAG lines.
    if text.count("\n%TAG") > _MAX_TAG_DIRECTIVES:
        index = 0 if text.startswith("%TAG") else text.index("\n%TAG") + 1
        stop_reading(collector, "CXR008", index, "%TAG directives are refused")
    return text


class ParsedFile(NamedTuple):
    """The result of reading a file; `is_complete` is false if reading stopped early."""

    text: SourceText
    documents: list[Document]
    collector: ErrorCollector
    is_complete: bool


def parse_file(data: bytes, file: str) -> ParsedFile:
    """Read a file's bytes, in less than a second. The collector holds all errors."""
    collector = ErrorCollector(text=SourceText(file, ""))
    documents: list[Document] = []
    complete = False
    try:
        collector.text = SourceText(file, decode_text(data, collector))
        _EventReader(replace_forbidden(collector), collector).read_documents(documents)
        complete = True
    except MarkedYAMLError as error:
        _report_yaml_error(error, collector)
    except StopReadingError:
        pass
    return ParsedFile(collector.text, documents, collector, complete)


def _report_yaml_error(error: MarkedYAMLError, collector: ErrorCollector) -> None:
    position, message, hint = _describe_yaml_error(error, collector.text.text)
    if "nesting depth" in f"{error.problem} {error.context}":
        collector.report_unreadable(
            "CXR005",
            position,
            f"nested more than {MAX_DEPTH} levels deep",
        )
        return
    line = collector.text.source(position).line
    # An error in a line with a refused value is probably its consequence.
    if not any(
        finding.source and finding.source.line == line
        for finding in collector.collected
    ):
        collector.report_unreadable("CXR004", position, message, hint)


class _EventReader:
    def __init__(self, text: str, collector: ErrorCollector) -> None:
        self._next: Callable[[], _Event] = CParser(text).get_event
        self._collector = collector
        self._remaining_entries = MAX_ENTRIES
        self._in_brackets = (
            False  # whether the present value stands inside of [ ] or { }
        )

    def read_documents(self, documents: list[Document]) -> None:
        """Append the stream's documents, without empty documents (`---` at the end of a file)."""
        self._next()
        while type(start := self._next()) is not StreamEndEvent:
            if start.tags:
                self._refuse(start, "CXR008", "%TAG directives are refused")
            event = self._next()
            if len(documents) == MAX_DOCUMENTS:
                self._refuse_size(
                    event, f"the file holds more than {MAX_DOCUMENTS:,} documents"
                )
            self._count(event)
            value = self._node(event, 0)
            if (
                value is not None
                or event.start_mark.index in self._collector.refused_indexes
            ):
                documents.append(Document(value, event.start_mark.index))
            self._next()

    def _node(self, event: _Event, depth: int) -> _Value:
        """Return the value that begins with an event; anchors, aliases and tags are refused."""
        kind = type(event)
        if kind is AliasEvent:
            self._refuse(
                event,
                "CXR006",
                f"alias *{sanitize(event.anchor, MAX_NAME_LENGTH)} is refused",
            )
            return None
        self._refuse_properties(event)
        if kind is ScalarEvent:
            return event.value if event.style else self._plain_scalar(event)
        if depth == MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            stop_reading(self._collector, "CXR005", event.start_mark.index, message)
        return self._collection(event, depth + 1)

    def _collection(self, event: _Event, depth: int) -> Map | List:
        """Return the mapping or the list that begins with an event."""
        was_in_brackets = self._in_brackets
        self._in_brackets = was_in_brackets or bool(event.flow_style)

        value = (
            self._mapping(depth)
            if type(event) is MappingStartEvent
            else self._sequence(depth)
        )

        self._in_brackets = was_in_brackets
        return value

    def _plain_scalar(self, event: _Event) -> _Value:
        """Return the value of a plain scalar: true, false or null, a decimal number, or its
        text.
        """
        text: str = event.value
        value = _KEYWORDS.get(text, text)
        if value is not text:
            return value
        number = self._number(event, text) if text[0] in _NUMERIC else text
        if number is text:
            self._check_text(event)
        elif is_text_elsewhere(text):
            self._note_misread(event)
        return number

    def _check_text(self, event: _Event) -> None:
        """Note a plain text that other YAML tools do not read as this text."""
        is_split = self._in_brackets and is_split_in_brackets(event.value)
        if is_split or other_reading(event.value):
            self._note_misread(event)

    def _note_misread(self, event: _Event) -> None:
        start = event.start_mark.index
        end = event.end_mark.index
        self._collector.note_misread(start, end)

    def _number(self, event: _Event, text: str) -> int | float | str:
        """Return the decimal number that a text stands for; the text itself otherwise."""
        if (
            len(text) < _MAX_FAST_DIGITS
            and text.isdigit()
            and text.isascii()
            and text[0] != "0"
        ):
            return int(text)
        try:
            return parse_number(text)
        except ValueError:
            if JSON_NUMBER.fullmatch(text):
                self._refuse(
                    event,
                    "CXR012",
                    "the number is out of range",
                    "put it in quotes if it is a text",
                )
            return text

    def _sequence(self, depth: int) -> List:
        items = List()
        items.marks = []
        while type(event := self._next()) is not SequenceEndEvent:
            self._count(event)
            items.marks.append(event.start_mark.index)
            items.append(self._node(event, depth))
        return items

    def _mapping(self, depth: int) -> Map:
        fields = Map()
        fields.marks = {}
        # Each with its position, and that of the first.
        duplicates: list[tuple[str, int, int]] = []
        while type(event := self._next()) is not MappingEndEvent:
            self._count(event)
            key = self._key(event, depth)
            value_event = self._next()
            value = self._node(value_event, depth)
            if key is None:
                continue
            if depth == 1 and _begins_document(key, fields):
                self._refuse_joined_document(event, key)
            if key in fields:
                duplicates.append((key, event.start_mark.index, fields.key_index(key)))
            else:
                fields[key] = value
                fields.marks[key] = event.start_mark.index, value_event.start_mark.index
            if len(fields) > MAX_KEYS or len(duplicates) > MAX_KEYS:
                self._refuse_size(event, _TOO_MANY_KEYS)
        for key, index, first_index in duplicates:
            self._refuse_duplicate(key, index, first_index)
        return fields

    def _refuse_duplicate(self, key: str, index: int, first_index: int) -> None:
        line = 0
        if not self._collector.is_full:
            line = self._collector.text.source(first_index).line
        name = sanitize(key, MAX_NAME_LENGTH)
        message = f"duplicate key '{name}', first on line {line}"
        self._collector.report_unreadable("CXR011", index, message)

    def _refuse_joined_document(self, event: _Event, key: str) -> NoReturn:
        message = "a second document begins here, without a line --- before it"
        hint = f"write --- on a line of its own, before {key}:"
        stop_reading(self._collector, "CXR011", event.start_mark.index, message, hint)

    def _key(self, event: _Event, depth: int) -> str | None:
        """Return a mapping's key; None if it is refused: its value is read and dropped."""
        kind = type(event)
        if kind is not ScalarEvent:
            if kind is not AliasEvent:
                self._refuse(
                    event,
                    "CXR009",
                    "a key must be text, not a list or mapping",
                )
            self._node(event, depth)
            return None
        self._refuse_properties(event)
        if event.value == "<<" and not event.style:
            self._refuse(event, "CXR007", "the merge key << is refused")
            return None
        if not event.style:
            self._check_text(event)
        return intern(event.value)

    def _count(self, event: _Event) -> None:
        """Count a value, or a key with its value, against the limit of a file."""
        self._remaining_entries -= 1
        if self._remaining_entries < 0:
            self._refuse_size(
                event, f"the file holds more than {MAX_ENTRIES:,} entries"
            )

    def _refuse(self, event: _Event, code: str, message: str, hint: str = "") -> None:
        self._collector.report_unreadable(code, event.start_mark.index, message, hint)

    def _refuse_size(self, event: _Event, message: str) -> NoReturn:
        stop_reading(
            self._collector,
            "CXR010",
            event.start_mark.index,
            message,
            "split it",
        )

    def _refuse_properties(self, event: _Event) -> None:
        if event.anchor is not None:
            self._refuse(
                event,
                "CXR006",
                f"anchor &{sanitize(event.anchor, MAX_NAME_LENGTH)} is refused",
            )
        if event.tag is not None:
            self._refuse(
                event,
                "CXR008",
                f"tag {quote_name(event.tag.replace(_YAML_TAG, '!!'))} is refused",
            )


def _begins_document(key: str, fields: Map) -> bool:
    """Return whether a repeated key is probably the first one of another document."""
    return (
        key in fields
        and key in ("apiVersion", "kind")
        and bool(fields.keys() - {"apiVersion", "kind", "name"})
    )


class _SyntaxProblem(NamedTuple):
    """What is wrong where the parser stopped, or `at_start` of the construct, and what to write."""

    message: str
    hint: str
    at_start: bool = False


_SECOND_COLON: Final = "a second colon"
_TAB: Final = "a tab"
# the keys are the starts of the parser's messages
_PROBLEMS: Final[dict[str, _SyntaxProblem]] = {
    "did not find expected '-' indicator": _SyntaxProblem(
        "wrong indentation: this line is not part of the list that began on line {line}",
        "begin its - in column {column}, and its other fields in column {inner}",
    ),
    "did not find expected key": _SyntaxProblem(
        "wrong indentation: this line is not part of the mapping that began on line {line}",
        "begin it in column {column}; an item begins below the - of the other items",
    ),
    _SECOND_COLON: _SyntaxProblem(
        'a text that contains ": " is not in quotes', "put it in quotes"
    ),
    "mapping values are not allowed": _SyntaxProblem(
        "wrong indentation: this line is deeper than the line above, which already has a value",
        "begin it below its field or item",
    ),
    "could not find expected ':'": _SyntaxProblem(
        'this line has no ": " after its name',
        "write a field as name: value",
        at_start=True,
    ),
    "block sequence entries are not allowed": _SyntaxProblem(
        "a list item cannot begin in the line of the field's name",
        "begin it on a new line, or write the list in brackets: [a, b]",
    ),
    _TAB: _SyntaxProblem("a tab cannot indent a line", "indent with spaces"),
    "found character that cannot start": _SyntaxProblem(
        "a text cannot begin with {character}",
        "put the text in quotes",
    ),
    "did not find expected alphabetic": _SyntaxProblem(
        'a text cannot begin with "{opening}"',
        "put the text in quotes",
        at_start=True,
    ),
    "found unexpected end of stream": _SyntaxProblem(
        "this quote is never closed",
        "close it where the text ends",
        at_start=True,
    ),
    "did not find expected ',' or": _SyntaxProblem(
        "the {opening} of line {line} is not closed before {character}, or a comma is missing",
        "separate the values in brackets with commas, and close the bracket",
    ),
    "did not find expected node content": _SyntaxProblem(
        "a value is missing before {character}: a bracket is not closed, or there is one too many",
        "put a text with brackets in quotes",
    ),
    "found unknown escape": _SyntaxProblem(
        "an escape in this text is unknown",
        "write \\\\ for a backslash, or use single quotes",
    ),
}


def _describe_yaml_error(error: MarkedYAMLError, text: str) -> tuple[int, str, str]:
    """Return the position, message and hint of a merge conflict, or of a parser's error."""
    marker = _CONFLICT_MARKER.search(text)
    if marker:
        hint = "keep one side, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
        return marker.start(), "an unresolved merge conflict", hint

    stop: Any = error.problem_mark
    index = min(stop.index, len(text))
    key = _problem_key(error.problem or "", text[index : index + 1], text[:index])
    if not key:
        place = f", {error.context}" if error.context else ""
        return index, f"not YAML: {error.problem}{place}", ""
    return _describe_problem(_PROBLEMS[key], error, text)


def _describe_problem(
    problem: _SyntaxProblem,
    error: MarkedYAMLError,
    text: str,
) -> tuple[int, str, str]:
    """Return the position, message and hint of a parser's error."""
    stop: Any = error.problem_mark
    index = min(stop.index, len(text))
    character = text[index : index + 1]
    context: Any = error.context_mark or stop
    start = min(context.index, len(text))
    fields = {
        "line": context.line + 1,
        "column": context.column + 1,
        "inner": context.column + 3,
        "character": quote_name(character) if character else "the end of the file",
        "opening": text[start : start + 1],
    }
    message = problem.message.format(**fields)
    hint = problem.hint.format(**fields)
    return start if problem.at_start else index, message, hint


def _problem_key(problem: str, character: str, before: str) -> str:
    """Return the key of a parser's message; "" of a rare one."""
    key = next(filter(problem.startswith, _PROBLEMS), "")
    _, _, line = before.rpartition("\n")
    if key.startswith("mapping values") and re.search(r":\s", line):
        return _SECOND_COLON
    if key.startswith("found character") and character == "\t":
        return _TAB
    return key
