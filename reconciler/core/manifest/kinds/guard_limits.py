"""Guards of an Environment, their limits and exceptions, and freeze windows
(docs/operations.md#freeze).
"""

import operator
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.text.local_time import (
    InvalidTimeError,
    end_of_day,
    instant_of,
)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _read_day_or_time(value: object) -> date:
    """Return a day of a date alone, otherwise a time."""
    if isinstance(value, date):
        return value
    time = f.read_time(value)
    has_clock = "T" in str(value).upper()
    return time if has_clock else time.date()


DayOrTime = Annotated[
    date | datetime, BeforeValidator(_read_day_or_time), f.TIME_SCHEMA
]


class WeeklyFreeze(f.StrictModel):
    """A freeze window of every week."""

    days: f.NonEmptyList[Day] = f.required(
        "The days on which the window begins, also if it runs past midnight.",
        ["fri", "sat", "sun"],
    )
    from_: Annotated[str, Field(pattern=f.CLOCK)] = Field(
        default="00:00",
        alias="from",
        description="The start of the window. Default: midnight.",
        examples=["16:00"],
    )
    to: Annotated[str, Field(pattern=f.CLOCK)] = f.exemplary(
        "24:00",
        "The time of day at which the window ends. A time at or before `from` is on the next day.",
    )
    timezone: f.Zone = f.optional(
        "UTC",
        "The time zone of the days and times. Without it, the Environment's `timezone`, if it has one.",
        "Europe/Berlin",
    )
    reason: str = f.optional(
        "",
        "The reason for the freeze.",
        "weekend",
    )

    def covers(self, now: datetime) -> bool:
        """Return whether an instant is in the window, its end excluded."""
        local = now.astimezone(ZoneInfo(self.timezone))
        minute = local.hour * 60 + local.minute
        start = _minutes(self.from_)
        end = _minutes(self.to)
        weekday = local.weekday()
        is_today = _DAYS[weekday] in self.days
        if start < end:
            return is_today and start <= minute < end
        is_yesterday = _DAYS[weekday - 1] in self.days
        return (is_today and minute >= start) or (is_yesterday and minute < end)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


