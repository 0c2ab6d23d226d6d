"""A transport on which what is written in one turn of the loop goes out at once: an answer's head and body together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Joined:
    """Writes once a turn: a system call costs a tenth of a request. Everything else is the transport's own."""

    def __init__(self, below: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._below, self._loop = below, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write soon."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Close behind what was written."""
        self._flush()
        self._below.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._below, name)

    def _flush(self) -> None:
        if self._parts:
            self._below.write(b"".join(self._parts))
            self._parts.clear()
