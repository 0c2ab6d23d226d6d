"""Findings as a code quality report, which GitLab shows in a merge request."""

from collections.abc import Sequence
from typing import Final

from reconciler.model.finding import CODES, Document, Finding
from reconciler.render.sarif import MAX_RESULTS, fingerprint_findings
from reconciler.text.escape import escape_invisible, sanitize

_SEVERITIES: Final = {"error": "critical", "warning": "minor", "info": "info"}


def code_quality_report(findings: Sequence[Finding], folder: str) -> list[Document]:
    """Return the entries, worst findings first. Files are paths from the root; `folder` is for others."""
    pairs = fingerprint_findings(findings)[:MAX_RESULTS]
    return [_entry(finding, fingerprint, folder) for finding, fingerprint in pairs]


def _entry(finding: Finding, fingerprint: str, folder: str) -> Document:
    title = f"{CODES[finding.code].title}: " if finding.code in CODES else ""
    hint = f" ({sanitize(finding.hint)})" if finding.hint else ""
    path, line = (finding.source.file, finding.source.line) if finding.source else (folder, 1)
    return {
        "description": f"{title}{sanitize(finding.message)}{hint}",
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": escape_invisible(path), "lines": {"begin": line}},
    }
