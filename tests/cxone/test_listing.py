"""Complete lists: the reported progress, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.cxone.client import ReadingClient
from reconciler.cxone.listing import read_complete_list
from reconciler.cxone.paging import ListEndpoint
from reconciler.cxone.settings import ClientCredentials, ServerUrl
from reconciler.cxone.transport.httpx_transport import transport_over
from reconciler.cxone.transport.rate_limiter import RateLimiter
from reconciler.manifest.kinds.profile import ListedQueues
from tests.support import canary_secrets as canary
from tests.support.builders import managed, rule
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.simulated import SimulatorTransport

Told = list[tuple[str, int, int]]


def told(rules: int, page_size: int) -> Told:
    """Read so many rules in pages of this size; return the reported progress, in order."""
    world = InProcessTenant(managed(f"id-{n}", f"cards/r{n}", rule(f"r{n}")) for n in range(rules))
    found: Told = []

    async def run() -> None:
        client = ReadingClient(
            transport_over(SimulatorTransport(world.app)),
            replace(TENANT, page_size=page_size),
            ClientCredentials(client_id=canary.CLIENT, client_secret=canary.SECRET),
            FakeClock().time,
            lambda what, done, all_of_them: found.append((what, done, all_of_them)),
        )
        assert rules == len(await client.rules())

    asyncio.run(run())
    return found


@pytest.mark.parametrize(
    ("rules", "page_size", "expected"),
    [
        (3, 100, [("rules", 1, 1)]),
        (5, 2, [("rules", 1, 3), ("rules", 2, 3), ("rules", 3, 3)]),
        (4, 2, [("rules", 1, 2), ("rules", 2, 2)]),
        (0, 2, [("rules", 1, 1), ("rules", 1, 1)]),
    ],
)
def test_each_page_is_reported_with_the_number_of_pages(rules: int, page_size: int, expected: Told) -> None:
    """From the first one on, and never fewer in all than read; an empty list is read twice."""
    assert expected == told(rules, page_size)


def test_a_list_without_a_total_is_read_twice_without_a_wait() -> None:
    """The second read is not a retry: no read failed."""
    profile = ListedQueues.model_validate({"path": "/rules", "paging": {"style": "all-at-once"}, "list": "."})
    endpoint = ListEndpoint(("rules", "/rules"), profile, 100, lambda: ServerUrl.parse(TENANT.base_url), dict)
    waits: list[float] = []
    requests: list[str] = []

    async def fetch_page(query: str) -> object:
        requests.append(query)
        return [{"id": "1"}]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    time = replace(FakeClock().time, sleep=sleep)
    limiter = RateLimiter(1.0, 1, time, 1.0)
    progress: list[object] = []
    entries = asyncio.run(read_complete_list(fetch_page, endpoint, time, limiter, lambda *page: progress.append(page)))
    assert [{"id": "1"}] == entries
    assert 2 == len(requests)
    assert [] == waits
