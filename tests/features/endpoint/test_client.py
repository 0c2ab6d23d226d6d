"""The client that writes contexts: the contract, the simulator's faults, its circuit, its time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.errors import (
    ApiError,
    OverloadedError,
    RateLimitedError,
    RejectedError,
    RetryLaterError,
    UsageError,
)
from reconciler.targets.platform.transport.circuit_breaker import MAX_FAST_FAILURES
from tests.features.endpoint.simulated_tenants import FAULTS, SAID, WAYS, ContextTenant
from tests.support import canary_secrets as canary
from tests.support.cases import each_case

CONTRACT = Path(__file__).parents[2] / "contract" / "context.json"


@pytest.mark.parametrize(
    "example",
    [
        load
        for load in json.loads(CONTRACT.read_text("utf-8"))
        if "client" in load["sides"] and "attributes" in load["request"]["json"]
    ],
    ids=lambda item: str(item["name"]),
)
def test_the_client_keeps_the_contract(example: dict[str, Any]) -> None:
    """Its requests match the contract, byte for byte in the path, and it understands the
    responses.
    """
    requested: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200,
                json={
                    "access_token": "TOKEN",
                    "token_type": "Bearer",
                    "expires_in": 3600,
                },
            )
        requested.append(request)
        return httpx.Response(
            example["response"]["status"], json=example["response"]["json"]
        )

    async def write() -> Any:
        request = example["request"]
        conversation = request["path"].split("/")[-2]
        attributes = request["json"]["attributes"]
        return (
            await ContextTenant()
            .client(httpx.MockTransport(answer))
            .write(conversation, attributes, 5.0)
        )

    if example["response"]["status"] == 200:
        assert example["response"]["json"] == asyncio.run(write())
    else:
        with pytest.raises(ApiError):
            asyncio.run(write())
    assert {("POST", example["request"]["path"].encode())} == {
        (item.method, item.url.raw_path) for item in requested
    }
    assert example["request"]["json"] == json.loads(requested[0].content)
    assert ["Bearer TOKEN", "application/json"] == [
        requested[0].headers[item] for item in ("Authorization", "Content-Type")
    ]


@each_case("faults, expected", FAULTS)
def test_every_fault_ends_correctly_and_in_time(faults: str, expected: type) -> None:
    """One fault is overcome where that is safe; a lasting one is reported; five seconds are five
    seconds.
    """
    world = ContextTenant(faults)
    start = world.clock.seconds
    (actual,) = world.run("c-1")
    assert isinstance(actual, expected), repr(actual)
    assert world.clock.seconds - start <= 5.0
    assert [] == canary.find_leaks(repr(actual))
    assert world.asked()["context"] <= 4


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_a_body_is_an_acknowledgement(status: int) -> None:
    """No part of it is needed."""
    (actual,) = ContextTenant(f"context:empty-applied={status}").run("c-1")
    assert actual is None


@pytest.mark.campaign
@WAYS
def test_a_thousand_concurrent_writes_request_one_token(way: str) -> None:
    """Before the first write, and once more after all get the response that the token is invalid
    (W12).
    """
    world = ContextTenant("context:revoke@#1", way)
    actual = world.run(*(f"c-{item}" for item in range(1000)), at_once=1000)
    assert [] == [item for item in actual if isinstance(item, Exception)]
    assert 2 == world.asked()["token"]


def test_the_circuit_opens_and_fails_immediately_and_closes_itself() -> None:
    """One minute unavailable under 50 writes a second: at most 60 calls are sent, and it detects
    the return (W11).
    """
    world = ContextTenant("*:503@0s-60s")

    async def minute() -> tuple[list[Any], int, float, list[Any]]:
        client = world.client()
        first = await asyncio.gather(
            client.write("c-0", SAID, 5.0), return_exceptions=True
        )
        during: list[Any] = list(first)
        slowest = 0.0
        while world.clock.seconds < 1059:
            before = world.clock.seconds
            during += await asyncio.gather(
                client.write("c-1", SAID, 5.0), return_exceptions=True
            )
            if isinstance(during[-1], RetryLaterError):
                slowest = max(slowest, world.clock.seconds - before)
            world.clock.seconds += 0.02
        requests_sent = len(world.app.state.requests)
        world.clock.seconds += 7
        after = await asyncio.gather(
            *(client.write(f"c-{item}", SAID, 5.0) for item in range(3)),
            return_exceptions=True,
        )
        after += await asyncio.gather(
            client.write("c-9", SAID, 5.0), return_exceptions=True
        )
        return during, requests_sent, slowest, after

    during, requests_sent, slowest, after = asyncio.run(minute())
    assert all(isinstance(item, OverloadedError) for item in during)
    assert sum(isinstance(item, RetryLaterError) for item in during) > 0.9 * len(during)
    assert MAX_FAST_FAILURES < requests_sent <= 60
    assert 0 == slowest
    assert isinstance(after[0], dict)
    assert isinstance(after[-1], dict)


def test_a_sent_write_is_never_reported_as_not_sent() -> None:
    """Two in turn, until the fifth failure opens the circuit between two attempts of the other."""
    world = ContextTenant("context:503")
    actual = world.run("c-1", "c-2", seconds=30.0, at_once=2)
    assert 5 == world.asked()["context"]
    assert [OverloadedError, OverloadedError] == [type(item) for item in actual]


def test_half_of_twenty_failures_also_open_the_circuit() -> None:
    """A tenant that fails every other time counts as unavailable."""
    world = ContextTenant(",".join(f"context:503@#{item}" for item in range(1, 40, 2)))

    async def write() -> int:
        client = world.client()
        for element in range(20):
            await asyncio.gather(
                client.write(f"c-{element}", SAID, 0.1), return_exceptions=True
            )
        return client.circuit.opened

    assert asyncio.run(write()) >= 1


@WAYS
def test_a_tenant_that_sets_retry_after_is_not_called_before(way: str) -> None:
    """Retry-After beyond the deadline: its receiver and all new calls get the time."""
    world = ContextTenant("context:429=60@#1", way)
    actual = world.run("c-1", "c-2", "c-3")
    assert [RateLimitedError] * 3 == [type(item) for item in actual]
    assert all(59 < item.retry_after <= 60 for item in actual)
    assert 1 == world.asked()["context"]


@pytest.mark.parametrize("conversation", [".", "..", "...."])
@WAYS
def test_an_id_with_dots_is_never_requested(conversation: str, way: str) -> None:
    """The last line of defence: the path is compared with the intended one before anything is
    sent.
    """
    world = ContextTenant("", way)
    (actual,) = world.run(conversation)
    if conversation == "....":
        assert not isinstance(actual, Exception)
    else:
        assert isinstance(actual, RejectedError)
        assert {} == dict(world.asked())


@pytest.mark.parametrize(
    "conversation",
    ["../../routing/rules/1?x=", "a/b", "a%2Fb", "a?b", "a#b", "ä", "a b", "a:b"],
)
@WAYS
def test_an_id_stays_in_its_path_segment(conversation: str, way: str) -> None:
    """Percent-encoded, it is exactly one segment of the writer's path."""
    world = ContextTenant("", way)
    world.run(conversation)
    paths = {
        request.segments
        for request in world.app.state.requests
        if request.path != "/oauth/token"
    }
    template = world.path.split("/")[1:]
    assert {
        tuple(conversation if part == "{conversationId}" else part for part in template)
    } == paths


def test_a_template_with_dots_is_refused_at_the_start() -> None:
    """A template with `.` or `..` would be requested as another path."""
    world = ContextTenant()
    with pytest.raises(UsageError):
        world.client(path="/a/../{conversationId}/context")


@pytest.mark.parametrize(
    ("faults", "expected"),
    [("", [True, True]), ("token:401", [False, False]), ("token:503", [False, False])],
)
def test_ready_needs_a_token(faults: str, expected: list[bool]) -> None:
    """The token is requested once for any number of probes."""
    world = ContextTenant(faults)

    async def ask() -> list[bool]:
        client = world.client()
        return [await client.is_ready(), await client.is_ready()]

    assert expected == asyncio.run(ask())
    assert world.asked()["token"] <= (1 if faults != "token:503" else 4)
