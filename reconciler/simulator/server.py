"""Serving over HTTP, with uvicorn; without it, `serve` raises ImportError (it comes with the extra `serve`)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.delivery import BREAK_EXTENSION
from reconciler.simulator.messages import DeliveryMode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_GRACE: Final = 10
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


def serve(app: ASGIApp, host: str, port: int, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then finish the accepted requests; port 0 selects a free port.

    `announce` gets the base URL when the server accepts connections. Raises OSError for an unavailable address,
    ImportError without uvicorn.
    """
    import uvicorn  # noqa: PLC0415 - an extra that only this function needs

    class SimulatorServer(uvicorn.Server):
        # Returns after a signal, whereas uvicorn would raise the signal again.
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(_url(listener))

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    quiet: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
    quiet |= {"lifespan": "on", "ws": "none", "proxy_headers": False}
    config = uvicorn.Config(allow_breaking(app), timeout_graceful_shutdown=_GRACE, **quiet)
    with listening_socket(host, port) as listener:
        asyncio.run(SimulatorServer(config).serve(sockets=[listener]))


def allow_breaking(app: ASGIApp) -> ASGIApp:
    """Return the app with the means to break a connection under uvicorn, which alone has the transport."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            extensions = scope.get("extensions") or {}
            scope["extensions"] = {**extensions, BREAK_EXTENSION: lambda mode: _break(transport, mode)}
        await app(scope, receive, send)

    return wrapped


def _break(transport: asyncio.Transport, mode: DeliveryMode) -> None:
    if mode is DeliveryMode.CUT:
        transport.close()
        return
    # With SO_LINGER 0 the kernel answers RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises OSError."""
    # `socket.create_server` does not name TCP; without it asyncio leaves Nagle's algorithm on: 40 ms a response.
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
