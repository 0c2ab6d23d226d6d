"""An interval of rules with dates as JSON."""

from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.core.desired.calendar import Interval
from reconciler.core.text.local_time import shown_instant

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import IntervalJson


def interval_to_json(interval: Interval) -> "IntervalJson":
    """Return an interval, in UTC; null where it is open."""
    return {"from": _end(interval.start), "until": _end(interval.end)}


def _end(instant: datetime | None) -> str | None:
    return None if instant is None else shown_instant(instant)
