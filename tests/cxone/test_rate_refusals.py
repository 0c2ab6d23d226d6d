"""429s that the client's own rate did not cause: by chance, for a time, or always. They cost only their waits.

The measure is an omniscient client. It knows the tenant's limit and bucket, and sends each request at the first moment
at which the tenant has a permit for it, sixteen at once, so its rate causes no 429. The same share of its requests is
refused by chance, and it follows the same rules: after a 429 all of its requests wait for the Retry-After, one second.
"""

from __future__ import annotations

import asyncio
import math
import time
from random import Random

import pytest

from reconciler.cxone.transport.rate_control import RateControl
from tests.support.program import Program
from tests.support.rate_limited_tenant import BURST, LATENCY, Odds, create_rules
from tests.support.slow_tenant import SlowTenant, slow_tenant
from tests.support.stepping_clock import run
from tests.tiers import FULL

TOLD, COUNT, AT_ONCE, RETRY_AFTER = 50.0, 500, 16, 1.0
SEEDS = range(8 if FULL else 1)
RATIOS = (0.2, 0.5, 0.8, 1.0)
"""The tenant's limit as a share of the configured rate."""


def always(share: float) -> Odds:
    return lambda _second: share


def until(end: float, share: float) -> Odds:
    return lambda second: share if second < end else 0.0


CASES: dict[str, Odds] = {
    **{f"{share:.0%} of all": always(share) for share in (0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5)},
    "all for 3 s": until(3.0, 1.0),
    "half for 10 s": until(10.0, 0.5),
    "all for 10 s": until(10.0, 1.0),
    "all for 60 s": until(60.0, 1.0),
    "all for 2 s of each 20 s": lambda second: 1.0 if second % 20 < 2 else 0.0,
}


def omniscient(limit: float, odds: Odds, seed: int) -> float:
    """Return the duration of the omniscient client."""

    async def go() -> float:
        clock, chance = asyncio.get_running_loop().time, Random(seed)
        turn, places = asyncio.Lock(), asyncio.Semaphore(AT_ONCE)
        begin = full = held = clock()  # at `full` the bucket is full again

        async def permit() -> float:
            nonlocal full
            async with turn:
                while (now := clock()) < (due := max(held, full - (BURST - 1) / limit)) - 1e-6:  # noqa: ASYNC110 - a 429 moves it
                    await asyncio.sleep(due - now)
                full = max(full, now) + 1 / limit
            return now

        async def one() -> None:
            nonlocal held
            refused = True
            while refused:
                async with places:
                    sent = await permit()
                    await asyncio.sleep(LATENCY + chance.expovariate(500))
                    refused = chance.random() < odds(sent - begin)
                    held = max(held, clock() + RETRY_AFTER) if refused else held

        await asyncio.gather(*(one() for _ in range(COUNT)))
        return clock() - begin

    return run(go())


@pytest.mark.parametrize("case", CASES)
def test_429s_from_other_clients_at_most_double_the_time(case: str) -> None:
    """With any share of the configured rate: every rule is created, in twice the omniscient client's time."""
    odds = CASES[case]
    for ratio in RATIOS:
        limit = TOLD * ratio
        runs = [create_rules(TOLD, COUNT, odds=odds, seed=seed, rate=limit) for seed in SEEDS]
        assert [0] * len(SEEDS) == [one.failed() for one in runs], ratio
        best = sum(omniscient(limit, odds, seed) for seed in SEEDS)
        assert sum(one.seconds for one in runs) <= 2 * best, ratio


class Refusing(SlowTenant):
    """A tenant that refuses requests by chance: always, or for so many seconds."""

    until: float = math.inf
    share: float = 0.25
    chance = Random(1)

    def status(self, path: str) -> int:
        """Refuse by chance; also token requests."""
        del path
        return 429 if time.monotonic() < self.until and self.chance.random() < self.share else 0


@pytest.mark.parametrize("case", ["25% of all", "half for 10 s"])
def test_40_rules_are_created_on_a_socket(cxroute: Program, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """In the campaign, which has the machine for itself, within a minute if each 429 costs a second."""
    monkeypatch.delenv("CXROUTE_PROXY")
    monkeypatch.setenv("CXONE_CLIENT_ID", "id")
    scale = 1.0 if FULL else 0.1
    with slow_tenant(Refusing, rules=40, retry_after=f"{scale:g}") as tenant:
        begin = time.monotonic()
        if case == "half for 10 s":
            tenant.until, tenant.share = begin + 10 * scale, 0.5
        assert 0 == cxroute("apply", "-e", "prod", "--yes")
        assert not FULL or time.monotonic() - begin <= 60
    assert "Applied 40 of 40" in cxroute.out


def test_one_wait_lowers_the_rate_once() -> None:
    """For any number of 429s: to the limit that the accepted requests show."""
    rate, other = RateControl(TOLD), RateControl(TOLD)
    for one, refusals in ((rate, 1), (other, 9)):
        for number in range(50):
            one.on_sent(number / TOLD)
            one.on_accepted(number / TOLD)
        for _ in range(refusals):
            one.on_throttle(1.0, 1.0)
        assert one.resume_after_pause(2.0)
        assert not one.resume_after_pause(3.0)
    assert rate.rate_at(2.0) == other.rate_at(2.0)
    assert pytest.approx(40.0, rel=0.05) == rate.rate_at(2.0)


def test_the_rate_falls_to_a_floor_while_all_requests_are_refused() -> None:
    """Such windows show nothing about the rate: the first accepted request restores it."""
    rate, now = RateControl(TOLD), 0.0
    rates = [rate.rate_at(now)]
    for _ in range(6):
        rate.on_sent(now)
        rate.on_throttle(now, now)
        now += 1.0
        rate.resume_after_pause(now)
        rates.append(rate.rate_at(now))
    assert [pytest.approx(max(before / 2, 4.0)) for before in rates[:-1]] == rates[1:]
    assert 4.0 == rates[-1]
    rate.on_accepted(now)
    assert pytest.approx(TOLD, rel=0.01) == rate.rate_at(now)
