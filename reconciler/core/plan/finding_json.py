"""Findings as JSON (plan-json "Plan")."""

from typing import TYPE_CHECKING

from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import FindingJson, SourceJson


def finding_to_json(finding: Finding) -> "FindingJson":
    """Return a finding; `addresses` and `sources` have the same order."""
    message = finding.message
    if finding.hint:
        message += f" ({finding.hint})"
    form: FindingJson = {
        "code": finding.code,
        "severity": finding.severity,
        "message": message,
        "address": None if finding.address is None else str(finding.address),
        "source": source_to_json(finding.source),
    }
    if finding.repeats and finding.address:
        form["addresses"] = [str(each.address) for each in finding.occurrences]
    if finding.repeats:
        form["sources"] = [source_to_json(each.source) for each in finding.occurrences]
    if finding.acknowledged:
        form["acknowledged"] = {"reason": finding.acknowledged}
    return form


def source_to_json(source: Source | None) -> "SourceJson | None":
    """Return the position as JSON, or None."""
    return source and {
        "file": source.file,
        "line": source.line,
        "column": source.column,
    }
