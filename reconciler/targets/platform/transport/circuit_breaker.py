"""Circuit breakers of a client: they count failures in a row, and stop requests while the server is
unavailable.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Final, NamedTuple

from reconciler.core.errors import ApiError, OverloadedError, RetryLaterError
from reconciler.targets.platform.transport.rate_limiter import RateLimiter, TimeSource

MAX_FAILURES: Final = (
    4  # consecutive failures of any requests that open the circuit of a command
)
MAX_FAST_FAILURES: Final = (
    5  # consecutive failures that open the circuit of the endpoint
)
# seconds before each probe, plus or minus a quarter; the last one repeats
_WAITS: Final = (
    2.0,
    4.0,
    8.0,
    15.0,
)
_WINDOW: Final = (
    20  # half of this many attempts, failed, open the circuit of the endpoint too
)
_FIRST_PAUSE: Final = 1.0
_MAX_PAUSE: Final = 5.0


class Cause(Enum):
    """Why an attempt failed."""

    NO_ANSWER = auto()
    ERROR_STATUS = auto()
    UNTRUSTED = auto()
    THROTTLED = auto()  # a 429; the circuit does not count it
    UNUSABLE = auto()  # the body is not JSON; the circuit does not count it


class FailedAttempt(NamedTuple):
    """A request without a usable response.

    It may be repeated if it was not executed; `brief` is not the server's.
    """

    host: str
    error: ApiError
    brief: str
    cause: Cause
    retry_after: str | None = None


class WaitingBreaker:
    """For commands: one request at a time probes an unavailable server, while all others wait for
    the outcome.
    """

    def __init__(
        self,
        patience: float,
        time: TimeSource,
        rate_limiter: RateLimiter,
    ) -> None:
        """`patience` is the seconds to wait for a server that answered once; `rate_limiter` reports
        each wait.
        """
        self._patience = patience
        self._time = time
        self._rate_limiter = rate_limiter
        self._probe_lock = asyncio.Lock()
        self._failures = self._pauses = 0
        self._since = 0.0
        self._answering: set[str] = set()
        self._error_text = self._brief = ""
        self._final_error: ApiError | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the server counts as unavailable."""
        return self._failures >= MAX_FAILURES

    @property
    def gave_up(self) -> bool:
        """Return whether this client has given up on the server."""
        return self._final_error is not None

    def record_answer(self, host: str, /) -> None:
        """Record a good answer: waiting requests may go on."""
        self._answering.add(host)
        self._failures = self._pauses = 0

    def record_failure(self, attempt: FailedAttempt, /) -> None:
        """Record a failure.

        Gives up on a server that never answered, and on one without a valid certificate.
        """
        if attempt.cause is Cause.ERROR_STATUS:  # the server is reachable
            self._answering.add(attempt.host)
            self._rate_limiter.on_retry_after(attempt.retry_after, attempt.brief)
        self._failures += 1
        self._error_text = str(attempt.error)
        self._brief = attempt.brief
        if self._failures == MAX_FAILURES:
            self._since = self._time.clock()
        never_answered = self.is_open and attempt.host not in self._answering
        if never_answered or attempt.cause is Cause.UNTRUSTED:
            self._final_error = self._final_error or attempt.error

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[bool]:
        """Wait until a request may be sent; the value is whether it is a probe, during which no
        other is admitted.
        """
        while self.is_open:
            async with self._probe_lock:
                if self.is_open:  # no response arrived during the wait for the lock
                    await self._pause()
                    yield True
                    return
        self._raise_if_gave_up()
        yield False

    def _raise_if_gave_up(self) -> None:
        if self._final_error is not None:
            raise type(self._final_error)(f"{self._final_error}; giving up")

    async def _pause(self) -> None:
        """Wait before a probe.

        Raises OverloadedError once patience is over, and for each request after that.
        """
        remaining = self._since + self._patience - self._time.clock()
        if remaining <= 0:
            text = f"{self._error_text}; waited {self._patience:g} seconds for it to recover"
            self._final_error = self._final_error or OverloadedError(text)
        self._raise_if_gave_up()
        wait = min(
            _WAITS[min(self._pauses, len(_WAITS) - 1)]
            * (0.75 + self._time.random() / 2),
            remaining,
        )
        self._pauses += 1
        text = f"waiting for the tenant: {self._brief}, next attempt in {math.ceil(wait)} s"
        self._rate_limiter.on_wait(self._brief, text, wait)
        await self._time.sleep(wait)


class FailFastBreaker:
    """For the endpoint: refuses requests while the server is unavailable, apart from probes at
    growing intervals.
    """

    def __init__(self, time: TimeSource) -> None:
        self._time = time
        self._failures = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._pause = self._until = 0.0
        self.opened = 0  # times that the circuit opened

    @property
    def is_open(self) -> bool:
        """Return whether the server counts as unavailable."""
        return self._pause > 0

    @property
    def gave_up(self) -> bool:
        """Return whether failed requests are not repeated; never permanently: a certificate may be
        renewed.
        """
        return self.is_open

    def record_answer(self, _host: str, /) -> None:
        """Record a good answer: the circuit closes."""
        if self.is_open:
            self._recent.clear()
        self._failures = 0
        self._pause = 0.0
        self._recent.append(True)

    def record_failure(self, _attempt: FailedAttempt, /) -> None:
        """Record a failed attempt."""
        self._failures += 1
        self._recent.append(False)
        is_window_full = (
            len(self._recent) == _WINDOW and 2 * self._recent.count(False) >= _WINDOW
        )
        if not self.is_open and (self._failures >= MAX_FAST_FAILURES or is_window_full):
            self.opened += 1
            self._wait(_FIRST_PAUSE)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[bool]:
        """Admit a request, without a wait; the value is whether it is a probe.

        Raises RetryLaterError while the circuit is open and no probe is due.
        """
        if not self.is_open:
            yield False
            return
        remaining = self._until - self._time.clock()
        if remaining > 0:
            raise RetryLaterError(
                "the tenant does not answer; the next attempt follows soon", remaining
            )
        # For all others, and for this one if the probe fails.
        self._wait(min(2 * self._pause, _MAX_PAUSE))
        yield True

    def _wait(self, pause: float) -> None:
        self._pause = pause
        now = self._time.clock()
        jitter = 0.75 + self._time.random() / 4
        self._until = now + pause * jitter


CircuitBreaker = WaitingBreaker | FailFastBreaker
"""It decides whether requests of a client may be sent, from the outcome of earlier ones."""
