"""How fast, and how often again: the stated rate, what a 429 says, and the budget of retries (reliability.md R21)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from reconciler.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

MOST_ATTEMPTS: Final = 4
LONGEST_WAIT: Final = 120.0
_FREE_RETRIES: Final = 20
_FIRST_BACKOFF: Final = 0.5
_BURST: Final = 8
_ABSURD: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Time:
    """Everything that a client takes from the world around it, so that a test can give it another.

    clock: seconds, monotonic. sleep: waits so many seconds. random: a number in [0, 1). deadline: a context that
    raises TimeoutError once so many seconds have gone by. now: the time of day, for HTTP dates alone.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    deadline: Callable[[float], AbstractAsyncContextManager[object]]
    now: Callable[[], datetime]


class Pacer:
    """Spaces the calls of one client: so many a second, so many at once, and none while the server asks to wait."""

    def __init__(self, rate: float, concurrency: int, time: Time, run_seconds: float) -> None:
        """`rate` is calls a second; `run_seconds` bounds everything that the client does."""
        self._time = time
        self._interval = 1.0 / rate
        self._next = 0.0
        self._held_until = 0.0
        self._slots = asyncio.Semaphore(concurrency)
        self._end = time.clock() + run_seconds
        self.requests = 0
        self.retries = 0
        self.answered = False
        self.down = False

    def allow(self, seconds: float) -> None:
        """Let everything from now on take so many seconds: a person may have thought for an hour before the yes."""
        self._end = self._time.clock() + seconds

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place and a moment for one call."""
        async with self._slots:
            await self._moment()
            self.requests += 1
            yield

    async def _moment(self) -> None:
        """Absolute deadlines (GCRA): a late call does not make the next one late, and a short burst is allowed."""
        now = self._time.clock()
        earliest = now - (_BURST - 1) * self._interval
        self._next = max(self._next, earliest) + self._interval
        wait = max(self._next - self._interval, self._held_until) - now
        if wait > 0:
            await self._time.sleep(wait)
        while self._held_until > self._time.clock():
            await self._time.sleep(self._held_until - self._time.clock())

    async def wait(self, attempt: int, hold: float | None) -> None:
        """Wait before a request is tried again; where the server asked for it, every call of this client waits."""
        self.retries += 1
        if hold is None:
            await self._time.sleep(self.backoff(attempt))
        else:
            self._held_until = max(self._held_until, self._time.clock() + hold)

    def backoff(self, attempt: int) -> float:
        """Return how long to wait after this many attempts: exponential, with full jitter."""
        return self._time.random() * min(_FIRST_BACKOFF * 2.0**attempt, 30.0)

    def may_retry(self, attempt: int) -> bool:
        """Say whether a request may be tried once more: attempts, the budget of all retries, the time of the run."""
        left = attempt < MOST_ATTEMPTS and self.retries < _FREE_RETRIES + self.requests // 10
        return left and self._time.clock() < self._end and not self.down

    def retry_after(self, header: str | None) -> float:
        """Return the seconds that a 429 asks for: its Retry-After, at most two minutes; a guess for an absurd one."""
        seconds = _seconds(header or "", self._time)
        if seconds is None or not 0 < seconds < _ABSURD:
            return self.backoff(1)
        return min(seconds, LONGEST_WAIT)

    def give_up_if_down(self) -> None:
        """After a request failed every time and none was ever answered, no other needs to try."""
        self.down = not self.answered

    def check(self) -> None:
        """Raise OverloadedError when this client has given up on the server, or its time is over."""
        if self.down:
            raise OverloadedError("the server does not answer; giving up")
        if self._time.clock() >= self._end:
            raise OverloadedError("the time for this run is over")


def _seconds(header: str, time: Time) -> float | None:
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 16:  # noqa: PLR2004 - no number is longer
        return float(text)
    try:
        return (parsedate_to_datetime(text) - time.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