class DatedFreeze(f.StrictModel):
    """A freeze window between two days, both included, or two instants, the end excluded."""

    start: DayOrTime = f.required(
        "The first day, or the time at which the window begins.", "2026-12-20"
    )
    end: DayOrTime = f.required(
        "The last day (included), or the time at which the window ends.", "2027-01-02"
    )
    timezone: f.Zone = f.optional(
        "UTC",
        "The time zone of days and local times. Default: the Environment's `timezone`; without it, UTC "
        "for days alone.",
        "Europe/Berlin",
    )
    reason: str = f.optional(
        "",
        "The reason for the freeze.",
        "peak season",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        try:
            is_ordered = operator.lt(*self.bounds())
        except InvalidTimeError as error:
            raise PydanticCustomError("CXR104", str(error)) from None
        if not is_ordered:
            raise PydanticCustomError("CXR104", "the window ends before it begins")
        return self

    def covers(self, now: datetime) -> bool:
        """Return whether an instant is in the window."""
        start, end = self.bounds()
        return start <= now < end

    def bounds(self) -> tuple[datetime, datetime]:
        """Return the instants at which the window begins and ends."""
        start = self._instant(self.start)
        end = self.end
        if isinstance(end, datetime):
            return start, self._instant(end)
        return start, end_of_day(end, self.timezone)

    def _instant(self, when: date | datetime) -> datetime:
        """Return the instant of a time, or of the midnight that begins a day.

        Raises InvalidTimeError.
        """
        zone = self.timezone
        if isinstance(when, datetime):
            stated = zone if "timezone" in self.model_fields_set else None
            return instant_of(when, stated, "the freeze")
        return instant_of(datetime.combine(when, time()), zone, "the freeze")


def _freeze_tag(value: object) -> str:
    has_dates = isinstance(value, DatedFreeze) or (
        isinstance(value, Mapping) and ("start" in value or "end" in value)
    )
    return "<dated>" if has_dates else "<weekly>"


Freeze = Annotated[
    Annotated[WeeklyFreeze, Tag("<weekly>")] | Annotated[DatedFreeze, Tag("<dated>")],
    Discriminator(_freeze_tag),
]

GuardName = Literal[
    "deletes",
    "changes",
    "emptied",
    "protected",
    "unrouted",
    "traffic",
    "freeze",
    "transient",
    "promises",
]
"""A guard in refusals, `--allow` and JSON; `check_guards` has the check of each."""


class Limit(f.StrictModel):
    """A number of rules: the larger of the two."""

    count: Annotated[int, Field(ge=0, le=2**31 - 1)] = f.optional(
        0,
        "This number of rules is always allowed.",
        2,
    )
    percent: f.Percent = f.optional(
        0,
        "This percentage of all managed rules is allowed.",
        30,
    )


class TrafficLimit(f.StrictModel):
    """A share of the traffic sample."""

    percent: f.Percent = f.required(
        "The percentage of the conversations that may move to another queue.", 10
    )


class Allow(f.StrictModel):
    """A guard that is lifted until a time, in a reviewed change of the manifest."""

    name: GuardName = f.required(
        "The guard to lift, by its name in a refusal.", "deletes"
    )
    until: f.Omittable[f.Time] = f.omittable(
        "The end of the exception. Needed without `at`.",
        "2026-12-01T00:00:00Z",
    )
    at: f.Omittable[f.Time] = f.omittable(
        "The only date of rules whose changes may trip the guard, as it stands in the rule: the "
        "guard is lifted from then until the next date, for 31 days at most.",
        "2026-12-27T06:00",
    )
    reason: f.NonEmptyText = f.required("Why the guard is lifted.", "CHG-1042")
    _limited = f.require(
        lambda entry: entry.until is not None or entry.at is not None,
        "an exception needs its end: until or at",
    )


class Accept(f.StrictModel):
    """An accepted finding, which is counted and not shown."""

    code: f.FindingCode = f.required(
        "The finding's code, not that of an error.", "CXR202"
    )
    address: f.Omittable[Annotated[str, Field(pattern=f.ADDRESS_GLOB)]] = f.omittable(
        "The rules that it is accepted for, such as exchange/* (* matches any text). Default: "
        "findings that do not"
        " concern a single rule.",
        "exchange/*",
    )
    reason: f.NonEmptyText = f.required(
        "Why the finding is accepted.",
        "the unmanaged rule will be deleted in June",
    )


class Guard(f.StrictModel):
    """Limits beyond which an apply refuses."""

    deletes: Limit = f.optional(
        Limit(count=2, percent=30),
        "How many rules one apply may delete or switch off. Default: 2, or 30 %.",
        {"count": 2, "percent": 30},
    )
    changes: f.Omittable[Limit] = f.omittable(
        "How many rules one apply may update or delete. Default: no limit.",
        {"count": 10, "percent": 20},
    )
    traffic: f.Omittable[TrafficLimit] = f.omittable(
        "How much of the traffic sample one apply may move to other queues. Default: no limit.",
        {"percent": 10},
    )
    protected: f.LongList[Annotated[str, Field(pattern=f.ADDRESS)]] = f.optional(
        (),
        "Rules (RuleSet's name/key) that may not be deleted, switched off or rerouted, and whose "
        "conversations may not"
        " go to other queues.",
        ["cards/lost-or-stolen-card"],
    )
    allow: f.ShortList[Allow] = f.optional(
        (),
        "Guards that are lifted until a time, each with a reason. Every plan shows them first.",
        [{"name": "deletes", "until": "2026-12-01T00:00:00Z", "reason": "CHG-1042"}],
    )
