"""One round of the loop as a value: what was found, what was done, what went wrong, and by what it is known again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

from reconciler.errors import ApiError, CxrouteError, ManifestError, RefusedError
from reconciler.model.change import Applied, Outcome, UnknownOutcome, is_copy_removal
from reconciler.model.live import LiveRule, marker_digest
from reconciler.model.rule import CANONICAL_JSON
from reconciler.plan.document import change_to_json
from reconciler.plan.drift import Drift, edited_changes, missing_rules
from reconciler.plan.guards import guard_refusals

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.apply.report import ApplyReport
    from reconciler.model.finding import Finding
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
        """Return what it came to."""
        if self.report is not None:
            return "applied" if self.report.converged else _incomplete_status(self.report)
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
        """Return what two rounds have in common that found, or did, or failed at, just the same."""
        said = [self.status, _error_key(self.error), *_plan_key(self)]
        if self.report is not None:
            said += [[str(one.change.address), one.status] for one in self.report.outcomes]
        return sha256(CANONICAL_JSON.encode(said).encode()).hexdigest()


def is_blocked(plan: Plan) -> bool:
    """Say whether apply would refuse: a route test fails, a guard refuses, or another rule is in the way."""
    return bool(plan.failed_tests or plan.conflicts) or bool(plan.changes and guard_refusals(plan))


def count_drifted(plan: Plan) -> int:
    """Count the managed rules that somebody changed in CXone, held ones too, and the rules that are missing there."""
    held = sum(one.change.cause in ("drift", "both") for one in plan.held)
    return len(edited_changes(plan)) + len(missing_rules(plan)) + held


def count_pending(plan: Plan) -> int:
    """Count what apply would change, but for the clean-up of what an earlier run left."""
    return sum(not is_copy_removal(change) for change in plan.changes)


def applied_outcomes(report: ApplyReport) -> tuple[Outcome, ...]:
    """Return what was made for certain."""
    return tuple(one for one in report.outcomes if isinstance(one, Applied))


def _incomplete_status(report: ApplyReport) -> CycleStatus:
    written = any(isinstance(one, Applied | UnknownOutcome) or one.left_partial for one in report.outcomes)
    return "partly" if written else "failed"


def _error_key(error: CxrouteError | None) -> list[str]:
    """An API's error says times and counts that are never the same twice: its kind is what it is known by."""
    if error is None:
        return []
    if isinstance(error, ManifestError):
        return sorted(f"{one.code} {one.source.file if one.source else ''} {one.message}" for one in error.findings)
    return [error.kind, "" if isinstance(error, ApiError) else str(error)]


def _plan_key(cycle: CycleResult) -> list[object]:
    if cycle.plan is None:
        return []
    found = [change_to_json(cycle.plan, change) for change in cycle.plan.changes]
    changes: list[object] = [[form[name] for name in ("action", "address", "id", "before", "after")] for form in found]
    conflicts = sorted(f"{finding.address} {finding.message}" for finding in cycle.plan.conflicts)
    tests = [f"{finding.source} {finding.message}" for finding in cycle.plan.failed_tests]
    guards = [guard.name for guard in cycle.failed_guards if cycle.may_write]
    return [*changes, *conflicts, *tests, *guards, *_drift_key(cycle)]


def _drift_key(cycle: CycleResult) -> list[object]:
    """A rule in the way is known by its id and content, a failing check by what it says."""
    rules = [[live.id, live.rule.name, marker_digest(live.rule)] for live in cycle.in_the_way]
    checks = [f"{finding.code} {finding.source} {finding.message}" for finding in cycle.failed_checks]
    return [*sorted(rules), *sorted(checks), cycle.has_unfixable_drift]
