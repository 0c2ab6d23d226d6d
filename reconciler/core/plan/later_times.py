"""Dates of rules -> the times at which their changes are made: a freeze delays them to its end."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from reconciler.core.desired.calendar import Calendar
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.guard_limits import DatedFreeze
from reconciler.core.plan.guards import freeze_reason

_MINUTE = timedelta(minutes=1)


def times_of_changes(
    calendar: Calendar, environment: Environment, last: datetime
) -> Iterator[tuple[datetime, tuple[datetime, ...]]]:
    """Yield each time up to the last one at which changes are made, with the dates that it makes.

    A run makes the state of its own time, so it makes all dates that a freeze has delayed.
    """
    after = last + timedelta(microseconds=1)
    waiting: list[datetime] = []
    for boundary, following in pairwise([*calendar.boundaries_until(last), after]):
        waiting.append(boundary)
        at = _first_open(boundary, following, environment)
        if at is not None:
            yield at, tuple(waiting)
            waiting = []


def _first_open(
    boundary: datetime, following: datetime, environment: Environment
) -> datetime | None:
    """Return the first time from a boundary on, and before the following one, at which no freeze
    forbids changes; None without any.

    An exception may be about this boundary, so the following one is looked at by itself.
    """
    at = boundary
    while at < following:
        if not freeze_reason(environment, at, since=boundary):
            return at
        at = _next_time(at, environment)
    return None


def _next_time(at: datetime, environment: Environment) -> datetime:
    """Return the next time at which a freeze may be over: the end of a window of days, or the next
    minute.
    """
    ends = [
        window.bounds()[1]
        for window in environment.freeze
        if isinstance(window, DatedFreeze) and window.covers(at)
    ]
    return max(ends, default=at.replace(second=0, microsecond=0) + _MINUTE)
