"""An event loop whose clock jumps to whatever is next: sleeps overlap as they do in life, and take no time."""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.cxone.transport.rate_limiter import REAL_TIME
from tests.support.fake_clock import START

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from random import Random

    from reconciler.cxone.transport.rate_limiter import TimeSource

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Waits for nothing from outside: the time that it would have waited has gone by when it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Move the clock on."""
        assert timeout is not None, "everybody waits for something that will never be"
        self.now += max(timeout, 0.0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own, which begins at 1000."""

    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds of this loop's clock."""
        return self._jumping.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a jumping clock."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


def jumping_time(random: Random) -> TimeSource:
    """Return what a client takes from the world, by the clock of the running loop."""
    clock = asyncio.get_running_loop().time
    start = clock()
    return replace(REAL_TIME, clock=clock, random=random.random, now=lambda: START + timedelta(seconds=clock() - start))
