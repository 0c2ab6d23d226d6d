"""What carries the bytes of a command: httpx on aiohttp, without redirects, cookies, netrc or proxies of its own."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from reconciler.cxone.exchange import Answer, Body, LostError, NotSentError, UntrustedError, reason
from reconciler.cxone.trust import proxy_of, trusted_by

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.cxone.exchange import Carry, Request
    from reconciler.cxone.settings import Tenant


class UntrustedServerError(httpx.ConnectError):
    """The server's certificate is not one that is trusted for its name; nothing was sent to it."""


class NetworkTransport(httpx.AsyncBaseTransport):
    """httpx-aiohttp, with its errors told apart.

    It calls a connection that broke after the request was sent a ConnectTimeout, as if nothing had been sent; a
    create would be repeated. Only aiohttp's own connector errors are certain.
    """

    def __init__(self, below: httpx.AsyncBaseTransport) -> None:
        self._below = below

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; ConnectError says for certain that nothing was sent, ReadError that nobody knows."""
        try:
            return await self._below.handle_async_request(request)
        except httpx.TransportError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
                raise UntrustedServerError(str(error)) from error
            if isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                raise httpx.ConnectError(str(error)) from error
            raise httpx.ReadError(_said(error.__cause__) or str(error) or "the connection broke") from error
        except aiohttp.ClientError as error:
            raise httpx.ReadError(_said(error) or str(error)) from error

    async def aclose(self) -> None:
        """Close what carries the bytes."""
        await self._below.aclose()


def _said(error: BaseException | None) -> str:
    """Return what to say of an answer that is no HTTP: aiohttp's own words quote it, and with it what it repeats."""
    broken = (aiohttp.ClientResponseError, aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError)
    return "the answer is no HTTP" if isinstance(error, broken) else ""


def carried_by(transport: httpx.AsyncBaseTransport) -> Carry:
    """Return what carries requests over an httpx client that adds nothing of its own: no cookies, no variables.

    The API's client bounds each exchange as a whole; a time-out per read would let a slow drip go on for ever.
    """
    http = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=None)  # noqa: S113
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def carry(request: Request) -> Answer:
        headers, content = dict(request.headers), request.content or None
        asked = http.build_request(request.method, request.url, headers=headers, content=content)
        try:
            return await _answer(http, asked, request.call)
        except UntrustedServerError as failure:
            raise UntrustedError(reason(failure)) from failure
        except httpx.ConnectError as failure:
            raise NotSentError(reason(failure)) from failure
        except httpx.TransportError as failure:
            raise LostError(_why(failure)) from failure

    return carry


async def _answer(http: httpx.AsyncClient, request: httpx.Request, call: str) -> Answer:
    response = await http.send(request, stream=True, follow_redirects=False)
    try:
        if response.is_stream_consumed:  # a transport that had the whole answer in memory
            return Answer(call, response.status_code, response.headers, response.content)
        body = Body(response.headers.get("content-encoding", ""))
        async for raw in response.aiter_raw():
            body.add(raw)
    finally:
        await response.aclose()
    return Answer(call, response.status_code, response.headers, body.whole())


def _why(failure: httpx.TransportError) -> str:
    return "no answer in time" if isinstance(failure, httpx.TimeoutException) else reason(failure)


def network(tenant: Tenant, proxy: str | None, ca_file: Path | None) -> httpx.AsyncBaseTransport:
    """Return the transport to a real network."""
    verify = trusted_by(tenant, ca_file)

    def session() -> aiohttp.ClientSession:
        made = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=tenant.concurrency, ssl=verify),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # aiohttp sends PUT and DELETE again by itself when a kept connection was closed; only a fresh read may (R6).
        made._retry_connection = False  # noqa: SLF001 - there is no public way
        return made

    transport = AiohttpTransport(
        verify=verify, trust_env=False, proxy=proxy_of(proxy) if proxy else None, client=session
    )
    return NetworkTransport(transport)
