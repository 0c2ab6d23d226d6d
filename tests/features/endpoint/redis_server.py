"""A real Redis that a test starts, freezes, kills and starts again, without files on disk."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis

from reconciler.features.endpoint.redis.connection import SharedRedis, redis_client
from tests.support.requirements import skip_or_fail

PREFIX = "cxroute:prod:"


class RedisServer:
    """One server on one port, running or not."""

    def __init__(self, folder: Path, password: str, certificate: Path | None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder, self._password, self._certificate = folder, password, certificate
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis{'s' if certificate else ''}://localhost:{self.port}/0"

    def start(self) -> None:
        """Start it, empty."""
        line = [
            "redis-server",
            "--save",
            "",
            "--appendonly",
            "no",
            "--bind",
            "127.0.0.1",
        ]
        line += (
            ["--port", "0", "--tls-port", str(self.port)]
            if self._certificate
            else ["--port", str(self.port)]
        )
        line += ["--requirepass", self._password] if self._password else []
        for part in ("--tls-cert-file", "--tls-key-file") if self._certificate else ():
            line += [part, str(self._certificate), "--tls-auth-clients", "no"]
        self._process = subprocess.Popen(
            line, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("redis-server does not start")

    def client(self, database: int = 0) -> Any:
        """Return a new client."""
        return redis.Redis(port=self.port, db=database, password=self._password or None)

    def kill(self) -> None:
        """Kill it: it loses all data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Freeze it: connections stay, and it does not respond."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Unfreeze it."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(
    folder: Path, password: str = "", certificate: Path | None = None
) -> Iterator[RedisServer]:
    """Start a server.

    Without a Redis program: skipped on a developer's machine, failed in CI, which installs one.
    """
    if shutil.which("redis-server") is None:
        skip_or_fail("redis-server is not installed")
    server = RedisServer(folder, password, certificate)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def shared_redis(server: RedisServer) -> AsyncIterator[SharedRedis]:
    """Return what one instance has of it, usable without a heartbeat."""
    redis = SharedRedis(redis_client(server.url, None), PREFIX.rstrip(":"))
    redis.is_usable = True
    try:
        yield redis
    finally:
        await redis.close()
