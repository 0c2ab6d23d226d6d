"""A server that becomes unavailable: waits, probes, writes that are sent once, and the limits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import httpx
import pytest

from reconciler.core import errors
from reconciler.core.model.live import FetchedRule
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.circuit_breaker import MAX_FAILURES
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.request import UntrustedCertificateError
from reconciler.targets.rules_api.client import WritingClient
from tests.support.builders import MARKER, rule
from tests.support.in_process_tenant import TENANT
from tests.support.stepping_clock import run, stepping_time

Away = Callable[[httpx.Request], httpx.Response]

MOST_PROBES = 12
"""At 1.5, 3, 6 and then 11 seconds, the shortest that they are apart, as many as 90 seconds
hold."""


@dataclass
class Server(httpx.AsyncBaseTransport):
    """Answers every call after 50 ms; from second `since` to second `until` with `away` instead."""

    away: Away
    since: float = 1.0
    until: float = float("inf")
    asked: list[tuple[float, str]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time() - 1000
        self.asked.append(
            (now, f"{request.method} {request.url.path.rsplit('/', 1)[1]}")
        )
        if self.since <= now < self.until:
            return self.away(request)
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        item = {"id": request.url.path.rsplit("/", 1)[1], "name": "x", "priority": 1}
        return httpx.Response(200, json=item)

    def sent_from(self, second: float) -> list[str]:
        """Return the requests from that second on."""
        return [call for at, call in self.asked if at >= second]


def broken(status: int) -> Away:
    return lambda _request: httpx.Response(status)


def lost(failure: type[httpx.TransportError]) -> Away:
    def away(request: httpx.Request) -> httpx.Response:
        raise failure("gone", request=request)

    return away


AWAY = {
    "503": broken(503),
    "refused": lost(httpx.ConnectError),
    "reset": lost(httpx.ReadError),
}


def using(
    server: Server, calls: Callable[[WritingClient], Awaitable[Any]], **tenant: Any
) -> tuple[Any, WritingClient]:
    """Make calls with a client of the server, with a stepping clock; return their results, and the
    client.
    """

    async def go() -> tuple[Any, WritingClient]:
        settings = replace(TENANT, requests_per_second=100, **tenant)
        client = WritingClient(
            transport_over(server),
            settings,
            ClientCredentials(client_id="id", client_secret="s"),
            stepping_time(Random(1)),
        )
        return await calls(client), client

    return run(go())


async def reads(client: WritingClient, count: int = 300) -> list[Any]:
    """Read so many rules, sixteen in parallel; failures are among the results."""
    return await asyncio.gather(
        *(client.rule(f"r{n}") for n in range(count)), return_exceptions=True
    )


async def creates(client: WritingClient, count: int = 300) -> list[Any]:
    """Create so many rules."""
    return await asyncio.gather(
        *(client.create(rule(f"r{n}"), MARKER) for n in range(count)),
        return_exceptions=True,
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("away", AWAY)
def test_reads_survive_an_outage_of_a_minute(away: str) -> None:
    """All of them succeed; during the outage one probe at a time is sent, at growing intervals
    (F26).
    """
    server = Server(AWAY[away], until=61.0)
    actual, client = using(server, reads)
    assert {FetchedRule} == {type(item) for item in actual}
    # the calls in progress are answered by then
    meanwhile = [call for at, call in server.asked if 1.06 <= at < 61.0]
    assert 1 <= len(meanwhile) <= MOST_PROBES + TENANT.concurrency
    assert len([at for at, _ in server.asked if 2.0 <= at < 61.0]) <= MOST_PROBES
    assert client.rate_limiter.retries <= 20 + client.rate_limiter.requests / 10


def test_the_retry_after_of_a_failure_is_respected() -> None:
    """After a 503 with Retry-After no call is sent before that time; without it the usual back-off
    applies.
    """
    server = Server(
        lambda _request: httpx.Response(503, headers={"Retry-After": "20"}), until=1.2
    )
    actual, _ = using(server, reads)
    assert {FetchedRule} == {type(item) for item in actual}
    refused = max(at for at, _ in server.asked if at < 1.3)
    assert [] == [at for at, _ in server.asked if refused < at < refused + 19.9]


def test_a_single_read_survives_an_outage() -> None:
    """Four attempts, then probes, the last of which is its response."""
    server = Server(broken(503), since=0.06, until=61.0)
    actual, _ = using(server, lambda client: client.rule("1"))
    assert isinstance(actual, FetchedRule)
    assert 1 <= len(server.asked) - 1 - MAX_FAILURES <= MOST_PROBES


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("away", AWAY)
def test_a_total_outage_ends_in_bounded_time_and_requests(away: str) -> None:
    """The calls in progress, probes for the time of the patience, and then no more requests
    (F27).
    """
    server = Server(AWAY[away])

    async def both(client: WritingClient) -> tuple[list[Any], int]:
        first = await reads(client)
        requests_sent = len(server.asked)
        assert all(isinstance(item, errors.ApiError) for item in await reads(client))
        return first, len(server.asked) - requests_sent

    (actual, sent_later), _ = using(server, both)
    kinds = Counter(type(item) for item in actual)
    assert kinds[FetchedRule] > 0
    assert (
        kinds[errors.OverloadedError] + kinds[errors.UnreachableError]
        == 300 - kinds[FetchedRule]
    )
    assert len(server.sent_from(1.0)) <= TENANT.concurrency + MAX_FAILURES + MOST_PROBES
    assert 91 <= server.asked[-1][0] <= 95
    assert 0 == sent_later


def test_writes_wait_for_the_circuit_and_are_sent_once() -> None:
    """Writes in progress are unknown; a read probes for the others, which are then sent once each
    (R6).
    """
    server = Server(broken(503), until=61.0)
    actual, _ = using(server, creates)
    unknown = [item for item in actual if isinstance(item, errors.AmbiguousWriteError)]
    assert 1 <= len(unknown) <= TENANT.concurrency
    assert 300 - len(unknown) == sum(not isinstance(item, Exception) for item in actual)
    requested = Counter(call for _, call in server.asked)
    assert 300 == requested["POST rules"]
    assert 1 <= requested["GET rules"] <= MOST_PROBES
    assert {"GET rules"} == {call for at, call in server.asked if 1.1 <= at < 61.0}


def test_a_write_with_a_refused_connection_is_sent_after_the_outage() -> None:
    """It was certainly not done."""
    server = Server(lost(httpx.ConnectError), until=61.0)
    actual, _ = using(server, creates)
    assert not [item for item in actual if isinstance(item, Exception)]


def test_patience_is_a_setting_of_the_tenant() -> None:
    """Without patience, the fourth failure is the last."""
    server = Server(broken(503), since=0.06)
    with pytest.raises(errors.OverloadedError, match="503"):
        using(server, lambda client: client.rule("1"), patience_seconds=0.0)
    assert MAX_FAILURES == len(server.asked) - 1


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadError])
def test_a_server_that_never_answered_gets_no_patience(
    failure: type[httpx.TransportError],
) -> None:
    """A wrong host fails within seconds: four attempts by all requests together."""
    server = Server(lost(failure), since=0.0)
    actual, _ = using(server, reads)
    assert {errors.OverloadedError, errors.UnreachableError} >= {
        type(item) for item in actual
    }
    assert MAX_FAILURES == len(server.asked)
    assert server.asked[-1][0] < 10


def test_a_token_does_not_make_the_client_wait_for_an_absent_api() -> None:
    """The token server and the API may have different hosts, and one of them may be wrong."""

    def away(request: httpx.Request) -> httpx.Response:
        if request.url.host == "localhost":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        raise httpx.ConnectError("refused")

    server = Server(away, since=0.0)
    with pytest.raises(errors.UnreachableError):
        using(server, lambda client: client.rule("1"), base_url="http://127.0.0.1:9")
    assert server.asked[-1][0] < 10


def test_a_token_request_waits_too() -> None:
    """A 5xx shows that the server exists."""
    server = Server(broken(503), since=0.0, until=30.0)
    actual, _ = using(server, reads)
    assert {FetchedRule} == {type(item) for item in actual}


def test_an_untrusted_certificate_is_tried_once() -> None:
    """A second attempt would not change it (F37), for any request."""

    def untrusted(_request: httpx.Request) -> httpx.Response:
        raise UntrustedCertificateError("gone")

    server = Server(untrusted, since=0.0)
    actual, _ = using(server, reads)
    assert {errors.UnreachableError} == {type(item) for item in actual}
    assert 1 == len(server.asked)


def test_occasional_failures_do_not_open_the_circuit() -> None:
    """Any good response restarts the count."""
    turns = iter(range(10_000))
    server = Server(
        lambda request: httpx.Response(
            503 if next(turns) % 12 == 0 else 200, json=body(request)
        )
    )
    actual, client = using(server, reads)
    assert {FetchedRule} == {type(item) for item in actual}
    assert client.rate_limiter.retries <= 20 + client.rate_limiter.requests / 10
    assert server.asked[-1][0] < 30


def body(request: httpx.Request) -> dict[str, Any]:
    return {"id": request.url.path.rsplit("/", 1)[1], "name": "x", "priority": 1}


@pytest.mark.slow
@pytest.mark.parametrize("sleeps", [0.0, 0.5, 1.0])
def test_retries_have_a_budget(sleeps: float) -> None:
    """At most four attempts for each request, and at most 20 retries plus a tenth of the requests
    in all (R21).
    """
    chance = Random(int(sleeps * 2))
    server = Server(
        lambda request: httpx.Response(
            503 if chance.random() < 0.3 else 200, json=body(request)
        )
    )
    _, client = using(server, lambda item: reads(item, 1000))
    assert client.rate_limiter.retries <= 20 + client.rate_limiter.requests / 10
    assert max(Counter(call for _, call in server.asked).values()) <= 4 + MOST_PROBES
