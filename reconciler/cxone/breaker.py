"""The circuit of an endpoint: while the tenant is away nobody waits for it, and one call asks now and then.

`outage` is the other kind: a command waits for the tenant to come back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from reconciler.errors import LaterError

if TYPE_CHECKING:
    from reconciler.cxone.pace import Time
    from reconciler.errors import ApiError

MOST_FAILURES: Final = 5
"""So many in a row open the circuit."""
_WINDOW: Final = 20
"""Or half of so many."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0


class Breaker:
    """Counts attempts without an answer, and 5xx, over a whole client; any good answer closes the circuit."""

    waits: Final = False
    """Whoever sent a probe is told how it failed."""

    def __init__(self, time: Time) -> None:
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
        if not self.away and (self._failures >= MOST_FAILURES or full):
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
            raise LaterError("the tenant does not answer; it is asked again soon", left)
        self._wait(min(2 * self._pause, _LONGEST_PAUSE))  # for all others, and for this one if nothing comes of it
        self.probes += 1
        return True

    def probed(self) -> None:
        """End a probe: what came of it was noted."""

    def _wait(self, pause: float) -> None:
        self._pause = pause
        self._until = self._time.clock() + pause * (0.75 + self._time.random() / 4)
