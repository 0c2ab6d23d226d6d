"""The metrics of `cxroute watch` for Prometheus. No label has a value from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from reconciler.plan.drift import missing_rules
from reconciler.text.prometheus import exposition, metric, metric_header, sample
from reconciler.watch.cycle import CYCLE_STATUSES, CycleResult, applied_outcomes, count_drifted, count_pending

_GAUGE_HELP: Final = {
    "pending_changes": "Changes that apply would make, as of the last round with a plan.",
    "drifted_rules": "Rules changed in CXone, and rules missing there, as of the last round with a plan.",
    "missing_rules": "Rules of the manifests that are not live: deleted in CXone, or never applied.",
    "rules_in_the_way": "Unmanaged live rules that route conversations differently from the manifests.",
    "failed_live_tests": "Route tests that fail on the live rules.",
    "held_changes": "Changes that are not made: held, not pruned, kept.",
    "conflicts": "Unmanaged rules that conflict with managed rules.",
    "refused_guards": "Guards that refuse the changes.",
    "failed_tests": "Route tests that fail. Nothing is written while one fails.",
    "managed_rules": "Managed rules that are live.",
}
_DELIVERY_RESULTS: Final = ("sent", "failed")


class WatchMetrics:
    """Counts cycles, their API calls and changes, and notifications; keeps the figures of the last cycle."""

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
        """Count a cycle. `failures` is the number of consecutive failures. A cycle without a plan keeps the gauges."""
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
        """Return all metrics in Prometheus' text format."""
        return exposition(self._lines())

    def _lines(self) -> Iterator[str]:
        for name, text in _GAUGE_HELP.items():
            yield from metric(f"cxroute_{name}", "gauge", text, self._gauges[name])
        time = "Unix time of the end of the last round"
        success = f"{time} that did not fail, not even in part; 0 before the first."
        gauges = (
            ("last_round_timestamp_seconds", f"{time}; 0 before the first.", self._last_end),
            ("last_success_timestamp_seconds", success, self._last_success_end),
            ("failures_in_a_row", "Failed rounds since the last successful one.", self._failures),
            ("last_round_seconds", "Duration of the last round.", self._last_seconds),
        )
        for name, text, value in gauges:
            yield from metric(f"cxroute_{name}", "gauge", text, value)
        yield from metric_header("cxroute_round_seconds", "summary", "Duration of rounds.")
        yield sample("cxroute_round_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_round_seconds_count", self.cycles.total())
        yield from metric_header("cxroute_rounds_total", "counter", "Rounds, by result.")
        yield from (sample("cxroute_rounds_total", self.cycles[status], result=status) for status in CYCLE_STATUSES)
        yield from metric("cxroute_applied_changes_total", "counter", "Applied changes.", self._applied)
        yield from metric("cxroute_api_requests_total", "counter", "Calls to the API.", self.calls["requests"])
        yield from metric("cxroute_api_retries_total", "counter", "Calls that were retries.", self.calls["retries"])
        throttled = "Responses 429: the calls were too fast for the tenant."
        yield from metric("cxroute_api_throttled_total", "counter", throttled, self.calls["throttled"])
        name = "cxroute_notifications_total"
        yield from metric_header(name, "counter", "Messages to the webhook, by result.")
        yield from (sample(name, self.notifications[result], result=result) for result in _DELIVERY_RESULTS)
