"""The circuit: when a server is away, one request at a time asks whether it is back, and all others wait for that."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from reconciler.errors import OverloadedError

if TYPE_CHECKING:
    from reconciler.cxone.pace import Tell, Time
    from reconciler.errors import ApiError

MOST_FAILURES: Final = 4
"""So many attempts in a row that got no answer, or a 5xx: whoever sent them, the server is away."""
_WAITS: Final = (2.0, 4.0, 8.0, 15.0)
"""Seconds before each probe, give or take a quarter; the last one from then on."""


class Outage:
    """Counts what fails in a row over a whole client; any good answer ends the count."""

    waits: Final = True
    """Whoever sent a probe goes on waiting when it fails."""

    def __init__(self, patience: float, time: Time, tell: Tell) -> None:
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
