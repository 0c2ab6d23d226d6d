"""Recorded conversations, read as a stream of rows: CSV with a header, or JSON lines with the same
names.

Columns are attributes (`intent` and `confidence` under the Environment's names); `count` is the
conversations per row. Lines that begin with `# ` before the header are comments; `# period: DATE to
DATE` is the period of the conversations. Cells follow JSON: `007` is text, `"1"` is text, other
text is itself, an empty cell is a missing attribute.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache, partial
from itertools import chain
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.manifest.source_map import ErrorCollector, SourceText
from reconciler.core.manifest.yaml_reader import (
    StopReadingError,
    decode_text,
    stop_reading,
)
from reconciler.core.model.rule import JSON_NUMBER, parse_number
from reconciler.core.text.escape import escape_invisible, quote_name
from reconciler.core.text.files import MIB, open_regular
from reconciler.core.text.json_values import refuse_constant
from reconciler.core.text.suggest import suggest

CellValue = str | int | float | None

COUNT_COLUMN: Final = "count"
MAX_CACHED_LENGTH: Final = 1_000  # bytes of a row whose cells are remembered
_MAX_CACHED: Final = 4096  # cells of a column
_MAX_COLUMNS: Final = 100
_MAX_ROW: Final = MIB
_MAX_CONVERSATIONS: Final = 10**12  # the limit of one row: sums of all rows stay exact
_THOUSANDS_SEPARATOR: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# and not a header
_COMMENT: Final = re.compile(r'# (?!.*[,;]"?count"?(?:[\r\n,;]|\Z))')
_PERIOD: Final = re.compile(
    r"# period: (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d)\s*", re.ASCII
)
# parts of the messages of the module csv -> messages of findings
_CSV_ERRORS: Final = {
    "expected after": "a cell continues after its closing quote (double a quote inside)",
    "unexpected end": "a quote is never closed",
    "field larger": "a cell is longer than 128 KiB (is a quote missing?)",
}
_JSON_PROBLEM: Final = (
    "this line is not a JSON object that has each name once, and texts, numbers, true, false or "
    "null"
)
_JSON_HINT: Final = (
    'write one object in each line, such as {"intent": "card_help", "confidence": 0.9}'
)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_constant=refuse_constant,
)


class ParsedRow(NamedTuple):
    """One row: the values of the attributes in the order of the columns, and the number of
    conversations.
    """

    values: tuple[CellValue, ...]
    number: int | float


def read_period(comment: str) -> tuple[date, date] | None:
    """Return the first and the last day in a comment, or None if it has none, or in the wrong
    order.
    """
    match = _PERIOD.fullmatch(comment)
    if not match:
        return None
    with suppress(ValueError):
        first = date.fromisoformat(match[1])
        last = date.fromisoformat(match[2])
        return (first, last) if first <= last else None
    return None


class RecordReader:
    """Reads the rows of a file, one at a time. The columns are known once a row is read."""

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        bot: BotAttributes,
        default_count: int | None = None,
    ) -> None:
        """`default_count` is that of a file without counts.

        None: they are required, and the file is CSV.
        """
        self.name = escape_invisible(name)
        self.collector = ErrorCollector(text=SourceText(self.name, ""))
        self.period: tuple[date, date] | None = None
        self.is_json = False
        self.names: list[str] = []  # of the columns
        self.attributes: tuple[str, ...] = ()  # of the columns without `count`
        self.line = 1  # the first line of the row that is read
        self.size = 0  # bytes of the row that is read
        self._stream = stream
        self._default_count = default_count
        # The attributes of these columns.
        self._bot_names = {"intent": bot.intent, "confidence": bot.confidence}
        self._lines: list[str] = []  # of the row that is read
        self._separator = ","
        self._parsers: list[Callable[[str], CellValue]] = []  # of the columns
        # Most cells occur in many rows.
        self._cached_parsers: list[Callable[[str], CellValue]] = []

    @classmethod
    def open(cls, path: str, bot: BotAttributes) -> "RecordReader":
        """Open a file, or stdin (`-`), in which a row is one conversation if it has no count.

        Raises UsageError.
        """
        if path == "-" and (sys.stdin is None or sys.stdin.closed):
            raise UsageError("stdin is closed, or was already read")
        try:
            stream = sys.stdin.buffer if path == "-" else open_regular(path)
        except OSError as error:
            reason = (error.strerror or "invalid path").lower()
            raise UsageError(
                f"{escape_invisible(path)}: the file cannot be read: {reason}"
            ) from error
        return cls(stream, "stdin" if path == "-" else path, bot, default_count=1)

    def valid_rows(self, tested: Collection[str] | None) -> Iterator[ParsedRow]:
        """Yield the rows, as `rows` does.

        Raises ManifestError for the first wrong one, and without conversations.
        """
        total: int | float = 0
        with self._stream:
            for row in self.rows(tested):
                if row is None:
                    break
                yield row
                total += row.number
        self.check_number(total)
        findings = self.collector.findings()
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            raise ManifestError(errors, self.name)

    def rows(self, tested: Collection[str] | None = None) -> Iterator[ParsedRow | None]:
        """Yield the rows that are not empty; None is a wrong one, whose errors the collector has.

        Only the intent, the confidence and `tested` attributes are read; None: all columns of CSV.
        The rows end before what cannot be read reliably.
        """
        with suppress(StopReadingError):
            for cells in self._read_cells(tested):
                if any(cells) and self.names:
                    yield self._read_row(cells)
                elif any(cells):
                    self._read_header(cells, tested)

    def check_number(self, conversations: float) -> None:
        """Report a file without conversations, unless it has other errors."""
        has_errors = any(
            finding.severity != "warning" for finding in self.collector.collected
        )
        if not conversations and not has_errors:
            self.collector.text = SourceText(self.name, "")
            hint = "write a row for each conversation, or their number in the column `count`"
            self.collector.report(
                "CXR234",
                0,
                "the file contains no conversations",
                hint,
            )

    def report(self, code: str, cell: int, message: str, hint: str = "") -> None:
        """Report an error of a cell of the row that is read, counted from 0."""
        text = self._locate()
        index = self._index_of_cell(text, cell)
        self.collector.report(code, index, message, hint)

    def _locate(self) -> str:
        """Let positions of errors begin at the row that is read, and return its text."""
        text = "".join(self._lines)
        self.collector.text = SourceText(self.name, text, self.line)
        return text

    def _index_of_cell(self, text: str, cell: int) -> int:
        if self.is_json:
            names = (self.names[cell], [*self.attributes, "count"][cell])
            pattern = "|".join(re.escape(json.dumps(name)) for name in names)
            match = re.search(rf"(?:{pattern})\s*:", text)
            return match.start() if match else 0

        # The module csv has no positions of cells.
        csv_cell = re.compile(rf'"(?:[^"]|"")*"|[^{self._separator}\r\n]*')
        index = 0
        for _ in range(cell):
            match = csv_cell.match(text, index)
            if match:
                index = match.end() + 1
            index = min(index, len(text))
        return index

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines after blank lines and comments. Raises StopReadingError."""
        is_before = True
        for data in iter(partial(self._stream.readline, _MAX_ROW + 1), b""):
            self.size += len(data)
            # Before it is decoded, because its last character may be cut.
            if self.size > _MAX_ROW:
                self._stop("this row is longer than 1 MiB", "is a quote missing?")
            text = self._decode(data)
            self._lines.append(text)

            if is_before and text.strip("\r\n") and not _COMMENT.match(text):
                is_before = False
            if is_before:
                self.period = self.period or read_period(text)
                self._end_row()
            else:
                yield text

    def _decode(self, data: bytes) -> str:
        """Return the text of a line. Raises StopReadingError."""
        line = self.line + len(self._lines)
        try:
            text = data.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError:
            self.collector.text = SourceText(self.name, "", line)
            return decode_text(data, self.collector)
        if control := _CONTROL.search(text):
            self.collector.text = SourceText(self.name, text, line)
            message = f"the character U+{ord(control[0]):04X} is not allowed in a traffic sample"
            stop_reading(
                self.collector,
                "CXR230",
                control.start(),
                message,
                "is this a CSV file?",
            )
        return text

    def _end_row(self) -> None:
        self.line += len(self._lines)
        self.size = 0
        self._lines.clear()

    def _stop(self, problem: str, hint: str = "") -> NoReturn:
        self._locate()
        stop_reading(self.collector, "CXR231", 0, problem, hint)

    def _read_cells(self, tested: Collection[str] | None) -> Iterator[list[str]]:
        """Yield the cells of the header, and of each row. Raises StopReadingError."""
        lines = self._read_lines()
        first = next(lines, "")
        lines = chain([first], lines)
        first_mark = first.lstrip(" \t")[:1]
        self.is_json = self._default_count is not None and first_mark in ("{", "[")
        if self.is_json:
            yield self._json_columns(tested)
            for line in lines:
                yield self._parse_line(line)
                self._end_row()
            return

        self._separator = _find_separator(first)
        try:
            for cells in csv.reader(lines, delimiter=self._separator, strict=True):
                yield cells
                self._end_row()
        except csv.Error as error:
            reason = "a carriage return inside a cell"
            for part, words in _CSV_ERRORS.items():
                if part in str(error):
                    reason = words
                    break
            self._stop(f"this row is not CSV: {reason}")

    def _json_columns(self, tested: Collection[str] | None) -> list[str]:
        own_names = {*self._bot_names, *self._bot_names.values(), COUNT_COLUMN}
        names = list(self._bot_names)
        if tested:
            names += sorted(set(tested) - own_names)
        names.append(COUNT_COLUMN)
        return names

    def _parse_line(self, line: str) -> list[str]:
        """Return the values of a JSON object as cells; a missing name is an empty cell.

        Raises StopReadingError.
        """
        if not line.strip():
            return []
        try:
            pairs = _DECODER.decode(line)
            if not isinstance(pairs, tuple):
                raise ValueError  # noqa: TRY004, TRY301 - as for a text that is not JSON
            values = {self._bot_names.get(name, name): value for name, value in pairs}
            if len(values) != len(pairs):
                raise ValueError  # noqa: TRY301
            values.setdefault(COUNT_COLUMN, 1)
            names = (*self.attributes, COUNT_COLUMN)
            return [_as_cell(values.get(name)) for name in names]
        except (ValueError, RecursionError):
            self._stop(_JSON_PROBLEM, _JSON_HINT)

    def _read_header(self, cells: list[str], tested: Collection[str] | None) -> None:
        """Let the reader know its columns, and which of them are read.

        Raises StopReadingError if one is wrong.
        """
        self.names = cells
        attributes = [self._bot_names.get(name, name) for name in cells]
        if not self.is_json:  # whose names are those of the rules
            self._check_columns(attributes)

        parsers = dict.fromkeys(attributes if tested is None else tested, _parse_value)
        parsers[self._bot_names["intent"]] = _parse_text
        parsers[self._bot_names["confidence"]] = _parse_confidence
        parsers[COUNT_COLUMN] = self._parse_count
        self._parsers = [
            parsers.get(attribute, lambda _cell: None) for attribute in attributes
        ]
        self._cached_parsers = [
            lru_cache(_MAX_CACHED)(parse) for parse in self._parsers
        ]
        self.attributes = tuple(
            attribute for attribute in attributes if attribute != COUNT_COLUMN
        )
        self._warn_of_similar_names()

    def _check_columns(self, attributes: Sequence[str]) -> None:
        """Raise StopReadingError if a column is wrong."""
        for index, name in enumerate(self.names[:_MAX_COLUMNS]):
            attribute = attributes[index]
            if not name:
                self.report("CXR232", index, f"column {index + 1} has no name")
            elif name != name.strip():
                problem = f"column {index + 1} has spaces around its name"
                self.report("CXR232", index, problem)
            elif attribute in attributes[:index]:
                problem = f"a second column for {quote_name(attribute)}"
                self.report("CXR232", index, problem, "keep one")

        if len(self.names) > _MAX_COLUMNS:
            self.report("CXR232", _MAX_COLUMNS, f"more than {_MAX_COLUMNS} columns")
        elif COUNT_COLUMN not in self.names and self._default_count is None:
            self._report_missing_count()
        elif self.names == [COUNT_COLUMN]:
            self.report("CXR232", 0, "no column for an attribute, such as intent")
        if self.collector.collected:
            raise StopReadingError

    def _report_missing_count(self) -> None:
        hint = "add it: the number of conversations of each row"
        for name in self.names:
            if suggest(name, [COUNT_COLUMN]):
                hint = f"if {quote_name(name)} is meant, rename it"
                break
        self.report("CXR232", 0, f"no column {quote_name(COUNT_COLUMN)}", hint)

    def _warn_of_similar_names(self) -> None:
        missing = {
            name: attribute
            for name, attribute in self._bot_names.items()
            if attribute not in self.attributes
        }
        candidates = [*missing, *missing.values()]
        for name in self.names:
            near = suggest(name, candidates)
            if near and name != COUNT_COLUMN:
                self._locate()
                message = f"column {quote_name(name)} is read as an attribute of that name; {near}"
                self.collector.warn("CXR232", 0, message)

    def _read_row(self, cells: Sequence[str]) -> ParsedRow | None:
        """Return a row, or None for a wrong one."""
        is_cached = self.size <= MAX_CACHED_LENGTH
        parsers = self._cached_parsers if is_cached else self._parsers
        try:
            values = [parse(cell) for parse, cell in zip(parsers, cells, strict=True)]
        except ValueError:
            self._report_row(cells)
            return None
        number: Any = 1
        if COUNT_COLUMN in self.names:
            number = values.pop(self.names.index(COUNT_COLUMN))
        return ParsedRow(tuple(values), number)

    def _report_row(self, cells: Sequence[str]) -> None:
        """Report the errors of a wrong row."""
        columns = len(self.names)
        if len(cells) > columns:
            problem = f"this row has more cells than the header, which has {columns}"
            hint = "put a cell that contains a separator in quotes"
            self.report("CXR233", columns, problem, hint)
            return
        if len(cells) < columns:
            problem = f"this row ends after {len(cells)} of {columns} cells"
            self.report("CXR233", 0, problem)
            return
        for index, parse in enumerate(self._parsers):
            try:
                parse(cells[index])
            except ValueError as error:
                name = quote_name(self.names[index])
                self.report("CXR233", index, f"{name} {error}")

    def _parse_count(self, cell: str) -> int | float:
        value = _parse_number(cell)
        if value is None or not 0 <= value <= _MAX_CONVERSATIONS:
            raise ValueError(f"must be a number, 0 or more, not {quote_name(cell)}")
        if self._separator == ";" and _THOUSANDS_SEPARATOR.fullmatch(cell):
            # Between semicolons, a point probably separates thousands: the shares would be silently
            # wrong.
            raise ValueError(
                f"must be a number without points between thousands, not {quote_name(cell)}"
            )
        return int(value) if value == int(value) else value


