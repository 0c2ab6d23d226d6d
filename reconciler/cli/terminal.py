"""A progress bar, and messages about waits."""

import asyncio
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from reconciler.cli.output import Output
from reconciler.cli.stdio import has_colours
from reconciler.core.text.escape import sanitize

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE: Final = 1.0
_MIN_WAIT: Final = (
    0.9  # seconds of the shortest logged wait; the shortest Retry-After is a second
)
_REPEAT_SECONDS: Final = (
    5.0  # between two lines with one reason; with another reason, a second
)


class ProgressBar:
    """A progress bar on a terminal, shown after a second."""

    def __init__(self, output: Output) -> None:
        self._shown = (
            sys.stderr.isatty()
            and output.loudness != "quiet"
            and output.log_format == "text"
        )
        self._colours: Literal["auto"] | None = (
            "auto" if has_colours(sys.stderr, output.colour) else None
        )
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, completed: int, total: int) -> None:
        """Set the number of completed steps of the named work."""
        if not self._shown or (
            self._progress is None and time.monotonic() - self._started < _PATIENCE
        ):
            return
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415 - only after a second of waiting
            from rich.progress import Progress  # noqa: PLC0415 - as above

            console = Console(
                stderr=True, markup=False, color_system=self._colours, no_color=False
            )
            self._progress = Progress(console=console, transient=True)
            self._progress.start()
        progress = self._progress
        if name not in self._tasks:
            self._tasks[name] = progress.add_task(name, total=total)
        progress.update(self._tasks[name], completed=completed, total=total)

    def end(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._tasks.clear()
        self._started = time.monotonic()


class WaitLog:
    """Logs on stderr, at intervals, why a run waits for an environment's tenant.

    A progress bar stays below.
    """

    def __init__(self, output: Output, environment: str) -> None:
        self._output = output
        self._environment = environment
        self._reason = ""
        self._logged_at = -math.inf

    def log(self, reason: str, text: str, seconds: float, /) -> None:
        """Log a wait, unless it is short or the last line is recent."""
        now = time.monotonic()
        pause = _REPEAT_SECONDS if reason == self._reason else _PATIENCE
        if seconds < _MIN_WAIT or now - self._logged_at < pause:
            return
        self._reason = reason
        self._logged_at = now
        form = {
            "event": "wait",
            "environment": self._environment,
            "reason": reason,
            "seconds": round(seconds, 1),
        }
        self._output.event("info", sanitize(text), form)

    @contextmanager
    def answer(self, name: str) -> Iterator[None]:
        """Log the wait for the named response while the block runs."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        timer: asyncio.TimerHandle

        def tell() -> None:
            nonlocal timer
            timer = loop.call_later(_PATIENCE, tell)
            seconds = loop.time() - begin
            self.log(
                name, f"waiting for {name} ({math.floor(seconds)} s so far)", seconds
            )

        timer = loop.call_later(_PATIENCE, tell)
        try:
            yield
        finally:
            timer.cancel()
