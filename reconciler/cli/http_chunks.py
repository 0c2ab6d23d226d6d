"""The check of chunked bodies, beside the parser (invariants W7)."""

import re
from typing import Final

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_UNFINISHED: Final = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class ChunkChecker:
    """Checks one chunked body piece by piece: the parser silently skips chunk extensions."""

    def __init__(self) -> None:
        self._partial_line = b""
        # Bytes of the chunk still to come, including the end of its line.
        self._remaining = 0
        self._is_over = False

    def check(self, data: bytes) -> bool:
        """Return whether each chunk's size is alone on its line so far.

        Data after the last chunk is not read.
        """
        data = self._partial_line + data
        self._partial_line = b""
        at = 0
        while at < len(data) and not self._is_over:
            if self._remaining:
                step = min(self._remaining, len(data) - at)
                self._remaining -= step
                at += step
                continue
            size_line = _SIZE.match(data, at)
            if not size_line:
                self._partial_line = data[at : at + 10]
                return _UNFINISHED.fullmatch(self._partial_line) is not None
            size = int(size_line[1], 16)
            self._remaining = size + len(b"\r\n")
            self._is_over = size == 0
            at = size_line.end()
        return True
