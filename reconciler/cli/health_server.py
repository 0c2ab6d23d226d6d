"""`/metrics` and `/health` of a loop, over HTTP; without uvicorn this module cannot be imported (the extra `serve`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import uvicorn

from reconciler.endpoint.server import quiet_config
from reconciler.text.prometheus import CONTENT_TYPE

_TEXT = b"text/plain; charset=utf-8"


class HealthResponse(NamedTuple):
    """A response of the health server."""

    status: int
    text: str
    media: bytes = _TEXT


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_health(
    listener: socket.socket, metrics: Callable[[], str], alive: Callable[[], bool]
) -> AsyncIterator[None]:
    """Answer on a socket that listens, for as long as the block lasts."""

    def answer(path: str) -> HealthResponse:
        if path == "/metrics":
            return HealthResponse(200, metrics(), CONTENT_TYPE)
        if path == "/health":
            return HealthResponse(200, "ok\n") if alive() else HealthResponse(503, "no round has begun for too long\n")
        return HealthResponse(404, "there are /metrics and /health\n")

    async def app(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        readable = scope["method"] in ("GET", "HEAD")
        status, text, media = answer(scope["path"]) if readable else HealthResponse(405, "GET only\n")
        body = text.encode()
        headers = [(b"content-type", media), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = _Server(quiet_config(app, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
