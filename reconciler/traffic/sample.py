"""The rows of a traffic sample, from the operator's file or the Environment's: conversations and their counts.

Columns are attributes (`intent` and `confidence` under the Environment's names); `count` is the conversations per row.
Lines that begin with `# ` before the header are comments; `# period: DATE to DATE` is the period of the conversations.
Cells follow JSON: `007` is text, `"1"` is text, other text is itself, an empty cell is a missing attribute.
"""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import sha256
from io import StringIO
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.errors import ManifestError, UsageError
from reconciler.manifest.kinds.environment import BotAttributes, Environment
from reconciler.manifest.source_map import ErrorCollector, LoadedDocument, SourceText
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES, StopReadingError, decode_text, stop_reading
from reconciler.model.finding import Finding
from reconciler.model.rule import JSON_NUMBER, Source, parse_number
from reconciler.text.escape import escape_invisible, quote_name
from reconciler.text.files import read_start
from reconciler.text.suggest import suggest

CellValue = str | int | float | None

COUNT_COLUMN: Final = "count"
MAX_ROWS: Final = 100_000
_MAX_COLUMNS: Final = 100
MAX_CACHED_LENGTH: Final = 1_000  # characters of a cell that is remembered
_MAX_CACHED: Final = 4096  # cells of a column
_MAX_CONVERSATIONS: Final = 10**12  # the limit of one row: sums of all rows stay exact
_THOUSANDS_SEPARATOR: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+")
CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_COMMENTS: Final = re.compile(r'(?:[\r\n]*# (?![^\n]*[,;]"?count"?(?:[\r\n,;]|\Z))[^\n]*(?:\n|\Z))*')  # not a header
_PERIOD: Final = re.compile(r"^# period: (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d)\s*$", re.MULTILINE | re.ASCII)
_CSV_ERRORS: Final = {
    "expected after": "a cell continues after its closing quote (double a quote inside)",
    "unexpected end": "a quote is never closed",
    "field larger": "a cell is longer than 128 KiB (is a quote missing?)",
}  # parts of the messages of the module csv -> messages of findings


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A number of conversations with the same attributes; None means a missing attribute."""

    attributes: Mapping[str, CellValue]
    count: int | float
    line: int  # the line of the first of the equal rows, from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSample:
    """A traffic sample. Rows are distinct, have the same attributes, and count more than 0."""

    name: str  # the file's path for messages
    digest: str  # SHA-256 of the file's bytes, in hexadecimal
    period: str  # for people
    last_day: date | None = None  # the end of the period; None: unknown
    max_age_days: int | None = None  # the Environment's limit
    rows: tuple[SampleRow, ...]
    total: int | float  # the number of conversations of all rows; more than 0
    warnings: tuple[Finding, ...] = ()

    def age_findings(self, now: datetime) -> tuple[Finding, ...]:
        """Return the finding about a sample that is too old for the Environment's limit, if it is."""
        age = (now.astimezone(UTC).date() - self.last_day).days if self.last_day else None
        if self.max_age_days is None or (age is not None and age <= self.max_age_days):
            return ()
        problem = "does not say when it ended" if age is None else f"ended {age} days ago, on {self.last_day}"
        message = f"the traffic sample {problem}, and `maxAgeDays` is {self.max_age_days}"
        source, hint = Source(escape_invisible(self.name), 1, 1), "make a new one with `cxroute traffic`"
        return (Finding(code="CXR235", severity="warning", message=message, source=source, hint=hint),)


class Record(NamedTuple):
    """One row: the index of its first character, its line from 1, and its cells."""

    start: int
    line: int
    cells: list[str]


class Conversations(NamedTuple):
    """One row: the values of the attributes in the order of the columns, and the number of conversations."""

    values: tuple[CellValue, ...]
    number: int | float


