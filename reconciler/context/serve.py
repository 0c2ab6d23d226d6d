"""Serving the endpoint with uvicorn; without it this module cannot be imported (it comes with the extra `serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from reconciler.context.connection import Connection
from reconciler.errors import CxrouteError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from types import FrameType

    from reconciler.context.app import ContextApp

_GRACE: Final = 10
"""Seconds for what was accepted before a signal: twice what a request may take."""
_IDLE: Final = 20
"""Seconds that a connection may be kept without a request."""
_BACKLOG: Final = 2048
_AT_ONCE: Final = 8
"""Connections that are taken in one turn of the loop, at the most."""
_HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HEALTHY: Final = ("HTTP/1.1 200 ", "HTTP/1.1 503 ")
_LONGEST_CHECK: Final = 5.0
"""Seconds for the answer to the server's own GET /health."""


class _Server(uvicorn.Server):
    """Ends on a signal by returning, where uvicorn would raise the signal again; /ready says so first."""

    def __init__(self, app: ContextApp, announce: Callable[[], object]) -> None:
        super().__init__(quiet(app, backlog=_BACKLOG, timeout_keep_alive=_IDLE, timeout_graceful_shutdown=_GRACE))
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
        if not answer.startswith(_HEALTHY):
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
    return [listener.dup() for _ in range(_AT_ONCE - 1)] if sys.platform != "win32" else []


def _loopback_listener(listeners: Sequence[socket.socket]) -> socket.socket:
    """Return a loopback socket for the server's own request, whatever address the endpoint listens on."""
    is_ipv6 = any(listener.family == socket.AF_INET6 for listener in listeners)
    made = _bound("::1" if is_ipv6 else "127.0.0.1", 0)
    made.listen()
    return made


async def _health_answer(listener: socket.socket) -> str:
    """Return the first line of the answer to GET /health. A plain connection: no proxy, no variable has a say."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_LONGEST_CHECK):
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
    await _Server(app, lambda: announce(url(listener))).serve(sockets=[listener])


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop that there is.

    What was imported and read by now lives as long as the process: the garbage collector need not look at it again and
    again, which would be the longest pause that a request meets.
    """
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(main)


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises OSError."""
    made = _bound(host, port)
    made.listen(_BACKLOG)
    return made


def _bound(host: str, port: int) -> socket.socket:
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


def quiet(app: Any, **more: Any) -> uvicorn.Config:  # noqa: ANN401 - an ASGI application, and uvicorn's settings
    """Return settings of a server that adds nothing of its own to what is said: no log, no banner, no guesses."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **more,
    )


def url(listener: socket.socket) -> str:
    """Return where a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
