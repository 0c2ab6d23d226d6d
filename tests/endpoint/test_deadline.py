"""A client waits at most for the deadline, with any hanging part; a late effect does not contradict a response."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import pytest
from redis.asyncio.connection import Connection

from reconciler.cxone.context_client import ContextClient
from reconciler.cxone.settings import ClientCredentials
from reconciler.cxone.transport.rate_limiter import REAL_TIME
from reconciler.cxone.transport.request import ApiRequest, ApiResponse, Transport
from reconciler.endpoint.auth import InMemoryMessageIds, MessageIdStore, run_once
from reconciler.endpoint.conversations import ConversationLocks, LockUnavailableError
from reconciler.endpoint.event import parse_event as parsed
from reconciler.endpoint.handler import EventHandler, EventPolicy
from reconciler.endpoint.messages import EndpointResponse as Answered
from reconciler.endpoint.metrics import Metrics
from reconciler.endpoint.redis.connection import RedisConnection
from reconciler.endpoint.redis.state import RedisState
from reconciler.endpoint.redis.stores import RedisLocks, RedisMessageIds
from reconciler.errors import AmbiguousWriteError, RateLimitedError
from tests.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.endpoint.stepped_tenant import PATH
from tests.support.in_process_tenant import TENANT
from tests.support.stepping_clock import run, stepping_time


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def answering(asked: list[str], seconds: float, answer: ApiResponse) -> Transport:
    """Return a tenant that gives tokens immediately, and one response to all other requests after so many seconds."""

    async def carry(request: ApiRequest) -> ApiResponse:
        if request.target == "/oauth/token":
            return ApiResponse("", 200, {}, b'{"access_token": "t", "expires_in": 3600}')
        asked.append(request.target)
        await asyncio.sleep(seconds)
        return answer

    return carry


def test_a_write_without_time_is_not_sent() -> None:
    """A write whose time is too short makes no call, and is not a sign of an unavailable tenant."""
    sent: list[str] = []

    async def late() -> bool:
        client = ContextClient(
            answering(sent, 60, ApiResponse("", 200, {}, b"{}")),
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
    assert [] == sent


def test_a_turn_that_comes_too_late_gets_retry_after() -> None:
    """Earlier requests took all the time: the tenant is not the cause and is not called."""

    async def two() -> list[tuple[int, str | None]]:
        hold = asyncio.Event()
        endpoint = Endpoint(Upstream(hold=hold), deadline_seconds=1.0)
        asyncio.get_running_loop().call_later(0.92, hold.set)
        found = await asyncio.gather(endpoint.post(event()), endpoint.post(event(intent="other")))
        assert 1 == len(endpoint.upstream.writes)
        return [(one.status, one.headers.get("retry-after")) for one in found]

    assert [(200, None), (503, "1")] == run(two())


def test_a_retry_after_beyond_the_deadline_fails_all_waiting_calls() -> None:
    """One call gets 429; all calls that wait for the rate then fail immediately, and not at their deadlines."""
    asked: list[str] = []
    carry = answering(asked, 0.1, ApiResponse("", 429, {"retry-after": "60"}, b""))

    async def fifty() -> float:
        tenant = replace(TENANT, requests_per_second=10.0)
        client = ContextClient(
            carry, tenant, ClientCredentials(client_id="id", client_secret="secret"), stepping_time(Random(1)), PATH
        )
        clock = asyncio.get_running_loop().time
        before = clock()
        writes = [client.write(f"c-{number}", {"a": "b"}, 5.0) for number in range(50)]
        found = await asyncio.gather(*writes, return_exceptions=True)
        assert {RateLimitedError} == {type(one) for one in found}
        return clock() - before

    assert run(fifty()) < 2
    assert len(asked) < 10


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


class Held:
    """A Redis in which a killed instance holds every id, or which does not respond."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def new_holder(self) -> str:
        """Return a name."""
        return "me"

    def key(self, *parts: str) -> str:
        """Return a key."""
        return ":".join(parts)

    async def acquire(self, _script: object, _key: str, *_arguments: object) -> list[Any]:
        """Wait without a result."""
        await asyncio.sleep(60)
        return []

    async def given(self, _script: object, _key: str, *_arguments: object) -> list[Any]:
        """Release a turn without a holder."""
        return [b"yours", None, None, None]

    def check_usable(self) -> None:
        """Be there."""

    async def publish(self, *said: Any) -> bool:
        """Take note, and answer too late."""
        self.told.append(said)
        await asyncio.sleep(1)
        return True


