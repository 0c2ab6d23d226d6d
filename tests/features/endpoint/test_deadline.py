"""A client waits at most for the deadline, with any hanging part; a late effect does not contradict
a response.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from reconciler.core.errors import AmbiguousWriteError, RateLimitedError
from reconciler.features.endpoint.auth import (
    InMemoryMessageIds,
    MessageIdStore,
    run_once,
)
from reconciler.features.endpoint.conversations import (
    ConversationLocks,
    LockUnavailableError,
)
from reconciler.features.endpoint.event import parse_event as parsed
from reconciler.features.endpoint.handler import EventHandler, EventPolicy
from reconciler.features.endpoint.messages import EndpointResponse as Answered
from reconciler.features.endpoint.metrics import Metrics
from reconciler.features.endpoint.redis.connection import SharedRedis
from reconciler.features.endpoint.redis.stores import RedisLocks, RedisMessageIds
from reconciler.targets.platform.context_client import ContextClient
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    Transport,
)
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.features.endpoint.stepped_tenant import PATH
from tests.support.in_process_tenant import TENANT
from tests.support.stepping_clock import run, stepping_time


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def answering(asked: list[str], seconds: float, answer: ApiResponse) -> Transport:
    """Return a tenant that gives tokens immediately, and one response to all other requests after
    so many seconds.
    """

    async def carry(request: ApiRequest) -> ApiResponse:
        if request.target == "/oauth/token":
            return ApiResponse(
                "", 200, {}, b'{"access_token": "t", "expires_in": 3600}'
            )
        asked.append(request.target)
        await asyncio.sleep(seconds)
        return answer

    return carry


def test_a_write_without_time_is_not_sent() -> None:
    """A write whose time is too short makes no call, and is not a sign of an unavailable tenant."""
    requests_sent: list[str] = []

    async def late() -> bool:
        client = ContextClient(
            answering(requests_sent, 60, ApiResponse("", 200, {}, b"{}")),
            TENANT,
            ClientCredentials(client_id="id", client_secret="secret"),
            REAL_TIME,
            PATH,
        )
        assert await client.is_ready()
        for _ in range(10):
            with pytest.raises(RateLimitedError):
                await client.write("c-1", {"a": "b"}, 0.04)
        return client.circuit.is_open

    assert not asyncio.run(late())
    assert [] == requests_sent


def test_a_turn_that_comes_too_late_gets_retry_after() -> None:
    """Earlier requests took all the time: the tenant is not the cause and is not called."""

    async def two() -> list[tuple[int, str | None]]:
        hold = asyncio.Event()
        endpoint = Endpoint(Upstream(hold=hold), deadline_seconds=1.0)
        asyncio.get_running_loop().call_later(0.92, hold.set)
        actual = await asyncio.gather(
            endpoint.post(event()), endpoint.post(event(intent="other"))
        )
        assert 1 == len(endpoint.upstream.writes)
        return [(item.status, item.headers.get("retry-after")) for item in actual]

    assert [(200, None), (503, "1")] == run(two())


def test_a_retry_after_beyond_the_deadline_fails_all_waiting_calls() -> None:
    """One call gets 429; all calls that wait for the rate then fail immediately, and not at their
    deadlines.
    """
    requested: list[str] = []
    carry = answering(requested, 0.1, ApiResponse("", 429, {"retry-after": "60"}, b""))

    async def fifty() -> float:
        tenant = replace(TENANT, requests_per_second=10.0)
        client = ContextClient(
            carry,
            tenant,
            ClientCredentials(client_id="id", client_secret="secret"),
            stepping_time(Random(1)),
            PATH,
        )
        clock = asyncio.get_running_loop().time
        before = clock()
        writes = [client.write(f"c-{number}", {"a": "b"}, 5.0) for number in range(50)]
        actual = await asyncio.gather(*writes, return_exceptions=True)
        assert {RateLimitedError} == {type(item) for item in actual}
        return clock() - before

    assert run(fifty()) < 2
    assert len(requested) < 10


def test_waiting_for_an_equal_message_ends_at_the_deadline() -> None:
    """The processing request never ends; the others get a response at their deadline and retry."""

    async def wait(register: MessageIdStore) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        assert await register.claim("m-1", b"d", in_seconds(5)) is None
        before = loop.time()
        answer = await register.claim("m-1", b"d", in_seconds(5))
        assert answer is not None
        return answer.status, loop.time() - before

    async def alone() -> tuple[int, float]:
        return await wait(InMemoryMessageIds(time.monotonic))

    assert (503, 5.0) == run(alone())


class SlowRedis:
    """A client of a Redis that answers each command after so many seconds, and scripts after
    one.
    """

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.commands = 0
        self.scripts = 0

    def register_script(self, _text: str) -> Callable[..., Awaitable[int]]:
        """Return a script that always succeeds, late."""

        async def script(**_arguments: object) -> int:
            self.scripts += 1
            await asyncio.sleep(1)
            return 1

        return script

    def lock(self, _name: str, **_options: object) -> SlowRedis:
        """Return a lock that is free."""
        return self

    async def _answer(self, answer: Any) -> Any:
        self.commands += 1
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return answer

    async def acquire(self, **_options: object) -> bool:
        """Take the lock."""
        return bool(await self._answer(True))

    async def do_release(self, _token: bytes) -> None:
        """Release the lock."""

    async def get(self, _key: str) -> None:
        """Return no value."""
        await self._answer(None)

    async def set(self, _key: str, _value: bytes, **_options: object) -> None:
        """Return no value that was there before."""
        await self._answer(None)


def shared(client: SlowRedis) -> SharedRedis:
    redis = SharedRedis(cast("Redis", client), "cxroute:prod")
    redis.is_usable = True
    return redis


def test_a_slow_redis_costs_at_most_the_deadline() -> None:
    """Looking up an id ends with the deadline; recording the response waits no longer, and it is
    sent.
    """

    async def look() -> tuple[int, float, float, int]:
        loop = asyncio.get_running_loop()
        client = SlowRedis(60)
        ids = RedisMessageIds(shared(client))
        before = loop.time()
        answer = await ids.claim("m-1", b"d", in_seconds(5))
        assert answer is not None
        looked = loop.time() - before

        async def process() -> Answered:
            await asyncio.sleep(4.9)
            return answer

        client.seconds = 0
        before = loop.time()
        await run_once(ids, "m-2", b"", in_seconds(5), process)
        return answer.status, looked, loop.time() - before, client.scripts

    assert (503, 5.0, 5.0, 1) == run(look())


def test_only_the_first_request_waits_for_a_redis_that_hangs() -> None:
    """It waits a second; the others are refused at once, and send no command."""

    async def ask() -> tuple[list[float], int]:
        clock = asyncio.get_running_loop().time
        client = SlowRedis(1, RedisTimeoutError())
        locks = RedisLocks(shared(client), ConversationLocks(clock))
        waits = []
        for number in range(20):
            before = clock()
            with pytest.raises(LockUnavailableError, match="nothing was written"):
                async with locks.lock(f"c-{number}"):
                    pass
            waits.append(clock() - before)
        return waits, client.commands

    assert ([1.0] + [0.0] * 19, 1) == run(ask())


def test_recording_an_unclear_signal_ends_at_the_deadline() -> None:
    """Its write was running at the deadline, and Redis is slow: the client is answered in the
    reserved margin.
    """
    text = asyncio.Event()

    async def write(*_: object) -> None:
        try:
            await text.wait()
        except asyncio.CancelledError:
            raise AmbiguousWriteError("") from None

    async def take() -> tuple[int, bool, int]:
        client = SlowRedis()
        relay = EventHandler(
            write,
            EventPolicy(),
            RedisLocks(shared(client), ConversationLocks(lambda: 0.0)),
            Metrics(),
            lambda: 1,
        )
        before = asyncio.get_running_loop().time()
        end = in_seconds(5)
        answer = await relay.handle(
            parsed(json.dumps(event()).encode()), "", datetime.now(UTC), end
        )
        return (
            answer.status,
            5.0 <= asyncio.get_running_loop().time() - before <= 5.05,
            client.scripts,
        )

    assert (504, True, 1) == run(take())


def test_a_claim_at_its_deadline_is_refused_and_leaves_the_id_free() -> None:
    """The client is about to give up, so it must not process the message; the next client may."""

    async def claims() -> list[Answered | None]:
        ids = InMemoryMessageIds(time.monotonic)
        return [
            await ids.claim("m-1", b"d", in_seconds(0)),
            await ids.claim("m-1", b"d", in_seconds(5)),
        ]

    late, next_one = asyncio.run(claims())
    assert late is not None
    assert (503, None) == (late.status, next_one)
