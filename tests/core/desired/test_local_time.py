"""Local times and the intervals of rules, beside tables of clocks by the minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.desired.calendar import Interval
from reconciler.core.desired.local_time import instant_of, shown_instant
from tests.support.cases import each_case
from tests.support.clock_table import FIRST, LAST, PLACES, Place, minutes_of

ZONES = [place.zone for place in PLACES]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=ZONES)
def test_each_local_minute_of_three_years_is_the_instant_of_the_table(
    place: Place,
) -> None:
    """Also the minutes that the clocks skip, and those that they show twice."""
    zone = ZoneInfo(place.zone)
    minute = timedelta(minutes=1)
    following = None
    for now, latest in minutes_of(place):
        while following is not None and following <= latest:
            assert now == instant_of(following, zone).replace(tzinfo=None)
            following += minute
        following = following or latest + minute


@pytest.mark.parametrize("place", PLACES, ids=ZONES)
def test_local_times_around_each_change_are_those_of_the_table(place: Place) -> None:
    """In the eight hours around each change of the clocks, each local minute is tried."""
    zone = ZoneInfo(place.zone)
    minute = timedelta(minutes=1)
    hours = timedelta(hours=4)
    checked = 0
    for year in range(FIRST.year, LAST.year):
        for change in (place.begins(year), place.ends(year)):
            following = None
            for now, latest in minutes_of(place, change - hours, 480):
                while following is not None and following <= latest:
                    instant = instant_of(following, zone)
                    assert now == instant.replace(tzinfo=None)
                    following += minute
                    checked += 1
                following = following or latest + minute
    assert checked > 6 * 400


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=ZONES)
def test_intervals_cover_the_minutes_of_the_table(place: Place) -> None:
    """A rule exists while the clocks have shown its `from`, and not yet its `until`."""
    random = Random(place.zone)
    zone = ZoneInfo(place.zone)
    span = (LAST - FIRST) // timedelta(minutes=1) - 2 * 24 * 60
    stated = []
    for change in (place.begins(2028), place.ends(2028)):
        local = change + timedelta(minutes=place.winter)
        stated += [local + timedelta(minutes=random.randint(-90, 90)) for _ in range(8)]
    stated += [
        FIRST + timedelta(days=1, minutes=random.randrange(span)) for _ in range(16)
    ]
    pairs = [sorted(random.sample(stated, 2)) for _ in range(60)]
    came = {}
    waiting = sorted(stated, reverse=True)
    for now, latest in minutes_of(place):
        while waiting and waiting[-1] <= latest:
            came[waiting.pop()] = now.replace(tzinfo=UTC)
    second = timedelta(seconds=1)
    for start, end in pairs:
        interval = Interval(instant_of(start, zone), instant_of(end, zone))
        for moment in came.values():
            for instant in (moment - second, moment, moment + second):
                exists = came[start] <= instant < came[end]
                assert exists == interval.covers(instant)


@each_case(
    "zone, local, expected",
    [
        # skipped: from 2:00 to 3:00, so the next instant is 3:00
        ("Europe/Zurich", "2027-03-28T02:30:00", "2027-03-28T03:00:00+02:00"),
        ("America/New_York", "2027-03-14T02:00:01", "2027-03-14T03:00:00-04:00"),
        ("Australia/Lord_Howe", "2027-10-03T02:15:00", "2027-10-03T02:30:00+11:00"),
        # twice: the first
        ("Europe/Zurich", "2027-10-31T02:30:00", "2027-10-31T02:30:00+02:00"),
        ("Australia/Lord_Howe", "2027-04-04T01:45:00", "2027-04-04T01:45:00+11:00"),
        ("America/New_York", "2027-11-07T01:00:07", "2027-11-07T01:00:07-04:00"),
        # a day that Samoa skipped
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-31T00:00:00+14:00"),
        ("UTC", "2028-02-29T00:00:00", "2028-02-29T00:00:00Z"),
    ],
)
def test_skipped_and_repeated_times(zone: str, local: str, expected: str) -> None:
    """Seconds count, too."""
    actual = instant_of(datetime.fromisoformat(local), ZoneInfo(zone))
    assert expected == shown_instant(actual, ZoneInfo(zone))


def test_an_offset_wins_over_the_zone() -> None:
    """A time with its offset is the same instant in each zone."""
    time = datetime.fromisoformat("2027-03-28T02:30:00+05:00")
    assert {time} == {instant_of(time, ZoneInfo(place.zone)) for place in PLACES}


@each_case(
    "first, second, expected",
    [
        ((None, None), (1, 2), True),
        ((None, 1), (1, None), False),
        ((1, 3), (2, 4), True),
        ((1, 2), (2, 3), False),
        ((None, 2), (None, 1), True),
        ((3, None), (1, 2), False),
    ],
)
def test_overlaps_are_symmetric(
    first: tuple[int | None, int | None],
    second: tuple[int | None, int | None],
    *,
    expected: bool,
) -> None:
    """An end is excluded."""
    one, other = (
        Interval(
            *(datetime(2027, 1, each, tzinfo=UTC) if each else None for each in pair)
        )
        for pair in (first, second)
    )
    assert expected == one.overlaps(other)
    assert expected == other.overlaps(one)
