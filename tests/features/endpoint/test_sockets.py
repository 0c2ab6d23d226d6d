"""Real sockets: slow, incomplete, huge and too many callers (W7)."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from reconciler.cli import http_server as connection
from reconciler.cli.http_server import QuietServer, quiet_config
from tests.features.endpoint.in_process_endpoint import Endpoint
from tests.features.endpoint.raw_sockets import listening, request, talk
from tests.support.stepping_clock import run_with_sockets


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Headers may take 0.3 seconds instead of five."""
    monkeypatch.setattr(connection, "_HEAD_TIMEOUT", 0.3)
    return 0.3


def test_slow_headers_do_not_extend_the_time(impatient: float) -> None:
    """A byte now and then does not help: the time is for all headers."""

    async def drip() -> tuple[bool, float]:
        async with listening(Endpoint()) as port:
            clock = asyncio.get_running_loop().time
            start = clock()
            text = await talk(
                port,
                *(bytes([item]) for item in request()[:12]),
                pause=impatient / 4,
                wait=1.5,
            )
            return text.closed, clock() - start

    closed, seconds = run_with_sockets(drip())
    assert closed
    assert seconds < 2


def test_a_refusal_of_a_slow_or_large_request_is_logged(
    monkeypatch: pytest.MonkeyPatch, impatient: float
) -> None:
    """With its status and reason, as each other refusal of the connection."""
    monkeypatch.setattr(connection, "_BODY_TIMEOUT", 0.1)
    large = request("X-A: " + "a" * 16_384)

    async def attack() -> list[tuple[int, str]]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            for data in (request()[:10], request()[:-5], large):
                await talk(port, data, wait=5)
        refusals = [line for line in endpoint.log if line["event"] == "refused"]
        return [(line["status"], line["reason"]) for line in refusals]

    assert [
        (408, f"the headers took longer than {impatient} seconds"),
        (408, "the body took longer than 0.1 seconds"),
        (431, "the headers have more than 16 KiB, or more than 64 fields"),
    ] == asyncio.run(attack())


def test_complete_and_incomplete_headers_are_bounded() -> None:
    """More than 64, or 16 KiB, complete or not: 431."""
    many = request(*(f"X-{item}: a" for item in range(64)))
    long = request("X-A: " + "a" * 16_384)
    just = request("X-A: " + "a" * 15_000, "Connection: close")
    endless = request().partition(b"\r\n")[0] + b"\r\nX-A: " + b"a" * 40_000

    async def attack() -> list[list[int]]:
        async with listening(Endpoint()) as port:
            return [
                (await talk(port, item)).statuses
                for item in (many, long, endless, just)
            ]

    assert [[431], [431], [431], [200]] == asyncio.run(attack())


def test_a_caller_that_disconnects_in_the_middle_sends_no_event() -> None:
    """Half of a body and then the end: nothing is written, nothing is left behind, and the next
    caller is served.
    """

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


def test_a_connection_beyond_the_limit_gets_503(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one beyond the limit gets 503 with Retry-After immediately; earlier ones are served."""
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)

    async def crowd() -> tuple[list[int], bool, list[int]]:
        async with listening(Endpoint()) as port:
            stored_values = [
                await asyncio.open_connection("127.0.0.1", port) for _ in range(3)
            ]
            await asyncio.sleep(0.05)
            fourth = await talk(port, request("Connection: close"))
            stored_values[0][1].write(request("Connection: close"))
            first = await stored_values[0][0].read()
            for _, writer in stored_values:
                writer.close()
            return (
                fourth.statuses,
                b"\r\nretry-after: 1\r\n" in fourth.raw,
                [int(first[9:12])],
            )

    assert ([503], True, [200]) == asyncio.run(crowd())


def test_a_signal_makes_ready_answer_503() -> None:
    """Before anything else: a load balancer looks there."""
    endpoint = Endpoint()
    server = QuietServer(quiet_config(endpoint.app), lambda: None, endpoint.app.drain)
    server.handle_exit(signal.SIGTERM, None)
    assert 503 == asyncio.run(endpoint.request("GET", "/ready")).status
    assert server.should_exit


def test_responses_name_no_server() -> None:
    """Neither the program nor its version; and refusals of the connection are JSON like all
    others.
    """

    async def ask() -> tuple[bytes, bytes]:
        async with listening(Endpoint()) as port:
            good, bad = (
                await talk(port, request("Connection: close")),
                await talk(port, b"x\r\n\r\n"),
            )
            return good.raw, bad.raw

    good, bad = asyncio.run(ask())
    assert b"\r\nserver:" not in good.lower() + bad.lower()
    error = "Bad Request: Invalid method encountered"
    assert {"success": False, "error": error} == json.loads(
        bad.partition(b"\r\n\r\n")[2]
    )
