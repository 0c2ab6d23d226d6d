"""The log of a server: on a pipe without a reader, on a full disk, and with another process's
log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from reconciler.features.endpoint.server_log import Log
from tests.features.endpoint.instances import fleet, flood
from tests.support.command import Command, serving
from tests.support.server_process import server_environment

LINES = 20_000
TEXT = "x" * 150
WRITER = f"""
import asyncio, json, sys
from reconciler.features.endpoint.server_log import log

async def main():
    for number in range(3000):
        log(json.dumps({{"number": number, "text": "{TEXT}"}}))
        if number % 60 == 0:
            await asyncio.sleep(0)

asyncio.run(main())
for _ in range(20):
    log.close()
"""


@contextlib.contextmanager
def logging_to(stream: TextIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Replace stderr by a stream."""
    with monkeypatch.context() as patch, stream:
        patch.setattr(sys, "stderr", stream)
        yield Log()


async def said(log: Log) -> None:
    """Log many lines, fifty in each turn of the event loop."""
    for number in range(LINES):
        log(json.dumps({"number": number, "text": TEXT}))
        if number % 50 == 0:
            await asyncio.sleep(0)


async def read(number: int) -> list[dict[str, Any]]:
    """Read until the log reports lost lines."""
    actual = b""
    os.set_blocking(number, False)
    while b'"lost"' not in actual:
        with contextlib.suppress(BlockingIOError):
            actual += os.read(number, 1_000_000)
        await asyncio.sleep(0.005)
    return [json.loads(line) for line in actual.splitlines()]


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_slow_reader_does_not_block_and_lost_lines_are_counted(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines that were written are complete and in order, and the log reports how many of 20,000
    are lost.
    """
    pair = (
        os.pipe()
        if kind == "pipe"
        else tuple(item.detach() for item in socket.socketpair())
    )

    async def talk(log: Log) -> list[dict[str, Any]]:
        async with asyncio.timeout(30):
            await said(log)
            return await read(pair[0])

    with logging_to(os.fdopen(pair[1], "w"), monkeypatch) as log:
        *lines, lost = asyncio.run(talk(log))
    os.close(pair[0])
    assert [*range(len(lines))] == [line["number"] for line in lines]
    assert {"event": "log", "lost": LINES - len(lines)} == lost
    assert 5000 <= len(lines) < LINES


def test_a_full_disk_only_loses_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It causes no error; when there is space again, the log reports how many lines are lost."""
    complaints: list[dict[str, Any]] = []

    async def talk(log: Log) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: complaints.append(context)
        )
        await said(log)

    with logging_to(Path("/dev/full").open("w", encoding="utf-8"), monkeypatch) as log:
        asyncio.run(talk(log))
        with (tmp_path / "log").open("w", encoding="utf-8") as room:
            monkeypatch.setattr(sys, "stderr", room)
            log("{}")
            log.close()
    assert [] == complaints
    assert ["{}", json.dumps({"event": "log", "lost": LINES})] == (
        tmp_path / "log"
    ).read_text("utf-8").splitlines()


@pytest.mark.slow
def test_lines_of_two_processes_do_not_mix() -> None:
    """Both write to one pipe with a slow reader: each line of both is complete."""
    reading, writing = os.pipe()
    line = [sys.executable, "-c", WRITER]
    root = Path(__file__).parents[3]
    writers = [
        subprocess.Popen(line, cwd=root, stderr=writing, env=server_environment())
        for _ in range(2)
    ]
    os.close(writing)
    time.sleep(1)  # the output of both is larger than the buffer
    actual = []
    while part := os.read(reading, 5000):
        actual.append(part)
    os.close(reading)
    assert [0, 0] == [writer.wait() for writer in writers]
    numbers = [json.loads(line)["number"] for line in b"".join(actual).splitlines()]
    assert sorted([*range(3000)] * 2) == sorted(numbers)


@pytest.mark.slow
def test_an_endpoint_works_without_a_reader_of_its_log(tmp_path: Path) -> None:
    """The log is longer than the pipe's buffer; SIGTERM ends the endpoint as usual."""
    reading, writing = os.pipe()
    with fleet(tmp_path) as item:
        # like `fleet`, except for stderr
        words = (
            "serve",
            "-e",
            "prod",
            "--port",
            "0",
        )
        pipes: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": writing,
            "text": True,
        }
        served = Command(*words, cwd=tmp_path, env=server_environment(), **pipes)
        with serving(served) as url:
            for _ in range(3):
                asyncio.run(flood(url))
            served.send_signal(signal.SIGTERM)
            assert 0 == served.wait(20)
        assert 240 == len(item.writes())
    os.close(reading)
    os.close(writing)
