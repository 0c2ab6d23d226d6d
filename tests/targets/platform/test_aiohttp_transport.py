"""The transport on real sockets: the effects of a hostile, broken or slow server on the client."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from reconciler.core import errors
from reconciler.core.model.live import FetchedRule
from reconciler.core.model.rule import Queue
from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.tls import load_tls_context
from reconciler.targets.rules_api.client import ReadingClient, WritingClient
from tests.support.builders import MARKER, rule, unmanaged
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.http_server import hand_over_connections
from tests.support.in_process_tenant import TENANT

Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TOKEN = json.dumps({"access_token": "t", "expires_in": 3600}).encode()


def response(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return (
        head
        + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
        + body
    )


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read a full request; nothing if the peer has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    return head + await reader.readexactly(length)


@asynccontextmanager
async def served(
    script: Script, seconds: float = 2.0
) -> AsyncIterator[tuple[WritingClient, list[bytes]]]:
    """Serve a script for everything except the token; yield a client of it, and the received
    requests.
    """
    requested: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                if b" /oauth/token " in request:
                    writer.write(response(TOKEN))
                    await writer.drain()
                else:
                    requested.append(request)
                    await script(request, reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    tenant = replace(
        TENANT, base_url=base, token_url=f"{base}/oauth/token", timeout_seconds=seconds
    )
    quick = replace(REAL_TIME, random=lambda: 0.0)
    # the server waits for the client's connections
    async with (
        server,
        network_transport(tenant, None, None) as transport,
    ):
        yield (
            WritingClient(
                transport,
                tenant,
                ClientCredentials(client_id="id", client_secret="canary"),
                quick,
            ),
            requested,
        )
        server.close()
        await hand_over_connections()


def test_a_put_is_sent_once_if_a_kept_connection_breaks() -> None:
    """Its outcome is unknown; only a fresh read may decide (R6). aiohttp alone would send it
    again.
    """

    async def script(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.startswith(b"GET"):
            writer.write(
                response(json.dumps({"id": "1", "name": "x", "priority": 1}).encode())
            )
            await writer.drain()
        else:
            writer.transport.abort()

    async def run() -> list[bytes]:
        async with served(script) as (client, requested):
            read = await client.rule("1")
            assert read is not None
            with pytest.raises(errors.AmbiguousWriteError):
                await client.update(read, rule(), MARKER)
            with pytest.raises(errors.AmbiguousWriteError):
                await client.delete(read)
            with pytest.raises(errors.AmbiguousWriteError):
                await client.create(rule(), MARKER)
        return requested

    assert [b"GET", b"PUT", b"DELETE", b"POST"] == [
        request.split(b" ")[0] for request in asyncio.run(run())
    ]


def test_unrequested_response_does_not_answer_the_next_request() -> None:
    """A response that arrives on an idle connection closes it; the next request gets its own
    response.
    """
    names = iter(("first", "second"))

    def rule_response(name: str) -> bytes:
        return response(json.dumps({"id": "1", "name": name, "priority": 1}).encode())

    async def script(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(rule_response(next(names)))
        await writer.drain()
        # the client has read the response and keeps the connection
        await asyncio.sleep(0.05)
        writer.write(rule_response("unrequested"))
        await writer.drain()

    async def run() -> list[str]:
        async with served(script) as (client, _):
            rules = [await client.rule("1")]
            await asyncio.sleep(0.2)
            rules.append(await client.rule("1"))
            return [fetched.live.rule.name for fetched in rules if fetched]

    assert ["first", "second"] == asyncio.run(run())


def test_a_failed_connection_is_certain() -> None:
    """Nothing was sent, so that even a create may be retried; the final error says so."""

    async def run() -> None:
        tenant = replace(
            TENANT,
            base_url="http://127.0.0.1:9",
            token_url="http://127.0.0.1:9/oauth/token",
        )
        async with network_transport(tenant, None, None) as transport:
            quick = replace(REAL_TIME, random=lambda: 0.0)
            await WritingClient(
                transport,
                tenant,
                ClientCredentials(client_id="id", client_secret="canary"),
                quick,
            ).create(rule(), MARKER)

    with pytest.raises(errors.UnreachableError, match="cannot be reached"):
        asyncio.run(run())


def test_a_slow_drip_is_bounded_by_one_deadline() -> None:
    """Even if a byte arrives regularly: the call ends, although the response does not."""

    async def script(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def run() -> None:
        async with served(script, seconds=0.2) as (client, _):
            with pytest.raises(errors.AmbiguousWriteError, match="no response in time"):
                await client.create(rule(), MARKER)

    asyncio.run(run())


def bomb() -> bytes:
    return gzip.compress(b" " * 40_000_000, 1)


HOSTILE: dict[str, tuple[bytes | Callable[[], bytes], bytes, str]] = {
    "a gzip bomb": (
        bomb,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip",
        "more than 16 MiB",
    ),
    "a large body": (b" " * 17_000_000, b"HTTP/1.1 200 OK", "more than 16 MiB"),
    "an unrequested encoding": (
        b"x",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br",
        "not requested",
    ),
    "broken gzip": (
        b"no gzip",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip",
        "compression is invalid",
    ),
    "deep JSON": (b"[" * 100_000, b"HTTP/1.1 200 OK", "instead of JSON"),
    "NaN": (b'{"entities": [], "total": NaN}', b"HTTP/1.1 200 OK", "instead of JSON"),
    "a number of 5,000 digits": (b"9" * 5000, b"HTTP/1.1 200 OK", "instead of JSON"),
    "not UTF-8": (b'"\xff"', b"HTTP/1.1 200 OK", "instead of JSON"),
    "HTML": (b"<html>", b"HTTP/1.1 200 OK", "HTML"),
    "nothing": (b"", b"HTTP/1.1 200 OK", "nothing"),
    "a redirect": (
        b"",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/",
        "not followed",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_responses_end_in_one_sentence(case: str) -> None:
    """In bounded time and memory; a redirect is not followed."""
    created, head, text = HOSTILE[case]
    body = created if isinstance(created, bytes) else created()

    async def script(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response(body, head))
        await writer.drain()

    async def run() -> None:
        async with served(script, seconds=10) as (client, _):
            await client.rules()

    expected = (
        errors.UnsupportedCallError
        if case == "a redirect"
        else errors.UnexpectedResponseError
    )
    with pytest.raises(expected, match=text) as refused:
        asyncio.run(run())
    assert "canary" not in str(refused.value)


def test_compressed_responses_are_read() -> None:
    """The client requests gzip and no other encoding."""

    async def script(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert b"accept-encoding: gzip\r\n" in request.lower()
        page = gzip.compress(
            json.dumps({"entities": [{"id": "1", "name": "Q"}], "total": 1}).encode()
        )
        writer.write(response(page, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip"))
        await writer.drain()

    async def run() -> tuple[object, ...]:
        async with served(script) as (client, _):
            return await client.queues()

    assert (Queue("1", "Q"),) == asyncio.run(run())


def test_tls_is_always_verified() -> None:
    """No setting of a manifest, so of a pull request, has a part in it."""
    context = load_tls_context(None)
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


def test_a_server_with_an_untrusted_certificate_gets_no_secret() -> None:
    """The handshake fails, so neither id nor secret is sent; there is one attempt, because a retry
    would not help.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parents[2] / "self_signed.pem")
    observed: list[bytes] = []
    tried: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        observed.append(await _request(reader))
        writer.close()

    async def run(scheme: str) -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        base = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        tenant = replace(TENANT, base_url=base, token_url=f"{base}/oauth/token")
        quick = replace(REAL_TIME, random=lambda: 0.0)
        async with server, network_transport(tenant, None, None) as transport:
            client = WritingClient(
                transport,
                tenant,
                ClientCredentials(client_id="id", client_secret="canary"),
                quick,
            )
            try:
                await client.rules()
            finally:
                tried.append(client.rate_limiter.requests)
                await hand_over_connections()

    for scheme in ("https", "HTTPS"):
        with pytest.raises(errors.UnreachableError, match="certificate verify failed"):
            asyncio.run(run(scheme))
    assert [] == observed
    assert [1, 1] == tried


