"""What the loop counts, as Prometheus reads it. No label has a value that anybody outside could choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from reconciler.plan.drift import missing_rules
from reconciler.text.prometheus import exposition, metric, metric_header, sample
from reconciler.watch.cycle import CYCLE_STATUSES, CycleResult, applied_outcomes, count_drifted, count_pending

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
        """Count a cycle; `failures` is the number of failed ones in a row. One without a plan keeps the gauges."""
        self.cycles[cycle.status] += 1
        calls = cycle.calls
        self.calls.update(requests=calls.requests, retries=calls.retries, throttled=calls.throttled)
        self._applied += len(applied_outcomes(cycle.report)) if cycle.report else 0
        self._seconds += cycle.seconds
        self._last_seconds, self._failures = cycle.seconds, failures
        self._last_end = cycle.started_at.timestamp() + cycle.seconds
        if cycle.status not in ("failed", "partly"):
            self._last_success_end = self._last_end
        plan, remaining = cycle.plan, cycle.remaining
        if plan is not None and remaining is not None:
            self._gauges = {
                "pending_changes": count_pending(remaining),
                "drifted_rules": count_drifted(remaining),
                "missing_rules": len(missing_rules(remaining)),
                "rules_in_the_way": len(cycle.in_the_way),
                "failed_live_tests": cycle.drift.failed_tests if cycle.drift else 0,
                "held_changes": len(remaining.held),
                "conflicts": len(remaining.conflicts),
                "refused_guards": len(cycle.failed_guards) if remaining is plan else 0,
                "failed_tests": len(plan.failed_tests),
                "managed_rules": len(remaining.managed),
            }

    def format_text(self) -> str:
        """Return everything in Prometheus' text format."""
        return exposition(self._lines())

    def _lines(self) -> Iterator[str]:
        for name, text in _GAUGE_HELP.items():
            yield from metric(f"cxroute_{name}", "gauge", text, self._gauges[name])
        time = "Unix time of the end of the last round"
        success = f"{time} that neither failed nor was left half done; 0 before the first."
        gauges = (
            ("last_round_timestamp_seconds", f"{time}; 0 before the first.", self._last_end),
            ("last_success_timestamp_seconds", success, self._last_success_end),
            ("failures_in_a_row", "Failed rounds since the last good one.", self._failures),
            ("last_round_seconds", "How long the last round took.", self._last_seconds),
        )
        for name, text, value in gauges:
            yield from metric(f"cxroute_{name}", "gauge", text, value)
        yield from metric_header("cxroute_round_seconds", "summary", "How long rounds took.")
        yield sample("cxroute_round_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_round_seconds_count", self.cycles.total())
        yield from metric_header("cxroute_rounds_total", "counter", "Rounds, by what they came to.")
        yield from (sample("cxroute_rounds_total", self.cycles[status], result=status) for status in CYCLE_STATUSES)
        yield from metric("cxroute_applied_changes_total", "counter", "Changes that were made.", self._applied)
        yield from metric("cxroute_api_requests_total", "counter", "Calls to the API.", self.calls["requests"])
        yield from metric("cxroute_api_retries_total", "counter", "Calls that were repeats.", self.calls["retries"])
        throttled = "Answers 429: the tenant said that it was too fast."
        yield from metric("cxroute_api_throttled_total", "counter", throttled, self.calls["throttled"])
        name = "cxroute_notifications_total"
        yield from metric_header(name, "counter", "Messages to the web hook, by what became of them.")
        yield from (sample(name, self.notifications[result], result=result) for result in _DELIVERY_RESULTS)
