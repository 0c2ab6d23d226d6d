"""Limits of one client: calls a second, concurrent calls, pauses for Retry-After, and retries
(invariants R21).

The calls are spaced by a token bucket (GCRA, ITU-T I.371), whose rate `rate_control` sets.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from reconciler.core.errors import OverloadedError
from reconciler.targets.platform.transport.rate_control import RateControl

MAX_ATTEMPTS: Final = 4
MAX_WAIT: Final = 120.0
_BASE_RETRY_BUDGET: Final = 20
_FIRST_BACKOFF: Final = 0.5
# seconds of a pause without a Retry-After: a tenant needs some time for the next permit
_SHORTEST_GUESS: Final = 0.2
_MAX_RETRY_AFTER: Final = 86_400.0
_MAX_CATCH_UP: Final = (
    5  # late calls that may be sent in a burst; a tenant likely accepts ten
)
_TIMER_TOLERANCE: Final = 1e-6  # seconds: timers may fire too early


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSource:
    """Clocks, sleep and randomness of a client; tests replace them."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    deadline: Callable[[float], AbstractAsyncContextManager[object]]
    now: Callable[[], datetime]


WaitCallback = Callable[[str, str, float], object]
"""Receives each wait: a short reason, a text for display, and its seconds in all."""


def ignore_wait(_reason: str, _text: str, _seconds: float, /) -> None:
    """Do nothing."""


REAL_TIME: Final = TimeSource(
    clock=time.monotonic,
    sleep=asyncio.sleep,
    random=random.random,
    deadline=asyncio.timeout,
    now=lambda: datetime.now(UTC),
)


