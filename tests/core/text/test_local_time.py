"""Times of people: their forms, and local times beside two oracles of clocks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.desired.calendar import Interval
from reconciler.core.manifest.kinds.fields import time_zones
from reconciler.core.text.local_time import InvalidTimeError, instant_of, parse_time
from tests.support.cases import each_case
from tests.support.clock_table import FIRST, LAST, PLACES, Place

MINUTE = timedelta(minutes=1)
ZONES = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/New_York",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Havana",
    "Asia/Beirut",
    "Antarctica/Troll",
]
READING = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")
Clocks = dict[datetime, list[datetime]]
"""The instants at which the clocks show each local time."""


def readings_of(error: InvalidTimeError) -> list[datetime]:
    """Return the instants of the readings that an error names."""
    return [datetime.fromisoformat(text) for text in READING.findall(error.problem)]


def check_reading(local: datetime, zone: str, shown: Clocks) -> str:
    """Compare the reading of a local time with the clocks; return how often they show it."""
    instants = shown.get(local, [])
    if len(instants) == 1:
        assert instants == [instant_of(local, zone, "prod")]
        return "once"
    with pytest.raises(InvalidTimeError) as caught:
        instant_of(local, zone, "prod")
    error = caught.value
    assert zone in error.problem
    readings = readings_of(error)
    assert 2 == len(readings)
    if instants:
        assert "show it twice" in error.problem
        assert instants == readings
        return "twice"
    assert "skip it" in error.problem
    place = ZoneInfo(zone)
    walls = [reading.astimezone(place).replace(tzinfo=None) for reading in readings]
    assert [reading.utcoffset() for reading in readings] == [
        reading.astimezone(place).utcoffset() for reading in readings
    ]
    # one is after the change and one before it, each as far from the stated time as clocks jump
    later, earlier = walls
    assert later - local == local - earlier > timedelta()
    return "never"


def clocks_by_law(place: Place, first: datetime, count: int) -> Clocks:
    """Return the clocks of a place by its laws, without a library of zones."""
    shown: Clocks = defaultdict(list)
    for utc in (first + MINUTE * number for number in range(count)):
        begins, ends = place.begins(utc.year), place.ends(utc.year)
        is_summer = begins <= utc < ends if begins < ends else not ends <= utc < begins
        local = utc + MINUTE * (place.summer if is_summer else place.winter)
        shown[local].append(utc.replace(tzinfo=UTC))
    return shown


def clocks_around(instant: datetime, zone: str) -> Clocks:
    """Return the clocks of a zone, by asking for each minute of four days what they show."""
    place = ZoneInfo(zone)
    shown: Clocks = defaultdict(list)
    for number in range(-2 * 24 * 60, 2 * 24 * 60):
        minute = instant + MINUTE * number
        shown[minute.astimezone(place).replace(tzinfo=None)].append(minute)
    return shown


def changes_of(zone: str, random: Random) -> Iterator[datetime]:
    """Yield instants near changes of the clocks, in random years."""
    place = ZoneInfo(zone)
    for year in random.sample(range(1975, 2037), 3):
        begin = datetime(year, 1, 1, tzinfo=UTC)
        days = [begin + timedelta(days=number) for number in range(366)]
        for day in days:
            following = day + timedelta(days=1)
            offset = day.astimezone(place).utcoffset()
            if offset != following.astimezone(place).utcoffset():
                yield day + timedelta(hours=12)


@pytest.mark.parametrize("place", PLACES, ids=[each.zone for each in PLACES])
def test_local_times_around_each_change_are_those_of_the_law(place: Place) -> None:
    """In the hours around each change of the clocks, each local minute is tried."""
    hours = timedelta(hours=5)
    for year in range(FIRST.year, LAST.year):
        for change in (place.begins(year), place.ends(year)):
            shown = clocks_by_law(place, change - hours, 600)
            walls = sorted(shown)
            count = (walls[-1] - walls[0]) // MINUTE
            tried = [walls[0] + MINUTE * number for number in range(90, count - 90)]
            assert len(tried) > 300
            for local in tried:
                check_reading(local, place.zone, shown)


@pytest.mark.parametrize("zone", [*ZONES, "random"])
def test_random_local_times_are_those_that_the_clocks_show(zone: str) -> None:
    """Beside what the zone says for each minute of some days: once, twice or never."""
    random = Random(f"clocks {zone}")
    named = random.sample(list(time_zones()), 25) if zone == "random" else [zone]
    counts: dict[str, int] = defaultdict(int)
    for name in named:
        year = timedelta(days=365)
        anywhere = datetime(2026, 5, 5, tzinfo=UTC) + year * random.randint(-40, 9)
        instants = [*changes_of(name, random)][:6] or [anywhere]
        for instant in instants:
            shown = clocks_around(instant.replace(second=0), name)
            walls = sorted(shown)
            middle = walls[len(walls) // 2]
            near = [middle + MINUTE * number for number in range(-1500, 1500)]
            odd = [local for local in near if len(shown.get(local, ())) != 1]
            tried = [*random.sample(near, 40), *odd[:: max(1, len(odd) // 20)]]
            for local in tried:
                counts[check_reading(local, name, shown)] += 1
    assert counts["once"] >= 40
    if zone != "Asia/Kathmandu":
        assert counts["twice"] + counts["never"] >= 10


@each_case(
    "zone, local, first, second",
    [
        # skipped: the offset before the change, then the one after it
        (
            "Europe/Berlin",
            "2027-03-28T02:30",
            "2027-03-28T03:30:00+02:00",
            "2027-03-28T01:30:00+01:00",
        ),
        (
            "Australia/Lord_Howe",
            "2027-10-03T02:15",
            "2027-10-03T02:45:00+11:00",
            "2027-10-03T01:45:00+10:30",
        ),
        # twice
        (
            "Europe/Berlin",
            "2027-10-31T02:30",
            "2027-10-31T02:30:00+02:00",
            "2027-10-31T02:30:00+01:00",
        ),
        # the midnight of a date
        (
            "America/Sao_Paulo",
            "2018-11-04",
            "2018-11-04T01:00:00-02:00",
            "2018-11-03T23:00:00-03:00",
        ),
        (
            "America/Havana",
            "2027-11-07",
            "2027-11-07T00:00:00-04:00",
            "2027-11-07T00:00:00-05:00",
        ),
        # a day that Samoa skipped
        (
            "Pacific/Apia",
            "2011-12-30",
            "2011-12-31T00:00:00+14:00",
            "2011-12-29T00:00:00-10:00",
        ),
    ],
)
def test_the_error_names_both_readings(
    zone: str, local: str, first: str, second: str
) -> None:
    """Each can be written instead."""
    with pytest.raises(InvalidTimeError) as caught:
        instant_of(parse_time(local), zone, "prod")
    assert caught.value.problem.endswith(f"so it could mean {first} or {second}")


def test_an_offset_wins_over_the_zone() -> None:
    """A time with its offset is the same instant in each zone, and without one."""
    time = parse_time("2027-03-28T02:30:00+05:00")
    instants = {instant_of(time, zone, "prod") for zone in (*ZONES, None)}
    assert {datetime(2027, 3, 27, 21, 30, tzinfo=UTC)} == instants


def test_a_local_time_without_a_zone_is_refused() -> None:
    """The message says what to write; a date alone is a local time."""
    for text in ("2027-03-28T02:30", "2027-03-28"):
        with pytest.raises(InvalidTimeError) as caught:
            instant_of(parse_time(text), None, "prod")
        assert "is a local time, and prod has no `timezone`" in caught.value.problem
        assert "add the offset of the time from UTC" in caught.value.remedy


@each_case(
    "text, expected",
    [
        ("2026-12-27T06:00+01:00", "2026-12-27T06:00:00+01:00"),
        ("2026-12-27t06:00:30z", "2026-12-27T06:00:30+00:00"),
        ("2026-12-27T06:00:30.999Z", "2026-12-27T06:00:30+00:00"),
        ("2026-12-27T06:00:30.123456789-23:59", "2026-12-27T06:00:30-23:59"),
        ("2026-12-27T06:00", "2026-12-27T06:00:00"),
        ("2026-12-27T23:59:59.5", "2026-12-27T23:59:59"),
        ("2028-02-29", "2028-02-29T00:00:00"),
    ],
)
def test_the_forms_of_a_time(text: str, expected: str) -> None:
    """A fraction of a second is left out, and a date is its midnight."""
    assert expected == parse_time(text).isoformat()


@each_case(
    "text",
    [
        "",
        "now",
        "2026-12",
        "2027-02-29",
        "2026-12-27T",
        "2026-12-27T24:00",
        "2026-12-27T06",
        "2026-12-27 06:00",
        "2026-12-27T06:00:60Z",
        "2026-12-27T06:00+1",
        "2026-12-27T06:00+01",
        "2026-12-27+01:00",
        "2026-12-27T06:00+24:00",
        "20261227T060000Z",
        "2026-W52-7",
        "1969-12-31",
        "9999-01-01",
        "٢٠٢٦-12-27",
        "2026-12-27T06:00\n",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    """The message lists the forms."""
    with pytest.raises(
        InvalidTimeError, match=r"must be a time, such as .* \(its midnight\)"
    ):
        parse_time(text)


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
