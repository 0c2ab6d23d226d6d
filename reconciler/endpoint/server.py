"""Serving the endpoint with uvicorn; without it this module cannot be imported (it comes with the extra `serve`).

A connection that holds against slow and malformed callers, where uvicorn alone would wait for ever (W7).

Whatever two servers on the way could read in two ways ends the connection: before the app hears of it where it is the
request's own, after the answer where it is what follows a whole request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from reconciler.endpoint.messages import ChunkChecker
from reconciler.errors import CxrouteError
from reconciler.text.hosts import url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from types import FrameType

    from reconciler.endpoint.app import ContextApp

MAX_CONNECTIONS: Final = 1000
_MAX_HEAD_BYTES: Final = 16 * 1024  # bytes of all headers
_MAX_HEADERS: Final = 64
_UNIQUE_HEADERS: Final = (b"host", b"transfer-encoding", b"content-length")
"""Headers of which a second one could count for another server."""
_HEAD_TIMEOUT: Final = 5.0  # seconds from a connection's or request's begin to the end of its headers
_BODY_TIMEOUT: Final = 5.0  # seconds from there to the end of its body


class _StopParsingError(Exception):
    """Raised into the parser, which stops at once."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One caller's connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **options)
        self._is_over = False
        self._in_head = True
        self._head_bytes = self._header_bytes = 0
        self._current_data = self._previous_data = b""
        """What is read at this moment, and the end of what was read of these headers before."""
        self._chunk_checker: ChunkChecker | None = None
        self._error_status = HTTPStatus.BAD_REQUEST
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection while there are not too many, and wait so long for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._start_timer(_HEAD_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer, too."""
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._is_over = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; headers that never end are bounded before they are whole."""
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
        elif not self._is_over:
            cycle: RequestResponseCycle | None = self.cycle
            if cycle is not None and cycle.more_body:
                self._start_timer(_BODY_TIMEOUT)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or this class in it, would not read."""
        del msg
        self._refuse(self._error_status)

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before was not answered yet: that one is the last."""
        before: RequestResponseCycle | None = self.cycle
        if before is not None and not before.response_complete:
            raise _StopParsingError
        super().on_message_begin()
        self._in_head, self._header_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes behind the body is refused, for it would count like the others."""
        if not self._in_head:
            raise _StopParsingError
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._header_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the headers together, and begin to answer."""
        if len(self.url) + self._header_bytes > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._error_status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _StopParsingError
        if not self.url.startswith(b"/") or not self._is_unambiguous():
            raise _StopParsingError
        self._chunk_checker = ChunkChecker() if (b"transfer-encoding", b"chunked") in self.headers else None
        if self._chunk_checker is not None and not self._chunk_checker.check(self._body_start()):
            raise _StopParsingError
        self._stop_timer()
        self._in_head, self._head_bytes, self._previous_data = False, 0, b""
        self._start_request()

    def on_response_complete(self) -> None:
        """Wait for another request, or for the connection to be too old for one.

        uvicorn sets a timer after each answer and stops it at the next request; one that looks again costs nothing.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._idle_timer = None
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or not cycle.response_complete or self._in_head:  # what is under way has times of its own
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._end_if_idle)
        else:
            self.transport.close()

    def on_message_complete(self) -> None:
        """End a request: its body has come in time."""
        self._stop_timer()
        super().on_message_complete()

    def _start_request(self) -> None:
        """Hand the request to the app. uvicorn would do so as well, and much that nobody here needs."""
        listener_url = httptools.parse_url(self.url)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"], self.scope["raw_path"] = listener_url.path.decode("ascii"), listener_url.path
        self.scope["query_string"] = listener_url.query or b""
        version = self.parser.get_http_version()
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
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _body_start(self) -> bytes:
        """Return what came in one piece with the end of the headers."""
        return (self._previous_data + self._current_data).partition(b"\r\n\r\n")[2]

    def _is_unambiguous(self) -> bool:
        """Say whether the headers leave no doubt about host and body."""
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
        """End the connection; a request that came whole before is still answered."""
        self._stop_timer()
        self._is_over = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = b'{"success":false,"error":"%b"}' % status.phrase.encode("ascii")
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode("ascii") + body)
        self.transport.close()

    def _start_timer(self, seconds: float) -> None:
        """Wait so long for what is under way; what comes in one piece needs no timer."""
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_GRACE: Final = 10  # seconds for what was accepted before a signal: twice what a request may take
_IDLE: Final = 20  # seconds that a connection may be kept without a request
_BACKLOG: Final = 2048
_ACCEPTS_PER_TURN: Final = 8  # connections that are taken in one turn of the loop, at the most
_HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HEALTHY_PREFIXES: Final = ("HTTP/1.1 200 ", "HTTP/1.1 503 ")
_HEALTH_TIMEOUT: Final = 5.0  # seconds for the answer to the server's own GET /health


class _EndpointServer(uvicorn.Server):
    """Ends on a signal by returning, where uvicorn would raise the signal again; /ready says so first."""

    def __init__(self, app: ContextApp, announce: Callable[[], object]) -> None:
        super().__init__(
            quiet_config(app, backlog=_BACKLOG, timeout_keep_alive=_IDLE, timeout_graceful_shutdown=_GRACE)
        )
        self._app, self._announce = app, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, check that requests are answered, and say so. Raises CxrouteError if they are not.

        uvloop takes one connection from a socket in a turn of its loop, so each is listened to several times: of many
        callers that come at once under load, the last would wait a fifth of a second before it is heard at all.
        """
        listeners = sockets or []
        with _loopback_listener(listeners) as own:
            await super().startup([*(again for one in listeners for again in (one, *_duplicates(one))), own])
            answer = await _health_answer(own)
            self.servers.pop().close()
        if not answer.startswith(_HEALTHY_PREFIXES):
            await self.shutdown(listeners)
            raise CxrouteError(
                f"the endpoint does not answer its own GET /health as it must ({answer}): uvicorn {uvicorn.__version__}"
                " does not fit this version of cxroute. Install the versions that the extra `serve` requires;"
                " see docs/getting-started.md, section Install."
            )
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._app.draining = True
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals of this process for the time of serving."""
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _duplicates(listener: socket.socket) -> list[socket.socket]:
    return [listener.dup() for _ in range(_ACCEPTS_PER_TURN - 1)] if sys.platform != "win32" else []


def _loopback_listener(listeners: Sequence[socket.socket]) -> socket.socket:
    """Return a loopback socket for the server's own request, whatever address the endpoint listens on."""
    is_ipv6 = any(listener.family == socket.AF_INET6 for listener in listeners)
    made = _bind_socket("::1" if is_ipv6 else "127.0.0.1", 0)
    made.listen()
    return made


async def _health_answer(listener: socket.socket) -> str:
    """Return the first line of the answer to GET /health. A plain connection: no proxy, no variable has a say."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_HEALTH_TIMEOUT):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            try:
                writer.write(_HEALTH)
                return (await reader.read()).partition(b"\r\n")[0].decode("ascii", "replace") or "no answer"
            finally:
                writer.close()
    return "no answer"


async def serve(app: ContextApp, listener: socket.socket, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. `announce` is given the URL.

    Raises CxrouteError, before that, if the server does not answer.
    """
    await _EndpointServer(app, lambda: announce(url_of(listener))).serve(sockets=[listener])


def run_event_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop that there is.

    What was imported and read by now lives as long as the process: the garbage collector need not look at it again and
    again, which would be the longest pause that a request meets.
    """
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(main)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises OSError."""
    made = _bind_socket(host, port)
    made.listen(_BACKLOG)
    return made


def _bind_socket(host: str, port: int) -> socket.socket:
    """TCP is named: only then does asyncio switch Nagle's algorithm off for what is accepted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made


def quiet_config(app: Any, **options: Any) -> uvicorn.Config:  # noqa: ANN401 - an ASGI application, and uvicorn's settings
    """Return settings of a server that adds nothing of its own to what is said: no log, no banner, no guesses."""
    return uvicorn.Config(
        app,
        http=StrictHttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **options,
    )
