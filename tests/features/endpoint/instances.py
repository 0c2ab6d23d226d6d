"""Several real processes with one real tenant: tests start, kill and call them over many
connections.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.processes import MANIFEST
from tests.features.endpoint.redis_server import RedisServer, redis_server
from tests.support.plain_http import PLAIN
from tests.support.server_process import KEY, server_process

EVENTS = 12
"""Of each conversation."""
FLOOD = 240
Key = tuple[str, float]
"""A conversation, and the confidence of an event of it, which grows with its time."""


def _recording(*tenant: str, **options: Any) -> subprocess.Popen[str]:
    """Start a tenant that records its requests and writes."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.features.endpoint.recording_tenant",
            "record.jsonl",
            *tenant,
        ],
        **options,
    )


class Fleet:
    """A folder with manifests, and a tenant that records its requests and writes."""

    def __init__(
        self, folder: Path, stack: ExitStack, *tenant: str, rate: float = 2000
    ) -> None:
        self.folder, self._stack = folder, stack
        _, upstream = stack.enter_context(
            server_process(folder, *tenant, name="tenant", start=_recording)
        )
        (folder / "manifests").mkdir()
        text = MANIFEST.format(url=upstream).replace(
            "requestsPerSecond: 2000", f"requestsPerSecond: {rate}"
        )
        (folder / "manifests" / "all.yaml").write_text(text, encoding="utf-8")

    def serve(
        self, *options: str, name: str = "serve", **variables: str
    ) -> tuple[subprocess.Popen[str], str]:
        """Start an endpoint."""
        return self.run(
            ["serve", "-e", "prod", "--port", "0", *options], name, **variables
        )

    def run(
        self, words: list[str], name: str = "serve", **variables: str
    ) -> tuple[subprocess.Popen[str], str]:
        """Start a serving command; an empty variable is unset."""
        return self._stack.enter_context(
            server_process(self.folder, *words, name=name, variables=variables)
        )

    def record(self, kind: str) -> list[dict[str, Any]]:
        """Return the tenant's records of one kind."""
        lines = (self.folder / "record.jsonl").read_text("utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def writes(self) -> list[Key]:
        """Return the tenant's writes, in order."""
        return [
            (item["conversation"], item["cognigyConfidence"])
            for item in self.record("written")
        ]

    def newest(self) -> dict[str, float]:
        """Return the final attributes of each conversation."""
        return dict(self.writes())

    def log(self, *names: str) -> list[dict[str, Any]]:
        """Return the logs of endpoints of these names; a line is written after its response."""
        texts = [
            (self.folder / f"{name}.log").read_text("utf-8")
            for name in names or ("serve",)
        ]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def logged(self, count: int, *names: str) -> Counter[int]:
        """Return how often they logged each status, once there are so many requests, or at the
        end.
        """

        def found() -> Counter[int]:
            return Counter(
                line["status"]
                for line in self.log(*names)
                if line.get("path") == "/api/route"
            )

        until(5, lambda: found().total() >= count)
        return found()


def until(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until a condition holds, for at most so long."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@contextmanager
def fleet(folder: Path, *tenant: str, rate: float = 2000) -> Iterator[Fleet]:
    """Run a tenant; everything that is started with it ends with it."""
    with ExitStack() as stack:
        yield Fleet(folder, stack, *tenant, rate=rate)


@contextmanager
def shared(
    folder: Path, *tenant: str, rate: float = 2000
) -> Iterator[tuple[Fleet, RedisServer]]:
    """Run a tenant and a Redis."""
    with redis_server(folder) as server, fleet(folder, *tenant, rate=rate) as item:
        yield item, server


def machines(
    one: Fleet, server: RedisServer, *options: str, count: int = 2, **variables: str
) -> list[str]:
    """Start so many sharing endpoints; return their URLs once all are ready."""
    names = [f"machine-{number}" for number in range(count)]
    urls = [
        one.serve("--shared", server.url, *options, name=name, **variables)[1]
        for name in names
    ]
    for url in urls:
        assert ready(url), url
    return urls


def ready(url: str, seconds: float = 20, status: int = 200) -> bool:
    """Wait until an endpoint is ready, or is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (
            httpx.get(
                f"{url}/ready", trust_env=False, verify=PLAIN, timeout=10
            ).status_code
            == status
        ):
            return True
        time.sleep(0.05)
    return False


def shuffled(conversations: int, seed: int) -> list[Key]:
    """Return events of so many conversations in random order, a fifth of them twice."""
    chance = Random(seed)
    events = [
        (f"c-{item}", second / EVENTS)
        for item in range(conversations)
        for second in range(EVENTS)
    ]
    events += chance.sample(events, len(events) // 5)
    chance.shuffle(events)
    return events


def form(key: Key) -> dict[str, Any]:
    """Return the body of an event."""
    conversation, second = key
    stamp = f"2026-02-01T09:00:{round(second * EVENTS):02}Z"
    return event(conversationId=conversation, confidence=second, timestamp=stamp)


class Callers:
    """Callers, each with its own connection to one of the URLs, that post until the event is
    accepted.
    """

    def __init__(self, *urls: str, count: int = 16) -> None:
        self._urls, self._count = urls, count
        self.statuses: list[int] = []
        self.lost = 0
        """Connections that broke: their process was killed."""
        self._awaited = 0
        self._there = asyncio.Event()

    def leave(self, url: str) -> None:
        """Do not call this instance any more: it has ended, and a balancer would have noticed."""
        self._urls = tuple(item for item in self._urls if item != url)

    async def answered(self, count: int) -> None:
        """Wait for so many responses."""
        self._awaited = count
        await self._there.wait()

    async def post_all(self, keys: list[Key]) -> None:
        """Post events, each again until its response is 200."""
        await asyncio.gather(
            *(
                self._post_some(number, keys[number :: self._count])
                for number in range(self._count)
            )
        )

    async def _post_some(self, number: int, keys: list[Key]) -> None:
        async with AsyncExitStack() as stack:
            callers = {
                url: await stack.enter_async_context(caller(url)) for url in self._urls
            }
            for key in keys:
                for _ in range(400):
                    if (
                        await self._post(
                            callers[self._urls[number % len(self._urls)]], key
                        )
                        == 200
                    ):
                        break
                    await asyncio.sleep(0.05)
                else:
                    raise AssertionError(
                        f"{key} was never taken: {self.statuses[-20:]}"
                    )

    async def _post(self, http: httpx.AsyncClient, key: Key) -> int:
        try:
            status = (await http.post("/api/route", json=form(key))).status_code
        except httpx.TransportError:
            self.lost += 1
            return 0
        self.statuses.append(status)
        if len(self.statuses) >= self._awaited > 0:
            self._there.set()
        return status


def caller(url: str) -> httpx.AsyncClient:
    """Return a caller with its own connection."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"X-API-Key": KEY},
        trust_env=False,
        verify=PLAIN,
        timeout=20,
    )


def gone_back(writes: list[Key]) -> list[Key]:
    """Return the writes that follow a newer one of their conversation."""
    newest: dict[str, float] = {}
    actual = []
    for conversation, second in writes:
        if second < newest.get(conversation, -1.0):
            actual.append((conversation, second))
        newest[conversation] = max(second, newest.get(conversation, -1.0))
    return actual


async def flood(*urls: str) -> None:
    """Post so many events over twenty connections, without pauses."""

    async def posts(number: int) -> None:
        async with caller(urls[number % len(urls)]) as http:
            for turn in range(FLOOD // 20):
                await http.post("/api/route", json=form((f"c-{number}-{turn}", 0.5)))

    await asyncio.gather(*(posts(number) for number in range(20)))


def too_fast(moments: list[float], rate: float) -> list[tuple[int, float]]:
    """Return the periods with more calls than the rate allows: number of calls and of seconds.

    A tolerance of one second and ten calls: a busy machine delays some calls, which then arrive
    together.
    """
    actual = []
    for start, began in enumerate(moments):
        for end in range(start, len(moments)):
            seconds = moments[end] - began
            if end - start + 1 > (seconds + 1) * rate + 10:
                actual.append((end - start + 1, seconds))
    return actual
