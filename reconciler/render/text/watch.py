"""One round as one line of a log: for people, and for whatever reads logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.errors import ManifestError
from reconciler.model.finding import Finding, finding_document
from reconciler.plan.drift import missing
from reconciler.render.drift_summary import remaining_phrases
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import failing
from reconciler.watch.cycle import Round, done, drifted, pending

if TYPE_CHECKING:
    from collections.abc import Sequence


def round_line(one: Round, following: float) -> str:
    """Return `2026-11-25T12:00:00Z 2 changes pending (1 rule changed in CXone), 5 calls in 0.3 s; next in 300 s`."""
    calls = f"{pluralize(one.calls.requests, 'call')} in {one.seconds:.1f} s"
    return f"{one.began:%Y-%m-%dT%H:%M:%SZ} {_found(one)}, {calls}; next in {following:.0f} s"


def round_document(one: Round, environment: str, following: float) -> dict[str, Any]:
    """Return the same as JSON."""
    left, report = one.left, one.report
    return {
        "event": "round",
        "at": f"{one.began:%Y-%m-%dT%H:%M:%SZ}",
        "environment": environment,
        "result": one.result,
        "pending": None if left is None else pending(left),
        "drifted": None if left is None else drifted(left),
        "missing": None if left is None else len(missing(left)),
        "inTheWay": None if one.drift is None else len(one.in_the_way),
        "failedTests": None if one.drift is None else one.drift.failed_tests,
        "held": None if left is None else len(left.held),
        "conflicts": None if left is None else len(left.conflicts),
        "refused": [guard.name for guard in one.refused],
        "applied": len(done(report)) if report else 0,
        "error": one.why or None,
        "findings": [finding_document(finding) for finding in _findings(one)],
        "seconds": round(one.seconds, 3),
        "calls": one.calls.requests,
        "retries": one.calls.retries,
        "throttled": one.calls.throttled,
        "nextSeconds": round(following, 1),
    }


def _findings(one: Round) -> Sequence[Finding]:
    if isinstance(one.error, ManifestError):
        return one.error.findings
    return one.plan.failed_tests if one.plan else ()


def _found(one: Round) -> str:
    if one.report is not None:
        said = f"{len(done(one.report)):,} of {pluralize(len(one.report.outcomes), 'change')} applied{_remaining(one)}"
        return f"{said}: {sanitize(one.why)}" if one.why else said
    if one.plan is None or one.result == "failed":
        return f"failed: {sanitize(one.why)}"
    held = f", {len(one.plan.held):,} left alone" if one.plan.held else ""
    if one.result == "clean":
        return f"no differences{held}"
    gone = len(missing(one.plan))
    parts = ((drifted(one.plan) - gone, "changed in CXone"), (gone, "missing in CXone"))
    causes = ", ".join(f"{pluralize(count, 'rule')} {what}" for count, what in parts if count)
    said = f"{pluralize(pending(one.plan), 'change')} pending{f' ({causes})' if causes else ''}{held}{_remaining(one)}"
    if one.plan.conflicts:
        said += f", {pluralize(len(one.plan.conflicts), 'rule')} in conflict"
    if one.result != "refused":
        return said
    tests = [failing(len(one.plan.failed_tests))] if one.plan.failed_tests else []
    why = [*tests, *(guard.name for guard in one.refused)] or ([sanitize(one.why)] if one.why else ["a conflict"])
    return f"{said}; refused: {', '.join(why)}"


def _remaining(one: Round) -> str:
    """Say what differs that apply cannot change."""
    remaining = remaining_phrases(one.drift) if one.drift is not None else []
    return "".join(f", {phrase}" for phrase in remaining)
