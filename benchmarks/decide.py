"""The decision service under a steady load: latency by the number of rules, and during a
publication.

An open loop: each request starts at its time, whether or not earlier ones are answered, so that a
pause of the service shows in every request that it delays. The load comes from this process, the
service has its own; both share the machine.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from endpoint import _await, _process

ROOT = Path(__file__).resolve().parent.parent
PORT = 18_500
RATE = 500  # decisions a second
SIZES = (100, 1_000, 10_000)
KEYS = {
    "CXROUTE_API_KEYS": "key-of-a-script",
    "CXROUTE_ADMIN_KEYS": "key-of-a-publisher",
}
MANIFEST = f"""apiVersion: routing/v1
kind: Environment
name: bench
owner: bench
api: {{rules: served, served: {{url: "http://127.0.0.1:{PORT}"}}}}
"""
LIMITS = {
    "p99 of decisions, ms": 50.0,
    "p99 during a publication, ms": 100.0,
    "publication, s": 1.0,
}


def bench(seconds: int, work: Path) -> None:
    """Print the latencies at each number of rules, and those around publications."""
    home = work / "decide"
    home.mkdir(parents=True, exist_ok=True)
    (home / "environment.yaml").write_text(MANIFEST)
    print(
        f"decide: {RATE} decisions a second for {seconds} s   p50 ms   p99 ms   max ms"
    )
    for count in SIZES:
        (home / "table.json").unlink(missing_ok=True)
        with _service(home):
            tag = _publish(_table(count, 0), None)[0]
            asyncio.run(_load(count, 1))
            latencies = asyncio.run(_load(count, seconds))
            _print(f"{count:,} rules", latencies)
            if count == SIZES[-1]:
                _check("p99 of decisions, ms", _quantile(latencies, 99))
                _bench_publications(count, tag, seconds)


def _bench_publications(count: int, tag: str, seconds: int) -> None:
    """Publish once a second during a load, from a process of its own."""
    durations: list[float] = []

    async def publish_often(publisher: ProcessPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        current = tag
        for number in range(1, seconds):
            body = bodies[number - 1]
            work = loop.run_in_executor(publisher, _publish, body, current)
            current, taken = await work
            durations.append(taken)
            await asyncio.sleep(1)

    async def both(publisher: ProcessPoolExecutor) -> list[float]:
        loading = asyncio.create_task(_load(count, seconds))
        await publish_often(publisher)
        return await loading

    bodies = [_table(count, number) for number in range(1, seconds)]
    with ProcessPoolExecutor(1) as publisher:
        latencies = asyncio.run(both(publisher))
    _print(f"{count:,} rules, {len(durations)} publications", latencies)
    _check("p99 during a publication, ms", _quantile(latencies, 99))
    _check("publication, s", max(durations))


def _check(name: str, value: float) -> None:
    limit = LIMITS[name]
    verdict = "within" if value <= limit else "ABOVE"
    print(f"  {name}: {value:.2f} ({verdict} {limit:g})")


def _print(name: str, latencies: list[float]) -> None:
    quantiles = [_quantile(latencies, part) for part in (50, 99)]
    figures = "".join(f"{value:9.2f}" for value in (*quantiles, max(latencies)))
    print(f"  {name:<40}{figures}")


def _quantile(latencies: list[float], part: int) -> float:
    return statistics.quantiles(latencies, n=100)[part - 1]


@contextmanager
def _service(home: Path) -> Iterator[None]:
    command = [
        *(sys.executable, "-m", "reconciler", "-m", str(home), "-e", "bench"),
        *(
            "serve",
            "--decide",
            "--table",
            str(home / "table.json"),
            "--port",
            str(PORT),
        ),
    ]
    variables = {**KEYS, "PYTHONPATH": str(ROOT)}
    with _process(command, variables, home) as process:
        _await(PORT, "/health", process)
        yield


def _publish(body: bytes, tag: str | None) -> tuple[str, float]:
    """Publish a table; return its tag, and the seconds."""
    headers = {
        "Authorization": f"Bearer {KEYS['CXROUTE_ADMIN_KEYS']}",
        "Content-Type": "application/json",
        **({"If-Match": tag} if tag else {"If-None-Match": "*"}),
    }
    url = f"http://127.0.0.1:{PORT}/rules"
    request = urllib.request.Request(url, body, headers, method="PUT")
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - this machine
        return response.headers["etag"], time.perf_counter() - started


async def _load(count: int, seconds: int) -> list[float]:
    """Send decisions at the rate; return each latency in ms. Every answer must be a decision."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    gc.disable()  # a pause of this process would count as one of the service
    draw = random.Random(count)  # noqa: S311 - equal loads
    headers = {"Authorization": f"Bearer {KEYS['CXROUTE_API_KEYS']}"}
    url = f"http://127.0.0.1:{PORT}/decide"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(due: float, number: int) -> None:
            await asyncio.sleep(max(due - loop.time(), 0))
            question = {
                "conversationId": f"c-{number}",
                "intent": f"intent-{draw.randrange(count * 2)}",
                "confidence": round(draw.random(), 3),
                "attributes": {"tier": draw.choice(["gold", "silver"])},
            }
            async with session.post(url, json=question) as response:
                answer = await response.json()
                assert response.status == 200, answer
                assert "digest" in answer, answer
            latencies.append((loop.time() - due) * 1000)

        start = loop.time() + 0.2
        total = RATE * seconds
        await asyncio.gather(*(ask(start + n / RATE, n) for n in range(total)))
    return latencies


def _table(count: int, edition: int) -> bytes:
    """Return a table of rules on an intent, some with a bound, a tier or a split, and a catch-all."""
    rules = [_rule(number, edition) for number in range(count - 1)]
    rules.append(_rule(count, edition, conditions=[], priority=10**6))
    queues = [{"id": str(4000 + n), "name": f"Queue {n}"} for n in range(40)]
    fallback = {"intent": "intent-1", "minConfidence": 0.2, "knownIntents": []}
    endpoint = {
        "intent": "cognigyDetectedIntent",
        "confidence": "cognigyConfidence",
        "fallback": fallback,
        "types": {},
    }
    table = {
        "rules": rules,
        "queues": queues,
        "endpoint": endpoint,
        "evaluation": "lowest-first",
        "answer": "id",
        "variables": {},
    }
    return json.dumps(table).encode()


def _rule(number: int, edition: int, **fields: object) -> dict[str, Any]:
    conditions = [_test("cognigyDetectedIntent", "equals", f"intent-{number}")]
    if number % 3 == 0:
        conditions.append(_test("cognigyConfidence", "greaterThanOrEqual", 0.6))
    if number % 10 == 0:
        conditions = [_test("tier", "equals", "gold"), *conditions[1:]]
        conditions.append(_test("cognigyConfidence", "lessThan", number / 10**6))
    return {
        "id": f"bench/rules/r{number}",
        "name": f"rule {number}",
        "description": f"[cxroute:bench/rules/r{number}#0000000{edition % 10}]",
        "priority": number,
        "enabled": True,
        "conditions": conditions,
        "targets": [
            {
                "type": "queue",
                "queueId": str(4000 + (number + edition) % 40),
                "weight": 1,
            },
            {"type": "queue", "queueId": str(4000 + number % 7), "weight": 1},
        ],
        **fields,
    }


def _test(attribute: str, operator: str, value: object) -> dict[str, Any]:
    return {
        "type": "attribute",
        "attributeName": attribute,
        "operator": operator,
        "value": value,
    }
