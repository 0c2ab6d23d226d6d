"""Signed messages that come again: each id has one effect within the window, whoever sends it again (W2)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from reconciler.context.answer import Answer, brief, later, refusal
from reconciler.context.signature import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT: Final = 2.0 * TOLERANCE
"""Seconds for which an id is remembered: a message is no longer accepted when it is forgotten."""


class Register(Protocol):
    """Knows which ids came, with what body, and how they were answered."""

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Return the answer that an id was given, once it has one; None where the caller is to process it.

        `end` is when the loop's clock says that it is late: who waits so long is told to come again.
        """

    async def settle(self, message: str, answer: Answer) -> None:
        """Note the answer of who was to process it; after one that is passing, the id may come again."""


class Replays:
    """Processes each message once, by a register that others may look into as well."""

    def __init__(self, register: Register) -> None:
        self._register = register

    async def once(self, message: str, body: bytes, end: float, process: Callable[[], Awaitable[Answer]]) -> Answer:
        """Process a message, or answer it from the first time; while that is under way the second one waits."""
        known = await self._register.claim(message, sha256(body).digest(), end)
        if known is not None:
            return known
        answer = LOST
        try:
            answer = await process()
        finally:
            with contextlib.suppress(TimeoutError):  # it is under way, and the caller waits for something else
                async with asyncio.timeout_at(end):
                    await self._register.settle(message, brief(answer))
        return answer


LOST: Final = later(503, "bug", "the endpoint failed")
"""What those are told who waited for somebody that never answered."""
UNDER_WAY: Final = later(503, "replayed", "the same message is under way")
"""What those are told who waited too long for somebody that may still answer."""


def conflict() -> Answer:
    """Return the answer to an id that came before with another body."""
    return refusal(409, "conflict", "this webhook-id came before with another body")


async def _waited(answer: asyncio.Future[Answer], end: float) -> Answer:
    try:
        async with asyncio.timeout_at(end):
            return await asyncio.shield(answer)
    except TimeoutError:
        return UNDER_WAY


class _Seen(NamedTuple):
    digest: bytes
    answer: asyncio.Future[Answer]
    until: float


class Ids:
    """The register of one process: so many ids at most."""

    def __init__(self, clock: Callable[[], float], most: int = 100_000) -> None:
        """Beyond `most` the oldest are forgotten: a repeat is then processed, and order still holds."""
        self._clock, self._most = clock, most
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Look an id up, and wait for whoever processes it. Whoever comes at the end is not to process anything."""
        self._forget()
        seen = self._seen.get(message)
        if seen is not None:
            return await _waited(seen.answer, end) if seen.digest == digest else conflict()
        if asyncio.get_running_loop().time() >= end:
            return UNDER_WAY
        future = asyncio.get_running_loop().create_future()
        self._seen[message] = _Seen(digest, future, self._clock() + KEPT)
        return None

    async def settle(self, message: str, answer: Answer) -> None:
        """Answer all who wait, and those who come later unless it may end otherwise then."""
        seen = self._seen.get(message)
        if seen is None or seen.answer.done():
            return
        if answer.is_passing:
            del self._seen[message]
        seen.answer.set_result(answer)

    def _forget(self) -> None:
        now = self._clock()
        while self._seen:
            message, seen = next(iter(self._seen.items()))
            if len(self._seen) < self._most and seen.until > now:
                return
            del self._seen[message]