class RateLimiter:
    """Spaces the calls of one client: calls a second, concurrent calls, and none during a
    Retry-After.
    """

    def __init__(
        self,
        rate: float,
        concurrency: int,
        time: TimeSource,
        run_seconds: float,
        patience: float = 0.0,
        on_wait: WaitCallback = ignore_wait,
    ) -> None:
        """`rate` is calls a second; `run_seconds` bounds all calls together."""
        # A tenant that answers only 429 is retried for `patience` seconds, and through four 429s at
        # the least.
        self._time = time
        self._patience = patience
        self.on_wait = on_wait
        self._rate = RateControl(rate)
        self._next_send_at = -math.inf
        self._paused_until = -math.inf
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()  # of the call that waits for the next permit
        self._run_deadline = time.clock() + run_seconds
        self.requests = 0
        self.retries = 0
        self.throttled_retries = 0  # retries after a 429, which do not use the budget
        self._throttled_since = math.inf  # start of the current series of 429s
        self.throttled = 0  # number of 429s
        self._catch_up_calls = float(_MAX_CATCH_UP)

    def set_share(self, share: float) -> None:
        """Use this share of the tenant's rate from now on, above 0 and at most 1; other clients use
        the rest.
        """
        self._rate.set_share(share)
        self._catch_up_calls = _MAX_CATCH_UP * share

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds: another client received a 429."""
        self._paused_until = max(self._paused_until, self._time.clock() + seconds)

    def restart_time_limit(self, seconds: float) -> None:
        """Restart the time limit: the user may have taken long to confirm."""
        self._run_deadline = self._time.clock() + seconds

    async def acquire(self, deadline: float = math.inf) -> float:
        """Wait for a concurrency slot and a rate permit; return the time.

        The caller must call `release`.
        """
        # Raises OverloadedError as soon as a 429 is known to hold all calls beyond `deadline`.
        await self._slots.acquire()
        try:
            arrived_at = self._time.clock()  # from now on, only the permit is missing
            async with self._turn:
                now = await self._wait_until_due(deadline)
                self._schedule_next(arrived_at, now)
        except BaseException:
            self._slots.release()
            raise
        return now

    def release(self) -> None:
        """Release the concurrency slot."""
        self._slots.release()

    def _due_at(self) -> float:
        return max(self._next_send_at, self._paused_until) - _TIMER_TOLERANCE

    async def _wait_until_due(self, end: float) -> float:
        """Wait until a call may be sent.

        One call waits at a time, so a 429 during the wait delays all later calls.
        """
        while (now := self._time.clock()) < self._due_at():
            if self._paused_until > end:
                raise OverloadedError(
                    "the tenant limits the rate (429) for longer than the remaining time"
                )
            await self._time.sleep(max(self._next_send_at, self._paused_until) - now)
        return now

    def _schedule_next(self, arrived_at: float, now: float) -> None:
        """Reserve the permit of a call that is sent now."""
        # By absolute deadlines (GCRA). Calls that waited may follow in a short burst after a late
        # timer, but not after an idle time or a pause: the rest of the tenant's bucket is reserved
        # for jitter and wrong guesses.
        self._rate.resume_after_pause(now)
        interval = 1.0 / self._rate.rate_at(now)
        earliest = now - self._catch_up_calls * interval
        due_at = max(self._next_send_at, self._paused_until, arrived_at, earliest)
        self._next_send_at = due_at + interval

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted call."""
        self._throttled_since = math.inf
        self._rate.on_accepted(sent_at)

    def on_throttle(self, sent_at: float, header: str | None) -> None:
        """Record a 429 and its Retry-After: every call of this client waits, and is slower from
        then on.
        """
        self.throttled += 1
        self._throttled_since = min(self._throttled_since, self._time.clock())
        self._rate.on_throttle(sent_at)
        guess = max(self.backoff(max(self._rate.empty_windows, 1)), _SHORTEST_GUESS)
        seconds = self._parse_retry_after(header) or guess
        self.pause(seconds)
        self.on_wait(
            "429",
            f"the tenant limits the rate (429): next call in {math.ceil(seconds)} s",
            seconds,
        )

    def on_retry_after(self, header: str | None, failure_summary: str) -> None:
        """Pause every call for the Retry-After of a failure, if it has one."""
        if seconds := self._parse_retry_after(header):
            self.pause(seconds)
            text = (
                f"waiting for the tenant: {failure_summary}, which asks for "
                f"{math.ceil(self.pause_seconds)} s"
            )
            self.on_wait(failure_summary, text, self.pause_seconds)

    @property
    def pause_seconds(self) -> float:
        """Return the remaining seconds of a Retry-After."""
        return max(self._paused_until - self._time.clock(), 0.0)

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait after this many attempts: exponential, with full jitter."""
        longest = min(_FIRST_BACKOFF * 2.0**attempt, 30.0)
        return self._time.random() * longest

    def may_retry(self, attempt: int) -> bool:
        """Return whether a retry is allowed by attempts, retry budget and time limit."""
        budget = (
            _BASE_RETRY_BUDGET
            + self.requests // 10
            - (self.retries - self.throttled_retries)
        )
        return (
            attempt < MAX_ATTEMPTS
            and budget > 0
            and self._time.clock() < self._run_deadline
        )

    def may_retry_throttled(self, refusals: int) -> bool:
        """Return whether a request with this many 429s may be sent again: a 429 has no effect on
        the tenant.
        """
        now = self._time.clock()
        return now < self._run_deadline and (
            refusals < MAX_ATTEMPTS or now - self._throttled_since < self._patience
        )

    def check_time_limit(self) -> None:
        """Raise OverloadedError after the time limit of the run."""
        if self._time.clock() >= self._run_deadline:
            raise OverloadedError("the run exceeded its time limit")

    def _parse_retry_after(self, header: str | None) -> float:
        """Return the seconds of a Retry-After, at most two minutes; 0 if it is missing or
        absurd.
        """
        text = (header or "").strip()
        seconds = 0.0
        if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 16:  # noqa: PLR2004 - no number is longer
            seconds = float(text)
        else:
            with suppress(ValueError, TypeError, OverflowError):
                wait = parsedate_to_datetime(text) - self._time.now()
                seconds = wait.total_seconds()
        return min(seconds, MAX_WAIT) if 0 < seconds < _MAX_RETRY_AFTER else 0.0
