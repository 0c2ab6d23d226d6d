"""The endpoint's counters in Prometheus -> counted cells.

Prometheus itself handles restarts of the endpoint.
"""

from datetime import UTC, datetime
from typing import Any, Final

from reconciler.core.errors import CxrouteError
from reconciler.features.traffic.cells import (
    CONFIDENCE,
    INTENT,
    OTHER_INTENT,
    CellCounts,
)

# Of the labels in endpoint/metrics.py.
_INTENTS: Final = {"other": OTHER_INTENT, "none": None}


def events_query(days: int, match: str) -> str:
    """Return the query for the events of the last days, and for the time of the first counts in
    them.

    `match` has matchers of labels, such as `job="cxroute"`. The time is exact to the hour for up to
    59 days.
    """
    counter = f"cxroute_events_total{{{match}}}"
    step = f"{max(1, days // 30)}h"
    events = f"sum by (intent, confidence) (increase({counter}[{days}d]))"
    return (
        f"{events} or min_over_time(timestamp(count({counter}))[{days}d:{step}]) or "
        f"timestamp(count({counter}))"
    )


def count_events(payload: Any) -> tuple[CellCounts, datetime | None]:  # noqa: ANN401 - any JSON
    """Return the events in the response to the query, as whole numbers, and the first time.

    Raises CxrouteError.
    """
    cells = CellCounts((INTENT, CONFIDENCE))
    first = None
    try:
        for series in payload["data"]["result"]:
            if not series["metric"]:
                first = datetime.fromtimestamp(float(series["value"][1]), UTC)
                continue
            intent = series["metric"]["intent"]
            confidence = series["metric"]["confidence"]
            value = None if confidence == "none" else float(confidence)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(confidence)  # noqa: TRY301 - one sentence for every wrong form
            if count := round(float(series["value"][1])):
                cells.add((_INTENTS.get(intent, str(intent)), value), count)
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        raise CxrouteError(
            "Prometheus' response does not have the counts of cxroute_events_total"
        ) from None
    if not cells.counts:
        advice = "check that it scrapes /metrics of each `cxroute serve`"
        raise CxrouteError(
            f"Prometheus has no cxroute_events_total above 0 in this period: {advice}"
        )
    return cells, first
