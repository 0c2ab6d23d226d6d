"""A step of a pipeline: the variables that the forge sets for it, and the files that it reads at
the step's end.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.text.hosts import request_url
from reconciler.core.text.redact import REDACTOR

MAX_SUMMARY_BYTES: Final = 900_000  # bytes; GitHub drops a summary over 1 MiB
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_SHA: Final = re.compile(r"[0-9a-f]{7,64}")
_UNSAFE: Final = re.compile(r"[\s()<>]")


class StepVariables(NamedTuple):
    """The variables of a step on one forge, checked before use.

    Its methods raise UsageError outside of a pipeline.
    """

    values: Mapping[str, str]
    forge: str  # "GitHub"

    def matching(self, name: str, pattern: re.Pattern[str], default: str = "") -> str:
        """Return a variable that matches the pattern in full."""
        value = self.values.get(name) or default
        if not pattern.fullmatch(value):
            text = (
                f"{name} is not set as {self.forge} sets it: run this in a step of a {self.forge} "
                f"pipeline"
            )
            raise UsageError(text)
        return value

    def number(self, name: str, default: str = "") -> int:
        """Return a number above 0."""
        return int(self.matching(name, _NUMBER, default))

    def optional_number(self, name: str) -> int | None:
        """Return a number above 0; None if the variable is not set or holds another value."""
        value = self.values.get(name, "")
        return int(value) if _NUMBER.fullmatch(value) else None

    def sha(self, name: str) -> str:
        """Return a commit."""
        return self.matching(name, _SHA)

    def address(self, name: str, default: str = "") -> str:
        """Return a base address without a slash at its end.

        The token is sent there: it must be https, or loopback.
        """
        address = (self.values.get(name) or default).rstrip("/")
        parts = request_url(address)
        if parts is None or parts.query or parts.fragment or _UNSAFE.search(address):
            raise UsageError(
                f"{name} is not an https:// address: the token is not sent there"
            )
        return address


class StepFiles(NamedTuple):
    """The files that GitHub reads at the end of a step; outside of a workflow there are none."""

    outputs: Path | None
    summary: Path | None

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> "StepFiles":
        """Return the files in the step's variables."""
        # of a script on another forge
        outputs = variables.get("GITHUB_OUTPUT") or variables.get("CXROUTE_OUTPUT")
        summary = variables.get("GITHUB_STEP_SUMMARY") or variables.get(
            "CXROUTE_SUMMARY"
        )
        return cls(
            Path(outputs) if outputs else None, Path(summary) if summary else None
        )

    def write_outputs(self, values: Mapping[str, object]) -> None:
        """Write outputs, each on one line."""
        _append(
            self.outputs,
            "".join(
                f"{name}={' '.join(str(value).split())}\n"
                for name, value in values.items()
            ),
        )

    def add_summary(self, text: str) -> None:
        """Add Markdown to the summary if it fits."""
        room = MAX_SUMMARY_BYTES - (
            self.summary.stat().st_size if self.summary and self.summary.exists() else 0
        )
        text = (
            text
            if len(text.encode()) <= room
            else "This is too long for a summary: see the run's artifact."
        )
        _append(self.summary, f"{text.rstrip()}\n\n")


def _append(path: Path | None, text: str) -> None:
    try:
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(REDACTOR.redact(text))
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
