"""The rate: the configured one on a tenant that allows it, and otherwise the tenant's limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from reconciler.targets.platform.transport.rate_control import RateControl
from reconciler.targets.platform.transport.rate_limiter import RateLimiter
from tests.support.rate_limited_tenant import LIMIT, create_rules, lowered_rate
from tests.support.stepping_clock import run, stepping_time


def test_a_configured_rate_that_the_tenant_allows_causes_no_429() -> None:
    """700 creates, at 98 % of the possible rate or more."""
    done = create_rules(LIMIT, 700)
    assert (0, 0) == (done.refused, done.failed())
    assert done.fraction() >= 0.98


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.7, 0.9, 0.95])
def test_a_lower_limit_is_learnt_from_429s(ratio: float) -> None:
    """With any configured rate: no create fails, and seven tenths of the limit are reached."""
    done = create_rules(LIMIT / ratio, 700)
    assert 0 == done.failed()
    assert 1 <= done.refused == done.retries <= 20
    assert done.fraction() >= 0.70


@pytest.mark.slow
@pytest.mark.parametrize("burst", [5, 50])
def test_a_tenant_with_an_unexpected_limit_fails_no_create(burst: int) -> None:
    """A smaller or larger bucket."""
    done = create_rules(LIMIT / 0.5, 600, burst=burst)
    assert 0 == done.failed()
    assert done.retries <= 20 + done.requests / 10


def test_a_slow_tenant_is_not_flooded() -> None:
    """Two a second with a configured rate of fifty: no create fails, and at most every third call
    is refused.
    """
    done = create_rules(50.0, 100, rate=2.0, burst=1)
    assert 0 == done.failed()
    assert done.refused <= done.requests / 3


def sent(moments: list[float], late: float) -> list[float]:
    """Return the send times of calls that arrived at these moments, with a configured rate of 100
    and late timers.
    """

    async def go() -> list[float]:
        usual = stepping_time(Random(1))
        clock = asyncio.get_running_loop().time
        pacer = RateLimiter(
            LIMIT,
            1000,
            replace(usual, sleep=lambda seconds: asyncio.sleep(seconds + late)),
            900.0,
        )
        start = clock()

        async def call(moment: float) -> float:
            await asyncio.sleep(moment)
            await pacer.acquire()
            went = clock() - start
            pacer.release()
            return went

        return await asyncio.gather(*(call(moment) for moment in moments))

    return run(go())


@pytest.mark.parametrize("late", [0.0, 0.004, 0.05])
def test_late_timers_do_not_add_up(late: float) -> None:
    """A call is due at its own time, however late the previous one was; delays are made up for."""
    assert 9.99 <= max(sent([0.0] * 1000, late)) <= 10.05 + late


def test_an_idle_time_is_not_made_up_for() -> None:
    """After a pause the calls are spaced as before: the tenant's bucket is reserved for jitter."""
    at = sorted(sent([0.0, *[0.2] * 10], 0.0))
    assert [pytest.approx(0.01, rel=0.01)] * 9 == [
        two - item for item, two in pairwise(at[1:])
    ]


def accept(rate: RateControl, count: int, start: float, end: float) -> None:
    """Record so many accepted calls, at even distances."""
    for number in range(count):
        rate.on_accepted(start + number * (end - start) / count)


def test_the_rate_is_the_configured_one_without_a_429() -> None:
    """A little below it, for late timers."""
    rate = RateControl(50.0)
    accept(rate, 1000, 0.0, 20.0)
    rate.resume_after_pause(20.0)
    assert pytest.approx(50.0, rel=0.01) == rate.rate_at(20.0)
    assert rate.rate_at(20.0) < 50.0


def test_the_rate_is_decreased_to_the_measured_one() -> None:
    """Ten seconds at 50, with 40 a second and a bucket of ten accepted: a tenth less than 40."""
    rate = RateControl(50.0)
    accept(rate, 410, 0.0, 10.0)
    rate.on_throttle(10.0)
    rate.resume_after_pause(11.0)
    assert pytest.approx(36.0) == rate.rate_at(11.0)


def test_the_rate_is_decreased_to_half_at_the_most() -> None:
    """Few accepted calls may be chance; ten of them may come from a full bucket."""
    rate = RateControl(50.0)
    accept(rate, 12, 0.0, 0.25)
    rate.on_throttle(0.25)
    rate.resume_after_pause(1.25)
    assert pytest.approx(24.9, rel=0.01) == rate.rate_at(1.25)


@pytest.mark.parametrize("refusals", [1, 9])
def test_one_pause_decreases_the_rate_once(refusals: int) -> None:
    """For any number of 429s, also late ones to calls from before the pause."""
    rate = RateControl(50.0)
    accept(rate, 50, 0.0, 1.0)
    for _ in range(refusals):
        rate.on_throttle(1.0)
    rate.resume_after_pause(2.0)
    decreased = rate.rate_at(2.0)
    rate.on_throttle(1.5)
    rate.resume_after_pause(2.5)
    assert pytest.approx(36.0, rel=0.01) == decreased
    assert decreased <= rate.rate_at(2.5)


def test_the_rate_has_a_floor() -> None:
    """One call a second, however many 429s follow accepted calls."""
    rate = RateControl(50.0)
    for second in range(20):
        rate.on_accepted(second)
        rate.on_throttle(second)
        rate.resume_after_pause(second + 1.0)
    assert 1.0 <= rate.rate_at(20.0) < 1.5


def test_a_window_without_an_accepted_call_keeps_the_rate() -> None:
    """The tenant refused every call, at any rate; the pause without a Retry-After grows with such
    windows.
    """
    rate = RateControl(50.0)
    for second in range(20):
        rate.on_throttle(second)
        rate.resume_after_pause(second + 1.0)
    assert pytest.approx(50.0, rel=0.01) == rate.rate_at(20.0)
    assert 20 == rate.empty_windows
    rate.on_accepted(20.0)
    assert 0 == rate.empty_windows


def test_the_rate_grows_linearly_up_to_the_configured_one() -> None:
    """Another client may have caused the limit: from nothing it takes two minutes."""
    rate = lowered_rate()
    item, two, three = (rate.rate_at(2.0 + seconds) for seconds in (0.0, 10.0, 20.0))
    assert pytest.approx(50.0 / 12, rel=0.01) == two - item
    assert pytest.approx(two - item) == three - two
    assert rate.rate_at(1e6) == RateControl(50.0).rate_at(0.0)
