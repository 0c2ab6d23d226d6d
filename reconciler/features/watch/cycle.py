"""The cycles of `cxroute watch` as values, the loop that runs one after the other, their
notifications and metrics.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, get_args

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import ApiError, CxrouteError, ManifestError, RefusedError
from reconciler.core.model.change import (
    Applied,
    Outcome,
    UnknownOutcome,
    is_copy_removal,
)
from reconciler.core.model.live import marker_digest
from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.plan.document import change_facts, change_to_json
from reconciler.core.plan.drift import Drift, edited_changes
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.stages import Changes, GuardResult, Plan
from reconciler.core.target import CallCounts
from reconciler.core.text.prometheus import metric, metric_header, sample
from reconciler.features.watch.dates import DateGauges, WaitingNews

CycleStatus = Literal["clean", "pending", "applied", "refused", "partly", "failed"]
"""clean: no differences. pending: differences, and --apply is not set. refused: a guard, a conflict
or a failing route test prevented the apply. partly: only a part was written. failed: nothing was
written."""

CYCLE_STATUSES: Final[tuple[CycleStatus, ...]] = get_args(CycleStatus)
# seconds: the longest delay after failures, unless the interval is longer
MAX_BACKOFF: Final = 900.0
_MAX_DOUBLINGS: Final = 20
# the share by which a delay varies, so that loops with one start do not stay together
_JITTER: Final = 0.1
# seconds between two cycles, also after one that took longer than the interval
_MIN_PAUSE: Final = 1.0
# after that a cycle counts as stuck: twice the longest time for reading, or writing
_MAX_CYCLE_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """The result of one cycle.

    `plan` is None if there was none, `report` if apply did not start.
    """

    started_at: datetime
    seconds: float = 0.0
    calls: CallCounts = field(default_factory=CallCounts)
    plan: Plan | None = None
    report: ApplyReport | None = None
    error: CxrouteError | None = None
    may_write: bool = False
    # the differences at its end; None if it did not compare them
    drift: Drift | None = None

    @property
    def status(self) -> CycleStatus:
        """Return the result of the cycle."""
        if self.report is not None:
            if self.report.converged:
                return "applied"
            has_written = any(
                isinstance(outcome, Applied | UnknownOutcome) or outcome.left_partial
                for outcome in self.report.outcomes
            )
            return "partly" if has_written else "failed"

        if self.plan is None:
            return "failed"
        if self.error is not None:
            return "refused" if isinstance(self.error, RefusedError) else "failed"
        if self.plan.failed_tests or (self.may_write and is_blocked(self.plan)):
            return "refused"
        return "pending" if self.differences(self.plan).has_drift else "clean"

    @property
    def remaining(self) -> Changes | None:
        """Return the changes that remain at its end: those of the last read, otherwise those of the
        plan.
        """
        return self.report.remaining if self.report is not None else self.plan

    def differences(self, plan: Plan) -> Drift:
        """Return the drift at the end of a cycle with this plan: the changes alone if it compared
        nothing else.
        """
        if self.drift is not None:
            return self.drift
        return Drift(plan=self.remaining or plan, refusing_tests=plan.failed_tests)

    @property
    def failed_guards(self) -> tuple[GuardResult, ...]:
        """Return the guards that refuse the plan; a plan without changes is not refused."""
        if self.plan is None or not self.plan.has_work:
            return ()
        return guard_refusals(self.plan)

    @property
    def should_back_off(self) -> bool:
        """Return whether to wait longer before the next cycle: the tenant or the connection to it
        failed.
        """
        if isinstance(self.error, ManifestError):
            return False
        return self.status in ("failed", "partly")

    @property
    def error_text(self) -> str:
        """Return the error as a sentence, or an empty text."""
        if self.error is not None:
            return str(self.error)
        return self.report.error if self.report is not None else ""

    @property
    def fingerprint(self) -> str:
        """Return a digest that is equal for cycles with the same status, error, plan and
        outcomes.
        """
        facts: list[object] = [self.status, _error_facts(self.error)]
        if self.plan is not None:
            facts += _plan_facts(self.plan)
            if self.may_write:
                facts += [guard.name for guard in self.failed_guards]
            facts += _drift_facts(self.differences(self.plan))
        if self.report is not None:
            facts += [
                [str(outcome.change.address), outcome.status]
                for outcome in self.report.outcomes
            ]
        return sha256(CANONICAL_JSON.encode(facts).encode()).hexdigest()


def _error_facts(error: CxrouteError | None) -> list[str]:
    if error is None:
        return []
    if isinstance(error, ManifestError):
        texts = []
        for finding in error.findings:
            file = finding.source.file if finding.source else ""
            texts.append(f"{finding.code} {file} {finding.message}")
        return sorted(texts)
    # an ApiError's message contains times and counts that always differ, so its kind identifies
    # it
    text = "" if isinstance(error, ApiError) else str(error)
    return [error.kind, text]


def _plan_facts(plan: Plan) -> list[object]:
    changes = [change_facts(change_to_json(plan, change)) for change in plan.changes]
    conflicts = sorted(
        f"{finding.address} {finding.message}" for finding in plan.conflicts
    )
    failed_tests = [
        f"{finding.source} {finding.message}" for finding in plan.failed_tests
    ]
    settings = ""
    if plan.changes_settings and plan.desired.settings is not None:
        settings = plan.desired.settings.content
    return [*changes, *conflicts, *failed_tests, settings]


def _drift_facts(drift: Drift) -> list[object]:
    in_the_way = sorted(
        [live.id, live.rule.name, marker_digest(live.rule)] for live in drift.in_the_way
    )
    failed_checks = sorted(
        f"{finding.code} {finding.source} {finding.message}"
        for finding in drift.failed_checks
    )
    return [*in_the_way, *failed_checks, drift.has_unfixable_drift]


def is_blocked(plan: Plan) -> bool:
    """Return whether apply would refuse: a route test fails, a guard refuses, or a rule
    conflicts.
    """
    if plan.failed_tests or plan.conflicts:
        return True
    return plan.has_work and bool(guard_refusals(plan))


def count_drifted(drift: Drift) -> int:
    """Count the managed rules that were edited in CXone, held ones included, and the rules that are
    missing there.
    """
    plan = drift.plan
    edited_holds = sum(hold.change.cause in ("drift", "both") for hold in plan.held)
    return len(edited_changes(plan)) + len(drift.missing) + edited_holds


def count_pending(plan: Changes) -> int:
    """Count the changes that apply would make, without the removal of leftover copies."""
    return sum(not is_copy_removal(change) for change in plan.changes)


def applied_outcomes(report: ApplyReport) -> tuple[Outcome, ...]:
    """Return the changes that were certainly applied."""
    return tuple(outcome for outcome in report.outcomes if isinstance(outcome, Applied))


Cycle = Callable[[], Awaitable[CycleResult]]
OnResult = Callable[[CycleResult, float], Awaitable[object]]


@dataclass(slots=True, kw_only=True)
class WatchLoop:
    """Runs cycles. clock: seconds, monotonic. sleep: waits, in seconds. random: a number in [0,
    1).
    """

    interval: float  # seconds between the starts of two cycles
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    # the seconds from now to the first date after a cycle began; None without one
    until_boundary: Callable[[CycleResult], float | None] = lambda _result: None
    # consecutive cycles with `should_back_off`
    failures: int = field(default=0, init=False)
    # by then, a cycle must have ended or begun
    _alive_until: float = field(default=math.inf, init=False)

    async def run(
        self,
        cycle: Cycle,
        on_result: OnResult,
        should_stop: Callable[[], bool],
    ) -> CycleResult:
        """Run cycles until `should_stop`, and return the last; `on_result` also gets the seconds
        until the next.
        """
        while True:
            started_at = self.clock()
            self._alive_until = started_at + max(3 * self.interval, _MAX_CYCLE_SECONDS)
            result = await cycle()
            self.failures = self.failures + 1 if result.should_back_off else 0
            due_at = max(
                min(started_at + self._next_delay(), self._boundary_at(result)),
                self.clock() + _MIN_PAUSE,
            )
            self._alive_until = due_at + 2 * self.interval
            await on_result(result, due_at - self.clock())
            if should_stop():
                return result
            await self.sleep(max(due_at - self.clock(), 0.0))

    def _next_delay(self) -> float:
        """Return the seconds from one start to the next, which each failure in a row doubles."""
        doublings = min(self.failures, _MAX_DOUBLINGS)
        longest = max(self.interval, MAX_BACKOFF)
        delay = min(self.interval * 2.0**doublings, longest)
        return delay * (1 - _JITTER + 2 * _JITTER * self.random())

    def _boundary_at(self, result: CycleResult) -> float:
        """Return when the next date is, also if it came during the cycle."""
        seconds = self.until_boundary(result)
        return math.inf if seconds is None else self.clock() + seconds

    @property
    def is_alive(self) -> bool:
        """Return whether the loop is alive: the cycle in progress is not stuck, and the next is not
        overdue.
        """
        return self.clock() <= self._alive_until


Message = dict[str, Any]
NotificationKind = Literal[
    "drift", "refused", "applied", "failed", "recovered", "waiting"
]
"""drift: the tenant differs from the manifests. refused: a guard or a conflict prevented the apply.
applied: changes were made. failed: a cycle, or a part of its changes, failed. recovered: the
earlier problem is over. waiting: a step is due, and its condition does not hold."""

# until a failure that lasts, or recurs, is notified again
REMINDER_SECONDS: Final = 6 * 3600.0
# until equal changes, which CXone's users revert repeatedly, are notified
_REPEATED_CHANGE_SECONDS: Final = 3600.0
_MAX_REMEMBERED: Final = 200
# messages for the next attempt; beyond these, the oldest are dropped
MAX_WAITING: Final = 20


@dataclass(slots=True)
class NotificationState:
    """Remembers the notifications that were sent."""

    reported_fingerprint: str = ""  # of the differences that were notified and remain
    is_failing: bool = False  # a failure was notified, but its end was not
    _reported_at: dict[str, float] = field(default_factory=dict)
    _waiting: WaitingNews = field(default_factory=WaitingNews)

    def find_due(self, cycle: CycleResult, now: float) -> tuple[NotificationKind, ...]:
        """Return the notifications that a cycle causes; `now` is in seconds, monotonic."""
        due = self._find_result_due(cycle, now)
        remaining = cycle.remaining
        if remaining is None or not self._waiting.is_due(remaining):
            return due
        return (*due, "waiting")

    def _find_result_due(
        self, cycle: CycleResult, now: float
    ) -> tuple[NotificationKind, ...]:
        reported = self.reported_fingerprint
        match cycle.status:
            case "failed" | "partly":
                if not self._is_due(cycle.fingerprint, now, REMINDER_SECONDS):
                    return ()
                self.is_failing = True
                return ("failed",)
            case "applied":
                is_due = self._is_due(cycle.fingerprint, now, _REPEATED_CHANGE_SECONDS)
                self.reported_fingerprint = ""
                applied = ("applied",) if is_due or reported else ()
                return (*self._recovered(), *applied)
            case "clean":
                is_settled = reported and not self.is_failing
                self.reported_fingerprint = ""
                return self._recovered() or (("recovered",) if is_settled else ())
            case _:
                self.reported_fingerprint = cycle.fingerprint
                recovered = self._recovered()
                if self.reported_fingerprint == reported:
                    return recovered
                kind: NotificationKind = (
                    "refused" if cycle.status == "refused" else "drift"
                )
                return (*recovered, kind)

    def _recovered(self) -> tuple[NotificationKind, ...]:
        was_failing = self.is_failing
        self.is_failing = False
        return ("recovered",) if was_failing else ()

    def _is_due(self, key: str, now: float, seconds: float) -> bool:
        """Return whether `key` was not notified within the last `seconds`, and record it as
        notified now.
        """
        if now - self._reported_at.get(key, -math.inf) < seconds:
            return False
        self._reported_at.pop(key, None)
        self._reported_at[key] = now
        for old in list(self._reported_at)[:-_MAX_REMEMBERED]:
            del self._reported_at[old]
        return True


_GAUGE_HELP: Final = {
    "pending_changes": "Changes that apply would make, as of the last round with a plan.",
    "drifted_rules": "Rules changed in CXone, and rules missing there, as of the last round with a plan.",
    "missing_rules": "Rules of the manifests that are not live: deleted in CXone, or never applied.",
    "rules_in_the_way": "Unmanaged live rules that route conversations differently from the manifests.",
    "failed_live_tests": "Route tests that fail on the live rules.",
    "broken_promises": "Promises of severity error that the live rules do not keep.",
    "held_changes": "Changes that are not made: held, not pruned, kept.",
    "conflicts": "Unmanaged rules that conflict with managed rules.",
    "refused_guards": "Guards that refuse the changes.",
    "failed_tests": "Route tests that fail. Nothing is written while one fails.",
    "managed_rules": "Managed rules that are live.",
    "last_round_timestamp_seconds": "Unix time of the end of the last round; 0 before the first.",
    "last_success_timestamp_seconds": (
        "Unix time of the end of the last round that did not fail, not even in part; 0 before the "
        "first."
    ),
    "failures_in_a_row": "Failed rounds since the last successful one.",
    "last_round_seconds": "Duration of the last round.",
}


class WatchMetrics:
    """Counts cycles, their API calls and changes, and notifications; keeps the figures of the last
    cycle.
    """

    def __init__(self) -> None:
        self.cycles = Counter[str]()
        self.calls = Counter[str]()
        self.notifications = Counter[str]()
        self._applied = 0
        self._seconds = 0.0
        self._gauges = dict.fromkeys(_GAUGE_HELP, 0.0)
        self._dates = DateGauges()

    def record_cycle(self, cycle: CycleResult, failures: int) -> None:
        """Count a cycle.

        `failures`: how many failed in a row. Without a plan, the gauges of the last plan stay.
        """
        self.cycles[cycle.status] += 1
        self.calls.update(cycle.calls._asdict())
        if cycle.report:
            self._applied += len(applied_outcomes(cycle.report))
        self._seconds += cycle.seconds
        end = cycle.started_at.timestamp() + cycle.seconds
        self._gauges["failures_in_a_row"] = failures
        self._gauges["last_round_seconds"] = cycle.seconds
        self._gauges["last_round_timestamp_seconds"] = end
        if cycle.status not in ("failed", "partly"):
            self._gauges["last_success_timestamp_seconds"] = end
        if cycle.plan is not None and cycle.remaining is not None:
            self._record_differences(cycle, cycle.plan, cycle.remaining)
            ended_at = cycle.started_at + timedelta(seconds=cycle.seconds)
            self._dates.record(cycle.plan, cycle.remaining, ended_at)

    def _record_differences(
        self,
        cycle: CycleResult,
        plan: Plan,
        remaining: Changes,
    ) -> None:
        drift = cycle.differences(plan)
        self._gauges |= {
            "pending_changes": count_pending(remaining),
            "drifted_rules": count_drifted(drift),
            "missing_rules": len(drift.missing),
            "rules_in_the_way": len(drift.in_the_way),
            "failed_live_tests": drift.failed_tests,
            "broken_promises": drift.broken_promises,
            "held_changes": len(remaining.held),
            "conflicts": len(remaining.conflicts),
            "refused_guards": len(cycle.failed_guards) if remaining is plan else 0,
            "failed_tests": len(plan.failed_tests),
            "managed_rules": len(remaining.managed),
        }

    def lines(self) -> Iterator[str]:
        """Yield all metrics in Prometheus' text format."""
        for name, text in _GAUGE_HELP.items():
            yield from metric(f"cxroute_{name}", "gauge", text, self._gauges[name])
        yield from self._dates.lines()
        yield from metric_header(
            "cxroute_round_seconds",
            "summary",
            "Duration of rounds.",
        )
        yield sample("cxroute_round_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_round_seconds_count", self.cycles.total())
        yield from metric_header(
            "cxroute_rounds_total",
            "counter",
            "Rounds, by result.",
        )
        yield from (
            sample("cxroute_rounds_total", self.cycles[status], result=status)
            for status in CYCLE_STATUSES
        )
        yield from metric(
            "cxroute_applied_changes_total",
            "counter",
            "Applied changes.",
            self._applied,
        )
        yield from metric(
            "cxroute_api_requests_total",
            "counter",
            "Calls to the API.",
            self.calls["requests"],
        )
        yield from metric(
            "cxroute_api_retries_total",
            "counter",
            "Calls that were retries.",
            self.calls["retries"],
        )
        throttled = "Responses 429: the calls were too fast for the tenant."
        yield from metric(
            "cxroute_api_throttled_total",
            "counter",
            throttled,
            self.calls["throttled"],
        )
        name = "cxroute_notifications_total"
        yield from metric_header(name, "counter", "Messages to the webhook, by result.")
        yield from (
            sample(name, self.notifications[result], result=result)
            for result in ("sent", "failed")
        )