def test_a_slow_redis_costs_at_most_the_deadline() -> None:
    """Looking up an id ends with the deadline; recording the response waits no longer, and it is sent."""

    async def look() -> tuple[int, float, float, int]:
        loop, held = asyncio.get_running_loop(), Held()
        ids = RedisMessageIds(cast("RedisState", held), time.monotonic)
        before = loop.time()
        answer = await ids.claim("m-1", b"d", in_seconds(5))
        assert answer is not None
        looked = loop.time() - before

        async def process() -> Answered:
            await asyncio.sleep(4.9)
            return answer

        held.acquire = held.given  # type: ignore[method-assign]
        before = loop.time()
        await run_once(ids, "m-2", b"", in_seconds(5), process)
        return answer.status, looked, loop.time() - before, len(held.told)

    assert (503, 5.0, 5.0, 1) == run(look())


class SilentConnection:
    """A connection to a Redis that hangs: it takes every command, and answers none."""

    sent = 0

    async def connect(self) -> None:
        """Be connected."""

    async def disconnect(self, *, nowait: bool) -> None:
        """Be disconnected."""

    def pack_commands(self, commands: list[Any]) -> list[Any]:
        """Return the commands."""
        return commands

    async def send_packed_command(self, commands: list[Any]) -> None:
        """Count the commands."""
        self.sent += len(commands)

    async def read_response(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


def test_only_the_first_request_waits_for_a_redis_that_hangs() -> None:
    """It waits a second; the others are refused at once, and send no command."""

    async def ask() -> tuple[list[float], int]:
        silent, clock = SilentConnection(), asyncio.get_running_loop().time
        state = RedisState(lambda lost: RedisConnection(lambda: cast("Connection", silent), lost), "cxroute:prod")
        await state.connection.open()
        state.is_joined = state.is_usable = True
        locks, waits = RedisLocks(state, ConversationLocks(clock)), []
        for number in range(20):
            before = clock()
            with pytest.raises(LockUnavailableError, match="nothing was written"):
                async with locks.lock(f"c-{number}"):
                    pass
            waits.append(clock() - before)
        return waits, silent.sent

    assert ([1.0] + [0.0] * 19, 1) == run(ask())


def test_recording_an_unclear_signal_ends_at_the_deadline() -> None:
    """Its write was running at the deadline, and Redis is slow: the client is answered in the reserved margin."""
    said = asyncio.Event()

    async def write(*_: object) -> None:
        try:
            await said.wait()
        except asyncio.CancelledError:
            raise AmbiguousWriteError("") from None

    async def take() -> tuple[int, bool, int]:
        held = Held()
        held.acquire = held.given  # type: ignore[method-assign]
        relay = EventHandler(
            write,
            EventPolicy(),
            RedisLocks(cast("RedisState", held), ConversationLocks(lambda: 0.0)),
            Metrics(),
            lambda: 1,
        )
        before, end = asyncio.get_running_loop().time(), in_seconds(5)
        answer = await relay.handle(parsed(json.dumps(event()).encode()), "", datetime.now(UTC), end)
        return answer.status, 5.0 <= asyncio.get_running_loop().time() - before <= 5.05, len(held.told)

    assert (504, True, 1) == run(take())


def test_a_claim_at_its_deadline_is_refused_and_leaves_the_id_free() -> None:
    """The client is about to give up, so it must not process the message; the next client may."""

    async def claims() -> list[Answered | None]:
        ids = InMemoryMessageIds(time.monotonic)
        return [await ids.claim("m-1", b"d", in_seconds(0)), await ids.claim("m-1", b"d", in_seconds(5))]

    late, next_one = asyncio.run(claims())
    assert late is not None
    assert (503, None) == (late.status, next_one)
