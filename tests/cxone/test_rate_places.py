"""Places and turns of a pacer: so many calls at once, one behind the other, whoever gives up waiting and wherever."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from random import Random

import pytest

from reconciler.cxone.transport.rate_limiter import RateLimiter
from reconciler.errors import OverloadedError
from tests.support.stepping_clock import jumping_time, run

RATE = 100.0


def pacer(places: int) -> RateLimiter:
    """Return a pacer on the running loop's clock."""
    return RateLimiter(RATE, places, jumping_time(Random(1)), math.inf)


class Crowd:
    """Calls of one pacer: when each went out, and how many are under way."""

    def __init__(self, places: int) -> None:
        self.clock = asyncio.get_running_loop().time
        self.pacer, self.places = pacer(places), places
        self.under_way = 0
        self.went: dict[int, float] = {}

    async def call(self, number: int, seconds: float, end: float = math.inf) -> None:
        """Make a call that takes so long."""
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
        """Return how many places can be had now."""
        await asyncio.sleep(10)
        found = 0
        try:
            async with asyncio.timeout(1):
                while True:
                    await self.pacer.acquire()
                    found += 1
        except TimeoutError:
            return found


@pytest.mark.parametrize("places", [1, 2, 5])
def test_who_gives_up_takes_no_place_and_nobody_s_turn(places: int) -> None:
    """Cancelled under way or in any wait: never more at once, in the order of coming, and all places come back."""

    async def crowd(chance: Random) -> None:
        one = Crowd(places)
        tasks = []
        for number in range(30):
            task = asyncio.create_task(one.call(number, chance.choice([0, 0.005, 0.3])))
            tasks.append(task)
            await asyncio.sleep(chance.choice([0, 0, 0.005, 0.1]))
            asyncio.get_running_loop().call_later(chance.choice([0, 0.01, 0.2, 60]), chance.choice(tasks).cancel)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(None), asyncio.CancelledError} >= {type(one) for one in found}
        assert sorted(one.went) == list(one.went)
        assert {number for number, said in enumerate(found) if said is None} <= set(one.went)
        assert places == await one.free()

    for seed in range(40):
        run(crowd(Random(seed)))


def test_time_without_a_place_is_no_credit() -> None:
    """The first in the line gives up at the moment when a place is free after ten seconds: those behind are spaced."""

    async def crowd() -> list[float]:
        one = Crowd(1)
        tasks = [asyncio.create_task(one.call(0, 10.0))]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(one.call(number, 0.0)) for number in range(1, 12)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(one.clock() + 10.0, tasks[1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert 1 not in one.went
        return [one.went[number] for number in range(2, 12)]

    assert [pytest.approx(1 / RATE, rel=0.01)] * 9 == [two - one for one, two in pairwise(run(crowd()))]


def test_a_429_holds_whoever_waits_and_whoever_comes() -> None:
    """Told of by another client meanwhile: nobody goes before it is over, and who has not so much time is told so."""

    async def crowd() -> tuple[list[float], list[object]]:
        one = Crowd(2)
        begin = one.clock()
        ends = [math.inf, math.inf, begin + 2.0, begin + 2.0, math.inf]
        tasks = [asyncio.create_task(one.call(number, 0.5, end)) for number, end in enumerate(ends)]
        await asyncio.sleep(0.2)
        one.pacer.pause(3.0)
        await asyncio.sleep(1.5)
        tasks.append(asyncio.create_task(one.call(5, 0.5)))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [one.went[number] - begin for number in sorted(one.went)], [type(said) for said in found]

    went, found = run(crowd())
    assert [True, True, False, False] == [moment < 0.2 for moment in went]
    assert min(went[2:]) >= 3.2
    assert [OverloadedError] * 2 == found[2:4]
