"""What the loop counts, as Prometheus reads it. No label has a value that anybody outside could choose."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from reconciler.plan.drift import missing_rules
from reconciler.text.prometheus import exposition, metric, metric_header, sample
from reconciler.watch.cycle import CYCLE_STATUSES, CycleResult, applied_outcomes, count_drifted, count_pending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


_GAUGE_HELP: Final = {
    "pending_changes": "Changes that apply would make, by the last round that could tell.",
    "drifted_rules": "Rules changed in CXone, and rules missing there, by the last round that could tell.",
    "missing_rules": "Rules of the manifests that are not live: deleted in CXone, or never applied.",
    "rules_in_the_way": "Live rules that are not managed and send conversations elsewhere than the manifests do.",
    "failed_live_tests": "Route tests that fail on the live rules.",
    "held_changes": "Changes that are left alone: held, not pruned, kept.",
    "conflicts": "Rules of others that stand in the way of ours.",
    "refused_guards": "Guards that refuse what differs.",
    "failed_tests": "Route tests that fail: nothing is written meanwhile.",
    "managed_rules": "Managed rules that are live.",
}
_DELIVERY_RESULTS: Final = ("sent", "failed")


class WatchMetrics:
    """Counts rounds, what they asked of the API and changed, and notifications; keeps what the last ones found."""

    def __init__(self) -> None:
        self.cycles: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.notifications: Counter[str] = Counter()
        self._applied = 0
        self._seconds = self._last_seconds = 0.0
        self._failures = 0
        self._last_end = self._last_success_end = 0.0
        self._gauges = dict.fromkeys(_GAUGE_HELP, 0)

    def record_cycle(self, cycle: CycleResult, failures: int) -> None:
        """Count a round; `failures` of them in a row strained the tenant. One without a plan leaves what was found."""
        self.cycles[cycle.status] += 1
        calls = cycle.calls
        self.calls.update(requests=calls.requests, retries=calls.retries, throttled=calls.throttled)
        self._applied += len(applied_outcomes(cycle.report)) if cycle.report else 0
        self._seconds += cycle.seconds
        self._last_seconds, self._failures = cycle.seconds, failures
        self._last_end = ended = _end_time(cycle.started_at, cycle.seconds)
        if cycle.status not in ("failed", "partly"):
            self._last_success_end = ended
        if cycle.remaining is not None:
            self._gauges = _measure_gauges(cycle)

    def format_text(self) -> str:
        """Return everything in Prometheus' text format."""
        return exposition(self._lines())

    def _lines(self) -> Iterator[str]:
        for name, said in _GAUGE_HELP.items():
            yield from metric(f"cxroute_{name}", "gauge", said, self._gauges[name])
        times = "Unix time of the end of the last round"
        yield from metric(
            "cxroute_last_round_timestamp_seconds", "gauge", f"{times}; 0 before the first.", self._last_end
        )
        success = f"{times} that neither failed nor was left half done; 0 before the first."
        yield from metric("cxroute_last_success_timestamp_seconds", "gauge", success, self._last_success_end)
        yield from metric(
            "cxroute_failures_in_a_row", "gauge", "Failed rounds since the last good one.", self._failures
        )
        yield from metric("cxroute_last_round_seconds", "gauge", "How long the last round took.", self._last_seconds)
        yield from metric_header("cxroute_round_seconds", "summary", "How long rounds took.")
        yield sample("cxroute_round_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_round_seconds_count", self.cycles.total())
        yield from metric_header("cxroute_rounds_total", "counter", "Rounds, by what they came to.")
        for result in CYCLE_STATUSES:
            yield sample("cxroute_rounds_total", self.cycles[result], result=result)
        yield from metric("cxroute_applied_changes_total", "counter", "Changes that were made.", self._applied)
        yield from metric("cxroute_api_requests_total", "counter", "Calls to the API.", self.calls["requests"])
        yield from metric("cxroute_api_retries_total", "counter", "Calls that were repeats.", self.calls["retries"])
        throttled = "Answers 429: the tenant said that it was too fast."
        yield from metric("cxroute_api_throttled_total", "counter", throttled, self.calls["throttled"])
        yield from metric_header(
            "cxroute_notifications_total", "counter", "Messages to the web hook, by what became of them."
        )
        for sent in _DELIVERY_RESULTS:
            yield sample("cxroute_notifications_total", self.notifications[sent], result=sent)


def _measure_gauges(cycle: CycleResult) -> dict[str, int]:
    left = cycle.remaining
    if left is None or cycle.plan is None:
        return dict.fromkeys(_GAUGE_HELP, 0)
    return {
        "pending_changes": count_pending(left),
        "drifted_rules": count_drifted(left),
        "missing_rules": len(missing_rules(left)),
        "rules_in_the_way": len(cycle.in_the_way),
        "failed_live_tests": cycle.drift.failed_tests if cycle.drift else 0,
        "held_changes": len(left.held),
        "conflicts": len(left.conflicts),
        "refused_guards": len(cycle.failed_guards) if left is cycle.plan else 0,
        "failed_tests": len(cycle.plan.failed_tests),
        "managed_rules": len(left.managed),
    }


def _end_time(began: datetime, seconds: float) -> float:
    return began.timestamp() + seconds
