"""A sheet: the cells of a file, each with its name for messages (`prod!D14`; of a CSV file `row 14, column D`)."""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.text.escape import pluralize

MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 200
_LETTERS: Final = 26
_SHOWN: Final = 20


class SheetError(CxrouteError, kind="Table", exit_code=3):
    """Cells that a file cannot hold, or that cannot be read; the message names each of them."""


def refuse_cells(problems: Sequence[str]) -> None:
    """Raise SheetError with the problems, each of which begins with the name of its cell, if there are any."""
    if problems:
        raise SheetError(f"nothing was written: {pluralize(len(problems), 'cell')} refused{list_lines(problems)}")


def list_lines(lines: Sequence[str]) -> str:
    """Return the first lines, each after a line end, and the number of the others."""
    others = [f"and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return "".join(f"\n  {line}" for line in [*lines[:_SHOWN], *others])


class Cell(NamedTuple):
    """A cell's text without space around it, and the cell's name."""

    text: str
    name: str


class Sheet(NamedTuple):
    """The headings, and the rows that are not empty."""

    headings: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]


def build_sheet(rows: Iterable[Sequence[str]], name_cell: Callable[[int, int], str]) -> Sheet:
    """Return the sheet of rows; the first one has the headings. `name_cell` names a row and column, each from 0."""
    # A row may end before the last heading.
    texts = list(zip_longest(*zip_longest(*rows, fillvalue="")))
    named = (tuple(Cell(text, name_cell(row, at)) for at, text in enumerate(line)) for row, line in enumerate(texts))
    filled = [cells for cells in named if any(cell.text for cell in cells)]
    if not filled:
        raise SheetError("the table is empty: it has no row with headings")
    width = max((at for at, cell in enumerate(filled[0]) if cell.text), default=0) + 1
    beyond = [f"{cell.name}: there is no heading above it" for cells in filled for cell in cells[width:] if cell.text]
    refuse_cells(beyond)
    return Sheet(filled[0][:width], tuple(cells[:width] for cells in filled[1:]))


def column_letters(index: int) -> str:
    """Return the letters of a column, which is counted from 0: `A`, `Z`, `AA`."""
    letters = ""
    while index >= 0:
        letters = chr(ord("A") + index % _LETTERS) + letters
        index = index // _LETTERS - 1
    return letters
