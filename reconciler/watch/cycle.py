"""One round of the loop as a value: what was found, what was done, what went wrong, and by what it is known again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, get_args

from reconciler.errors import ApiError, CxrouteError, ManifestError, RefusedError
from reconciler.model.change import Applied, Outcome, Unknown, is_copy
from reconciler.model.live import LiveRule, digest
from reconciler.model.rule import COMPACT
from reconciler.plan.document import change_document
from reconciler.plan.drift import Drift, changed, missing
from reconciler.plan.guards import refusals

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.apply.report import Report
    from reconciler.model.finding import Finding
    from reconciler.plan.plan import GuardResult, Plan


Result = Literal["clean", "pending", "applied", "refused", "partly", "failed"]
"""clean: nothing differs. pending: something does, and nothing was to be written. refused: a guard, a conflict or a
failing route test stood in the way. partly: something was written, and not all of it. failed: nothing was."""

RESULTS: Final[tuple[Result, ...]] = get_args(Result)


@dataclass(frozen=True, slots=True)
class Calls:
    """What one round asked of the API: requests, repeats among them, and how often it was told to be slower."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round. `plan` is None where it came to none, `report` where nothing was to be written."""

    began: datetime
    seconds: float = 0.0
    calls: Calls = Calls()
    plan: Plan | None = None
    report: Report | None = None
    error: CxrouteError | None = None
    heals: bool = False
    """It may write."""
    drift: Drift | None = None
    """What differs at its end, as far as it was compared; None where it was not."""

    @property
    def result(self) -> Result:
        """Return what it came to."""
        if self.report is not None:
            return "applied" if self.report.converged else _unfinished(self.report)
        if self.plan is None or (self.error is not None and not isinstance(self.error, RefusedError)):
            return "failed"
        if self.error is not None or self.plan.failed_tests or (self.heals and self.blocked):
            return "refused"
        return "pending" if self.plan.changes or self.plan.conflicts or self.remains else "clean"

    @property
    def left(self) -> Plan | None:
        """Return what differs at its end: what a last read found, else what was planned."""
        return self.report.left if self.report is not None else self.plan

    @property
    def in_the_way(self) -> tuple[LiveRule, ...]:
        """Return the live rules that are in the way of the manifests at its end."""
        return self.drift.in_the_way if self.drift is not None else ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """Return the checks that fail on the live rules at its end."""
        return self.drift.failures if self.drift is not None else ()

    @property
    def remains(self) -> bool:
        """Return whether something differs that apply cannot change."""
        return self.drift is not None and self.drift.remains

    @property
    def refused(self) -> tuple[GuardResult, ...]:
        """Return the guards that refuse what was planned; with nothing to be made there is nothing to refuse."""
        return refusals(self.plan) if self.plan is not None and self.plan.changes else ()

    @property
    def blocked(self) -> bool:
        """Say whether a guard or a rule of somebody else stands in the way."""
        return self.plan is not None and is_blocked(self.plan)

    @property
    def strains(self) -> bool:
        """Say whether the tenant is better left alone for longer than usual: it, or the way to it, failed."""
        return self.result in ("failed", "partly") and not isinstance(self.error, ManifestError)

    @property
    def why(self) -> str:
        """Return what went wrong, in a sentence; nothing where all went well."""
        return str(self.error) if self.error is not None else self.report.error if self.report is not None else ""

    @property
    def known_by(self) -> str:
        """Return what two rounds have in common that found, or did, or failed at, just the same."""
        said = [self.result, _of_error(self.error), *_of_plan(self)]
        if self.report is not None:
            said += [[str(one.change.address), one.status] for one in self.report.outcomes]
        return sha256(COMPACT.encode(said).encode()).hexdigest()


def is_blocked(plan: Plan) -> bool:
    """Say whether apply would refuse: a route test fails, a guard refuses, or another rule is in the way."""
    return bool(plan.failed_tests or plan.conflicts) or bool(plan.changes and refusals(plan))


def drifted(plan: Plan) -> int:
    """Count the managed rules that somebody changed in CXone, held ones too, and the rules that are missing there."""
    held = sum(one.change.cause in ("drift", "both") for one in plan.held)
    return len(changed(plan)) + len(missing(plan)) + held


def pending(plan: Plan) -> int:
    """Count what apply would change, but for the clean-up of what an earlier run left."""
    return sum(not is_copy(change) for change in plan.changes)


def done(report: Report) -> tuple[Outcome, ...]:
    """Return what was made for certain."""
    return tuple(one for one in report.outcomes if isinstance(one, Applied))


def _unfinished(report: Report) -> Result:
    written = any(isinstance(one, Applied | Unknown) or one.touched for one in report.outcomes)
    return "partly" if written else "failed"


def _of_error(error: CxrouteError | None) -> list[str]:
    """An API's error says times and counts that are never the same twice: its kind is what it is known by."""
    if error is None:
        return []
    if isinstance(error, ManifestError):
        return sorted(f"{one.code} {one.source.file if one.source else ''} {one.message}" for one in error.findings)
    return [error.kind, "" if isinstance(error, ApiError) else str(error)]


def _of_plan(one: Round) -> list[object]:
    if one.plan is None:
        return []
    found = [change_document(one.plan, change) for change in one.plan.changes]
    changes: list[object] = [[form[name] for name in ("action", "address", "id", "before", "after")] for form in found]
    conflicts = sorted(f"{finding.address} {finding.message}" for finding in one.plan.conflicts)
    tests = [f"{finding.source} {finding.message}" for finding in one.plan.failed_tests]
    guards = [guard.name for guard in one.refused if one.heals]
    return [*changes, *conflicts, *tests, *guards, *_of_drift(one)]


def _of_drift(one: Round) -> list[object]:
    """A rule in the way is known by its id and content, a failing check by what it says."""
    rules = [[live.id, live.rule.name, digest(live.rule)] for live in one.in_the_way]
    checks = [f"{finding.code} {finding.source} {finding.message}" for finding in one.failures]
    return [*sorted(rules), *sorted(checks), one.remains]
