"""A progress bar for what lasts over a second, on a terminal alone. rich draws it, and is loaded only then."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Literal

from reconciler.cli.terminal import has_colours

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from reconciler.cli.output import Output

_PATIENCE: Final = 1.0


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
