"""Faults and load, end to end: app, client and simulated tenant on a clock that jumps (reliability.md section 6)."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
from base64 import b64encode
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.context.app import Limits
from tests import canary
from tests.context.posting import HEADERS, event
from tests.context.tenants import Call, Scene, count, statuses
from tests.jumping import run

FULL = os.environ.get("CXROUTE_CAMPAIGN") == "full"
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


@pytest.mark.parametrize("fault", FAULTS)
def test_every_upstream_fault_is_mapped_in_time_and_silently(fault: str) -> None:
    """On every other call, and on calls for a token: a status that it may have, in time, and no word of it."""

    async def calls() -> tuple[list[Call], list[dict[str, Any]]]:
        scene = Scene(faults=f"context:{fault}@0.5,token:{fault}@#1-2")
        found = [await scene.call(event(conversationId=f"c-{one}")) for one in range(50 if FULL else 8)]
        return found, scene.log

    found, log = run(calls())
    assert set() == statuses(found) - FAULTS[fault] - {502, 503, 504}
    assert max(call.seconds for call in found) <= D
    assert [] == [line for line in log if line["event"] == "bug"]
    assert [] == canary.found(b"".join(call.reply.body for call in found) + json.dumps(log).encode())


def test_a_tenant_that_takes_30_seconds_is_given_up_in_five() -> None:
    """50 posts a second for half a minute: each is answered in time, and after the first ones at once (W5, W11)."""

    async def calls() -> tuple[list[Call], int]:
        scene = Scene(rate=50, seconds_away=lambda _now: 30.0)
        return await scene.load(50, 30), len(scene.far.sent)

    found, sent = run(calls())
    assert statuses(found) <= {429, 502, 503, 504}
    assert max(call.seconds for call in found) <= D
    assert sent <= 60
    refused = [call.seconds for call in found[-500:] if call.reply.form["error"].endswith("nothing was sent")]
    assert len(refused) > 400
    assert 0 == max(refused)


def test_a_tenant_that_flaps_every_second_is_used_while_it_is_there() -> None:
    """Half a minute of a second well, a second away: all in time, a good part written, calls within reason."""
    faults = ",".join(f"context:503@{second}s-{second + 1}s" for second in range(0, 30, 2))

    async def calls() -> list[Call]:
        return await Scene(rate=50, faults=faults).load(50, 30)

    found = run(calls())
    assert statuses(found) <= {200, 429, 502, 503, 504}
    assert max(call.seconds for call in found) <= D
    assert count(found, 200) > len(found) / 10


def test_an_outage_of_a_minute_costs_60_calls_and_ends_by_itself() -> None:
    """50 posts a second before, during and after: refused at once meanwhile, written again soon after."""

    async def calls() -> tuple[list[Call], int]:
        scene = Scene(rate=100, faults="*:503@5s-65s")
        found = await scene.load(50, 80)
        start = scene.begin + 5
        return found, sum(start < at < start + 60 for at in scene.far.sent)

    found, sent = run(calls())
    assert {200} == statuses(call for call in found if call.at < 4 or call.at > 71)
    assert sent <= 60
    during = [call for call in found if 10 < call.at < 64]
    assert 0 == count(during, 200)
    assert sorted(call.seconds for call in during)[len(during) * 9 // 10] == 0


def test_a_burst_from_idle_is_answered_whole() -> None:
    """1,000 posts in a second at a tenant that takes 50: each 200 or 503, the 99th percentile within 5 s."""

    async def calls() -> list[Call]:
        return await Scene(rate=50, limits=Limits(waiting=200)).load(1000, 1)

    found = run(calls())
    assert {200, 503} == statuses(found)
    assert sorted(call.seconds for call in found)[990] <= D
    assert count(found, 200) >= 200


def test_ten_times_too_much_leaves_what_can_be_done_undisturbed() -> None:
    """500 a second at a tenant that takes 50: 90 % of those 50 are written, the rest is refused within 0.1 s (W10)."""
    seconds = 20

    async def calls() -> list[Call]:
        return await Scene(rate=50, limits=Limits(waiting=200)).load(500, seconds)

    found = run(calls())
    assert {200, 503} == statuses(found)
    assert count(found, 200) >= 0.9 * 50 * seconds
    assert max(call.seconds for call in found if call.reply.status == 503) <= 0.1


def test_slow_conversations_do_not_starve_others() -> None:
    """While one conversation's write takes seconds, a flood about it waits; others are written at once."""

    async def calls() -> tuple[list[Call], list[Call]]:
        scene = Scene(seconds_away=lambda now: 3.0 if now == scene.begin else 0.02)
        flood = [scene.call(event(timestamp=f"2026-02-01T09:00:{second:02}Z")) for second in range(40)]
        flooding = asyncio.gather(*flood)
        await asyncio.sleep(0.5)
        others = await scene.load(50, 2)
        return await flooding, others

    flood, others = run(calls())
    assert {200} == statuses(others)
    assert max(call.seconds for call in others) < 0.1
    assert {200, 503} == statuses(flood)


