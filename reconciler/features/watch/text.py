"""One round as one line of a log, as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import ManifestError
from reconciler.core.model.finding import Finding
from reconciler.core.plan.drift import Drift
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.features.watch.cycle import (
    CycleResult,
    applied_outcomes,
    count_drifted,
    count_pending,
)
from reconciler.render.drift_summary import counts_phrase, remaining_phrases


def cycle_line(result: CycleResult, next_seconds: float) -> str:
    """Return `2026-11-25T12:00:00Z 1 rule changed in CXone, 5 calls in 0.3 s; next in 300 s`."""
    calls = f"{pluralize(result.calls.requests, 'call')} in {result.seconds:.1f} s"
    return (
        f"{result.started_at:%Y-%m-%dT%H:%M:%SZ} {_result_phrase(result)}, {calls}; next in "
        f"{next_seconds:.0f} s"
    )


def cycle_document(
    result: CycleResult,
    environment: str,
    next_seconds: float,
) -> dict[str, Any]:
    """Return the same as JSON."""
    report = result.report
    findings: Sequence[Finding] = ()
    if isinstance(result.error, ManifestError):
        findings = result.error.findings
    elif result.plan:
        findings = result.plan.failed_tests
    return {
        "event": "round",
        "at": f"{result.started_at:%Y-%m-%dT%H:%M:%SZ}",
        "environment": environment,
        "result": result.status,
        **_count_differences(result),
        "refused": [guard.name for guard in result.failed_guards],
        "applied": len(applied_outcomes(report)) if report else 0,
        "error": result.error_text or None,
        "findings": [finding_to_json(finding) for finding in findings],
        "seconds": round(result.seconds, 3),
        "calls": result.calls.requests,
        "retries": result.calls.retries,
        "throttled": result.calls.throttled,
        "nextSeconds": round(next_seconds, 1),
    }


def _count_differences(result: CycleResult) -> dict[str, int | None]:
    """Return the numbers of rules that differ; None where the cycle did not find out."""
    plan = result.remaining
    drift = result.drift
    known = None
    if plan is not None and result.plan is not None:
        known = result.differences(result.plan)
    return {
        "pending": None if plan is None else count_pending(plan),
        "drifted": None if known is None else count_drifted(known),
        "missing": None if known is None else len(known.missing),
        "inTheWay": None if drift is None else len(drift.in_the_way),
        "failedTests": None if drift is None else drift.failed_tests,
        "brokenPromises": None if drift is None else drift.broken_promises,
        "held": None if plan is None else len(plan.held),
        "conflicts": None if plan is None else len(plan.conflicts),
    }


def _result_phrase(result: CycleResult) -> str:
    error = sanitize(result.error_text)
    if result.report is not None:
        text = _report_phrase(result.report, result.drift)
        return f"{text}: {error}" if result.error_text else text
    if result.plan is None or result.status == "failed":
        return f"failed: {error}"
    drift = result.differences(result.plan)
    text = "no differences" if result.status == "clean" else counts_phrase(drift)
    if result.plan.held:
        text += f", {len(result.plan.held):,} held"
    if result.status != "refused":
        return text
    reason = ", ".join(guard.name for guard in result.failed_guards) or error
    return f"{text}; refused: {reason}" if reason else f"{text}; refused"


def _report_phrase(report: ApplyReport, drift: Drift | None) -> str:
    changes = pluralize(len(report.outcomes), "change")
    phrases = [f"{len(applied_outcomes(report)):,} of {changes} applied"]
    if drift is not None:
        phrases += remaining_phrases(drift)
    return ", ".join(phrases)
