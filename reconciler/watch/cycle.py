"""One cycle of the loop as a value: the plan, the report, the error, and its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, get_args

from reconciler.apply.progress import ApplyReport
from reconciler.errors import ApiError, CxrouteError, ManifestError, RefusedError
from reconciler.model.change import Applied, Outcome, UnknownOutcome, is_copy_removal
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, marker_digest
from reconciler.model.rule import CANONICAL_JSON
from reconciler.plan.document import change_to_json
from reconciler.plan.drift import Drift, edited_changes, missing_rules
from reconciler.plan.guards import guard_refusals
from reconciler.plan.plan import GuardResult, Plan

CycleStatus = Literal["clean", "pending", "applied", "refused", "partly", "failed"]
"""clean: nothing differs. pending: something does, and nothing was to be written. refused: a guard, a conflict or a
failing route test stood in the way. partly: something was written, and not all of it. failed: nothing was."""

CYCLE_STATUSES: Final[tuple[CycleStatus, ...]] = get_args(CycleStatus)


@dataclass(frozen=True, slots=True)
class ApiCallCounts:
    """What one round asked of the API: requests, repeats among them, and how often it was told to be slower."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """One round. `plan` is None where it came to none, `report` where nothing was to be written."""

    started_at: datetime
    seconds: float = 0.0
    calls: ApiCallCounts = ApiCallCounts()
    plan: Plan | None = None
    report: ApplyReport | None = None
    error: CxrouteError | None = None
    may_write: bool = False
    drift: Drift | None = None  # what differs at its end, as far as it was compared; None where it was not

    @property
    def status(self) -> CycleStatus:
        """Return the result of the cycle."""
        if self.report is not None:
            outcomes = self.report.outcomes
            has_written = any(isinstance(each, Applied | UnknownOutcome) or each.left_partial for each in outcomes)
            return "applied" if self.report.converged else "partly" if has_written else "failed"
        if self.plan is None or (self.error is not None and not isinstance(self.error, RefusedError)):
            return "failed"
        if self.error is not None or self.plan.failed_tests or (self.may_write and self.is_blocked):
            return "refused"
        return "pending" if self.plan.changes or self.plan.conflicts or self.has_unfixable_drift else "clean"

    @property
    def remaining(self) -> Plan | None:
        """Return what differs at its end: what a last read found, else what was planned."""
        return self.report.remaining if self.report is not None else self.plan

    @property
    def in_the_way(self) -> tuple[LiveRule, ...]:
        """Return the live rules that are in the way of the manifests at its end."""
        return self.drift.in_the_way if self.drift is not None else ()

    @property
    def failed_checks(self) -> tuple[Finding, ...]:
        """Return the checks that fail on the live rules at its end."""
        return self.drift.failed_checks if self.drift is not None else ()

    @property
    def has_unfixable_drift(self) -> bool:
        """Return whether something differs that apply cannot change."""
        return self.drift is not None and self.drift.has_unfixable_drift

    @property
    def failed_guards(self) -> tuple[GuardResult, ...]:
        """Return the guards that refuse what was planned; with nothing to be made there is nothing to refuse."""
        return guard_refusals(self.plan) if self.plan is not None and self.plan.changes else ()

    @property
    def is_blocked(self) -> bool:
        """Say whether a guard or a rule of somebody else stands in the way."""
        return self.plan is not None and is_blocked(self.plan)

    @property
    def should_back_off(self) -> bool:
        """Say whether the tenant is better left alone for longer than usual: it, or the way to it, failed."""
        return self.status in ("failed", "partly") and not isinstance(self.error, ManifestError)

    @property
    def error_text(self) -> str:
        """Return what went wrong, in a sentence; nothing where all went well."""
        return str(self.error) if self.error is not None else self.report.error if self.report is not None else ""

    @property
    def fingerprint(self) -> str:
        """Return a digest that is equal for cycles with the same status, error, plan and outcomes."""
        facts: list[object] = [self.status, _error_key(self.error)]
        if self.plan is not None:
            documents = [change_to_json(self.plan, change) for change in self.plan.changes]
            names = ("action", "address", "id", "before", "after")
            facts += [[document[name] for name in names] for document in documents]
            facts += sorted(f"{finding.address} {finding.message}" for finding in self.plan.conflicts)
            facts += [f"{finding.source} {finding.message}" for finding in self.plan.failed_tests]
            facts += [guard.name for guard in self.failed_guards if self.may_write]
            facts += sorted([live.id, live.rule.name, marker_digest(live.rule)] for live in self.in_the_way)
            facts += sorted(f"{finding.code} {finding.source} {finding.message}" for finding in self.failed_checks)
            facts.append(self.has_unfixable_drift)
        if self.report is not None:
            facts += [[str(outcome.change.address), outcome.status] for outcome in self.report.outcomes]
        return sha256(CANONICAL_JSON.encode(facts).encode()).hexdigest()


def is_blocked(plan: Plan) -> bool:
    """Say whether apply would refuse: a route test fails, a guard refuses, or another rule is in the way."""
    return bool(plan.failed_tests or plan.conflicts) or bool(plan.changes and guard_refusals(plan))


def count_drifted(plan: Plan) -> int:
    """Count the managed rules that were edited in CXone, held ones included, and the rules that are missing there."""
    edited_holds = sum(hold.change.cause in ("drift", "both") for hold in plan.held)
    return len(edited_changes(plan)) + len(missing_rules(plan)) + edited_holds


def count_pending(plan: Plan) -> int:
    """Count the changes that apply would make, without the removal of leftover copies."""
    return sum(not is_copy_removal(change) for change in plan.changes)


def applied_outcomes(report: ApplyReport) -> tuple[Outcome, ...]:
    """Return the changes that were certainly made."""
    return tuple(outcome for outcome in report.outcomes if isinstance(outcome, Applied))


def _error_key(error: CxrouteError | None) -> list[str]:
    # The message of an ApiError has times and counts that are never the same twice, so its kind identifies it.
    if error is None:
        return []
    if isinstance(error, ManifestError):
        findings = ((finding, finding.source.file if finding.source else "") for finding in error.findings)
        return sorted(f"{finding.code} {file} {finding.message}" for finding, file in findings)
    return [error.kind, "" if isinstance(error, ApiError) else str(error)]
