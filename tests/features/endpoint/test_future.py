"""Events whose timestamp is ahead of the endpoint's clock: at most 300 seconds, so that no other
one looks older.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tests.features.endpoint.in_process_endpoint import NOW, Endpoint, Reply, event
from tests.features.endpoint.signing import WRITTEN, signed
from tests.support.cases import each_case

LIMIT = "2026-11-25T12:05:00.123456Z"
"""300 seconds after NOW."""
ALLOWED = [
    LIMIT,
    "2026-11-25T12:05:00.1234560000Z",
    "2026-11-25T12:05:00.123455999999999Z",
    "2026-11-25T12:04:59Z",
    "2026-11-26T02:05:00.123456+14:00",
    "2026-11-25t00:05:00.123456-12:00",
    "2026-11-25T12:00:00Z",
    "0001-01-01T00:00:00Z",
]
AHEAD = [
    "2026-11-25T12:05:00.123457Z",
    "2026-11-25T12:05:00.1234560000001Z",
    "2026-11-25T12:05:00.2Z",
    "2026-11-25T12:05:01Z",
    "2026-11-26T02:05:00.123457+14:00",
    "2026-11-25T13:00:00Z",
    "2026-11-25T12:00:00-00:06",
    "2026-11-26T12:00:00Z",
    "2126-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-23:59",
]
ERROR = (
    "timestamp: must be at most 300 seconds ahead of the endpoint's clock, which says "
    "2026-11-25T12:00:00.123Z"
)


async def posted(endpoint: Endpoint, *times: str) -> list[Reply]:
    return [await endpoint.post(event(timestamp=time)) for time in times]


def outcomes(replies: list[Reply]) -> list[tuple[int, bool]]:
    """Return the status of each response, and whether it is stale."""
    return [(reply.status, reply.form.get("stale", False)) for reply in replies]


@each_case("time", ALLOWED)
def test_a_timestamp_up_to_the_limit_is_accepted(time: str) -> None:
    """300 seconds ahead exactly, in any zone and with any fraction; the past has no limit."""
    endpoint = Endpoint()
    assert [(200, False)] == outcomes(asyncio.run(posted(endpoint, time)))
    assert [time] == [
        attributes["routedAt"] for _, attributes in endpoint.upstream.writes
    ]


@each_case("time", AHEAD)
def test_a_timestamp_after_the_limit_is_refused(time: str) -> None:
    """400 with the field, the limit and the clock; nothing is written; the log and a counter have
    it.
    """
    endpoint = Endpoint()

    [reply] = asyncio.run(posted(endpoint, time))

    assert (400, {"success": False, "error": ERROR}) == (reply.status, reply.form)
    assert [] == endpoint.upstream.writes
    [line] = endpoint.log
    assert (400, "future", "c-1") == (
        line["status"],
        line["outcome"],
        line["conversation"],
    )
    assert 'cxroute_requests_total{status="400",outcome="future"} 1' in metrics(
        endpoint
    )


def metrics(endpoint: Endpoint) -> list[str]:
    return asyncio.run(endpoint.request("GET", "/metrics")).body.decode().splitlines()


def test_the_counter_exists_from_the_start() -> None:
    """An alert on its increase would miss the first one otherwise."""
    assert 'cxroute_requests_total{status="400",outcome="future"} 0' in metrics(
        Endpoint()
    )


@each_case("time", AHEAD)
def test_later_events_are_not_stale(time: str) -> None:
    """The refused one leaves nothing behind: the order of the others holds."""
    endpoint = Endpoint()
    replies = asyncio.run(
        posted(endpoint, time, "2026-11-25T11:59:02Z", "2026-11-25T11:59:01Z", LIMIT)
    )
    assert [(400, False), (200, False), (200, True), (200, False)] == outcomes(replies)


def test_a_signed_event_has_the_same_limit() -> None:
    """The signature's own time is another one."""
    endpoint = Endpoint(keys=(), secrets=[WRITTEN])

    async def post(name: str, time: str) -> int:
        body, headers = signed(name, event(timestamp=time))
        return (await endpoint.post(body, headers)).status

    assert [200, 400] == [
        asyncio.run(post(name, time)) for name, time in (("a", LIMIT), ("b", AHEAD[0]))
    ]


@each_case("seconds", [301, 3600, 86_400, 3_000_000_000])
@each_case("first", [{}, {"timestamp": ...}])
def test_a_clock_that_was_ahead_makes_no_later_event_stale(
    seconds: int, first: dict[str, Any]
) -> None:
    """Set back, it no longer counts what it accepted as newest; the order of the events after that
    holds.
    """
    endpoint = Endpoint()
    ahead = f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"

    async def posts() -> list[Reply]:
        endpoint.seconds = seconds
        replies = [await endpoint.post(event(**{"timestamp": ahead, **first}))]
        endpoint.seconds = 0
        return replies + await posted(
            endpoint, "2026-11-25T11:59:02Z", "2026-11-25T11:59:01Z", LIMIT
        )

    assert [(200, False), (200, False), (200, True), (200, False)] == outcomes(
        asyncio.run(posts())
    )


def test_a_clock_set_back_within_the_limit_keeps_the_order() -> None:
    """What it accepted as newest still counts."""
    endpoint = Endpoint()

    async def posts() -> list[Reply]:
        endpoint.seconds = 300
        replies = await posted(endpoint, LIMIT)
        endpoint.seconds = 0
        return replies + await posted(endpoint, "2026-11-25T12:00:00Z", LIMIT)

    assert [(200, False), (200, True), (200, False)] == outcomes(asyncio.run(posts()))
    assert 1 == len(endpoint.upstream.writes)


def test_concurrent_events_after_such_a_clock_keep_their_order() -> None:
    """Those that wait for the conversation, too."""
    endpoint = Endpoint()

    async def posts() -> list[Reply]:
        endpoint.seconds = 7200
        await posted(endpoint, "2026-11-25T14:00:00Z")
        endpoint.seconds = 0
        times = (
            "2026-11-25T11:59:03Z",
            "2026-11-25T11:59:01Z",
            "2026-11-25T11:59:02Z",
            LIMIT,
        )
        return await asyncio.gather(
            *(endpoint.post(event(timestamp=time)) for time in times)
        )

    replies = asyncio.run(posts())
    assert [(200, False), (200, True), (200, True), (200, False)] == outcomes(replies)
