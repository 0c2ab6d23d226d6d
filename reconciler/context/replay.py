"""Signed messages that come again: each id has one effect within the window, whoever sends it again (W2)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from reconciler.context.answer import Answer, later, refusal
from reconciler.context.signature import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class _Seen(NamedTuple):
    digest: bytes
    answer: asyncio.Future[Answer]
    until: float


class Replays:
    """Remembers ids for twice the tolerance: a message is no longer accepted when it is forgotten."""

    def __init__(self, clock: Callable[[], float], most: int = 100_000) -> None:
        """Beyond `most` the oldest are forgotten: a repeat is then processed, and order still holds."""
        self._clock, self._most = clock, most
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def once(self, message: str, body: bytes, process: Callable[[], Awaitable[Answer]]) -> Answer:
        """Process a message, or answer it from the first time; while that is under way the second one waits."""
        self._forget()
        digest = sha256(body).digest()
        seen = self._seen.get(message)
        if seen is not None:
            if seen.digest != digest:
                return refusal(409, "conflict", "this webhook-id came before with another body")
            return await asyncio.shield(seen.answer)
        future = asyncio.get_running_loop().create_future()
        self._seen[message] = _Seen(digest, future, self._clock() + 2 * TOLERANCE)
        try:
            answer = await process()
        except BaseException:
            del self._seen[message]
            future.set_result(later(503, "bug", "the endpoint failed"))
            raise
        if answer.is_passing:
            del self._seen[message]
        future.set_result(answer)
        return answer

    def _forget(self) -> None:
        now = self._clock()
        while self._seen:
            message, seen = next(iter(self._seen.items()))
            if len(self._seen) < self._most and seen.until > now:
                return
            del self._seen[message]
