"""The OpenAPI document of the decision service: real answers have its statuses and forms."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.features.endpoint.decide.decision_endpoint import (
    JSON,
    DecisionEndpoint,
    in_folder,
    route_keys,
)
from tests.features.endpoint.decide.exchange_contract import REQUEST
from tests.features.endpoint.in_process_endpoint import Reply
from tests.support.served_tables import a_table, rule_json, table_json

FILE = Path(__file__).parents[4] / "schema" / "decision-service.openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SPLIT = [
    {"type": "queue", "queueId": "4001", "weight": 3},
    {"type": "queue", "queueId": "4002", "weight": 1},
]
QUESTIONS: list[Any] = [
    {"conversationId": "c-1", "intent": "lost", "confidence": 0.9},
    {
        "conversationId": None,
        "intent": "fee",
        "confidence": None,
        "attributes": {"a": 1},
    },
    {"conversationId": 0, "intent": "nothing known", "scriptQueue": "Billing"},
    {"intent": 5},
    {"conversationId": "c 1"},
    b"[]",
    b"{",
]
EXCHANGES: list[Any] = [REQUEST, {}, {"customPayload": 7}, b"nothing"]
Call = tuple[str, str, bytes, list[tuple[bytes, bytes]]]


def calls(tag: bytes) -> Iterator[Call]:
    """Yield requests of every kind; `tag` is that of the present table."""
    for path, bodies in (("/decide", QUESTIONS), ("/exchange", EXCHANGES)):
        for body in bodies:
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            yield "POST", path, text, [JSON]
        yield "POST", path, b"x", [(b"content-type", b"text/plain")]
        yield "POST", path, b" " * 2_000_000, [JSON]
        yield "GET", path, b"", []
    for path in ("/rules", "/rules/versions", "/rules/versions/1", "/rules/shadow"):
        yield "GET", path, b"", []
    yield "GET", "/rules/versions/99", b"", []
    good = json.dumps(table_json(rule_json("fee"))).encode()
    yield "PUT", "/rules", good, [JSON]
    yield "PUT", "/rules", good, [JSON, (b"if-match", b'"0-x"')]
    yield "PUT", "/rules", b"{}", [JSON, (b"if-match", tag)]
    yield "PUT", "/rules", good, [JSON, (b"if-match", tag)]


def operation(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation of a request; None if the document has no such one."""
    named = re.sub(r"/[0-9]+$", "/{version}", path)
    found: dict[str, Any] | None = DOCUMENT["paths"][named].get(method.lower())
    return found


def followed(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part, or what it refers to."""
    if "$ref" not in part:
        return part
    target: Any = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return dict(target)


def problems(method: str, path: str, reply: Reply) -> list[str]:
    """Return what the document does not allow."""
    known = operation(method, path)
    if known is None:
        return [] if reply.status == 405 else [f"status {reply.status}"]
    stated = known["responses"].get(str(reply.status))
    if stated is None:
        return [f"status {reply.status}"]
    response = followed(stated)
    content = response.get("content", {}).get("application/json")
    if content is None:
        return []
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    errors = Draft202012Validator(schema).iter_errors(reply.form)
    return [f"{reply.status}: {error.message}" for error in errors]


async def ask_all(service: DecisionEndpoint) -> dict[str, list[str]]:
    """Return the problems of each request that has some."""
    held = service.service.follower.held
    tag = held.publication.etag.encode() if held else b'"1-x"'
    found = {}
    for number, (method, path, body, headers) in enumerate(calls(tag)):
        reply = await service.endpoint.request(method, path, body, headers)
        wrong = problems(method, path, reply)
        if wrong:
            found[f"{number} {method} {path}"] = wrong
    return found


def test_answers_have_the_forms_of_the_document(tmp_path: Path) -> None:
    """With a table and its split, before the first table, and without a key."""

    async def work() -> None:
        service = in_folder(tmp_path)
        assert await ask_all(service) == {}
        await service.publish(
            a_table(rule_json("lost"), rule_json("fee", targets=SPLIT))
        )
        assert await ask_all(service) == {}
        closed = in_folder(tmp_path, keys=route_keys(decide=("k",)))
        assert await ask_all(closed) == {}

    asyncio.run(work())


def test_the_document_has_no_further_operation() -> None:
    """Each one is asked above."""
    asked = {
        (method, re.sub(r"/[0-9]+$", "/{version}", path))
        for method, path, *_ in calls(b"")
    }
    stated = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method in ("get", "put", "post")
    }
    assert stated <= asked
