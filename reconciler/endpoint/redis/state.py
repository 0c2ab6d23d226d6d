"""What several machines have in common, in Redis, and whether it may be used now."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.endpoint.conversations import NoTurnError
from reconciler.endpoint.redis.connection import BrokenError, Command, RedisLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.endpoint.redis.scripts import Script


TURN: Final = 7_000
"""Milliseconds after which a turn is taken from who has gone: what a request may take, and a bit."""
_BATCH: Final = 100
"""Conversations, or ids, that are told in one command."""
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks at a turn that another machine has."""

One = TypeVar("One")


def batches(many: Iterable[One]) -> Iterator[tuple[One, ...]]:
    """Return many as parts that are told in one command each."""
    left = iter(many)
    while some := tuple(itertools.islice(left, _BATCH)):
        yield some


class Shared:
    """The way to Redis, for all in this process that need it."""

    def __init__(self, line: Callable[[Callable[[str], object]], RedisLine], prefix: str) -> None:
        """`line` is given what to call when it breaks. All keys begin with `prefix`."""
        self.line = line(self.lose)
        self._prefix = prefix
        self.name = secrets.token_hex(8)
        self._numbers = itertools.count()
        self.generation = b""
        self.is_joined = False
        """Redis knows this process, and may be told; others may be about to tell what they know."""
        self.is_open = False
        """All is told that was known, and turns may be taken."""
        self.reason = "NotConnected"
        self.lost = asyncio.Event()

    def key(self, *parts: str) -> str:
        """Return the name of something in Redis."""
        return ":".join((self._prefix, *parts))

    def holder(self) -> str:
        """Return a name for one turn: whoever comes late with an old one changes nothing."""
        return f"{self.name}:{next(self._numbers)}"

    def lose(self, reason: str) -> None:
        """Take note that Redis cannot be used until it was joined again."""
        self.is_joined = self.is_open = False
        self.reason = reason
        self.lost.set()

    def check(self) -> None:
        """Raise NoTurnError where nobody needs to try."""
        if not self.is_open:
            raise NoTurnError("what the machines share cannot be asked; nothing was written", "shared_away", 1.0)

    async def take(self, script: Script, key: str, *arguments: str | bytes | int) -> list[Any]:
        """Run a script that gives a turn, or says that another has it. Raises NoTurnError."""
        pause = _FIRST_PAUSE
        keys = (self.key("generation"), self.key("settling"), key)
        while True:
            self.check()
            found = await self._asked(script.command(keys, self.generation, *arguments))
            if found[0] != b"held":
                return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _asked(self, command: Command) -> list[Any]:
        try:
            found: list[Any] = await self.line.call(*command)
        except BrokenError as error:
            self.lose(str(error))
            raise NoTurnError(
                "what the machines share did not answer; nothing was written", "shared_away", 1.0
            ) from error
        if found[0] == b"lost":
            self.lose("Forgotten")
        if found[0] in (b"lost", b"settling"):
            raise NoTurnError("the machines are telling each other what they know", "shared_settling", 1.0)
        return found

    async def tell(self, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int) -> bool:
        """Run a script that gives a turn back or tells what is known; return whether Redis took it."""
        if not self.is_joined:
            return False
        try:
            return bool(await self.line.call(*script.command(keys, *arguments)))
        except BrokenError as error:
            self.lose(str(error))
            return False
