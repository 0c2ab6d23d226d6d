"""One round as one line of a log, as text and as JSON."""

from typing import Any

from reconciler.errors import ManifestError
from reconciler.plan.drift import Drift, missing_rules
from reconciler.plan.finding_json import finding_to_json
from reconciler.render.drift_summary import counts_phrase, remaining_phrases
from reconciler.text.escape import pluralize, sanitize
from reconciler.watch.cycle import (
    CycleResult,
    applied_outcomes,
    count_drifted,
    count_pending,
)


def cycle_line(result: CycleResult, next_seconds: float) -> str:
    """Return `2026-11-25T12:00:00Z 1 rule changed in CXone, 5 calls in 0.3 s; next in 300 s`."""
    calls = f"{pluralize(result.calls.requests, 'call')} in {result.seconds:.1f} s"
    return (
        f"{result.started_at:%Y-%m-%dT%H:%M:%SZ} {_result_phrase(result)}, {calls}; next in "
        f"{next_seconds:.0f} s"
    )


def cycle_document(
    result: CycleResult, environment: str, next_seconds: float
) -> dict[str, Any]:
    """Return the same as JSON."""
    plan = result.remaining
    report = result.report
    drift = result.drift
    failed_tests = result.plan.failed_tests if result.plan else ()
    findings = (
        result.error.findings
        if isinstance(result.error, ManifestError)
        else failed_tests
    )
    return {
        "event": "round",
        "at": f"{result.started_at:%Y-%m-%dT%H:%M:%SZ}",
        "environment": environment,
        "result": result.status,
        "pending": None if plan is None else count_pending(plan),
        "drifted": None if plan is None else count_drifted(plan),
        "missing": None if plan is None else len(missing_rules(plan)),
        "inTheWay": None if drift is None else len(drift.in_the_way),
        "failedTests": None if drift is None else drift.failed_tests,
        "brokenPromises": None if drift is None else drift.broken_promises,
        "held": None if plan is None else len(plan.held),
        "conflicts": None if plan is None else len(plan.conflicts),
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


def _result_phrase(result: CycleResult) -> str:
    rest = "".join(
        f", {phrase}"
        for phrase in (
            remaining_phrases(result.drift) if result.drift is not None else ()
        )
    )
    if result.report is not None:
        changes = pluralize(len(result.report.outcomes), "change")
        text = f"{len(applied_outcomes(result.report)):,} of {changes} applied{rest}"
        return f"{text}: {sanitize(result.error_text)}" if result.error_text else text
    if result.plan is None or result.status == "failed":
        return f"failed: {sanitize(result.error_text)}"
    suffix = f", {len(result.plan.held):,} held" if result.plan.held else ""
    if result.status == "clean":
        return f"no differences{suffix}"
    text = f"{counts_phrase(result.drift or Drift(plan=result.plan))}{suffix}"
    if result.status != "refused":
        return text
    why = ", ".join(guard.name for guard in result.failed_guards) or sanitize(
        result.error_text
    )
    return f"{text}; refused: {why}" if why else f"{text}; refused"
