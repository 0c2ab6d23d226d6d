"""The endpoint, its client and the simulator in one loop whose clock steps: minutes of load in a
second.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from reconciler.features.endpoint.app import ContextApp, EndpointDependencies
from reconciler.features.endpoint.command import max_calls
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.context_client import ContextClient
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from tests.features.endpoint.in_process_endpoint import Endpoint, Reply, event
from tests.support import canary_secrets as canary
from tests.support.fake_clock import START
from tests.support.in_process_tenant import TENANT
from tests.support.simulated import SimulatorTransport
from tests.support.stepping_clock import stepping_time

PATH = "/api/v2/interactions/interactions/{conversationId}/context"


class DelayedTransport(httpx.AsyncBaseTransport):
    """The transport to the tenant: a write takes the `seconds` of its conversation; the token comes
    immediately.
    """

    def __init__(
        self, below: httpx.AsyncBaseTransport, seconds: Callable[[str, float], float]
    ) -> None:
        self._below, self._seconds = below, seconds
        self.sent: list[float] = []
        self.lost: list[bytes] = []
        """The bodies of requests whose response was missing or not 2xx."""
        self.under_way = self.most_under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request; one without a waiting caller does not arrive."""
        if request.url.path == "/oauth/token":
            return await self._below.handle_async_request(request)
        now = asyncio.get_running_loop().time()
        self.sent.append(now)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.lost.append(request.content)
        try:
            await asyncio.sleep(self._seconds(request.url.path.split("/")[-2], now))
            response = await self._below.handle_async_request(request)
        finally:
            self.under_way -= 1
        if response.is_success:
            self.lost.remove(request.content)
        return response


@dataclass
class Call:
    """One post: its time, the time until its response, and its status."""

    at: float
    seconds: float
    reply: Reply


@dataclass
class SteppedEndpoint(Endpoint):
    """An endpoint whose `write` is the real client's."""

    faults: str = ""
    rate: float = 1e6
    seconds_away: Callable[[str, float], float] = lambda _conversation, _now: 0.02
    concurrency: int = 0
    """The maximum of concurrent calls; default: as many as `cxroute serve` allows."""
    seed: int = 0
    keys: tuple[str, ...] = ("key-of-the-bot",)
    secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Build all parts in the running loop."""
        clock = asyncio.get_running_loop().time
        self.begin = clock()
        self.wall = 0.0
        self.log: list[dict[str, Any]] = []
        self.state = TenantState()
        injected = FaultInjector(self.faults, self.seed) if self.faults else None
        tenant = Simulator(
            self.state, SimulatorSettings(clock=clock, token_seconds=86_400), injected
        )
        self.far = DelayedTransport(SimulatorTransport(tenant), self.seconds_away)
        around = EndpointDependencies(
            now=self.around_now,
            clock=clock,
            log=lambda line: self.log.append(json.loads(line)),
        )
        settings = replace(
            TENANT,
            requests_per_second=self.rate,
            timeout_seconds=around.deadline_seconds,
            run_seconds=math.inf,
            concurrency=self.concurrency or max_calls(self.rate),
        )
        time = stepping_time(Random(self.seed))
        credentials = ClientCredentials(
            client_id=canary.CLIENT, client_secret=canary.SECRET
        )
        self.client = ContextClient(
            transport_over(self.far), settings, credentials, time, PATH
        )
        self.app = ContextApp(self.client.write, self.keys, self.secrets, None, around)

    def around_now(self) -> datetime:
        """Return the time of day, which a test may move."""
        return START + timedelta(
            seconds=asyncio.get_running_loop().time() - self.begin + self.wall
        )

    async def call(self, form: dict[str, Any]) -> Call:
        """Post, and measure the time."""
        clock = asyncio.get_running_loop().time
        before = clock()
        reply = await self.post(form)
        return Call(before - self.begin, clock() - before, reply)

    async def load(self, rate: float, seconds: float) -> list[Call]:
        """Post so many a second for so long, each with a new conversation."""
        tasks = []
        for number in range(int(rate * seconds)):
            tasks.append(
                asyncio.create_task(self.call(event(conversationId=f"c-{number}")))
            )
            await asyncio.sleep(1 / rate)
        return await asyncio.gather(*tasks)


def statuses(calls: Iterable[Call]) -> set[int]:
    """Return the statuses of the responses."""
    return {call.reply.status for call in calls}


def count(calls: Iterable[Call], status: int) -> int:
    """Return the number of responses with a status."""
    return sum(call.reply.status == status for call in calls)
