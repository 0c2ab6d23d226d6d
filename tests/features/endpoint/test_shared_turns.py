"""Locks among instances, in this process and a real Redis: a late write replaces nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from reconciler.features.endpoint.auth import InMemoryMessageIds
from reconciler.features.endpoint.conversations import (
    ConversationLocks,
    EventOrder,
    LatestEvent,
    LockUnavailableError,
    pack,
    unpack,
)
from reconciler.features.endpoint.event import Event, parse_timestamp
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    error_response,
    success_response,
)
from reconciler.features.endpoint.redis.connection import redis_client
from reconciler.features.endpoint.redis.stores import RedisLocks
from tests.features.endpoint.in_process_endpoint import Endpoint, event
from tests.features.endpoint.redis_server import RedisServer, redis_server, shared_redis

ANSWER = success_response("written", "written", {"id": "c-1"})


def at(second: int) -> tuple[EventOrder, Event]:
    """Return an event of a second, and its order."""
    stamp = f"2026-02-01T09:00:{second:02}Z"
    point = parse_timestamp(stamp)
    assert point is not None
    return EventOrder(point), Event(
        "c-1", f"intent-{second}", second / 60, stamp, point
    )


@asynccontextmanager
async def machine(server: RedisServer) -> AsyncIterator[RedisLocks]:
    """Return the locks of an instance, as in a separate process."""
    async with shared_redis(server) as redis:
        yield RedisLocks(redis, ConversationLocks(time.monotonic))


async def post(turns: RedisLocks, time: str) -> tuple[int, bool]:
    """Post an event to an instance; return its status, and whether it is stale."""
    endpoint = Endpoint(stores=(turns, InMemoryMessageIds(lambda: 0.0)))
    reply = await endpoint.post(event(timestamp=time))
    return reply.status, reply.form.get("stale", False)


def test_an_event_of_the_future_in_redis_makes_no_other_one_stale(
    tmp_path: Path,
) -> None:
    """An earlier version stored it there, for an hour; the order of all later events holds on each
    instance.
    """
    moments = ["2026-11-25T11:00:02Z", "2026-11-25T11:00:01Z", "2026-11-25T11:00:03Z"]
    future = "2126-11-25T12:00:00Z"
    point = parse_timestamp(future)
    assert point is not None

    async def posts(server: RedisServer) -> tuple[str | None, list[tuple[int, bool]]]:
        async with AsyncExitStack() as stack:
            item = await stack.enter_async_context(machine(server))
            candidate = await stack.enter_async_context(machine(server))
            for turns in (item, candidate, item):
                async with turns.lock("c-1") as line:
                    line.record_write(
                        EventOrder(point),
                        Event("c-1", "ahead", 1, future, point),
                        ANSWER,
                    )
            stored = await known(candidate)
            return stored, [
                await post(turns, moment)
                for moment in moments
                for turns in (candidate, item)
            ]

    with redis_server(tmp_path) as server:
        stored, replies = asyncio.run(posts(server))

    assert "ahead" == stored
    assert [(200, False)] * 2 + [(200, True)] * 2 + [(200, False)] * 2 == replies


async def known(turns: RedisLocks) -> str | None:
    """Return the intent of the newest event that an instance knows."""
    async with turns.lock("c-1") as line:
        return line.latest.event.intent if line.latest else None


def test_an_instance_whose_lock_expired_replaces_nothing(tmp_path: Path) -> None:
    """A halted instance writes an old event; another instance wrote a newer one before, and that
    stays.
    """

    async def race(server: RedisServer) -> tuple[str | None, str | None]:
        async with AsyncExitStack() as stack:
            late = await stack.enter_async_context(machine(server))
            quick = await stack.enter_async_context(machine(server))

            async def stand_still() -> None:
                async with late.lock("c-1") as line:
                    with server.client() as client:
                        # its seven seconds are over
                        client.delete("cxroute:prod:event:c-1:lock")
                    async with quick.lock("c-1") as candidate:
                        candidate.record_write(*at(9), ANSWER)
                    line.record_write(*at(5), ANSWER)

            with pytest.raises(LockUnavailableError) as refused:
                await stand_still()
            assert "unrecorded" == refused.value.outcome
            return await known(quick), await known(late)

    with redis_server(tmp_path) as server:
        assert ("intent-9", "intent-9") == asyncio.run(race(server))


def test_an_unclear_write_keeps_its_response(tmp_path: Path) -> None:
    """Cut off from Redis during a signal that may have been sent: no response asks for a repeat."""

    async def cut(server: RedisServer) -> None:
        async with machine(server) as alone, alone.lock("c-1") as line:
            server.kill()
            line.record_write(*at(9), error_response(502, "unclear", "unknown"))

    with redis_server(tmp_path) as server:
        asyncio.run(cut(server))


def test_an_unrecorded_write_is_written_again(tmp_path: Path) -> None:
    """Redis is killed during a write: 503.

    Back without its data, it gets the order from the next event on.
    """

    async def cut(server: RedisServer) -> list[str | None]:
        async with machine(server) as item, machine(server) as candidate:

            async def write() -> None:
                async with item.lock("c-1") as line:
                    server.kill()
                    line.record_write(*at(9), ANSWER)

            with pytest.raises(LockUnavailableError) as refused:
                await write()
            assert "unrecorded" == refused.value.outcome
            with pytest.raises(LockUnavailableError) as refused:
                await known(item)
            assert "shared_away" == refused.value.outcome
            server.start()
            item._redis.is_usable = True
            actual = [await known(candidate)]
            async with candidate.lock("c-1") as line:
                line.record_write(*at(5), ANSWER)
            return [*actual, await known(item), await known(candidate)]

    with redis_server(tmp_path) as server:
        assert [None, "intent-5", "intent-5"] == asyncio.run(cut(server))


def test_a_lock_that_could_not_be_released_is_released_later(tmp_path: Path) -> None:
    """Redis hung for a moment, and kept its data: the lock does not last for its seven seconds."""

    async def hang(server: RedisServer) -> str | None:
        async with machine(server) as item, machine(server) as candidate:
            async with item.lock("c-1"):
                server.freeze()
            await asyncio.sleep(1.2)  # the first attempt fails
            server.thaw()
            async with asyncio.timeout(3):
                return await known(candidate)

    with redis_server(tmp_path) as server:
        assert asyncio.run(hang(server)) is None


def test_a_lock_has_one_holder_and_is_always_released(tmp_path: Path) -> None:
    """The other one waits; after a failure, a cancellation or a write it gets a lock that would
    last for an hour.
    """

    async def turns(server: RedisServer) -> list[str]:
        async with AsyncExitStack() as stack:
            item = await stack.enter_async_context(machine(server))
            candidate = await stack.enter_async_context(machine(server))
            order: list[str] = []

            async def work(
                fail: type[BaseException] | None,
                begun: asyncio.Event,
                go_on: asyncio.Event,
            ) -> None:
                async with item.lock("c-1") as line:
                    with server.client() as client:
                        client.pexpire("cxroute:prod:event:c-1:lock", 3_600_000)
                    begun.set()
                    await go_on.wait()
                    order.append("the first one ends")
                    if fail:
                        raise fail
                    line.record_write(*at(1), ANSWER)

            async def wait_for_lock() -> None:
                await known(candidate)
                order.append("the other one has it")

            for fail in (ValueError, asyncio.CancelledError, None):
                begun = asyncio.Event()
                go_on = asyncio.Event()
                working = asyncio.create_task(work(fail, begun, go_on))
                await begun.wait()
                waiting = asyncio.create_task(wait_for_lock())
                # a lock that does not hold is given to the other one meanwhile
                await asyncio.sleep(0.2)
                go_on.set()
                async with asyncio.timeout(60):
                    await waiting
                await asyncio.gather(working, return_exceptions=True)
            return order

    with redis_server(tmp_path) as server:
        assert ["the first one ends", "the other one has it"] * 3 == asyncio.run(
            turns(server)
        )


@pytest.mark.parametrize("message", ["", "m-1"])
@pytest.mark.parametrize("answer", [ANSWER, error_response(502, "unclear", "unknown")])
def test_a_packed_event_is_restored_unchanged(
    message: str, answer: EndpointResponse
) -> None:
    """Order, event and response."""
    place, event = at(7)
    stored = LatestEvent(place._replace(message_id=message), event, answer)
    assert stored == unpack("c-1", pack("c-1", stored))


def test_tls_is_always_verified(tmp_path: Path) -> None:
    """The given CA is required: another CA, another host name and a server without TLS are
    refused.
    """
    certificate = Path(__file__).parents[2] / "self_signed.pem"

    async def said(url: str, authority: str | None) -> str:
        client = redis_client(url, authority)
        try:
            return str(await client.time())[:1]
        except RedisError as error:
            return type(error).__name__
        finally:
            await client.aclose()

    async def all_ways(server: RedisServer) -> list[str]:
        candidate = server.url.replace("localhost", "127.0.0.1")
        return [
            await said(server.url, str(certificate)),
            await said(server.url, None),
            await said(candidate, str(certificate)),
            await said(server.url.replace("rediss", "redis"), None),
        ]

    with redis_server(tmp_path, certificate=certificate) as server:
        assert ["(", *["ConnectionError"] * 3] == asyncio.run(all_ways(server))
