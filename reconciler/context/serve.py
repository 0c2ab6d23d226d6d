"""Serving the endpoint with uvicorn; without it this module cannot be imported (it comes with `cxroute[serve]`)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from reconciler.context.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

    from reconciler.context.app import ContextApp

_GRACE: Final = 10
"""Seconds for what was accepted before a signal: twice what a request may take."""
_IDLE: Final = 20
"""Seconds that a connection may be kept without a request."""
_BACKLOG: Final = 2048


class _Server(uvicorn.Server):
    """Ends on a signal by returning, where uvicorn would raise the signal again; /ready says so first."""

    def __init__(self, app: ContextApp, announce: Callable[[], object]) -> None:
        super().__init__(_config(app))
        self._app, self._announce = app, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
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


async def serve(app: ContextApp, listener: socket.socket, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. `announce` is given the URL."""
    await _Server(app, lambda: announce(_url(listener))).serve(sockets=[listener])


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop that there is."""
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(main)


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises OSError.

    TCP is named: only then does asyncio switch Nagle's algorithm off for what is accepted.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _config(app: ContextApp) -> uvicorn.Config:
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
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
