"""The clock of a tenant beside that of this machine: between the two, no date may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from reconciler.core.desired.calendar import Calendar
from reconciler.core.text.local_time import shown_instant

LIMIT: Final = timedelta(seconds=60)
"""How far apart the clocks may be at a date."""


@dataclass(slots=True)
class ServerClock:
    """How far the server's clock is ahead of this machine's, by its last response with a `Date`."""

    ahead: timedelta | None = None

    def observe(self, headers: Mapping[str, str], now: datetime) -> None:
        """Take the time of a response that arrived now; that of a cache, or a wrong one, is not
        used.
        """
        text = headers.get("date", "")
        if not text or "age" in headers:
            return
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return
        # without an offset, it is UTC
        self.ahead = date.replace(tzinfo=date.tzinfo or UTC) - now

    def problem(self, calendar: Calendar | None, now: datetime) -> str:
        """Return which date is over by one clock alone; empty if there is none."""
        if calendar is None or self.ahead is None or abs(self.ahead) <= LIMIT:
            return ""
        first, last = sorted((now, now + self.ahead))
        between = [date for date in calendar.boundaries if first < date <= last]
        if not between:
            return ""
        theirs = shown_instant((now + self.ahead).replace(microsecond=0))
        ours = shown_instant(now.replace(microsecond=0))
        return (
            f"the tenant's clock shows {theirs}, and the one here {ours}: rules change between the "
            f"two, at {shown_instant(between[0], calendar.zone)}. Set the clock, or wait"
        )
