"""A service and its table: none, a swap under load, a store that is lost, and events beside it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.target import Author
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.publication import Publication
from tests.features.endpoint.decide.decision_endpoint import DecisionEndpoint, in_folder
from tests.features.endpoint.in_process_endpoint import NOW, Upstream, event
from tests.support.served_tables import ENDPOINT, a_table, rule_json

FRAUD = a_table(rule_json("lost"))
BILLING_TARGET = [{"type": "queue", "queueId": "4002", "weight": 1}]
BILLING = a_table(rule_json("lost", targets=BILLING_TARGET))
QUEUE_BY_DIGEST = {FRAUD.digest: "4001", BILLING.digest: "4002"}


def test_without_a_table_there_is_no_answer(tmp_path: Path) -> None:
    """/ready and /decide are 503, /exchange answers Error, an event is not written."""

    async def ask() -> list[Any]:
        service = in_folder(tmp_path)
        ready = await service.endpoint.request("GET", "/ready")
        decided = await service.post("/decide", {"intent": "lost"})
        written = await service.post("/api/route", event())
        exchanged = await service.exchange({})
        assert service.endpoint.upstream.writes == []
        assert 'cxroute_decisions_total{outcome="error"} 2' in await service.page()
        statuses = [ready.status, decided.status, written.status]
        return [*statuses, exchanged["branchName"]]

    assert asyncio.run(ask()) == [503, 503, 503, "Error"]


def test_a_publication_is_in_force_with_its_answer(tmp_path: Path) -> None:
    """A request after it is by the new table; the metrics name it."""

    async def ask() -> None:
        service = in_folder(tmp_path)
        headers = ((b"content-type", b"application/json"), (b"if-none-match", b"*"))
        body = json.dumps(FRAUD.to_json()).encode()
        published = await service.endpoint.request("PUT", "/rules", body, headers)
        assert published.status == 200
        answer = await service.decide(intent="lost")
        assert answer["digest"] == FRAUD.digest == published.form["digest"]
        digest = f'digest="{FRAUD.digest}",version="1"'
        assert f"cxroute_table_info{{{digest}}} 1" in await service.page()

    asyncio.run(ask())


def test_another_process_publishes(tmp_path: Path) -> None:
    """A service finds the table of another one by itself, with and without its task."""

    async def ask() -> None:
        publisher = in_folder(tmp_path)
        await publisher.publish(FRAUD)
        service = in_folder(tmp_path)
        assert (await service.decide(intent="lost"))["digest"] == FRAUD.digest
        task = asyncio.create_task(service.service.follower.run())
        await publisher.publish(BILLING)
        async with asyncio.timeout(10):
            digest = ""
            while digest != BILLING.digest:
                await asyncio.sleep(0.02)
                digest = (await service.decide(intent="lost"))["digest"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(ask())


def test_a_swap_under_load_is_whole(tmp_path: Path) -> None:
    """While tables are published, each answer of each route is by one table: its digest and its
    queue match.
    """

    async def ask(service: DecisionEndpoint, end: asyncio.Event) -> Counter[str]:
        seen = Counter[str]()
        while not end.is_set():
            decided = await service.decide(intent="lost")
            exchanged = await service.exchange({"customPayload": {"intent": "lost"}})
            variables = exchanged["customPayload"]
            assert decided["queue"]["id"] == QUEUE_BY_DIGEST[decided["digest"]]
            assert variables["cxr_skill"] == QUEUE_BY_DIGEST[variables["cxr_digest"]]
            seen[decided["digest"]] += 1
            await asyncio.sleep(0)
        return seen

    async def swap() -> Counter[str]:
        service = in_folder(tmp_path)
        await service.publish(FRAUD)
        end = asyncio.Event()
        asking = [asyncio.create_task(ask(service, end)) for _ in range(4)]
        for number in range(30):
            await service.publish(FRAUD if number % 2 else BILLING)
        end.set()
        return sum(await asyncio.gather(*asking), Counter[str]())

    assert set(asyncio.run(swap())) == set(QUEUE_BY_DIGEST)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_lost_store_leaves_the_table(tmp_path: Path, content: bytes | None) -> None:
    """A file that is removed or damaged: the service decides on, and its metrics and log say so."""

    async def ask() -> None:
        service = in_folder(tmp_path)
        await service.publish(FRAUD)
        file = tmp_path / "table.json"
        kept = file.read_bytes()
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        await service.service.follower.look()
        assert (await service.decide(intent="lost"))["digest"] == FRAUD.digest
        assert "cxroute_table_away 1" in await service.page()
        assert [line["state"] for line in stores(service)] == ["away"]
        file.write_bytes(kept)
        await service.service.follower.look()
        assert "cxroute_table_away 0" in await service.page()
        assert [line["state"] for line in stores(service)] == ["away", "open"]

    asyncio.run(ask())


class StalledTables(FileTables):
    """A store that does not answer while `stalled` is set, as a frozen Redis."""

    stalled: asyncio.Event | None = None

    async def current(self) -> Publication | None:
        """Return the table, or wait."""
        if self.stalled is not None:
            await self.stalled.wait()
        return await super().current()


def test_a_store_that_does_not_answer_delays_nothing(tmp_path: Path) -> None:
    """While a look at it lasts, decisions are by the table that is held."""

    async def ask() -> None:
        store = StalledTables(tmp_path / "table.json")
        service = DecisionEndpoint(store)
        await service.publish(FRAUD)
        store.stalled = asyncio.Event()
        look = asyncio.create_task(service.service.follower.look())
        await asyncio.sleep(0)
        assert (await service.decide(intent="lost"))["digest"] == FRAUD.digest
        assert not look.done()
        store.stalled.set()
        await look

    asyncio.run(ask())


def stores(service: DecisionEndpoint) -> list[dict[str, Any]]:
    """Return the lines of the log about the store."""
    return [line for line in service.log if line["event"] == "store"]


def test_an_event_has_the_same_decision(tmp_path: Path) -> None:
    """A written event has it, by the table's fallback and names; one that failed has none."""
    fallback = {"intent": "lost", "minConfidence": 0.5, "knownIntents": []}
    endpoint = {**ENDPOINT, "intent": "topic", "fallback": fallback}
    condition = {
        "type": "attribute",
        "attributeName": "topic",
        "operator": "equals",
        "value": "lost",
    }
    table = a_table(rule_json("lost", conditions=[condition]), endpoint=endpoint)

    async def ask() -> None:
        upstream = Upstream(faults=[None, TimeoutError()])
        service = in_folder(tmp_path, upstream=upstream)
        await service.publish(table)
        unsure = event(confidence=0.1)
        written = await service.post("/api/route", unsure)
        decided = await service.decide(
            conversationId="c-1", intent="billing", confidence=0.1
        )
        assert written.form["decision"] == decided
        assert decided["fallback"] == written.form["fallback"] == "unsure"
        _, attributes = upstream.writes[0]
        assert attributes["topic"] == "lost"
        failed = await service.post("/api/route", event(conversationId="c-2"))
        assert failed.status == 504
        assert "decision" not in failed.form

    asyncio.run(ask())


