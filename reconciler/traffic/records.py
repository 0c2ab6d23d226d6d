"""Recorded conversations, as CSV or JSON lines -> counted cells, with memory for the different cells only."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

from reconciler.errors import ManifestError
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.text.escape import escape_invisible, quote_name
from reconciler.text.strict_json import STRICT_DECODER
from reconciler.text.suggest import suggest
from reconciler.traffic.cells import CONFIDENCE, HUNDREDTH, INTENT, CellCounts, round_down
from reconciler.traffic.sample import (
    COUNT_COLUMN,
    CSV_ERRORS,
    CellValue,
    parse_confidence,
    parse_count,
    parse_text,
    parse_value,
)

_SEPARATORS: Final = ",;\t"
_MAX_KEPT: Final = 10_000  # values of a column whose parsed form is kept


class _Record(NamedTuple):
    """One row: its line from 1, and its values by column, as the cells of a sample."""

    line: int
    values: Mapping[str, str]


def count_conversations(lines: Iterator[str], file: str, columns: Mapping[str, str]) -> CellCounts:
    """Return the conversations by attributes, with confidences rounded down to hundredths.

    `columns` maps attributes to columns; without it, each column is an attribute. `count` is the conversations of a
    row, 1 without such a column. Raises ManifestError at the first wrong row, and CxrouteError for too many cells.
    """
    number, first = next(((number, line) for number, line in enumerate(lines, 1) if _has_data(line)), (1, ""))
    read = _read_json if first.lstrip().startswith("{") else _read_csv
    records = read(chain([first], lines), number, file)
    header = next(records, None)
    if header is None:
        raise _error(file, number, "CXR230", "the file contains no rows")
    chosen = _choose_columns(header, file, columns)
    parsers = {name: _parser(name) for name in chosen}
    cells = CellCounts(tuple(name for name in chosen if name != COUNT_COLUMN))
    for record in records:
        values: dict[str, Any] = {COUNT_COLUMN: 1}
        for name, column in chosen.items():
            try:
                values[name] = parsers[name](record.values.get(column, ""))
            except ValueError as error:
                raise _error(file, record.line, "CXR233", f"{quote_name(column)} {error}") from None
        cells.add(tuple(values[name] for name in cells.attributes), values[COUNT_COLUMN])
    return cells


def _has_data(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("# ")


def _choose_columns(header: _Record, file: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each attribute, and of `count` if there is one."""
    known = [*header.values]
    chosen = dict(columns) or {name: name for name in known}
    if COUNT_COLUMN in known:
        chosen.setdefault(COUNT_COLUMN, COUNT_COLUMN)
    for column in chosen.values():
        if column not in known:
            raise _error(file, header.line, "CXR232", f"no column {quote_name(column)}", suggest(column, known))
    if not set(chosen) - {COUNT_COLUMN}:
        raise _error(file, header.line, "CXR232", "no column for an attribute, such as intent")
    return chosen


def _read_csv(lines: Iterator[str], number: int, file: str) -> Iterator[_Record]:
    """Yield the header, with its columns as keys, and then the rows. `number` is the line of the first one."""
    first = next(lines)
    reader = csv.reader(chain([first], lines), delimiter=max(_SEPARATORS, key=first.count), strict=True)
    header: list[str] = []
    while True:
        line = number + reader.line_num
        try:
            row = next(reader, None)
        except csv.Error as error:
            reason = next((text for part, text in CSV_ERRORS.items() if part in str(error)), "a stray line end")
            raise _error(file, line, "CXR231", f"this row is not CSV: {reason}") from None
        if row is None:
            return
        if not any(row):
            continue
        header = header or row
        if len(row) != len(header):
            raise _error(file, line, "CXR233", f"this row has {len(row)} cells, and the header {len(header)}")
        values = dict(zip(header, row, strict=True))
        if len(values) < len(header):
            raise _error(file, number, "CXR232", "two columns have one name", "keep one")
        yield _Record(line, values)


def _read_json(lines: Iterator[str], number: int, file: str) -> Iterator[_Record]:
    """Yield the first object as the header, and then all objects."""
    header: Mapping[str, str] = {}
    for line, text in enumerate(lines, number):
        if not text.strip():
            continue
        try:
            form = STRICT_DECODER.decode(text)
            values = {name: _as_cell(value) for name, value in form.items()}
        except (ValueError, RecursionError, AttributeError, TypeError):
            message = "this line is not a JSON object of texts, numbers, true, false and null"
            raise _error(file, line, "CXR231", message) from None
        if not header:
            header = values
            yield _Record(line, header)
        if unknown := next((name for name in values if name not in header), None):
            message = f"the first object has no member {quote_name(unknown)}"
            raise _error(file, line, "CXR232", message, "write null there, so that no value is lost")
        yield _Record(line, values)


def _as_cell(value: object) -> str:
    """Return the cell of a sample with a JSON value. Raises TypeError for a list or an object."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise TypeError
    return json.dumps(value)


def _parser(name: str) -> Callable[[str], CellValue]:
    """Return the parser of an attribute's cells, with a limited memory: most values occur in many rows."""
    parsers: dict[str, Callable[[str], CellValue]] = {
        INTENT: parse_text,
        CONFIDENCE: lambda cell: round_down(parse_confidence(_unquoted(cell)), HUNDREDTH),
        COUNT_COLUMN: lambda cell: parse_count(_unquoted(cell)),
    }
    return lru_cache(_MAX_KEPT)(parsers.get(name, parse_value))


def _unquoted(cell: str) -> str:
    """Return the number that a JSON text contains, such as `"0.9"`."""
    return cell.strip('"')


def _error(file: str, line: int, code: str, message: str, hint: str = "") -> ManifestError:
    source = Source(escape_invisible(file), line, 1)
    return ManifestError([Finding(code=code, severity="error", message=message, source=source, hint=hint)])
