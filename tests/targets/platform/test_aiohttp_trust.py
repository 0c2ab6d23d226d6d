"""Connections and trust of the network transport; no other server gets a byte."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    NotSentError,
    UntrustedCertificateError,
    send_with_timeout,
)
from tests.support.http_server import OK, Run, ScriptedServer, answer_with, run
from tests.support.in_process_tenant import TENANT

__all__ = ["run"]
PEM = Path(__file__).parents[2] / "self_signed.pem"


async def asked(url: str, trusted: Path | None = PEM) -> int:
    """Return the status of a response of a server with a certificate that a trusted authority
    signed.
    """
    tenant = replace(TENANT, base_url="https://localhost")
    request = ApiRequest("GET", ServerUrl.parse(url), "/", {}, b"{}")
    async with network_transport(tenant, None, trusted) as transport:
        answer = await send_with_timeout(transport, request, 2.0, REAL_TIME)
    return answer.status


@asynccontextmanager
async def secure(
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> AsyncIterator[tuple[int, ScriptedServer]]:
    """Serve TLS with a certificate of localhost that no authority signed; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    if newest < ssl.TLSVersion.TLSv1_2:
        # or this server would refuse it by itself
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = newest
    context.maximum_version = newest
    tenant = ScriptedServer(answer_with(OK))
    async with tenant.open(context):
        yield tenant.server.port, tenant


@pytest.mark.fast_cases(1)
def test_tls_needs_a_trusted_certificate_for_the_name(run: Run) -> None:
    """A certificate that the operator trusts is valid for its name only; one that no authority
    signed is invalid.
    """

    async def three() -> tuple[int, int]:
        async with secure() as (port, tenant):
            status = await asked(f"https://localhost:{port}")
            with pytest.raises(UntrustedCertificateError):
                await asked(f"https://127.0.0.1:{port}")
            with pytest.raises(UntrustedCertificateError):
                await asked(f"https://localhost:{port}", None)
            return status, len(tenant.requests)

    assert (200, 1) == run(three())


@pytest.mark.fast_cases(1)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_server_without_current_tls_gets_no_request(run: Run) -> None:
    """A server with TLS 1.1 at the most, without TLS, or one that closes the connection."""

    async def old() -> int:
        async with secure(ssl.TLSVersion.TLSv1_1) as (port, tenant):
            with pytest.raises(NotSentError):
                await asked(f"https://localhost:{port}")
            return len(tenant.requests)

    async def plain(greeting: bytes) -> int:
        async with ScriptedServer(answer_with(OK), greeting).open() as tenant:
            with pytest.raises(NotSentError):
                await asked(f"https://localhost:{tenant.server.port}")
            return len(tenant.requests)

    assert [0, 0] == [run(old()), run(plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"))]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    "host", ["a..b", ".b", "b" * 64, "nowhere.invalid", "127.0.0.1:9", "[::1]:9"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_to_an_unreachable_server_was_not_sent(
    run: Run, scheme: str, host: str
) -> None:
    """Invalid names, names without an address, and ports without a server."""

    async def reach() -> None:
        with pytest.raises(NotSentError):
            await asked(f"{scheme}://{host}")

    run(reach())


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a\r\nX: y", {}),
        ("/a\n", {}),
        ("/", {"Authorization": "Bearer a\rb"}),
        ("/", {"X\r\nY": "z"}),
    ],
)
def test_a_line_end_inside_a_request_is_never_sent(
    run: Run, target: str, headers: dict[str, str]
) -> None:
    """The request is not sent at all, even if no earlier check found the line end."""

    async def one() -> int:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.ask()
            with pytest.raises(AssertionError, match="line end"):
                await tenant.transport(
                    ApiRequest("GET", tenant.server, target, headers)
                )
            return len(tenant.requests)

    assert 1 == run(one())


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    "target", ["/a%2Fb/%2e%2E/c?d=%41&e=+%20", "/a/./b//c", "/%C3%A9:;=@!$&'()*,"]
)
def test_a_target_is_sent_exactly(run: Run, target: str) -> None:
    """Nothing is decoded, quoted or normalised: a quoted id would lead to another path."""

    async def one() -> bytes:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.transport(ApiRequest("POST", tenant.server, target, {}, b"{}"))
            return tenant.requests[0].split(b" ")[1]

    assert target.encode() == run(one())
