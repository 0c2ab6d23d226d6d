"""The HTTP client of the endpoint: one request and its response at a time on a kept connection.

A general HTTP client costs more than the rest of the endpoint's work (benchmarks/README.md, "endpoint"). This one does
not support redirects, cookies, proxies and environment variables, so that a server cannot cause their use.
"""

import asyncio
import socket
import ssl
from collections import defaultdict
from itertools import chain
from typing import Any, Final

import aiohappyeyeballs
import httptools

from reconciler.cxone.settings import ServerUrl
from reconciler.cxone.transport import request as http
from reconciler.errors import UnexpectedResponseError

_MAX_HEAD_BYTES: Final = 64 * 1024  # bytes of a response's headers, and of its chunk sizes and trailers
_HEAD_TOO_LARGE: Final = f"the response's headers have more than {_MAX_HEAD_BYTES // 1024} KiB"
_IDLE: Final = 15.0  # seconds after which a connection is not used again: the server may be about to close it
_SECOND_ADDRESS_DELAY: Final = 0.25  # seconds until the next address of a name is tried in parallel
_INTERIM_STATUSES: Final = range(100, 200)  # statuses of interim responses


class Direct:
    """Connections to few servers. Each has one request at a time and is kept for the next one."""

    def __init__(self, tls_context: ssl.SSLContext) -> None:
        """`tls_context` holds the certificate authorities that are accepted."""
        self._tls_context = tls_context
        self._idle: defaultdict[ServerUrl, list[_Connection]] = defaultdict(list)

    async def carry(self, request: http.ApiRequest) -> http.ApiResponse:
        """Send one request and read its answer (`request.Transport`)."""
        idle = self._idle[request.server]
        while idle and not idle[-1].is_fresh:  # the last one was used last
            idle.pop().close()
        connection = idle.pop() if idle else await self._connect(request.server)
        try:
            response = await connection.send(request)
        except BaseException:
            connection.close()  # its late response would answer the next request
            raise
        if connection.is_clean:
            idle.append(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close the kept connections."""
        for connection in chain.from_iterable(self._idle.values()):
            connection.close()
        self._idle.clear()

    async def _connect(self, server: ServerUrl) -> "_Connection":
        """Connect to the first address of the name that answers. Raises NotSentError."""
        loop = asyncio.get_running_loop()
        options: Any = {"ssl": self._tls_context, "server_hostname": server.host} if server.scheme == "https" else {}
        try:
            addresses = await _addresses(server)
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_SECOND_ADDRESS_DELAY, loop=loop
            )
            return (await loop.create_connection(_Connection, sock=sock, **options))[1]
        except ssl.CertificateError as failure:
            raise http.UntrustedCertificateError(http.describe_failure(failure)) from failure
        except (OSError, UnicodeError) as failure:  # UnicodeError: the name cannot be looked up
            raise http.NotSentError(http.describe_failure(failure)) from failure


async def _addresses(server: ServerUrl) -> Any:  # noqa: ANN401 - the loop's form, which aiohappyeyeballs takes
    return await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)


class _Connection(asyncio.Protocol):
    """One connection, and the response that arrives on it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._response: asyncio.Future[http.ApiResponse] | None = None
        self._call = ""
        self._last_used_at = self._loop.time()
        self._is_closed = False
        self._begin()

    @property
    def is_clean(self) -> bool:
        # The response was complete, and no data followed it.
        return self._is_kept and not self._is_closed

    @property
    def is_fresh(self) -> bool:
        return not self._is_closed and self._loop.time() - self._last_used_at < _IDLE

    async def send(self, request: http.ApiRequest) -> http.ApiResponse:
        data = _encode_request(request)
        if self._is_closed:
            raise http.NotSentError("the server closed the connection before the request")
        self._begin()
        self._call = request.call
        self._response = self._loop.create_future()
        self._transport.write(data)
        try:
            return await self._response
        finally:
            self._response = None
            self._last_used_at = self._loop.time()

    def close(self) -> None:
        self._is_closed = True
        self._transport.abort()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._size = 0
        self._body: http.ResponseBody | None = None
        self._is_read = self._is_kept = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._response is None:  # it was not requested
            self.close()
            return
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__  # the error of a method below
            own_error = cause if isinstance(cause, UnexpectedResponseError) else None
            self._fail(own_error or http.NoResponseError("the response is not HTTP"))
        if self._body is None and self._size > _MAX_HEAD_BYTES:
            self._fail(UnexpectedResponseError(_HEAD_TOO_LARGE))
        elif self._size > http.MAX_RESPONSE_BYTES + _MAX_HEAD_BYTES:  # chunks' sizes and trailers count, too
            self._fail(http.too_large_error())

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closed = True
        has_length = bool(self._headers.keys() & {"content-length", "transfer-encoding"})
        if exc is None and self._body is not None and not has_length:  # it ends with the connection
            self.on_message_complete()
        else:
            text = http.describe_failure(exc) if exc else "the connection was closed before the response was complete"
            self._fail(http.NoResponseError(text))

    def on_message_begin(self) -> None:
        self._is_closed |= self._is_read  # a second response belongs to no request

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body is None:  # a trailer has no effect
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status in _INTERIM_STATUSES:
            self._headers = {}
        elif status < _INTERIM_STATUSES.start:
            raise http.NoResponseError
        elif sum(map(len, self._headers.values())) > _MAX_HEAD_BYTES:
            raise UnexpectedResponseError(_HEAD_TOO_LARGE)
        elif self._body is None:
            self._body = http.ResponseBody(self._headers.get("content-encoding", ""))

    def on_body(self, body: bytes) -> None:
        if self._body is not None and not self._is_read:
            self._body.add(body)

    def on_message_complete(self) -> None:
        if self._body is None or self._is_read:
            return
        self._is_read = True
        self._is_kept = self._parser.should_keep_alive()
        if self._response is not None and not self._response.done():
            status = self._parser.get_status_code()
            self._response.set_result(http.ApiResponse(self._call, status, self._headers, self._body.content()))

    def _fail(self, error: Exception) -> None:
        self._is_closed = True
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)


def _encode_request(request: http.ApiRequest) -> bytes:
    """Return a request as bytes. A line end in one of its parts would begin a second request."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {request.server.authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines.append(f"Content-Length: {len(request.content)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise AssertionError("a request has a line end where none is allowed; it was not sent")
    return b"%b\r\n\r\n%b" % (head.encode("ascii"), request.content)