def decode_table(data: bytes, collector: ErrorCollector) -> tuple[str, str]:
    """Return the text of UTF-8 bytes, and the separator: a comma or a semicolon. Raises StopReadingError."""
    if len(data) > MAX_FILE_BYTES:
        stop_reading(collector, "CXR230", 0, "the traffic sample is larger than 5 MiB", "add equal rows up")
    text = decode_text(data, collector)
    collector.text = SourceText(collector.text.file, text)
    if control := CONTROL.search(text):
        message = f"the character U+{ord(control[0]):04X} is not allowed in a traffic sample"
        stop_reading(collector, "CXR230", control.start(), message, "is this a CSV file?")
    # The header with the column `count` determines the separator, because cells may contain both.
    header = text[_table_start(text) :].lstrip("\r\n").partition("\n")[0]
    separators = (mark for mark in ",;" if COUNT_COLUMN in (cell.strip(' "\r') for cell in header.split(mark)))
    return text, next(separators, max(",;", key=header.count))


def _table_start(text: str) -> int:
    comments = _COMMENTS.match(text)
    return comments.end() if comments else 0


def read_period(comments: str) -> tuple[date, date] | None:
    """Return the first and the last day of a sample, from its comments; None if they are unknown."""
    found = _PERIOD.search(comments)
    with suppress(ValueError):
        return (date.fromisoformat(found[1]), date.fromisoformat(found[2])) if found else None
    return None


def read_traffic(
    data: bytes, name: str, attributes: BotAttributes, period: str = "", max_age_days: int | None = None
) -> TrafficSample:
    """Return the sample in a file's bytes. ManifestError carries every finding, by line and column."""
    collector = ErrorCollector(text=SourceText(escape_invisible(name), ""))
    rows: tuple[SampleRow, ...] = ()
    with suppress(StopReadingError):  # the reason is in the collector
        text, separator = decode_table(data, collector)
        reader = SampleReader(text=text, separator=separator, collector=collector, attribute_names=attributes)
        rows = reader.sum_rows()
    findings = collector.findings()
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings)
    text = collector.text.text
    days = read_period(text[: _table_start(text)])
    return TrafficSample(
        name=name,
        digest=sha256(data).hexdigest(),
        period=period or (f"{days[0]} to {days[1]}" if days else ""),
        last_day=days[1] if days else None,
        max_age_days=max_age_days,
        rows=rows,
        total=sum(row.count for row in rows),
        warnings=tuple(findings),
    )


