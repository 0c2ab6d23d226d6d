"""Several clients of one tenant: each has a share of the rate, and a 429 to one delays all."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from reconciler.targets.platform.transport.rate_control import RateControl
from reconciler.targets.platform.transport.rate_limiter import RateLimiter
from tests.support.rate_limited_tenant import lowered_rate
from tests.support.stepping_clock import run, stepping_time

LIMIT = 100.0


async def sent(pacer: RateLimiter, count: int) -> list[float]:
    """Return the send times of so many calls that arrived together."""
    clock = asyncio.get_running_loop().time

    async def call() -> float:
        await pacer.acquire()
        went = clock()
        pacer.release()
        return went

    return await asyncio.gather(*(call() for _ in range(count)))


def test_clients_with_shares_keep_the_rate_together() -> None:
    """A half and two quarters, all busy: in any period no more calls than one client would send."""

    async def all_of_them() -> list[float]:
        parts = (0.5, 0.25, 0.25)
        pacers = [
            RateLimiter(LIMIT, 1000, stepping_time(Random(1)), 900.0) for _ in parts
        ]
        for pacer, part in zip(pacers, parts, strict=True):
            pacer.set_share(part)
        actual = await asyncio.gather(
            *(
                sent(pacer, int(400 * part))
                for pacer, part in zip(pacers, parts, strict=True)
            )
        )
        return sorted(moment for selected in actual for moment in selected)

    moments = run(all_of_them())
    assert 400 == len(moments)
    assert 3.9 <= moments[-1] - moments[0] <= 4.1
    for start in range(0, 400, 7):
        for end in range(start + 3, 400):
            assert end - start <= (moments[end] - moments[start]) * LIMIT + 3


def test_a_share_can_grow_to_the_full_rate() -> None:
    """Also with a measured limit; the configured rate is never exceeded."""
    rate = RateControl(LIMIT)
    complete = RateControl(LIMIT)
    for part in (1 / 3, 1 / 7, 1.0):
        rate.set_share(part)
        assert pytest.approx(complete.rate_at(0.0) * part) == rate.rate_at(0.0)
    assert pytest.approx(complete.rate_at(0.0)) == rate.rate_at(1e6)
    rate = lowered_rate(LIMIT)
    learnt = rate.rate_at(2.0)
    rate.set_share(0.5)
    assert pytest.approx(learnt / 2) == rate.rate_at(2.0)


def test_a_429_to_one_client_delays_the_others() -> None:
    """They wait as long, and are not slower afterwards: their rate did not cause it."""

    async def two() -> tuple[list[float], float, float]:
        time = stepping_time(Random(1))
        item, candidate = (RateLimiter(LIMIT, 1000, time, 900.0) for _ in range(2))
        began = time.clock()
        item.on_throttle(began, "3")
        candidate.pause(item.pause_seconds)
        moments = [moment - began for moment in await sent(candidate, 100)]
        return moments, item.pause_seconds, candidate.pause_seconds

    moments, *stored_values = run(two())
    assert pytest.approx(3.0) == moments[0]
    assert 3.9 <= moments[-1] <= 4.0
    assert [0.0, 0.0] == stored_values
