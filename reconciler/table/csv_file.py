"""The decision table as CSV text, and back. Commas, semicolons and tabs are accepted: local programs write these."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Final

from reconciler.model.rule import JSON_NUMBER
from reconciler.table.sheet import (
    MAX_COLUMNS,
    MAX_ROWS,
    Sheet,
    SheetError,
    build_sheet,
    column_letters,
    refuse_cells,
)

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
BYTE_ORDER_MARK: Final = "\ufeff"  # without it, Excel reads a file as text of the local code page


def write_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return CSV text. Raises SheetError for a cell that a program would take for a formula."""
    names = [
        f"row {number}, column {column_letters(at)}: {cell[:40]!r} would be a formula"
        for number, row in enumerate(rows, start=1)
        for at, cell in enumerate(row)
        if cell.startswith(_FORMULA_STARTS) and not JSON_NUMBER.fullmatch(cell)
    ]
    refuse_cells(names)
    stream = StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def read_csv(data: bytes) -> Sheet:
    """Return the sheet of a CSV file. Raises SheetError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SheetError(f"the CSV file is not UTF-8 (byte {error.start + 1}): save it as CSV UTF-8") from None
    return build_sheet(_rows(text), lambda row, at: f"row {row + 1}, column {column_letters(at)}")


def _rows(text: str) -> Iterator[list[str]]:
    if text[:4].lower() == "sep=":  # a line of Excel's, about the separator
        text = "\n" + text.partition("\n")[2]
    heading = text.lstrip("\n").partition("\n")[0]
    separator = max(",;\t", key=heading.count)
    number = 0
    try:
        for number, row in enumerate(csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True), start=1):
            if number > MAX_ROWS or len(row) > MAX_COLUMNS:
                raise SheetError(f"a table has at most {MAX_ROWS:,} rows and {MAX_COLUMNS} columns")
            yield list(map(str.strip, row))
    except csv.Error as error:
        raise SheetError(f"row {number + 1}: the CSV text is not valid ({error})") from None
