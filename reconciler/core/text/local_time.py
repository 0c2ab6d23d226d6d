"""Times as people write them -> instants, and instants -> texts (docs/manifests.md#times).

zoneinfo reads the zones of the machine; without them, those of the package `tzdata`, which cxroute
requires. The names of zones are checked in that package's list.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

TIME_FORMS: Final = (
    "2026-12-27T06:00+01:00 (with its offset from UTC), 2026-12-27T06:00 (local time of "
    "`timezone`) or 2026-12-27 (its midnight)"
)
TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d([Tt]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)
# arithmetic with zones and days stays inside the calendar
_YEARS: Final = range(1970, 9999)


class InvalidTimeError(ValueError):
    """A text that is not a time, or a local time that is not one instant."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


def parse_time(text: str) -> datetime:
    """Return the time of a text: one without an offset is local, and a date is its midnight.

    A fraction of a second is left out. Raises InvalidTimeError.
    """
    with suppress(ValueError):
        if TIME.fullmatch(text):
            time = datetime.fromisoformat(text.upper())
            if time.year in _YEARS:
                return time.replace(microsecond=0)
    raise InvalidTimeError(f"must be a time, such as {TIME_FORMS}")


def instant_of(time: datetime, zone: str | None, owner: str) -> datetime:
    """Return the instant of a time in UTC; a time without an offset is local in the zone of its
    owner.

    Raises InvalidTimeError for a local time without a zone, and for one that a change of clocks
    skips or doubles.
    """
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    if zone is None:
        raise InvalidTimeError(
            f"{written_time(time)} is a local time, and {owner} has no `timezone`",
            "add the offset of the time from UTC, or write `timezone: Europe/Berlin` there",
        )
    place = ZoneInfo(zone)
    first, second = (
        time.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)
    )
    if first == second:
        return first
    is_shown = first.astimezone(place).replace(tzinfo=None) == time
    verb = "show it twice" if is_shown else "skip it"
    readings = (shown_instant(reading, place) for reading in (first, second))
    raise InvalidTimeError(
        f"{written_time(time)} is not an exact time in {zone}: the clocks {verb}, so it could mean "
        f"{' or '.join(readings)}",
        "write one of these two",
    )


def end_of_day(day: date, zone: str) -> datetime:
    """Return the instant in UTC at which a day ends in a zone.

    That is certain also where the clocks skip the next midnight, or show it twice.
    """
    midnight = datetime.combine(day + timedelta(days=1), time())
    return midnight.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def written_time(time: datetime) -> str:
    """Return a time as manifests write it; a local one stays local."""
    return time.isoformat() if time.tzinfo is None else shown_instant(time)


def shown_instant(instant: datetime, zone: tzinfo = UTC) -> str:
    """Return an instant in a zone for people and JSON: `2026-12-27T06:00:00+01:00`, or with Z."""
    text = instant.astimezone(zone).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
