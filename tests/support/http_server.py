"""A scripted server on a real socket, the network transport, and their event loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    Transport,
    send_with_timeout,
)
from tests.support.in_process_tenant import TENANT

Script = Callable[[asyncio.StreamWriter], Awaitable[object]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(
    params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a function on one of the loops; nothing may remain that the loop would report."""

    def running(main: Coroutine[Any, Any, Any]) -> Any:
        complaints: list[dict[str, Any]] = []

        async def watched() -> Any:
            asyncio.get_running_loop().set_exception_handler(
                lambda _loop, context: complaints.append(context)
            )
            actual = await main
            gc.collect()
            await asyncio.sleep(0)
            return actual

        with asyncio.Runner(loop_factory=request.param) as runner:
            actual = runner.run(watched())
        assert [] == complaints
        return actual

    return running


async def hand_over_connections() -> None:
    """Let the loop begin to serve each connection that it has accepted.

    One in the middle of being accepted has no writer that a test closes, and asyncio warns of it
    in the next tests.
    """
    for _ in range(4):
        await asyncio.sleep(0)


class ScriptedServer:
    """A server that handles each request by a script, and its client."""

    def __init__(self, script: Script, greeting: bytes = b"") -> None:
        self._script, self._greeting = script, greeting
        self.connections: list[asyncio.StreamWriter] = []
        self._serving: list[asyncio.Future[None]] = []
        self.requests: list[bytes] = []
        self.transport: Transport

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection."""
        self.connections.append(writer)
        self._serving.append(asyncio.ensure_future(self._answer(reader, writer)))
        await asyncio.sleep(0)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(self._greeting)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head + await reader.readexactly(2))
                await self._script(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def open(
        self, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[ScriptedServer]:
        """Listen."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.server = ServerUrl(
            "http", "127.0.0.1", server.sockets[0].getsockname()[1], ""
        )
        try:
            async with network_transport(TENANT, None, None) as self.transport:
                yield self
        finally:
            server.close()
            await hand_over_connections()
            for writer in self.connections:
                # a transport that closed by itself has no loop any more
                with contextlib.suppress(AttributeError):
                    writer.transport.abort()
            await asyncio.gather(*self._serving)
            # last: from Python 3.12 on it waits for the connections, too
            await server.wait_closed()

    async def ask(self, seconds: float = 2.0) -> tuple[int, bytes]:
        """Return status and body of a response."""
        request = ApiRequest(
            "POST", self.server, "/x?y=1", {"Accept-Encoding": "gzip"}, b"{}"
        )
        answer = await send_with_timeout(self.transport, request, seconds, REAL_TIME)
        return answer.status, answer.content


def answer_with(data: bytes) -> Script:
    """Return a script that sends this response, and keeps the connection."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return script


def answer_and_close(data: bytes) -> Script:
    """Return a script that sends this response, and closes."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return script
