"""The cells of a workbook (XLSX), read in one pass over each part: the time grows with the size of the file alone."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, NamedTuple, TypeVar
from xml.parsers import expat
from zipfile import ZipFile

from reconciler.model.rule import integral_floats_as_ints
from reconciler.text.files import MIB

MAX_UNPACKED: Final = 20 * MIB
"""Bytes of all parts of a workbook."""
_MAX_PARTS: Final = 1_000
_MAX_DEPTH: Final = 100  # levels of elements in a part: programs write fewer than 20
_MAX_ROWS: Final = 100_000
_MAX_COLUMNS: Final = 16_384
_EXACT: Final = 10**15  # programs for spreadsheets keep 15 digits of a number
_BUILT_IN_DATES: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_DATE_LETTERS: Final = frozenset("dmyhsDMYHS")

_FORMULA: Final = "a formula; write its result as text"
_ERROR: Final = "an error value"
_DATE: Final = 'a date or time, into which the program changed a text: write it in quotes, such as "1-2"'
_ROUNDED: Final = "a number of more than 15 digits, which the program rounds: write it as text"
_PROBLEMS: Final = {"e": _ERROR, "d": _DATE}
_TEXTS: Final = frozenset({"s", "b", "str", "inlineStr"})


class WorkbookError(Exception):
    """A file that is not a workbook as specified."""


class TooLargeError(WorkbookError):
    """A workbook with more bytes, parts or rows than cxroute reads. The message names the limit."""


class WorkbookCell(NamedTuple):
    """A cell's text, and why cxroute must not read it; empty if it may."""

    text: str
    problem: str = ""


@dataclass(slots=True)
class Worksheet:
    """A sheet: its cells that are not empty, by row and column from 0, and its merged cells."""

    title: str
    rows: dict[int, dict[int, WorkbookCell]] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)


Attributes = Mapping[str, str]


def read_worksheets(data: bytes) -> list[Worksheet]:
    """Return the sheets of a workbook. Raises WorkbookError, and the errors of an archive."""
    with ZipFile(BytesIO(data)) as archive:
        infos = archive.infolist()
        if len(infos) > _MAX_PARTS:
            raise TooLargeError(f"more than {_MAX_PARTS:,} parts")
        if sum(part.file_size for part in infos) > MAX_UNPACKED:
            raise TooLargeError(f"more than {MAX_UNPACKED // MIB} MiB unpacked")
        return _WorkbookReader(archive).read()


class _Relation(NamedTuple):
    kind: str
    target: str


