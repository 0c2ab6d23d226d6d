"""What lasts over a second: a progress bar, on a terminal alone (rich draws it, and is loaded only then), and waits."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from reconciler.cli.terminal import has_colours
from reconciler.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from reconciler.cli.output import Output

_PATIENCE: Final = 1.0
_WORTH: Final = 0.9
"""Seconds of a wait that is told: the shortest Retry-After is a second."""
_EVERY: Final = 5.0
"""Seconds between two lines of one reason; between those of two reasons it is one."""


class Bar:
    """Counts steps of what is named; shown once it has lasted a second."""

    def __init__(self, output: Output) -> None:
        """Nothing is drawn where nobody looks, or where quiet was asked for."""
        self._shown = sys.stderr.isatty() and output.loudness != "quiet" and output.log_format == "text"
        self._colours: Literal["auto"] | None = "auto" if has_colours(sys.stderr, output.colour) else None
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def step(self, what: str, done: int, of: int) -> None:
        """Say that so many steps of the named thing are done."""
        if not self._shown or (self._progress is None and time.monotonic() - self._started < _PATIENCE):
            return
        progress = self._begun()
        if what not in self._tasks:
            self._tasks[what] = progress.add_task(what, total=of)
        progress.update(self._tasks[what], completed=done, total=of)

    def end(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._tasks.clear()
        self._started = time.monotonic()

    def _begun(self) -> Progress:
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415 - only after a second of waiting
            from rich.progress import Progress  # noqa: PLC0415 - as above

            self._progress = Progress(
                console=Console(stderr=True, markup=False, color_system=self._colours, no_color=False), transient=True
            )
            self._progress.start()
        return self._progress


class Waits:
    """Says on stderr what an environment's tenant is waited for, and why, but not each time. A bar stays below it."""

    def __init__(self, output: Output, environment: str) -> None:
        """Nothing is said where quiet was asked for."""
        self._output, self._environment = output, environment
        self._reason, self._said = "", -math.inf

    def tell(self, reason: str, text: str, seconds: float, /) -> None:
        """Say a wait of so many seconds, unless it is short, or the last line is not old enough."""
        now = time.monotonic()
        pause = _EVERY if reason == self._reason else _PATIENCE
        if seconds < _WORTH or now - self._said < pause:
            return
        self._reason, self._said = reason, now
        form = {"event": "wait", "environment": self._environment, "reason": reason, "seconds": round(seconds, 1)}
        self._output.event("info", plain(text), form)

    @contextmanager
    def answer(self, what: str) -> Iterator[None]:
        """Say, while this lasts, that the named answer is waited for."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        timer: asyncio.TimerHandle

        def tell() -> None:
            nonlocal timer
            timer = loop.call_later(_PATIENCE, tell)
            seconds = loop.time() - begin
            self.tell(what, f"waiting for {what} ({math.floor(seconds)} s so far)", seconds)

        timer = loop.call_later(_PATIENCE, tell)
        try:
            yield
        finally:
            timer.cancel()
