"""One connection to Redis, which sends the commands of one turn of the loop together.

A single command costs more here than twenty cost Redis. The connection does not reopen itself: after a restart Redis
may have lost everything, and the caller must know.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from reconciler.text.files import read_certificates
from reconciler.text.hosts import LAST_PORT

_TIMEOUT: Final = 1.0  # seconds for a connection, and for a batch of responses
_DEFAULT_PORT: Final = 6379

Argument = str | bytes | int
Command = tuple[Argument, ...]


class RedisUnavailableError(Exception):
    """The connection is closed, or Redis refused; the command may be done. The text is one harmless word."""


class RedisConnection:
    """The connection and its queue. `on_lost` gets the reason of a lost connection in one word."""

    def __init__(self, new_connection: Callable[[], Connection], on_lost: Callable[[str], object]) -> None:
        self._new_connection, self._on_lost = new_connection, on_lost
        self._connection: Connection | None = None
        self._queued_commands: list[tuple[Command, asyncio.Future[Any]]] = []
        self._send_task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Close the connection and open a new one. Raises RedisUnavailableError."""
        await self.close()
        if self._send_task is not None:
            await asyncio.wait({self._send_task})  # it fails the commands of the old connection
        try:
            connection = self._new_connection()
            async with asyncio.timeout(_TIMEOUT):
                await connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailableError(type(error).__name__) from None
        self._connection = connection

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
            await asyncio.sleep(0)  # the loop closes the transport in its next turn, perhaps its last

    async def call(self, *command: Argument) -> Any:  # noqa: ANN401 - any response of Redis
        """Return Redis' response to a command. Raises RedisUnavailableError."""
        if self._connection is None:
            raise RedisUnavailableError("NotConnected")
        future = asyncio.get_running_loop().create_future()
        self._queued_commands.append((command, future))
        if self._send_task is None:
            self._send_task = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        """Send the queued commands in batches; commands during a batch form the next one."""
        batch: list[tuple[Command, asyncio.Future[Any]]] = []
        try:
            while self._queued_commands and self._connection is not None:
                batch, self._queued_commands = self._queued_commands, []
                async with asyncio.timeout(_TIMEOUT):
                    await self._exchange(self._connection, batch)
        except Exception as error:  # noqa: BLE001 - a connection that is closed while it is read fails in many ways
            await self.close()
            self._on_lost(type(error).__name__)
        finally:
            queued, self._queued_commands, self._send_task = self._queued_commands, [], None
            for _, future in (*batch, *queued):
                if not future.done():
                    future.set_exception(RedisUnavailableError("NotConnected"))

    async def _exchange(self, connection: Connection, batch: Sequence[tuple[Command, asyncio.Future[Any]]]) -> None:
        await connection.send_packed_command(connection.pack_commands([command for command, _ in batch]))
        for _, future in batch:
            try:
                response = await connection.read_response()
            except ResponseError as error:
                if not future.done():
                    future.set_exception(RedisUnavailableError(str(error).partition(" ")[0][:20]))
            else:
                if not future.done():
                    future.set_result(response)


def split_url(url: str) -> SplitResult:
    """Return a URL's parts, empty for an invalid URL: Python's own error may repeat a password."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def connection_factory(url: str, ca_file: str | None) -> Callable[[], Connection]:
    """Return a factory of connections to a redis:// or rediss:// URL. Raises ValueError, without the URL."""
    parts = split_url(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number from 1 to {LAST_PORT}") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("the URL must be redis://HOST:PORT/DB, or rediss:// with TLS")
    if parts.query or parts.fragment:
        raise ValueError("the URL must end after the database's number")
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit()):
        raise ValueError("the database must be a number, such as /0")
    user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
    options: dict[str, Any] = {"host": parts.hostname, "port": port or _DEFAULT_PORT, "db": int(database)}
    options |= {"username": user, "password": password, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
    options |= {"socket_timeout": None, "socket_connect_timeout": _TIMEOUT}  # each batch has a timeout
    if parts.scheme == "redis":
        return lambda: Connection(**options)
    options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return lambda: SSLConnection(**options, ssl_ca_data=read_certificates(ca_file) if ca_file else None)
