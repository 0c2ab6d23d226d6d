"""Rate limit of a client: the configured rate, reduced after 429s, Retry-After, and the retry budget (invariants R21).

The model of a tenant is a bucket of permits that fills at its limit: a request takes one, or is refused. Other clients
take permits as well, so a 429 need not come from this client's rate. The scheme is that of TCP congestion control, with
a request for a packet, a 429 for a loss, and the time between two Retry-After waits (a window) for a round trip:

- At most one decrease per Retry-After, however many 429s led to it (one per congestion event: RFC 9438, section 4.6).
- A decrease goes to the measured limit, not to a fixed part of the rate (TCP Westwood: Mascolo et al., MobiCom 2001).
  The measured limit is the highest of the last windows (BBR: Cardwell et al., ACM Queue 14(5), 2016).
- A 429 that this limit does not explain is not congestion (BBR, too): if most windows end earlier than the limit
  would have ended them, the rate doubles instead, up to the configured one.
- After a decrease the rate grows with the cube of the time (CUBIC, RFC 9438, section 4.2): hardly at first, because
  each 429 costs a Retry-After; twofold after a minute, because the tenant's other clients may have stopped.
- A window without an accepted request does not measure the limit. It halves the rate, down to a floor, and each
  accepted request doubles it again (slow start: RFC 5681, section 3.1).
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from reconciler.errors import OverloadedError

_BUCKET: Final = 10  # guess of the burst that a tenant accepts
_RATE_MARGIN: Final = 0.995  # of the configured rate: late timers cause bursts
_JITTER: Final = 3  # permits of a tenant's bucket that stay unused
_LIMIT_MARGIN: Final = 0.99  # of the measured limit
_LINEAR_GROWTH: Final = 0.001  # share of the measured rate that is added each second
_DOUBLING_SECONDS: Final = 60.0  # seconds after which the cube alone has doubled that rate
_MAX_DECREASE: Final = 0.25  # share of the rate that one decrease leaves: a short window shows too little
_MIN_RATE: Final = 1.0  # minimum requests a second
_FLOOR: Final = 4.0  # requests a second below which slow start does not begin
_MAX_WINDOWS: Final = 8
_AGREEMENT: Final = 0.95  # share of the highest limit from which windows agree with it
_MIN_AGREEING_WINDOWS: Final = 3  # if no window was long enough to empty the bucket
_MAX_RECENT: Final = 1024


class _Window(NamedTuple):
    """Requests accepted between two waits, and the lowest limit a second that explains them."""

    accepted: int
    limit: float


class AdaptiveRate:
    """Requests a second, learnt from responses. All times are seconds of one monotonic clock."""

    def __init__(self, configured_rate: float) -> None:
        """`configured_rate` is the environment's; the rate never exceeds it."""
        self._max_rate = self._base_rate = configured_rate * _RATE_MARGIN
        self._rate_changed_at = self._window_start = -math.inf
        self._count = 0
        self._recent_sends: deque[float] = deque(maxlen=_MAX_RECENT)
        self._throttled_sends: list[float] = []
        self._windows: deque[_Window] = deque(maxlen=_MAX_WINDOWS)
        self._previous_wait = math.inf  # seconds of the wait before this window, which filled the bucket
        self._lowered = False
        self.empty_windows = 0  # windows in a row without an accepted request, less requests accepted since
        self.spare_permits = 0  # burst that the tenant likely accepts after a wait
        self._share = 1.0

    def set_share(self, share: float) -> None:
        """Use this share of the configured and of the measured rate from now on."""
        self._max_rate *= share / self._share
        self._base_rate *= share / self._share
        self._share = share

    def rate_at(self, now: float) -> float:
        """Return the current rate."""
        rate = self._grown_rate(now)
        return max(rate / 2**self.empty_windows, min(rate, _FLOOR)) if self.empty_windows else rate

    def _grown_rate(self, now: float) -> float:
        if self._base_rate == self._max_rate:
            return self._max_rate
        seconds = now - self._rate_changed_at
        growth = 1 + _LINEAR_GROWTH * seconds + (seconds / _DOUBLING_SECONDS) ** 3
        return min(self._max_rate, self._base_rate * growth)

    def on_idle(self, seconds: float, now: float) -> None:
        """Record an idle time; a full bucket starts a new window."""
        if not self._throttled_sends and seconds * self.rate_at(now) / 2 >= min(self._count, _BUCKET):
            self._start_window(now)

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted request."""
        if self.empty_windows:  # at so slow a rate the bucket stays full: restart the count
            self.empty_windows -= 1
            self._count = 0
        if sent_at >= self._window_start:
            if not self._count:
                self._window_start = sent_at
            self._count += 1
            self._recent_sends.append(sent_at)

    def on_throttle(self, sent_at: float) -> None:
        """Record a 429, unless its request was sent before the last change of the rate."""
        if sent_at >= self._rate_changed_at:
            self._throttled_sends.append(sent_at)

    def resume_after_wait(self, now: float) -> bool:
        """Return whether a wait after 429s ends now; if so, set a new rate."""
        if not self._throttled_sends:
            return False
        used = self._grown_rate(max(self._throttled_sends))
        if self._count:
            self._adjust_rate(used)
        else:
            self._base_rate, self.spare_permits = used, self.spare_permits // 2
            self.empty_windows = min(self.empty_windows + 1, _MAX_WINDOWS)
        self._previous_wait, self._rate_changed_at = now - max(self._throttled_sends), now
        self._start_window(now)
        return True

    def _start_window(self, now: float) -> None:
        self._window_start, self._count = now, 0
        self._recent_sends.clear()
        self._throttled_sends.clear()

    def _adjust_rate(self, used: float) -> None:
        """Set the rate after `used`: to the limit of most windows; if most have none, to twice as much."""
        last = max(self._throttled_sends)
        seconds = last - self._window_start
        count = self._count - sum(sent_at > last for sent_at in self._recent_sends) + 1
        # The lowest limit that explains the count: with a full bucket, or with the permits of the last wait.
        from_bucket = (count - _BUCKET) / seconds if seconds > 0 else 0.0
        since_wait = self._previous_wait + seconds
        self._windows.append(_Window(count - 1, max(from_bucket, count / since_wait if since_wait > 0 else 0.0)))
        highest = max(window.limit for window in self._windows)
        agreeing = [window.limit for window in self._windows if window.limit >= highest * _AGREEMENT]
        is_enough = count > _BUCKET or len(agreeing) >= _MIN_AGREEING_WINDOWS
        before, self._lowered = self._lowered, is_enough and 2 * len(agreeing) > len(self._windows)
        if self._lowered:
            limit = min(max(agreeing[-1], used * _MAX_DECREASE), used)
            self._base_rate = max(limit * _LIMIT_MARGIN, min(_MIN_RATE, self._max_rate))
            self.spare_permits = max(int(count - limit * seconds) - _JITTER, 0)
        elif before and count <= _BUCKET:  # the concurrent requests were too many
            self._base_rate, self.spare_permits = used, 0
        else:
            self._base_rate = min(2 * used, self._max_rate)
            short = sum(window.accepted for window in self._windows) < _BUCKET * len(self._windows)
            self.spare_permits = min(self.spare_permits + 2, _BUCKET - _JITTER) if short else 0


MAX_ATTEMPTS: Final = 4
MAX_WAIT: Final = 120.0
_BASE_RETRY_BUDGET: Final = 20
_FIRST_BACKOFF: Final = 0.5
_MAX_RETRY_AFTER: Final = 86_400.0
_MAX_CATCH_UP: Final = 8  # late calls that may be sent in a burst; a tenant likely accepts ten
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
    """Spaces the calls of one client: calls a second, concurrent calls, and none during a Retry-After."""

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
        # A tenant that answers only 429 is retried for `patience` seconds, and through four 429s at the least.
        self._time, self._patience, self.on_wait = time, patience, on_wait
        self._rate = AdaptiveRate(rate)
        self._next_send_at = self._paused_until = self._resumed_at = -math.inf
        self._queue_lock = asyncio.Lock()
        self._free_slots = concurrency
        self._slot_released = asyncio.Event()
        self._slot_free_since = -math.inf  # when a slot became free after a time without one
        self._waiting_calls = 0
        self._run_deadline = time.clock() + run_seconds
        self.requests = self.retries = 0
        self.throttled_retries = 0  # retries after a 429, which do not use the budget
        self._throttled_since = math.inf  # start of the current series of 429s
        self.throttled = 0  # number of 429s
        self._catch_up_calls = float(_MAX_CATCH_UP)

    def set_share(self, share: float) -> None:
        """Use this share of the tenant's rate from now on, above 0 and at most 1; other clients use the rest."""
        self._rate.set_share(share)
        self._catch_up_calls = _MAX_CATCH_UP * share

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds: another client received a 429."""
        self._paused_until = max(self._paused_until, self._time.clock() + seconds)

    def restart_time_limit(self, seconds: float) -> None:
        """Restart the time limit: the user may have taken long to confirm."""
        self._run_deadline = self._time.clock() + seconds

    async def acquire(self, deadline: float = math.inf) -> float:
        """Wait for a concurrency slot and a rate permit; return the time. The caller must call `release`."""
        # Raises OverloadedError as soon as a 429 is known to hold all calls beyond `deadline`.
        arrived_at = now = self._time.clock()
        if self._waiting_calls or not self._free_slots or now < self._due_at():
            self._waiting_calls += 1
            try:
                async with self._queue_lock:
                    while not self._free_slots:
                        self._slot_released.clear()
                        await self._slot_released.wait()
                    # From this time on, only the permit was missing.
                    arrived_at, now = max(arrived_at, self._slot_free_since), await self._wait_until_due(deadline)
            finally:
                self._waiting_calls -= 1
        self._free_slots -= 1
        self._schedule_next(arrived_at, now)
        return now

    def release(self) -> None:
        """Release the concurrency slot."""
        if not self._free_slots:
            self._slot_free_since = self._time.clock()
        self._free_slots += 1
        self._slot_released.set()

    def _due_at(self) -> float:
        return max(self._next_send_at, self._paused_until) - _TIMER_TOLERANCE

    async def _wait_until_due(self, end: float) -> float:
        """Wait until a call may be sent. One call waits at a time, so a 429 during the wait delays all later calls."""
        while (now := self._time.clock()) < self._due_at():
            if self._paused_until > end:
                raise OverloadedError("the tenant limits the rate (429) for longer than the remaining time")
            await self._time.sleep(max(self._next_send_at, self._paused_until) - now)
        return now

    def _schedule_next(self, arrived_at: float, now: float) -> None:
        # By absolute deadlines (GCRA). Calls that waited may follow in a short burst after a late timer, but not after
        # an idle time: the rest of the tenant's bucket is reserved for jitter and wrong guesses.
        resumed = self._rate.resume_after_wait(now)
        interval = 1.0 / self._rate.rate_at(now)
        if resumed:
            # The wait filled the tenant's bucket: some of the waiting calls may be sent in a burst.
            at_once = min(self._rate.spare_permits, self._catch_up_calls)
            self._next_send_at, self._resumed_at = now - at_once * interval, now
        self._rate.on_idle(arrived_at - self._next_send_at, now)
        if arrived_at > self._resumed_at:
            self._next_send_at = max(self._next_send_at, arrived_at)
        self._next_send_at = max(self._next_send_at, now - self._catch_up_calls * interval) + interval

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted call."""
        self._throttled_since = math.inf
        self._rate.on_accepted(sent_at)

    def on_throttle(self, sent_at: float, header: str | None) -> None:
        """Record a 429 and its Retry-After: every call of this client waits, and is slower from then on."""
        self.throttled += 1
        self._throttled_since = min(self._throttled_since, self._time.clock())
        self._rate.on_throttle(sent_at)
        seconds = self._parse_retry_after(header) or self.backoff(max(self._rate.empty_windows, 1))  # a guess
        self.pause(seconds)
        self.on_wait("429", f"the tenant limits the rate (429): next call in {math.ceil(seconds)} s", seconds)

    def on_retry_after(self, header: str | None, failure_summary: str) -> None:
        """Pause every call for the Retry-After of a failure, if it has one."""
        if seconds := self._parse_retry_after(header):
            self.pause(seconds)
            text = f"waiting for the tenant: {failure_summary}, which asks for {math.ceil(self.pause_seconds)} s"
            self.on_wait(failure_summary, text, self.pause_seconds)

    @property
    def pause_seconds(self) -> float:
        """Return the remaining seconds of a Retry-After."""
        return max(self._paused_until - self._time.clock(), 0.0)

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait after this many attempts: exponential, with full jitter."""
        return self._time.random() * min(_FIRST_BACKOFF * 2.0**attempt, 30.0)

    def may_retry(self, attempt: int) -> bool:
        """Return whether a retry is allowed by attempts, retry budget and time limit."""
        budget = _BASE_RETRY_BUDGET + self.requests // 10 - (self.retries - self.throttled_retries)
        return attempt < MAX_ATTEMPTS and budget > 0 and self._time.clock() < self._run_deadline

    def may_retry_throttled(self, refusals: int) -> bool:
        """Return whether a request with this many 429s may be sent again: a 429 has no effect on the tenant."""
        now = self._time.clock()
        return now < self._run_deadline and (refusals < MAX_ATTEMPTS or now - self._throttled_since < self._patience)

    def check_time_limit(self) -> None:
        """Raise OverloadedError after the time limit of the run."""
        if self._time.clock() >= self._run_deadline:
            raise OverloadedError("the run exceeded its time limit")

    def _parse_retry_after(self, header: str | None) -> float:
        """Return the seconds of a Retry-After, at most two minutes; 0 if it is missing or absurd."""
        text, seconds = (header or "").strip(), 0.0
        if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 16:  # noqa: PLR2004 - no number is longer
            seconds = float(text)
        else:
            with suppress(ValueError, TypeError, OverflowError):
                seconds = (parsedate_to_datetime(text) - self._time.now()).total_seconds()
        return min(seconds, MAX_WAIT) if 0 < seconds < _MAX_RETRY_AFTER else 0.0
