"""A tenant with a rate limit, the rate limiter of the real client, and a stepping clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import httpx

from reconciler.core.model.live import LiveRule
from reconciler.features.practice.simulator.api import TokenBucket
from reconciler.features.practice.simulator.messages import ApiProblem
from reconciler.features.practice.simulator.messages import error_response as refused
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.rate_control import RateControl
from reconciler.targets.rules_api.client import WritingClient
from tests.support.builders import MARKER, rule
from tests.support.fake_clock import START
from tests.support.in_process_tenant import TENANT
from tests.support.stepping_clock import run, stepping_time

Odds = Callable[[float], float]

REFUSED = ApiProblem("Rate limit exceeded", "too.many.requests")


LIMIT = 100.0
BURST = 10
LATENCY = 0.05


@dataclass
class CreateResult:
    """The result of creating rules: the seconds from the first request to the last response, and
    the 429s.
    """

    outcomes: list[Any]
    seconds: float
    refused: int
    retries: int
    requests: int

    def fraction(self) -> float:
        """Return the share of the tenant's maximum rate."""
        return ((len(self.outcomes) - BURST) / LIMIT + LATENCY) / self.seconds

    def failed(self) -> int:
        """Return the number of rules that were not created."""
        return sum(not isinstance(outcome, LiveRule) for outcome in self.outcomes)


class RateLimitedTransport(httpx.AsyncBaseTransport):
    """The simulator's own bucket with a slightly varying latency; records its first request and its
    last response.

    `odds` is the probability of a random refusal, by the seconds since the first request.
    """

    def __init__(self, settings: SimulatorSettings, chance: Random, odds: Odds) -> None:
        self._bucket, self._latency, self._chance, self._odds = (
            TokenBucket(settings),
            settings.latency,
            chance,
            odds,
        )
        self.times: list[float] = []
        self.refused = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond to one request: a token, or a rule unless the rate is too high."""
        clock = asyncio.get_running_loop().time
        requests_sent = clock()
        await asyncio.sleep(self._latency + self._chance.expovariate(500))
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        self.times += [requests_sent, clock()]
        by_chance = self._chance.random() < self._odds(requests_sent - self.times[0])
        refusal = (
            refused(429, REFUSED, headers=(("retry-after", "1"),))
            if by_chance
            else self._bucket.take_permit()
        )
        if refusal is None:
            return httpx.Response(201, json={"id": "1", "name": "x", "priority": 1})
        self.refused += 1
        return httpx.Response(
            refusal.status, headers=dict(refusal.headers), content=refusal.body
        )


def never(_second: float) -> float:
    return 0.0


def create_rules(
    stated: float,
    count: int,
    *,
    at_once: int = 16,
    odds: Odds = never,
    seed: int = 1,
    **settings: Any,
) -> CreateResult:
    """Create so many rules with a client configured for that rate, sixteen concurrently like
    apply.
    """

    async def go() -> CreateResult:
        clock = asyncio.get_running_loop().time
        chance = Random(seed)
        start = START.timestamp() - clock()
        usual = {
            "rate": LIMIT,
            "burst": BURST,
            "latency": LATENCY,
            "clock": lambda: start + clock(),
        }
        tenant = RateLimitedTransport(
            SimulatorSettings(**{**usual, **settings}), chance, odds
        )
        client = WritingClient(
            transport_over(tenant),
            replace(TENANT, requests_per_second=stated, concurrency=at_once),
            ClientCredentials(client_id="id", client_secret="secret"),
            stepping_time(chance),
        )
        places = asyncio.Semaphore(at_once)

        async def one(number: int) -> object:
            async with places:
                return await client.create(rule(f"r{number}"), MARKER)

        actual = await asyncio.gather(
            *(one(number) for number in range(count)), return_exceptions=True
        )
        seconds = max(tenant.times) - min(tenant.times)
        return CreateResult(
            list(actual),
            seconds,
            tenant.refused,
            client.rate_limiter.retries,
            client.rate_limiter.requests,
        )

    return run(go())


def lowered_rate(stated: float = 50.0) -> RateControl:
    """Return a rate after half of the requests in a second were accepted, and a wait that ended at
    second 2.
    """
    rate = RateControl(stated)
    for number in range(int(stated / 2)):
        rate.on_accepted(2 * number / stated)
    rate.on_throttle(1.0)
    rate.resume_after_pause(2.0)
    assert rate.rate_at(2.0) < stated * 0.6
    return rate
