"""The program on terminals of a given width: one for its results, one for its other messages."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator
from typing import NamedTuple, TextIO
from unittest.mock import patch

from reconciler.cli.main import main

STYLE = re.compile(r"\x1b\[[0-9;]*m")


class TerminalOutput(NamedTuple):
    """The exit code of a command, and the content of the two terminals, including styles."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Return the lines of the results without styles."""
        return STYLE.sub("", self.out).splitlines()


def run_on_terminal(width: int, *arguments: str, **variables: str) -> TerminalOutput:
    """Run a command in this process, with stdout and stderr on real terminals, to its end."""
    out: list[bytes] = []
    err: list[bytes] = []
    with (
        patch.dict(os.environ, {"TERM": "xterm", **variables}),
        _terminal(width, out) as stdout,
        _terminal(width, err) as stderr,
        patch("sys.stdout", stdout),
        patch("sys.stderr", stderr),
    ):
        code = main(list(arguments))
    return TerminalOutput(code, _text(out), _text(err))


@contextlib.contextmanager
def _terminal(width: int, seen: list[bytes]) -> Iterator[TextIO]:
    here, present = pty.openpty()
    fcntl.ioctl(present, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    reader = threading.Thread(target=_drain, args=(here, seen))
    reader.start()
    try:
        with open(present, "w", encoding="utf-8", buffering=1) as stream:  # noqa: PTH123 - a file descriptor
            yield stream
    finally:
        reader.join(10)
        os.close(here)


def _drain(here: int, seen: list[bytes]) -> None:
    # how a terminal reports that its last writer has closed it
    with contextlib.suppress(OSError):
        while part := os.read(here, 65536):
            seen.append(part)


def _text(seen: list[bytes]) -> str:
    return b"".join(seen).decode().replace("\r\n", "\n")
