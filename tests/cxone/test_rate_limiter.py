"""The rate: the configured one on a tenant that allows it, and otherwise the tenant's limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from reconciler.cxone.transport.rate_control import RateControl
from reconciler.cxone.transport.rate_limiter import RateLimiter
from tests.support.rate_limited_tenant import LIMIT, create_rules, lowered_rate
from tests.support.stepping_clock import run, stepping_time

Odds = Callable[[float], float]

AT_ONCE = (0.9, 0.95)
"""Shares of the configured rate: limits that the first 429s show. Others cost several, and so a longer run."""


def test_a_configured_rate_that_the_tenant_allows_causes_no_429() -> None:
    """A thousand creates, at 98 % of the possible rate or more."""
    done = create_rules(LIMIT, 1000)
    assert (0, 0) == (done.refused, done.failed())
    assert done.fraction() >= 0.98


@pytest.mark.parametrize("ratio", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, *AT_ONCE])
def test_a_lower_limit_is_learnt_from_429s(ratio: float) -> None:
    """With any configured rate: no create fails, the retry budget holds, most of the limit is reached.

    Each 429 costs a second, a tenth of a thousand creates.
    """
    done = create_rules(LIMIT / ratio, 1000 if ratio in AT_ONCE else 3000)
    assert 0 == done.failed()
    assert 1 <= done.refused == done.retries <= 20
    assert done.fraction() >= (0.80 if ratio in AT_ONCE else 0.85)


@pytest.mark.parametrize("ratio", [0.5, 0.6, 0.7])
def test_a_short_run_pays_for_its_429s(ratio: float) -> None:
    """A thousand creates take ten seconds at best: the 429s that show the limit leave four fifths of it."""
    done = create_rules(LIMIT / ratio, 1000)
    assert 0 == done.failed()
    assert 1 <= done.refused == done.retries <= 20
    assert done.fraction() >= 0.80


@pytest.mark.parametrize("burst", [5, 50])
@pytest.mark.parametrize("retry_after", ["seconds", "date"])
def test_a_tenant_with_an_unexpected_limit_fails_no_create(burst: int, retry_after: str) -> None:
    """A smaller or larger bucket, a Retry-After with a date."""
    done = create_rules(LIMIT / 0.5, 600, burst=burst, retry_after=retry_after)
    assert 0 == done.failed()
    assert done.retries <= 20 + done.requests / 10


def test_a_slow_tenant_is_not_flooded() -> None:
    """Two a second with a configured rate of fifty: the concurrent calls are refused once, and then the rate fits."""
    done = create_rules(50.0, 100, rate=2.0, burst=1)
    assert 0 == done.failed()
    assert done.retries <= 20 + done.requests / 10


def sent(moments: list[float], late: float) -> list[float]:
    """Return the send times of calls that arrived at these moments, with a configured rate of 100 and late timers."""

    async def go() -> list[float]:
        usual, clock = stepping_time(Random(1)), asyncio.get_running_loop().time
        pacer = RateLimiter(LIMIT, 1000, replace(usual, sleep=lambda seconds: asyncio.sleep(seconds + late)), 900.0)
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
    assert [pytest.approx(0.01, rel=0.01)] * 9 == [two - one for one, two in pairwise(at[1:])]


def test_the_rate_is_the_configured_one_without_a_429() -> None:
    """A little below it, for late timers."""
    rate = RateControl(50.0)
    for number in range(1000):
        rate.on_sent(number / 50)
        rate.on_accepted(number / 50)
    assert not rate.resume_after_pause(20.0)
    assert pytest.approx(50.0, rel=0.01) == rate.rate_at(20.0)
    assert rate.rate_at(20.0) < 50.0


def test_a_limit_is_measured_from_the_accepted_requests() -> None:
    """Ten seconds at 50, with 40 a second and the bucket accepted: 40, and a little below it."""
    rate = RateControl(50.0)
    for number in range(411):
        rate.on_sent(number * 10 / 411)
        rate.on_accepted(number * 10 / 411)
    rate.on_throttle(10.0, 10.0)
    assert rate.resume_after_pause(11.0)
    assert 38.0 <= rate.rate_at(11.0) <= 40.0


@pytest.mark.parametrize(("pause", "fresh"), [(0.13, True), (0.05, False)])
def test_permits_from_a_pause_are_not_counted_twice(pause: float, fresh: bool) -> None:  # noqa: FBT001 - a parameter
    """Five reads, a pause that returns five permits, then writes: the writes show the limit."""
    rate = RateControl(125.0)
    for number in range(5):
        rate.on_sent(number / 125)
        rate.on_accepted(number / 125)
    rate.on_idle(pause, began := 0.04 + pause)
    for number in range(50):
        rate.on_sent(began + number / 125)
        rate.on_accepted(began + number / 125)
    rate.on_throttle(began + 0.4, began + 0.4)
    rate.resume_after_pause(began + 1.4)
    assert fresh == (99.0 * 0.95 <= rate.rate_at(began + 1.4) <= 102.5)


def test_the_rate_grows_again_up_to_the_configured_one() -> None:
    """Another client may have caused the limit: hardly in ten seconds, twofold in a minute."""
    rate = lowered_rate()
    assert rate.rate_at(12.0) <= 1.03 * rate.rate_at(2.0)
    assert 2 * rate.rate_at(2.0) <= rate.rate_at(62.0) < rate.rate_at(600.0) <= 50.0
    assert rate.rate_at(1e6) == RateControl(50.0).rate_at(0.0)


def test_requests_from_before_a_wait_do_not_lower_the_rate_after_it() -> None:
    """Otherwise one event would lower it twice."""
    rate = lowered_rate()
    before = rate.rate_at(2.0)
    rate.on_throttle(1.5, 1.5)
    assert not rate.resume_after_pause(2.5)
    assert before <= rate.rate_at(2.5)
