"""Locks among instances, in this process and a real Redis: a late write replaces nothing; packed orders sort."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from reconciler.endpoint.auth import InMemoryMessageIds
from reconciler.endpoint.conversations import ConversationLocks, EventOrder, LatestEvent, LockUnavailableError
from reconciler.endpoint.event import Event, Timestamp, parse_timestamp
from reconciler.endpoint.messages import error_response, success_response
from reconciler.endpoint.redis.connection import RedisConnection, RedisUnavailableError, connection_factory
from reconciler.endpoint.redis.membership import ClusterMembership, PaceControl
from reconciler.endpoint.redis.state import RedisState
from reconciler.endpoint.redis.stores import RedisLocks, RedisMessageIds, _pack, _unpack
from tests.endpoint.in_process_endpoint import Endpoint, event
from tests.endpoint.redis_server import RedisServer, redis_server

ANSWER = success_response("written", "written", {"id": "c-1"})


def at(second: int) -> tuple[EventOrder, Event]:
    """Return an event of a second, and its order."""
    stamp = f"2026-02-01T09:00:{second:02}Z"
    point = parse_timestamp(stamp)
    assert point is not None
    return EventOrder(point), Event("c-1", f"intent-{second}", second / 60, stamp, point)


@asynccontextmanager
async def machine(server: RedisServer) -> AsyncIterator[RedisLocks]:
    """Join, as a separate process does."""
    shared = RedisState(lambda broken: RedisConnection(connection_factory(server.url, None), broken), "cxroute:prod")
    turns, ids = RedisLocks(shared, ConversationLocks(time.monotonic)), RedisMessageIds(shared, time.monotonic)
    keeper = ClusterMembership(shared, turns, ids, PaceControl(float, float, float), lambda _line: None)
    keeping = asyncio.create_task(keeper.run())
    try:
        await opened(turns)
        yield turns
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.leave()


async def opened(turns: RedisLocks) -> None:
    """Wait until locks can be acquired."""
    async with asyncio.timeout(10):
        while not turns._state.is_usable:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


async def post(turns: RedisLocks, time: str) -> tuple[int, bool]:
    """Post an event to an instance; return its status, and whether it is stale."""
    endpoint = Endpoint(stores=(turns, InMemoryMessageIds(lambda: 0.0)))
    reply = await endpoint.post(event(timestamp=time))
    return reply.status, reply.form.get("stale", False)


def test_an_event_of_the_future_in_redis_makes_no_other_one_stale(tmp_path: Path) -> None:
    """An earlier version stored it there, for an hour; the order of all later events holds on each instance."""
    moments = ["2026-11-25T11:00:02Z", "2026-11-25T11:00:01Z", "2026-11-25T11:00:03Z"]
    future = "2126-11-25T12:00:00Z"
    point = parse_timestamp(future)
    assert point is not None

    async def posts(server: RedisServer) -> tuple[str | None, list[tuple[int, bool]]]:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(machine(server))
            other = await stack.enter_async_context(machine(server))
            for turns in (one, other, one):
                async with turns.lock("c-1") as line:
                    line.record_write(EventOrder(point), Event("c-1", "ahead", 1, future, point), ANSWER)
            stored = await known(other)
            return stored, [await post(turns, moment) for moment in moments for turns in (other, one)]

    with redis_server(tmp_path) as server:
        server.settle()
        stored, replies = asyncio.run(posts(server))

    assert "ahead" == stored
    assert [(200, False)] * 2 + [(200, True)] * 2 + [(200, False)] * 2 == replies


async def known(turns: RedisLocks) -> str | None:
    """Return the intent of the newest event that an instance knows."""
    async with turns.lock("c-1") as line:
        return line.latest.event.intent if line.latest else None


def test_an_instance_whose_lock_expired_replaces_nothing(tmp_path: Path) -> None:
    """A halted instance writes an old event; another instance wrote a newer one before, and that stays."""

    async def race(server: RedisServer) -> tuple[str | None, str | None]:
        async with AsyncExitStack() as stack:
            late = await stack.enter_async_context(machine(server))
            quick = await stack.enter_async_context(machine(server))

            async def stand_still() -> None:
                async with late.lock("c-1") as line:
                    with server.client() as client:
                        client.hset("cxroute:prod:c:c-1", "u", 0)  # its seven seconds are over
                    async with quick.lock("c-1") as other:
                        other.record_write(*at(9), ANSWER)
                    line.record_write(*at(5), ANSWER)

            with pytest.raises(LockUnavailableError) as refused:
                await stand_still()
            assert "unrecorded" == refused.value.outcome
            return await known(quick), await known(late)

    with redis_server(tmp_path) as server:
        server.settle()
        assert ("intent-9", "intent-9") == asyncio.run(race(server))


def test_an_unclear_write_is_not_answered_with_a_retry(tmp_path: Path) -> None:
    """Cut off from Redis during a signal that may have been sent: the response stays unclear."""

    async def cut(server: RedisServer) -> str | None:
        async with AsyncExitStack() as stack:
            alone = await stack.enter_async_context(machine(server))
            async with alone.lock("c-1") as line:
                await alone._state.connection.close()
                alone._state.mark_lost("Cut")
                line.record_write(*at(9), error_response(502, "unclear", "unknown"))
            await opened(alone)
            return await known(alone)

    with redis_server(tmp_path) as server:
        server.settle()
        assert "intent-9" == asyncio.run(cut(server))


@pytest.mark.parametrize(("meanwhile", "known_after"), [(None, "intent-9"), (5, "intent-5")])
def test_an_unrecorded_write_counts_unless_another_instance_wrote(
    tmp_path: Path, meanwhile: int | None, known_after: str
) -> None:
    """Cut off from Redis during a write: if another instance wrote an older event, a repeated newer one is written."""

    async def cut(server: RedisServer) -> tuple[str | None, str | None]:
        async with AsyncExitStack() as stack:
            alone = await stack.enter_async_context(machine(server))
            other = await stack.enter_async_context(machine(server))

            async def write() -> None:
                async with alone.lock("c-1") as line:
                    await alone._state.connection.close()
                    alone._state.mark_lost("Cut")
                    line.record_write(*at(9), ANSWER)

            with pytest.raises(LockUnavailableError) as refused:
                await write()
            assert "unrecorded" == refused.value.outcome
            with server.client() as client:
                client.hset("cxroute:prod:c:c-1", "u", 0)  # its seven seconds are over
            if meanwhile is not None:
                async with other.lock("c-1") as line:
                    line.record_write(*at(meanwhile), ANSWER)
            await opened(alone)
            return await known(alone), await known(other)

    with redis_server(tmp_path) as server:
        server.settle()
        assert (known_after, known_after) == asyncio.run(cut(server))


def test_a_lock_has_one_holder_and_is_always_released(tmp_path: Path) -> None:
    """The other one waits; after a failure, a cancellation or a write it gets a lock that would last for an hour."""

    async def turns(server: RedisServer) -> list[str]:
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(machine(server))
            other = await stack.enter_async_context(machine(server))
            order: list[str] = []

            async def work(fail: type[BaseException] | None, begun: asyncio.Event, go_on: asyncio.Event) -> None:
                async with one.lock("c-1") as line:
                    with server.client() as client:
                        client.hset("cxroute:prod:c:c-1", "u", int(client.time()[0] + 3600) * 1000)
                    begun.set()
                    await go_on.wait()
                    order.append("the first one ends")
                    if fail:
                        raise fail
                    line.record_write(*at(1), ANSWER)

            async def wait_for_lock() -> None:
                await known(other)
                order.append("the other one has it")

            for fail in (ValueError, asyncio.CancelledError, None):
                begun, go_on = asyncio.Event(), asyncio.Event()
                working = asyncio.create_task(work(fail, begun, go_on))
                await begun.wait()
                waiting = asyncio.create_task(wait_for_lock())
                await asyncio.sleep(0.2)  # a lock that does not hold is given to the other one meanwhile
                go_on.set()
                async with asyncio.timeout(60):
                    await waiting
                await asyncio.gather(working, return_exceptions=True)
            return order

    with redis_server(tmp_path) as server:
        server.settle()
        assert ["the first one ends", "the other one has it"] * 3 == asyncio.run(turns(server))


def test_packed_orders_sort_by_bytes_like_events() -> None:
    """Redis compares the texts; the cases have fractions of a second and ids with equal beginnings."""
    chance = Random(1)
    places = [
        EventOrder(
            Timestamp(
                chance.choice([60, 63_900_000_000, 63_900_000_001]), chance.choice(["", "0", "01", "1", "15", "2"])
            ),
            chance.choice(["", "a", "aa", "b", "!", "~"]),
        )
        for _ in range(300)
    ]
    event = Event("c-1", "billing", None)
    packed = [_pack(LatestEvent(place, event, ANSWER))[0].encode() for place in places]
    assert sorted(places) == [place for _, place in sorted(zip(packed, places, strict=True))]


@pytest.mark.parametrize("message", ["", "m-1"])
def test_a_packed_event_is_restored_unchanged(message: str) -> None:
    """Order, event and the response's body."""
    place, event = at(7)
    written = LatestEvent(place._replace(message_id=message), event, ANSWER)
    parts = [part if isinstance(part, bytes) else part.encode() for part in _pack(written)]
    assert written == _unpack("c-1", *parts)


def test_tls_is_always_verified(tmp_path: Path) -> None:
    """The given CA is required: another CA, another host name and a server without TLS are refused."""
    certificate = Path(__file__).parents[1] / "self_signed.pem"

    async def said(url: str, authority: str | None) -> str:
        line = RedisConnection(connection_factory(url, authority), lambda _reason: None)
        try:
            await line.open()
            return str(await line.call("PING"))
        except RedisUnavailableError as error:
            return str(error)
        finally:
            await line.close()

    async def all_ways(server: RedisServer) -> list[str]:
        other = server.url.replace("localhost", "127.0.0.1")
        return [
            await said(server.url, str(certificate)),
            await said(server.url, None),
            await said(other, str(certificate)),
            await said(server.url.replace("rediss", "redis"), None),
        ]

    with redis_server(tmp_path, certificate=certificate) as server:
        assert ["b'PONG'", *["ConnectionError"] * 3] == asyncio.run(all_ways(server))
