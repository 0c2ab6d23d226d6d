"""Connections and trust of the endpoint's HTTP client; no other server gets a byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.cxone.settings import ServerUrl
from reconciler.cxone.transport import fast_transport as module
from reconciler.cxone.transport.fast_transport import Direct
from reconciler.cxone.transport.rate_limiter import REAL_TIME
from reconciler.cxone.transport.request import ApiRequest, NotSentError, UntrustedCertificateError, send_with_timeout
from tests.support.http_server import OK, Run, ScriptedServer, answer_with, run

__all__ = ["run"]
PEM = Path(__file__).parents[1] / "self_signed.pem"


async def asked(direct: Direct, url: str, seconds: float = 2.0) -> int:
    """Return the status of a response."""
    answer = await send_with_timeout(
        direct.carry, ApiRequest("GET", ServerUrl.parse(url), "/", {}, b"{}"), seconds, REAL_TIME
    )
    direct.close()
    return answer.status


@asynccontextmanager
async def secure(newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> AsyncIterator[tuple[int, ScriptedServer]]:
    """Serve TLS with a certificate of localhost that no authority signed; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    if newest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")  # or this server would refuse it by itself
        context.minimum_version = newest
    context.maximum_version = newest
    tenant = ScriptedServer(answer_with(OK))
    async with tenant.open(context):
        yield tenant.server.port, tenant


def trusting() -> Direct:
    return Direct(ssl.create_default_context(cafile=PEM))


def test_tls_needs_a_trusted_certificate_for_the_name(run: Run) -> None:
    """A certificate that the operator trusts is valid for its name only; one that no authority signed is invalid."""

    async def three() -> list[Any]:
        async with secure() as (port, tenant):
            well = await asked(trusting(), f"https://localhost:{port}")
            found = [well]
            for direct, host in ((trusting(), "127.0.0.1"), (Direct(ssl.create_default_context()), "localhost")):
                with pytest.raises(UntrustedCertificateError):
                    await asked(direct, f"https://{host}:{port}")
            return [*found, len(tenant.requests)]

    assert [200, 1] == run(three())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_server_without_current_tls_gets_no_request(run: Run) -> None:
    """A server with TLS 1.1 at the most, without TLS, or one that closes the connection."""

    async def old() -> int:
        async with secure(ssl.TLSVersion.TLSv1_1) as (port, tenant):
            with pytest.raises(NotSentError):
                await asked(trusting(), f"https://localhost:{port}")
            return len(tenant.requests)

    async def plain(greeting: bytes) -> int:
        async with ScriptedServer(answer_with(OK), greeting).open() as tenant:
            with pytest.raises(NotSentError):
                await asked(trusting(), f"https://localhost:{tenant.server.port}")
            return len(tenant.requests)

    assert [0, 0] == [run(old()), run(plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"))]


@pytest.mark.parametrize("host", ["a..b", ".b", "b" * 64, "nowhere.invalid", "127.0.0.1:9", "[::1]:9"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_to_an_unreachable_server_was_not_sent(run: Run, scheme: str, host: str) -> None:
    """Invalid names, names without an address, and ports without a server."""

    async def reach() -> None:
        with pytest.raises(NotSentError):
            await asked(trusting(), f"{scheme}://{host}")

    run(reach())


@asynccontextmanager
async def deaf() -> AsyncIterator[tuple[str, int]]:
    """Yield an address that accepts no connection: the queue of its listener is full."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as another:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for taken in (one, another):
            taken.setblocking(False)
            taken.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_a_dead_address_costs_little_if_the_name_has_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second address of a name is tried 0.25 seconds later, and answers; without it the first one fails."""

    async def both() -> list[Any]:
        loop = asyncio.get_running_loop()
        async with ScriptedServer(answer_with(OK)).open() as tenant, deaf() as dead:
            places = [dead, ("127.0.0.1", tenant.server.port)]

            async def found(*_arguments: Any, **_options: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

            monkeypatch.setattr(module, "_addresses", found)
            before = loop.time()
            status = await asked(trusting(), "http://twice.example")
            took = loop.time() - before
            places.pop()
            with pytest.raises(TimeoutError):
                await asked(trusting(), "http://once.example", 0.3)
            return [status, 0.2 < took < 1.5]

    assert [200, True] == run(both())


def test_an_old_connection_is_not_used_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be about to close it."""
    monkeypatch.setattr(module, "_IDLE", 0.05)

    async def three() -> int:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.ask()
            await tenant.ask()
            await asyncio.sleep(0.1)
            await tenant.ask()
            return len(tenant.connections)

    assert 2 == run(three())


@pytest.mark.parametrize(
    "request_",
    [
        ApiRequest("GET", ServerUrl("http", "x", 80, ""), "/a\r\nX: y", {}),
        ApiRequest("GET", ServerUrl("http", "x", 80, ""), "/a\n", {}),
        ApiRequest("GET", ServerUrl("http", "x", 80, ""), "/", {"Authorization": "Bearer a\rb"}),
        ApiRequest("GET", ServerUrl("http", "x\r\ny", 80, ""), "/", {}),
    ],
    ids=range(4),
)
def test_a_line_end_inside_a_request_is_never_sent(run: Run, request_: ApiRequest) -> None:
    """The request is not sent at all, even if no earlier check found the line end."""

    async def one() -> int:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.ask()
            tenant.direct._idle[request_.server] = tenant.direct._idle[tenant.server]
            with pytest.raises(AssertionError, match="line end"):
                await tenant.direct.carry(request_)
            return len(tenant.requests)

    assert 1 == run(one())
