"""The published table: complete checks, one digest for one content, and its routes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model.rule import Address
from reconciler.core.target import Author
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    PublishConflictError,
    StoreUnavailableError,
    parse_publication,
)
from reconciler.targets.decide.rules_routes import RulesRequest, RulesResponse, respond
from reconciler.targets.decide.table import (
    MAX_TABLE_BYTES,
    TableError,
    decode_table,
    parse_table,
    published_id,
)
from tests.support.cases import each_case
from tests.support.served_tables import ENDPOINT, QUEUES, a_table, rule_json, table_json

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LOST = rule_json("lost")
FEE = rule_json("fee")


def test_a_table_survives_its_own_json() -> None:
    """Every part and every unknown field of a rule, with an equal digest."""
    table = a_table({**LOST, "colour": ["red", {"x": 1.5}]}, FEE)
    again = decode_table(json.dumps(table.to_json()))
    assert again == table
    assert again.digest == table.digest
    assert again.rules[0].raw["colour"] == ["red", {"x": 1.5}]


def test_what_a_get_gave_is_accepted() -> None:
    """The fields of the server are ignored: the digest is that of the content."""
    table = a_table(LOST)
    stated = {**table.to_json(), "digest": "x", "version": 7, "publishedBy": "eve"}
    assert parse_table(stated).digest == table.digest


def test_each_content_has_its_own_digest() -> None:
    """Rules, queues, fallback, order, answer and names in the payload are content."""
    fallback = {"intent": "none", "minConfidence": 0.4, "knownIntents": ["lost"]}
    tables = [
        a_table(LOST),
        a_table(LOST, FEE),
        a_table(LOST, queues=[*QUEUES, {"id": "4003", "name": "Help"}]),
        a_table(LOST, endpoint={**ENDPOINT, "fallback": fallback}),
        a_table(LOST, evaluation="highest-first"),
        a_table(LOST, answer="name"),
        a_table(LOST, variables={"tier": "customer_tier"}),
    ]
    assert len({table.digest for table in tables}) == len(tables)


OPAQUE = {"type": "schedule", "open": True}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no rules": ({"rules": 5}, "rules"),
    "a rule that is a text": ({"rules": ["x"]}, "rules.0"),
    "a rule without a name": ({"rules": [{**LOST, "name": 5}]}, "rules.0"),
    "an operator that is not known": (
        {
            "rules": [
                {**LOST, "conditions": [{**LOST["conditions"][0], "operator": "~"}]}
            ]
        },
        '"cards/lost": conditions',
    ),
    "another kind of condition": (
        {"rules": [{**LOST, "conditions": [OPAQUE]}]},
        '"cards/lost": conditions',
    ),
    "another kind of target": (
        {"rules": [{**LOST, "targets": [{"type": "agent", "id": "1"}]}]},
        '"cards/lost": targets',
    ),
    "a queue that is not listed": (
        {"rules": [{**LOST, "targets": [{"type": "queue", "queueId": "9"}]}]},
        'no queue has the id "9"',
    ),
    "an id twice": ({"rules": [LOST, LOST]}, "two have the id"),
    "an address twice": (
        {"rules": [LOST, {**LOST, "id": "x"}]},
        "two are acme/cards/lost",
    ),
    "an id like an address": (
        {"rules": [{**LOST, "id": "cards/lost"}]},
        "form of an address",
    ),
    "a queue twice": ({"queues": [*QUEUES, QUEUES[0]]}, "two have the id"),
    "a name twice where names are sent": (
        {"answer": "name", "queues": [*QUEUES, {"id": "9", "name": "Billing"}]},
        "two have the name",
    ),
    "no name where names are sent": (
        {"answer": "name", "queues": [*QUEUES, {"id": "9", "name": ""}]},
        "no name",
    ),
    "another order": ({"evaluation": "random"}, "evaluation"),
    "another type": ({"endpoint": {**ENDPOINT, "types": {"age": "date"}}}, "types"),
    "a bound above one": (
        {
            "endpoint": {
                **ENDPOINT,
                "fallback": {"intent": "x", "minConfidence": 2, "knownIntents": []},
            }
        },
        "min",
    ),
    "a bound that is a truth value": (
        {
            "endpoint": {
                **ENDPOINT,
                "fallback": {"intent": "x", "minConfidence": True, "knownIntents": []},
            }
        },
        "min",
    ),
    "one attribute for both results of the bot": (
        {"endpoint": {**ENDPOINT, "confidence": "intent"}},
        "endpoint.confidence",
    ),
    "a rule without an owner and a name": (
        {"rules": [{**LOST, "name": "", "description": ""}]},
        "name",
    ),
    "an unknown field": ({"colour": "red"}, "colour"),
}


@each_case("fields, problem", BAD.values())
def test_an_incomplete_table_is_refused(fields: dict[str, Any], problem: str) -> None:
    """The error names the rule and the field."""
    with pytest.raises(TableError) as raised:
        parse_table({**table_json(LOST), **fields})
    assert problem.lower() in str(raised.value).lower()


def test_a_new_rule_gets_an_id_that_no_rule_has() -> None:
    """Also if a moved rule still has the id that its address gave it."""
    address = Address("cards", "lost")
    assert published_id("acme", address, frozenset()) == "acme/cards/lost"
    taken = frozenset({"acme/cards/lost", "acme/cards/lost~2"})
    assert published_id("acme", address, taken) == "acme/cards/lost~3"


def ask(
    store: FileTables, method: str, path: str, body: bytes = b"", **headers: str
) -> RulesResponse:
    """Return the response to a request."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    request = RulesRequest(method, path, names, body)
    return asyncio.run(respond(request, store, lambda: NOW))