@dataclass(kw_only=True)
class SampleReader:
    """Reads the rows of a text in CSV; a wrong one is reported to the collector."""

    text: str
    separator: str
    collector: ErrorCollector
    attribute_names: BotAttributes
    names: list[str] = field(default_factory=list)  # the cells of the header
    attributes: tuple[str, ...] = ()  # the attributes of the columns, without `count`
    parsers: list[Callable[[str], CellValue]] = field(default_factory=list)
    """Of each column, with a bounded cache: most cells occur in many rows."""
    default_count: int | None = None  # of a row, if the file has no column for it; None: the column is required

    def records(self) -> Iterator[Record]:
        """Yield the rows that are not empty. Raises StopReadingError at the first row that is not CSV."""
        first = _table_start(self.text)
        comments = self.text.count("\n", 0, first)
        lines = list(StringIO(self.text[first:], newline="\n"))
        starts = [first, *(first + end for end in accumulate(map(len, lines)))]
        reader = csv.reader(lines, delimiter=self.separator, strict=True)
        while (line := reader.line_num) < len(lines):
            start = starts[line]
            try:
                cells = next(reader)
            except csv.Error as error:
                carriage_return = "a carriage return inside a cell"
                reason = next((words for part, words in _CSV_ERRORS.items() if part in str(error)), carriage_return)
                stop_reading(self.collector, "CXR231", start, f"this row is not CSV: {reason}")
            if any(cells):
                yield Record(start, comments + line + 1, cells)

    def report(self, code: str, record: Record, cell: int, message: str, hint: str = "") -> None:
        """Report an error of a cell, counted from 0. The module csv has no positions of cells."""
        pattern = re.compile(rf'"(?:[^"]|"")*"|[^{self.separator}\r\n]*')
        index = record.start
        for _ in range(cell):
            match = pattern.match(self.text, index)
            index = min(match.end() + 1 if match else index, len(self.text))
        self.collector.report(code, index, message, hint)

    def sum_rows(self) -> tuple[SampleRow, ...]:
        """Return the rows, equal ones added up."""
        records = self.records()
        header = next(records, None)
        if header is None:
            hint = "write the names of the columns in the first row"
            self.collector.report_unreadable("CXR230", 0, "the traffic sample is empty", hint)
            return ()
        self.read_header(header)
        lines, counts = dict[tuple[CellValue, ...], int](), defaultdict[tuple[CellValue, ...], int | float](int)
        for index, record in enumerate(records):
            if index == MAX_ROWS:
                self.report("CXR230", record, 0, f"more than {MAX_ROWS:,} rows", "add equal rows up")
            if index == MAX_ROWS or self.collector.is_full:
                break
            if (row := self.read_row(record)) and row.number:
                lines.setdefault(row.values, record.line)
                counts[row.values] += row.number
        if not counts and not self.collector.collected:
            self.report("CXR234", header, self.names.index(COUNT_COLUMN), "the sample contains no conversations")
        named = ((dict(zip(self.attributes, values, strict=True)), values) for values in counts)
        return tuple(SampleRow(attributes, counts[values], lines[values]) for attributes, values in named)

    def read_header(self, header: Record) -> None:
        """Let the reader know its columns. Raises StopReadingError if one is wrong."""
        self.names, intent, confidence = header.cells, self.attribute_names.intent, self.attribute_names.confidence
        attributes: list[str] = []
        for index, name in enumerate(self.names[:_MAX_COLUMNS]):
            attribute = {"intent": intent, "confidence": confidence}.get(name, name)
            if not name or name != name.strip():
                problem = f"column {index + 1} has {'spaces around its' if name else 'no'} name"
                self.report("CXR232", header, index, problem)
            elif attribute in attributes:
                self.report("CXR232", header, index, f"a second column for {quote_name(attribute)}", "keep one")
            attributes.append(attribute)
        self._check_columns(header)
        if self.collector.collected:
            raise StopReadingError
        parsers = {intent: _parse_text, confidence: _parse_confidence, COUNT_COLUMN: self._parse_count}
        self.parsers = [_with_cache(parsers.get(attribute, _parse_value)) for attribute in attributes]
        self.attributes = tuple(attribute for attribute in attributes if attribute != COUNT_COLUMN)
        self._warn_of_similar_names(header)

    def parse_row(self, cells: Sequence[str]) -> Conversations:
        """Return a row's conversations. Raises ValueError for a wrong cell or number of cells."""
        values = [parse(cell) for parse, cell in zip(self.parsers, cells, strict=True)]
        number: Any = values.pop(self.names.index(COUNT_COLUMN)) if COUNT_COLUMN in self.names else self.default_count
        return Conversations(tuple(values), number)

    def read_row(self, record: Record) -> Conversations | None:
        """Return a row's conversations, or None for a wrong row."""
        with suppress(ValueError):
            return self.parse_row(record.cells)
        cells, columns = record.cells, len(self.names)
        if len(cells) > columns:
            problem = f"this row has more cells than the header, which has {columns}"
            self.report("CXR233", record, columns, problem, "put a cell that contains a separator in quotes")
        elif len(cells) < columns:
            self.report("CXR233", record, 0, f"this row ends after {len(cells)} of {columns} cells")
        else:
            for index, (parse, cell) in enumerate(zip(self.parsers, cells, strict=True)):
                try:
                    parse(cell)
                except ValueError as error:
                    self.report("CXR233", record, index, f"{quote_name(self.names[index])} {error}")
        return None

    def _parse_count(self, cell: str) -> int | float:
        value = _parse_number(cell)
        if value is None or not 0 <= value <= _MAX_CONVERSATIONS:
            raise ValueError(f"must be a number, 0 or more, not {quote_name(cell)}")
        if self.separator == ";" and _THOUSANDS_SEPARATOR.fullmatch(cell):
            # Between semicolons, a point probably separates thousands: the shares would be silently wrong.
            raise ValueError(f"must be a number without points between thousands, not {quote_name(cell)}")
        return int(value) if value == int(value) else value

    def _check_columns(self, header: Record) -> None:
        if len(self.names) > _MAX_COLUMNS:
            self.report("CXR232", header, _MAX_COLUMNS, f"more than {_MAX_COLUMNS} columns")
        elif COUNT_COLUMN not in self.names and self.default_count is None:
            near = next((name for name in self.names if suggest(name, [COUNT_COLUMN])), "")
            hint = "add it: the number of conversations of each row"
            hint = f"if {quote_name(near)} is meant, rename it" if near else hint
            self.report("CXR232", header, 0, f"no column {quote_name(COUNT_COLUMN)}", hint)
        elif self.names == [COUNT_COLUMN]:
            self.report("CXR232", header, 0, "no column for an attribute, such as intent")

    def _warn_of_similar_names(self, header: Record) -> None:
        names = {"intent": self.attribute_names.intent, "confidence": self.attribute_names.confidence}
        missing = [name for name, attribute in names.items() if attribute not in self.attributes]
        for name in self.names:
            near = suggest(name, [*missing, *(names[key] for key in missing)])
            if near and name != COUNT_COLUMN:
                message = f"column {quote_name(name)} is read as an attribute of that name; {near}"
                self.collector.warn("CXR232", header.start, message)


