"""Where the endpoint's own HTTP client connects to, and whom it trusts; nothing is sent to anybody else."""

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
    """Return the status of an answer."""
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


def test_tls_is_spoken_to_who_is_trusted_for_the_name(run: Run) -> None:
    """A certificate that the operator trusts is good for its name alone, and one that nobody signed for none."""

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
def test_what_is_no_tls_of_today_is_sent_nothing(run: Run) -> None:
    """A server that speaks TLS 1.1 at the most, or none, or ends at once."""

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
def test_what_cannot_be_reached_was_not_sent(run: Run, scheme: str, host: str) -> None:
    """Names that no name can be, that nobody has, and ports where nobody listens."""

    async def reach() -> None:
        with pytest.raises(NotSentError):
            await asked(trusting(), f"{scheme}://{host}")

    run(reach())


@asynccontextmanager
async def deaf() -> AsyncIterator[tuple[str, int]]:
    """Yield an address to which no connection comes about: what listens there has no place for one more."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as another:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for taken in (one, another):
            taken.setblocking(False)
            taken.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_a_dead_address_costs_a_moment_where_the_name_has_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second address of a name is tried a quarter of a second later, and answers; alone, the first is given up."""

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


def test_a_connection_that_grew_old_is_not_used_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side may be about to close it."""
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
def test_a_line_end_is_never_sent_where_none_may_be(run: Run, request_: ApiRequest) -> None:
    """Whatever failed to check it before: the request is not sent at all."""

    async def one() -> int:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.ask()
            tenant.direct._idle[request_.server] = tenant.direct._idle[tenant.server]
            with pytest.raises(AssertionError, match="line end"):
                await tenant.direct.carry(request_)
            return len(tenant.requests)

    assert 1 == run(one())
