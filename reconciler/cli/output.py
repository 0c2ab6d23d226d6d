"""Output: results on stdout, all other messages on stderr."""

import json
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from reconciler.cli.stdio import (
    has_colours,
    is_runner_log,
    width_of,
    without_runner_commands,
    wrap_for,
)
from reconciler.core.errors import CxrouteError, ManifestError
from reconciler.core.model.finding import Document, Finding
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.core.text.escape import sanitize
from reconciler.core.text.redact import REDACTOR
from reconciler.render.colour import Style, ansi_style, no_style
from reconciler.render.finding_subject import MAX_NAMED
from reconciler.render.text.findings import findings_text, findings_with_carets

if TYPE_CHECKING:
    from reconciler.render.command_json import ErrorJson

_USER_INFO: Final = re.compile(r"://[^\s\"']*@")
_COLOURS = {"warning": "yellow", "error": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The output of one command: its colours, format and verbosity."""

    colour: str
    loudness: str
    log_format: str
    form: str
    asks: bool

    @property
    def paint(self) -> Style:
        """Return the style of stdout."""
        return self._paint(sys.stdout)

    @property
    def interactive(self) -> bool:
        """Return whether the user can answer a prompt."""
        return (
            self.asks
            and sys.stdin is not None
            and sys.stdin.isatty()
            and sys.stderr.isatty()
        )

    def result(self, text: str) -> None:
        """Print the result, or a part of it."""
        redacted = REDACTOR.redact(text)
        sys.stdout.write(
            wrap_for(redacted, sys.stdout) if self.form == "text" else redacted
        )

    def file_text(self, text: str) -> None:
        """Print text for a file or another program, such as YAML or a script: it is never
        wrapped.
        """
        sys.stdout.write(REDACTOR.redact(text))

    def flush(self) -> None:
        """Flush stdout."""
        sys.stdout.flush()

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Print the one JSON document of `--format json`."""
        text = REDACTOR.dump_redacted(form)
        if is_runner_log():
            text = without_runner_commands(text)
        sys.stdout.write(f"{text}\n")

    def form_result(self, printed: str | Document) -> None:
        """Print the result in a form: a text, or the one document."""
        if isinstance(printed, str):
            self.result(printed)
        else:
            self.document(printed)

    def note(self, text: str) -> None:
        """Print a message on stderr, unless quiet."""
        if self.loudness != "quiet":
            self._log("info", text)

    def detail(self, text: str) -> None:
        """Print a message on stderr under -v."""
        if self.loudness == "verbose":
            self._log("debug", text)

    def event(self, level: str, text: str, form: dict[str, Any]) -> None:
        """Print a line of a log, in JSON with the fields of `form`. -q omits lines of level
        info.
        """
        if self.loudness == "quiet" and level == "info":
            return
        if self.log_format == "json":
            sys.stderr.write(
                json.dumps(
                    REDACTOR.redact_json({"level": level, "message": text, **form})
                )
                + "\n"
            )
        else:
            self._log(level, text)

    def warn(self, text: str) -> None:
        """Print a warning, also with -q."""
        self._log("warning", text)

    def without_infos(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings without those of severity info, unless -v is set."""
        return [
            finding
            for finding in findings
            if self.loudness == "verbose" or finding.severity != "info"
        ]

    def findings(self, findings: Sequence[Finding], stream: IO[str]) -> None:
        """Print findings about manifests, with carets on a terminal."""
        most = sys.maxsize if self.loudness == "verbose" else MAX_NAMED
        if not stream.isatty():
            stream.write(
                _hide_passwords(
                    REDACTOR.redact(findings_text(findings, self._paint(stream), most))
                )
            )
            return
        text = findings_with_carets(
            findings, self._paint(stream), width_of(stream), most
        )
        stream.write(wrap_for(_hide_passwords(REDACTOR.redact(text)), stream))

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
        """Print an unexpected exception as a bug, under -v with its traceback, and return the
        error.
        """
        description = f"{type(bug).__name__}: {sanitize(str(bug))}"
        error = CxrouteError(
            f"this is a bug in cxroute ({description}); -v shows where. Please report it."
        )
        self.failed(error)
        if self.loudness == "verbose":
            sys.stderr.write(REDACTOR.redact("".join(traceback.format_exception(bug))))
        return error

    def _log(self, level: str, text: str) -> None:
        text = REDACTOR.redact(text)
        if self.log_format == "json":
            sys.stderr.write(json.dumps({"level": level, "message": text}) + "\n")
        else:
            if level in ("warning", "error"):
                paint = self._paint(sys.stderr)
                text = f"{paint(_COLOURS[level], f'{level}: ')}{text}"
            sys.stderr.write(wrap_for(f"{text}\n", sys.stderr))

    def _paint(self, stream: IO[str]) -> Style:
        if has_colours(stream, self.colour):
            return ansi_style
        return no_style


def _hide_passwords(text: str) -> str:
    """Return lines of manifests without the user names and passwords of addresses."""
    return _USER_INFO.sub("://[secret]@", text)


def error_document(error: CxrouteError) -> "ErrorJson":
    """Return an error in JSON: kind, message, exit code, and every finding."""
    form: ErrorJson = {
        "kind": error.kind,
        "message": str(error),
        "exitCode": error.exit_code,
    }
    if isinstance(error, ManifestError):
        form["findings"] = [finding_to_json(finding) for finding in error.findings]
    return form


@dataclass(frozen=True, slots=True)
class BufferedOutput(Output):
    """The output of one environment, kept in `buffer` and printed later."""

    environment: str
    buffer: list[str] = field(default_factory=list)

    def result(self, text: str) -> None:
        """Keep the result, or a part of it; secrets are redacted when it is printed."""
        self.buffer.append(text)

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep the environment's JSON document."""
        self.buffer.append(REDACTOR.dump_redacted(form))

    def failed(self, error: CxrouteError) -> None:
        """Print this environment's error; under `--format json` keep it as its document."""
        if self.form == "json":
            self.buffer.clear()  # one document for each environment
            self.document(
                {"environment": self.environment, "error": error_document(error)}
            )
            return
        if isinstance(error, ManifestError):
            self._log("error", f"{error}:")
        Output.failed(self, error)

    def _log(self, level: str, text: str) -> None:
        Output._log(self, level, f"{self.environment}: {text}")  # noqa: SLF001 - no super() in a class with slots
