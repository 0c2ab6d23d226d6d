"""Signed messages that come again to another machine: each id is claimed in Redis (invariants W2)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.endpoint.auth import KEPT, UNDER_WAY, conflict
from reconciler.endpoint.conversations import NoTurnError
from reconciler.endpoint.messages import Answer, later
from reconciler.endpoint.redis.scripts import CLAIM, RECALL, SETTLE
from reconciler.endpoint.redis.state import TURN, Shared, batches

if TYPE_CHECKING:
    from collections.abc import Callable


_MEMORY: Final = int(KEPT * 1000)


class _Known(NamedTuple):
    digest: bytes
    answer: bytes
    until: float


class SharedIds:
    """The register of all machines. Like Ids."""

    def __init__(self, shared: Shared, clock: Callable[[], float], most: int = 100_000) -> None:
        self._shared, self._clock, self._most = shared, clock, most
        self._claimed: dict[str, tuple[str, bytes]] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        """What was answered here: Redis may forget it."""
        self._owed: dict[str, str] = {}
        """Ids that Redis may have given away to nobody, and their holders."""

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Look an id up, and wait for whoever processes it."""
        holder = self._shared.holder()
        try:
            async with asyncio.timeout_at(end):
                found = await self._shared.take(CLAIM, self._key(message), holder, TURN, _MEMORY, digest)
        except NoTurnError as error:
            self._owed[message] = holder
            return later(503, error.outcome, str(error), error.seconds)
        except TimeoutError:
            return UNDER_WAY
        if found[0] == b"conflict":
            return conflict()
        if found[0] == b"known":
            return _answer(found[1])
        self._claimed[message] = holder, digest
        return None

    async def settle(self, message: str, answer: Answer) -> None:
        """Tell the answer to all machines, unless the id may come again."""
        holder, digest = self._claimed.pop(message)
        if answer.is_passing:
            await self._shared.tell(SETTLE, (self._key(message),), holder, _MEMORY)
            return
        self._forget()
        packed = f"{answer.status} {answer.outcome}\n".encode() + answer.body
        self._known[message] = _Known(digest, packed, self._clock() + KEPT)
        await self._shared.tell(SETTLE, (self._key(message),), holder, _MEMORY, packed)

    async def tell_all(self) -> None:
        """Tell Redis of every id that was answered here and is not too old."""
        now = self._clock()
        for some in batches([(name, one) for name, one in self._known.items() if one.until > now]):
            keys = tuple(self._key(message) for message, _ in some)
            said = [part for _, one in some for part in (int((one.until - now) * 1000) + 1, one.digest, one.answer)]
            await self._shared.tell(RECALL, keys, *said)

    async def give_back(self) -> None:
        """Give back what was asked for and lost before it came: a Redis that hung reads it as it goes on."""
        owed, self._owed = self._owed, {}
        for message, holder in owed.items():
            await self._shared.tell(SETTLE, (self._key(message),), holder, _MEMORY)

    def _key(self, message: str) -> str:
        return self._shared.key("m", message)

    def _forget(self) -> None:
        now = self._clock()
        while self._known:
            message, known = next(iter(self._known.items()))
            if len(self._known) < self._most and known.until > now:
                return
            del self._known[message]


def _answer(packed: bytes) -> Answer:
    head, _, body = packed.partition(b"\n")
    status, outcome = head.decode("ascii").split(" ")
    return Answer(int(status), outcome, body)
