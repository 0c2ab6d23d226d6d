"""Serves the endpoint with uvicorn (the extra `serve`), behind a strict HTTP connection (W7).

uvicorn alone would wait for slow clients without a limit. Input that two servers on the way could read in two ways ends
the connection: before the request if it is the request's own, after the response if it follows a complete request.
`Upgrade` is ignored, as RFC 9110 allows (section 7.8): the request is answered in HTTP/1.1.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from reconciler.endpoint.app import ContextApp
from reconciler.endpoint.messages import ChunkChecker, encode_json
from reconciler.errors import CxrouteError
from reconciler.text.escape import sanitize
from reconciler.text.hosts import url_of
from reconciler.text.pages import page

MAX_CONNECTIONS: Final = 1000
_MAX_HEAD_BYTES: Final = 16 * 1024  # bytes of all headers
_MAX_HEADERS: Final = 64
_UNIQUE_HEADERS: Final = (b"host", b"transfer-encoding", b"content-length")  # servers differ in which value counts
_HEAD_TIMEOUT: Final = 5.0  # seconds from the start of a connection or request to the end of its headers
_BODY_TIMEOUT: Final = 5.0  # seconds from there to the end of the body
_LARGE_HEAD: Final = f"the headers have more than {_MAX_HEAD_BYTES // 1024} KiB, or more than {_MAX_HEADERS} fields"


RefusalListener = Callable[[HTTPStatus | None, str], object]
"""Takes the status of a refusal, None if nothing is answered, and its reason, which quotes no input."""
_MAX_REASON: Final = 100  # characters
_BAD_CHUNK: Final = "a chunk's size is not alone on its line"
_EARLY_DATA: Final = "more data arrived before the response to the request"
_TRAILER: Final = "a header follows the body"


def ignore_refusal(_status: HTTPStatus | None, _reason: str) -> None:
    """Do nothing: the refusals of this server are not recorded."""


class _StopParsingError(Exception):
    """Raised in a callback of the parser, which stops; the text is the reason of the refusal."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        self.status = status
        super().__init__(reason)


_OTHER_PROTOCOLS: Final = {
    b"\x16\x03": "the client speaks TLS, and this port plain HTTP: use an address with http://",
    b"PRI * HTTP/2": "the client speaks HTTP/2 without asking first: use HTTP/1.1",
}


def _refusal_of(error: httptools.HttpParserError, data: bytes) -> tuple[HTTPStatus, str]:
    """Return the status and the reason of an error that the parser found in data."""
    for beginning, reason in _OTHER_PROTOCOLS.items():
        if data.startswith(beginning):
            return HTTPStatus.BAD_REQUEST, reason
    cause = error.__context__  # the error of one of the parser's callbacks
    if isinstance(cause, _StopParsingError):
        return cause.status, str(cause)
    if cause is None:
        return HTTPStatus.BAD_REQUEST, sanitize(str(error), _MAX_REASON)
    # The text of another error may quote the request.
    return HTTPStatus.BAD_REQUEST, f"the request cannot be read: {type(cause).__name__}"


