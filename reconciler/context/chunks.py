"""How a chunked body is cut, read beside the parser: that one passes over extensions and says nothing of them (W7)."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_UNFINISHED: Final = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class Chunks:
    """Follows one chunked body through the pieces in which it comes."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        """Bytes to come of the chunk, the end of its line among them."""
        self._is_over = False

    def follow(self, data: bytes) -> bool:
        """Say whether each chunk's size stands alone on its line, so far. What comes behind the last is not read."""
        data, self._line, at = self._line + data, b"", 0
        while at < len(data) and not self._is_over:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left, at = self._left - step, at + step
            elif size := _SIZE.match(data, at):
                self._left, at = int(size[1], 16) + len(b"\r\n"), size.end()
                self._is_over = int(size[1], 16) == 0
            else:
                self._line = data[at : at + 10]
                return _UNFINISHED.fullmatch(self._line) is not None
        return True
