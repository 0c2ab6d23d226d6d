"""Time that passes only when somebody waits for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reconciler.cxone.transport.rate_limiter import TimeSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class VirtualTime:
    """A clock that a sleep moves on at once; `slept` says how long each was. Chance is always the same, or `random`."""

    def __init__(self, chance: float = 0.5, random: Callable[[], float] | None = None) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []
        self.time = TimeSource(
            clock=lambda: self.seconds,
            sleep=self._sleep,
            random=random or (lambda: chance),
            deadline=self._deadline,
            now=self._now,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += max(seconds, 0.0)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[None]:
        """Nothing takes time here but sleeping, so only that can be too late."""
        end = self.seconds + seconds
        yield
        if self.seconds > end:
            raise TimeoutError

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)
