"""A clock that moves only by waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from reconciler.targets.platform.transport.rate_limiter import TimeSource

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that each sleep moves immediately.

    Calling it returns its seconds; `slept` lists the sleeps.

    `time` is its time source for a client. Random numbers are all `chance`, or those of `random`.
    """

    def __init__(
        self, chance: float = 0.5, random: Callable[[], float] | None = None
    ) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []
        self.time = TimeSource(
            clock=self,
            sleep=self.sleep,
            random=random or (lambda: chance),
            deadline=self._deadline,
            now=self._now,
        )

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """Move the clock, for callers that are not asynchronous."""
        self.slept.append(seconds)
        self.seconds += max(seconds, 0.0)

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.wait(seconds)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError if the sleeps in the block took longer; only sleeps take time."""
        end = self.seconds + seconds
        yield
        if self.seconds > end:
            raise TimeoutError

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)
