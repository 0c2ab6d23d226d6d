"""A sheet: the cells of a file, each with its name for messages (`prod!D14`), and CSV text (`row
14, column D`).

Commas, semicolons and tabs separate the cells of CSV text: local programs write these.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from typing import Final, NamedTuple

from reconciler.core.errors import CxrouteError
from reconciler.core.model.rule import JSON_NUMBER
from reconciler.core.text.escape import pluralize
from reconciler.core.text.files import MIB
from reconciler.features.table.cells import FORMULA_STARTS

ORIGIN: Final = re.compile(r"File \(table of (.+), ([0-9a-f]{12})\)")
"""The heading by which a table is recognized: its Environment and digest."""
# Without it, Excel reads a file as text of the local code page.
BYTE_ORDER_MARK: Final = "\ufeff"

_MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 200
_MAX_CELLS: Final = 1_000_000
_MAX_CHARACTERS: Final = 10 * MIB
MOST_LINES: Final = 20


class SheetError(CxrouteError, kind="Table", exit_code=3):
    """Cells that a file cannot hold, or that cannot be read; the message names each of them."""


def refuse_cells(problems: Sequence[str]) -> None:
    """Raise SheetError with the problems, each of which begins with the name of its cell, if there
    are any.
    """
    if problems:
        number = pluralize(len(problems), "cell")
        raise SheetError(f"nothing was written: {number} refused{list_lines(problems)}")


def list_lines(lines: Sequence[str]) -> str:
    """Return the first lines, each after a line end, and the number of the others."""
    text = "".join(f"\n  {line}" for line in lines[:MOST_LINES])
    excess = len(lines) - MOST_LINES
    if excess > 0:
        text += f"\n  and {excess:,} more"
    return text


class Cell(NamedTuple):
    """A cell's text without space around it, and the cell's name."""

    text: str
    name: str


class Sheet(NamedTuple):
    """The headings, and the rows that are not empty."""

    headings: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]


def build_sheet(
    rows: Iterable[Sequence[str]], name_cell: Callable[[int, int], str]
) -> Sheet:
    """Return the sheet of rows; the first one has the headings.

    `name_cell` names a row and column, each from 0.
    """
    filled = [
        (number, line) for number, line in enumerate(_require_size(rows)) if any(line)
    ]
    if not filled:
        raise SheetError("the table is empty: it has no row with headings")
    _, headings = filled[0]
    width = max(at for at, text in enumerate(headings) if text) + 1
    if len(filled) * width > _MAX_CELLS:
        raise SheetError(f"a table has at most {_MAX_CELLS:,} cells")

    _refuse_misplaced(filled, width, name_cell)

    cells: list[tuple[Cell, ...]] = []
    for number, line in filled:
        names = [name_cell(number, at) for at in range(width)]
        cells.append(_make_cells(line, names))
    return Sheet(cells[0], tuple(cells[1:]))


def _make_cells(line: Sequence[str], names: Sequence[str]) -> tuple[Cell, ...]:
    # A row may end before the last heading.
    width = len(names)
    padding = [""] * (width - len(line))
    texts = [*line[:width], *padding]
    return tuple(map(Cell, texts, names))


def _refuse_misplaced(
    filled: Sequence[tuple[int, Sequence[str]]],
    width: int,
    name_cell: Callable[[int, int], str],
) -> None:
    """Raise SheetError for headings below the first row, and for texts beyond the headings."""
    heading_number, _ = filled[0]
    late: list[str] = []
    beyond: list[str] = []
    for number, line in filled:
        for at, text in enumerate(line):
            if number > heading_number and ORIGIN.fullmatch(text):
                late.append(name_cell(number, at))
            if text and at >= width:
                beyond.append(name_cell(number, at))
    refuse_cells([f"{name}: the headings must be in the first row" for name in late])
    refuse_cells([f"{name}: there is no heading above it" for name in beyond])


def _require_size(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    characters = 0
    for number, row in enumerate(rows, start=1):
        if number > _MAX_ROWS or len(row) > MAX_COLUMNS:
            raise SheetError(
                f"a table has at most {_MAX_ROWS:,} rows and {MAX_COLUMNS} columns"
            )
        characters += sum(map(len, row))
        if characters > _MAX_CHARACTERS:  # in a workbook, many cells may share one text
            raise SheetError(
                f"a table has at most {_MAX_CHARACTERS // MIB} million characters"
            )
        yield row


def column_letters(index: int) -> str:
    """Return the letters of a column, which is counted from 0: `A`, `Z`, `AA`."""
    rest, last = divmod(index, 26)
    first_letters = column_letters(rest - 1) if rest else ""
    last_letter = chr(ord("A") + last)
    return first_letters + last_letter


def write_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return CSV text. Raises SheetError for a cell that a program would take for a formula."""
    problems: list[str] = []
    for number, row in enumerate(rows):
        for at, cell in enumerate(row):
            if cell.startswith(FORMULA_STARTS) and not JSON_NUMBER.fullmatch(cell):
                name = _csv_name(number, at)
                problems.append(f"{name}: {cell[:40]!r} would be a formula")
    refuse_cells(problems)

    stream = StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def read_csv(data: bytes) -> Sheet:
    """Return the sheet of a CSV file. Raises SheetError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SheetError(
            f"the CSV file is not UTF-8 (byte {error.start + 1}): save it as CSV UTF-8"
        ) from None
    if text[:4].lower() == "sep=":  # a line of Excel's, about the separator
        text = "\n" + text.partition("\n")[2]

    heading = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = ([cell.strip() for cell in row] for row in reader)
    try:
        return build_sheet(rows, _csv_name)
    except csv.Error as error:
        raise SheetError(
            f"line {reader.line_num}: the CSV text is not valid ({error})"
        ) from None


def _csv_name(row: int, column: int) -> str:
    letters = column_letters(column)
    return f"row {row + 1}, column {letters}"
