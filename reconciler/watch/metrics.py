"""What the loop counts, as Prometheus reads it. No label has a value that anybody outside could choose."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from reconciler.plan.drift import missing
from reconciler.text.prometheus import exposition, metric, metric_header, sample
from reconciler.watch.cycle import RESULTS, Round, done, drifted, pending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


_STATE: Final = {
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
_SENT: Final = ("sent", "failed")


class RoundMetrics:
    """Counts rounds, what they asked of the API and changed, and notifications; keeps what the last ones found."""

    def __init__(self) -> None:
        self.rounds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.notifications: Counter[str] = Counter()
        self._applied = 0
        self._seconds = self._last_seconds = 0.0
        self._failures = 0
        self._last = self._last_success = 0.0
        self._state = dict.fromkeys(_STATE, 0)

    def seen(self, one: Round, failures: int) -> None:
        """Count a round; `failures` of them in a row strained the tenant. One without a plan leaves what was found."""
        self.rounds[one.result] += 1
        calls = one.calls
        self.calls.update(requests=calls.requests, retries=calls.retries, throttled=calls.throttled)
        self._applied += len(done(one.report)) if one.report else 0
        self._seconds += one.seconds
        self._last_seconds, self._failures = one.seconds, failures
        self._last = ended = _ended(one.began, one.seconds)
        if one.result not in ("failed", "partly"):
            self._last_success = ended
        if one.left is not None:
            self._state = _state(one)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return exposition(self._lines())

    def _lines(self) -> Iterator[str]:
        for name, said in _STATE.items():
            yield from metric(f"cxroute_{name}", "gauge", said, self._state[name])
        times = "Unix time of the end of the last round"
        yield from metric("cxroute_last_round_timestamp_seconds", "gauge", f"{times}; 0 before the first.", self._last)
        success = f"{times} that neither failed nor was left half done; 0 before the first."
        yield from metric("cxroute_last_success_timestamp_seconds", "gauge", success, self._last_success)
        yield from metric(
            "cxroute_failures_in_a_row", "gauge", "Failed rounds since the last good one.", self._failures
        )
        yield from metric("cxroute_last_round_seconds", "gauge", "How long the last round took.", self._last_seconds)
        yield from metric_header("cxroute_round_seconds", "summary", "How long rounds took.")
        yield sample("cxroute_round_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_round_seconds_count", self.rounds.total())
        yield from metric_header("cxroute_rounds_total", "counter", "Rounds, by what they came to.")
        for result in RESULTS:
            yield sample("cxroute_rounds_total", self.rounds[result], result=result)
        yield from metric("cxroute_applied_changes_total", "counter", "Changes that were made.", self._applied)
        yield from metric("cxroute_api_requests_total", "counter", "Calls to the API.", self.calls["requests"])
        yield from metric("cxroute_api_retries_total", "counter", "Calls that were repeats.", self.calls["retries"])
        throttled = "Answers 429: the tenant said that it was too fast."
        yield from metric("cxroute_api_throttled_total", "counter", throttled, self.calls["throttled"])
        yield from metric_header(
            "cxroute_notifications_total", "counter", "Messages to the web hook, by what became of them."
        )
        for sent in _SENT:
            yield sample("cxroute_notifications_total", self.notifications[sent], result=sent)


def _state(one: Round) -> dict[str, int]:
    left = one.left
    if left is None or one.plan is None:
        return dict.fromkeys(_STATE, 0)
    return {
        "pending_changes": pending(left),
        "drifted_rules": drifted(left),
        "missing_rules": len(missing(left)),
        "rules_in_the_way": len(one.in_the_way),
        "failed_live_tests": one.drift.failed_tests if one.drift else 0,
        "held_changes": len(left.held),
        "conflicts": len(left.conflicts),
        "refused_guards": len(one.refused) if left is one.plan else 0,
        "failed_tests": len(one.plan.failed_tests),
        "managed_rules": len(left.managed),
    }


def _ended(began: datetime, seconds: float) -> float:
    return began.timestamp() + seconds
