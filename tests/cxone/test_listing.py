"""Complete lists: what is told of their progress, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.cxone.client import ReadingClient
from reconciler.cxone.listing import _read_consistently, _ReadResult
from reconciler.cxone.settings import ClientCredentials
from reconciler.cxone.transport.httpx_transport import transport_over
from tests.support import canary_secrets as canary
from tests.support.builders import managed, rule
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.simulated import SimulatorTransport

Told = list[tuple[str, int, int]]


def told(rules: int, page_size: int) -> Told:
    """Read so many rules in pages of such a size; return what the progress was told, in order."""
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
def test_each_page_that_came_is_told_and_of_how_many(rules: int, page_size: int, expected: Told) -> None:
    """From the first one on, and never of more than are done; an empty list is read twice."""
    assert expected == told(rules, page_size)


def test_a_list_that_nobody_counts_is_read_twice_without_a_wait_between() -> None:
    """To read again is no second attempt: nothing went wrong."""
    readings = iter([_ReadResult({"1": {}}), _ReadResult({"1": {}})])
    waits: list[float] = []

    async def read() -> _ReadResult:
        return next(readings)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    book: Any = SimpleNamespace(has_total=False, noun="rules")
    pacer: Any = SimpleNamespace(backoff=float)
    assert [{}] == asyncio.run(_read_consistently(read, book, replace(FakeClock().time, sleep=sleep), pacer))
    assert [] == waits
