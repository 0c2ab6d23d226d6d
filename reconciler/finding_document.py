"""Findings and places as JSON (plan-json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.findings import Finding
    from reconciler.model import Source

    Document = dict[str, Any]


def finding_document(finding: Finding) -> Document:
    """Return a finding in the form of plan-json "Plan".

    Of one about several rules or places, `addresses` and `sources` have an entry for each, in the same order.
    """
    form: Document = {
        "code": finding.code,
        "severity": finding.severity,
        "message": f"{finding.message} ({finding.hint})" if finding.hint else finding.message,
        "address": None if finding.address is None else str(finding.address),
        "source": source_document(finding.source),
    }
    if finding.repeats and finding.address:
        form["addresses"] = [str(place.address) for place in finding.places]
    if finding.repeats:
        form["sources"] = [source_document(place.source) for place in finding.places]
    if finding.acknowledged:
        form["acknowledged"] = {"reason": finding.acknowledged}
    return form


def source_document(source: Source | None) -> Document | None:
    """Return where something stands, or null."""
    return None if source is None else source._asdict()
