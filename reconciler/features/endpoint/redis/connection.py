"""The client of the Redis that several instances share, and whether Redis is usable."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from reconciler.core.text.files import read_certificates
from reconciler.core.text.hosts import LAST_PORT
from reconciler.features.endpoint.conversations import LockUnavailableError

Result = TypeVar("Result")

_TIMEOUT: Final = 1.0  # seconds for a connection, and for a response
_MAX_CONNECTIONS: Final = 32
_DEFAULT_PORT: Final = 6379
# KEYS: a key. ARGV: its expected value, empty for none; its new value; its life in milliseconds,
# 0 to delete the key.
_COMPARE_AND_SET: Final = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
"""


def pending_cancellations() -> int:
    """Return how many cancellations of the current task are not handled."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


class SharedRedis:
    """The Redis of all instances. All keys begin with `prefix`."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self.client = client
        self._prefix = prefix
        self._compare_and_set = client.register_script(_COMPARE_AND_SET)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_usable = False
        self.reason = "NotConnected"
        self.lost_event = asyncio.Event()

    def key(self, *parts: str) -> str:
        """Return a key's name in Redis."""
        return ":".join((self._prefix, *parts))

    def mark_lost(self, reason: str) -> None:
        """Mark Redis as unusable until a heartbeat succeeds."""
        self.is_usable = False
        self.reason = reason
        self.lost_event.set()

    def check_usable(self) -> None:
        """Raise LockUnavailableError while Redis is unusable, without a wait for a time-out."""
        if not self.is_usable:
            raise LockUnavailableError(
                "Redis is unavailable; nothing was written", "shared_away"
            )

    async def call(self, command: Awaitable[Result]) -> Result:
        """Return the response to a command. Raises LockUnavailableError."""
        cancellations = pending_cancellations()
        try:
            response = await command
        except (RedisError, OSError) as error:
            self.mark_lost(type(error).__name__)
            text = "Redis did not respond; nothing was written"
            raise LockUnavailableError(text, "shared_away") from error

        # The client sends with asyncio.wait_for, which before Python 3.12 may ignore a cancellation
        # that comes as it ends (python/cpython#86296): without it, no deadline would end the wait.
        if pending_cancellations() > cancellations:
            raise asyncio.CancelledError
        return response

    async def get(self, key: str) -> bytes:
        """Return a key's value; empty without one. Raises LockUnavailableError."""
        value: Any = await self.call(self.client.get(key))
        return value or b""

    async def compare_and_set(
        self,
        key: str,
        expected: bytes,
        value: bytes,
        milliseconds: int,
    ) -> bool:
        """Set a key if it still has the expected value, or delete it for a life of 0; return whether
        that is done.
        """
        arguments: tuple[bytes | int, ...] = (expected, value, milliseconds)
        with suppress(LockUnavailableError):
            command = self._compare_and_set(keys=[key], args=arguments)
            return bool(await self.call(command))
        return False

    def in_background(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Return a task that continues after its caller was cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Wait a moment for the tasks, and close the connections."""
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_TIMEOUT)
            for task in unfinished:
                task.cancel()
        await self.client.aclose()


def split_url(url: str) -> SplitResult:
    """Return a URL's parts, empty for an invalid URL: Python's own error may repeat a password."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def redis_client(url: str, ca_file: str | None) -> Redis:
    """Return a client of a redis:// or rediss:// URL. Raises ValueError, without the URL."""
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

    options: dict[str, Any] = {
        "host": parts.hostname,
        "port": port or _DEFAULT_PORT,
        "db": int(database),
        "username": _unquoted(parts.username),
        "password": _unquoted(parts.password),
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if parts.scheme == "rediss":
        options["connection_class"] = SSLConnection
        options["ssl_cert_reqs"] = "required"
        options["ssl_check_hostname"] = True
        options["ssl_ca_data"] = read_certificates(ca_file) if ca_file else None
    pool = BlockingConnectionPool(
        max_connections=_MAX_CONNECTIONS,
        timeout=_TIMEOUT,
        **options,
    )
    return Redis.from_pool(pool)


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None