class StrictHttpProtocol(HttpToolsProtocol):
    """One client's connection."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn does not declare the None before a request

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - uvicorn's
        on_refusal: RefusalListener = ignore_refusal,
        **options: Any,  # noqa: ANN401 - uvicorn's
    ) -> None:
        super().__init__(*arguments, **options)
        self._on_refusal = on_refusal
        self._is_over = False
        self._ignores_upgrade = False  # the current headers asked for another protocol
        self._in_head = True
        self._head_bytes = self._header_bytes = 0
        self._current_data = self._previous_data = b""  # the data being parsed, and the end of the headers before it
        self._chunk_checker: ChunkChecker | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection below the limit, and start the timer for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            reason = f"more than {MAX_CONNECTIONS} connections"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
            return
        self._start_timer(_HEAD_TIMEOUT, "headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Also cancel the timers."""
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._is_over = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data; the size of incomplete headers is limited."""
        if self._is_over:
            return
        if self._chunk_checker is not None and not self._chunk_checker.check(data):
            self._refuse(HTTPStatus.BAD_REQUEST, _BAD_CHUNK)
            return
        self._parse(data)
        self._current_data = b""
        if self._in_head and not self._is_over:
            self._start_timer(_HEAD_TIMEOUT, "headers")
            self._head_bytes += len(data)
            self._previous_data = (self._previous_data + data)[-3:]
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD)
        elif self.cycle is not None and self.cycle.more_body and not self._is_over:
            self._start_timer(_BODY_TIMEOUT, "body")

    def _parse(self, data: bytes) -> None:
        """Parse data, and refuse what the parser, or a check of this class in it, rejects."""
        self._current_data = data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(*_refusal_of(error, data))

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the headers that asked for another protocol again, without `Upgrade`, and the data behind them."""
        # The parser ends a message at the headers that ask for another protocol, and would not read the body. It has
        # checked the headers: no name or value has a line end.
        self._ignores_upgrade = False
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)  # the old one may have ended with the message
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._parse(b"\r\n".join([*lines, b"", b""]) + rest)

    def on_message_begin(self) -> None:
        """Begin a request; end the connection if the previous one has no response."""
        if self.cycle is not None and not self.cycle.response_complete:
            raise _StopParsingError(_EARLY_DATA)
        super().on_message_begin()
        self._in_head, self._header_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; refuse one after the body, which would count like the others."""
        if not self._in_head:
            raise _StopParsingError(_TRAILER)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._header_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the headers together, and start the request."""
        if len(self.url) + self._header_bytes > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            raise _StopParsingError(_LARGE_HEAD, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self.parser.get_method() == b"CONNECT" or not self.url.startswith(b"/"):
            raise _StopParsingError("the request's target is not a path of this server")
        if ambiguity := self._ambiguity():
            raise _StopParsingError(ambiguity)
        self._ignores_upgrade = self.parser.should_upgrade()
        if self._ignores_upgrade:
            return
        self._chunk_checker = ChunkChecker() if (b"transfer-encoding", b"chunked") in self.headers else None
        if self._chunk_checker is not None:
            body_start = (self._previous_data + self._current_data).partition(b"\r\n\r\n")[2]
            if not self._chunk_checker.check(body_start):
                raise _StopParsingError(_BAD_CHUNK)
        self._stop_timer()
        self._in_head, self._head_bytes, self._previous_data = False, 0, b""
        self._start_request()

    def on_response_complete(self) -> None:
        """Wait for another request until the connection's idle time is over."""
        # uvicorn sets a timer after each response and stops it at the next request; one that checks again is cheaper.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._idle_timer = None
        if self.cycle is None or not self.cycle.response_complete or self._in_head:  # a request has its own timers
            return
        remaining = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._idle_timer = self.loop.call_later(remaining, self._end_if_idle)
        else:
            self.transport.close()

    def on_message_complete(self) -> None:
        """End a request: its body is complete."""
        if self._ignores_upgrade:
            return
        self._stop_timer()
        super().on_message_complete()

    def _start_request(self) -> None:
        # As in uvicorn, without the parts that the endpoint does not need.
        url = httptools.parse_url(self.url)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"], self.scope["raw_path"] = url.path.decode("ascii"), url.path
        self.scope["query_string"] = url.query or b""
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _ambiguity(self) -> str:
        """Return why two servers could read the headers in two ways, or an empty text."""
        version = self.parser.get_http_version()
        names = [name for name, _ in self.headers if name in _UNIQUE_HEADERS]
        values = dict(self.headers)
        if version not in ("1.0", "1.1"):
            return "the version of HTTP is neither 1.0 nor 1.1"
        if len(set(names)) != len(names):
            return "Host, Content-Length or Transfer-Encoding is repeated"
        if version == "1.1" and b"host" not in values:
            return "Host is missing"
        if b"transfer-encoding" in values:
            is_clear = values[b"transfer-encoding"] == b"chunked" and version == "1.1"
            if not is_clear or b"content-length" in values:
                return "Transfer-Encoding must be chunked alone, without Content-Length, and not in HTTP/1.0"
        elif not values.get(b"content-length", b"0").isdigit():
            return "Content-Length is not a number"
        return ""

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """End the connection after the response to an earlier complete request."""
        self._stop_timer()
        self._is_over = True
        if self.cycle is not None and not self.cycle.response_complete:
            if not self.cycle.more_body:
                self.cycle.keep_alive = False
                self._on_refusal(None, reason)
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._on_refusal(status, reason)
        body = encode_json({"success": False, "error": f"{status.phrase}: {reason}"})
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        if status is HTTPStatus.SERVICE_UNAVAILABLE:  # too many connections
            head += "retry-after: 1\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode("ascii") + body)
        self.transport.close()

    def _start_timer(self, seconds: float, part: str) -> None:
        if self._timer is None:
            reason = f"the {part} took longer than {seconds:g} seconds"
            self._timer = self.loop.call_later(seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT, reason)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_GRACE: Final = 10  # seconds for requests accepted before a signal: twice a request's deadline
_IDLE: Final = 20  # seconds without a request
_BACKLOG: Final = 2048
_ACCEPTS_PER_TURN: Final = 8  # maximum of connections accepted in one turn of the loop
_HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HEALTH_TIMEOUT: Final = 5.0


class _EndpointServer(uvicorn.Server):
    """Returns after a signal; uvicorn itself would raise the signal again. During the shutdown /ready answers 503."""

    def __init__(self, app: ContextApp, announce: Callable[[], object]) -> None:
        seconds = {"timeout_keep_alive": _IDLE, "timeout_graceful_shutdown": _GRACE}
        super().__init__(quiet_config(app, app.record_refusal, backlog=_BACKLOG, **seconds))
        self._app, self._announce = app, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, check the server's own /health, and announce the URL. Raises CxrouteError if that fails."""
        # uvloop accepts one connection from a socket in a turn of its loop, so each socket is duplicated: the last of
        # many clients that connect together under load would wait a fifth of a second to be accepted.
        listeners = sockets or []
        copies = _ACCEPTS_PER_TURN - 1 if sys.platform != "win32" else 0
        # A loopback socket for the server's own request, for any address that the endpoint listens on.
        is_ipv6 = any(listener.family == socket.AF_INET6 for listener in listeners)
        with open_listener("::1" if is_ipv6 else "127.0.0.1", 0) as own:
            duplicates = [listener.dup() for listener in listeners for _ in range(copies)]
            await super().startup([*listeners, *duplicates, own])
            answer = await _health_answer(own)
            self.servers.pop().close()
        if not answer.startswith(("HTTP/1.1 200 ", "HTTP/1.1 503 ")):
            await self.shutdown(listeners)
            cause = f"uvicorn {uvicorn.__version__} is not compatible with this version of cxroute"
            remedy = f"Install the versions that the extra `serve` requires; see {page('install.md', 'Extras')}."
            raise CxrouteError(f"the endpoint's own GET /health failed ({answer}): {cause}. {remedy}")
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn's own method records the signal, and raises it again after the end.
        del frame
        self._app.draining = True
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True


async def _health_answer(listener: socket.socket) -> str:
    """Return the first line of the response to GET /health; a plain connection ignores proxy variables."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_HEALTH_TIMEOUT):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            try:
                writer.write(_HEALTH)
                return (await reader.read()).partition(b"\r\n")[0].decode("ascii", "replace") or "no response"
            finally:
                writer.close()
    return "no response"


async def serve(app: ContextApp, listener: socket.socket, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then finish accepted requests. `announce` gets the URL. Raises CxrouteError."""
    await _EndpointServer(app, lambda: announce(url_of(listener))).serve(sockets=[listener])


def run_event_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest available loop."""
    # The existing objects live as long as the process. Collecting them would cause the longest pauses of requests.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(main)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 selects a free port. IPv6 may be in brackets. Raises CxrouteError."""
    # `socket.create_server` does not name TCP; without it asyncio leaves Nagle's algorithm on: 40 ms a response.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CxrouteError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener


def quiet_config(
    app: Any,  # noqa: ANN401 - an ASGI application
    on_refusal: RefusalListener = ignore_refusal,
    **options: Any,  # noqa: ANN401 - uvicorn's settings
) -> uvicorn.Config:
    """Return settings of a server without a log, a banner and proxy headers; it reports refused connections."""
    protocol = partial(StrictHttpProtocol, on_refusal=on_refusal)
    quiet: dict[str, Any] = {"log_config": None, "log_level": "critical", "access_log": False, "server_header": False}
    quiet |= {"http": protocol, "ws": "none", "lifespan": "off", "proxy_headers": False}
    return uvicorn.Config(app, **quiet, **options)
