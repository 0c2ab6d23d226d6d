"""A connection that holds against slow and malformed callers, where uvicorn alone would wait for ever (W7).

Whatever two servers on the way could read in two ways ends the connection: before the app hears of it where it is the
request's own, after the answer where it is what follows a whole request.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from reconciler.context.chunks import Chunks

MOST_CONNECTIONS: Final = 1000
_LARGEST_HEAD: Final = 16 * 1024
"""Bytes of all headers."""
_MOST_HEADERS: Final = 64
_DECISIVE: Final = (b"host", b"transfer-encoding", b"content-length")
"""Headers of which a second one could count for another server."""
_SLOWEST_HEAD: Final = 5.0
"""Seconds from a connection's or request's begin to the end of its headers."""
_SLOWEST_BODY: Final = 5.0
"""Seconds from there to the end of its body."""


class _RefusedError(Exception):
    """Raised into the parser, which stops at once."""


class Connection(HttpToolsProtocol):
    """One caller's connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **options)
        self._is_over = False
        self._in_head = True
        self._head = self._size = 0
        self._piece = self._before = b""
        """What is read at this moment, and the end of what was read of these headers before."""
        self._chunks: Chunks | None = None
        self._status = HTTPStatus.BAD_REQUEST
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection while there are not too many, and wait so long for its first headers."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._await(_SLOWEST_HEAD)

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
        if self._chunks is not None and not self._chunks.follow(data):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._piece = data
        super().data_received(data)
        self._piece = b""
        if self._in_head and not self._is_over:
            self._await(_SLOWEST_HEAD)
            self._head += len(data)
            self._before = (self._before + data)[-3:]
            if self._head > _LARGEST_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif not self._is_over:
            cycle: RequestResponseCycle | None = self.cycle
            if cycle is not None and cycle.more_body:
                self._await(_SLOWEST_BODY)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser, or this class in it, would not read."""
        del msg
        self._refuse(self._status)

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before was not answered yet: that one is the last."""
        before: RequestResponseCycle | None = self.cycle
        if before is not None and not before.response_complete:
            raise _RefusedError
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes behind the body is refused, for it would count like the others."""
        if not self._in_head:
            raise _RefusedError
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """Check the headers together, and begin to answer."""
        if len(self.url) + self._size > _LARGEST_HEAD or len(self.headers) > _MOST_HEADERS:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _RefusedError
        if not self.url.startswith(b"/") or not self._is_clear():
            raise _RefusedError
        self._chunks = Chunks() if (b"transfer-encoding", b"chunked") in self.headers else None
        if self._chunks is not None and not self._chunks.follow(self._begun_body()):
            raise _RefusedError
        self._stop_timer()
        self._in_head, self._head, self._before = False, 0, b""
        self._begin()

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

    def _begin(self) -> None:
        """Hand the request to the app. uvicorn would do so as well, and much that nobody here needs."""
        url = httptools.parse_url(self.url)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"], self.scope["raw_path"] = url.path.decode("ascii"), url.path
        self.scope["query_string"] = url.query or b""
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

    def _begun_body(self) -> bytes:
        """Return what came in one piece with the end of the headers."""
        return (self._before + self._piece).partition(b"\r\n\r\n")[2]

    def _is_clear(self) -> bool:
        """Say whether the headers leave no doubt about host and body."""
        version = self.parser.get_http_version()
        names = [name for name, _ in self.headers if name in _DECISIVE]
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

    def _await(self, seconds: float) -> None:
        """Wait so long for what is under way; what comes in one piece needs no timer."""
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