class _WorkbookReader:
    def __init__(self, archive: ZipFile) -> None:
        self.archive = archive
        self.names = frozenset(archive.namelist())

    def read(self) -> list[Worksheet]:
        root = self._relations("")
        book = next((each.target for each in root.values() if each.kind == "officeDocument"), "")
        relations = self._relations(book)
        texts = self._part_of(relations, "sharedStrings", _SharedTexts()).texts
        dates = self._part_of(relations, "styles", _Styles()).dates()
        sheets = dict[str, Worksheet]()  # by part: one part may be named several times
        for title, relation in _parse(self._read_part(book), _Sheets()).sheets:
            related = relations.get(relation, _Relation("", ""))
            if related.kind == "worksheet" and related.target not in sheets:
                parsed = _parse(self._read_part(related.target), _Cells(texts, dates))
                sheets[related.target] = Worksheet(title, parsed.rows, parsed.merged)
        return [*sheets.values()]

    def _read_part(self, name: str) -> bytes:
        if name not in self.names:
            raise WorkbookError(name)
        return self.archive.read(name)

    def _relations(self, part: str) -> dict[str, _Relation]:
        """Return the relations of a part by id, with the names of the parts that they name."""
        folder, name = posixpath.split(part)
        found = _parse(self._read_part(posixpath.join(folder, "_rels", f"{name}.rels")), _Relations()).found
        return {
            key: _Relation(kind.rpartition("/")[2], posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/"))
            for key, (kind, target) in found.items()
        }

    def _part_of(self, relations: Mapping[str, _Relation], kind: str, handler: "HandlerT") -> "HandlerT":
        """Return the handler after the part of a kind, which a workbook may not have."""
        target = next((each.target for each in relations.values() if each.kind == kind), "")
        return _parse(self._read_part(target), handler) if target else handler


class _Handler:
    """Receives the elements of a part, without the prefixes of their names."""

    def start(self, name: str, attributes: Attributes) -> None:
        """Receive the start of an element."""

    def end(self, name: str) -> None:
        """Receive the end of an element."""

    def text(self, text: str) -> None:
        """Receive a part of the text in the element."""


HandlerT = TypeVar("HandlerT", bound=_Handler)


def _parse(data: bytes, handler: HandlerT) -> HandlerT:
    """Return the handler after all elements of a part. Raises WorkbookError."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise WorkbookError("a part has too many levels of elements")
        handler.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(name))

    def refuse(*_: object) -> None:
        raise WorkbookError("a part has a document type")

    parser.StartDoctypeDeclHandler = refuse  # which can define entities
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    try:
        parser.Parse(data, True)  # noqa: FBT003 - the only part
    except expat.ExpatError as error:
        raise WorkbookError("a part is not XML") from error
    return handler


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Relations(_Handler):
    def __init__(self) -> None:
        self.found = dict[str, tuple[str, str]]()

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "Relationship":
            self.found[attributes.get("Id", "")] = (attributes.get("Type", ""), attributes.get("Target", ""))


class _Sheets(_Handler):
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "sheet":
            self.sheets.append((attributes.get("name", ""), attributes.get("id", "")))


class _SharedTexts(_Handler):
    """Texts, without the readings of East Asian characters (`rPh`)."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._is_text = False
        self._readings = 0

    def start(self, name: str, attributes: Attributes) -> None:
        del attributes
        self._readings += name == "rPh"
        self._is_text = name == "t" and not self._readings
        if name == "si":
            self._parts = []

    def end(self, name: str) -> None:
        self._readings -= name == "rPh"
        self._is_text = False
        if name == "si":
            self.texts.append("".join(self._parts).strip())

    def text(self, text: str) -> None:
        if self._is_text:
            self._parts.append(text)


class _Styles(_Handler):
    def __init__(self) -> None:
        self._formats = dict[str, str]()
        self._used: list[str] = []
        self._is_in_cells = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            self._formats[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._is_in_cells = True
        elif name == "xf" and self._is_in_cells:
            self._used.append(attributes.get("numFmtId", "0"))

    def end(self, name: str) -> None:
        self._is_in_cells = self._is_in_cells and name != "cellXfs"

    def dates(self) -> list[bool]:
        """Return for each style of a cell whether it shows a number as a date or time."""
        of_format = {number: _is_date_format(code) for number, code in self._formats.items()}
        built_in = {str(number): True for number in _BUILT_IN_DATES}
        is_date = built_in | of_format
        return [is_date.get(number, False) for number in self._used]


def _is_date_format(code: str) -> bool:
    """Return whether a format shows dates: it has their letters outside of quotes and of brackets without a time."""
    bracket, is_quoted, position = -1, False, 0
    while position < len(code):
        sign = code[position]
        if is_quoted:
            is_quoted = sign != '"'
        elif sign == '"':
            is_quoted = True
        elif sign in "\\_*":
            position += 1
        elif bracket < 0 and sign == "[":
            bracket = position
        elif bracket >= 0:
            if sign == "]":
                if code[bracket + 1 : position].lower() in {"h", "hh", "m", "mm", "s", "ss"}:
                    return True
                bracket = -1
        elif sign in _DATE_LETTERS:
            return True
        position += 1
    return False


class _Cells(_Handler):
    """The cells of a sheet."""

    def __init__(self, texts: list[str], dates: list[bool]) -> None:
        self.rows = dict[int, dict[int, WorkbookCell]]()
        self.merged: list[str] = []
        self._texts, self._dates = texts, dates
        self._row, self._column = -1, -1
        self._cell: Attributes = {}
        self._parts = dict[str, list[str]]()
        self._element = ""
        self._readings = 0

    def start(self, name: str, attributes: Attributes) -> None:
        self._element = ""
        if name == "row":
            self._start_row(attributes.get("r"))
        elif name == "c":
            self._start_cell(attributes)
        elif name in ("v", "t", "f"):
            self._element = name
            self._parts.setdefault(name, [])
        elif name == "rPh":
            self._readings += 1
        elif name == "mergeCell":
            self.merged.append(attributes.get("ref", ""))

    def end(self, name: str) -> None:
        self._element = ""
        if name == "rPh":
            self._readings -= 1
        elif name == "c":
            cell = self._read_cell()
            if cell.text or cell.problem:
                self.rows.setdefault(self._row, {})[self._column] = cell

    def text(self, text: str) -> None:
        if self._element and not self._readings:
            self._parts[self._element].append(text)

    def _start_row(self, number: str | None) -> None:
        row = int(number) - 1 if number else self._row + 1
        if row >= _MAX_ROWS:
            raise TooLargeError(f"more than {_MAX_ROWS:,} rows")
        if row <= self._row:
            raise WorkbookError("the rows are not in order")
        self._row, self._column = row, -1

    def _start_cell(self, attributes: Attributes) -> None:
        letters = attributes.get("r", "").rstrip("0123456789")
        self._column = _column_number(letters) if letters else self._column + 1
        self._cell = attributes
        self._parts = {}

    def _read_cell(self) -> WorkbookCell:
        """Return a cell's text; what is not text is read only where no program can have changed it."""
        kind, value = self._cell.get("t", "n"), "".join(self._parts.get("v", ()))
        problem = _FORMULA if "f" in self._parts else _PROBLEMS.get(kind, "")
        if problem:
            return WorkbookCell("", problem)
        if kind in _TEXTS:
            return WorkbookCell(self._read_text(kind, value))
        return self._read_number(value.strip())

    def _read_text(self, kind: str, value: str) -> str:
        if kind == "s":
            return self._texts[int(value)] if value else ""
        if kind == "b":
            return {"1": "true", "0": "false"}.get(value, "")
        return "".join(self._parts.get("t", ()) if kind == "inlineStr" else value).strip()

    def _read_number(self, value: str) -> WorkbookCell:
        if not value:
            return WorkbookCell("")
        style = int(self._cell.get("s", "0"))
        if style < len(self._dates) and self._dates[style]:
            return WorkbookCell("", _DATE)
        number = float(value)
        if not abs(number) < _EXACT:
            return WorkbookCell("", _ROUNDED)
        return WorkbookCell(repr(integral_floats_as_ints(number)))


def _column_number(letters: str) -> int:
    """Return the number of a column from 0: that of `A` is 0, that of `AA` is 26."""
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if len(letters) > 3 or not 0 < number <= _MAX_COLUMNS:  # noqa: PLR2004 - the letters of the last column, XFD
        raise WorkbookError("a cell has no column")
    return number - 1
