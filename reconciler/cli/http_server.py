"""Serves an application with uvicorn (the extra `serve`), behind a strict HTTP connection (W7).

uvicorn alone would wait for slow clients without a limit. Input that two servers on the way could
read in two ways ends the connection: before the request if it is the request's own, after the
response if it follows a complete request. `Upgrade` is ignored, as RFC 9110 allows (section 7.8):
the request is answered in HTTP/1.1.
"""

import asyncio
import gc
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from reconciler.cli.http_chunks import ChunkChecker
from reconciler.core.errors import CxrouteError
from reconciler.core.text.escape import sanitize
from reconciler.core.text.hosts import url_of

MAX_CONNECTIONS: Final = 1000
_MAX_HEAD_BYTES: Final = 16 * 1024  # bytes of all headers
_MAX_HEADERS: Final = 64
# servers differ in which value counts
_UNIQUE_HEADERS: Final = (
    b"host",
    b"transfer-encoding",
    b"content-length",
)
_HEAD_TIMEOUT: Final = (
    5.0  # seconds from the start of a connection or request to the end of its headers
)
_BODY_TIMEOUT: Final = 5.0  # seconds from there to the end of the body
_LARGE_HEAD: Final = (
    f"the headers have more than {_MAX_HEAD_BYTES // 1024} KiB, or more than {_MAX_HEADERS} "
    f"fields"
)


RefusalListener = Callable[[HTTPStatus | None, str], object]
"""Takes the status of a refusal, None if nothing is answered, and its reason, which quotes no
input."""
_MAX_REASON: Final = 100  # characters
_BAD_CHUNK: Final = "a chunk's size is not alone on its line"
_EARLY_DATA: Final = "more data arrived before the response to the request"
_TRAILER: Final = "a header follows the body"


def ignore_refusal(_status: HTTPStatus | None, _reason: str) -> None:
    """Do nothing: the refusals of this server are not recorded."""


