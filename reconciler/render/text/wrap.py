"""Wrapping of lines for a terminal, with a hanging indent.

Commands, paths and names are never broken.

Two or more spaces separate cells. A line is broken before a cell, and a cell only if it is longer
than a line.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
_INDENT_IN_STYLE: Final = re.compile(r"^(\x1b\[[0-9;]*m)( +)")
_RESET: Final = "\x1b[0m"
_UNIT: Final = re.compile(
    r"(?P<gap> *)(?P<text>"
    # a command, to the end of the line or of the cell
    r"(?:(?<=: )|(?<=  )|^)cxroute [-a-z].*?(?=   |$)"
    r"|[^\s`]*`[^`]*`[^\s`]*"  # a command, path or name in a sentence
    r"|[^ ]+)"
)
_CELL_GAP: Final = 2  # spaces between two cells


class _Unit(NamedTuple):
    """A part that is not broken: a word, a command or a text in backticks, after `gap` spaces."""

    gap: int
    text: str
    width: int


def columns(text: str) -> int:
    """Return the number of terminal columns of the text: two for a wide character, none for styles
    and accents.
    """
    visible = _STYLE.sub("", text) if "\x1b" in text else text
    if visible.isascii():
        return len(visible)
    spacing = (
        character
        for character in visible
        if unicodedata.category(character) not in ("Mn", "Me", "Cf")
    )
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in spacing
    )


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return each row as a line; every cell is padded to the longest text of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def wrap_text(text: str, width: int) -> str:
    """Return the text with each line wrapped to the width."""
    return "\n".join(
        wrap_line(line, width) if columns(line) > width else line
        for line in text.split("\n")
    )


def wrap_line(line: str, width: int, indent: int | None = None) -> str:
    """Return one line as several lines, further ones at `indent`; a line that starts with `$ ` is
    not changed.
    """
    units = list(_units(_INDENT_IN_STYLE.sub(r"\2\1", line)))
    if not units or _STYLE.sub("", line).lstrip().startswith("$ "):
        return line
    wrapped = _LineBuffer(
        width, _hanging_indent(units, width) if indent is None else indent
    )
    for index, unit in enumerate(units):
        wrapped.add(
            unit, unit.width if unit.gap < _CELL_GAP else _cell_width(units[index:])
        )
    return "\n".join([*wrapped.lines, wrapped.line]) + line[len(line.rstrip(" ")) :]


def _units(line: str) -> Iterator[_Unit]:
    words = line.lstrip(" ")
    indent = len(line) - len(words)
    for match in _UNIT.finditer(words.rstrip(" ")):
        gap = indent if match.start() == 0 else len(match["gap"])
        text = match["text"]
        yield _Unit(gap, text, columns(text))


def _cell_width(units: Sequence[_Unit]) -> int:
    width = units[0].width
    for unit in units[1:]:
        if unit.gap >= _CELL_GAP:
            return width + unit.gap - _CELL_GAP
        width += unit.gap + unit.width
    return width


def _hanging_indent(units: Sequence[_Unit], width: int) -> int:
    indent = units[0].gap + 2
    column = 0
    for index, unit in enumerate(units):
        column += unit.gap
        if index and unit.gap >= _CELL_GAP and column <= width // 2:
            indent = column
        column += unit.width
    return min(indent, width // 2)


class _LineBuffer:
    def __init__(self, width: int, indent: int) -> None:
        self._width = width
        self._indent = indent
        self.lines: list[str] = []
        self.line = ""
        self._column = 0

    def add(self, unit: _Unit, cell: int) -> None:
        """Add a unit, on a new line if its cell does not fit and has more room there."""
        begins = self._column + unit.gap
        if self.line and begins > self._indent and begins + cell > self._width:
            self._break()
        else:
            self.line += " " * unit.gap
            self._column = begins
        # A path, URL or command is not broken, even if it is longer than a line.
        is_whole = any(mark in unit.text for mark in ("/", "\\", "`", "cxroute "))
        is_broken = not is_whole and self._column + unit.width > self._width
        for part in (
            re.findall(r"\x1b\[[0-9;]*m|.", unit.text) if is_broken else [unit.text]
        ):
            width = columns(part)
            if is_broken and self._column + width > self._width:
                self._break()
            self.line += part
            self._column += width

    def _break(self) -> None:
        styles = _STYLE.findall(self.line)
        indent = " " * self._indent
        if styles and styles[-1] != _RESET:
            self.lines.append(self.line + _RESET)
            self.line = indent + styles[-1]
        else:
            self.lines.append(self.line)
            self.line = indent
        self._column = self._indent
