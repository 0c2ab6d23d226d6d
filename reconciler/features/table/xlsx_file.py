"""The decision table as a workbook (XLSX), and back.

Every cell is text in text format: no program changes it.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation

from reconciler.core.model.rule import integral_floats_as_ints
from reconciler.core.text.escape import quote, sanitize
from reconciler.features.table.sheet import (
    MAX_COLUMNS,
    ORIGIN,
    Sheet,
    SheetError,
    build_sheet,
    column_letters,
    refuse_cells,
)
from reconciler.features.table.workbook import TooLargeError, open_workbook

_MAX_TEXT: Final = 32_767  # characters of a cell
_NOT_IN_TITLES: Final = re.compile(r"[\\/*?:\[\]']")
# Rows below the table that offer the same lists, for new rules.
_SPARE_ROWS: Final = 500
_MAX_BLANK: Final = 100  # rows above the headings
_EXACT: Final = 10**15  # programs for spreadsheets keep 15 digits of a number
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s[^<>]*\bref="([^"<>]*)"')
_PROBLEMS: Final = {
    "f": "a formula; write its result as text",
    "e": "an error value",
    "d": 'a date or time, into which the program changed a text: write it in quotes, such as "1-2"',
}
"""Why a cell must not be read, by openpyxl's type of its value."""
NameCell = Callable[[int, int], str]
_GUIDE: Final = "How to edit"
_LISTS: Final = "Lists"


def write_xlsx(
    title: str,
    rows: Sequence[Sequence[str]],
    lists: Mapping[int, Sequence[str]],
    guide: Sequence[Sequence[str]],
) -> bytes:
    """Return a workbook: the table, its explanation (`guide`), and the values that columns offer
    (`lists`).
    """
    book = Workbook()
    table = book.worksheets[0]
    table.title = _NOT_IN_TITLES.sub("-", title)[:31]
    table.freeze_panes = "B2"
    guide_sheet = book.create_sheet(_GUIDE)
    lists_sheet = book.create_sheet(_LISTS)
    _fill(table, rows)
    _fill(guide_sheet, guide)
    _fill(lists_sheet, zip_longest(*lists.values(), fillvalue=""))
    lists_sheet.sheet_state = "hidden"

    last_row = len(rows) + _SPARE_ROWS
    for number, (at, values) in enumerate(lists.items()):
        letters = column_letters(number)
        span = f"{lists_sheet.title}!${letters}$1:${letters}${len(values) or 1}"
        table.add_data_validation(_choice(span, at, last_row))

    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def _choice(span: str, at: int, last_row: int) -> DataValidation:
    """Return the choice of the texts in a span for the cells of a column."""
    # Another text is a warning, not an error: a cell may have several values, or an operator.
    choice = DataValidation(
        type="list",
        formula1=span,
        allow_blank=True,
        errorStyle="warning",
    )
    letters = column_letters(at)
    choice.add(f"{letters}2:{letters}{last_row}")
    return choice


def read_xlsx(data: bytes) -> Sheet:
    """Return the sheet of a workbook with the heading of a table, otherwise its first.

    Raises SheetError.
    """
    try:
        # openpyxl warns of what it cannot write again.
        with warnings.catch_warnings(action="ignore"):
            return _read_table(open_workbook(data))
    except SheetError:
        raise
    except TooLargeError as error:
        raise SheetError(f"the workbook has {error}") from None
    except Exception:  # noqa: BLE001 - openpyxl raises many kinds for a wrong file
        problem = "the file is not a workbook that cxroute can read"
        raise SheetError(f"{problem}: save it as .xlsx, or as CSV") from None


def _read_table(book: Workbook) -> Sheet:
    sheets = book.worksheets
    for each in sheets:
        each.reset_dimensions()  # a program may write wrong ones: openpyxl would leave cells out
    sheet, *others = list(filter(_is_table, sheets)) or sheets[:1]
    if others:
        second = quote(sanitize(others[0].title))
        raise SheetError(
            f"{second} is a second sheet with a table: keep the edited one"
        )
    title = sanitize(sheet.title)

    def name_cell(row: int, at: int) -> str:
        letters = column_letters(at)
        return f"{title}!{letters}{row + 1}"

    merged = _merged_cells(book, sheet)
    spans = [f"{title}!{sanitize(span, 20)}" for span in merged]
    refuse_cells([f"{span}: these cells are merged: split them" for span in spans])
    problems = list[str]()
    table = build_sheet(_read_rows(sheet, name_cell, problems), name_cell)
    refuse_cells(problems)
    return table


def _is_table(sheet: Any) -> bool:  # noqa: ANN401 - a sheet of openpyxl
    """Return whether the first row with text has the heading of a table."""
    rows = sheet.iter_rows(max_row=_MAX_BLANK, max_col=MAX_COLUMNS, values_only=True)
    for row in rows:
        if any(row):
            return any(ORIGIN.fullmatch(str(text)) for text in row)
    return False


def _merged_cells(book: Any, sheet: Any) -> list[str]:  # noqa: ANN401 - of openpyxl
    """Return the merged cells: all but the first of them have lost their text."""
    # Two private names. openpyxl tells merged cells only of a workbook that it reads as a whole,
    # which takes much memory.
    part = book._archive.read(sheet._worksheet_path)  # noqa: SLF001
    return [span.decode(errors="replace") for span in _MERGED.findall(part)]


def _read_rows(
    sheet: Any,  # noqa: ANN401 - of openpyxl
    name_cell: NameCell,
    problems: list[str],
) -> Iterator[list[str]]:
    """Yield the texts of each row; `problems` get the cells that a program changed."""
    for row, cells in enumerate(sheet.iter_rows()):
        texts = list[str]()
        for at, cell in enumerate(cells):
            problem = _find_problem(cell)
            if problem:
                problems.append(f"{name_cell(row, at)}: it is {problem}")
            texts.append("" if problem else _cell_text(cell.value))

        while texts and not texts[-1]:  # cells that have only a format
            texts.pop()
        yield texts


def _find_problem(cell: Any) -> str:  # noqa: ANN401 - a cell of openpyxl
    """Return why a cell must not be read; empty if no program can have changed it."""
    is_number = cell.data_type == "n" and cell.value is not None
    if is_number and not abs(cell.value) < _EXACT:
        return "a number of more than 15 digits, which the program rounds: write it as text"
    return _PROBLEMS.get(cell.data_type, "")


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    return repr(integral_floats_as_ints(value))


def _fill(sheet: Any, lines: Iterable[Sequence[str]]) -> None:  # noqa: ANN401 - a sheet of openpyxl
    """Write the lines, whose texts table/cells.py wrote: they have only visible characters."""
    problems = list[str]()
    widths = dict[int, int]()
    for number, line in enumerate(lines, start=1):
        for at, text in enumerate(line):
            if len(text) > _MAX_TEXT:
                letters = column_letters(at)
                length = f"its text has {len(text):,} characters"
                problems.append(
                    f"{sheet.title}!{letters}{number}: {length}, at most {_MAX_TEXT:,} fit"
                )
            elif text:
                _fill_cell(sheet.cell(number, at + 1), text, Font(bold=number == 1))
                width = max(widths.get(at, 8), len(text) + 2)
                widths[at] = min(width, 60)
    refuse_cells(problems)

    for at, width in widths.items():
        sheet.column_dimensions[column_letters(at)].width = width


def _fill_cell(cell: Any, text: str, font: Font) -> None:  # noqa: ANN401 - a cell of openpyxl
    cell.value = text
    cell.data_type = "s"
    cell.number_format = "@"
    cell.font = font