class _StopParsingError(Exception):
    """Raised in a callback of the parser, which stops; the text is the reason of the refusal."""

    def __init__(
        self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        self.status = status
        super().__init__(reason)


_OTHER_PROTOCOLS: Final = {
    b"\x16\x03": "the client speaks TLS, and this port plain HTTP: use an address with http://",
    b"PRI * HTTP/2": "the client speaks HTTP/2 without asking first: use HTTP/1.1",
}


def _refusal_of(
    error: httptools.HttpParserError, data: bytes
) -> tuple[HTTPStatus, str]:
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
        self._current_data = self._previous_data = (
            b""  # the data being parsed, and the end of the headers before it
        )
        self._chunk_checker: ChunkChecker | None = None
        self._timer: asyncio.TimerHandle | None = None

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
        self._unset_keepalive_if_required()
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
        """Parse the headers that asked for another protocol again, without `Upgrade`, and the data
        behind them.
        """
        # The parser ends a message at the headers that ask for another protocol, and would not read
        # the body. It has checked the headers: no name or value has a line end.
        self._ignores_upgrade = False
        lines = [
            b"%b %b HTTP/%b"
            % (
                self.parser.get_method(),
                self.url,
                self.parser.get_http_version().encode(),
            )
        ]
        lines += [
            b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"
        ]
        # The old parser may have ended with the message; the settings are those of uvicorn.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"\r\n".join([*lines, b"", b""]) + rest)

    def on_message_begin(self) -> None:
        """Begin a request; end the connection if the previous one has no response."""
        if self.cycle is not None and not self.cycle.response_complete:
            raise _StopParsingError(_EARLY_DATA)
        super().on_message_begin()
        self._unset_keepalive_if_required()  # not before: a blank line is not a request
        self._in_head = True
        self._header_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; refuse one after the body, which would count like the others."""
        if not self._in_head:
            raise _StopParsingError(_TRAILER)
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the headers together, and start the request."""
        if (
            len(self.url) + self._header_bytes > _MAX_HEAD_BYTES
            or len(self.headers) > _MAX_HEADERS
        ):
            raise _StopParsingError(
                _LARGE_HEAD, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            )
        if self.parser.get_method() == b"CONNECT" or not self.url.startswith(b"/"):
            raise _StopParsingError("the request's target is not a path of this server")
        ambiguity = self._ambiguity()
        if ambiguity:
            raise _StopParsingError(ambiguity)
        self._ignores_upgrade = self.parser.should_upgrade()
        if self._ignores_upgrade:
            return

        self._chunk_checker = None
        if (b"transfer-encoding", b"chunked") in self.headers:
            self._chunk_checker = ChunkChecker()
            data = self._previous_data + self._current_data
            _, _, body_start = data.partition(b"\r\n\r\n")
            if not self._chunk_checker.check(body_start):
                raise _StopParsingError(_BAD_CHUNK)
        self._stop_timer()
        self._in_head = False
        self._head_bytes = 0
        self._previous_data = b""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request: its body is complete."""
        if self._ignores_upgrade:
            return
        self._stop_timer()
        super().on_message_complete()

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
                return (
                    "Transfer-Encoding must be chunked alone, without Content-Length, and not in "
                    "HTTP/1.0"
                )
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
        error = f"{status.phrase}: {reason}"
        document = {"success": False, "error": error}
        body = json.dumps(document, separators=(",", ":")).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        if status is HTTPStatus.SERVICE_UNAVAILABLE:  # too many connections
            head += "retry-after: 1\r\n"
        self.transport.write(
            f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode(
                "ascii"
            )
            + body
        )
        self.transport.close()

    def _start_timer(self, seconds: float, part: str) -> None:
        if self._timer is None:
            reason = f"the {part} took longer than {seconds:g} seconds"
            self._timer = self.loop.call_later(
                seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT, reason
            )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_GRACE: Final = (
    10  # seconds for requests accepted before a signal: twice a request's deadline
)
_IDLE: Final = 20  # seconds without a request
_BACKLOG: Final = 2048


class QuietServer(uvicorn.Server):
    """Returns after a signal; uvicorn itself would raise the signal again."""

    def __init__(
        self,
        config: uvicorn.Config,
        announce: Callable[[], object],
        on_exit: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._on_exit = on_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and announce it."""
        await super().startup(sockets)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the server; uvicorn's own method records the signal, and raises it again after the
        end.
        """
        del frame
        self._on_exit()
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True


async def serve(
    app: Any,  # noqa: ANN401 - an ASGI application
    listener: socket.socket,
    announce: Callable[[str], object],
    on_refusal: RefusalListener = ignore_refusal,
    on_exit: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish accepted requests.

    `announce` gets the URL; `on_exit` is called at the signal.
    """
    config = quiet_config(
        app,
        on_refusal,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
    )
    server = QuietServer(config, lambda: announce(url_of(listener)), on_exit)
    await server.serve(sockets=[listener])


class _BackgroundServer(uvicorn.Server):
    """Leaves all signals to the command that it serves for."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


@asynccontextmanager
async def serve_in_background(
    app: Any,  # noqa: ANN401 - an ASGI application
    listener: socket.socket,
    on_refusal: RefusalListener,
) -> AsyncIterator[None]:
    """Serve while the block runs."""
    config = quiet_config(app, on_refusal, timeout_graceful_shutdown=1)
    server = _BackgroundServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def run_event_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest available loop."""
    # The existing objects live as long as the process. Collecting them would cause the longest
    # pauses of requests.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(main)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 selects a free port.

    IPv6 may be in brackets. Raises CxrouteError.
    """
    # `socket.create_server` does not name TCP; without it asyncio leaves Nagle's algorithm on: 40
    # ms a response.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CxrouteError(
            f"cannot listen on {host}:{port}: {error.strerror or error}"
        ) from error
    return listener


def quiet_config(
    app: Any,  # noqa: ANN401 - an ASGI application
    on_refusal: RefusalListener = ignore_refusal,
    **options: Any,  # noqa: ANN401 - uvicorn's settings
) -> uvicorn.Config:
    """Return settings of a server without a log, a banner and proxy headers; it reports refused
    connections.
    """
    protocol = partial(StrictHttpProtocol, on_refusal=on_refusal)
    quiet: dict[str, Any] = {
        "log_config": None,
        "log_level": "critical",
        "access_log": False,
        "server_header": False,
    }
    quiet |= {"http": protocol, "ws": "none", "lifespan": "off", "proxy_headers": False}
    return uvicorn.Config(app, **quiet, **options)
