"""Rules with dates in `watch`: a round at each date, metrics, and one message about a step that waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.core.pipeline import Planner
from reconciler.core.plan.stages import LiveState
from reconciler.features.watch.cycle import (
    CycleResult,
    NotificationState,
    WatchLoop,
    WatchMetrics,
)
from reconciler.features.watch.slack import slack_message
from tests.support import canary_secrets as canary
from tests.support.builders import NOW, QUEUES
from tests.support.fake_clock import FakeClock
from tests.support.plans import empty_plan
from tests.support.ramps import Step, made, planner_at, planner_of, ramp_text
from tests.support.watch_process import watch_setup

HOUR = timedelta(hours=1)
STEPS = [
    Step(NOW - HOUR, 5, waits=False),
    Step(NOW, 25, waits=True),
    Step(NOW + 2 * HOUR, 50, waits=True),
]


@pytest.fixture
def planner(room: Path) -> Planner:
    return planner_of(room, [ramp_text(STEPS)], NOW)


def waiting_round(planner: Planner) -> CycleResult:
    """Return a round in which all is live, and one step waits."""
    live = made(planner.find_changes(LiveState((), QUEUES)))
    plan = planner.build(LiveState(live, QUEUES))
    return CycleResult(started_at=NOW, plan=plan)


def started(boundaries: list[float], rounds: int, lasting: float = 1.0) -> list[int]:
    """Return when rounds of a loop with an interval of 300 seconds start, with dates at seconds."""
    clock = FakeClock()
    starts: list[int] = []

    async def one() -> CycleResult:
        starts.append(round(clock.seconds - 1000))
        await clock.time.sleep(lasting)
        return CycleResult(started_at=NOW, plan=empty_plan())

    async def told(_round: CycleResult, _following: float) -> None:
        await asyncio.sleep(0)

    def until(_result: CycleResult) -> float | None:
        later = [at for at in boundaries if at > starts[-1]]
        return later[0] - (clock.seconds - 1000) if later else None

    loop = WatchLoop(
        interval=300,
        clock=clock.time.clock,
        sleep=clock.time.sleep,
        random=clock.time.random,
        until_boundary=until,
    )
    asyncio.run(loop.run(one, told, lambda: len(starts) == rounds))
    return starts


def test_a_round_starts_at_each_date() -> None:
    """The interval counts from there; a date during a round is one pause after it."""
    assert [0, 100, 400, 650, 950] == started([100, 650], 5)
    assert [0, 201, 500, 800] == started([100, 500], 4, lasting=200)
    assert [0, 300, 600] == started([10_000], 3)


def test_the_metrics_of_dates(planner: Planner) -> None:
    """Without dates, there are none of them."""
    metrics = WatchMetrics()
    metrics.record_cycle(CycleResult(started_at=NOW, plan=empty_plan()), 0)
    assert [] == [
        line for line in metrics.lines() if "boundary" in line or "step" in line
    ]
    metrics.record_cycle(replace(waiting_round(planner), seconds=4.0), 0)
    lines = list(metrics.lines())
    assert "cxroute_next_boundary_seconds 7196" in lines
    assert 'cxroute_step_waiting{rule="cards/card"} 1' in lines


def test_a_step_that_waits_is_told_once(planner: Planner) -> None:
    """The reason may be another one in each round; a further step is told again."""
    news = NotificationState()
    told = waiting_round(planner)
    assert ("waiting",) == news.find_due(told, 0.0)
    assert () == news.find_due(told, 300.0)
    clean = CycleResult(started_at=NOW, plan=empty_plan())
    assert () == news.find_due(clean, 600.0)
    assert ("waiting",) == news.find_due(told, 900.0)
    later = waiting_round(planner_at(planner, NOW + 3 * HOUR))
    assert () == news.find_due(later, 1200.0)
    text = slack_message("waiting", told, "prod", "cxroute plan")["text"]
    assert "*1 step waits in `prod`*" in text
    assert "`the step of cards/card at 2026-11-25T12:00:00Z waits: apply asks" in text


@pytest.mark.slow
def test_a_process_makes_a_change_at_its_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its interval is an hour: the campaign begins, and ends."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    with watch_setup(tmp_path) as here:
        here.serve_tenant()
        here.write("billing")
        loop = here.watch("--apply")
        user = here.somebody()
        # the process runs: a slow start does not matter
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        end = start + timedelta(seconds=12)
        path = here.folder / "manifests" / "cards.yaml"
        campaign = (
            f"- {{key: xmas, name: A xmas, intent: billing, priority: 9, queue: Billing, from: "
            f"{start.isoformat()}, until: {end.isoformat()}}}\n"
        )
        path.write_text(path.read_text("utf-8") + campaign, "utf-8")
        loop.trigger_round()
        assert wait_until(lambda: "xmas" in user.rules()) >= start
        assert wait_until(lambda: "xmas" not in user.rules()) >= end
        loop.end()


def wait_until(is_so: Callable[[], bool]) -> datetime:
    """Return when something is so, in a minute at most."""
    last = datetime.now(UTC) + timedelta(seconds=60)
    while not is_so():
        assert datetime.now(UTC) < last
        time.sleep(0.1)
    return datetime.now(UTC)
