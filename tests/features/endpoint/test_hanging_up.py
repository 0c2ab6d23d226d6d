"""Callers that disconnect before the response: their posts are still written, once and in order."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.features.endpoint.instances import (
    EVENTS,
    Fleet,
    Key,
    caller,
    fleet,
    form,
    until,
)
from tests.support.server_process import KEY

EACH = [(f"c-{number}", 0.0) for number in range(20)]
ONE = [("same", second / EVENTS) for second in range(5)]


def hang_up(port: int, key: Key, how: str) -> None:
    """Post an event, and close or reset the connection without reading the response."""
    body = json.dumps(form(key)).encode()
    head = (
        f"POST /api/route HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: "
        f"application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as item:
        item.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.03)  # or a reset would discard the sent data
        if how == "reset":
            item.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )


@pytest.mark.slow
def test_a_disconnect_does_not_undo_a_post(tmp_path: Path) -> None:
    """Each event has its effect, in order; an equal event is a repeat.

    Each is logged with its response.
    """

    async def again(url: str) -> set[int]:
        async with caller(url) as http:
            return {
                (await http.post("/api/route", json=form(key))).status_code
                for key in EACH
            }

    def written(one: Fleet) -> list[Key]:
        until(10, lambda: len(one.writes()) >= len(EACH + ONE))
        return one.writes()

    with fleet(tmp_path, "--latency-ms", "200") as one:
        _, url = one.serve()
        for number, key in enumerate([*EACH, *ONE]):
            hang_up(
                int(url.rpartition(":")[2]), key, "reset" if number % 2 else "close"
            )
        first = written(one)
        assert {200} == asyncio.run(again(url))
        assert first == one.writes()
        assert {200: 45} == one.logged(45)
    assert sorted(EACH + ONE) == sorted(first)
    assert ONE == [key for key in first if key[0] == "same"]
