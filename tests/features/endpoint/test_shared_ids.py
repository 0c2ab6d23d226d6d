"""Ids of signed messages among instances, in a real Redis: one of them processes a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.features.endpoint.auth import (
    CONFLICT_RESPONSE,
    IN_PROGRESS_RESPONSE,
    MESSAGE_ID_SECONDS,
)
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    error_response,
    success_response,
)
from reconciler.features.endpoint.redis.stores import RedisMessageIds
from tests.features.endpoint.redis_server import (
    PREFIX,
    RedisServer,
    redis_server,
    shared_redis,
)

KEY = f"{PREFIX}message:m-1"
FIRST = sha256(b"first").digest()
SECOND = sha256(b"second").digest()
ANSWER = success_response("written", "written", {"id": "m-1"})
LATE = error_response(504, "late", "too slow")
Work = Callable[
    [RedisMessageIds, RedisMessageIds, RedisServer], Coroutine[Any, Any, object]
]


def among_two(folder: Path, work: Work) -> object:
    """Return what two instances do."""

    async def run(server: RedisServer) -> object:
        async with shared_redis(server) as item, shared_redis(server) as candidate:
            return await work(RedisMessageIds(item), RedisMessageIds(candidate), server)

    with redis_server(folder) as server:
        return asyncio.run(run(server))


async def claim(
    ids: RedisMessageIds, digest: bytes = FIRST, seconds: float = 5
) -> EndpointResponse | None:
    """Return the response of message m-1, or None if the caller must process it."""
    return await ids.claim("m-1", digest, asyncio.get_running_loop().time() + seconds)


def test_a_repeat_waits_for_the_response_of_the_other_instance(tmp_path: Path) -> None:
    """Until its deadline; another body is a conflict, before and after the response."""

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, _server: RedisServer
    ) -> object:
        assert await claim(one) is None
        early = [await claim(other, FIRST, 0.1), await claim(other, SECOND)]
        waiting = asyncio.create_task(claim(other))
        await asyncio.sleep(0.1)
        await one.complete("m-1", ANSWER)
        return [*early, await waiting, await claim(one), await claim(other, SECOND)]

    expected = [
        IN_PROGRESS_RESPONSE,
        CONFLICT_RESPONSE,
        ANSWER,
        ANSWER,
        CONFLICT_RESPONSE,
    ]
    assert expected == among_two(tmp_path, work)


def test_each_deadline_ends_the_wait(tmp_path: Path) -> None:
    """Wherever it finds the client: its time-out of a send can ignore a cancellation before Python
    3.12.
    """

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, _server: RedisServer
    ) -> object:
        assert await claim(one) is None
        deadlines = [0.02 + number / 20_000 for number in range(100)]
        return [await claim(other, FIRST, seconds) for seconds in deadlines]

    assert [IN_PROGRESS_RESPONSE] * 100 == among_two(tmp_path, work)


@pytest.mark.parametrize("body", [b"", b"{}", b"?" * 17, bytes(range(256)), b"\n\n"])
def test_any_response_is_stored_unchanged(tmp_path: Path, body: bytes) -> None:
    """Until the message's own time-stamp is too old."""
    answer = EndpointResponse(200, "written", body)

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, server: RedisServer
    ) -> object:
        assert await claim(one) is None
        await one.complete("m-1", answer)
        with server.client() as client:
            assert 0 < MESSAGE_ID_SECONDS - client.pttl(KEY) / 1000 < 5
        return await claim(other)

    assert answer == among_two(tmp_path, work)


def test_a_retryable_response_frees_the_id(tmp_path: Path) -> None:
    """The repeat is processed, however soon it comes."""

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, _server: RedisServer
    ) -> object:
        claims = []
        for _ in range(50):
            claims.append(await claim(one))
            await one.complete("m-1", LATE)
            claims.append(await claim(other))
            await other.complete("m-1", LATE)
        return claims

    assert among_two(tmp_path, work) == [None] * 100


def test_a_dead_instance_frees_its_id_and_a_late_one_replaces_nothing(
    tmp_path: Path,
) -> None:
    """After seven seconds another instance processes the message; the response of that one
    counts.
    """

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, server: RedisServer
    ) -> object:
        assert await claim(one) is None
        with server.client() as client:
            assert 6000 < client.pttl(KEY) <= 7000
            client.delete(KEY)  # they are over
        assert await claim(other) is None
        await one.complete("m-1", LATE)
        await other.complete("m-1", ANSWER)
        return await claim(one)

    assert ANSWER == among_two(tmp_path, work)


def test_without_redis_no_message_is_processed(tmp_path: Path) -> None:
    """503 for a claim; a response that cannot be stored is sent nevertheless."""

    async def work(
        one: RedisMessageIds, other: RedisMessageIds, server: RedisServer
    ) -> object:
        assert await claim(one) is None
        server.kill()
        await one.complete("m-1", ANSWER)
        refused = await claim(other)
        assert refused is not None
        return refused.status, refused.outcome

    assert (503, "shared_away") == among_two(tmp_path, work)
