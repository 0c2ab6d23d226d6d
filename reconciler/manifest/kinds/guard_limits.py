"""Guards of an Environment, their limits and exceptions, and freeze windows (docs/operations.md#freeze)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from reconciler.manifest.kinds.fields import (
    ADDRESS,
    ADDRESS_GLOB,
    CLOCK,
    FIRST_YEAR,
    LAST_YEAR,
    FindingCode,
    LongList,
    NonEmptyList,
    NonEmptyText,
    Omittable,
    Percent,
    ShortList,
    StrictModel,
    Timestamp,
    Zone,
    exemplary,
    omittable,
    optional,
    parse_timestamp,
    required,
)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _parse_day_or_instant(value: object) -> object:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and "T" in value.upper():
        return parse_timestamp(value)
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and _DATE.fullmatch(value) else date.min
    except ValueError:
        day = date.min
    if FIRST_YEAR <= day.year <= LAST_YEAR:
        return day
    raise PydanticCustomError("CXR104", "must be a date, such as 2026-12-20, or a time with its offset")


DayOrInstant = Annotated[date | datetime, BeforeValidator(_parse_day_or_instant)]


class WeeklyFreeze(StrictModel):
    """A window that comes back every week. One that ends at or before its start ends on the next day."""

    days: NonEmptyList[Day] = required(
        "The days on which it begins. One that runs past midnight belongs to the day of its start.",
        ["fri", "sat", "sun"],
    )
    from_: Annotated[str, Field(pattern=CLOCK)] = Field(
        default="00:00",
        alias="from",
        description="The time of day at which it begins; without it, at midnight.",
        examples=["16:00"],
    )
    to: Annotated[str, Field(pattern=CLOCK)] = exemplary(
        "24:00", "The time of day at which it ends. One at or before `from` is on the next day."
    )
    timezone: Zone = optional("UTC", "Whose clock and days are meant, by the name of a time zone.", "Europe/Berlin")
    reason: str = optional("", "Why nothing may change then; a refusal says it.", "weekend")

    def covers(self, now: datetime) -> bool:
        """Tell whether an instant lies in the window; its end is not part of it."""
        local = now.astimezone(ZoneInfo(self.timezone))
        minute = local.hour * 60 + local.minute
        start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (self.from_, self.to))
        today, yesterday = (_DAYS[(local.weekday() - days) % len(_DAYS)] in self.days for days in (0, 1))
        if start < end:
            return today and start <= minute < end
        return (today and minute >= start) or (yesterday and minute < end)


class DatedFreeze(StrictModel):
    """A window between two days (both belong to it) or two instants (the end does not)."""

    start: DayOrInstant = required("The first day, or a time with its offset from UTC.", "2026-12-20")
    end: DayOrInstant = required("The last day, which still belongs to it, or the time at which it ends.", "2027-01-02")
    timezone: Zone = optional("UTC", "Where those days begin and end, by the name of a time zone.", "Europe/Berlin")
    reason: str = optional("", "Why nothing may change then; a refusal says it.", "peak season")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        start, end = self.bounds()
        if start < end:
            return self
        raise PydanticCustomError("CXR104", "the window ends before it begins")

    def covers(self, now: datetime) -> bool:
        """Tell whether an instant lies in the window."""
        start, end = self.bounds()
        return start <= now < end

    def bounds(self) -> tuple[datetime, datetime]:
        """Return the instants at which the window begins and ends."""
        return self._instant(self.start, 0), self._instant(self.end, 1)

    def _instant(self, when: date | datetime, days: int) -> datetime:
        if isinstance(when, datetime):
            return when
        return datetime.combine(when + timedelta(days=days), time(), ZoneInfo(self.timezone))


def _freeze_tag(value: object) -> str:
    if isinstance(value, DatedFreeze) or (isinstance(value, Mapping) and ("start" in value or "end" in value)):
        return "<dated>"
    return "<weekly>"


Freeze = Annotated[
    Annotated[WeeklyFreeze, Tag("<weekly>")] | Annotated[DatedFreeze, Tag("<dated>")], Discriminator(_freeze_tag)
]

GuardName = Literal["deletes", "changes", "emptied", "protected", "unrouted", "traffic", "freeze", "transient"]


class Limit(StrictModel):
    """How many may go or change: whichever of the two is more. One that is left out is 0."""

    count: Annotated[int, Field(ge=0, le=2**31 - 1)] = optional(
        0, "So many are always allowed, however few rules there are.", 2
    )
    percent: Percent = optional(0, "So many percent of all managed rules are allowed, where that is more.", 30)


class TrafficLimit(StrictModel):
    """How much of the traffic sample may go to another queue."""

    percent: Percent = required("So many percent of the sample's conversations may go to another queue.", 10)


class Allow(StrictModel):
    """A guard that is lifted until a time, reviewed like all else."""

    name: GuardName = required("The guard to lift, by the name that a refusal says.", "deletes")
    until: Timestamp = required("When the guard holds again: a time with its offset from UTC.", "2026-12-01T00:00:00Z")
    reason: NonEmptyText = required("Why it may be lifted; shown in plans and kept in the journal.", "CHG-1042")


class Accept(StrictModel):
    """A finding that is meant in this Environment: it is counted and not shown."""

    code: FindingCode = required("The finding's code. An error cannot be accepted.", "CXR202")
    address: Omittable[Annotated[str, Field(pattern=ADDRESS_GLOB)]] = omittable(
        "The rules that it is accepted for, such as exchange/* (* stands for anything). Default: findings that are"
        " about no single rule.",
        "exchange/*",
    )
    reason: NonEmptyText = required(
        "Why the finding is meant; kept in the plan's JSON.", "the rule made by hand goes in June"
    )


class Guard(StrictModel):
    """What an apply must not do: beyond these, it refuses."""

    deletes: Limit = optional(
        Limit(count=2, percent=30),
        "How many rules one apply may delete or switch off before it refuses: the larger of a count and a percentage.",
        {"count": 2, "percent": 30},
    )
    changes: Omittable[Limit] = omittable(
        "How many rules one apply may update or delete before it refuses. Default: no limit.",
        {"count": 10, "percent": 20},
    )
    traffic: Omittable[TrafficLimit] = omittable(
        "How much of the traffic sample one apply may send to other queues. Default: no limit.", {"percent": 10}
    )
    protected: LongList[Annotated[str, Field(pattern=ADDRESS)]] = optional(
        (),
        "Rules (RuleSet's name/key) that may not be deleted, switched off or routed otherwise, and whose"
        " conversations may go nowhere else.",
        ["cards/lost-or-stolen-card"],
    )
    allow: ShortList[Allow] = optional(
        (),
        "Guards that are lifted for a while, each with a reason. Shown above all else in every plan.",
        [{"name": "deletes", "until": "2026-12-01T00:00:00Z", "reason": "CHG-1042"}],
    )
