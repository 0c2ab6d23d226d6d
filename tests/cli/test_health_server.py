"""`/health` and `/metrics` of a loop over a socket."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from reconciler.cli.http_server import open_listener
from reconciler.features.watch.command import serve_health


def test_head_is_answered_without_a_body() -> None:
    """A body would be read as the next response."""

    async def ask() -> bytes:
        with open_listener("127.0.0.1", 0) as listener:
            async with serve_health(listener, lambda: "a 1\n", lambda: True):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(
                    b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                )
                answer = await reader.read()
                writer.close()
                return answer

    answer = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 4" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_request_that_cannot_be_read_is_reported() -> None:
    """With its status and reason; one that asks for another protocol is answered."""
    refusals: list[tuple[HTTPStatus | None, str]] = []
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

    async def ask() -> list[bytes]:
        answers = []
        with open_listener("127.0.0.1", 0) as listener:
            record = lambda status, reason: refusals.append((status, reason))  # noqa: E731 - a listener of one line
            async with serve_health(listener, lambda: "a 1\n", lambda: True, record):
                for further in (
                    b"Connection: close\r\n",
                    upgrade + b"Connection: close\r\n",
                    b"Host: y\r\n",
                ):
                    reader, writer = await asyncio.open_connection(
                        *listener.getsockname()
                    )
                    writer.write(
                        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + further + b"\r\n"
                    )
                    answers.append((await reader.read())[9:12])
                    writer.close()
        return answers

    assert [b"200", b"200", b"400"] == asyncio.run(ask())
    assert [
        (
            HTTPStatus.BAD_REQUEST,
            "Host, Content-Length or Transfer-Encoding is repeated",
        )
    ] == refusals
