"""What is printed and where: stdout carries the result alone, everything else goes to stderr."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.terminal import fitted, has_colours, width_of
from reconciler.errors import CxrouteError, ManifestError
from reconciler.finding_document import finding_document
from reconciler.render.finding_subject import FOLDED
from reconciler.render.findings_text import findings_text, findings_with_carets
from reconciler.render.paint import ansi, colourless
from reconciler.words import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.findings import Finding
    from reconciler.render.paint import Paint


@dataclass(frozen=True, slots=True)
class Output:
    """Where one command prints, in which colours and form."""

    colour: str
    loudness: str
    log_format: str
    form: str
    asks: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Output:
        """Read the options that every command takes."""
        form = getattr(options, "format", "text")
        return cls(options.color, options.loudness, options.log_format, form, not options.no_input)

    @property
    def paint(self) -> Paint:
        """Return how stdout is painted."""
        return self._paint(sys.stdout)

    @property
    def interactive(self) -> bool:
        """Say whether a person can be asked."""
        return self.asks and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    def result(self, text: str) -> None:
        """Print the result, or a part of it."""
        shown = DISCRETION.hide(text)
        sys.stdout.write(fitted(shown, sys.stdout) if self.form == "text" else shown)

    def file_text(self, text: str) -> None:
        """Print what is meant for a file or another program, such as YAML or a script: it is never wrapped."""
        sys.stdout.write(DISCRETION.hide(text))

    def flush(self) -> None:
        """Hand everything printed so far to whoever reads it."""
        sys.stdout.flush()

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Print the one JSON document of `--format json`."""
        sys.stdout.write(DISCRETION.dumped(form) + "\n")

    def note(self, text: str) -> None:
        """Say something beside the result, unless quiet."""
        if self.loudness != "quiet":
            self._log("info", text)

    def detail(self, text: str) -> None:
        """Say something that only -v asks for."""
        if self.loudness == "verbose":
            self._log("debug", text)

    def event(self, level: str, text: str, form: dict[str, Any]) -> None:
        """Say one line of a log that machines read as well: in JSON with `form`. Quiet leaves out what is in order."""
        if self.loudness == "quiet" and level == "info":
            return
        if self.log_format == "json":
            sys.stderr.write(json.dumps(DISCRETION.within({"level": level, "message": text, **form})) + "\n")
        else:
            self._log(level, text)

    def warn(self, text: str) -> None:
        """Say something that a person should know, quiet or not."""
        self._log("warning", text)

    def brief(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings that text shows: what is merely worth knowing is left to -v."""
        verbose = self.loudness == "verbose"
        return [finding for finding in findings if verbose or finding.severity != "info"]

    def findings(self, findings: Sequence[Finding], stream: IO[str]) -> None:
        """Print findings about manifests, with carets where a person looks on."""
        most = sys.maxsize if self.loudness == "verbose" else FOLDED
        if not stream.isatty():
            stream.write(DISCRETION.hide(findings_text(findings, self._paint(stream), most)))
            return
        text = findings_with_carets(findings, self._paint(stream), width_of(stream), most)
        stream.write(fitted(DISCRETION.hide(text), stream))

    def failed(self, error: CxrouteError) -> None:
        """Say why the command failed; under `--format json` as the one document on stdout."""
        if self.form == "json":
            self.document({"error": error_document(error)})
        elif isinstance(error, ManifestError):
            self.findings(error.findings, sys.stderr)
            sys.stderr.write(fitted(f"\n{error}.\n", sys.stderr))
        else:
            self._log("error", str(error))

    def bug(self, bug: Exception) -> CxrouteError:
        """Say that the program itself is wrong, and return that as an error; where, only under -v."""
        shown = f"{type(bug).__name__}: {plain(str(bug))}"
        error = CxrouteError(f"this is a bug in cxroute ({shown}); -v shows where. Please report it.")
        self.failed(error)
        if self.loudness == "verbose":
            sys.stderr.write(DISCRETION.hide("".join(traceback.format_exception(bug))))
        return error

    def _log(self, level: str, text: str) -> None:
        text = DISCRETION.hide(text)
        if self.log_format == "json":
            sys.stderr.write(json.dumps({"level": level, "message": text}) + "\n")
        else:
            prefix = f"{level}: " if level in ("warning", "error") else ""
            shown = f"{self._paint(sys.stderr)(_COLOURS[level], prefix)}{text}" if prefix else text
            sys.stderr.write(fitted(f"{shown}\n", sys.stderr))

    def _paint(self, stream: IO[str]) -> Paint:
        return ansi if has_colours(stream, self.colour) else colourless


_COLOURS = {"warning": "yellow", "error": "red"}


def error_document(error: CxrouteError) -> dict[str, Any]:
    """Return an error in JSON: what kind, what to say, with which exit code the program ends, every finding."""
    form: dict[str, Any] = {
        "kind": error.kind,
        "message": str(error),
        "exitCode": error.exit_code,
    }
    if isinstance(error, ManifestError):
        form["findings"] = [finding_document(finding) for finding in error.findings]
    return form
