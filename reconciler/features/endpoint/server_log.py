"""The log of a server on stderr: it never splits a line and never waits for a slow reader."""

import asyncio
import contextlib
import json
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, TextIO

from reconciler.core.text.redact import REDACTOR

Write = Callable[[bytes], int]
"""Writes bytes, and returns how many it wrote.

Raises BlockingIOError if the stream is full, and other OSErrors.
"""

# bytes that a process writes to a pipe atomically
_PIECE: Final = getattr(select, "PIPE_BUF", 4096)
# lines that wait for a full stream, about 1 MB; further lines are counted and lost
_MAX_LINES: Final = 5000
_RETRY_SECONDS: Final = 0.02  # until the next attempt to write to a full stream
_CLOSE_SECONDS: Final = 1.0  # for the remaining lines, when the log is closed


class Log:
    """Writes the lines of one turn of the event loop together, with one system call."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[bytes] = []  # written before the lines: the stream was full
        self._lost = 0
        self._is_due = False

    def __call__(self, line: str) -> None:
        """Write one line; without a running event loop, immediately."""
        if len(self._lines) >= _MAX_LINES:
            self._lost += 1
            return
        self._lines.append(line)
        if not self._is_due:
            self._schedule(0)

    def close(self) -> None:
        """Write the remaining lines; wait up to a second for a full stream."""
        end = time.monotonic() + _CLOSE_SECONDS
        while not self._flush() and time.monotonic() < end:
            time.sleep(_RETRY_SECONDS)

    def _schedule(self, seconds: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
            return
        self._is_due = True
        if seconds:
            loop.call_later(seconds, self._flush_or_retry)
        else:
            loop.call_soon(self._flush_or_retry)

    def _flush_or_retry(self) -> None:
        self._is_due = False
        if not self._flush():
            self._schedule(_RETRY_SECONDS)

    def _flush(self) -> bool:
        """Write until the stream is full; return whether all was written.

        After another error, lines are lost.
        """
        while self._pieces or self._lines:
            if not self._pieces:
                lines = self._lines
                self._lines = []
                self._pieces = _split(REDACTOR.redact("\n".join(lines)))
            try:
                count = _writer_to(sys.stderr)(self._pieces[0])
            except BlockingIOError:
                return False
            except OSError:
                count = len(self._pieces[0])
                self._lost += self._pieces[0].count(b"\n")
            rest = self._pieces[0][count:]
            self._pieces[:1] = [rest] if rest else []
        if self._lost:
            event = json.dumps({"event": "log", "lost": self._lost})
            with contextlib.suppress(OSError):
                _writer_to(sys.stderr)(f"{event}\n".encode())
                self._lost = 0
        return True


def _split(text: str) -> list[bytes]:
    pieces = [b""]
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    for line in data.splitlines(keepends=True):
        if len(pieces[-1]) + len(line) > _PIECE:
            pieces.append(b"")
        pieces[-1] += line
    return [piece for piece in pieces if piece]


@lru_cache(maxsize=1)  # a pipe is reopened only once
def _writer_to(stream: TextIO) -> Write:
    """Return a function that writes to a stream without waiting.

    A pipe is reopened, for its other users.
    """
    try:
        number = stream.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError):  # not a file of the operating system
        return partial(_write_text, stream)
    if stat.S_ISSOCK(mode):
        return partial(_send, number)
    if stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):
            return partial(
                os.write,
                os.open(
                    f"/proc/self/fd/{number}",
                    os.O_WRONLY | getattr(os, "O_NONBLOCK", 0),
                ),
            )
    return partial(os.write, number)


def _send(number: int, piece: bytes) -> int:
    stream = socket.socket(fileno=number)
    try:
        return stream.send(piece, socket.MSG_DONTWAIT)
    finally:
        stream.detach()


def _write_text(stream: TextIO, piece: bytes) -> int:
    stream.write(piece.decode())
    stream.flush()
    return len(piece)


log: Final = Log()  # the log of this process
