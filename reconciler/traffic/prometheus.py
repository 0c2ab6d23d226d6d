"""The endpoint's counters in Prometheus -> counted cells. Prometheus itself handles restarts of the endpoint."""

import math
from collections.abc import Iterator
from typing import Any, Final

from reconciler.endpoint.metrics import NONE, OTHER
from reconciler.errors import CxrouteError
from reconciler.text.json_values import as_object, as_text
from reconciler.traffic.cells import CONFIDENCE, INTENT, OTHER_INTENT, CellCounts
from reconciler.traffic.sample import CellValue, parse_confidence

_METRIC: Final = "cxroute_events_total"


def events_query(days: int, match: str) -> str:
    """Return the query for the events of the last days; `match` has matchers of labels, such as `job="cxroute"`."""
    return f"sum by (intent, confidence) (increase({_METRIC}{{{match}}}[{days}d]))"


def count_events(payload: object) -> CellCounts:
    """Return the events in the response to the query, as whole numbers. Raises CxrouteError."""
    cells = CellCounts((INTENT, CONFIDENCE))
    for labels, value in _read_vector(payload):
        count = round(value)
        if count > 0:
            cells.add((_intent(as_text(labels.get(INTENT))), _confidence(as_text(labels.get(CONFIDENCE)))), count)
    if not cells.counts:
        advice = f"check that it scrapes /metrics of each `cxroute serve`, and has {_METRIC}"
        raise CxrouteError(f"Prometheus has no events in this period: {advice}")
    return cells


def _read_vector(payload: object) -> Iterator[tuple[dict[str, Any], float]]:
    try:
        data = as_object(as_object(payload)["data"])
        if data["resultType"] != "vector":
            raise ValueError  # noqa: TRY301 - one sentence for every other form
        for series in data["result"]:
            value = float(series["value"][1])
            if not math.isfinite(value):
                raise ValueError  # noqa: TRY301 - see above
            yield as_object(series["metric"]), value
    except (LookupError, TypeError, ValueError):
        raise CxrouteError("the response is not that of Prometheus to a query") from None


def _intent(label: str) -> str | None:
    return {OTHER: OTHER_INTENT, NONE: None}.get(label, label) if label else OTHER_INTENT


def _confidence(label: str) -> CellValue:
    if label == NONE:
        return None
    try:
        confidence = parse_confidence(label)
    except ValueError:
        confidence = None
    if confidence is None:
        raise CxrouteError(f"{_METRIC} has a label that `cxroute serve` does not write: confidence={label[:20]!r}")
    return confidence
