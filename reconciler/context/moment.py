"""RFC 3339 timestamps as values that order, to the last digit and without a calendar's limits."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):(?:[0-5]\d:[0-5]\d|59:60)(?:\.(\d{1,18}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
"""Only the last minute of an hour has a leap second."""
_MINUTE: Final = len("2026-02-01T09:00")
_DAY: Final = 86_400


class Moment(NamedTuple):
    """A point of time: whole seconds since the year 1, and the digits of the fraction, which order as text does."""

    seconds: int
    fraction: str


def moment(text: str) -> Moment | None:
    """Read an RFC 3339 timestamp; None where it is none. A leap second comes right before the minute after it."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    fraction, sign, ahead, behind = match.groups()
    try:
        minute = datetime.fromisoformat(text[:_MINUTE])
    except ValueError:  # no such day
        return None
    seconds = _seconds(minute) + int(text[_MINUTE + 1 : _MINUTE + 3])
    if sign:
        offset = int(ahead) * 3600 + int(behind) * 60
        seconds += offset if sign == "-" else -offset
    return Moment(seconds, fraction.rstrip("0") if fraction else "")


def moment_of(now: datetime) -> Moment:
    """Return a time in UTC as a moment."""
    return Moment(_seconds(now), f"{now.microsecond:06}".rstrip("0"))


def _seconds(point: datetime) -> int:
    return point.toordinal() * _DAY + point.hour * 3600 + point.minute * 60 + point.second


def stamp(now: datetime) -> str:
    """Write a time in UTC as RFC 3339, in milliseconds."""
    parts = (now.year, now.month, now.day, now.hour, now.minute, now.second, now.microsecond // 1000)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % parts  # noqa: UP031 - a third of the time
