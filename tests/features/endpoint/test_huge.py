"""Huge bodies, with a declared, absent or false size: refused, hardly read, and not stored (W7)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.cli.http_server import StrictHttpProtocol
from reconciler.features.endpoint.messages import MAX_BODY_BYTES
from tests.features.endpoint.in_process_endpoint import Endpoint
from tests.features.endpoint.process_memory import MIB, resident
from tests.features.endpoint.raw_sockets import listening, request
from tests.tiers import FULL

ROUNDS = 20 if FULL else 2
PART = b" " * MAX_BODY_BYTES
CHUNK = b"%x\r\n%b\r\n" % (MAX_BODY_BYTES, PART)
HUGE = {
    "said": (413, request(body=b"", length=str(50 * MIB)), PART),
    "chunked": (413, request("Transfer-Encoding: chunked", body=b"", length=""), CHUNK),
    "declared, behind a chunk's size": (
        413,
        request("Transfer-Encoding: chunked", body=b"3200000\r\n", length=""),
        PART,
    ),
    "declared, but less sent": (413, request(body=b"{}", length=str(50 * MIB)), b""),
    "declared as just small enough": (
        400,
        request(body=b"", length=str(MAX_BODY_BYTES)),
        PART,
    ),
    "declared as empty": (400, request(body=b"", length="0"), PART),
}
"""The status, the beginning, and the data that follows until 50 MiB are sent."""


async def pour(port: int, begin: bytes, part: bytes) -> bytes:
    """Send everything and return the endpoint's response; unsent data stays with the caller."""
    loop = asyncio.get_running_loop()
    raw = b""
    with socket.socket() as caller:
        caller.setblocking(False)
        await loop.sock_connect(caller, ("127.0.0.1", port))
        try:
            await loop.sock_sendall(caller, begin)
            for _ in range(50 * MIB // MAX_BODY_BYTES if part else 0):
                await loop.sock_sendall(caller, part)
        except ConnectionError:
            pass  # the response explains the refusal
        try:
            while further := await loop.sock_recv(caller, 65_536):
                raw += further
        except ConnectionError:
            pass  # closed while more was on the way
    return raw


def test_huge_bodies_are_refused_and_hardly_read(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """Each kind (twice; 20 times in the campaign): its status, at most 64 KiB read beyond the
    limit, flat memory.
    """
    claimed = [0]
    sizes = []
    beyond = []
    received = StrictHttpProtocol.data_received

    def counting(self: StrictHttpProtocol, data: bytes) -> None:
        claimed[0] += len(data)
        received(self, data)

    monkeypatch.setattr(StrictHttpProtocol, "data_received", counting)

    async def attack() -> tuple[dict[str, int], list[Any]]:
        endpoint = Endpoint()
        actual = {}
        async with listening(endpoint) as port:
            for number in range(ROUNDS * len(HUGE)):
                name, (status, begin, part) = list(HUGE.items())[number % len(HUGE)]
                claimed[0] = 0
                text = await pour(port, begin, part)
                beyond.append(claimed[0] - len(begin) - MAX_BODY_BYTES)
                if (
                    text[:12] != b"HTTP/1.1 %d" % status
                    or text.count(b"HTTP/1.1 ") != 1
                ):
                    actual[f"{name} {number}"] = int(text[9:12] or 0)
                sizes.append(resident())
        return actual, endpoint.upstream.writes

    actual, writes = asyncio.run(attack())
    record_property("bytes beyond", max(beyond))
    record_property("MiB more", (sizes[-1] - sizes[len(HUGE) - 1]) / MIB)
    assert ({}, []) == (actual, writes)
    assert max(beyond) <= MAX_BODY_BYTES
    assert sizes[-1] - sizes[len(HUGE) - 1] <= 4 * MIB
