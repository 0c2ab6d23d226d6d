"""Long work in slices gives the same result, and the event loop runs meanwhile."""

from __future__ import annotations

import asyncio
import time

import pytest

from reconciler.targets.decide.slices import Steps, finish, in_slices


def test_the_event_loop_runs_between_slices() -> None:
    """A task that waits for its turn gets one many times while the work is in progress."""
    turns = asyncio.run(_count_turns(_busy_steps(200)))
    assert turns >= 20


async def _count_turns(work: Steps[int]) -> int:
    """Return how often another task ran until the work was done."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    assert await in_slices(work) == 200
    other.cancel()
    return turns


def _busy_steps(count: int) -> Steps[int]:
    """Work for half a millisecond in each step; return the number of steps."""
    for _ in range(count):
        end = time.monotonic() + 0.0005
        while time.monotonic() < end:
            pass
        yield
    return count


def test_both_ways_end_alike() -> None:
    """With the result, or with the error of the work."""
    assert finish(_busy_steps(3)) == 3
    assert asyncio.run(in_slices(_busy_steps(3))) == 3
    with pytest.raises(ValueError, match="step"):
        finish(_failing_steps())
    with pytest.raises(ValueError, match="step"):
        asyncio.run(in_slices(_failing_steps()))


def _failing_steps() -> Steps[int]:
    yield
    raise ValueError("in a step")
