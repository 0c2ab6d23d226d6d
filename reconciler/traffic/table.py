"""A CSV file's text -> its rows, each with its place, despite the habits of spreadsheets and editors."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from reconciler.manifest.text import ErrorCollector, SourceText
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES, decode_text, stop_reading

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CSV_ERRORS: Final = {
    "expected after": "a cell goes on after its closing quote (a quote inside is written twice)",
    "unexpected end": "a quote is opened in it and never closed",
    "field larger": "a cell is longer than 128 KiB (is a quote missing?)",
}
"""Parts of the messages of the module csv -> messages for people."""


class Record(NamedTuple):
    """One row: the index of its first character, its line from 1, and its cells."""

    start: int
    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A text and the separator of its cells."""

    text: str
    separator: str
    collector: ErrorCollector

    def records(self) -> Iterator[Record]:
        """Yield the rows that are not empty. Raises StopReadingError at the first row that is not CSV."""
        lines = _LineCounter(self.text)
        reader = csv.reader(iter(lines), delimiter=self.separator, strict=True)
        while True:
            start, line = lines.position, reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                carriage_return = "a carriage return stands inside a cell"
                reason = next((words for part, words in _CSV_ERRORS.items() if part in str(error)), carriage_return)
                stop_reading(self.collector, "CXR231", start, f"this row is not CSV: {reason}")
            if any(cells):
                yield Record(start, line, cells)

    def report(self, code: str, record: Record, cell: int, message: str, hint: str = "") -> None:
        """Report an error of one cell of a row, counted from 0, because the module csv has no places of cells."""
        pattern = re.compile(rf'"(?:[^"]|"")*"|[^{self.separator}\r\n]*')
        index = record.start
        for _ in range(cell):
            match = pattern.match(self.text, index)
            index = min(match.end() + 1 if match else index, len(self.text))
        self.collector.report(code, index, message, hint)


@dataclass
class _LineCounter:
    """The lines of a text, counted while the module csv reads them, because it has no places of rows."""

    text: str
    position: int = 0
    """Characters so far."""

    def __iter__(self) -> Iterator[str]:
        while self.position < len(self.text):
            start = self.position
            self.position = self.text.find("\n", start) + 1 or len(self.text)
            yield self.text[start : self.position]


def parse_table(data: bytes, column: str, collector: ErrorCollector) -> Table:
    """Return the table of UTF-8 bytes (commas or semicolons); `column` tells the separator. Raises StopReadingError."""
    if len(data) > MAX_FILE_BYTES:
        stop_reading(collector, "CXR230", 0, "the traffic sample is larger than 5 MiB", "add equal rows up")
    text = decode_text(data, collector)
    collector.text = SourceText(collector.text.file, text)
    if control := _CONTROL.search(text):
        message = f"the character U+{ord(control[0]):04X} may not stand in a traffic sample"
        stop_reading(collector, "CXR230", control.start(), message, "is this a CSV file?")
    # The header alone tells the separator, because cells may hold either.
    header = text.lstrip("\r\n").partition("\n")[0]
    separators = (mark for mark in ",;" if column in (cell.strip(' "\r') for cell in header.split(mark)))
    return Table(text, next(separators, max(",;", key=header.count)), collector)
