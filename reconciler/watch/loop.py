"""The loop of `cxroute watch`: round after round, never two at once, further apart while the tenant is away."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.watch.cycle import Round


FURTHEST: Final = 900.0
"""Seconds between two rounds that failures may lead to, where the interval is shorter."""
_JITTER: Final = 0.1
"""By which part an interval may be shorter or longer: many loops that began together do not stay together."""
_SHORTEST: Final = 1.0
"""Seconds of rest behind a round that took longer than the interval."""
_LONGEST_ROUND: Final = 1800.0
"""Seconds after which a round under way counts as stuck: twice what reading, and so writing, may take at the most."""
_MOST_DOUBLED: Final = 20


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How far apart rounds begin, in seconds."""

    every: float

    def interval(self, failures: int, chance: float) -> float:
        """Return from a round's begin to the next; `failures` in a row double it. `chance` is from 0 to 1."""
        longest = max(self.every, FURTHEST)
        return min(self.every * 2.0 ** min(failures, _MOST_DOUBLED), longest) * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(slots=True, kw_only=True)
class Loop:
    """Makes rounds. clock: seconds, monotonic. sleep: waits, in seconds. random: a number in [0, 1)."""

    rhythm: Rhythm
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    failures: int = field(default=0, init=False)
    """Rounds in a row that strained the tenant."""
    _began: float = field(default=-math.inf, init=False)
    _due: float = field(default=math.inf, init=False)
    _under_way: bool = field(default=False, init=False)

    async def run(
        self,
        one: Callable[[], Awaitable[Round]],
        told: Callable[[Round, float], Awaitable[object]],
        over: Callable[[], bool],
    ) -> Round:
        """Make rounds, whatever becomes of them, until one is `over`; return that one.

        `told` is handed each, and in how many seconds the next is. What `told` or `sleep` raise ends the loop, too.
        """
        while True:
            self._began, self._under_way = self.clock(), True
            made = await one()
            self.failures = self.failures + 1 if made.strains else 0
            due = self._began + self.rhythm.interval(self.failures, self.random())
            self._due, self._under_way = max(due, self.clock() + _SHORTEST), False
            await told(made, self._due - self.clock())
            if over():
                return made
            await self.sleep(max(self._due - self.clock(), 0.0))

    @property
    def alive(self) -> bool:
        """Say whether rounds go on: one is under way that is not stuck, or the next is not long overdue."""
        now = self.clock()
        if self._under_way:
            return now - self._began <= max(3 * self.rhythm.every, _LONGEST_ROUND)
        return now - self._due <= 2 * self.rhythm.every
