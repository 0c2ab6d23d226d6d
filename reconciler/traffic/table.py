"""A CSV file's text -> its rows, each with its place. What spreadsheets and editors do to such files ends here."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.text import Complaints, Text
from reconciler.manifest.yaml_reader import LARGEST, EndOfReadingError, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator


_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOLD: Final = {
    "expected after": "a cell goes on after its closing quote (a quote inside is written twice)",
    "unexpected end": "a quote is opened in it and never closed",
    "field larger": "a cell is longer than 128 KiB (is a quote missing?)",
}
"""What the module csv says of a row -> the same for people."""


class Record(NamedTuple):
    """One row as it stands: the index of its first character, its line from 1, and its cells."""

    start: int
    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A text and what separates its cells."""

    text: str
    separator: str
    complaints: Complaints

    def records(self) -> Iterator[Record]:
        """Yield the rows in which anything stands. EndOfReadingError where CSV ends: what follows is then amiss too."""
        lines = _Lines(self.text)
        reader = csv.reader(iter(lines), delimiter=self.separator, strict=True)
        while True:
            start, line = lines.taken, reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.complaints.refuse("CXR231", start, f"this row is not CSV: {_why(str(error))}")
                raise EndOfReadingError from error
            if any(cells):
                yield Record(start, line, cells)

    def complain(self, code: str, record: Record, cell: int, message: str, hint: str = "") -> None:
        """Complain of one cell of a row, counted from 0; the module csv does not say where cells stand."""
        written = re.compile(rf'"(?:[^"]|"")*"|[^{self.separator}\r\n]*')
        index = record.start
        for _ in range(cell):
            found = written.match(self.text, index)
            index = min(found.end() + 1 if found else index, len(self.text))
        self.complaints.add(code, index, message, hint)


@dataclass
class _Lines:
    """The lines of a text, counted as the module csv takes them: it does not say where a row begins."""

    text: str
    taken: int = 0
    """Characters so far."""

    def __iter__(self) -> Iterator[str]:
        while self.taken < len(self.text):
            start = self.taken
            self.taken = self.text.find("\n", start) + 1 or len(self.text)
            yield self.text[start : self.taken]


def table(data: bytes, column: str, complaints: Complaints) -> Table:
    """Return a file's table; `column` is the name of one that tells the separator. EndOfReadingError where it is none.

    UTF-8, with or without the mark that Excel writes; commas, or the semicolons of German Excel.
    """
    if len(data) > LARGEST:
        complaints.refuse("CXR230", 0, "the traffic sample is larger than 5 MiB", "add equal rows up")
        raise EndOfReadingError
    text = decoded(data, complaints)
    complaints.text = Text(complaints.text.file, text)
    control = _CONTROL.search(text)
    if control:
        message = f"the character U+{ord(control[0]):04X} may not stand in a traffic sample"
        complaints.refuse("CXR230", control.start(), message, "is this a CSV file?")
        raise EndOfReadingError
    return Table(text, _separator(text, column), complaints)


def _separator(text: str, column: str) -> str:
    """Return what separates cells. The header alone says it: cells may hold either."""
    header = text.lstrip("\r\n").partition("\n")[0]
    for separator in ",;":
        if column in (cell.strip(' "\r') for cell in header.split(separator)):
            return separator
    return max(",;", key=header.count)


def _why(said: str) -> str:
    """Say in words for people what the module csv found wrong."""
    return next((words for part, words in _TOLD.items() if part in said), "a carriage return stands inside a cell")
