"""`/health` and `/metrics` of a loop over a socket."""

from __future__ import annotations

import asyncio

from reconciler.cli.commands.watch import serve_health
from reconciler.endpoint.server import open_listener


def test_head_is_answered_without_a_body() -> None:
    """A body would be read as the next response."""

    async def ask() -> bytes:
        with open_listener("127.0.0.1", 0) as listener:
            async with serve_health(listener, lambda: "a 1\n", lambda: True):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                return answer

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 4" in answer
    assert answer.endswith(b"\r\n\r\n")
