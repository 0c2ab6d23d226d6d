"""Real sockets: slow callers, half callers, huge ones, too many (W7)."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest

from reconciler.context import connection
from reconciler.context.app import Limits
from reconciler.context.serve import _Server
from tests.context.posting import Endpoint
from tests.context.sockets import Said, listening, request, talk


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Headers may take 0.3 seconds in place of five."""
    monkeypatch.setattr(connection, "_SLOWEST_HEAD", 0.3)
    return 0.3


def test_slow_headers_are_cut_off_and_others_are_served_meanwhile(impatient: float) -> None:
    """A hundred callers that never finish their headers, fifty their bodies: each is closed in time, the good go on."""

    async def besieged() -> tuple[list[Said], list[float], float]:
        endpoint = Endpoint(limits=Limits(deadline=0.5))
        async with listening(endpoint) as port:
            start = time.monotonic()
            slow = [talk(port, request()[:30], wait=5) for _ in range(100)]
            slow += [talk(port, request()[:-5], wait=5) for _ in range(50)]
            siege = asyncio.gather(*slow)
            times = []
            for _ in range(20):
                before = time.monotonic()
                assert [200] == (await talk(port, request("Connection: close"))).statuses
                times.append(time.monotonic() - before)
            said = await siege
            return said, times, time.monotonic() - start

    said, times, seconds = asyncio.run(besieged())
    assert {(408,)} == {tuple(one.statuses) for one in said}
    assert all(one.closed for one in said)
    assert impatient <= seconds < 4
    assert sorted(times)[-2] < 1


def test_dripping_headers_win_no_time(impatient: float) -> None:
    """A byte now and then is not enough: the time is for all of them."""

    async def drip() -> tuple[bool, float]:
        async with listening(Endpoint()) as port:
            start = time.monotonic()
            said = await talk(port, *(bytes([one]) for one in request()[:12]), pause=impatient / 4, wait=1.5)
            return said.closed, time.monotonic() - start

    closed, seconds = asyncio.run(drip())
    assert closed
    assert seconds < 2


def test_headers_are_bounded_whole_and_unfinished() -> None:
    """More than 64, or 16 KiB, finished or not: 431."""
    many, long = request(*(f"X-{one}: a" for one in range(64))), request("X-A: " + "a" * 16_384)
    just = request("X-A: " + "a" * 15_000, "Connection: close")
    endless = request().partition(b"\r\n")[0] + b"\r\nX-A: " + b"a" * 40_000

    async def attack() -> list[list[int]]:
        async with listening(Endpoint()) as port:
            return [(await talk(port, one)).statuses for one in (many, long, endless, just)]

    assert [[431], [431], [431], [200]] == asyncio.run(attack())


def test_a_huge_body_is_refused_before_it_is_read() -> None:
    """50 MB said: 413 before a byte of it. Chunked without end: 413 after the limit, and no more is taken in."""

    async def attack() -> tuple[Said, Said, int]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            said = await talk(port, request(body=b"", length="52428800"))
            part = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
            unsaid = await talk(
                port, request("Transfer-Encoding: chunked", body=b"", length=""), *[part] * 64, pause=0.001
            )
            return said, unsaid, len(endpoint.upstream.writes)

    said, unsaid, writes = asyncio.run(attack())
    assert ([413], True, 0) == (said.statuses, said.closed, writes)
    assert unsaid.closed
    assert unsaid.statuses in ([413], [])  # a caller that goes on writing may be reset before it reads


def test_a_caller_that_hangs_up_half_way_is_no_event() -> None:
    """Half a body and then nobody: nothing is written, nothing is left behind, and the next one is served."""

    async def hang_up() -> tuple[int, int]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            for _ in range(20):
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request()[:-5])
                await writer.drain()
                writer.close()
            await asyncio.sleep(0.2)
            before = len(endpoint.upstream.writes)
            await talk(port, request("Connection: close"))
            return before, len(endpoint.upstream.writes)

    assert (0, 1) == asyncio.run(hang_up())


def test_too_many_connections_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one beyond the limit gets 503 at once; those before it are served."""
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)

    async def crowd() -> tuple[list[int], list[int]]:
        async with listening(Endpoint()) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0.05)
            fourth = await talk(port, request("Connection: close"))
            held[0][1].write(request("Connection: close"))
            first = await held[0][0].read()
            for _, writer in held:
                writer.close()
            return fourth.statuses, [int(first[9:12])]

    assert ([503], [200]) == asyncio.run(crowd())


def test_a_signal_makes_ready_say_no() -> None:
    """Before anything else: whoever balances the load looks there."""
    endpoint = Endpoint()
    server = _Server(endpoint.app, lambda: None)
    server.handle_exit(signal.SIGTERM, None)
    assert 503 == asyncio.run(endpoint.request("GET", "/ready")).status
    assert server.should_exit


def test_answers_name_no_server() -> None:
    """Neither the program nor a version of it; and refusals of the connection are JSON like all others."""

    async def ask() -> tuple[bytes, bytes]:
        async with listening(Endpoint()) as port:
            good, bad = await talk(port, request("Connection: close")), await talk(port, b"x\r\n\r\n")
            return good.raw, bad.raw

    good, bad = asyncio.run(ask())
    assert b"\r\nserver:" not in good.lower() + bad.lower()
    assert {"success": False, "error": "Bad Request"} == json.loads(bad.partition(b"\r\n\r\n")[2])
