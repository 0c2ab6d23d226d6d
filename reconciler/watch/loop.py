"""The loop of `cxroute watch`: round after round, never two at once, further apart while the tenant is away."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from reconciler.watch.cycle import CycleResult

MAX_BACKOFF: Final = 900.0  # seconds between two rounds that failures may lead to, where the interval is shorter
_JITTER: Final = 0.1
"""By which part an interval may be shorter or longer: many loops that began together do not stay together."""
_MIN_PAUSE: Final = 1.0  # seconds of rest behind a round that took longer than the interval
_MAX_CYCLE_SECONDS: Final = 1800.0
"""Seconds after which a round under way counts as stuck: twice what reading, and so writing, may take at the most."""
_MAX_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Interval:
    """How far apart rounds begin, in seconds."""

    seconds: float

    def next_delay(self, failures: int, chance: float) -> float:
        """Return from a round's begin to the next; `failures` in a row double it. `chance` is from 0 to 1."""
        longest = max(self.seconds, MAX_BACKOFF)
        return min(self.seconds * 2.0 ** min(failures, _MAX_DOUBLINGS), longest) * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(slots=True, kw_only=True)
class WatchLoop:
    """Makes rounds. clock: seconds, monotonic. sleep: waits, in seconds. random: a number in [0, 1)."""

    interval: Interval
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    failures: int = field(default=0, init=False)  # rounds in a row that strained the tenant
    _started_at: float = field(default=-math.inf, init=False)
    _due_at: float = field(default=math.inf, init=False)
    _is_running: bool = field(default=False, init=False)

    async def run(
        self,
        cycle: Callable[[], Awaitable[CycleResult]],
        on_result: Callable[[CycleResult, float], Awaitable[object]],
        should_stop: Callable[[], bool],
    ) -> CycleResult:
        """Run cycles until `should_stop`, and return the last; `on_result` also gets the seconds until the next."""
        while True:
            self._started_at, self._is_running = self.clock(), True
            result = await cycle()
            self.failures = self.failures + 1 if result.should_back_off else 0
            due = self._started_at + self.interval.next_delay(self.failures, self.random())
            self._due_at, self._is_running = max(due, self.clock() + _MIN_PAUSE), False
            await on_result(result, self._due_at - self.clock())
            if should_stop():
                return result
            await self.sleep(max(self._due_at - self.clock(), 0.0))

    @property
    def is_alive(self) -> bool:
        """Say whether rounds go on: one is under way that is not stuck, or the next is not long overdue."""
        now = self.clock()
        if self._is_running:
            return now - self._started_at <= max(3 * self.interval.seconds, _MAX_CYCLE_SECONDS)
        return now - self._due_at <= 2 * self.interval.seconds
