"""The endpoint's metrics for Prometheus. A client cannot choose the value of a label."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from itertools import accumulate
from math import nextafter
from typing import Final

from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, FallbackPolicy
from reconciler.core.text.prometheus import metric, metric_header, sample

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds
_TENTHS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Of an event whose timestamp is too far ahead of the clock.
FUTURE_OUTCOME: Final = "future"
# Labels; an intent with such a name is counted as `other`.
_OTHER: Final = "other"
_NONE: Final = "none"
# `none`: an earlier request gets its response instead.
_REFUSAL_STATUSES: Final = ("400", "408", "431", "503", _NONE)


class EventCounts:
    """Counts events by intent, tenth of the confidence and reason of the fallback."""

    # All series exist from the start: Prometheus' `increase` misses the first value of a series
    # that appears later.
    def __init__(self, fallback: FallbackPolicy) -> None:
        self._counts = Counter[tuple[str, str, str]]()
        self.use(fallback)

    def use(self, fallback: FallbackPolicy) -> None:
        """Count by a fallback from now on; earlier counts stay."""
        self._fallback = fallback
        self._intents = fallback.known_intents - {_OTHER, _NONE}
        just_below = [nextafter(tenth, 0) for tenth in _TENTHS[1:]]
        for confidence in (None, *_TENTHS, *just_below):
            for intent in (*fallback.known_intents, ""):  # "": every unknown one
                key = self._key(intent, confidence)
                self._counts.setdefault(key, 0)

    def add(self, intent: str, confidence: float | None) -> None:
        """Count an event as the bot sent it."""
        key = self._key(intent, confidence)
        self._counts[key] += 1

    def _key(self, intent: str, confidence: float | None) -> tuple[str, str, str]:
        tenth = _NONE
        if confidence is not None:
            index = bisect_right(_TENTHS, confidence) - 1
            tenth = str(_TENTHS[index])
        label = intent if intent in self._intents else _OTHER
        doubt = self._fallback.doubt(intent, confidence) or _NONE
        return label, tenth, doubt

    def lines(self) -> Iterator[str]:
        """Yield the counts in Prometheus' text format."""
        name = "cxroute_events_total"
        yield from metric_header(
            name,
            "counter",
            "Accepted events, by intent, tenth of the confidence, and fallback.",
        )
        for (intent, confidence, fallback), count in sorted(self._counts.items()):
            yield sample(
                name,
                count,
                intent=intent,
                confidence=confidence,
                fallback=fallback,
            )


class Metrics:
    """Counts requests by status and outcome, events, and response times."""

    def __init__(self, fallback: FallbackPolicy = NO_FALLBACK) -> None:
        self._fallback = fallback.digest
        self.events = EventCounts(fallback)
        # This series exists from the start, for an alert on it.
        self.responses = Counter[tuple[int, str]]({(400, FUTURE_OUTCOME): 0})
        self.refusals = Counter(dict.fromkeys(_REFUSAL_STATUSES, 0))
        self.waiting_requests = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def use(self, fallback: FallbackPolicy) -> None:
        """Count events by another fallback from now on."""
        self._fallback = fallback.digest
        self.events.use(fallback)

    def count_refusal(self, status: HTTPStatus | None) -> None:
        """Count a request that was refused before the endpoint could read it."""
        label = _NONE if status is None else str(status.value)
        self.refusals[label] += 1

    def count_response(self, status: int, outcome: str, seconds: float) -> None:
        """Count a response."""
        self.responses[status, outcome] += 1
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def lines(self) -> Iterator[str]:
        """Yield all counts in Prometheus' text format."""
        name = "cxroute_requests_total"
        text = "Requests to /api/route, by status and outcome."
        yield from metric_header(name, "counter", text)
        for (status, outcome), count in sorted(self.responses.items()):
            yield sample(name, count, status=status, outcome=outcome)

        name = "cxroute_refused_requests_total"
        text = "Requests that are not valid HTTP, or too slow, by status."
        yield from metric_header(name, "counter", text)
        for refusal_status, count in sorted(self.refusals.items()):
            yield sample(name, count, status=refusal_status)

        yield from self.events.lines()

        name = "cxroute_fallback_info"
        text = "The digest of the fallback, which `cxroute doctor --endpoint` compares."
        yield from metric_header(name, "gauge", text)
        yield sample(name, 1, digest=self._fallback)

        yield from self._response_times()

        text = "Requests to /api/route that wait for their turn, or for CXone."
        yield from metric("cxroute_waiting", "gauge", text, self.waiting_requests)

    def _response_times(self) -> Iterator[str]:
        name = "cxroute_request_seconds"
        yield from metric_header(name, "histogram", "Response times.")
        counts = list(accumulate(self._buckets))
        bounds = (*map(str, _BOUNDS), "+Inf")
        for bound, count in zip(bounds, counts, strict=True):
            yield sample(f"{name}_bucket", count, le=bound)
        yield sample(f"{name}_sum", f"{self._seconds:.6f}")
        yield sample(f"{name}_count", counts[-1])
