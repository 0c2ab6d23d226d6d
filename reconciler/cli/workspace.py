"""What GitHub Actions tells a step of its surroundings: where the repository is, and where its summary is written."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.findings import Finding


def rooted(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings whose files are paths from the repository's root; outside Actions they stay as they are."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return list(findings)
    root = os.path.realpath(workspace)

    @cache
    def within(file: str) -> str:
        path = os.path.relpath(os.path.realpath(file), root)
        return file if path.startswith("..") else Path(path).as_posix()

    def moved(finding: Finding) -> Finding:
        source = finding.source._replace(file=within(finding.source.file)) if finding.source else None
        return replace(finding, source=source, repeats=tuple(map(moved, finding.repeats)))

    return [moved(finding) for finding in findings]


def summary_file() -> Path | None:
    """Return the file that becomes the job's summary, where there is one."""
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(named) if named else None
