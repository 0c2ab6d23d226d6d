"""`/metrics` and `/health` of `cxroute watch` over HTTP. Importing this module requires uvicorn (the extra `serve`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from reconciler.endpoint.server import quiet_config
from reconciler.text.prometheus import CONTENT_TYPE


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_health(
    listener: socket.socket, metrics: Callable[[], str], alive: Callable[[], bool]
) -> AsyncIterator[None]:
    """Serve on a listening socket while the block runs."""

    async def app(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        status, text, media = 404, "not found: use /metrics or /health\n", b"text/plain; charset=utf-8"
        if scope["method"] not in ("GET", "HEAD"):
            status, text = 405, "GET only\n"
        elif scope["path"] == "/metrics":
            status, text, media = 200, metrics(), CONTENT_TYPE
        elif scope["path"] == "/health":
            status, text = (200, "ok\n") if alive() else (503, "no round has started for too long\n")
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
