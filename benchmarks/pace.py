"""How fast rules are made on a tenant that allows 100 requests a second, 10 at once, and takes 50
ms for each.

One client in a process of its own: pace.py cxroute|httpx URL MANIFESTS COUNT. Prints as JSON the
seconds from the first create sent to the last one answered, the 429s, and how many were not made.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

if TYPE_CHECKING:
    from reconciler.targets.platform.transport.request import (
        ApiRequest,
        ApiResponse,
        Transport,
    )
    from tests.support.paced_calls import RetryAfter

LIMIT = 100.0
BURST = 10
LATENCY = 0.05
AT_ONCE = 16
TRIES = 5
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


class Done(NamedTuple):
    """What came of one run."""

    seconds: float
    refused: int
    made: int
    failed: int

    def fraction(self) -> float:
        """Return the part of what the tenant can do at the most."""
        return ((self.made - BURST) / LIMIT + LATENCY) / self.seconds


class Watched(httpx.AsyncBaseTransport):
    """Notes when creates go out and are answered, and how."""

    def __init__(self, below: httpx.AsyncBaseTransport) -> None:
        self._below = below
        self._times: list[float] = []
        self._statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request."""
        if request.method != "POST" or not request.url.path.endswith("/rules"):
            return await self._below.handle_async_request(request)
        self._times.append(time.monotonic())
        answer = await self._below.handle_async_request(request)
        await answer.aread()
        self._times.append(time.monotonic())
        self._statuses.append(answer.status_code)
        return answer

    async def aclose(self) -> None:
        """Close what carries the bytes."""
        await self._below.aclose()

    def done(self, wanted: int) -> Done:
        """Return what came of it."""
        created = self._statuses.count(201)
        return Done(
            max(self._times) - min(self._times),
            self._statuses.count(429),
            created,
            wanted - created,
        )


def with_cxroute(documents: Path, wanted: int) -> Done:
    """`cxroute apply --yes`, on a transport that is watched."""
    from reconciler.cli.main import main
    from reconciler.targets.platform.transport import aiohttp_transport as network

    times: list[float] = []
    statuses: list[int] = []
    below = network.network_transport

    @asynccontextmanager
    async def watched(*settings: Any) -> AsyncIterator[Transport]:  # noqa: ANN401 - whatever the real one takes
        async with below(*settings) as transport:

            async def send(request: ApiRequest) -> ApiResponse:
                is_create = request.method == "POST" and request.target.endswith(
                    "/rules"
                )
                began = time.monotonic()
                response = await transport(request)
                if is_create:
                    times.extend((began, time.monotonic()))
                    statuses.append(response.status)
                return response

            yield send

    network.network_transport = watched
    with redirect_stdout(StringIO()):
        main(["-m", str(documents), "-e", "bench", "-q", "apply", "--yes"])
    created = statuses.count(201)
    return Done(max(times) - min(times), statuses.count(429), created, wanted - created)


async def with_httpx(url: str, wanted: int) -> Done:
    """As a tutorial has it: so many at once, and after a 429 or a 5xx twice as long a wait each
    time.
    """
    watched = Watched(httpx.AsyncHTTPTransport())
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(transport=watched, base_url=url) as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": "bench",
            "client_secret": "bench",
        }
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

        queue = (await client.get("/api/v2/routing/queues")).json()["entities"][0]["id"]

        async def create(number: int) -> None:
            targets = [{"type": "queue", "queueId": queue, "weight": 1}]
            condition = {
                "type": "attribute",
                "attributeName": "a",
                "operator": "equals",
                "value": f"{number}",
            }
            rule = {
                "name": f"rule {number}",
                "description": "",
                "priority": number,
                "enabled": True,
            }
            rule |= {"conditions": [condition], "targets": targets}
            async with places:
                for attempt in range(TRIES):
                    answer = await client.post("/api/v2/routing/rules", json=rule)
                    if answer.status_code != 429 and answer.status_code < 500:
                        return
                    await asyncio.sleep(2**attempt)

        await asyncio.gather(*(create(number) for number in range(wanted)))
    return watched.done(wanted)


