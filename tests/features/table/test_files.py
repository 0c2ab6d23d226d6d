"""Files of tables: what programs for spreadsheets make of cells is read as text, or refused by the
cell's name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from time import process_time
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from openpyxl import Workbook, load_workbook

from reconciler.core.text.escape import is_visible
from reconciler.features.table.cells import read_queues, write_name
from reconciler.features.table.sheet import (
    SheetError,
    column_letters,
    read_csv,
    write_csv,
)
from reconciler.features.table.xlsx_file import read_xlsx, write_xlsx
from tests.support.cases import each_case
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.libreoffice import saved_by_libreoffice

HEADINGS = ["Rule", "Queue"]
ORIGIN = f"File (table of prod, {'0' * 12})"


def a_workbook(value: Any) -> bytes:
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "prod"
    sheet.append(HEADINGS)
    sheet.append(["a/b", value])
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


@each_case(
    "value, text",
    [
        (5, "5"),
        (5.0, "5"),
        (0.7, "0.7"),
        (True, "true"),
        ("  x ", "x"),
        ("007", "007"),
        ("'=1", "'=1"),
        (None, ""),
    ],
)
def test_a_cell_is_read_as_text(value: Any, text: str) -> None:
    (row,) = read_xlsx(a_workbook(value)).rows
    assert row[1].text == text
    assert row[1].name == "prod!B2"


@each_case(
    "value, reason",
    [
        ("=1+1", "a formula"),
        ('=HYPERLINK("https://x.example","y")', "a formula"),
        (dt.date(2026, 3, 1), "a date"),
        (dt.time(12, 30), "a date or time"),
        (dt.timedelta(hours=30), "a date or time"),
        (1234567890123456, "more than 15 digits"),
        (1e300, "more than 15 digits"),
        ("#N/A", "an error value"),
    ],
)
def test_a_changed_cell_is_refused_by_name(value: Any, reason: str) -> None:
    with pytest.raises(SheetError, match=rf"prod!B2: it is .*{reason}"):
        read_xlsx(a_workbook(value))


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_no_cell_is_written_as_a_formula(name: str) -> None:
    formulas = [f"={name}", f"@{name}"]
    # The cells of a table are written so that every character in them is visible.
    texts = formulas if is_visible(name) else [write_name(text) for text in formulas]
    data = write_xlsx(
        "prod", [HEADINGS, ["a/b", texts[0]], ["a/c", texts[1]]], {}, [("+1", "=2")]
    )
    cells = [
        cell
        for sheet in load_workbook(BytesIO(data))
        for row in sheet.iter_rows()
        for cell in row
    ]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}
    assert {cell.number_format for cell in cells if cell.value is not None} == {"@"}
    with ZipFile(BytesIO(data)) as parts:
        assert not any(b"<f>" in parts.read(part) for part in parts.namelist())
    assert [row[1].text for row in read_xlsx(data).rows] == [
        text.strip() for text in texts
    ]
    with pytest.raises(SheetError, match="row 2, column B"):
        write_csv([HEADINGS, ["a/b", formulas[0]]])


def test_a_cell_that_is_too_long_is_refused_by_name() -> None:
    with pytest.raises(SheetError, match=r"prod!B2: its text has 32,768 characters"):
        write_xlsx("prod", [HEADINGS, ["a/b", "x" * 32_768]], {}, [])
    data = write_xlsx("prod", [HEADINGS, ["a/b", "x" * 32_767]], {}, [])
    assert len(read_xlsx(data).rows[0][1].text) == 32_767


def test_a_workbook_that_unpacks_to_too_much_is_refused() -> None:
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as parts:
        parts.writestr("xl/workbook.xml", b" " * (11 * 1024 * 1024))
    assert len(stream.getvalue()) < 200_000
    with pytest.raises(SheetError, match="10 MiB unpacked"):
        read_xlsx(stream.getvalue())


def _broken_workbooks() -> dict[str, bytes]:
    good = a_workbook("x")
    stream = BytesIO()
    with ZipFile(BytesIO(good)) as parts, ZipFile(stream, "w") as copy:
        for part in parts.namelist():
            content = parts.read(part)
            copy.writestr(
                part,
                content[: len(content) // 2]
                if part.endswith("sheet1.xml")
                else content,
            )
    empty = BytesIO()
    ZipFile(empty, "w").close()
    return {
        "two bytes": b"PK",
        "cut": good[:500],
        "no end": good[:-30],
        "half a sheet": stream.getvalue(),
        "empty": empty.getvalue(),
        "no archive": b"PK\x03\x04" + b"x" * 100,
    }


# By name: a workbook holds the time, and every worker of a run must collect the same tests.
@each_case(
    "name", ["two bytes", "cut", "no end", "half a sheet", "empty", "no archive"]
)
def test_a_broken_workbook_is_a_clear_error(name: str) -> None:
    with pytest.raises(SheetError, match="not a workbook"):
        read_xlsx(_broken_workbooks()[name])


@each_case(
    "data, message",
    [
        (b"", "the table is empty"),
        (b"\xff\xfeR\x00u\x00", "not UTF-8"),
        ("Rule,Queue\na,Caf\xe9".encode("latin-1"), "not UTF-8"),
        (b'Rule,Queue\na,"b', "line 2: the CSV text is not valid"),
        (b"Rule,Queue\na,b,c\n", "row 2, column C: there is no heading above it"),
        (
            f'My rules\nRule,"{ORIGIN}"\na/b,x\n'.encode(),
            "1 cell refused\n  row 2, column B: the headings must be in the first row",
        ),
        (b"," * 300, "at most"),
    ],
)
def test_an_invalid_csv_is_a_clear_error(data: bytes, message: str) -> None:
    with pytest.raises(SheetError, match=message):
        read_csv(data)


def test_a_line_about_the_separator_is_passed_over() -> None:
    sheet = read_csv(b"sep=;\r\nRule;Queue\r\na/b;Cards 50, in short\r\n")
    assert [cell.text for cell in sheet.rows[0]] == ["a/b", "Cards 50, in short"]
    assert sheet.rows[0][1].name == "row 3, column B"


def test_columns_have_letters() -> None:
    assert [column_letters(at) for at in (0, 25, 26, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t.xlsx", "t.csv"])
def test_libreoffice_keeps_every_cell(name: str, tmp_path: Path) -> None:
    texts = [
        '"=1+1"',
        '"007"',
        "5",
        "-5",
        "0.7",
        '"1-2"',
        '"Mar 1"',
        '"true"',
        "card_arrival; de-AT",
        ">= 0.6 and < 0.9",
        "ü and ß",
    ]
    rows = [
        ["Rule", *(f"c{number}" for number in range(len(texts)))],
        ["a/b", *texts],
        ["a/c", *texts[::-1]],
    ]
    path = tmp_path / name
    if name == "t.csv":
        path.write_text("\ufeff" + write_csv(rows), encoding="utf-8")
        # Comma, quotes as needed, UTF-8: as it is saved from the program's dialog.
        saved = saved_by_libreoffice(path, "csv:Text - txt - csv (StarCalc):44,34,76")
        sheet = read_csv(saved.read_bytes())
    else:
        path.write_bytes(write_xlsx("prod", rows, {1: ["x"]}, [("x", "y")]))
        sheet = read_xlsx(saved_by_libreoffice(path, "xlsx").read_bytes())
    assert [[cell.text for cell in row] for row in sheet.rows] == rows[1:]


def _with_part(name: str, old: bytes, new: bytes, workbook: bytes = b"") -> bytes:
    stream = BytesIO()
    with (
        ZipFile(BytesIO(workbook or a_workbook("x"))) as parts,
        ZipFile(stream, "w", ZIP_DEFLATED) as copy,
    ):
        for part in parts.namelist():
            content = parts.read(part)
            copy.writestr(part, content.replace(old, new) if part == name else content)
    return stream.getvalue()


def test_links_of_all_cells_cost_nothing() -> None:
    links = b'</sheetData><hyperlinks><hyperlink ref="A1:XFD1048576" location="x"/></hyperlinks>'
    data = _with_part("xl/worksheets/sheet1.xml", b"</sheetData>", links)
    assert read_xlsx(data).rows[0][1].text == "x"


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_merged_cells_are_refused_by_name(prefix: str) -> None:
    """All but the first of them have lost their text: a condition would be removed."""
    merged = f'<{prefix}mergeCells count="1"><{prefix}mergeCell ref="B2:B3"/></{prefix}mergeCells>'
    data = _with_part(
        "xl/worksheets/sheet1.xml", b"</sheetData>", f"</sheetData>{merged}".encode()
    )
    with pytest.raises(SheetError, match="prod!B2:B3: these cells are merged"):
        read_xlsx(data)


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "merged cells without an end": lambda size: (
        b"</sheetData><!--" + b"<mergeCell " * size + b"-->"
    ),
    "merged cells": lambda size: (
        b'</sheetData><mergeCells><mergeCell ref="' + b"A" * size + b'"/></mergeCells>'
    ),
    "headers of pages": lambda size: (
        b"</sheetData><headerFooter><oddHeader>"
        + b"&amp;L&amp;C&amp;R" * size
        + b"</oddHeader></headerFooter>"
    ),
    "spaces": lambda size: (
        b'<row r="9"><c t="inlineStr"><is><t>a'
        + b" " * size
        + b"b</t></is></c></row></sheetData>"
    ),
    "opening brackets": lambda size: b"</sheetData><!--" + b"[" * size + b"-->",
    "attributes": lambda size: (
        b"</sheetData><x "
        + b" ".join(b'a%d="b"' % number for number in range(size))
        + b"/>"
    ),
    "levels": lambda size: b"</sheetData>" + b"<x>" * size + b"</x>" * size,
    "cells": lambda size: (
        b'<row r="9">'
        + b'<c t="inlineStr"><is><t></t></is></c>' * size
        + b"</row></sheetData>"
    ),
    "rows": lambda size: (
        b"".join(b'<row r="%d"/>' % number for number in range(9, 9 + size))
        + b"</sheetData>"
    ),
}


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_of_a_workbook_grows_with_its_size(kind: str) -> None:
    """Eight times the size takes about eight times the time of the processor, not 64 times."""

    def cost(size: int) -> float:
        data = _with_part(
            "xl/worksheets/sheet1.xml", b"</sheetData>", HOSTILE[kind](size)
        )
        runs = []
        for _ in range(3):
            start = process_time()
            with suppress(SheetError):
                read_xlsx(data)
            runs.append(process_time() - start)
        return min(runs)

    assert cost(8 * 2_000) < 24 * cost(2_000) + 0.05


LONG_FORMAT = (
    b'<numFmts><numFmt numFmtId="170" formatCode="'
    + b"[" * 256
    + b'"/></numFmts><fonts'
)
LONG_FOOTER = (
    b"</sheetData><headerFooter><oddFooter>"
    + b"&amp;L" * 128
    + b"</oddFooter></headerFooter>"
)


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/styles.xml", b"<fonts", LONG_FORMAT),
        ("xl/worksheets/sheet1.xml", b"</sheetData>", LONG_FOOTER),
    ],
)
def test_a_part_that_is_slow_to_read_is_refused(
    part: str, old: bytes, new: bytes
) -> None:
    """The library takes the square of its length; programs for spreadsheets write at most 255
    characters there.
    """
    assert read_xlsx(
        _with_part(part, old, new.replace(b"[[", b"").replace(b"&amp;L" * 2, b"&amp;L"))
    )
    with pytest.raises(SheetError, match="not a workbook"):
        read_xlsx(_with_part(part, old, new))


@pytest.mark.parametrize("number", [1, 2])
def test_rows_that_are_not_in_order_are_refused(number: int) -> None:
    """The library leaves such a row out, and its rule would count as removed."""
    row = f'<row r="{number}"><c r="A{number}" t="str"><v>cards/help</v></c></row></sheetData>'
    with pytest.raises(SheetError, match="not a workbook"):
        read_xlsx(_with_part("xl/worksheets/sheet1.xml", b"</sheetData>", row.encode()))


def test_a_document_type_is_refused() -> None:
    """Its entities could make a small file large."""
    entities = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet'
    )
    data = _with_part("xl/worksheets/sheet1.xml", b"<worksheet", entities)
    with pytest.raises(SheetError, match="not a workbook"):
        read_xlsx(data)


@each_case(
    "cell, text",
    [
        (b'<c r="B3" t="n"><v>0.6</v></c>', "0.6"),
        (b'<c r="B3"><v>10</v></c>', "10"),
        (b'<c r="B3"><v>1.0</v></c>', "1"),
        (b'<c r="B3"><v>1E-3</v></c>', "0.001"),
        (b'<c r="B3" t="b"><v>1</v></c>', "true"),
        (b'<c r="B3" t="str"><v> a </v></c>', "a"),
        (
            b'<c r="B3" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r><rPh sb="0" eb="1"><t>c</t></rPh></is></c>',
            "ab",
        ),
        (b"<c><v>7</v></c>", "7"),
        (b'<c r="B3"/>', ""),
    ],
)
def test_the_kinds_of_cells(cell: bytes, text: str) -> None:
    row = (
        b'<row r="3"><c r="A3" t="inlineStr"><is><t>a/c</t></is></c>'
        + cell
        + b"</row></sheetData>"
    )
    data = _with_part("xl/worksheets/sheet1.xml", b"</sheetData>", row)
    assert read_xlsx(data).rows[1][1].text == text


def test_cells_that_have_only_a_format_are_passed_over() -> None:
    row = b'<row r="3"><c r="A3" t="inlineStr"><is><t>a/c</t></is></c><c r="XFD3" s="0"/></row></sheetData>'
    data = _with_part("xl/worksheets/sheet1.xml", b"</sheetData>", row)
    assert [cell.text for cell in read_xlsx(data).rows[1]] == ["a/c", ""]


@pytest.mark.parametrize("ref", [b"A1", b"A1:A1", b"A1:B2"])
def test_wrong_dimensions_of_a_sheet_leave_no_cell_out(ref: bytes) -> None:
    row = (
        b'<row r="3"><c r="A3" t="inlineStr"><is><t>a/c</t></is></c></row></sheetData>'
    )
    data = _with_part("xl/worksheets/sheet1.xml", b"</sheetData>", row)
    data = _with_part(
        "xl/worksheets/sheet1.xml", b'ref="A1:B2"', b'ref="' + ref + b'"', data
    )
    assert [cells[0].text for cells in read_xlsx(data).rows] == ["a/b", "a/c"]


@pytest.mark.parametrize("blank", [0, 3])
def test_the_sheet_with_the_heading_of_a_table_is_read(blank: int) -> None:
    book = Workbook()
    notes: Any = book.active
    notes.append(["What I changed"])
    sheet: Any = book.create_sheet("mine")
    for _ in range(blank):
        sheet.append([None])
    sheet.append(["Rule", "Queue", ORIGIN])
    sheet.append(["a/b", "Cards", "a.yaml line 1"])
    stream = BytesIO()
    book.save(stream)
    assert read_xlsx(stream.getvalue()).rows[0][1] == ("Cards", f"mine!B{blank + 2}")


def test_a_workbook_with_a_copy_of_the_table_is_refused() -> None:
    """The edits may be in either sheet."""
    book = Workbook()
    sheet: Any = book.active
    sheet.append(["Rule", "Queue", ORIGIN])
    book.copy_worksheet(sheet).title = "mine"
    stream = BytesIO()
    book.save(stream)
    with pytest.raises(SheetError, match='"mine" is a second sheet with a table'):
        read_xlsx(stream.getvalue())


def test_a_title_cannot_write_lines_into_a_message() -> None:
    data = _with_part(
        "xl/workbook.xml",
        b'name="prod"',
        b'name="prod&#10;No conversation goes elsewhere&#x9b;31m"',
    )
    assert read_xlsx(data).headings[0].name.isprintable()


@pytest.mark.parametrize("text", ["_x0041_b", "x0041_", "a _x000D_"])
def test_a_text_that_the_format_changes_is_kept(text: str) -> None:
    """The format writes a character as _x0041_; programs would read that character instead."""
    data = write_xlsx("prod", [HEADINGS, ["a/b", write_name(text)]], {}, [])
    (row,) = read_xlsx(data).rows
    assert [queue.name for queue in read_queues(row[1].text)] == [text]


@pytest.mark.parametrize("title", ["Lists", "lists", "How to edit"])
def test_an_environment_may_have_the_name_of_another_sheet(title: str) -> None:
    book = load_workbook(
        BytesIO(write_xlsx(title, [HEADINGS, ["a/b", "x"]], {1: ["x"]}, [("a", "b")]))
    )
    assert [sheet.sheet_state for sheet in book.worksheets] == [
        "visible",
        "visible",
        "hidden",
    ]
    assert (
        book.worksheets[0]
        .data_validations.dataValidation[0]
        .formula1.startswith(book.worksheets[2].title)
    )
