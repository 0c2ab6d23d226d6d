"""The log of a server on stderr: whole lines beside those of other processes, and no wait for a slow reader."""

from __future__ import annotations

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
from functools import partial
from typing import Final, TextIO

from reconciler.text.redact import REDACTOR

Put = Callable[[bytes], int]
"""Writes some bytes, and says how many. Raises BlockingIOError where there is no room, and other OSErrors."""

_PIECE: Final = getattr(select, "PIPE_BUF", 4096)
"""Bytes that several processes can write to one pipe without mixing them."""
_MOST: Final = 5000  # lines that wait for room, some 1 MB; those that come then are counted, and lost
_AGAIN: Final = 0.02  # seconds until it is looked again whether there is room
_LAST: Final = 1.0  # seconds for what is left in the end


class Log:
    """Writes the lines of one turn of the loop together: a system call for all of them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[bytes] = []
        """What is to be written before the lines: there was no room for it."""
        self._lost = 0
        self._is_due = False
        self._stream: TextIO | None = None
        self._put: Put = len

    def __call__(self, line: str) -> None:
        """Write one line; without a running loop, at once."""
        if len(self._lines) >= _MOST:
            self._lost += 1
            return
        self._lines.append(line)
        if not self._is_due:
            self._come_again(0)

    def close(self) -> None:
        """Write what is left, and wait a moment for room."""
        end = time.monotonic() + _LAST
        while not self._written() and time.monotonic() < end:
            time.sleep(_AGAIN)

    def _come_again(self, seconds: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._written()
            return
        self._is_due = True
        if seconds:
            loop.call_later(seconds, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        if not self._written():
            self._come_again(_AGAIN)

    def _written(self) -> bool:
        """Write what there is room for; say whether that was all. What can never be written is lost, and counted."""
        while self._pieces or self._lines:
            if not self._pieces:
                lines, self._lines = self._lines, []
                self._pieces = _pieces(REDACTOR.redact("\n".join(lines)))
            try:
                put = self._way()(self._pieces[0])
            except BlockingIOError:
                return False
            except OSError:
                put = len(self._pieces[0])
                self._lost += self._pieces[0].count(b"\n")
            rest = self._pieces[0][put:]
            self._pieces[:1] = [rest] if rest else []
        if self._lost:
            with contextlib.suppress(OSError):
                self._way()(json.dumps({"event": "log", "lost": self._lost}).encode() + b"\n")
                self._lost = 0
        return True

    def _way(self) -> Put:
        if self._stream is not sys.stderr:
            self._stream, self._put = sys.stderr, _way_to(sys.stderr)
        return self._put


def _pieces(text: str) -> list[bytes]:
    coded = f"{text}\n".encode("utf-8", "backslashreplace")
    if len(coded) <= _PIECE:
        return [coded]
    pieces = [b""]
    for line in coded.splitlines(keepends=True):
        if len(pieces[-1]) + len(line) > _PIECE:
            pieces.append(b"")
        pieces[-1] += line
    return [piece for piece in pieces if piece]


def _way_to(stream: TextIO) -> Put:
    """Return a function that writes to a stream without waiting; a pipe is reopened, so its other users keep it."""
    try:
        number = stream.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError):  # none that the system knows
        return partial(_said, stream)
    if stat.S_ISSOCK(mode):
        return partial(_sent, number)
    if stat.S_ISFIFO(mode):
        with contextlib.suppress(OSError):
            return partial(os.write, os.open(f"/proc/self/fd/{number}", os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)))
    return partial(os.write, number)


def _sent(number: int, piece: bytes) -> int:
    own = socket.socket(fileno=number)
    try:
        return own.send(piece, socket.MSG_DONTWAIT)
    finally:
        own.detach()


def _said(stream: TextIO, piece: bytes) -> int:
    stream.write(piece.decode())
    stream.flush()
    return len(piece)


log: Final = Log()  # Of this process