@contextmanager
def limited(documents: Path) -> Iterator[str]:
    """Serve an empty tenant of that limit over a socket; yields its URL."""
    limits = ["--rate", f"{LIMIT:g}", "--latency-ms", f"{LATENCY * 1000:g}"]
    command = [
        sys.executable,
        "-m",
        "reconciler",
        "simulate",
        "--port",
        "0",
        *limits,
        "-m",
        str(documents),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "-e", "bench"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as server:
        try:
            assert server.stdout is not None
            yield next(
                actual.group()
                for line in server.stdout
                if (actual := re.search(r"http://[\d.]+:\d+", line))
            )
        finally:
            server.terminate()
            server.wait(30)


def measured(way: str, count: int, rate: float, work: Path) -> Done:
    """Make so many rules on a fresh tenant, by a client in a process of its own."""
    documents = work / f"pace-{count}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CXONE_CLIENT_ID": "bench",
        "CXONE_CLIENT_SECRET": "bench",
    }
    write = [
        sys.executable,
        str(ROOT / "benchmarks/workload.py"),
        "manifests",
        str(documents),
        str(count),
    ]
    subprocess.run([*write, "http://127.0.0.1:1"], check=True, env=environment)
    with limited(documents) as url:
        subprocess.run([*write, url], check=True, env=environment)
        text = (documents / "environment.yaml").read_text()
        (documents / "environment.yaml").write_text(
            text.replace("Second: 10000", f"Second: {rate:g}")
        )
        command = [sys.executable, __file__, way, url, str(documents), str(count)]
        return Done(
            *json.loads(subprocess.check_output(command, env=environment, cwd=work))
        )


SHARES = (0.025, 0.1, 0.2, 0.5, 0.8, 1.0)


def print_table(told: float, calls: int, retry_after: RetryAfter) -> None:
    """Print the time as a multiple of an omniscient client's, and the 429s after 75 calls, by
    bucket and limit.
    """
    from tests.support.paced_calls import Workload, multiple

    headings = " ".join(f"{share:>11g}" for share in SHARES)
    print(f"{calls:,} calls, told {told:g}/s, Retry-After {retry_after:<8} {headings}")
    for bucket, random_share in (
        (1, 0.0),
        (5, 0.0),
        (10, 0.0),
        (50, 0.0),
        (10, 0.05),
        (10, 0.25),
    ):
        cells = []
        for share in SHARES:
            workload = Workload(
                told=told,
                limit=told * share,
                bucket=bucket,
                calls=calls,
                random_share=random_share,
                retry_after=retry_after,
            )
            times, refused = multiple(workload, range(3))
            cells.append(f"{times:5.2f} {refused:5.1%}")
        print(
            f"  bucket {bucket:>2}, random 429s {random_share:>4.0%}              "
            f"{' '.join(cells)}",
            flush=True,
        )


def bench_table() -> None:
    """Print the tables on the virtual clock."""
    print(
        "time on the virtual clock, as a multiple of an omniscient client's, by limit/told, and "
        "429s after 75 calls"
    )
    for output, calls in ((20.0, 300), (50.0, 300), (200.0, 300), (200.0, 3_000)):
        print_table(output, calls, "seconds")
    print_table(50.0, 300, "0")
    print_table(50.0, 300, "none")
    print(
        "  at 50/s: at most 1.5 (bucket 1: 2.5), and 5 % 429s if the limit is 10/s or more"
    )


def bench(runs: int, work: Path) -> None:
    """Print the tables; then make rules by a rate that is the tenant's limit, and by others that
    are beyond it.
    """
    bench_table()
    print(
        "creates on a tenant of 100/s                       of limit   429s  not made"
    )
    for count, rates in (
        (1_000, (100.0, 110.0, 125.0, 150.0, 200.0)),
        (3_000, (125.0, 200.0)),
    ):
        for way, rate in [*(("cxroute", rate) for rate in rates), ("httpx", 1.0)]:
            actual = [
                measured(way, count, rate, work)
                for _ in range(runs if way == "cxroute" else 1)
            ]
            output = (
                f"told {rate:g}/s"
                if way == "cxroute"
                else "16 at a time, waits of 2^n s"
            )
            fraction = statistics.median(item.fraction() for item in actual)
            refused = max(item.refused for item in actual)
            failed = max(item.failed for item in actual)
            print(
                f"  {count:>5,}, {way}, {output:<33} {fraction:8.3f} {refused:6,} {failed:9,}",
                flush=True,
            )
    print(
        "  at least 0.97 and no 429 where the rate is the limit; 0.70 where it is beyond it"
    )


if __name__ == "__main__":
    name, base, folder, number = sys.argv[1:]
    if name == "cxroute":
        result = with_cxroute(Path(folder), int(number))
    else:
        result = asyncio.run(with_httpx(base, int(number)))
    print(json.dumps(result))
