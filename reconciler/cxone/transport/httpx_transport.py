"""The transport of a command: httpx on aiohttp, without redirects, cookies, netrc or implicit proxies."""

from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from reconciler.cxone.settings import TenantSettings
from reconciler.cxone.transport import request as http
from reconciler.cxone.transport.tls import parse_proxy, tls_context_for

_NOT_HTTP: Final = (
    aiohttp.ClientResponseError,
    aiohttp.ClientPayloadError,
    aiohttp.http_exceptions.HttpProcessingError,
)


class StrictAiohttpTransport(AiohttpTransport):
    """httpx-aiohttp that separates requests that were certainly not sent from others."""

    # httpx-aiohttp reports a connection that broke after the request was sent as ConnectTimeout, which would repeat a
    # create. Only aiohttp's own connector errors are certain.

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; after a ReadError the server may have it, but not after another error."""
        try:
            return await super().handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError) as error:
            cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
            if isinstance(cause, aiohttp.ClientConnectorCertificateError):
                raise http.UntrustedCertificateError(http.describe_failure(error)) from error
            if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                raise httpx.ConnectError(str(error)) from error
            # aiohttp's own text for a response that is not HTTP quotes it, and a secret in it.
            text = "the response is not HTTP" if isinstance(cause, _NOT_HTTP) else str(error) or "the connection broke"
            raise httpx.ReadError(text) from error


def transport_over(http_transport: httpx.AsyncBaseTransport) -> http.Transport:
    """Return a transport over an httpx client without cookies and environment variables."""
    client = httpx.AsyncClient(transport=http_transport, trust_env=False, follow_redirects=False, timeout=None)  # noqa: S113
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def send(request: http.ApiRequest) -> http.ApiResponse:
        headers, content = dict(request.headers), request.content or None
        try:
            async with client.stream(request.method, request.url, headers=headers, content=content) as response:
                if response.is_stream_consumed:  # the transport had the full response in memory
                    return http.ApiResponse(request.call, response.status_code, response.headers, response.content)
                body = http.ResponseBody(response.headers.get("content-encoding", ""))
                async for raw in response.aiter_raw():
                    body.add(raw)
                return http.ApiResponse(request.call, response.status_code, response.headers, body.content())
        except httpx.ConnectError as failure:
            raise http.NotSentError(http.describe_failure(failure)) from failure
        except httpx.TransportError as failure:
            timed_out = isinstance(failure, httpx.TimeoutException)
            text = "no response in time" if timed_out else http.describe_failure(failure)
            raise http.NoResponseError(text) from failure

    return send


class _CleanConnector(aiohttp.TCPConnector):
    """Reuses a connection only if it is idle: aiohttp takes an unrequested response for the next request's."""

    async def connect(self, *arguments: Any, **options: Any) -> aiohttp.connector.Connection:  # noqa: ANN401 - as the base
        while True:
            connection = await super().connect(*arguments, **options)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


def network_transport(tenant: TenantSettings, proxy: str | None, ca_file: Path | None) -> httpx.AsyncBaseTransport:
    """Return the transport to a real network."""
    verify = tls_context_for(tenant, ca_file)

    def session() -> aiohttp.ClientSession:
        connector = _CleanConnector(limit=tenant.concurrency, ssl=verify)
        client = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        # aiohttp sends PUT and DELETE again by itself when a kept connection was closed; only a fresh read may (R6).
        client._retry_connection = False  # noqa: SLF001 - there is no public way
        return client

    proxy_url = parse_proxy(proxy) if proxy else None
    return StrictAiohttpTransport(verify=verify, trust_env=False, proxy=proxy_url, client=session)
