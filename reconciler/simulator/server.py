"""Serving over HTTP, with uvicorn; without it, `serve` raises ImportError (it comes with the extra `serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from reconciler.simulator.delivery import BREAK_EXTENSION
from reconciler.simulator.messages import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

_GRACE: Final = 10
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


def serve(app: ASGIApp, host: str, port: int, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. Port 0 takes a free one.

    `announce` is called with the base URL once connections are taken. Raises OSError when the address cannot be had,
    ImportError without uvicorn.
    """
    import uvicorn  # noqa: PLC0415 - an extra that only this function needs

    class SimulatorServer(uvicorn.Server):
        """Ends on a signal by returning, where uvicorn would raise the signal again."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(_url(listener))

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    config = uvicorn.Config(
        allow_breaking(app),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with listening_socket(host, port) as listener:
        asyncio.run(SimulatorServer(config).serve(sockets=[listener]))


def allow_breaking(app: ASGIApp) -> ASGIApp:
    """Give the app the means to break a connection under uvicorn, whose `send` belongs to who has the transport."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope["extensions"] = {
                **(scope.get("extensions") or {}),
                BREAK_EXTENSION: lambda how: _break(transport, how),
            }
        await app(scope, receive, send)

    return wrapped


def _break(transport: asyncio.Transport, manner: DeliveryMode) -> None:
    """Close after what was sent, or reset: with SO_LINGER 0 the kernel answers RST in place of FIN."""
    if manner is DeliveryMode.CUT:
        transport.close()
        return
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError.

    TCP is named, where `socket.create_server` leaves it open: only then does asyncio switch Nagle's algorithm off for
    what is accepted, which costs 40 ms an answer otherwise.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
