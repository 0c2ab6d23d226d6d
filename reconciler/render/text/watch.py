"""One round as one line of a log: for people, and for whatever reads logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.errors import ManifestError
from reconciler.model.finding import Finding, finding_to_json
from reconciler.plan.drift import missing_rules
from reconciler.render.drift_summary import remaining_phrases
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import failing_tests_phrase
from reconciler.watch.cycle import CycleResult, applied_outcomes, count_drifted, count_pending

if TYPE_CHECKING:
    from collections.abc import Sequence


def cycle_line(result: CycleResult, next_seconds: float) -> str:
    """Return `2026-11-25T12:00:00Z 2 changes pending (1 rule changed in CXone), 5 calls in 0.3 s; next in 300 s`."""
    calls = f"{pluralize(result.calls.requests, 'call')} in {result.seconds:.1f} s"
    return f"{result.started_at:%Y-%m-%dT%H:%M:%SZ} {_result_phrase(result)}, {calls}; next in {next_seconds:.0f} s"


def cycle_document(result: CycleResult, environment: str, next_seconds: float) -> dict[str, Any]:
    """Return the same as JSON."""
    left, report = result.remaining, result.report
    return {
        "event": "round",
        "at": f"{result.started_at:%Y-%m-%dT%H:%M:%SZ}",
        "environment": environment,
        "result": result.status,
        "pending": None if left is None else count_pending(left),
        "drifted": None if left is None else count_drifted(left),
        "missing": None if left is None else len(missing_rules(left)),
        "inTheWay": None if result.drift is None else len(result.in_the_way),
        "failedTests": None if result.drift is None else result.drift.failed_tests,
        "held": None if left is None else len(left.held),
        "conflicts": None if left is None else len(left.conflicts),
        "refused": [guard.name for guard in result.failed_guards],
        "applied": len(applied_outcomes(report)) if report else 0,
        "error": result.error_text or None,
        "findings": [finding_to_json(finding) for finding in _findings(result)],
        "seconds": round(result.seconds, 3),
        "calls": result.calls.requests,
        "retries": result.calls.retries,
        "throttled": result.calls.throttled,
        "nextSeconds": round(next_seconds, 1),
    }


def _findings(one: CycleResult) -> Sequence[Finding]:
    if isinstance(one.error, ManifestError):
        return one.error.findings
    return one.plan.failed_tests if one.plan else ()


def _result_phrase(one: CycleResult) -> str:
    if one.report is not None:
        changes = pluralize(len(one.report.outcomes), "change")
        said = f"{len(applied_outcomes(one.report)):,} of {changes} applied{_remaining_suffix(one)}"
        return f"{said}: {sanitize(one.error_text)}" if one.error_text else said
    if one.plan is None or one.status == "failed":
        return f"failed: {sanitize(one.error_text)}"
    held = f", {len(one.plan.held):,} left alone" if one.plan.held else ""
    if one.status == "clean":
        return f"no differences{held}"
    gone = len(missing_rules(one.plan))
    parts = ((count_drifted(one.plan) - gone, "changed in CXone"), (gone, "missing in CXone"))
    causes = ", ".join(f"{pluralize(count, 'rule')} {what}" for count, what in parts if count)
    by_cause = f" ({causes})" if causes else ""
    said = f"{pluralize(count_pending(one.plan), 'change')} pending{by_cause}{held}{_remaining_suffix(one)}"
    if one.plan.conflicts:
        said += f", {pluralize(len(one.plan.conflicts), 'rule')} in conflict"
    if one.status != "refused":
        return said
    tests = [failing_tests_phrase(len(one.plan.failed_tests))] if one.plan.failed_tests else []
    why = [*tests, *(guard.name for guard in one.failed_guards)] or (
        [sanitize(one.error_text)] if one.error_text else ["a conflict"]
    )
    return f"{said}; refused: {', '.join(why)}"


def _remaining_suffix(one: CycleResult) -> str:
    remaining = remaining_phrases(one.drift) if one.drift is not None else []
    return "".join(f", {phrase}" for phrase in remaining)
