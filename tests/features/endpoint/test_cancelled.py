"""A request that is cancelled at any point leaves nothing behind, and reports about it are true
(W2, W4, W5).
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import replace
from typing import cast

import pytest

from reconciler.core.errors import RateLimitedError
from reconciler.targets.platform.context_client import ContextClient
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from reconciler.targets.platform.transport.sender import CURRENT_DEADLINE
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.features.endpoint.simulated_tenants import SAID, WAYS, ways
from tests.support.in_process_tenant import TENANT

STEPS = 3
"""The number of loop turns that each call takes."""


class Tenant:
    """Issues tokens and accepts writes; `first` is its response to the first of these."""

    def __init__(self, way: str, first: int) -> None:
        path, writer = ways()[way]
        self.tokens = self.writes = self.given = 0
        self._first = first
        tenant = replace(TENANT, requests_per_second=1e6)
        credentials = ClientCredentials(client_id="id", client_secret="secret")
        self.client = ContextClient(
            self._carry, tenant, credentials, REAL_TIME, path, writer
        )

    async def _carry(self, request: ApiRequest) -> ApiResponse:
        status = 200
        if request.target == "/oauth/token":
            self.tokens += 1
        else:
            self.writes += 1
            status = self._first if self.writes == 1 else 200
            self.given += status != 401
        for _ in range(STEPS):
            await asyncio.sleep(0)
        return ApiResponse(
            request.call,
            status,
            {},
            b'{"access_token": "t%d", "expires_in": 3600}' % self.tokens,
        )


async def cancelled(endpoint: Endpoint, turns: int) -> str:
    """Post an event, cancel the post after so many turns of the loop, and return its outcome."""
    context = copy_context()
    posting = asyncio.create_task(endpoint.post(), context=context)
    for _ in range(turns):
        await asyncio.sleep(0)
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    assert context.get(CURRENT_DEADLINE) is None
    return endpoint.log[-1]["outcome"] if not posting.cancelled() else ""


@pytest.mark.fast_cases(2)
@WAYS
@pytest.mark.parametrize("first", [200, 401, 503])
def test_a_repeat_after_any_cancellation_is_written_or_unclear(
    way: str, first: int
) -> None:
    """A signal that may have been sent is not sent again; no lock and no timer remains."""

    async def each() -> set[str]:
        outcomes = set()
        for turns in range(4 * STEPS + 4):
            tenant = Tenant(way, first)
            endpoint = Endpoint(cast("Upstream", tenant.client))
            outcome = await cancelled(endpoint, turns)
            pacer = tenant.client.rate_limiter
            source_values = tenant.given
            assert (TENANT.concurrency, False) == (
                pacer._slots._value,
                pacer._turn.locked(),
            )
            again = await endpoint.post()
            if outcome == "unclear":
                assert (502, source_values) == (again.status, tenant.given)
            if way == "voice-signal":
                assert 1 == tenant.given or (outcome, first) == ("unclear", 401)
            else:
                assert 200 == again.status
            outcomes.add(outcome)
        return outcomes

    assert {
        "",
        "late",
        *(("unclear",) if way == "voice-signal" else ()),
    } <= asyncio.run(each())


def test_the_requester_of_a_shared_token_gives_up() -> None:
    """One of the others requests it again for all; each of them is written."""

    async def crowd() -> tuple[list[int], int, int]:
        tenant = Tenant("interaction", 200)
        endpoint = Endpoint(cast("Upstream", tenant.client), max_waiting=1000)
        tasks = [
            asyncio.create_task(endpoint.post(event(conversationId=f"c-{number}")))
            for number in range(300)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 1 == tenant.tokens
        tasks[0].cancel()
        replies = await asyncio.gather(*tasks)
        return [reply.status for reply in replies], tenant.tokens, tenant.writes

    assert ([504, *[200] * 299], 2, 299) == asyncio.run(crowd())


def test_running_calls_count_as_lost_and_waiting_ones_do_not() -> None:
    """The circuit is opened by an unresponsive tenant, not by calls that ended while they waited
    for their turn.
    """

    async def hang(request: ApiRequest) -> ApiResponse:
        if request.target == "/oauth/token":
            return ApiResponse(
                request.call, 200, {}, b'{"access_token": "t", "expires_in": 3600}'
            )
        await asyncio.Event().wait()
        raise AssertionError

    async def crowd() -> int:
        tenant = replace(TENANT, requests_per_second=1e6, concurrency=3)
        path, writer = ways()["interaction"]
        client = ContextClient(
            hang,
            tenant,
            ClientCredentials(client_id="id", client_secret="secret"),
            REAL_TIME,
            path,
            writer,
        )
        writes = [
            asyncio.create_task(client.write(f"c-{number}", SAID, 5.0))
            for number in range(20)
        ]
        await asyncio.sleep(0.05)
        for write in reversed(writes):
            write.cancel()
        actual = await asyncio.gather(*writes, return_exceptions=True)
        assert {TimeoutError, RateLimitedError} >= {type(item) for item in actual}
        return client.circuit._failures

    assert 3 == asyncio.run(crowd())
