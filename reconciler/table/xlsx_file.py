"""The decision table as a workbook (XLSX), and back. Every cell is text in text format: no program changes it."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final
from zipfile import BadZipFile

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation

from reconciler.table.sheet import MAX_COLUMNS, ORIGIN, Sheet, SheetError, build_sheet, column_letters, refuse_cells
from reconciler.table.workbook import TooLargeError, WorkbookCell, WorkbookError, Worksheet, read_worksheets
from reconciler.text.escape import quote, sanitize

_MAX_TEXT: Final = 32_767  # characters of a cell
_NOT_IN_TITLES: Final = re.compile(r"[\\/*?:\[\]']")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE: Final = re.compile("_?x[0-9A-Fa-f]{4}_")  # the format's form of a character
_SPARE_ROWS: Final = 500  # rows below the table that offer the same lists, for new rules
_MAX_BLANK: Final = 100  # rows above the headings
_GUIDE, _LISTS = "How to edit", "Lists"


def write_xlsx(
    title: str,
    rows: Sequence[Sequence[str]],
    lists: Mapping[int, Sequence[str]],
    guide: Sequence[Sequence[str]],
) -> bytes:
    """Return a workbook: the table, its explanation (`guide`), and the values that columns offer (`lists`)."""
    book = Workbook()
    table = book.worksheets[0]
    table.title = _NOT_IN_TITLES.sub("-", title)[:31]
    table.freeze_panes = "B2"
    explained, offered = (book.create_sheet(name) for name in (_GUIDE, _LISTS))
    columns = zip_longest(*lists.values(), fillvalue="")
    for sheet, lines in ((table, rows), (explained, guide), (offered, columns)):
        _fill(sheet, lines)
    offered.sheet_state = "hidden"
    for number, (at, values) in enumerate(lists.items()):
        letters = column_letters(number)
        # Another text is a warning, not an error: a cell may have several values, or an operator.
        span = f"{offered.title}!${letters}$1:${letters}${max(len(values), 1)}"
        choice = DataValidation(type="list", formula1=span, allow_blank=True, errorStyle="warning")
        choice.add(f"{column_letters(at)}2:{column_letters(at)}{len(rows) + _SPARE_ROWS}")
        table.add_data_validation(choice)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def read_xlsx(data: bytes) -> Sheet:
    """Return the sheet of a workbook with the heading of a table, otherwise its first. Raises SheetError."""
    try:
        sheets = read_worksheets(data)
    except TooLargeError as error:
        raise SheetError(f"the workbook has {error}") from None
    except (WorkbookError, BadZipFile, OSError, EOFError, ValueError, LookupError, RuntimeError, zlib.error):
        sheets = []
    if not sheets:
        raise SheetError("the file is not a workbook that cxroute can read: save it as .xlsx, or as CSV")
    sheet, *others = list(filter(_is_table, sheets)) or sheets[:1]
    if others:
        raise SheetError(f"{quote(sanitize(others[0].title))} is a second sheet with a table: keep the edited one")
    title = sanitize(sheet.title)
    refuse_cells([f"{title}!{sanitize(merged, 20)}: these cells are merged: split them" for merged in sheet.merged])

    def name_cell(row: int, at: int) -> str:
        return f"{title}!{column_letters(at)}{row + 1}"

    rows = range(max(sheet.rows, default=-1) + 1)
    table = build_sheet((_texts(sheet.rows.get(row, {})) for row in rows), name_cell)
    refuse_cells(
        [
            f"{name_cell(row, at)}: it is {cell.problem}"
            for row, cells in sheet.rows.items()
            for at, cell in cells.items()
            if cell.problem
        ]
    )
    return table


def _is_table(sheet: Worksheet) -> bool:
    """Return whether the first row with text has the heading of a table."""
    first = min(sheet.rows, default=0)
    headings = sheet.rows.get(first, {}) if first < _MAX_BLANK else {}
    return any(ORIGIN.fullmatch(cell.text) for cell in headings.values())


def _texts(cells: Mapping[int, WorkbookCell]) -> list[str]:
    """Return the texts of a row up to its last cell."""
    last = min(max(cells, default=-1), MAX_COLUMNS)
    return [cells[at].text if at in cells else "" for at in range(last + 1)]


def _fill(sheet: Any, lines: Iterable[Sequence[str]]) -> None:  # noqa: ANN401 - a sheet of openpyxl
    problems, widths = [], dict[int, int]()
    for number, line in enumerate(lines, start=1):
        for at, text in enumerate(line):
            name = f"{sheet.title}!{column_letters(at)}{number}: its text has"
            if len(text) > _MAX_TEXT:
                problems.append(f"{name} {len(text):,} characters, at most {_MAX_TEXT:,} fit")
            elif _ESCAPE.search(text):
                problems.append(f"{name} a part that programs change: {_ESCAPE.findall(text)[0]}")
            elif _NOT_IN_XML.search(text):
                problems.append(f"{name} a character that a workbook cannot hold")
            elif text:
                cell = sheet.cell(number, at + 1)
                cell.value, cell.data_type, cell.number_format = text, "s", "@"
                cell.font = Font(bold=number == 1)
                widths[at] = min(max(widths.get(at, 8), len(text) + 2), 60)
    refuse_cells(problems)
    for at, width in widths.items():
        sheet.column_dimensions[column_letters(at)].width = width
