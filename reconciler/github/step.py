"""What a step hands on: its outputs, and the summary of its job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.errors import CxrouteError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 900_000
"""Bytes of summary: over 1 MiB GitHub drops all of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """The files that GitHub reads when the step has ended; outside of a workflow there are none."""

    outputs: Path | None
    summary: Path | None

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Step:
        """Find the files by the step's variables."""
        found = [variables.get(name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")]
        outputs, summary = (Path(one) if one else None for one in found)
        return cls(outputs, summary)

    def put(self, values: Mapping[str, object]) -> None:
        """Write outputs, each on one line."""
        lines = [f"{name}={' '.join(str(value).split())}\n" for name, value in values.items()]
        _append(self.outputs, "".join(lines))

    def say(self, text: str) -> None:
        """Add Markdown to the summary, where there is room for it."""
        room = LARGEST - (self.summary.stat().st_size if self.summary and self.summary.exists() else 0)
        shown = text if len(text.encode()) <= room else "This is too long for a summary: see the run's artifact.\n"
        _append(self.summary, f"{shown.rstrip()}\n\n")


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
