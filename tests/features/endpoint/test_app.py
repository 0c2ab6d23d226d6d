"""The endpoint's responses: docs/context.md row by row, in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reconciler.core.errors import (
    AmbiguousWriteError,
    CredentialsError,
    OverloadedError,
    RateLimitedError,
    RetryLaterError,
    RuleNotFoundError,
    ScopeError,
    UndefinedFieldsError,
)
from reconciler.features.endpoint.handler import EventPolicy
from tests.features.endpoint.in_process_endpoint import (
    HEADERS,
    Endpoint,
    Upstream,
    event,
    posted,
)
from tests.support.cases import each_case
from tests.support.server_process import KEY

TYPE, API_KEY = HEADERS


def test_an_event_is_written_and_answered() -> None:
    """All three attributes under the tenant's names; the upstream's JSON comes back."""
    endpoint = Endpoint(policy=EventPolicy(names=("i", "c", "u")))
    reply = asyncio.run(endpoint.post())
    stored = {"i": "billing", "c": 0.9, "u": "2026-02-01T09:00:00Z"}
    assert [("c-1", stored)] == endpoint.upstream.writes
    expected = {
        "success": True,
        "message": "context updated for conversation c-1",
        "data": {"id": "c-1", "attributes": stored},
    }
    assert (200, expected) == (reply.status, reply.form)
    assert ("application/json", "no-store") == (
        reply.headers["content-type"],
        reply.headers["cache-control"],
    )


def test_a_missing_confidence_is_null_and_a_missing_time_is_the_receipt() -> None:
    """An old confidence must not remain with a new intent."""
    endpoint = Endpoint()
    assert (
        200 == asyncio.run(endpoint.post(event(confidence=..., timestamp=...))).status
    )
    ((_, stored),) = endpoint.upstream.writes
    expected = {
        "cognigyDetectedIntent": "billing",
        "cognigyConfidence": None,
        "routedAt": "2026-11-25T12:00:00.123Z",
    }
    assert expected == stored


REFUSED: list[tuple[int, bytes | dict[str, Any], list[tuple[bytes, bytes]]]] = [
    (400, event(intent=...), [TYPE, API_KEY]),
    (400, event(confidence=1.1), [TYPE, API_KEY]),
    (400, b"{", [TYPE, API_KEY]),
    (401, event(), [TYPE]),
    (401, b"{", [TYPE, (b"x-api-key", b"wrong")]),
    (413, b" " * 65_537, [TYPE, API_KEY]),
    (413, event(), [TYPE, API_KEY, (b"content-length", b"65537")]),
    (413, event(), [TYPE, API_KEY, (b"content-length", b"9" * 5000)]),
    (413, event(), [TYPE, API_KEY, (b"content-length", b"-1")]),
    (415, event(), [API_KEY]),
    (415, event(), [API_KEY, (b"content-type", b"text/plain")]),
    (415, event(), [API_KEY, (b"content-type", b"application/json; charset=utf-16")]),
    (415, event(), [API_KEY, TYPE, TYPE]),
    (415, event(), [TYPE, API_KEY, (b"content-encoding", b"gzip")]),
]


@each_case("status, form, headers", REFUSED)
def test_an_invalid_request_is_refused_before_the_upstream(
    status: int, form: Any, headers: Any
) -> None:
    """With its status, `success: false` and a sentence; nothing is sent to the tenant."""
    endpoint = Endpoint()
    reply = asyncio.run(endpoint.post(form, headers))
    assert (status, False) == (reply.status, reply.form["success"])
    assert {"success", "error"} == set(reply.form)
    assert [] == endpoint.upstream.writes


def test_a_body_of_64_kib_is_read() -> None:
    """To the last byte."""
    body = json.dumps(event()).encode()
    assert 200 == posted(body + b" " * (65_536 - len(body))).status


@pytest.mark.parametrize(
    "media",
    [
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b'application/json;charset="UTF-8"',
    ],
)
def test_the_media_type_may_name_utf_8(media: bytes) -> None:
    """In either spelling."""
    assert (
        200
        == asyncio.run(
            Endpoint().post(event(), [API_KEY, (b"content-type", media)])
        ).status
    )


SAID_NOWHERE = "a text of the upstream"
FAILED = [
    (RuleNotFoundError(SAID_NOWHERE, 404), 404, None),
    (RateLimitedError(SAID_NOWHERE, 2.5), 429, "3"),
    (RetryLaterError(SAID_NOWHERE, 0), 502, "1"),
    (AmbiguousWriteError(SAID_NOWHERE), 502, None),
    (OverloadedError(SAID_NOWHERE), 502, None),
    (UndefinedFieldsError(SAID_NOWHERE, 422), 502, None),
    (CredentialsError(SAID_NOWHERE), 502, "1"),
    (ScopeError(SAID_NOWHERE), 502, "1"),
    (TimeoutError(SAID_NOWHERE), 504, None),
    (RuntimeError(SAID_NOWHERE), 503, "1"),
]


@each_case("fault, status, wait", FAILED)
def test_an_upstream_failure_has_a_text_of_the_endpoint(
    fault: Exception, status: int, wait: str | None
) -> None:
    """Status and Retry-After; no text of the error in response or log."""
    endpoint = Endpoint(Upstream(faults=[fault]))
    reply = asyncio.run(endpoint.post())
    assert (status, wait) == (reply.status, reply.headers.get("retry-after"))
    assert SAID_NOWHERE not in reply.body.decode() + json.dumps(endpoint.log)
    assert reply.form["success"] is False


def test_a_failed_write_may_be_repeated() -> None:
    """It is not a repeat, because the write is unknown, and writing twice does no harm."""
    endpoint = Endpoint(Upstream(faults=[OverloadedError("")]))

    async def twice() -> list[int]:
        return [(await endpoint.post()).status for _ in range(2)]

    assert [502, 200] == asyncio.run(twice())


def test_the_deadline_holds_for_any_behaviour_of_the_upstream() -> None:
    """A write that never ends is answered 504."""

    async def late() -> int:
        return (
            await Endpoint(Upstream(hold=asyncio.Event()), deadline_seconds=0.3).post()
        ).status

    assert 504 == asyncio.run(asyncio.wait_for(late(), 5))


def test_reading_an_endless_body_is_bounded() -> None:
    """The first byte beyond the limit ends it: 413 after 17 parts of 4 KiB."""
    asked = 0

    async def receive() -> Any:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * 4096, "more_body": True}

    reply = asyncio.run(Endpoint().raw("POST", "/api/route", HEADERS, receive))
    assert (413, "close", 17) == (reply.status, reply.headers["connection"], asked)


def test_beyond_the_queue_requests_are_shed_immediately() -> None:
    """Two may wait; the third gets a Retry-After, and the two are written."""
    hold = asyncio.Event()
    endpoint = Endpoint(Upstream(hold=hold), max_waiting=2)

    async def burst() -> tuple[int, str, list[int]]:
        first = [
            asyncio.create_task(endpoint.post(event(conversationId=f"c-{item}")))
            for item in range(2)
        ]
        await asyncio.sleep(0.01)
        third = await endpoint.post(event(conversationId="c-3"))
        hold.set()
        return (
            third.status,
            third.headers["retry-after"],
            [reply.status for reply in await asyncio.gather(*first)],
        )

    assert (503, "1", [200, 200]) == asyncio.run(burst())


async def _never() -> bool:
    return False


def test_probes_need_no_key() -> None:
    """/health is alive; /ready needs a token; /metrics counts; other paths and methods are
    refused.
    """
    endpoint = Endpoint()

    async def ask() -> list[Any]:
        await endpoint.post()
        await endpoint.post(b"")
        health, ready = (
            await endpoint.request("GET", "/health"),
            await endpoint.request("GET", "/ready"),
        )
        endpoint.app.draining = True
        draining, metrics = (
            await endpoint.request("GET", "/ready"),
            await endpoint.request("GET", "/metrics"),
        )
        wrong = [
            await endpoint.request(*item)
            for item in (("POST", "/health"), ("GET", "/api/route"), ("GET", "/x"))
        ]
        return [health, ready, draining, metrics, *wrong]

    health, ready, draining, metrics, *wrong = asyncio.run(ask())
    assert (200, {"status": "ok"}) == (health.status, health.form)
    assert [200, 503] == [ready.status, draining.status]
    assert [405, 405, 404] == [reply.status for reply in wrong]
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = metrics.body.decode().splitlines()
    assert 'cxroute_requests_total{status="200",outcome="written"} 1' in lines
    assert 'cxroute_requests_total{status="400",outcome="invalid"} 1' in lines
    assert "cxroute_request_seconds_count 2" in lines
    assert "cxroute_waiting 0" in lines
    assert 503 == asyncio.run(Endpoint(ready=_never).request("GET", "/ready")).status


def test_head_gets_no_body() -> None:
    """Except for the length of the body of GET."""
    reply = asyncio.run(Endpoint().request("HEAD", "/health"))
    assert (200, b"", "15") == (
        reply.status,
        reply.body,
        reply.headers["content-length"],
    )


@each_case(
    "path",
    ["/api/route/", "/api%2Froute", "//api/route", "/API/route", "/", "/api/route?x"],
)
def test_only_the_path_itself_is_the_endpoint(path: str) -> None:
    """No other spelling, which a proxy in front might not guard."""
    assert (
        404
        == asyncio.run(
            Endpoint().request("POST", path, json.dumps(event()).encode(), HEADERS)
        ).status
    )


def test_one_line_of_log_a_request_and_no_secret_in_it() -> None:
    """Time, status, outcome, milliseconds, conversation; no intent, no key, no text that the client
    chose.
    """
    endpoint = Endpoint()

    async def ask() -> None:
        await endpoint.post(event(intent="private matter"))
        await endpoint.request("BREW", "/secret-path")
        await endpoint.request("GET", "/health")

    asyncio.run(ask())
    first = {
        "path": "/api/route",
        "method": "POST",
        "status": 200,
        "outcome": "written",
        "conversation": "c-1",
    }
    expected = [
        first,
        {"path": "other", "method": "other", "status": 404, "outcome": "path"},
    ]
    common = {"time": "2026-11-25T12:00:00.123Z", "event": "request", "ms": 0.0}
    assert [{**common, **item} for item in expected] == endpoint.log
    assert KEY not in json.dumps(endpoint.log)


def test_conversations_can_have_another_label_in_the_log() -> None:
    """With a label that the operator chooses, such as a hash."""
    endpoint = Endpoint(log_label=lambda conversation: f"#{len(conversation)}")
    asyncio.run(endpoint.post())
    assert ["#3"] == [line["conversation"] for line in endpoint.log]


def test_without_keys_and_secrets_no_key_is_required() -> None:
    """The command line allows that only on loopback."""
    assert 200 == asyncio.run(Endpoint(keys=()).post(event(), [TYPE])).status
