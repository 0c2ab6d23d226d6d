"""HTTP to a tenant by aiohttp, without redirects, cookies, netrc, implicit proxies and repeats."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from reconciler.targets.platform.settings import TenantSettings
from reconciler.targets.platform.transport import request as http
from reconciler.targets.platform.transport.tls import load_tls_context, parse_proxy

_LINE_END: Final = re.compile(r"[\r\n\0]")
_FIRST_STATUS: Final = 200  # aiohttp skips interim responses, but not 101
_NOT_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_NOT_HTTP: Final = (
    aiohttp.ClientResponseError,
    aiohttp.ClientPayloadError,
    aiohttp.http_exceptions.HttpProcessingError,
)


@asynccontextmanager
async def network_transport(
    tenant: TenantSettings,
    proxy: str | None,
    ca_file: Path | None,
) -> AsyncIterator[http.Transport]:
    """Return a transport to a real network. Raises UsageError for an invalid proxy."""
    if proxy:
        parse_proxy(proxy)
    connector = _CleanConnector(limit=tenant.concurrency, ssl=load_tls_context(ca_file))
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Content-Type",),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
    )
    # aiohttp repeats a PUT or DELETE when a kept connection was closed; only a fresh read may (R6).
    session._retry_connection = False  # noqa: SLF001 - there is no public way

    async def send(request: http.ApiRequest) -> http.ApiResponse:
        return await _exchange(session, request, proxy)

    async with session:
        yield send


async def _exchange(
    session: aiohttp.ClientSession,
    request: http.ApiRequest,
    proxy: str | None,
) -> http.ApiResponse:
    """Return the response. Raises the errors of `request.Transport`."""
    _check_line_ends(request)
    try:
        async with session.request(
            request.method,
            URL(request.url, encoded=True),  # sent exactly as it is
            headers=request.headers,
            data=request.content or None,
            allow_redirects=False,
            proxy=proxy,
        ) as response:
            return await _read(request, response)
    except aiohttp.ClientConnectorCertificateError as error:
        raise http.UntrustedCertificateError(http.describe_failure(error)) from error
    except (*_NOT_CONNECTED, UnicodeError) as error:
        # UnicodeError: the name cannot be looked up.
        raise http.NotSentError(http.describe_failure(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise http.NoResponseError(_failure_text(error)) from error


async def _read(
    request: http.ApiRequest, response: aiohttp.ClientResponse
) -> http.ApiResponse:
    if response.status < _FIRST_STATUS:
        raise http.NoResponseError("the response is not HTTP")
    headers = {name.lower(): value for name, value in response.headers.items()}
    body = http.ResponseBody(headers.get("content-encoding", ""))
    async for part in response.content.iter_any():
        body.add(part)
    content = body.content()
    return http.ApiResponse(request.call, response.status, headers, content)


def _check_line_ends(request: http.ApiRequest) -> None:
    """Check that no part of the head has a line end, which would begin a second request."""
    parts = [request.method, request.url, *request.headers, *request.headers.values()]
    if any(_LINE_END.search(part) for part in parts):
        raise AssertionError(
            "a request has a line end where none is allowed; it was not sent"
        )


def _failure_text(error: BaseException) -> str:
    # aiohttp's own text for a response that is not HTTP quotes it, and a secret in it.
    if isinstance(error, _NOT_HTTP) and not http.system_error(error):
        return "the response is not HTTP"
    return http.describe_failure(error)


class _CleanConnector(aiohttp.TCPConnector):
    """Reuses only an idle connection: aiohttp would take unrequested bytes for a response."""

    async def connect(
        self,
        *arguments: Any,  # noqa: ANN401 - as the base
        **options: Any,  # noqa: ANN401
    ) -> aiohttp.connector.Connection:
        while True:
            connection = await super().connect(*arguments, **options)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
