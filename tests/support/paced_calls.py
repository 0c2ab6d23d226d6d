"""Calls through the real rate limiter to a tenant with a token bucket, on a stepping clock; and an
omniscient client.

The omniscient client knows the limit and the bucket: its rate causes no 429. It has the same
concurrency, latency and random 429s, and the same rule: after a 429 all of its calls wait for the
Retry-After.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean
from typing import Literal, Protocol

from reconciler.targets.platform.transport.rate_limiter import RateLimiter, TimeSource
from tests.support.stepping_clock import run, stepping_time

RetryAfter = Literal["seconds", "0", "none"]

LEARNING = 75
"""The first calls: their 429s teach the client the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """So many calls, and the tenant that gets them. `told` is the configured rate."""

    told: float
    limit: float
    bucket: int
    calls: int
    random_share: float = 0.0
    retry_after: RetryAfter = "seconds"
    concurrency: int = 16
    latency: float = 0.05
    jitter: float = 0.002
    """The mean of the varying part of the latency."""
    late: float = 0.0
    """The mean time by which the client's timers fire late, as on a loaded machine."""
    limit_at: Callable[[int], float] | None = None
    """The limit after so many accepted calls; None: always `limit`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The seconds from the first call to the last response, and for each response: whether it was
    accepted, when.
    """

    seconds: float
    accepted: tuple[bool, ...]
    times: tuple[float, ...]

    @property
    def refused_share(self) -> float:
        """Return the share of 429s after the first calls."""
        later = self.accepted[LEARNING:]
        return later.count(False) / len(later) if later else 0.0


class Limiter(Protocol):
    """What a call needs of a rate limiter."""

    async def acquire(self) -> float:
        """Wait until the call may be sent; return the time."""

    def release(self) -> None:
        """End the call."""

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted call."""

    def on_throttle(self, sent_at: float, header: str | None) -> None:
        """Record a 429."""


class RatedTenant:
    """A bucket of permits that fills at the limit, random 429s, and a latency that varies."""

    def __init__(self, workload: Workload, chance: Random) -> None:
        self._workload = workload
        self._chance = chance
        self._clock = asyncio.get_running_loop().time
        self._permits = float(workload.bucket)
        self._at = self._clock()
        self.accepted: list[bool] = []
        self.times: list[float] = []

    async def respond(self) -> tuple[bool, str | None]:
        """Return whether a call was accepted, and the Retry-After of a 429."""
        await asyncio.sleep(
            self._workload.latency + self._chance.expovariate(1 / self._workload.jitter)
        )
        is_random = self._chance.random() < self._workload.random_share
        wait = 0.0 if is_random else self._take_permit()
        is_accepted = not is_random and wait <= 0
        self.accepted.append(is_accepted)
        self.times.append(self._clock())
        return is_accepted, self._retry_after(wait)

    def _take_permit(self) -> float:
        """Take a permit and return 0, or return the seconds until there is one."""
        workload = self._workload
        limit = workload.limit
        if workload.limit_at is not None:
            limit = workload.limit_at(self.accepted.count(True))
        now = self._clock()
        self._permits = min(workload.bucket, self._permits + (now - self._at) * limit)
        self._at = now
        if self._permits < 1 - 1e-9:
            return (1 - self._permits) / limit
        self._permits -= 1
        return 0.0

    def _retry_after(self, wait: float) -> str | None:
        match self._workload.retry_after:
            case "seconds":
                return f"{max(math.ceil(wait), 1)}"
            case "0":
                return "0"
            case "none":
                return None


class OmniscientLimiter:
    """Sends each call at the first moment at which the tenant has a permit for it."""

    def __init__(self, workload: Workload, time: TimeSource) -> None:
        self._workload = workload
        self._time = time
        self._slots = asyncio.Semaphore(workload.concurrency)
        self._turn = asyncio.Lock()
        self._full_at = self._held_until = time.clock()

    async def acquire(self) -> float:
        """Wait for a slot, a permit and the end of a Retry-After."""
        await self._slots.acquire()
        async with self._turn:
            while (now := self._time.clock()) < (due := self._due()) - 1e-9:
                await self._time.sleep(due - now)
            self._full_at = max(self._full_at, now) + 1 / self._workload.limit
        return now

    def _due(self) -> float:
        spare = (self._workload.bucket - 1) / self._workload.limit
        return max(self._held_until, self._full_at - spare)

    def release(self) -> None:
        """Free the slot."""
        self._slots.release()

    def on_accepted(self, sent_at: float) -> None:
        """Nothing is learnt."""

    def on_throttle(self, sent_at: float, header: str | None) -> None:
        """Wait for the Retry-After; without one, as long as the real client in the mean."""
        del sent_at
        seconds = float(header or 0) or self._time.random()
        self._held_until = max(self._held_until, self._time.clock() + seconds)


def paced(workload: Workload, seed: int) -> Outcome:
    """Return what the real rate limiter achieves."""
    return _run(workload, seed, _real_limiter)


def omniscient(workload: Workload, seed: int) -> Outcome:
    """Return what is possible."""
    return _run(
        replace(workload, bucket=10**9),
        seed,
        lambda _, time: OmniscientLimiter(workload, time),
    )


def multiple(workload: Workload, seeds: range) -> tuple[float, float]:
    """Return the time as a multiple of the omniscient client's, and the share of 429s: means over
    some seeds.
    """
    outcomes = [paced(workload, seed) for seed in seeds]
    best = [omniscient(workload, seed).seconds for seed in seeds]
    seconds = sum(outcome.seconds for outcome in outcomes)
    return seconds / sum(best), fmean(outcome.refused_share for outcome in outcomes)


def _real_limiter(workload: Workload, time: TimeSource) -> Limiter:
    if workload.late:
        time = _with_late_timers(time, workload.late)
    return RateLimiter(workload.told, workload.concurrency, time, math.inf, math.inf)


def _with_late_timers(usual: TimeSource, mean: float) -> TimeSource:
    chance = Random(7)

    async def sleep(seconds: float) -> None:
        await usual.sleep(seconds + chance.expovariate(1 / mean))

    return replace(usual, sleep=sleep)


def _run(
    workload: Workload, seed: int, limiter_of: Callable[[Workload, TimeSource], Limiter]
) -> Outcome:
    async def calls() -> Outcome:
        chance = Random(seed)
        time = stepping_time(chance)
        limiter = limiter_of(workload, time)
        tenant = RatedTenant(workload, chance)
        began = time.clock()
        waiting = iter(range(workload.calls))

        async def worker() -> None:
            for _ in waiting:
                while not await call(limiter, tenant):
                    pass

        await asyncio.gather(*(worker() for _ in range(workload.concurrency)))
        return Outcome(
            tenant.times[-1] - began, tuple(tenant.accepted), tuple(tenant.times)
        )

    return run(calls())


async def call(limiter: Limiter, tenant: RatedTenant) -> bool:
    """Make one call; return whether it was accepted."""
    sent_at = await limiter.acquire()
    try:
        is_accepted, retry_after = await tenant.respond()
        if is_accepted:
            limiter.on_accepted(sent_at)
        else:
            limiter.on_throttle(sent_at, retry_after)
        return is_accepted
    finally:
        limiter.release()
