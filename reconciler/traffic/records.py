"""Recorded conversations, read as a stream: CSV as in a traffic sample, or JSON lines with the same names."""

import csv
import json
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import BinaryIO, Final, NoReturn

from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.manifest.source_map import ErrorCollector, SourceText
from reconciler.manifest.yaml_reader import StopReadingError, stop_reading
from reconciler.text.escape import escape_invisible
from reconciler.text.files import MIB, open_regular
from reconciler.text.strict_json import parse_finite, refuse_constant
from reconciler.traffic.sample import CONTROL, COUNT_COLUMN, Conversations, Record, SampleReader, decode_table

_MAX_ROW: Final = MIB
_JSON_PROBLEM: Final = "this line is not a JSON object that has each name once, and texts, numbers, true, false or null"

_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=refuse_constant, parse_float=parse_finite)


class RecordReader:
    """Reads the rows of a file, or of stdin (`-`), one at a time. `layout` knows the columns once a row is read."""

    def __init__(self, path: str, attributes: BotAttributes) -> None:
        self.name = escape_invisible("stdin" if path == "-" else path)
        self.is_json = False  # once a row is read
        self.line = 1  # the line of the row that is read
        self.size = 0  # bytes of the row that is read
        self._lines: list[bytes] = []  # of the row that is read
        self.layout = SampleReader(
            text="", separator=",", collector=self._new_collector(), attribute_names=attributes, default_count=1
        )
        try:
            self._stream: BinaryIO = sys.stdin.buffer if path == "-" else open_regular(path)
        except OSError as error:
            reason = (error.strerror or "invalid path").lower()
            raise UsageError(f"{self.name}: the file cannot be read: {reason}") from error

    def rows(self, tested: Collection[str]) -> Iterator[Conversations]:
        """Yield the rows; of JSON, the values of `tested` attributes. Raises ManifestError for the first wrong row."""
        with self._stream:
            try:
                lines = self._read_lines()
                first = next(lines, "")
                self.is_json = first.startswith("{")
                rows = (self._json_rows if self.is_json else self._csv_rows)(chain([first], lines), tested)
                header = next(rows)
                self.layout.read_header(Record(0, 1, header))
                for cells in rows:
                    if any(cells):
                        yield self.layout.parse_row(cells)
                    self._end_row()
            except (csv.Error, ValueError, RecursionError):
                self._refuse()
            except StopReadingError:
                self._raise(self.layout.collector)

    def _refuse(self) -> NoReturn:
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
        """Yield the lines after blank lines and comments. Raises ValueError for a wrong one."""
        is_before = True
        for data in iter(partial(self._stream.readline, _MAX_ROW + 1), b""):
            self._lines.append(data)
            self.size += len(data)
            text = data.decode("utf-8-sig" if self.line == 1 else "utf-8")
            if self.size > _MAX_ROW or CONTROL.search(text):
                raise ValueError
            is_before = is_before and (text.startswith("# ") or not text.strip("\r\n"))
            if is_before:
                self._end_row()
            else:
                yield text

    def _end_row(self) -> None:
        self.line, self.size = self.line + len(self._lines), 0
        self._lines.clear()

    def _csv_rows(self, lines: Iterator[str], _tested: Collection[str]) -> Iterator[list[str]]:
        """Yield the header, and then the cells of each row."""
        text, separator = decode_table(b"".join(self._lines), self.layout.collector)
        self.layout = replace(self.layout, separator=separator, text=text)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        yield next(reader)
        self._end_row()
        yield from reader

    def _json_rows(self, lines: Iterator[str], tested: Collection[str]) -> Iterator[list[str]]:
        """Yield the header, and then the cells of each row."""
        bot = self.layout.attribute_names
        others = sorted({*tested} - {bot.intent, bot.confidence, COUNT_COLUMN})
        self.layout = layout = _JsonReader(**vars(self.layout))
        yield ["intent", "confidence", *others, COUNT_COLUMN]
        yield from map(layout.parse, lines)

    def _new_collector(self) -> ErrorCollector:
        return ErrorCollector(text=SourceText(self.name, ""))

    def _raise(self, collector: ErrorCollector) -> NoReturn:
        offset, errors = self.line - 1, (each for each in collector.findings() if each.severity == "error")
        places = [(error, error.source) for error in errors]
        raise ManifestError([replace(each, source=at and at._replace(line=at.line + offset)) for each, at in places])


class _JsonReader(SampleReader):
    """Reads lines of JSON; an error is at the name of its value."""

    def records(self) -> Iterator[Record]:
        """Yield the only row."""
        try:
            yield Record(0, 1, self.parse(self.text))
        except (ValueError, RecursionError):
            hint = 'write one object in each line, such as {"intent": "card_help", "confidence": 0.9}'
            stop_reading(self.collector, "CXR231", 0, _JSON_PROBLEM, hint)

    def report(self, code: str, record: Record, cell: int, message: str, hint: str = "") -> None:
        """Report an error of a value, counted from 0."""
        names = "|".join(re.escape(json.dumps(name)) for name in (self.names[cell], self._columns[cell]))
        match = re.search(rf"(?:{names})\s*:", self.text)
        self.collector.report(code, match.start() if match else record.start, message, hint)

    def parse(self, line: str) -> list[str]:
        """Return the values of a JSON object as cells; a missing name is an empty cell. Raises ValueError."""
        if not line.strip():
            return []
        bot, pairs = self.attribute_names, _DECODER.decode(line)
        if not isinstance(pairs, tuple):
            raise ValueError  # noqa: TRY004 - as for a text that is not JSON
        long = {"intent": bot.intent, "confidence": bot.confidence}
        values = {long.get(name, name): value for name, value in pairs}
        if len(values) != len(pairs):
            raise ValueError
        values.setdefault(COUNT_COLUMN, 1)
        return [_as_cell(values.get(name)) for name in self._columns]

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self.attributes, COUNT_COLUMN)


def _as_cell(value: object) -> str:
    if not isinstance(value, str | int | float | None):
        raise ValueError  # noqa: TRY004 - as for a text that is not JSON
    return "" if value is None else json.dumps(value)
