"""Positions of editors (lines, and units of an encoding) <-> character indexes."""

from bisect import bisect_right
from functools import cached_property

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.workspace import PositionCodec


class PositionedText:
    """A text, with the editor's positions of its characters.

    Only line feeds end lines, as in findings.
    """

    def __init__(self, text: str, codec: PositionCodec) -> None:
        self.text = text
        self._codec = codec

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts[:-1]

    def index(self, position: lsp.Position) -> int:
        """Return the index of a position; behind the end of a line, that end.

        Raises JsonRpcInvalidParams.
        """
        if position.line >= len(self._starts):
            message = (
                f"line {position.line + 1} is behind the end of the text, which has "
                f"{len(self._starts)} lines"
            )
            raise JsonRpcInvalidParams(message)
        start = self._starts[position.line]
        line = self._line(position.line)
        units = min(position.character, self._codec.client_num_units(line))
        in_line = self._codec.position_from_client_units([line], lsp.Position(0, units))
        return start + in_line.character

    def range(self, start: int, end: int) -> lsp.Range:
        """Return the range of characters."""
        return lsp.Range(self._position(start), self._position(end))

    def index_of(self, line: int, column: int) -> int:
        """Return the index of a line and column from 1."""
        number = min(line, len(self._starts)) - 1
        return self._starts[number] + column - 1

    def _position(self, index: int) -> lsp.Position:
        index = min(index, len(self.text))
        line = bisect_right(self._starts, index) - 1
        start = self._starts[line]
        before = self.text[start:index]
        units = self._codec.client_num_units(before)
        return lsp.Position(line, units)

    def _line(self, number: int) -> str:
        """Return a line without its end."""
        end = self.text.find("\n", self._starts[number])
        return self.text[
            self._starts[number] : end if end >= 0 else len(self.text)
        ].removesuffix("\r")
