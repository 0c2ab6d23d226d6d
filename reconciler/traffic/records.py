"""Recorded conversations, read as a stream: CSV as in a traffic sample, or JSON lines with the same names."""

import csv
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import BinaryIO, Final, NoReturn

from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.manifest.source_map import ErrorCollector, SourceText
from reconciler.manifest.yaml_reader import StopReadingError, stop_reading
from reconciler.text.escape import escape_invisible
from reconciler.text.files import MIB, open_regular
from reconciler.traffic.sample import CONTROL, COUNT_COLUMN, Record, SampleReader, decode_table

_MAX_ROW: Final = MIB
_JSON_PROBLEM: Final = "this line is not a JSON object that has each name once, and texts, numbers, true, false or null"


class RecordReader:
    """Reads the rows of a file, or of stdin (`-`), one at a time. `layout` knows the columns once a row is read."""

    def __init__(self, path: str, attributes: BotAttributes) -> None:
        self.name = escape_invisible("stdin" if path == "-" else path)
        self.line = 1  # the line of the row that is read
        self.size = 0  # bytes of the row that is read
        self._tested = frozenset[str]()
        self._lines: list[bytes] = []  # of the row that is read
        self.layout = SampleReader(
            text="", separator=",", collector=self._new_collector(), attribute_names=attributes, default_count=1
        )
        try:
            self._stream: BinaryIO = sys.stdin.buffer if path == "-" else open_regular(path)
        except OSError as error:
            reason = (error.strerror or "invalid path").lower()
            raise UsageError(f"{self.name}: the file cannot be read: {reason}") from error

    def rows(self, tested: frozenset[str]) -> Iterator[list[str]]:
        """Yield the cells of each row that is not empty; of JSON, those of `tested` attributes. Raises ManifestError.

        The caller parses the cells, and calls `refuse` if their number is wrong or a parser raises ValueError.
        """
        self._tested, lines = tested, self._read_lines()
        with self._stream:
            try:
                first = next((line for line in lines if self._is_first(line)), "").removeprefix("\ufeff")
                yield from (self._json_rows if first.startswith("{") else self._csv_rows)(chain([first], lines))
            except (csv.Error, ValueError):
                self.refuse()

    @property
    def unseen(self) -> tuple[str, ...]:
        """Return the tested attributes that no line of JSON has had so far; CSV has columns."""
        seen = self.layout.seen if isinstance(self.layout, _JsonReader) else self.layout.names
        names = zip(self.layout.attributes, (name for name in self.layout.names if name != COUNT_COLUMN), strict=True)
        return tuple(attribute for attribute, name in names if name not in seen and attribute in self._tested)

    def refuse(self) -> NoReturn:
        """Raise the error of the row that is read, by line and column."""
        collector = self._new_collector()
        with suppress(StopReadingError):
            if self.size > _MAX_ROW:
                stop_reading(collector, "CXR231", 0, "this row is longer than 1 MiB", "is a quote missing?")
            text, _ = decode_table(b"".join(self._lines), collector)
            reader = replace(self.layout, text=text, collector=collector)
            for record in reader.records():
                reader.read_row(record)
        self._raise(collector)

    def refuse_empty(self) -> NoReturn:
        """Raise the error of a file without rows, or whose counts are all 0."""
        collector = self._new_collector()
        collector.report("CXR234", 0, "the file contains no conversations", "write one row for each conversation")
        raise ManifestError(collector.findings())

    def _read_lines(self) -> Iterator[str]:
        for data in iter(partial(self._stream.readline, _MAX_ROW + 1), b""):
            self._lines.append(data)
            self.size += len(data)
            text = data.decode()
            if self.size > _MAX_ROW or CONTROL.search(text):
                raise ValueError
            yield text

    def _is_first(self, line: str) -> bool:
        """Return whether a line begins the first row; blank lines and comments come before it."""
        is_before = line.startswith("# ") or not line.strip("\ufeff\r\n")
        if is_before:
            self._start_row(self.line + 1)
        return not is_before

    def _start_row(self, line: int) -> None:
        self.line, self.size = line, 0
        self._lines.clear()

    def _csv_rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        before = self.line
        text, separator = decode_table(b"".join(self._lines), self._new_collector())
        reader = csv.reader(lines, delimiter=separator, strict=True)
        self.layout = replace(self.layout, separator=separator, text=text)
        self._read_names(next(reader))
        self._start_row(before + reader.line_num)
        for cells in reader:
            if any(cells):
                yield cells
            self._start_row(before + reader.line_num)

    def _json_rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        bot = self.layout.attribute_names
        others = sorted(self._tested - {bot.intent, bot.confidence, COUNT_COLUMN})
        self.layout = layout = _JsonReader(**vars(self.layout))
        self._read_names(["intent", "confidence", *others, COUNT_COLUMN])
        for line in lines:
            if line.strip():
                yield layout.parse(line)
            self._start_row(self.line + 1)

    def _new_collector(self) -> ErrorCollector:
        return ErrorCollector(text=SourceText(self.name, ""))

    def _read_names(self, names: list[str]) -> None:
        self.layout.collector.text = SourceText(self.name, self.layout.text)
        with suppress(StopReadingError):
            self.layout.read_header(Record(0, 1, names))
        if any(finding.severity == "error" for finding in self.layout.collector.collected):
            self._raise(self.layout.collector)

    def _raise(self, collector: ErrorCollector) -> NoReturn:
        offset, errors = self.line - 1, (each for each in collector.findings() if each.severity == "error")
        places = [(error, error.source) for error in errors]
        findings = [replace(error, source=at and at._replace(line=at.line + offset)) for error, at in places]
        raise ManifestError(findings)


