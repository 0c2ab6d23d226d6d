"""The endpoint's counters in Prometheus -> counted cells. Prometheus itself handles restarts of the endpoint."""

from typing import Any, Final

from reconciler.errors import CxrouteError
from reconciler.traffic.cells import CONFIDENCE, INTENT, OTHER_INTENT, CellCounts

_INTENTS: Final = {"other": OTHER_INTENT, "none": None}  # of the labels in endpoint/metrics.py


def events_query(days: int, match: str) -> str:
    """Return the query for the events of the last days; `match` has matchers of labels, such as `job="cxroute"`."""
    return f"sum by (intent, confidence) (increase(cxroute_events_total{{{match}}}[{days}d]))"


def count_events(payload: Any) -> CellCounts:  # noqa: ANN401 - any JSON
    """Return the events in the response to the query, as whole numbers. Raises CxrouteError."""
    cells = CellCounts((INTENT, CONFIDENCE))
    try:
        for series in payload["data"]["result"]:
            intent, confidence = series["metric"]["intent"], series["metric"]["confidence"]
            value = None if confidence == "none" else float(confidence)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(confidence)  # noqa: TRY301 - one sentence for every wrong form
            if count := round(float(series["value"][1])):
                cells.add((_INTENTS.get(intent, str(intent)), value), count)
    except (LookupError, TypeError, ValueError, OverflowError):
        raise CxrouteError("Prometheus' response does not have the counts of cxroute_events_total") from None
    if not cells.counts:
        advice = "check that it scrapes /metrics of each `cxroute serve`"
        raise CxrouteError(f"Prometheus has no cxroute_events_total above 0 in this period: {advice}")
    return cells
