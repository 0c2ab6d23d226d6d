"""The sandbox's published tables: in its state file, and followed there by a running service."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.core.target import Author
from reconciler.features.practice.sandbox_tables import SandboxTables
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    PublishConflictError,
    StoreUnavailableError,
)
from tests.support.served_tables import a_table, rule_json

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LOST = a_table(rule_json("lost"))
FEE = a_table(rule_json("fee"))


def test_a_running_service_follows_the_file(tmp_path: Path) -> None:
    """What another process publishes is read at the next look."""
    path = tmp_path / "sandbox.json"
    running = SandboxTables(path)
    other = SandboxTables(path)

    async def work() -> None:
        assert await running.current() is None
        first = await other.publish(LOST, None, Author("bob"), NOW)
        assert await running.current() == first
        second = await running.publish(FEE, first.etag, Author(), NOW)
        assert await other.current() == second
        with pytest.raises(PublishConflictError):
            await other.publish(LOST, first.etag, Author(), NOW)
        facts = await other.versions()
        assert [each.version for each in facts] == [2, 1]
        assert await running.version(1) == first
        assert await running.version(9) is None

    asyncio.run(work())


def test_the_state_keeps_the_last_versions(tmp_path: Path) -> None:
    """And everything else that it has."""
    path = tmp_path / "sandbox.json"
    path.write_text(json.dumps({"queues": [{"id": "q", "name": "Fraud"}]}), "utf-8")
    store = SandboxTables(path)

    async def work() -> None:
        tag = None
        for _ in range(KEPT_VERSIONS + 3):
            tag = (await store.publish(LOST, tag, Author(), NOW)).etag

    asyncio.run(work())
    state = json.loads(path.read_text("utf-8"))
    assert sorted(map(int, state["tables"])) == list(range(4, KEPT_VERSIONS + 4))
    assert state["queues"] == [{"id": "q", "name": "Fraud"}]


def test_a_damaged_state_is_unavailable(tmp_path: Path) -> None:
    """The file is named, and stays."""
    path = tmp_path / "sandbox.json"
    damaged = ("{", '{"tables": {"1": {"rules": []}}}', '{"tables": {"abc": {}}}')
    for content in damaged:
        path.write_text(content, "utf-8")
        store = SandboxTables(path)
        with pytest.raises(StoreUnavailableError):
            asyncio.run(store.current())
        with pytest.raises(StoreUnavailableError):
            asyncio.run(store.publish(LOST, None, Author(), NOW))
        assert path.read_text("utf-8") == content
