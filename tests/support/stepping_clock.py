"""Event loops whose clock steps to the next timer: sleeps overlap as usual, but take no time.

`run` knows no outside events. `run_with_sockets` also serves sockets within this process: its clock
steps once no data are under way, so that a time limit ends after its seconds of this clock, however
busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from reconciler.targets.platform.transport.rate_limiter import REAL_TIME, TimeSource
from tests.support.fake_clock import START

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Does not wait for outside events: it moves its clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Move the clock."""
        assert timeout is not None, "all tasks wait, and no timer is set"
        self.now += max(timeout, 0.0)
        return []


_UNDER_WAY = 0.005
"""Seconds to wait for data before the clock steps: a write to a loopback socket can be read at
once."""


class _SocketSelector(selectors.DefaultSelector):
    """Returns outside events, and moves its clock instead of waiting where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the outside events, or move the clock."""
        if timeout is None:
            return super().select()
        actual = super().select(min(timeout, _UNDER_WAY))
        if not actual:
            self.now += max(timeout, 0.0)
        return actual


class SteppingLoop(asyncio.SelectorEventLoop):
    """A loop with its own clock, which starts at 1000."""

    def __init__(self, selector: _Selector | _SocketSelector | None = None) -> None:
        self._stepping = selector or _Selector()
        super().__init__(self._stepping)

    def time(self) -> float:
        """Return the seconds of this loop's clock."""
        return self._stepping.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a stepping clock."""
    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        return runner.run(main)


def run_with_sockets(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that talks to sockets of this process to its end, on a stepping clock."""
    with asyncio.Runner(loop_factory=lambda: SteppingLoop(_SocketSelector())) as runner:
        return runner.run(main)


def stepping_time(random: Random) -> TimeSource:
    """Return the time source for a client, by the clock of the running loop."""
    clock = asyncio.get_running_loop().time
    start = clock()
    return replace(
        REAL_TIME,
        clock=clock,
        random=random.random,
        now=lambda: START + timedelta(seconds=clock() - start),
    )