def test_cookies_proxy_variables_and_netrc_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """A server's cookie is not sent back, and no variable sends the credentials to another host."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path in a variable
        file.write("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", netrc)

    async def script(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        page = json.dumps({"entities": [{"id": "1", "name": "Q"}], "total": 1}).encode()
        writer.write(response(page, b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/"))
        await writer.drain()

    async def run() -> list[bytes]:
        async with served(script) as (client, requested):
            await client.queues()
            await client.queues()
            return requested

    requested = asyncio.run(run())
    assert 2 == len(requested)
    assert not any(b"cookie" in request.lower() for request in requested)
    assert all(b"Bearer t\r\n" in request for request in requested)


def test_a_reading_client_cannot_write() -> None:
    """Its transport refuses before a byte is sent (R10)."""

    async def run() -> None:
        reached: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            reached.append(request)
            return httpx.Response(
                200,
                json={
                    "access_token": "t",
                    "expires_in": 3600,
                    "entities": [],
                    "total": 0,
                },
            )

        carry = read_only_transport(transport_over(httpx.MockTransport(answer)), TENANT)
        await ReadingClient(
            carry,
            TENANT,
            ClientCredentials(client_id="id", client_secret="s"),
            FakeClock().time,
        ).rules()
        assert ["POST", "GET", "GET"] == [request.method for request in reached]
        writer = WritingClient(
            carry,
            TENANT,
            ClientCredentials(client_id="id", client_secret="s"),
            REAL_TIME,
        )
        for call in (
            lambda: writer.create(rule(), MARKER),
            lambda: writer.update(FetchedRule(unmanaged("1", rule())), rule(), MARKER),
            lambda: writer.delete(FetchedRule(unmanaged("1", rule()))),
        ):
            with pytest.raises(AssertionError, match="reading client"):
                await call()
        assert {"POST /oauth/token", "GET /api/v2/routing/rules"} == {
            f"{item.method} {item.url.path}" for item in reached
        }

    asyncio.run(run())


@pytest.mark.parametrize(
    "base",
    [
        "https://ACME.my.cxone.com",
        "https://acme.my.cxone.com:443",
        "HTTP://localhost:80",
    ],
)
def test_a_reading_client_gets_its_token_with_every_spelling(base: str) -> None:
    """One address has several spellings; the fence admits the token request in each."""
    tenant = replace(TENANT, base_url=base, token_url=f"{base}/oauth/token")

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            json={"access_token": "t", "expires_in": 3600, "entities": [], "total": 0},
        )

    carry = read_only_transport(transport_over(httpx.MockTransport(answer)), tenant)
    assert () == asyncio.run(
        ReadingClient(
            carry,
            tenant,
            ClientCredentials(client_id="id", client_secret="s"),
            FakeClock().time,
        ).rules()
    )


@each_case(
    "proxy",
    [
        "proxy.example:3128",
        "http://[::1",
        "http://a b",
        "socks5://u:canary@h:1",
        "ftp://u:canary@h:1",
    ],
)
def test_an_invalid_proxy_is_reported_without_its_password(proxy: str) -> None:
    """SOCKS would get HTTP requests; an invalid URL would end in a traceback."""

    async def connect() -> None:
        async with network_transport(TENANT, proxy, None):
            raise AssertionError

    with pytest.raises(errors.UsageError, match="CXROUTE_PROXY") as refused:
        asyncio.run(connect())
    assert "canary" not in str(refused.value)
