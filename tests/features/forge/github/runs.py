"""The event that starts a workflow run, the run's result, and its output."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class WorkflowEvent:
    """The event that started a run: name and payload, commit, branch, actor."""

    name: str
    sha: str
    payload: dict[str, Any] = field(default_factory=dict)
    branch: str = "main"
    actor: str = "anna"


@dataclass
class Job:
    """The result of one job."""

    name: str
    result: str
    steps: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class Ran:
    """The result of a run."""

    id: int
    jobs: list[Job]

    @property
    def result(self) -> str:
        """Return success, failure, or skipped if no job ran."""
        results = {job.result for job in self.jobs}
        return (
            "failure"
            if "failure" in results
            else "success"
            if "success" in results
            else "skipped"
        )

    def job(self, name: str) -> Job:
        """Return the job of that name."""
        return next(job for job in self.jobs if job.name == name)

    @property
    def text(self) -> str:
        """Return the full log and summary."""
        return "".join(job.log + job.summary for job in self.jobs)


def archive(place: Path) -> bytes | None:
    """Return a folder or file as an artifact holds it, without hidden files; None if it does not
    exist.
    """
    actual = sorted(place.rglob("*")) if place.is_dir() else [place]
    retained = [
        path for path in actual if path.is_file() and not path.name.startswith(".")
    ]
    if not retained:
        return None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in retained:
            opened.write(
                path, str(path.relative_to(place if place.is_dir() else place.parent))
            )
    return buffer.getvalue()
