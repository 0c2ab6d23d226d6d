"""Findings as GitLab's code quality report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.render.scanning import MAX_RESULTS, code_quality_report
from tests.support.program import Program, write


def found(line: int = 14, **more: str) -> Finding:
    excerpt = "    queue: Biling  # soon"
    source = Source("manifests/a.yaml", line, 12)
    form = Finding(
        code="CXR105",
        severity="error",
        message="no such queue",
        source=source,
        excerpt=excerpt,
        span=6,
    )
    return replace(form, **more)  # type: ignore[arg-type]


def test_an_entry_has_the_members_that_gitlab_reads() -> None:
    """Description, name, severity, fingerprint, path and line."""
    (entry,) = code_quality_report([found(hint="use Billing")], "manifests")
    assert entry["description"].endswith(": no such queue (use Billing)")
    assert {"path": "manifests/a.yaml", "lines": {"begin": 14}} == entry["location"]
    assert ("CXR105", "critical") == (entry["check_name"], entry["severity"])


def test_a_fingerprint_does_not_change_with_the_line() -> None:
    """Two equal findings have two."""
    (first,) = code_quality_report([found()], "m")
    (moved,) = code_quality_report([found(99)], "m")
    twice = code_quality_report([found(), found(99)], "m")
    assert first["fingerprint"] == moved["fingerprint"] == twice[0]["fingerprint"]
    assert twice[0]["fingerprint"] != twice[1]["fingerprint"]


def test_the_worst_findings_are_first_and_their_number_is_limited() -> None:
    """An error after many infos stays."""
    entries = code_quality_report(
        [*[found(severity="info")] * MAX_RESULTS, found(severity="warning")], "m"
    )
    assert (MAX_RESULTS, "minor", "info") == (
        len(entries),
        entries[0]["severity"],
        entries[1]["severity"],
    )


def test_a_finding_without_a_file_is_one_of_the_folder() -> None:
    """GitLab drops an entry without a path."""
    (entry,) = code_quality_report([replace(found(), source=None)], "manifests")
    assert {"path": "manifests", "lines": {"begin": 1}} == entry["location"]


def test_validate_writes_the_report(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With paths from the root of the repository, and the exit code of the checks."""
    write("a.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: [{}]\n")
    monkeypatch.setenv("CI_PROJECT_DIR", str(Path.cwd().parent))
    assert 3 == cxroute("validate", "--format", "gitlab")
    report = json.loads(cxroute.out)
    assert {f"{Path.cwd().name}/manifests/a.yaml"} == {
        entry["location"]["path"] for entry in report
    }
    assert len(report) == len({entry["fingerprint"] for entry in report})
