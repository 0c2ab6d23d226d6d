"""Publishers that race, and a publisher that is killed: one table wins, and it is whole."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from reconciler.core.target import Author
from reconciler.features.endpoint.redis.tables import RedisTables
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    Publication,
    PublishConflictError,
    StoreUnavailableError,
    TableStore,
)
from tests.features.endpoint.decide.publishing_process import edition
from tests.features.endpoint.in_process_endpoint import NOW
from tests.features.endpoint.redis_server import redis_server, shared_redis
from tests.support.command import ROOT
from tests.support.served_tables import a_table, rule_json
from tests.tiers import size

TABLES = (a_table(rule_json("lost")), a_table(rule_json("fee")))


async def race(stores: Sequence[TableStore], tag: str | None) -> Publication:
    """Publish a table over each store at once; return the one that won.

    The other one gets the conflict, with the tag of the winner, which both stores have now.
    """
    work = [
        store.publish(table, tag, Author(name), NOW)
        for store, table, name in zip(stores, TABLES, ("one", "two"), strict=True)
    ]
    results = await asyncio.gather(*work, return_exceptions=True)
    won = [result for result in results if isinstance(result, Publication)]
    lost = [result for result in results if isinstance(result, PublishConflictError)]
    assert (len(won), len(lost)) == (1, 1), results
    current = lost[0].current
    assert current is not None
    assert current.etag == won[0].etag
    for store in stores:
        found = await store.current()
        assert found is not None
        assert found.to_json() == won[0].to_json()
    return won[0]


async def race_often(stores: Sequence[TableStore]) -> None:
    """Race on the first table and on each following one; each version is there once."""
    tag: str | None = None
    rounds = size(fast=40, slow=500)
    for number in range(1, rounds + 1):
        published = await race(stores, tag)
        assert published.facts.version == number
        tag = published.etag
    versions = [facts.version for facts in await stores[0].versions()]
    assert versions == list(range(rounds, max(rounds - KEPT_VERSIONS, 0), -1))


def test_one_of_two_publishers_wins_a_file(tmp_path: Path) -> None:
    """The other one learns the tag, and nothing of its table is there."""
    path = tmp_path / "table.json"
    asyncio.run(race_often([FileTables(path), FileTables(path)]))
    assert not list(tmp_path.rglob("*.new"))


def test_one_of_two_publishers_wins_in_redis(tmp_path: Path) -> None:
    """As in a file, with two connections to a real server."""

    async def run() -> None:
        async with shared_redis(server) as one, shared_redis(server) as two:
            await race_often([RedisTables(one), RedisTables(two)])

    with redis_server(tmp_path) as server:
        asyncio.run(run())


def test_redis_keeps_the_last_versions(tmp_path: Path) -> None:
    """Each is found whole by another instance; older ones are forgotten."""

    async def run() -> None:
        async with shared_redis(server) as one, shared_redis(server) as two:
            writer = RedisTables(one)
            reader = RedisTables(two)
            assert await reader.current() is None
            assert list(await reader.versions()) == []
            tag = None
            for number in range(KEPT_VERSIONS + 2):
                table = TABLES[number % 2]
                published = await writer.publish(table, tag, Author("me", "abc"), NOW)
                tag = published.etag
            assert await reader.current() == published
            facts = await reader.versions()
            assert facts[0] == published.facts
            assert len(facts) == KEPT_VERSIONS
            assert await reader.version(2) is None
            kept = await reader.version(3)
            assert kept is not None
            assert kept.table == TABLES[0]

    with redis_server(tmp_path) as server:
        asyncio.run(run())


def test_a_lost_redis_neither_reads_nor_publishes(tmp_path: Path) -> None:
    """Each call says so; after its return, empty, the first table can be published again."""

    async def run() -> None:
        async with shared_redis(server) as redis:
            store = RedisTables(redis)
            published = await store.publish(TABLES[0], None, Author(), NOW)
            server.kill()
            with pytest.raises(StoreUnavailableError):
                await store.current()
            with pytest.raises(StoreUnavailableError):
                await store.publish(TABLES[1], published.etag, Author(), NOW)
            server.start()
            assert await store.current() is None
            with pytest.raises(PublishConflictError):
                await store.publish(TABLES[1], published.etag, Author(), NOW)
            again = await store.publish(TABLES[1], None, Author(), NOW)
            assert again.facts.version == 1

    with redis_server(tmp_path) as server:
        asyncio.run(run())


def test_a_killed_publisher_leaves_a_whole_table(tmp_path: Path) -> None:
    """Killed at any moment: the file has the last complete publication or the next one, and the
    next publisher goes on from it.
    """
    path = tmp_path / "table.json"
    random = Random(9)
    digests = {edition(number).digest for number in range(2)}
    for _ in range(size(fast=4, slow=100)):
        last = publish_and_kill(path, random.uniform(0, 0.03))
        store = FileTables(path)
        current = asyncio.run(store.current())
        assert current is not None
        assert current.facts.version in (last, last + 1)
        assert current.facts.digest in digests
        work = store.publish(edition(0), current.etag, Author(), NOW)
        published = asyncio.run(work)
        assert published.facts.version == current.facts.version + 1
        assert not list(tmp_path.rglob("*.new"))


def publish_and_kill(path: Path, delay: float) -> int:
    """Kill a publisher a moment after its first publication; return the last that it completed."""
    module = "tests.features.endpoint.decide.publishing_process"
    command = [sys.executable, "-m", module, str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    lines = [line for line in (first + rest).split("\n")[:-1] if line]
    return int(lines[-1])
