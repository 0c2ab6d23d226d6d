"""Output: stdout carries the result alone, stderr everything else: messages, a progress bar, and waits."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final, Literal

from reconciler.apply.settings import BlockingRunner, run_inline
from reconciler.cli.stdio import has_colours, width_of, wrap_for
from reconciler.errors import CxrouteError, ManifestError
from reconciler.model.finding import Finding, finding_to_json
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.impact import ALL_ROWS
from reconciler.render.summary import MAX_NAMED
from reconciler.render.text.findings import findings_text, findings_with_carets
from reconciler.render.text.plan import TextLimits
from reconciler.text.escape import sanitize
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress, TaskID

    from reconciler.render.colour import Style

_COLOURS = {"warning": "yellow", "error": "red"}
_PATIENCE: Final = 1.0
_WORTH: Final = 0.9  # seconds of a wait that is told: the shortest Retry-After is a second
_EVERY: Final = 5.0  # seconds between two lines of one reason; between those of two reasons it is one


class ProgressBar:
    """A progress bar on a terminal, shown after a second."""

    def __init__(self, output: Output) -> None:
        self._shown = sys.stderr.isatty() and output.loudness != "quiet" and output.log_format == "text"
        self._colours: Literal["auto"] | None = "auto" if has_colours(sys.stderr, output.colour) else None
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, completed: int, total: int) -> None:
        """Set the number of completed steps of the named work."""
        if not self._shown or (self._progress is None and time.monotonic() - self._started < _PATIENCE):
            return
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415 - only after a second of waiting
            from rich.progress import Progress  # noqa: PLC0415 - as above

            console = Console(stderr=True, markup=False, color_system=self._colours, no_color=False)
            self._progress = Progress(console=console, transient=True)
            self._progress.start()
        progress = self._progress
        if name not in self._tasks:
            self._tasks[name] = progress.add_task(name, total=total)
        progress.update(self._tasks[name], completed=completed, total=total)

    def end(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._tasks.clear()
        self._started = time.monotonic()


class WaitLog:
    """Says on stderr what an environment's tenant is waited for, and why, but not each time. A bar stays below it."""

    def __init__(self, output: Output, environment: str) -> None:
        self._output, self._environment = output, environment
        self._reason, self._said = "", -math.inf

    def log(self, reason: str, text: str, seconds: float, /) -> None:
        """Log a wait, unless it is short or the last line is recent."""
        now = time.monotonic()
        pause = _EVERY if reason == self._reason else _PATIENCE
        if seconds < _WORTH or now - self._said < pause:
            return
        self._reason, self._said = reason, now
        form = {"event": "wait", "environment": self._environment, "reason": reason, "seconds": round(seconds, 1)}
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
            self.log(name, f"waiting for {name} ({math.floor(seconds)} s so far)", seconds)

        timer = loop.call_later(_PATIENCE, tell)
        try:
            yield
        finally:
            timer.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The output of one command: its colours, form and verbosity."""

    colour: str
    loudness: str
    log_format: str
    form: str
    asks: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Output:
        """Read the options that every command takes."""
        form, asks = getattr(options, "format", "text"), not options.no_input
        log_format = options.log_format
        return cls(colour=options.color, loudness=options.loudness, log_format=log_format, form=form, asks=asks)

    @property
    def paint(self) -> Style:
        """Return the style of stdout."""
        return self._paint(sys.stdout)

    @property
    def interactive(self) -> bool:
        """Return whether a person can be asked."""
        return self.asks and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def result(self, text: str) -> None:
        """Print the result, or a part of it."""
        redacted = REDACTOR.redact(text)
        sys.stdout.write(wrap_for(redacted, sys.stdout) if self.form == "text" else redacted)

    def file_text(self, text: str) -> None:
        """Print text for a file or another program, such as YAML or a script: it is never wrapped."""
        sys.stdout.write(REDACTOR.redact(text))

    def flush(self) -> None:
        """Flush stdout."""
        sys.stdout.flush()

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Print the one JSON document of `--format json`."""
        sys.stdout.write(REDACTOR.dump_redacted(form) + "\n")

    def note(self, text: str) -> None:
        """Print a message on stderr, unless quiet."""
        if self.loudness != "quiet":
            self._log("info", text)

    def detail(self, text: str) -> None:
        """Print a message on stderr under -v."""
        if self.loudness == "verbose":
            self._log("debug", text)

    def event(self, level: str, text: str, form: dict[str, Any]) -> None:
        """Say one line of a log that machines read as well: in JSON with `form`. Quiet leaves out what is in order."""
        if self.loudness == "quiet" and level == "info":
            return
        if self.log_format == "json":
            sys.stderr.write(json.dumps(REDACTOR.redact_json({"level": level, "message": text, **form})) + "\n")
        else:
            self._log(level, text)

    def warn(self, text: str) -> None:
        """Print a warning, quiet or not."""
        self._log("warning", text)

    def without_infos(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings without those of severity info, unless -v is set."""
        verbose = self.loudness == "verbose"
        return [finding for finding in findings if verbose or finding.severity != "info"]

    def findings(self, findings: Sequence[Finding], stream: IO[str]) -> None:
        """Print findings about manifests, with carets on a terminal."""
        most = sys.maxsize if self.loudness == "verbose" else MAX_NAMED
        if not stream.isatty():
            stream.write(REDACTOR.redact(findings_text(findings, self._paint(stream), most)))
            return
        text = findings_with_carets(findings, self._paint(stream), width_of(stream), most)
        stream.write(wrap_for(REDACTOR.redact(text), stream))

    def failed(self, error: CxrouteError) -> None:
        """Print the error; under `--format json` as the one document on stdout."""
        if self.form == "json":
            self.document({"error": error_document(error)})
        elif isinstance(error, ManifestError):
            self.findings(error.findings, sys.stderr)
            sys.stderr.write(wrap_for(f"\n{error}.\n", sys.stderr))
        else:
            self._log("error", str(error))

    def bug(self, bug: Exception) -> CxrouteError:
        """Print an unexpected exception as a bug, under -v with its traceback, and return the error."""
        description = f"{type(bug).__name__}: {sanitize(str(bug))}"
        error = CxrouteError(f"this is a bug in cxroute ({description}); -v shows where. Please report it.")
        self.failed(error)
        if self.loudness == "verbose":
            sys.stderr.write(REDACTOR.redact("".join(traceback.format_exception(bug))))
        return error

    def _log(self, level: str, text: str) -> None:
        text = REDACTOR.redact(text)
        if self.log_format == "json":
            sys.stderr.write(json.dumps({"level": level, "message": text}) + "\n")
        else:
            prefix = f"{level}: " if level in ("warning", "error") else ""
            line = f"{self._paint(sys.stderr)(_COLOURS[level], prefix)}{text}" if prefix else text
            sys.stderr.write(wrap_for(f"{line}\n", sys.stderr))

    def _paint(self, stream: IO[str]) -> Style:
        return ansi_style if has_colours(stream, self.colour) else no_style


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a session prints and shows progress, how much it shows, and how it runs work that blocks."""

    output: Output
    progress: ProgressBar
    run_blocking: BlockingRunner = run_inline

    @classmethod
    def of(cls, output: Output) -> Terminal:
        """Return the terminal of a single environment."""
        return cls(output, ProgressBar(output))

    @property
    def limits(self) -> TextLimits:
        """Return how much of a plan text shows: everything with -v."""
        verbose = self.output.loudness == "verbose"
        return TextLimits(ALL_ROWS, ALL_ROWS) if verbose else TextLimits(severities=("warning",))

    def print_banner(self, banner: str) -> None:
        """Print the line above a text result."""
        if self.output.form == "text":
            self.output.result(banner)


def error_document(error: CxrouteError) -> dict[str, Any]:
    """Return an error in JSON: kind, message, exit code, and every finding."""
    form: dict[str, Any] = {"kind": error.kind, "message": str(error), "exitCode": error.exit_code}
    if isinstance(error, ManifestError):
        form["findings"] = [finding_to_json(finding) for finding in error.findings]
    return form


@dataclass(frozen=True, slots=True)
class BufferedOutput(Output):
    """The output of one environment; `kept` is what it would have printed by itself."""

    environment: str
    buffer: list[str] = field(default_factory=list)

    def result(self, text: str) -> None:
        """Keep the result, or a part of it; secrets are redacted when it is printed."""
        self.buffer.append(text)

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep the environment's JSON document."""
        self.buffer.append(REDACTOR.dump_redacted(form))

    def flush(self) -> None:
        """Do nothing: nothing is printed yet."""

    def failed(self, error: CxrouteError) -> None:
        """Print this environment's error; under `--format json` keep it as its document."""
        if self.form == "json":
            self.buffer.clear()  # one document for each environment
            self.document({"environment": self.environment, "error": error_document(error)})
        elif isinstance(error, ManifestError):
            self._log("error", f"{error}:")
            Output.failed(self, error)
        else:
            self._log("error", str(error))

    def _log(self, level: str, text: str) -> None:
        Output._log(self, level, f"{self.environment}: {text}")  # noqa: SLF001 - no super() in a class with slots
