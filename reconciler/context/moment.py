"""RFC 3339 timestamps as values that order, to the last digit and without a calendar's limits."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAY: Final = 86_400
_LEAP: Final = 60


class Moment(NamedTuple):
    """A point of time: whole seconds since the year 1, and the digits of the fraction, which order as text does."""

    seconds: int
    fraction: str


def moment(text: str) -> Moment | None:
    """Read an RFC 3339 timestamp; None where it is none. A leap second comes right before the minute after it."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    ahead, behind = int(match[9] or 0), int(match[10] or 0)
    if hour > 23 or minute > 59 or ahead > 23 or behind > 59:  # noqa: PLR2004 - a clock's last hour and minute
        return None
    if second > _LEAP or (second == _LEAP and minute != 59):  # noqa: PLR2004 - the only minute that has one
        return None
    try:
        days = date(year, month, day).toordinal()
    except ValueError:
        return None
    offset = (ahead * 3600 + behind * 60) * (-1 if match[8] == "-" else 1)
    return Moment(days * _DAY + hour * 3600 + minute * 60 + second - offset, (match[7] or "").rstrip("0"))


def moment_of(now: datetime) -> Moment:
    """Return a time in UTC as a moment."""
    seconds = now.toordinal() * _DAY + now.hour * 3600 + now.minute * 60 + now.second
    return Moment(seconds, f"{now.microsecond:06}".rstrip("0"))


def stamp(now: datetime) -> str:
    """Write a time in UTC as RFC 3339, in milliseconds."""
    return f"{now.isoformat('T', 'milliseconds')[:23]}Z"