def body_of(*rules: dict[str, Any]) -> bytes:
    return json.dumps(table_json(*rules)).encode()


@pytest.fixture
def store(tmp_path: Path) -> FileTables:
    """Files in an empty folder."""
    return FileTables(tmp_path / "tables" / "table.json")


def test_the_first_table_and_the_next_one(store: FileTables) -> None:
    """Each publication has a new tag, also with the same content."""
    assert ask(store, "GET", "/rules").status == 404
    author = {"x_cxroute_author": "alice", "x_cxroute_commit": "0123abc"}
    first = ask(store, "PUT", "/rules", body_of(LOST), if_none_match="*", **author)
    assert (first.status, first.content["version"]) == (200, 1)
    read = ask(store, "GET", "/rules")
    assert read.headers == first.headers
    assert read.content["publishedBy"] == "alice"
    assert read.content["commit"] == "0123abc"
    assert read.content["publishedAt"] == "2026-11-25T12:00:00Z"
    tag = first.headers["etag"]
    again = ask(store, "PUT", "/rules", read.body, if_match=tag)
    assert again.content["digest"] == first.content["digest"]
    assert again.headers["etag"] != tag


def test_a_publication_needs_its_condition(store: FileTables) -> None:
    """428 without one, 412 with the present tag for a late one; nothing changes."""
    assert ask(store, "PUT", "/rules", body_of(LOST)).status == 428
    assert ask(store, "PUT", "/rules", body_of(LOST), if_match='"1-x"').status == 412
    first = ask(store, "PUT", "/rules", body_of(LOST), if_none_match="*")
    late = ask(store, "PUT", "/rules", body_of(FEE), if_none_match="*")
    assert (late.status, late.headers) == (412, first.headers)
    wrong = ask(store, "PUT", "/rules", body_of(FEE), if_match='"1-0000000000000000"')
    assert (wrong.status, wrong.headers) == (412, first.headers)
    assert ask(store, "GET", "/rules").content["version"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    {
        "not JSON": (b"{", 422),
        "not UTF-8": (b"\xff{}", 422),
        "NaN": (b'{"rules": NaN}', 422),
        "a list": (b"[]", 422),
        "deep": (b"[" * 5000 + b"]" * 5000, 422),
        "another rule": (json.dumps(table_json({"id": "x"})).encode(), 422),
        "half a character": (
            json.dumps(table_json({**LOST, "x": "\ud800"})).encode(),
            422,
        ),
        "too large": (b" " * (MAX_TABLE_BYTES + 1), 413),
    }.values(),
)
def test_a_bad_body_changes_nothing(
    store: FileTables, body: bytes, status: int
) -> None:
    """Each is an error in one sentence."""
    response = ask(store, "PUT", "/rules", body, if_none_match="*")
    assert response.status == status
    assert "\n" not in response.content["error"]
    assert ask(store, "GET", "/rules").status == 404


def test_other_methods_and_versions_are_refused(store: FileTables) -> None:
    """With what is allowed."""
    assert ask(store, "DELETE", "/rules").headers == {"allow": "GET, PUT"}
    assert ask(store, "PUT", "/rules/versions").headers == {"allow": "GET"}
    assert ask(store, "GET", "/rules/versions/1").status == 404
    assert ask(store, "GET", "/rules/versions").content == {"versions": []}


def test_the_last_versions_are_kept(store: FileTables) -> None:
    """The list has facts alone; each version can be read, older ones are gone."""

    async def publish_all() -> None:
        tag = None
        for number in range(KEPT_VERSIONS + 5):
            table = a_table(rule_json(f"r{number}"))
            published = await store.publish(table, tag, Author("bob"), NOW)
            tag = published.etag

    asyncio.run(publish_all())
    listed = ask(store, "GET", "/rules/versions").content["versions"]
    newest = KEPT_VERSIONS + 5
    assert [facts["version"] for facts in listed] == list(range(newest, 5, -1))
    assert "rules" not in listed[0]
    kept = ask(store, "GET", "/rules/versions/6")
    assert kept.content["rules"][0]["name"] == "r5"
    assert ask(store, "GET", "/rules/versions/5").status == 404


def test_two_stores_of_a_file_see_the_newest_table(tmp_path: Path) -> None:
    """The one that did not publish reads the file again, and loses a late publication."""
    path = tmp_path / "table.json"
    one = FileTables(path)
    other = FileTables(path)

    async def work() -> None:
        first = await one.publish(a_table(LOST), None, Author(), NOW)
        assert await other.current() == first
        second = await other.publish(a_table(FEE), first.etag, Author(), NOW)
        assert await one.current() == second
        with pytest.raises(PublishConflictError) as lost:
            await one.publish(a_table(LOST), first.etag, Author(), NOW)
        assert lost.value.current == second

    asyncio.run(work())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"rules": []}', b"\xff"])
def test_a_damaged_file_is_not_a_table(tmp_path: Path, content: bytes) -> None:
    """The service is unavailable, and does not publish over it."""
    path = tmp_path / "table.json"
    path.write_bytes(content)
    store = FileTables(path)
    with pytest.raises(StoreUnavailableError, match=r"table\.json"):
        asyncio.run(store.current())
    response = ask(store, "PUT", "/rules", body_of(LOST), if_none_match="*")
    assert response.status == 503
    assert path.read_bytes() == content


def test_a_changed_content_does_not_keep_its_digest(store: FileTables) -> None:
    """A file that was edited by hand is refused."""
    published = asyncio.run(store.publish(a_table(LOST), None, Author(), NOW))
    document = published.to_json()
    document["rules"][0]["priority"] = 11
    with pytest.raises(TableError, match="digest"):
        parse_publication(document)