def _find_separator(header: str) -> str:
    """Return the separator of a header: that with the column `count`, because cells may contain
    both.
    """
    for separator in ",;":
        names = [cell.strip(' "\r\n') for cell in header.split(separator)]
        if COUNT_COLUMN in names:
            return separator
    return max(",;", key=header.count)


def _as_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if not isinstance(value, int | float):
        raise ValueError  # noqa: TRY004 - as for a number that is not finite
    if isinstance(value, float) and not isfinite(value):
        raise ValueError
    return repr(value).lower()  # True is true


def _parse_value(cell: str) -> CellValue:
    if not JSON_NUMBER.fullmatch(cell):
        return _parse_text(cell)
    value = _parse_number(cell)
    if value is None:
        hint = "put a text that looks like a number in JSON quotes"
        raise ValueError(f"is too large a number: {quote_name(cell)} ({hint})")
    return value


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _parse_text(cell: str) -> str | None:
    if not cell:
        return None
    if cell != cell.strip():
        raise ValueError(f"has spaces around it: {quote_name(cell)}")
    if cell[0] != '"':
        return cell
    with suppress(ValueError):
        text = json.loads(cell)
        if isinstance(text, str) and not _has_surrogate(text):
            return text
    raise ValueError(
        f"begins with a quote and must be a JSON text, not {quote_name(cell)}"
    )


def _parse_confidence(cell: str) -> int | float | None:
    value = _parse_number(cell)
    if cell and (value is None or not 0 <= value <= 1):
        raise ValueError(
            f"must be empty or a number from 0 to 1, such as 0.85, not {quote_name(cell)}"
        )
    return value


def _parse_number(cell: str) -> int | float | None:
    try:
        return parse_number(cell)
    except ValueError:
        return None
