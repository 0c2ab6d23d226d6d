"""Keys of the decision service: each route takes its own, and nothing secret is ever repeated."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.features.endpoint.decide.decision_endpoint import (
    JSON,
    DecisionEndpoint,
    in_folder,
    route_keys,
)
from tests.features.endpoint.decide.exchange_contract import REQUEST
from tests.features.endpoint.in_process_endpoint import EVENT, Reply
from tests.support.cases import each_case
from tests.support.served_tables import a_table, rule_json, table_json

BOT: Final = "canary-key-of-the-bot"
READER: Final = "canary-key-of-a-reader"
ADMIN: Final = "canary-key-of-a-publisher"
WRONG: Final = "canary-key-of-nobody"
KEYS = (BOT, READER, ADMIN, WRONG)
CASES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("POST", "/api/route"): (BOT,),
    ("POST", "/decide"): (BOT,),
    ("POST", "/exchange"): (BOT,),
    ("GET", "/rules"): (READER, ADMIN),
    ("HEAD", "/rules"): (READER, ADMIN),
    ("GET", "/rules/versions"): (READER, ADMIN),
    ("GET", "/rules/versions/1"): (READER, ADMIN),
    ("GET", "/rules/shadow"): (READER, ADMIN),
    ("PUT", "/rules"): (ADMIN,),
}
BODIES: Final[dict[str, Any]] = {
    "/api/route": EVENT,
    "/decide": {"intent": "lost"},
    "/exchange": REQUEST,
    "/rules": table_json(rule_json("fee")),
}


async def ask(
    service: DecisionEndpoint, method: str, path: str, key: str | None
) -> Reply:
    """Make a request that is right except for its key."""
    held = service.service.follower.held
    tag = held.publication.etag.encode() if held else b""
    headers = [JSON, (b"if-match", tag)]
    if key is not None:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    body = json.dumps(BODIES.get(path, {})).encode()
    return await service.endpoint.request(method, path, body, headers)


async def opened(folder: Path, **keys: tuple[str, ...]) -> DecisionEndpoint:
    """Return a service with a table and keys."""
    api_keys = keys.get("decide", ())
    service = in_folder(folder, keys=route_keys(**keys), api_keys=api_keys)
    await service.publish(a_table(rule_json("lost")))
    return service


@pytest.mark.parametrize(("method", "path"), CASES)
def test_each_route_takes_its_own_keys_alone(
    tmp_path: Path, method: str, path: str
) -> None:
    """401 with the kind of authentication for no key, a wrong one, and those of other routes."""

    async def statuses() -> dict[str | None, int]:
        service = await opened(
            tmp_path, decide=(BOT,), read=(READER,), publish=(ADMIN,)
        )
        found = {}
        for key in (None, *KEYS):
            reply = await ask(service, method, path, key)
            found[key] = reply.status
            if reply.status == 401:
                assert reply.headers["www-authenticate"] == "Bearer"
        return found

    accepted = CASES[method, path]
    expected = {key: 200 if key in accepted else 401 for key in (None, *KEYS)}
    assert asyncio.run(statuses()) == expected


@pytest.mark.parametrize(("method", "path"), CASES)
def test_a_class_without_keys_is_closed(tmp_path: Path, method: str, path: str) -> None:
    """If only readers have a key, no client decides, publishes or posts an event."""

    async def status(key: str | None) -> int:
        service = await opened(tmp_path, read=(READER,))
        return (await ask(service, method, path, key)).status

    expected = 200 if READER in CASES[method, path] else 401
    assert asyncio.run(status(READER)) == expected
    assert asyncio.run(status(None)) == 401


def test_signing_secrets_close_the_routes(tmp_path: Path) -> None:
    """They are for events alone: without keys, the other routes take nothing."""

    async def statuses() -> set[int]:
        keys = route_keys(secrets=("whsec_" + "a" * 32,))
        service = in_folder(tmp_path, keys=keys)
        await service.publish(a_table(rule_json("lost")))
        found = [await ask(service, *case, None) for case in CASES]
        return {reply.status for reply in found}

    assert asyncio.run(statuses()) == {401}


@pytest.mark.parametrize(("method", "path"), CASES)
def test_without_any_key_everything_is_open(
    tmp_path: Path, method: str, path: str
) -> None:
    """The command listens on loopback then."""

    async def status() -> int:
        return (await ask(await opened(tmp_path), method, path, None)).status

    assert asyncio.run(status()) == 200


@each_case(
    "method, path, status, allowed",
    [
        ("GET", "/decide", 405, "POST"),
        ("PUT", "/exchange", 405, "POST"),
        ("DELETE", "/rules", 405, "GET, PUT"),
        ("PUT", "/rules/versions", 405, "GET"),
        ("POST", "/rules/shadow", 405, "GET"),
        ("GET", "/rules/versions/2", 404, None),
        ("GET", "/rules/versions/0", 404, None),
        ("GET", "/rules/", 404, None),
        ("GET", "/decide/x", 404, None),
    ],
)
def test_other_methods_and_paths_are_refused(
    tmp_path: Path, method: str, path: str, status: int, allowed: str | None
) -> None:
    """405 names the methods; the log names only known paths."""

    async def run() -> None:
        service = await opened(tmp_path / method / path.replace("/", "-"))
        reply = await ask(service, method, path, None)
        assert reply.status == status
        assert reply.headers.get("allow") == allowed
        assert service.endpoint.log[-1]["path"] in (
            *BODIES,
            "/rules/versions",
            "other",
            "/rules/shadow",
        )

    asyncio.run(run())


TEXTS: Final = {
    "userInput": "canary words of a customer",
    "botConfig": {"token": "canary of the bot"},
    "botSessionState": {"name": "canary name"},
    "base64wavFile": "canary+voice",
    "virtualAgentId": "canary agent",
    "executionInfo": {"contactId": 987654321987},
    "customPayload": {
        "intent": "canary intent",
        "confidence": 0.5,
        "tier": "canary tier",
        "script_skill": "canary skill",
    },
}


def test_nothing_secret_is_repeated(tmp_path: Path) -> None:
    """Keys and texts of a conversation are in no line of the log, no metric, no list of rules, and no
    error; an answer repeats the intent alone.
    """
    broken = {**TEXTS, "customPayload": {"confidence": "canary confidence"}}
    question = {
        "conversationId": "canary-987654321987",
        "intent": "canary intent",
        "attributes": {"canary": "canary"},
        "scriptQueue": "canary queue",
    }
    bad = {**question, "confidence": "canary"}

    async def collect() -> tuple[str, str]:
        service = await opened(tmp_path, decide=(BOT,), publish=(ADMIN,))
        shown = []
        for key in KEYS:
            header = (JSON, (b"x-api-key", key.encode()))
            for path, form in (
                ("/exchange", broken),
                ("/decide", bad),
                ("/decide", question),
                ("/exchange", b"canary"),
                ("/rules/canary", question),
            ):
                shown.append((await service.post(path, form, header)).body.decode())
            answer = (await service.post("/exchange", TEXTS, header)).body.decode()
            shown.append(answer.replace('"intent":"canary intent"', ""))
        shown.append((await ask(service, "GET", "/rules/shadow", ADMIN)).body.decode())
        shown.append(await service.page())
        return "\n".join(shown), json.dumps(service.log)

    shown, log = asyncio.run(collect())
    assert '"agrees' in shown or "cxroute_shadow_total" in shown
    assert '"disagreements":2' in shown
    for text in (shown, log):
        assert "canary" not in text
        assert "987654321987" not in text
