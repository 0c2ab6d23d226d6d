"""Freeze windows: whether changes are frozen at a moment (spec.md section 2, `freeze`)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from reconciler.manifest.documents import WeeklyFreeze

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.manifest.documents import DatedFreeze

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def frozen(windows: Iterable[WeeklyFreeze | DatedFreeze], now: datetime) -> str | None:
    """Return the reason of the first window that is open at `now` (an aware time), or None."""
    for window in windows:
        local = now.astimezone(ZoneInfo(window.timezone))
        is_open = _weekly(window, local) if isinstance(window, WeeklyFreeze) else _dated(window, local)
        if is_open:
            return window.reason
    return None


def _weekly(window: WeeklyFreeze, local: datetime) -> bool:
    """A window that ends before it begins goes on into the next day."""
    start, end = _minutes(window.from_), _minutes(window.to)
    minute = local.hour * 60 + local.minute
    today, yesterday = _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    if start < end:
        return today in window.days and start <= minute < end
    return (today in window.days and minute >= start) or (yesterday in window.days and minute < end)


def _dated(window: DatedFreeze, local: datetime) -> bool:
    """A date as an end takes the whole of that day in."""
    start, end = window.start, window.end
    last = end if isinstance(end, datetime) else end + timedelta(days=1)
    return _moment(start, local) <= local < _moment(last, local)


def _moment(when: date | datetime, local: datetime) -> datetime:
    return when if isinstance(when, datetime) else datetime.combine(when, time(), local.tzinfo)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
