"""The decision table as a workbook (XLSX), and back. Every cell is text in text format: no program changes it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation

from reconciler.table.sheet import (
    MAX_COLUMNS,
    MAX_ROWS,
    Cell,
    Sheet,
    SheetError,
    build_sheet,
    column_letters,
    refuse_cells,
)
from reconciler.text.escape import quote
from reconciler.text.files import MIB

_MAX_TEXT: Final = 32_767  # characters of a cell
_MAX_UNPACKED: Final = 100 * MIB  # bytes of all parts of a workbook
_EXACT: Final = 10**15  # programs for spreadsheets keep 15 digits of a number
_NOT_IN_TITLES: Final = re.compile(r"[\\/*?:\[\]']")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPARE_ROWS: Final = 500  # rows below the table that offer the same lists, for new rules
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
    offered = zip_longest(*lists.values(), fillvalue="")
    for sheet, lines in ((table, rows), (book.create_sheet(_GUIDE), guide), (book.create_sheet(_LISTS), offered)):
        _fill(sheet, lines)
    book[_LISTS].sheet_state = "hidden"
    for number, (at, values) in enumerate(lists.items()):
        letters = column_letters(number)
        # Another text is a warning, not an error: a cell may have several values, or an operator.
        span = f"{_LISTS}!${letters}$1:${letters}${max(len(values), 1)}"
        choice = DataValidation(type="list", formula1=span, allow_blank=True, errorStyle="warning")
        choice.add(f"{column_letters(at)}2:{column_letters(at)}{len(rows) + _SPARE_ROWS}")
        table.add_data_validation(choice)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def read_xlsx(data: bytes) -> Sheet:
    """Return the first sheet of a workbook. Raises SheetError."""
    try:
        with ZipFile(BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > _MAX_UNPACKED:
                raise SheetError(f"the workbook has more than {_MAX_UNPACKED // MIB} MiB unpacked")
        book = load_workbook(BytesIO(data))
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError, TypeError, AttributeError, SyntaxError):
        # What openpyxl raises for parts that are absent or not as specified; a ParseError of XML is a SyntaxError.
        raise SheetError("the file is not a workbook that cxroute can read: save it as .xlsx, or as CSV") from None
    sheet: Any = book.worksheets[0] if book.worksheets else None
    if sheet is None or sheet.max_row > MAX_ROWS or sheet.max_column > MAX_COLUMNS:
        raise SheetError(f"a table has one sheet, at most {MAX_ROWS:,} rows and {MAX_COLUMNS} columns")
    problems: list[str] = []
    rows = [[_read_cell(cell, sheet.title, problems) for cell in row] for row in sheet.iter_rows()]
    refuse_cells(problems)
    return build_sheet(rows)


def _fill(sheet: Any, lines: Iterable[Sequence[str]]) -> None:  # noqa: ANN401 - a sheet of openpyxl
    problems, widths = [], dict[int, int]()
    for number, line in enumerate(lines, start=1):
        for at, text in enumerate(line):
            name = f"{sheet.title}!{column_letters(at)}{number}: its text has"
            if len(text) > _MAX_TEXT:
                problems.append(f"{name} {len(text):,} characters, at most {_MAX_TEXT:,} fit")
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


def _read_cell(cell: Any, title: str, problems: list[str]) -> Cell:  # noqa: ANN401 - a cell of openpyxl
    """Return a cell's text; what is not text is accepted only where no program can have changed it."""
    value, name, reason = cell.value, f"{title}!{cell.coordinate}", ""
    if cell.data_type == "f":
        reason = "a formula; write its result as text"
    elif cell.data_type == "e":
        reason = "an error value"
    elif isinstance(value, date | time | timedelta):
        reason = 'a date or time, into which the program changed a text: write it in quotes, such as "1-2"'
    elif isinstance(value, int | float) and abs(value) >= _EXACT:
        reason = "a number of more than 15 digits, which the program rounds: write it as text"
    if reason:
        problems.append(f"{name}: it is {reason}")
        return Cell("", name)
    if isinstance(value, int | float):
        return Cell(quote(value), name)
    return Cell("" if value is None else str(value).strip(), name)