def test_events_follow_the_fallback_of_a_new_table(tmp_path: Path) -> None:
    """Without a restart; the digest in the metrics is that of the new fallback."""
    fallback = {"intent": "none", "minConfidence": 0.5, "knownIntents": ["lost"]}
    table = a_table(rule_json("lost"), endpoint={**ENDPOINT, "fallback": fallback})

    async def ask() -> None:
        service = in_folder(tmp_path)
        await service.publish(FRAUD)
        before = await service.post("/api/route", event(confidence=0.1))
        await service.publish(table)
        later = event(conversationId="c-2", confidence=0.1)
        after = await service.post("/api/route", later)
        assert "fallback" not in before.form
        assert after.form["fallback"] == "unknown"
        digest = table.settings.fallback.digest
        page = await service.page()
        assert f'cxroute_fallback_info{{digest="{digest}"}} 1' in page
        assert 'intent="lost",confidence="0.9",fallback="none"} 0' in page

    asyncio.run(ask())


def test_a_restart_keeps_table_and_decisions(tmp_path: Path) -> None:
    """A new process on the file answers the same, for each conversation of a split."""
    both = [{**BILLING_TARGET[0], "queueId": name} for name in ("4001", "4002")]

    async def ask() -> None:
        first = in_folder(tmp_path)
        await first.publish(a_table(rule_json("lost", targets=both)))
        names = [f"c-{number}" for number in range(50)]
        answers = [
            await first.decide(conversationId=name, intent="lost") for name in names
        ]
        second = in_folder(tmp_path)
        assert answers == [
            await second.decide(conversationId=name, intent="lost") for name in names
        ]

    asyncio.run(ask())


def test_half_a_character_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """A store could not read such a table again: 422, and the old table stays."""
    bad = a_table(rule_json("lost", note="\ud800"))

    async def ask() -> None:
        service = in_folder(tmp_path)
        published = await service.publish(FRAUD)
        headers = (
            (b"content-type", b"application/json"),
            (b"if-match", published.etag.encode()),
        )
        body = json.dumps(bad.to_json()).encode()
        reply = await service.endpoint.request("PUT", "/rules", body, headers)
        assert reply.status == 422
        current = await FileTables(tmp_path / "table.json").current()
        assert current == published
        again = await service.store.publish(BILLING, published.etag, Author(), NOW)
        assert again.facts.version == 2

    asyncio.run(ask())