@pytest.mark.parametrize("seed", range(4))
def test_every_conversation_ends_with_its_newest_event_though_answers_are_lost(seed: int) -> None:
    """Events of many conversations in any order, a fifth twice, 5 % of writes failing, some after they were done."""
    chance, conversations = Random(seed), 125 if FULL else 50
    events = [
        event(conversationId=f"c-{one}", timestamp=f"2026-02-01T09:00:{second:02}Z", confidence=second / 16)
        for one in range(conversations)
        for second in range(16)
    ]
    events += chance.sample(events, len(events) // 4)
    chance.shuffle(events)

    async def caller(scene: Scene, mine: list[dict[str, Any]]) -> None:
        for form in mine:
            for _ in range(20):
                if (await scene.call(form)).reply.status == 200:
                    break
                await asyncio.sleep(1)

    async def world() -> dict[str, Any]:
        scene = Scene(faults="context:500-applied@0.02,context:reset-applied@0.01,context:reset@0.02", seed=seed)
        await asyncio.gather(*(caller(scene, events[start::20]) for start in range(20)))
        return scene.state.contexts

    newest = {f"c-{one}": 15 / 16 for one in range(conversations)}
    assert newest == {name: context["cognigyConfidence"] for name, context in run(world()).items()}


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_jumps_breaks_nothing(hours: int) -> None:
    """Signatures follow the time of day; the token, timers and the circuit do not notice (W1, R20)."""
    secret = b"the secret of 32 bytes .........."

    async def calls() -> tuple[list[int], int, int]:
        scene = Scene(secrets=(f"whsec_{b64encode(secret).decode()}",), keys=())
        found = []
        for number in range(10):
            scene.wall = 3600.0 * hours * (number % 2)
            found.append((await scene.post(*_signed(secret, f"m-{number}", _now(scene)))).status)
        stale = (await scene.post(*_signed(secret, "m-old", _now(scene) - 3600 * abs(hours)))).status
        asked = sum(request.path == "/oauth/token" for request in scene.state.requests)
        return [*found, stale], asked, scene.client.breaker.opened

    assert ([200] * 10 + [401], 1, 0) == run(calls())


def _now(scene: Scene) -> int:
    return int(scene.around_now().timestamp())


def _signed(secret: bytes, name: str, time: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    body = json.dumps(event(conversationId=name)).encode()
    signature = b64encode(hmac.digest(secret, f"{name}.{time}.".encode() + body, "sha256"))
    signed = [(b"webhook-id", name.encode()), (b"webhook-timestamp", str(time).encode())]
    return body, [HEADERS[0], *signed, (b"webhook-signature", b"v1," + signature)]


def test_an_hour_of_work_leaves_nothing_behind() -> None:
    """50 posts a second, 1 % faults (20 s; 30 minutes in the campaign): none lost, memory stays where it was."""
    seconds = 1800 if FULL else 20

    async def calls() -> tuple[int, list[int], int]:
        scene, sizes, lost = Scene(rate=100, faults="context:reset@0.01"), [], 0
        for _ in range(seconds // 10):
            found = await scene.load(50, 10)
            lost += len(found) - count(found, 200) - count(found, 502)
            scene.state.requests.clear()
            scene.far.sent.clear()
            scene.log.clear()
            sizes.append(_resident())
        return lost, sizes, len(scene.state.contexts)

    lost, sizes, written = run(calls())
    assert (0, 500) == (lost, written)
    assert sizes[-1] - sizes[len(sizes) // 2 - 1] <= 20 * 2**20


def _resident() -> int:
    """Return the bytes of memory that this process holds; nothing where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096
    except OSError:
        return 0
