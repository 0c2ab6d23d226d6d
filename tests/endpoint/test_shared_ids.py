"""Ids of signed messages in a real Redis: an id that expired is not restored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from reconciler.endpoint.auth import CONFLICT_RESPONSE, MESSAGE_ID_SECONDS
from reconciler.endpoint.conversations import ConversationLocks
from reconciler.endpoint.messages import EndpointResponse, success_response
from reconciler.endpoint.redis.connection import RedisConnection, connection_factory
from reconciler.endpoint.redis.membership import ClusterMembership, PaceControl
from reconciler.endpoint.redis.state import RedisState
from reconciler.endpoint.redis.stores import RedisLocks, RedisMessageIds
from tests.endpoint.redis_server import RedisServer, redis_server
from tests.support.fake_clock import FakeClock

OLD = success_response("written", "written", {"id": "old"})
NEW = success_response("written", "written", {"id": "new"})


@asynccontextmanager
async def instance(server: RedisServer, clock: FakeClock) -> AsyncIterator[RedisMessageIds]:
    """Join, as a separate process does, with the given clock for the ages of ids."""
    state = RedisState(lambda broken: RedisConnection(connection_factory(server.url, None), broken), "cxroute:prod")
    locks, ids = RedisLocks(state, ConversationLocks(clock)), RedisMessageIds(state, clock)
    membership = ClusterMembership(state, locks, ids, PaceControl(float, float, float), lambda _line: None)
    running = asyncio.create_task(membership.run())
    try:
        async with asyncio.timeout(20):
            while not state.is_usable:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        yield ids
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await membership.leave()


async def claim(ids: RedisMessageIds, digest: bytes) -> EndpointResponse | None:
    """Return the response of message m-1, or None if the caller must process it."""
    return await ids.claim("m-1", digest, asyncio.get_running_loop().time() + 5)


async def complete_and_lose(ids: RedisMessageIds, clock: FakeClock, age: float, server: RedisServer) -> None:
    """Complete a message; after some seconds Redis loses it."""
    assert await claim(ids, b"first") is None
    await ids.complete("m-1", OLD)
    clock.wait(age)
    with server.client() as client:
        client.delete("cxroute:prod:m:m-1")


@pytest.mark.parametrize(
    ("age", "repeated"), [(MESSAGE_ID_SECONDS - 1, True), (MESSAGE_ID_SECONDS, False), (MESSAGE_ID_SECONDS + 60, False)]
)
def test_only_an_id_that_is_valid_is_restored_after_a_loss(tmp_path: Path, age: float, repeated: bool) -> None:  # noqa: FBT001 - a table's column
    """Redis lost its data. An old message keeps its answer; one that is too old frees its id for another message."""

    async def lose(server: RedisServer) -> EndpointResponse | None:
        clock = FakeClock()
        async with AsyncExitStack() as stack:
            ids = await stack.enter_async_context(instance(server, clock))
            other = await stack.enter_async_context(instance(server, clock))
            await complete_and_lose(ids, clock, age, server)
            await ids.publish_all()
            return await claim(other, b"first")

    with redis_server(tmp_path) as server:
        server.settle()
        assert (OLD if repeated else None) == asyncio.run(lose(server))


@pytest.mark.parametrize("age", [MESSAGE_ID_SECONDS, MESSAGE_ID_SECONDS + 60])
def test_an_expired_id_does_not_end_the_claim_of_a_newer_message(tmp_path: Path, age: float) -> None:
    """Another instance processes a message with this id: a repeat gets its answer, and is not processed again."""

    async def lose(server: RedisServer) -> list[EndpointResponse | None]:
        clock = FakeClock()
        async with AsyncExitStack() as stack:
            ids = await stack.enter_async_context(instance(server, clock))
            other = await stack.enter_async_context(instance(server, clock))
            await complete_and_lose(ids, clock, age, server)
            assert await claim(other, b"second") is None
            await ids.publish_all()
            await other.complete("m-1", NEW)
            return [await claim(ids, b"second"), await claim(ids, b"first")]

    with redis_server(tmp_path) as server:
        server.settle()
        assert [NEW, CONFLICT_RESPONSE] == asyncio.run(lose(server))
