"""Local times of manifests -> instants.

zoneinfo reads the zones of the machine; without them, those of the package `tzdata`, which cxroute
requires. The names of zones are checked in that package's list.
"""

from datetime import UTC, datetime, timedelta, tzinfo

_SECOND = timedelta(seconds=1)


def instant_of(time: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a time in UTC; a time without an offset is local in the zone.

    A local time that occurs twice means the first. One that the clocks skip means the next instant
    that exists: the one at which they go forward.
    """
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    first = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == time:
        return first

    # Of a skipped time, fold 1 has the offset after the change: an instant before it.
    before = time.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _first_with_offset_of(first, before, zone)


def _first_with_offset_of(late: datetime, early: datetime, zone: tzinfo) -> datetime:
    """Return the first whole second after `early` with the offset of `late`."""
    offset = late.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        seconds = (late - early) // _SECOND
        middle = early + _SECOND * (seconds // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late


def shown_instant(instant: datetime, zone: tzinfo = UTC) -> str:
    """Return an instant in a zone for people and JSON: `2026-12-27T06:00:00+01:00`, or with Z."""
    text = instant.astimezone(zone).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
