"""The files that GitHub reads at the end of a step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError

MAX_SUMMARY_BYTES: Final = 900_000  # bytes; GitHub drops a summary over 1 MiB


class StepFiles(NamedTuple):
    """The files that GitHub reads at the end of a step; outside of a workflow there are none."""

    outputs: Path | None
    summary: Path | None

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> "StepFiles":
        """Return the files in the step's variables."""
        outputs = variables.get("GITHUB_OUTPUT") or variables.get("CXROUTE_OUTPUT")  # of a script on another forge
        summary = variables.get("GITHUB_STEP_SUMMARY") or variables.get("CXROUTE_SUMMARY")
        return cls(Path(outputs) if outputs else None, Path(summary) if summary else None)

    def write_outputs(self, values: Mapping[str, object]) -> None:
        """Write outputs, each on one line."""
        _append(self.outputs, "".join(f"{name}={' '.join(str(value).split())}\n" for name, value in values.items()))

    def add_summary(self, text: str) -> None:
        """Add Markdown to the summary if it fits."""
        room = MAX_SUMMARY_BYTES - (self.summary.stat().st_size if self.summary and self.summary.exists() else 0)
        text = text if len(text.encode()) <= room else "This is too long for a summary: see the run's artifact."
        _append(self.summary, f"{text.rstrip()}\n\n")


def _append(path: Path | None, text: str) -> None:
    try:
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
