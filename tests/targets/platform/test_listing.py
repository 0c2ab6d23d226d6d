"""Complete lists: the reported progress, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import ReadingClient
from tests.support import canary_secrets as canary
from tests.support.builders import managed, rule
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.simulated import SimulatorTransport

Told = list[tuple[str, int, int]]


def told(rules: int, page_size: int) -> Told:
    """Read so many rules in pages of this size; return the reported progress, in order."""
    world = InProcessTenant(
        managed(f"id-{n}", f"cards/r{n}", rule(f"r{n}")) for n in range(rules)
    )
    actual: Told = []

    async def run() -> None:
        client = ReadingClient(
            transport_over(SimulatorTransport(world.app)),
            replace(TENANT, page_size=page_size),
            ClientCredentials(client_id=canary.CLIENT, client_secret=canary.SECRET),
            FakeClock().time,
            lambda subject, done, all_of_them: actual.append(
                (subject, done, all_of_them)
            ),
        )
        assert rules == len(await client.rules())

    asyncio.run(run())
    return actual


@pytest.mark.parametrize(
    ("rules", "page_size", "expected"),
    [
        (3, 100, [("rules", 1, 1)]),
        (5, 2, [("rules", 1, 3), ("rules", 2, 3), ("rules", 3, 3)]),
        (4, 2, [("rules", 1, 2), ("rules", 2, 2)]),
        (0, 2, [("rules", 1, 1), ("rules", 1, 1)]),
    ],
)
def test_each_page_is_reported_with_the_number_of_pages(
    rules: int, page_size: int, expected: Told
) -> None:
    """From the first one on, and never fewer in all than read; an empty list is read twice."""
    assert expected == told(rules, page_size)
