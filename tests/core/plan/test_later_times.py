"""When changes are made that a freeze delays, against a clock that tries every minute."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.manifest.load import load_contents
from reconciler.core.model.rule import Queue
from reconciler.core.pipeline import build_plan
from reconciler.core.plan.later import HORIZON
from reconciler.core.plan.stages import LiveState, Plan

NOW: Final = datetime(2027, 3, 24, tzinfo=UTC)
"""Four days before the clocks of Berlin change, eleven before those of Lord Howe do."""
MINUTE: Final = timedelta(minutes=1)
LIVE: Final = LiveState((), (Queue("1", "Q"),))
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES: Final = ("UTC", "Europe/Berlin", "Australia/Lord_Howe")
Window = dict[str, Any]
Made = dict[datetime, tuple[datetime, ...]]


def a_plan(windows: list[Window], dates: list[datetime], allowed: list[Window]) -> Plan:
    head = {"apiVersion": "routing/v1", "owner": "acme", "tenant": "acme"}
    environment = {
        **head,
        "kind": "Environment",
        "name": "prod",
        "freeze": windows,
        "guard": {"allow": allowed},
    }
    rules = [
        {"key": f"k{number}", "intent": f"i{number}", "queue": "Q", "from": shown(date)}
        for number, date in enumerate(dates)
    ]
    ruleset = {
        "apiVersion": "routing/v1",
        "kind": "RuleSet",
        "name": "x",
        "rules": rules,
    }
    text = f"{json.dumps(environment)}\n---\n{json.dumps(ruleset)}\n"
    manifests = load_contents([("rules.yaml", text.encode())], instant=NOW)
    return build_plan(manifests, manifests.environment("prod"), LIVE)


def shown(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_frozen(windows: list[Window], at: datetime) -> bool:
    return any(is_inside(window, at) for window in windows)


def is_inside(window: Window, at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(window["timezone"]))
    if "start" in window:
        return bool(window["start"] <= local.strftime("%Y-%m-%d") <= window["end"])
    clock = local.strftime("%H:%M")
    begins_today = DAYS[local.weekday()] in window["days"]
    began_yesterday = DAYS[local.weekday() - 1] in window["days"]
    if window["from"] < window["to"]:
        return begins_today and window["from"] <= clock < window["to"]
    return (begins_today and clock >= window["from"]) or (
        began_yesterday and clock < window["to"]
    )


def made_by_the_minute(
    windows: list[Window], dates: list[datetime], allowed: frozenset[datetime]
) -> Made:
    """Return when a job that runs every minute makes which dates."""
    made = {}
    waiting: list[datetime] = []
    last_date = None
    at = NOW
    while at <= NOW + HORIZON:
        if at in dates:
            last_date = at
            waiting.append(at)
        if waiting and (last_date in allowed or not is_frozen(windows, at)):
            made[at] = tuple(waiting)
            waiting = []
        at += MINUTE
    return made


def a_window(chosen: Random) -> Window:
    zone = {"timezone": chosen.choice(ZONES)}
    if chosen.random() < 0.4:
        start = NOW + timedelta(days=chosen.randrange(80))
        end = start + timedelta(days=chosen.randrange(20))
        return {**zone, "start": f"{start:%Y-%m-%d}", "end": f"{end:%Y-%m-%d}"}
    hours = chosen.choices(("00:00", "02:15", "06:30", "16:00", "23:50"), k=2)
    days = chosen.sample(DAYS, chosen.randint(1, 6))
    return {**zone, "days": days, "from": hours[0], "to": hours[1]}


@pytest.mark.parametrize("seed", range(12))
def test_a_freeze_delays_dates_as_a_job_of_each_minute_shows(seed: int) -> None:
    """With exceptions that name a date, windows of days and of weeks, over changes of clocks."""
    chosen = Random(seed)
    windows = [a_window(chosen) for _ in range(chosen.randint(1, 3))]
    minutes = chosen.sample(range(1, 85 * 24 * 60), 10)
    dates = sorted(NOW + minute * MINUTE for minute in minutes)
    exceptions = chosen.sample(dates, chosen.randint(0, 2))
    allowed = [
        {"name": "freeze", "at": shown(date), "reason": "agreed"} for date in exceptions
    ]
    plan = a_plan(windows, dates, allowed)
    expected = made_by_the_minute(windows, dates, frozenset(exceptions))
    assert expected == {change.at: change.due for change in plan.later or ()}


def test_a_long_freeze_costs_a_plan_little() -> None:
    """Fifty dates in eleven weeks; trying each minute of each took 20 s."""
    window = {"timezone": "UTC", "start": "2027-03-25", "end": "2027-06-10"}
    dates = [NOW + timedelta(days=number + 1, hours=1) for number in range(50)]
    begin = time.process_time()
    (later,) = a_plan([window], dates, []).later or ()
    assert time.process_time() - begin < 5
    assert (datetime(2027, 6, 11, tzinfo=UTC), tuple(dates)) == (later.at, later.due)
