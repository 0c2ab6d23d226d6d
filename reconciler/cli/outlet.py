"""stdout and stderr that nobody may be reading: what cannot be said is left unsaid, and nothing else changes."""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outlet:
    """A stream whose reader may go: what is written after that goes nowhere. Everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.used = False
        """Whether anything was written."""

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        self.used = True
        with self._unheard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written, if anybody reads."""
        with self._unheard():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Let a stream go nowhere from now on, the interpreter's own flush at the end too."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def outlets() -> Iterator[None]:
    """Make outlets of stdout and stderr; where there is none at all, as some schedulers start programs, of nothing."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - a device
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, cast("TextIO", Outlet(stream)))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
