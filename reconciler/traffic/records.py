"""Recorded conversations, as CSV or JSON lines -> counted cells, with memory for the different cells only."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from reconciler.errors import ManifestError
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.text.escape import escape_invisible, quote_name
from reconciler.text.strict_json import STRICT_DECODER
from reconciler.text.suggest import suggest
from reconciler.traffic import sample
from reconciler.traffic.cells import CONFIDENCE, HUNDREDTH, INTENT, CellCounts, round_down

_SEPARATORS: Final = ",;\t"
_MAX_KEPT: Final = 10_000  # values of a column whose parsed form is kept
_Records = Iterator[tuple[int, Mapping[str, Any]]]  # a row's last line, and its values by column


def count_conversations(lines: Iterator[str], file: str, columns: Mapping[str, str]) -> CellCounts:
    """Return the conversations by attributes, with confidences rounded down to hundredths.

    `columns` maps attributes to columns; without it, each column (of JSON, member of the first object) is an attribute.
    `count` is the conversations of a row, 1 without it. Raises ManifestError at the first wrong row, and CxrouteError.
    """
    rows = ((number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("# "))
    number, line = next(rows, (1, ""))  # after the comments of a sample
    read, as_cell = (_read_json, _as_cell) if line.lstrip().startswith("{") else (_read_csv, str)
    records = read(chain([line], lines), number, file)
    known = [*next(records, (1, {}))[1]]
    chosen = dict(columns) or {name: name for name in known}
    for column in {*chosen.values()} - {*known}:
        raise _error(file, number, "CXR232", f"no column {quote_name(column)}", suggest(column, known))
    count_column = chosen.pop(sample.COUNT_COLUMN, sample.COUNT_COLUMN)
    parsers = [
        (column, lru_cache(_MAX_KEPT)(_PARSERS.get(name, sample.parse_value))) for name, column in chosen.items()
    ]
    cells = CellCounts(tuple(chosen))
    for number, record in records:
        values, column = list[sample.CellValue](), count_column
        try:
            count = sample.parse_count(as_cell(record.get(column, "1")).strip('"'))
            for column, parse in parsers:
                values.append(parse(as_cell(record[column]) if column in record else ""))
        except ValueError as error:
            raise _error(file, number, "CXR233", f"{quote_name(column)} {error}") from None
        cells.add(tuple(values), count)
    return cells


def _read_csv(lines: Iterator[str], number: int, file: str) -> _Records:
    """Yield the header, with its columns as keys, and then the rows. `number` is the line of the header."""
    header = next(lines)
    reader = csv.DictReader(chain([header], lines), delimiter=max(_SEPARATORS, key=header.count), strict=True)
    try:
        columns = reader.fieldnames or ()
        if len({*columns}) < len(columns):
            raise _error(file, number, "CXR232", "two columns have one name", "keep one")
        yield number, dict.fromkeys(columns, "")
        for row in reader:
            line = number + reader.line_num - 1
            if None in row or None in row.values():
                raise _error(file, line, "CXR233", f"this row does not have {len(columns)} cells, as the header has")
            if any(row.values()):
                yield line, row
    except csv.Error as error:
        reason = next((text for part, text in sample.CSV_ERRORS.items() if part in str(error)), "a stray line end")
        raise _error(file, number + reader.line_num, "CXR231", f"this row is not CSV: {reason}") from None


def _read_json(lines: Iterator[str], number: int, file: str) -> _Records:
    """Yield the first object as the header, and then all objects."""
    for line, text in enumerate(lines, number):
        if text.strip():
            try:
                record = STRICT_DECODER.decode(text)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise _error(file, line, "CXR231", "this line is not a JSON object")
            if line == number:
                yield line, record
            yield line, record


def _as_cell(value: object) -> str:
    """Return the cell of a sample with a JSON value. Raises ValueError for a list or an object."""
    if isinstance(value, list | dict):
        raise ValueError("must be a text, a number, true, false or null")  # noqa: TRY004 - as for every wrong cell
    return "" if value is None else json.dumps(value)


_PARSERS: Final[dict[str, Callable[[str], sample.CellValue]]] = {
    INTENT: sample.parse_text,
    CONFIDENCE: lambda cell: round_down(sample.parse_confidence(cell.strip('"')), HUNDREDTH),  # or a JSON text
}


def _error(file: str, line: int, code: str, message: str, hint: str = "") -> ManifestError:
    source = Source(escape_invisible(file), line, 1)
    return ManifestError([Finding(code=code, severity="error", message=message, source=source, hint=hint)])
