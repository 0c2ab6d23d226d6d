"""Keep-alive connections: one without a request ends after its time, not before, and leaves nothing
behind (W7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import pytest

from reconciler.cli import http_server as serve
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.features.endpoint.raw_sockets import Caller, listening, request
from tests.support.stepping_clock import run_with_sockets

IDLE: Final = 0.8
AWHILE: Final = 0.6 * IDLE
"""Shorter than the time; twice this is longer."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep connections for less than a second instead of twenty: other limits are longer than
    that.
    """
    monkeypatch.setattr(serve, "_IDLE", IDLE)


def kept(
    use: Callable[[Caller], Awaitable[object]], upstream: Upstream | None = None
) -> float:
    """Use a connection of a new endpoint; return the seconds that it was kept after its last
    response.
    """

    async def go() -> float:
        async with listening(Endpoint(upstream)) as port:
            item = await Caller.connected(port)
            await use(item)
            assert b"" == await asyncio.wait_for(item._reader.read(), 3 * IDLE)
            item.close()
            return asyncio.get_running_loop().time() - item.used

    return run_with_sockets(go())


def test_it_is_kept_from_its_last_response_on() -> None:
    """Not from the first one: the time starts again with each."""

    async def use(one: Caller) -> None:
        for _ in range(2):
            assert 200 == await one.post(event())
            await asyncio.sleep(AWHILE)
        assert 200 == await one.post(event())

    assert kept(use) == pytest.approx(IDLE)


def test_it_does_not_end_before_the_tenant_answers() -> None:
    """The time of the earlier response has ended; it starts again after this one."""
    hold = asyncio.Event()

    async def use(one: Caller) -> None:
        hold.set()
        assert 200 == await one.post(event(timestamp=...))
        hold.clear()
        asyncio.get_running_loop().call_later(2 * AWHILE, hold.set)
        assert 200 == await one.post(event(timestamp=...))

    assert kept(use, Upstream(hold=hold)) == pytest.approx(IDLE)


def test_it_does_not_end_in_the_middle_of_a_requests_headers() -> None:
    """They have their own time; after the response the connection's time starts."""

    async def use(one: Caller) -> None:
        assert 200 == await one.post(event())
        await asyncio.sleep(AWHILE)
        one._writer.write(request()[:30])
        await asyncio.sleep(AWHILE)
        one._writer.write(request()[30:])
        assert b" 200 " in await one._reader.readuntil(b"\r\n\r\n")
        one.used = asyncio.get_running_loop().time()
        assert (await one._reader.readuntil(b"}}}")).endswith(b"}}}")

    assert kept(use) == pytest.approx(IDLE)


def test_blank_lines_are_not_a_request() -> None:
    """They may precede a request; a caller that sends nothing else is not kept for them."""

    async def use(one: Caller) -> None:
        assert 200 == await one.post(event())
        dripping.append(asyncio.create_task(drip(one)))

    async def drip(one: Caller) -> None:
        while not one._writer.is_closing():
            one._writer.write(b"\r\n")
            await asyncio.sleep(IDLE / 10)

    dripping: list[asyncio.Task[None]] = []
    assert kept(use) == pytest.approx(IDLE)


def test_a_disconnect_leaves_no_timer_behind() -> None:
    """The timer would hold a closed connection for its full time."""

    async def go() -> tuple[int, int]:
        timers = cast("Any", asyncio.get_running_loop())._scheduled

        def counted() -> int:
            return sum(
                "timeout_keep_alive_handler" in repr(timer)
                for timer in timers
                if not timer.cancelled()
            )

        async with listening(Endpoint()) as port:
            callers = [await Caller.connected(port) for _ in range(20)]
            for caller in callers:
                assert 200 == await caller.post(event())
            before = counted()
            for caller in callers:
                caller.close()
            await asyncio.sleep(IDLE / 8)
            return before, counted()

    assert (20, 0) == run_with_sockets(go())
