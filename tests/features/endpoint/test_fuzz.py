"""Any request gets one of a fixed set of statuses, in JSON, without an exception or a trace (W6,
W8, W9).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.features.endpoint.in_process_endpoint import EVENT, HEADERS, Endpoint
from tests.features.endpoint.openapi_document import STATUSES, fault
from tests.features.endpoint.process_memory import MIB, resident
from tests.features.endpoint.raw_sockets import BODY, listening, request, talk
from tests.tiers import FULL

pytestmark = pytest.mark.slow

TEXTS = (
    "",
    "a",
    "..",
    "c-1",
    "\x00",
    "\ud800",
    "é",
    "😀",
    "a" * 300,
    "2026-02-01T09:00:00Z",
    "2026-02-30T09:00:00Z",
    "NaN",
)
ATOMS: tuple[Any, ...] = (None, True, False, 0, 1, -1, 0.5, 1e308, -0.0, 10**30, *TEXTS)
PIECES: tuple[bytes, ...] = (
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"-",
    b"null",
    b" ",
)
PIECES += (
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\x00",
    b'"intent":',
    b'"conversationId":"..",',
)
NAMES = (
    b"content-type",
    b"content-length",
    b"content-encoding",
    b"x-api-key",
    b"authorization",
    b"webhook-signature",
)
VALUES = (
    b"",
    b"application/json",
    b"text/html",
    b"0",
    b"-1",
    b"99999999",
    b"gzip",
    b"Basic \xff",
    b"Bearer",
    b"v1,",
    b"\xff\x00",
)


def value(chance: Random, levels: int = 3) -> Any:
    """Return a random JSON value."""
    kind = chance.random() if levels else 0.0
    if kind < 0.6:
        return chance.choice(ATOMS)
    if kind < 0.8:
        return [value(chance, levels - 1) for _ in range(chance.randrange(4))]
    return {
        chance.choice(TEXTS): value(chance, levels - 1)
        for _ in range(chance.randrange(4))
    }


def body(chance: Random) -> bytes:
    """Return a body: an event with changed fields, then perhaps with changed, removed, doubled or
    inserted bytes.
    """
    form = {
        name: value(chance) if chance.random() < 0.3 else text
        for name, text in EVENT.items()
    }
    form |= {chance.choice(TEXTS): value(chance)} if chance.random() < 0.3 else {}
    data = bytearray(json.dumps(form).encode())
    for _ in range(chance.choice((0, 0, 1, 3))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = data[: chance.randrange(20)]
            case _:
                data[at : at + 1] = bytes([chance.randrange(256)])
    return bytes(data)


def test_any_body_and_any_headers_get_an_answer(
    record_property: Callable[[str, object], None],
) -> None:
    """Random values, mutated; changed and doubled headers (4,000; 100,000 in the campaign): as in
    the document.
    """
    chance = Random(8)
    endpoint = Endpoint()
    sizes = []

    async def posts() -> tuple[dict[int, int], set[str]]:
        actual: dict[int, int] = {}
        faults = set()
        for number in range(100_000 if FULL else 4_000):
            headers = [header for header in HEADERS if chance.random() < 0.95]
            if chance.random() < 0.2:
                headers.append((chance.choice(NAMES), chance.choice(VALUES)))
            reply = await endpoint.post(body(chance), headers)
            actual[reply.status] = actual.get(reply.status, 0) + 1
            faults.add(fault(reply))
            endpoint.log = [line for line in endpoint.log if line["event"] == "bug"]
            endpoint.upstream.writes.clear()
            sizes.extend([resident()] if number % 1000 == 999 else [])
        return actual, faults

    actual, faults = asyncio.run(posts())
    record_property("MiB more", (sizes[-1] - sizes[0]) / MIB)
    assert {""} == faults
    assert [] == endpoint.log
    assert {200, 400, 401, 413, 415} <= set(actual), "the fuzz reaches every check"
    assert sizes[-1] - sizes[0] <= 20 * MIB


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes_on_a_socket_get_a_response_or_an_end(seed: int) -> None:
    """Requests with changed, removed and inserted bytes over real sockets: no other status, and it
    keeps serving.
    """
    chance = Random(seed)

    async def attack() -> tuple[set[int], list[int], list[Any]]:
        endpoint = Endpoint()
        actual = set()
        async with listening(endpoint) as port:
            for _ in range(1_000 if FULL else 25):
                data = bytearray(request("Connection: close"))
                for _ in range(chance.randrange(1, 4)):
                    at = chance.randrange(len(data) - len(BODY))
                    data[at : at + chance.randrange(2)] = bytes([chance.randrange(256)])
                actual |= set((await talk(port, bytes(data), wait=0.1)).statuses)
            good = await talk(port, request("Connection: close"))
        return (
            actual,
            good.statuses,
            [line for line in endpoint.log if line["event"] == "bug"],
        )

    actual, good, bugs = asyncio.run(attack())
    assert set() == actual - STATUSES
    assert ([200], []) == (good, bugs)
