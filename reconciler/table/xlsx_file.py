"""The decision table as a workbook (XLSX), and back. Every cell is text in text format: no program changes it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final
from warnings import catch_warnings
from zipfile import ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation

from reconciler.table.sheet import MAX_COLUMNS, ORIGIN, Sheet, SheetError, build_sheet, column_letters, refuse_cells
from reconciler.text.escape import quote, sanitize
from reconciler.text.files import MIB

_MAX_TEXT: Final = 32_767  # characters of a cell
_MAX_UNPACKED: Final = 20 * MIB  # bytes of all parts of a workbook
_EXACT: Final = 10**15  # programs for spreadsheets keep 15 digits of a number
_NOT_IN_TITLES: Final = re.compile(r"[\\/*?:\[\]']")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE: Final = re.compile("_?x[0-9A-Fa-f]{4}_")  # the format's form of a character
_SPARE_ROWS: Final = 500  # rows below the table that offer the same lists, for new rules
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z0-9:]+)"')
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
    problems: list[str] = []
    try:
        sheet = _open_table(data)
        title = sanitize(sheet.title)

        def name_cell(row: int, at: int) -> str:
            return f"{title}!{column_letters(at)}{row + 1}"

        rows = (
            [_read_cell(cell, name_cell(row, at), problems) for at, cell in enumerate(cells)]
            for row, cells in enumerate(sheet.iter_rows())
        )
        table = build_sheet(rows, name_cell)
    except SheetError:
        raise
    except Exception:  # noqa: BLE001 - openpyxl raises errors of many kinds for parts that are not as specified
        raise SheetError("the file is not a workbook that cxroute can read: save it as .xlsx, or as CSV") from None
    refuse_cells(problems)
    return table


def _open_table(data: bytes) -> Any:  # noqa: ANN401 - a sheet of openpyxl
    with ZipFile(BytesIO(data)) as parts:
        if sum(part.file_size for part in parts.infolist()) > _MAX_UNPACKED:
            raise SheetError(f"the workbook has more than {_MAX_UNPACKED // MIB} MiB unpacked")
        with catch_warnings(action="ignore"):
            book: Any = load_workbook(BytesIO(data), read_only=True)  # merged cells and links are not expanded
        sheet, *others = list(filter(_is_table, book.worksheets)) or book.worksheets[:1]
        if others:
            raise SheetError(f"{quote(sanitize(others[0].title))} is a second sheet with a table: keep the edited one")
        if merged := _MERGED.search(parts.read(sheet._worksheet_path)):  # noqa: SLF001 - no other way in this mode
            refuse_cells([f"{sanitize(sheet.title)}!{merged[1].decode()}: these cells are merged: split them"])
    return sheet


def _is_table(sheet: Any) -> bool:  # noqa: ANN401 - a sheet of openpyxl
    """Return whether the first row with text has the heading of a table."""
    sheet.reset_dimensions()  # which a file may state wrongly
    rows = sheet.iter_rows(max_row=_MAX_BLANK, max_col=MAX_COLUMNS, values_only=True)
    heading = next(filter(any, rows), ())
    return any(isinstance(text, str) and ORIGIN.fullmatch(text.strip()) for text in heading)


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


def _read_cell(cell: Any, name: str, problems: list[str]) -> str:  # noqa: ANN401 - a cell of openpyxl
    """Return a cell's text; what is not text is accepted only where no program can have changed it."""
    value, reason = cell.value, ""
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
        return ""
    if isinstance(value, int | float):
        return quote(value)
    return "" if value is None else str(value).strip()
