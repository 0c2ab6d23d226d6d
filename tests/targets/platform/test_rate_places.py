"""Slots and order of a rate limiter: so many concurrent calls, in order, with cancellation at any
time.
"""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from random import Random

import pytest

from reconciler.core.errors import OverloadedError
from reconciler.targets.platform.transport.rate_limiter import RateLimiter
from tests.support.stepping_clock import run, stepping_time
from tests.tiers import size

RATE = 100.0


def pacer(places: int) -> RateLimiter:
    """Return a rate limiter on the running loop's clock."""
    return RateLimiter(RATE, places, stepping_time(Random(1)), math.inf)


class Crowd:
    """Calls of one rate limiter: their send times, and the number in progress."""

    def __init__(self, places: int) -> None:
        self.clock = asyncio.get_running_loop().time
        self.pacer, self.places = pacer(places), places
        self.under_way = 0
        self.went: dict[int, float] = {}

    async def call(self, number: int, seconds: float, end: float = math.inf) -> None:
        """Make a call of this duration."""
        await self.pacer.acquire(end)
        self.went[number] = self.clock()
        self.under_way += 1
        assert self.under_way <= self.places
        try:
            await asyncio.sleep(seconds)
        finally:
            self.under_way -= 1
            self.pacer.release()

    async def free(self) -> int:
        """Return the number of free slots."""
        await asyncio.sleep(10)
        actual = 0
        try:
            async with asyncio.timeout(1):
                while True:
                    await self.pacer.acquire()
                    actual += 1
        except TimeoutError:
            return actual


@pytest.mark.generated
@pytest.mark.parametrize("places", [1, 2, 5])
def test_a_cancelled_call_takes_no_slot_and_no_turn(places: int) -> None:
    """Cancelled in progress or in any wait: the limit and the order of arrival hold, and all slots
    are returned.
    """

    async def crowd(chance: Random) -> None:
        element = Crowd(places)
        tasks = []
        for number in range(30):
            task = asyncio.create_task(
                element.call(number, chance.choice([0, 0.005, 0.3]))
            )
            tasks.append(task)
            await asyncio.sleep(chance.choice([0, 0, 0.005, 0.1]))
            asyncio.get_running_loop().call_later(
                chance.choice([0, 0.01, 0.2, 60]), chance.choice(tasks).cancel
            )
        actual = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(None), asyncio.CancelledError} >= {type(item) for item in actual}
        assert sorted(element.went) == list(element.went)
        assert {number for number, text in enumerate(actual) if text is None} <= set(
            element.went
        )
        assert places == await element.free()

    for seed in range(size(fast=10, slow=40)):
        run(crowd(Random(seed)))


def test_time_without_a_free_slot_is_not_made_up_for() -> None:
    """The first waiting call is cancelled when a slot becomes free after ten seconds: later calls
    are spaced.
    """

    async def crowd() -> list[float]:
        element = Crowd(1)
        tasks = [asyncio.create_task(element.call(0, 10.0))]
        await asyncio.sleep(0)
        tasks += [
            asyncio.create_task(element.call(number, 0.0)) for number in range(1, 12)
        ]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(element.clock() + 10.0, tasks[1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert 1 not in element.went
        return [element.went[number] for number in range(2, 12)]

    assert [pytest.approx(1 / RATE, rel=0.01)] * 9 == [
        two - item for item, two in pairwise(run(crowd()))
    ]


def test_a_429_delays_waiting_and_new_calls() -> None:
    """Reported by another client: no call is sent before its end, and a call with less time
    fails.
    """

    async def crowd() -> tuple[list[float], list[object]]:
        item = Crowd(2)
        begin = item.clock()
        ends = [math.inf, math.inf, begin + 2.0, begin + 2.0, math.inf]
        tasks = [
            asyncio.create_task(item.call(number, 0.5, end))
            for number, end in enumerate(ends)
        ]
        await asyncio.sleep(0.2)
        item.pacer.pause(3.0)
        await asyncio.sleep(1.5)
        tasks.append(asyncio.create_task(item.call(5, 0.5)))
        actual = await asyncio.gather(*tasks, return_exceptions=True)
        return [item.went[number] - begin for number in sorted(item.went)], [
            type(text) for text in actual
        ]

    went, actual = run(crowd())
    assert [True, True, False, False] == [moment < 0.2 for moment in went]
    assert min(went[2:]) >= 3.2
    assert [OverloadedError] * 2 == actual[2:4]