@dataclass(kw_only=True)
class _JsonReader(SampleReader):
    """Reads lines of JSON; an error is at the name of its value."""

    seen: set[str] = field(default_factory=set)  # the names of all lines

    def records(self) -> Iterator[Record]:
        """Yield the only row."""
        try:
            yield Record(0, 1, self.parse(self.text))
        except ValueError:
            hint = 'write one object in each line, such as {"intent": "card_help", "confidence": 0.9}'
            stop_reading(self.collector, "CXR231", 0, _JSON_PROBLEM, hint)

    def report(self, code: str, record: Record, cell: int, message: str, hint: str = "") -> None:
        """Report an error of a value, counted from 0."""
        bot = {"intent": self.attribute_names.intent, "confidence": self.attribute_names.confidence}
        names = "|".join(re.escape(json.dumps(name)) for name in (self.names[cell], bot.get(self.names[cell], "")))
        match = re.search(rf"(?:{names})\s*:", self.text)
        self.collector.report(code, match.start() if match else record.start, message, hint)

    def parse(self, line: str) -> list[str]:
        """Return the values of a JSON object as cells; a missing name is an empty cell. Raises ValueError."""
        bot = self.attribute_names
        short = {bot.intent: "intent", bot.confidence: "confidence"}
        try:
            pairs = _DECODER.decode(line)
            values = {short.get(name, name): value for name, value in pairs}
        except (RecursionError, TypeError) as error:
            raise ValueError from error
        if len(values) != len(pairs) or not isinstance(pairs, tuple):
            raise ValueError
        self.seen.update(values)
        values.setdefault(COUNT_COLUMN, _Number(1))
        return [_as_cell(values.get(name)) for name in self.names]


class _Number(str):
    """A number of a JSON text, as it is written."""

    __slots__ = ()


def _as_cell(value: object) -> str:
    if value is None or isinstance(value, _Number):
        return "" if value is None else str(value)
    if not isinstance(value, (str, bool)):
        raise ValueError  # noqa: TRY004 - as for a text that is not JSON
    return json.dumps(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant
)
