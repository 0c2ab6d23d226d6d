"""The endpoint behind a real socket, in this event loop, and a caller that writes raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from reconciler.cli import http_server as servers
from reconciler.cli.http_server import QuietServer, open_listener, quiet_config
from tests.features.endpoint.in_process_endpoint import EVENT, Endpoint
from tests.support.server_process import KEY

BODY = json.dumps(dict(EVENT)).encode()


class Said(NamedTuple):
    """The statuses of all responses on one connection, all received bytes, and whether the server
    closed it.
    """

    statuses: list[int]
    raw: bytes
    closed: bool


@asynccontextmanager
async def listening(endpoint: Endpoint) -> AsyncIterator[int]:
    """Serve; yields the port."""
    began = asyncio.Event()
    app = endpoint.app
    config = quiet_config(app, app.record_refusal, timeout_keep_alive=servers._IDLE)
    server = QuietServer(config, began.set, app.drain)
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await began.wait()
        try:
            yield port
        finally:
            server.should_exit = True
            await serving


def request(
    *headers: str,
    body: bytes = BODY,
    line: str = "POST /api/route HTTP/1.1",
    length: str | None = None,
) -> bytes:
    """Return a request that is well formed except for the given parts."""
    lines = [line, "Host: x", f"X-API-Key: {KEY}", "Content-Type: application/json"]
    lines += (
        []
        if length == ""
        else [f"Content-Length: {len(body) if length is None else length}"]
    )
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


async def talk(
    port: int, *parts: bytes, pause: float = 0.0, wait: float = 2.0, count: int = 0
) -> Said:
    """Write parts to one connection and read in parallel; return the data until its end.

    Or until `count` responses have begun, or for `wait` seconds.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = bytearray()
    reading = asyncio.create_task(_read(reader, raw, count))
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        done, _ = await asyncio.wait([reading], timeout=wait)
    finally:
        reading.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return Said(
        [int(word[:3]) for word in bytes(raw).split(b"HTTP/1.1 ")[1:]],
        bytes(raw),
        bool(done),
    )


async def _read(reader: asyncio.StreamReader, into: bytearray, count: int) -> None:
    with contextlib.suppress(ConnectionError):
        while further := await reader.read(65_536):
            into += further
            if into.count(b"HTTP/1.1 ") == count:
                return


async def answer(port: int, data: bytes) -> tuple[int, Any]:
    """Write one request with `Connection: close` and return status and JSON."""
    text = await talk(port, data)
    return text.statuses[0], json.loads(text.raw.partition(b"\r\n\r\n")[2])


class Caller:
    """One keep-alive connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer
        self.used = asyncio.get_running_loop().time()
        """The time of its last use, by the loop's clock: the endpoint keeps a connection for twenty
        seconds."""

    @classmethod
    async def connected(cls, port: int) -> Caller:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()

    async def post(self, form: Mapping[str, Any]) -> int:
        """Post an event and return the status of its complete response."""
        self._writer.write(request(body=json.dumps(dict(form)).encode()))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))
        self.used = asyncio.get_running_loop().time()
        return int(head[9:12])
