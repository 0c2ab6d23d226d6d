"""The rate on a real socket: a simulated tenant with a token bucket that allows less than is
configured.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Target
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.rules_api.client import WritingClient
from tests.support.builders import MARKER, rule
from tests.support.in_process_tenant import TENANT
from tests.support.loopback_server import loopback_server
from tests.support.paced_calls import LEARNING
from tests.support.simulated import QUEUES
from tests.tiers import FULL

pytestmark = pytest.mark.slow

COUNT = 300
LIMIT = 20.0
LATENCY = 0.02


@dataclass
class CountingTenant:
    """The simulator, which counts its responses to creates; its bucket measures the time."""

    settings: SimulatorSettings
    statuses: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulator = Simulator(TenantState(QUEUES), self.settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to a request."""

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start" and scope["path"].endswith(
                "/rules"
            ):
                self.statuses.append(message["status"])
                self.times.append(self.settings.clock())
            await send(message)

        await self.simulator(scope, receive, counted)


async def create(url: str, told: float) -> list[object]:
    """Create the rules, sixteen concurrently like apply."""
    tenant = replace(
        TENANT, base_url=url, token_url=f"{url}/oauth/token", requests_per_second=told
    )
    credentials = ClientCredentials(client_id="id", client_secret="secret")
    async with network_transport(tenant, None, None) as transport:
        client = WritingClient(transport, tenant, credentials, REAL_TIME)
        slots = asyncio.Semaphore(16)

        async def one(number: int) -> object:
            async with slots:
                return await client.create(
                    rule(f"r{number}", targets=[Target("q1", 1)]), MARKER
                )

        return await asyncio.gather(*map(one, range(COUNT)), return_exceptions=True)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("told", "bucket", "most"), [(200.0, 5, 1.5), (100.0, 50, 1.5)]
)
def test_creates_on_a_tenant_that_allows_less(
    told: float, bucket: int, most: float
) -> None:
    """All are created.

    In the campaign, which has the machine for itself, 429s end, and the time is the table's.
    """
    settings = SimulatorSettings(rate=LIMIT, burst=bucket, latency=LATENCY)
    tenant = CountingTenant(settings)
    with loopback_server() as server:
        server.app = tenant
        actual = asyncio.run(create(server.url, told))
    assert [] == [item for item in actual if not isinstance(item, LiveRule)][:1]
    later = tenant.statuses[LEARNING:]
    assert not FULL or later.count(429) <= math.floor(0.05 * len(later))
    possible = (COUNT - bucket) / LIMIT + LATENCY
    assert not FULL or max(tenant.times) - min(tenant.times) <= most * possible
