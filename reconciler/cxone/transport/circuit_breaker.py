"""The circuit of an endpoint: while the tenant is away nobody waits for it, and one call asks now and then.

`outage` is the other kind: a command waits for the tenant to come back.

The circuit: when a server is away, one request at a time asks whether it is back, and all others wait for that.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from reconciler.errors import ApiError, OverloadedError, RetryLaterError

if TYPE_CHECKING:
    from reconciler.cxone.transport.rate_limiter import TimeSource, WaitCallback


MOST_FAILURES: Final = 4
"""So many attempts in a row that got no answer, or a 5xx: whoever sent them, the server is away."""
_WAITS: Final = (2.0, 4.0, 8.0, 15.0)
"""Seconds before each probe, give or take a quarter; the last one from then on."""


class Outage:
    """Counts what fails in a row over a whole client; any good answer ends the count."""

    waits: Final = True
    """Whoever sent a probe goes on waiting when it fails."""

    def __init__(self, patience: float, time: TimeSource, tell: WaitCallback) -> None:
        """`patience` is for how many seconds a server that was there once is waited for; `tell` is told each wait."""
        self._patience, self._time, self._tell = patience, time, tell
        self._turn = asyncio.Lock()
        self._failures = 0
        self._pauses = 0
        self._since = 0.0
        self._there: set[str] = set()
        self._why = self._brief = ""
        self._end: ApiError | None = None
        self.probes = 0

    @property
    def away(self) -> bool:
        """Say whether the circuit is open."""
        return self._failures >= MOST_FAILURES

    def answered(self, host: str) -> None:
        """Note a good answer: whoever waits may go on."""
        self._there.add(host)
        self._failures = self._pauses = 0

    def refused(self, host: str, error: ApiError, brief: str) -> None:
        """Note a 5xx: it is a failure, but somebody is there to send it."""
        self._there.add(host)
        self.lost(host, error, brief)

    def lost(self, host: str, error: ApiError, brief: str) -> None:
        """Note an attempt without an answer. A host that never gave one is given up with the last of these."""
        self._failures += 1
        self._why, self._brief = str(error), brief
        if self._failures == MOST_FAILURES:
            self._since = self._time.clock()
        if self.away and host not in self._there:
            self.end(error)

    def end(self, error: ApiError) -> None:
        """Give up on this server for good: nobody else needs to try."""
        self._end = self._end or error

    @property
    def over(self) -> bool:
        """Say whether this client has given up on the server."""
        return self._end is not None

    def check(self) -> None:
        """Raise why this client has given up, if it has."""
        if self._end is not None:
            raise type(self._end)(f"{self._end}; giving up")

    async def enter(self) -> bool:
        """Wait until a request may be sent; returns whether it is the probe of a server that is away.

        A probe is to be `probed`: until then nobody else goes on.
        """
        while self.away:
            is_probe = False
            await self._turn.acquire()
            try:
                is_probe = await self._comes_to_probe()
            finally:
                if not is_probe:
                    self._turn.release()
            if is_probe:
                return True
        self.check()
        return False

    async def _comes_to_probe(self) -> bool:
        """Wait before a probe; there is none where somebody was answered meanwhile."""
        if not self.away:
            return False
        await self._pause()
        self.probes += 1
        return True

    def probed(self) -> None:
        """End a probe, whatever came of it."""
        self._turn.release()

    async def _pause(self) -> None:
        """Wait before a probe. Raises OverloadedError once patience is over, and at once to everybody after that."""
        self.check()
        left = self._since + self._patience - self._time.clock()
        if left <= 0:
            self.end(OverloadedError(f"{self._why}; waited {self._patience:g} seconds for it to come back"))
            self.check()
        wait = _WAITS[min(self._pauses, len(_WAITS) - 1)] * (0.75 + self._time.random() / 2)
        self._pauses += 1
        wait = min(wait, left)
        self._tell(self._brief, f"waiting for the tenant: {self._brief}, next attempt in {math.ceil(wait)} s", wait)
        await self._time.sleep(wait)


MOST_FAST_FAILURES: Final = 5
"""So many in a row open the circuit."""
_WINDOW: Final = 20
"""Or half of so many."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0


class Breaker:
    """Counts attempts without an answer, and 5xx, over a whole client; any good answer closes the circuit."""

    waits: Final = False
    """Whoever sent a probe is told how it failed."""

    def __init__(self, time: TimeSource) -> None:
        self._time = time
        self._failures = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._pause = 0.0
        self._until = 0.0
        self.opened = 0
        """How often the circuit opened."""
        self.probes = 0

    @property
    def away(self) -> bool:
        """Say whether the circuit is open."""
        return self._pause > 0

    @property
    def over(self) -> bool:
        """Say whether a request that failed is not to be tried again."""
        return self.away

    def answered(self, host: str) -> None:
        """Note a good answer: the circuit closes."""
        del host
        if self.away:
            self._recent.clear()
        self._failures, self._pause = 0, 0.0
        self._recent.append(True)

    def refused(self, host: str, error: ApiError, brief: str) -> None:
        """Note a 5xx."""
        self.lost(host, error, brief)

    def lost(self, host: str, error: ApiError, brief: str) -> None:
        """Note an attempt without an answer."""
        del host, error, brief
        self._failures += 1
        self._recent.append(False)
        full = len(self._recent) == _WINDOW and 2 * self._recent.count(False) >= _WINDOW
        if not self.away and (self._failures >= MOST_FAST_FAILURES or full):
            self.opened += 1
            self._wait(_FIRST_PAUSE)

    def end(self, error: ApiError) -> None:
        """Nobody is given up for good here: whoever is not trusted now may have a new certificate tomorrow."""

    async def enter(self) -> bool:
        """Let a request through at once; returns whether it is the probe. Raises LaterError while that is not due."""
        if not self.away:
            return False
        left = self._until - self._time.clock()
        if left > 0:
            raise RetryLaterError("the tenant does not answer; it is asked again soon", left)
        self._wait(min(2 * self._pause, _LONGEST_PAUSE))  # for all others, and for this one if nothing comes of it
        self.probes += 1
        return True

    def probed(self) -> None:
        """End a probe: what came of it was noted."""

    def _wait(self, pause: float) -> None:
        self._pause = pause
        self._until = self._time.clock() + pause * (0.75 + self._time.random() / 4)
