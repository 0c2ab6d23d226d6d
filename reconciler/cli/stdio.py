"""stdout and stderr: their width and colours, and no error after their reader has closed them."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, TextIO, cast

# The runners of Azure DevOps and GitHub read commands from a log, at any place of a line:
# `##vso[task.setvariable ...]`, `##[add-mask]`.
_RUNNERS: Final = ("TF_BUILD", "GITHUB_ACTIONS")
_RUNNER_COMMAND: Final = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)


def is_runner_log() -> bool:
    """Return whether a runner reads commands from what is printed."""
    return any(os.environ.get(name) for name in _RUNNERS)


def without_runner_commands(json_text: str) -> str:
    """Return equal JSON in which no text begins a command of a runner."""
    return _RUNNER_COMMAND.sub(r"#\\u0023", json_text)


def wrap_for(text: str, stream: IO[str]) -> str:
    """Return the text, wrapped if the stream is a terminal."""
    if not stream.isatty():
        return text
    from reconciler.render.text.wrap import wrap_text  # noqa: PLC0415 - only a terminal needs it

    return wrap_text(text, width_of(stream))


def width_of(stream: IO[str]) -> int:
    """Return the terminal's width, at least 60: $COLUMNS, then the operating system's value, then
    80.
    """
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdecimal() else 0
    if not width:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            width = os.get_terminal_size(stream.fileno()).columns
    return max(60, width or 80)


def has_colours(stream: IO[str], setting: str) -> bool:
    """Return whether a stream has colours: by --color, $NO_COLOR, $FORCE_COLOR, or because it is a
    terminal.
    """
    if setting != "auto":
        return setting == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class GuardedStream:
    """A stream that discards output after its reader has closed it; other methods are those of the
    stream.
    """

    def __init__(self, stream: TextIO, *, closed: bool = False) -> None:
        self._stream = stream
        self._closed = closed  # whether the program was started without this stream
        self.used = False  # whether anything was written
        self._is_runner_log = is_runner_log()

    @property
    def lost_output(self) -> bool:
        """Return whether text was written although the program was started without this stream."""
        return self._closed and self.used

    def write(self, text: str) -> int:
        """Write, unless the reader has closed the stream; in a runner's log, without commands."""
        self.used = True
        written = text
        if self._is_runner_log:
            written = _RUNNER_COMMAND.sub("# #", text)
        with self._ignoring_broken_pipe():
            self._stream.write(written)
        return len(text)

    def flush(self) -> None:
        """Flush, unless the reader has closed the stream."""
        with self._ignoring_broken_pipe():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the stream
        return getattr(self._stream, name)

    @contextmanager
    def _ignoring_broken_pipe(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Redirect a stream to the null device, also for the interpreter's flush at its end."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, stream.fileno())


@contextmanager
def guard_stdio() -> Iterator[None]:
    """Guard stdout and stderr; some schedulers start programs without them, so a null device
    replaces them.
    """
    with contextlib.ExitStack() as stack:
        for given, redirect in (
            (sys.stdout, contextlib.redirect_stdout),
            (sys.stderr, contextlib.redirect_stderr),
        ):
            stream = given or stack.enter_context(
                open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - a device
            )
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
            guarded = GuardedStream(stream, closed=given is None)
            stack.enter_context(redirect(cast("TextIO", guarded)))
        yield
