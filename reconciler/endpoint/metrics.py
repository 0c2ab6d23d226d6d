"""The endpoint's metrics for Prometheus. A client cannot choose the value of a label."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from reconciler.text.prometheus import exposition, metric_header, sample

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds


class Metrics:
    """Counts requests by status and outcome, doubtful intents, and response times. `fallback` is a digest."""

    def __init__(self, fallback: str = "") -> None:
        self._fallback = fallback
        self.responses: Counter[tuple[int, str]] = Counter()
        self.fallback_reasons: Counter[str] = Counter()
        self.waiting_requests = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def count_response(self, status: int, outcome: str, seconds: float) -> None:
        """Count a response."""
        self.responses[status, outcome] += 1
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def render(self, gauges: Mapping[str, float]) -> bytes:
        """Return all metrics in Prometheus' text format, with `gauges` by name."""
        return exposition(self._lines({"cxroute_waiting": self.waiting_requests, **gauges})).encode()

    def _lines(self, gauges: Mapping[str, float]) -> Iterator[str]:
        yield from metric_header("cxroute_requests_total", "counter", "Requests to /api/route, by status and outcome.")
        for (status, outcome), count in sorted(self.responses.items()):
            yield sample("cxroute_requests_total", count, status=status, outcome=outcome)
        doubtful = "Intents that are not in an Intents document, or are unsure."
        yield from metric_header("cxroute_doubtful_intents_total", "counter", doubtful)
        for reason in ("unknown", "unsure"):
            yield sample("cxroute_doubtful_intents_total", self.fallback_reasons[reason], reason=reason)
        fallback = "The digest of the fallback, which `cxroute doctor --endpoint` compares."
        yield from metric_header("cxroute_fallback_info", "gauge", fallback)
        yield sample("cxroute_fallback_info", 1, digest=self._fallback)
        yield from metric_header("cxroute_request_seconds", "histogram", "Response times.")
        counts = list(accumulate(self._buckets))
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
            yield sample("cxroute_request_seconds_bucket", count, le=bound)
        yield sample("cxroute_request_seconds_sum", f"{self._seconds:.6f}")
        yield sample("cxroute_request_seconds_count", counts[-1])
        for name, value in gauges.items():
            yield f"# TYPE {name} gauge"
            yield sample(name, f"{value:g}")