def _with_cache(parse: Callable[[str], CellValue]) -> Callable[[str], CellValue]:
    cached = lru_cache(_MAX_CACHED)(parse)
    return lambda cell: (cached if len(cell) <= MAX_CACHED_LENGTH else parse)(cell)


def _parse_value(cell: str) -> CellValue:
    if not JSON_NUMBER.fullmatch(cell):
        return _parse_text(cell)
    value = _parse_number(cell)
    if value is None:
        hint = "put a text that looks like a number in JSON quotes"
        raise ValueError(f"is too large a number: {quote_name(cell)} ({hint})")
    return value


def _parse_text(cell: str) -> str | None:
    if not cell:
        return None
    if cell != cell.strip():
        raise ValueError(f"has spaces around it: {quote_name(cell)}")
    if cell[0] != '"':
        return cell
    with suppress(ValueError):
        text = json.loads(cell)
        if isinstance(text, str) and not any("\ud800" <= char <= "\udfff" for char in text):
            return text
    raise ValueError(f"begins with a quote and must be a JSON text, not {quote_name(cell)}")


def _parse_confidence(cell: str) -> int | float | None:
    value = _parse_number(cell)
    if cell and (value is None or not 0 <= value <= 1):
        raise ValueError(f"must be empty or a number from 0 to 1, such as 0.85, not {quote_name(cell)}")
    return value


def _parse_number(cell: str) -> int | float | None:
    try:
        return parse_number(cell)
    except ValueError:
        return None


def load_traffic(path: str, attributes: BotAttributes, max_age_days: int | None = None) -> TrafficSample:
    """Return the sample of a file of the command line. Raises UsageError for an unreadable file, else ManifestError."""
    try:
        data = read_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "invalid path").lower()
        raise UsageError(f"--traffic {escape_invisible(path)}: the file cannot be read: {reason}") from error
    return read_traffic(data, path, attributes, max_age_days=max_age_days)


def declared_traffic(environment: LoadedDocument[Environment], manifests: Path) -> TrafficSample | None:
    """Return the sample of an Environment's `traffic`, from the working or the manifests' directory. ManifestError."""
    declared = environment.document.traffic
    if declared is None:
        return None
    code, problem = "CXR014", "not found in the working directory or in the manifests' directory"
    try:
        for root in (Path(), manifests):
            path = root / declared.file
            if path.is_file():
                # Checked before `open`, because a link may lead to a pipe or a device, which never ends, or to a file
                # that a pull request may not name: errors would show its lines.
                if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                    data = read_start(path, MAX_FILE_BYTES + 1)
                    attributes, limit = environment.document.attributes, declared.max_age_days
                    return read_traffic(data, path.as_posix(), attributes, declared.period, limit)
                code, problem = "CXR003", "the symbolic link leads out of the directory"
                break
    except PermissionError:
        problem = "no permission to read the file"
    except OSError:
        pass
    message = f"traffic sample {quote_name(declared.file)}: {problem}"
    raise ManifestError([environment.finding(code, message, "traffic", "file")])
