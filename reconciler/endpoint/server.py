"""Serves the endpoint with uvicorn (the extra `serve`), behind a strict HTTP connection (W7).

uvicorn alone would wait for slow clients without a limit. Input that two servers on the way could read in two ways ends
the connection: before the request if it is the request's own, after the response if it follows a complete request.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from reconciler.endpoint.app import ContextApp
from reconciler.endpoint.messages import ChunkChecker
from reconciler.errors import CxrouteError
from reconciler.text.hosts import url_of
from reconciler.text.pages import page

MAX_CONNECTIONS: Final = 1000
_MAX_HEAD_BYTES: Final = 16 * 1024  # bytes of all headers
_MAX_HEADERS: Final = 64
_UNIQUE_HEADERS: Final = (b"host", b"transfer-encoding", b"content-length")  # servers differ in which value counts
_HEAD_TIMEOUT: Final = 5.0  # seconds from the start of a connection or request to the end of its headers
_BODY_TIMEOUT: Final = 5.0  # seconds from there to the end of the body


class _StopParsingError(Exception):
    """Raised in a callback of the parser, which stops."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One client's connection."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn does not declare the None before a request

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **options)
        self._is_over = False
        self._in_head = True
        self._head_bytes = self._header_bytes = 0
        self._current_data = self._previous_data = b""  # the data being parsed, and the end of the headers before it
        self._chunk_checker: ChunkChecker | None = None
        self._error_status = HTTPStatus.BAD_REQUEST
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection below the limit, and start the timer for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._start_timer(_HEAD_TIMEOUT)

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
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._current_data = data
        super().data_received(data)
        self._current_data = b""
        if self._in_head and not self._is_over:
            self._start_timer(_HEAD_TIMEOUT)
            self._head_bytes += len(data)
            self._previous_data = (self._previous_data + data)[-3:]
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.cycle is not None and self.cycle.more_body and not self._is_over:
            self._start_timer(_BODY_TIMEOUT)

    def send_400_response(self, msg: str) -> None:
        """Refuse input that the parser, or this class in it, rejects."""
        del msg
        self._refuse(self._error_status)

    def on_message_begin(self) -> None:
        """Begin a request; end the connection if the previous one has no response."""
        if self.cycle is not None and not self.cycle.response_complete:
            raise _StopParsingError
        super().on_message_begin()
        self._in_head, self._header_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; refuse one after the body, which would count like the others."""
        if not self._in_head:
            raise _StopParsingError
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._header_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the headers together, and start the request."""
        if len(self.url) + self._header_bytes > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._error_status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _StopParsingError
        if not self.url.startswith(b"/") or not self._is_unambiguous():
            raise _StopParsingError
        self._chunk_checker = ChunkChecker() if (b"transfer-encoding", b"chunked") in self.headers else None
        if self._chunk_checker is not None:
            body_start = (self._previous_data + self._current_data).partition(b"\r\n\r\n")[2]
            if not self._chunk_checker.check(body_start):
                raise _StopParsingError
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

    def _is_unambiguous(self) -> bool:
        version = self.parser.get_http_version()
        names = [name for name, _ in self.headers if name in _UNIQUE_HEADERS]
        values = dict(self.headers)
        if version not in ("1.0", "1.1") or len(set(names)) != len(names) or b"upgrade" in values:
            return False
        if version == "1.1" and b"host" not in values:
            return False
        if b"transfer-encoding" in values:
            return values[b"transfer-encoding"] == b"chunked" and version == "1.1" and b"content-length" not in values
        return values.get(b"content-length", b"0").isdigit()

    def _refuse(self, status: HTTPStatus) -> None:
        """End the connection after the response to an earlier complete request."""
        self._stop_timer()
        self._is_over = True
        if self.cycle is not None and not self.cycle.response_complete:
            if not self.cycle.more_body:
                self.cycle.keep_alive = False
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = b'{"success":false,"error":"%b"}' % status.phrase.encode("ascii")
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode("ascii") + body)
        self.transport.close()

    def _start_timer(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

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
        super().__init__(quiet_config(app, backlog=_BACKLOG, **seconds))
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


def quiet_config(app: Any, **options: Any) -> uvicorn.Config:  # noqa: ANN401 - an ASGI application, and uvicorn's settings
    """Return settings of a server without a log, a banner and proxy headers."""
    quiet: dict[str, Any] = {"log_config": None, "log_level": "critical", "access_log": False, "server_header": False}
    quiet |= {"http": StrictHttpProtocol, "ws": "none", "lifespan": "off", "proxy_headers": False}
    return uvicorn.Config(app, **quiet, **options)
