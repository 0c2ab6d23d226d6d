"""The tenant's clock beside the one here: a date between the two stops a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

from reconciler.core.desired.calendar import Calendar
from reconciler.core.desired.server_clock import ServerClock
from tests.support.builders import NOW
from tests.support.cases import each_case

SECOND = timedelta(seconds=1)


def calendar(*dates: datetime) -> Calendar:
    return Calendar(
        entries=(), instant=NOW, boundaries=dates, declared_types={}, zone=UTC
    )


def problem(ahead: float, *dates: float) -> str:
    """Return the problem of a server that is so many seconds ahead, with dates at seconds."""
    clock = ServerClock()
    clock.observe({"date": format_datetime(NOW + SECOND * ahead, usegmt=True)}, NOW)
    return clock.problem(calendar(*(NOW + SECOND * date for date in dates)), NOW)


def test_a_date_between_the_clocks_is_a_problem() -> None:
    """If they are more than a minute apart; beside a comparison of what each clock says is over."""
    random = Random(3)
    for _ in range(500):
        ahead = random.randint(-200, 200)
        dates = sorted(random.sample(range(-250, 250), 2))
        over_here = [date for date in dates if date <= 0]
        over_there = [date for date in dates if date <= ahead]
        expected = abs(ahead) > 60 and over_here != over_there
        assert expected is bool(problem(ahead, *dates)), (ahead, dates)
    assert (
        "the tenant's clock shows 2026-11-25T12:02:00Z, and the one here 2026-11-25T12:00:00Z: rules "
        "change between the two, at 2026-11-25T12:01:00Z" in problem(120, 60)
    )


@each_case(
    "headers",
    [
        {},
        {"date": "yesterday"},
        {"date": "\x1b[31m"},
        {"date": "Wed, 99 Nov 2026 12:00:00 GMT"},
        {"date": "Wed, 25 Nov 2026 18:00:00 GMT", "age": "9"},
    ],
)
def test_an_unusable_date_says_nothing(headers: dict[str, str]) -> None:
    """A wrong header, and that of a cache."""
    clock = ServerClock()
    clock.observe(headers, NOW)
    assert "" == clock.problem(calendar(NOW + SECOND), NOW)


def test_rules_without_dates_have_no_clock() -> None:
    """Then a wrong clock is of no interest here."""
    clock = ServerClock(ahead=timedelta(days=1))
    assert "" == clock.problem(None, NOW)
