"""What several machines have in common, in Redis, and whether it may be used now."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.endpoint.conversations import LockUnavailableError
from reconciler.endpoint.redis.connection import Command, RedisConnection, RedisUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.endpoint.redis.scripts import Script

LOCK_MILLISECONDS: Final = 7_000
"""Milliseconds after which a turn is taken from who has gone: what a request may take, and a bit."""
_BATCH: Final = 100  # conversations, or ids, that are told in one command
_FIRST_PAUSE: Final = 0.005
_MAX_PAUSE: Final = 0.05  # seconds between two looks at a turn that another machine has

Item = TypeVar("Item")


def batches(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Return many as parts that are told in one command each."""
    left = iter(items)
    while some := tuple(itertools.islice(left, _BATCH)):
        yield some


class RedisState:
    """The way to Redis, for all in this process that need it."""

    def __init__(self, connect: Callable[[Callable[[str], object]], RedisConnection], prefix: str) -> None:
        """`connect` is given what to call when it breaks. All keys begin with `prefix`."""
        self.connection = connect(self.mark_lost)
        self._prefix = prefix
        self.instance = secrets.token_hex(8)
        self._numbers = itertools.count()
        self.generation = b""
        self.is_joined = False  # redis knows this process, and may be told; others may be about to tell what they know
        self.is_usable = False  # all is told that was known, and turns may be taken
        self.reason = "NotConnected"
        self.lost_event = asyncio.Event()

    def key(self, *parts: str) -> str:
        """Return the name of something in Redis."""
        return ":".join((self._prefix, *parts))

    def new_holder(self) -> str:
        """Return a name for one turn: whoever comes late with an old one changes nothing."""
        return f"{self.instance}:{next(self._numbers)}"

    def mark_lost(self, reason: str) -> None:
        """Take note that Redis cannot be used until it was joined again."""
        self.is_joined = self.is_usable = False
        self.reason = reason
        self.lost_event.set()

    def check_usable(self) -> None:
        """Raise LockUnavailableError where nobody needs to try."""
        if not self.is_usable:
            raise LockUnavailableError(
                "what the machines share cannot be asked; nothing was written", "shared_away", 1.0
            )

    async def acquire(self, script: Script, key: str, *arguments: str | bytes | int) -> list[Any]:
        """Run a script that gives a turn, or says that another has it. Raises LockUnavailableError."""
        pause = _FIRST_PAUSE
        keys = (self.key("generation"), self.key("settling"), key)
        while True:
            self.check_usable()
            found = await self._call_script(script.command(keys, self.generation, *arguments))
            if found[0] != b"held":
                return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    async def _call_script(self, command: Command) -> list[Any]:
        try:
            found: list[Any] = await self.connection.call(*command)
        except RedisUnavailableError as error:
            self.mark_lost(str(error))
            raise LockUnavailableError(
                "what the machines share did not answer; nothing was written", "shared_away", 1.0
            ) from error
        if found[0] == b"lost":
            self.mark_lost("Forgotten")
        if found[0] in (b"lost", b"settling"):
            raise LockUnavailableError("the machines are telling each other what they know", "shared_settling", 1.0)
        return found

    async def publish(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int) -> bool:
        """Run a script that gives a turn back or tells what is known; return whether Redis took it."""
        if not self.is_joined:
            return False
        try:
            return bool(await self.connection.call(*script.command(keys, *arguments)))
        except RedisUnavailableError as error:
            self.mark_lost(str(error))
            return False
