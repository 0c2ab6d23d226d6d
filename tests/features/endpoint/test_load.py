"""Faults and load, end to end: app, client and simulated tenant on a stepping clock (invariants W1
to W13).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.process_memory import MIB, resident
from tests.features.endpoint.signing import WRITTEN, signed
from tests.features.endpoint.stepped_tenant import (
    Call,
    SteppedEndpoint,
    count,
    statuses,
)
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.stepping_clock import run
from tests.tiers import FULL

D = 5.0
_SHARED = {200, 502, 503, 504}
FAULTS = {
    "refuse": _SHARED,
    "timeout": _SHARED,
    "reset": _SHARED,
    "reset-applied": _SHARED,
    "late=3": _SHARED,
    "drip": _SHARED,
    "cut": _SHARED,
    "half": _SHARED,
    "html": {200, 502},
    "shape": {200},
    "empty=204": {200},
    "redirect": {200, 502},
    "400": {200, 502},
    "422": {200, 502},
    "revoke": {200},
    "401": {200, 502},
    "403": {200, 502},
    "404": {200, 404},
    "405": {200, 502},
    "409": {200, 502},
    "412": {200, 502},
    "413": {200, 502},
    "429=1": {200, 429},
    "429=date": {200, 429},
    "429=none": {200, 429},
    "429=1000000000": {200, 429},
    "429=-1": {200, 429},
    "500": _SHARED,
    "500-applied": _SHARED,
    "502-applied": _SHARED,
    "503": _SHARED,
    "504-applied": _SHARED,
    "nan": {200, 502},
    "deep": {200, 502},
    "gzip=20": {200, 502},
    "huge=20": {200, 502},
}


@each_case("fault", FAULTS)
def test_every_upstream_fault_is_mapped_in_time_and_silently(fault: str) -> None:
    """On every other call, and on calls for a token: a permitted status, in time, without the
    fault's text.
    """

    async def calls() -> tuple[list[Call], list[dict[str, Any]], int]:
        scene = SteppedEndpoint(faults=f"context:{fault}@0.5,token:{fault}@#1-2")
        actual = [
            await scene.call(event(conversationId=f"c-{item}"))
            for item in range(50 if FULL else 4)
        ]
        return (
            actual,
            scene.log,
            len(asyncio.all_tasks())
            - 1
            + scene.far.under_way
            + scene.app.metrics.waiting_requests,
        )

    actual, log, remaining = run(calls())
    assert set() == statuses(actual) - FAULTS[fault] - {502, 503, 504}
    assert max(call.seconds for call in actual) <= D
    assert 0 == remaining, "no task and no call stays behind"
    assert [] == [line for line in log if line["event"] == "bug"]
    assert [] == canary.find_leaks(
        b"".join(call.reply.body for call in actual) + json.dumps(log).encode()
    )


def test_a_tenant_that_takes_30_seconds_is_abandoned_after_five() -> None:
    """20 posts a second for half a minute: each is answered in time, and after the first ones
    immediately (W5, W11).
    """

    async def calls() -> tuple[list[Call], int]:
        scene = SteppedEndpoint(rate=50, seconds_away=lambda _conversation, _now: 30.0)
        return await scene.load(20, 30), len(scene.far.sent)

    actual, requests_sent = run(calls())
    assert statuses(actual) <= {429, 502, 503, 504}
    assert max(call.seconds for call in actual) <= D
    assert requests_sent <= 60
    refused = [
        call.seconds
        for call in actual[-200:]
        if call.reply.form["error"].endswith("nothing was sent")
    ]
    assert len(refused) > 160
    assert 0 == max(refused)


@pytest.mark.slow
def test_a_tenant_that_is_down_every_other_second_is_used_when_up() -> None:
    """Half a minute, alternately one second up and down: all in time, many written, a reasonable
    number of calls.
    """
    faults = ",".join(
        f"context:503@{second}s-{second + 1}s" for second in range(0, 30, 2)
    )

    async def calls() -> list[Call]:
        return await SteppedEndpoint(rate=50, faults=faults).load(50, 30)

    actual = run(calls())
    assert statuses(actual) <= {200, 429, 502, 503, 504}
    assert max(call.seconds for call in actual) <= D
    assert count(actual, 200) > len(actual) / 10


@pytest.mark.slow
def test_an_outage_of_a_minute_costs_60_calls_and_ends_by_itself() -> None:
    """50 posts a second before, during and after: refused immediately during the outage, written
    soon after.
    """

    async def calls() -> tuple[list[Call], int]:
        scene = SteppedEndpoint(rate=100, faults="*:503@5s-65s")
        actual = await scene.load(50, 80)
        start = scene.begin + 5
        return actual, sum(start < at < start + 60 for at in scene.far.sent)

    actual, requests_sent = run(calls())
    assert {200} == statuses(call for call in actual if call.at < 4 or call.at > 71)
    assert requests_sent <= 60
    during = [call for call in actual if 10 < call.at < 64]
    assert 0 == count(during, 200)
    assert sorted(call.seconds for call in during)[len(during) * 9 // 10] == 0


def test_a_burst_from_idle_is_answered_completely() -> None:
    """1,000 posts in a second at a tenant that accepts 50: each 200 or 503, the 99th percentile
    within 5 s.
    """

    async def calls() -> list[Call]:
        return await SteppedEndpoint(rate=50).load(1000, 1)

    actual = run(calls())
    assert {200, 503} == statuses(actual)
    assert sorted(call.seconds for call in actual)[990] <= D
    assert count(actual, 200) >= 200


@pytest.mark.slow
def test_a_tenfold_load_does_not_disturb_the_possible_rate() -> None:
    """500 a second at a tenant that accepts 50: 90 % of those 50 are written, others are refused
    within 0.1 s (W10).
    """
    seconds = 20 if FULL else 6

    async def calls() -> list[Call]:
        return await SteppedEndpoint(rate=50).load(500, seconds)

    actual = run(calls())
    assert {200, 503} == statuses(actual)
    assert count(actual, 200) >= 0.9 * 50 * seconds
    assert max(call.seconds for call in actual if call.reply.status == 503) <= 0.1


def _every_fifth_is_slow(conversation: str, _now: float) -> float:
    return 4.0 if int(conversation.removeprefix("c-")) % 5 == 0 else 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("concurrency", "least", "most"), [(0, 0.0, 0.1), (16, 1.0, 4.0)]
)
def test_a_slow_path_delays_others_only_with_few_allowed_calls(
    concurrency: int, least: float, most: float
) -> None:
    """Of 30 posts a second every fifth takes four seconds: the others do not wait, unless the
    maximum is 16 calls.

    At 50 calls a second 40 may run concurrently (W10); a set `api.concurrency` is respected.
    """

    async def calls() -> list[Call]:
        return await SteppedEndpoint(
            rate=50, concurrency=concurrency, seconds_away=_every_fifth_is_slow
        ).load(30, 10)

    remaining_items = [call for number, call in enumerate(run(calls())) if number % 5]
    assert {200} == statuses(remaining_items)
    assert least <= max(call.seconds for call in remaining_items) <= most


def test_slow_conversations_do_not_delay_others() -> None:
    """While one conversation's write takes seconds, a flood of its events waits; others are written
    immediately.
    """

    async def calls() -> tuple[list[Call], list[Call]]:
        scene = SteppedEndpoint(
            seconds_away=lambda _conversation, now: 3.0 if now == scene.begin else 0.02
        )
        flood = [
            scene.call(event(timestamp=f"2026-02-01T09:00:{second:02}Z"))
            for second in range(40)
        ]
        flooding = asyncio.gather(*flood)
        await asyncio.sleep(0.5)
        remaining_items = await scene.load(50, 2)
        return await flooding, remaining_items

    flood, remaining_items = run(calls())
    assert {200} == statuses(remaining_items)
    assert max(call.seconds for call in remaining_items) < 0.1
    assert {200, 503} == statuses(flood)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_jumps_has_no_effect(hours: int) -> None:
    """Signatures follow the time of day; the token, timers and the circuit do not depend on it (W1,
    R20).
    """

    async def calls() -> tuple[list[int], int, int]:
        scene = SteppedEndpoint(secrets=(WRITTEN,), keys=())
        actual = []
        for number in range(10):
            scene.wall = 3600.0 * hours * (number % 2)
            actual.append(await _posted(scene, f"m-{number}", 0))
        stale = await _posted(scene, "m-old", -3600)
        requested = sum(
            request.path == "/oauth/token" for request in scene.state.requests
        )
        return [*actual, stale], requested, scene.client.circuit.opened

    assert ([200] * 10 + [401], 1, 0) == run(calls())


async def _posted(scene: SteppedEndpoint, name: str, seconds: int) -> int:
    """Post a message signed so many seconds from now; return the status."""
    time = scene.around_now().timestamp() + seconds
    return (await scene.post(*signed(name, event(conversationId=name), time))).status


@pytest.mark.slow
def test_an_hour_of_work_leaves_nothing_behind() -> None:
    """50 posts a second, 1 % faults (20 s; 30 minutes in the campaign): none lost, memory does not
    grow.
    """
    seconds = 1800 if FULL else 20

    async def calls() -> tuple[int, list[int], int]:
        scene = SteppedEndpoint(rate=100, faults="context:reset@0.01")
        sizes = []
        lost = 0
        for _ in range(seconds // 10):
            actual = await scene.load(50, 10)
            lost += len(actual) - count(actual, 200) - count(actual, 502)
            scene.state.requests.clear()
            scene.far.sent.clear()
            scene.log.clear()
            sizes.append(resident())
        return lost, sizes, len(scene.state.contexts)

    lost, sizes, stored = run(calls())
    assert (0, 500) == (lost, stored)
    assert sizes[-1] - sizes[len(sizes) // 2 - 1] <= 20 * MIB
