"""A simulated tenant on a real loopback socket, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from reconciler.cli.http_server import open_listener

App = Any
"""An ASGI application."""


class LoopbackServer:
    """One server for many tenants, one after the other: `app` responds now."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.app: App = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                log_level="critical",
                lifespan="off",
                ws="none",
                http="h11",
            )
        )
        self._open = 0

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self._open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._open -= 1

    def settle(self) -> None:
        """Wait until all requests of an ended process are done, and its connections are closed."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self._settled(), self.loop).result(20)

    async def _settled(self) -> None:
        """Connect first: connections are accepted in order, so no earlier one can still be
        waiting.
        """
        _, writer = await asyncio.open_connection(
            "127.0.0.1", int(self.url.rpartition(":")[2])
        )
        while not self.server.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        writer.close()
        while self._open or self.server.server_state.connections:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)


async def _close_late_connections(server: uvicorn.Server) -> None:
    """Close connections that were accepted while the server ended: asyncio warns of open ones in a
    later test.
    """
    await asyncio.sleep(0.01)
    for connection in list(server.server_state.connections):
        connection.transport.close()
    await asyncio.sleep(0.01)


@contextmanager
def loopback_server() -> Iterator[LoopbackServer]:
    """Serve until the end of the block."""
    with open_listener("127.0.0.1", 0) as listener:
        here = LoopbackServer(listener.getsockname()[1])
        ready = threading.Event()

        async def serve() -> None:
            here.loop = asyncio.get_running_loop()
            here.loop.call_soon(ready.set)
            await here.server.serve(sockets=[listener])
            await _close_late_connections(here.server)

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        try:
            assert ready.wait(10)
            yield here
        finally:
            here.server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
