"""The clocks of four places as tables by the minute, by their laws and without a library of zones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

# 2027 to 2029: 2028 is a leap year
FIRST: Final = datetime(2027, 1, 1)  # noqa: DTZ001 - UTC, without an object for it
LAST: Final = datetime(2030, 1, 1)  # noqa: DTZ001 - as above
MINUTES: Final = (LAST - FIRST) // timedelta(minutes=1)
_SUNDAY: Final = 6
Year = int


class Place(NamedTuple):
    """A place: minutes that its clocks are ahead of UTC in winter and in summer, and the UTC times
    at which summer begins and ends in a year.
    """

    zone: str
    winter: int
    summer: int
    begins: Callable[[Year], datetime]
    ends: Callable[[Year], datetime]


def _sunday(year: int, month: int, number: int) -> datetime:
    """Return a Sunday of a month: the first is 1, the last -1."""
    days = [
        day
        for day in (datetime(year, month, 1) + timedelta(days=n) for n in range(31))  # noqa: DTZ001 - as above
        if day.month == month and day.weekday() == _SUNDAY
    ]
    return days[number - 1 if number > 0 else number]


def _hours(day: datetime, hours: float) -> datetime:
    return day + timedelta(hours=hours)


PLACES: Final = (
    # +10:30, in summer +11: from the first Sunday of October to that of April, at 2:00
    Place(
        "Australia/Lord_Howe",
        630,
        660,
        lambda year: _hours(_sunday(year, 10, 1), 2 - 10.5),
        lambda year: _hours(_sunday(year, 4, 1), 2 - 11),
    ),
    # from the second Sunday of March to the first of November, at 2:00
    Place(
        "America/New_York",
        -300,
        -240,
        lambda year: _hours(_sunday(year, 3, 2), 2 + 5),
        lambda year: _hours(_sunday(year, 11, 1), 2 + 4),
    ),
    # from the last Sunday of March to that of October, at 1:00 UTC
    Place(
        "Europe/Zurich",
        60,
        120,
        lambda year: _hours(_sunday(year, 3, -1), 1),
        lambda year: _hours(_sunday(year, 10, -1), 1),
    ),
    # always +5:30
    Place(
        "Asia/Kolkata",
        330,
        330,
        lambda year: datetime(year, 3, 1),  # noqa: DTZ001 - as above
        lambda year: datetime(year, 9, 1),  # noqa: DTZ001 - as above
    ),
)


class Minute(NamedTuple):
    """A minute, and the latest local time that the clocks have shown so far."""

    utc: datetime
    latest: datetime


def minutes_of(
    place: Place, first: datetime = FIRST, count: int = MINUTES
) -> Iterator[Minute]:
    """Yield minutes from a UTC time on, by default those of the three years.

    A local time has come as soon as the clocks have shown it or a later one: so a time that occurs
    twice means the first, and a skipped one the next that exists.
    """
    latest = datetime.min  # noqa: DTZ901 - a local time
    bounds: dict[int, tuple[datetime, datetime]] = {}
    minute = timedelta(minutes=1)
    utc = first
    for _ in range(count):
        if utc.year not in bounds:
            bounds[utc.year] = place.begins(utc.year), place.ends(utc.year)
        begins, ends = bounds[utc.year]
        is_summer = (
            (begins <= utc < ends) if begins < ends else not ends <= utc < begins
        )
        local = utc + minute * (place.summer if is_summer else place.winter)
        latest = max(latest, local)
        yield Minute(utc, latest)
        utc += minute
