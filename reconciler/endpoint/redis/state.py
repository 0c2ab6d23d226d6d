"""The shared state of several instances in Redis, and whether it is usable."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from reconciler.endpoint.conversations import LockUnavailableError
from reconciler.endpoint.redis.connection import RedisConnection, RedisUnavailableError
from reconciler.endpoint.redis.scripts import Script

LOCK_MILLISECONDS: Final = 7_000  # lifetime of a lock: a request's deadline, and a reserve for dead instances
_BATCH: Final = 100  # conversations, or ids, in one command
_FIRST_PAUSE: Final = 0.005
_MAX_PAUSE: Final = 0.05  # seconds between two attempts to take a lock

Item = TypeVar("Item")


def batches(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Return the items in batches, each for one command."""
    remaining = iter(items)
    while batch := tuple(itertools.islice(remaining, _BATCH)):
        yield batch


class RedisState:
    """The state that this process shares through Redis. All keys begin with `prefix`."""

    def __init__(self, connect: Callable[[Callable[[str], object]], RedisConnection], prefix: str) -> None:
        self.connection = connect(self.mark_lost)
        self._prefix = prefix
        self.instance = secrets.token_hex(8)
        self._numbers = itertools.count()
        self.generation = b""
        self.is_joined = False  # this process may publish; other instances may still publish their state
        self.is_usable = False  # every state is published, and locks may be taken
        self.reason = "NotConnected"
        self.lost_event = asyncio.Event()

    def key(self, *parts: str) -> str:
        """Return a key's name in Redis."""
        return ":".join((self._prefix, *parts))

    def new_holder(self) -> str:
        """Return a name for one lock: a late release of an old lock changes nothing."""
        return f"{self.instance}:{next(self._numbers)}"

    def mark_lost(self, reason: str) -> None:
        """Mark Redis as unusable until it is joined again."""
        self.is_joined = self.is_usable = False
        self.reason = reason
        self.lost_event.set()

    def check_usable(self) -> None:
        """Raise LockUnavailableError while Redis is unusable."""
        if not self.is_usable:
            message = "what the machines share cannot be asked; nothing was written"
            raise LockUnavailableError(message, "shared_away", 1.0)

    async def acquire(self, script: Script, key: str, *arguments: str | bytes | int) -> list[Any]:
        """Return the result of a script that takes a lock, once it is free. Raises LockUnavailableError."""
        pause = _FIRST_PAUSE
        keys = (self.key("generation"), self.key("settling"), key)
        while True:
            self.check_usable()
            try:
                result: list[Any] = await self.connection.call(*script.command(keys, self.generation, *arguments))
            except RedisUnavailableError as error:
                self.mark_lost(str(error))
                message = "what the machines share did not answer; nothing was written"
                raise LockUnavailableError(message, "shared_away", 1.0) from error
            if result[0] == b"lost":
                self.mark_lost("Forgotten")
            if result[0] in (b"lost", b"settling"):
                raise LockUnavailableError("the machines are telling each other what they know", "shared_settling", 1.0)
            if result[0] != b"held":
                return result
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    async def publish(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int) -> bool:
        """Run a script that releases a lock or stores known state; return whether Redis accepted it."""
        if not self.is_joined:
            return False
        try:
            return bool(await self.connection.call(*script.command(keys, *arguments)))
        except RedisUnavailableError as error:
            self.mark_lost(str(error))
            return False
