"""The decision table as a workbook (XLSX), and back. Every cell is text, in text format: no program changes it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from reconciler.table.sheet import MAX_COLUMNS, MAX_ROWS, Cell, Sheet, SheetError, build_sheet, column_letters, refuse_cells

_MAX_TEXT: Final = 32_767  # characters of a cell
_MAX_UNPACKED: Final = 100 * 1024 * 1024  # bytes of all parts of a workbook
_EXACT_DIGITS: Final = 10**15  # programs for spreadsheets keep 15 digits of a number
_NOT_IN_TITLES: Final = re.compile(r"[\\/*?:\[\]']")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TEXT_FORMAT: Final = "@"
_HELP_TITLE, _LISTS_TITLE = "How to edit", "Lists"
_WIDTHS: Final = (30, 80)


def write_xlsx(title: str, rows: Sequence[Sequence[str]], lists: Mapping[int, Sequence[str]], guide: Sequence[Sequence[str]]) -> bytes:
    """Return a workbook: the table, its explanation (`guide`), and the values that columns offer (`lists`)."""
    book = Workbook(write_only=True)
    sheet_title = _NOT_IN_TITLES.sub("-", title)[:31]
    table, explained, offered = (book.create_sheet(name) for name in (sheet_title, _HELP_TITLE, _LISTS_TITLE))
    table.freeze_panes = "B2"
    for at in range(len(rows[0])):
        table.column_dimensions[column_letters(at)].width = _WIDTHS[0]
    for number, (at, values) in enumerate(lists.items()):
        letters = column_letters(number)
        span = f"{_LISTS_TITLE}!${letters}$1:${letters}${max(len(values), 1)}"
        # A value that is not in the list is a warning only: a cell may have several.
        choice = DataValidation(type="list", formula1=span, allow_blank=True, errorStyle="warning")
        choice.add(f"{column_letters(at)}2:{column_letters(at)}{len(rows) + MAX_COLUMNS}")
        table.add_data_validation(choice)
    explained.column_dimensions["A"].width, explained.column_dimensions["B"].width = _WIDTHS
    offered.sheet_state = "hidden"
    depth = max(map(len, lists.values()), default=0)
    columns = [[*values, *[""] * (depth - len(values))] for values in lists.values()]
    for sheet, lines in ((table, rows), (explained, guide), (offered, list(zip(*columns, strict=True)))):
        _append(sheet, lines)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()
