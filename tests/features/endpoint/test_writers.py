"""Custom fields and signals: the contract, repeated and unrepeated writes, and the endpoint's
reports of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import NoneType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.errors import (
    AmbiguousWriteError,
    ApiError,
    RateLimitedError,
    RejectedError,
    RetryLaterError,
    RuleNotFoundError,
    UndefinedFieldsError,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import Profile
from reconciler.features.endpoint.handler import EventPolicy
from reconciler.targets.platform.context_client import (
    TEST_CHATS,
    ContextClient,
    ContextWriter,
    choose_writer,
    context_path,
    ignored_conversations,
    signal_writer,
    value_text,
)
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from tests.features.endpoint import in_process_endpoint as posting
from tests.features.endpoint import openapi_document as document
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream
from tests.features.endpoint.simulated_tenants import (
    FAULTS,
    FIELDS,
    SAID,
    WAYS,
    ContextTenant,
)
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.in_process_tenant import TENANT
from tests.support.stepping_clock import run, stepping_time
from tests.tiers import size

CONTRACT = Path(__file__).parents[2] / "contract"
FIELDS_WAY = "digital-custom-fields"
SIGNAL_WAY = "voice-signal"
EXAMPLES = [
    (way, example)
    for way, name in ((FIELDS_WAY, "custom_fields"), (SIGNAL_WAY, "signal"))
    for example in json.loads((CONTRACT / f"{name}.json").read_text(encoding="utf-8"))
    if "client" in example["sides"]
]
MEANS: dict[int, type[ApiError]] = {
    404: RuleNotFoundError,
    400: RejectedError,
    422: UndefinedFieldsError,
}
NAMES = tuple(FIELDS)


def attributes(request: dict[str, Any]) -> dict[str, str | float | None]:
    """Return the attributes whose write makes the request of an example."""
    fields = {item["ident"]: item["value"] for item in request.get("json", ())}
    query = request.get("query", {})
    text = fields or {name: query[f"p{number}"] for number, name in enumerate(NAMES, 7)}
    number = text.get("cognigyConfidence")
    return {
        **text,
        **(
            {}
            if number is None
            else {"cognigyConfidence": float(number) if number else None}
        ),
    }


@each_case("way, example", EXAMPLES)
def test_the_client_matches_the_known_behaviour_of_the_platform(
    way: str, example: dict[str, Any]
) -> None:
    """Method, path, query and body are the example's; it understands the response, or the error of
    its status.
    """
    requested: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200,
                json={
                    "access_token": "TOKEN",
                    "token_type": "Bearer",
                    "expires_in": 3600,
                },
            )
        requested.append(request)
        response = example["response"]
        return httpx.Response(
            response["status"],
            headers=response.get("headers"),
            json=response.get("json"),
        )

    async def write() -> Any:
        conversation = example["request"]["path"].split("/")[-2]
        client = ContextTenant("", way).client(httpx.MockTransport(answer))
        return await client.write(conversation, attributes(example["request"]), 5.0)

    if example["response"]["status"] < 300:
        assert example["response"].get("json") == asyncio.run(write())
    else:
        with pytest.raises(MEANS[example["response"]["status"]]):
            asyncio.run(write())
    ((requests_sent),) = requested
    request = example["request"]
    assert (request["method"], request["path"]) == (
        requests_sent.method,
        requests_sent.url.path,
    )
    assert request["query"] == dict(requests_sent.url.params)
    assert request.get("json") == (
        json.loads(requests_sent.content) if requests_sent.content else None
    )
    assert "Bearer TOKEN" == requests_sent.headers["Authorization"]


UNCLEAR = (
    "context:reset@#1",
    "context:500-applied@#1",
    "context:cut@#1",
    "context:html",
    "context:nan",
    "context:deep",
    "context:gzip=20",
    "context:500",
    "context:timeout",
)


def expected_of(way: str, faults: str, usual: type) -> type:
    """Return the result of a fault: a signal is unclear after each fault that may follow its
    arrival.
    """
    if way == SIGNAL_WAY and faults in UNCLEAR:
        return AmbiguousWriteError
    if way == FIELDS_WAY and faults in ("context:400", "context:422"):
        return UndefinedFieldsError
    return NoneType if usual is dict else usual


@each_case("way", [FIELDS_WAY, SIGNAL_WAY])
@each_case("faults, usual", FAULTS)
def test_every_fault_of_a_writer_ends_correctly_and_in_time(
    faults: str, usual: type, way: str
) -> None:
    """As with contexts; but a signal is not repeated once it may have been sent."""
    world = ContextTenant(faults, way)
    start = world.clock.seconds
    (actual,) = world.run("c-1")
    assert isinstance(actual, expected_of(way, faults, usual)), repr(actual)
    assert world.clock.seconds - start <= 5.0
    assert [] == canary.find_leaks(repr(actual))
    given_so_often = sum(request.changed_state for request in world.app.state.requests)
    assert given_so_often <= (1 if way == SIGNAL_WAY else 2)


APPLIED = (
    "500",
    "503",
    "408",
    "reset",
    "timeout",
    "html",
    "empty",
    "shape",
    "nan",
    "deep",
    "redirect",
)


@each_case(
    "fault",
    [*(f"{item}-applied" for item in APPLIED), "cut", "drip=0.01", "half", "late=2"],
)
def test_a_signal_is_sent_once_for_any_fault_of_its_response(fault: str) -> None:
    """It arrived, and its response is lost, cut, late or invalid: it is not sent again."""
    world = ContextTenant(f"context:{fault}", SIGNAL_WAY)
    world.run("c-1")
    assert 1 == world.asked()["context"]


def hanging(path: str, asked: list[str]) -> Any:
    """Return a transport; requests to one path get no response."""
    forms = {"/oauth/token": {"access_token": "TOKEN", "expires_in": 3600}}

    async def carry(request: ApiRequest) -> ApiResponse:
        from reconciler.targets.platform.transport.request import ApiResponse  # noqa: PLC0415 - for this alone

        place = urlsplit(request.target).path
        asked.append(place)
        if place.endswith(path):
            await asyncio.Event().wait()
        return ApiResponse(request.call, 200, {}, json.dumps(forms[place]).encode())

    return carry


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/signal", AmbiguousWriteError), ("/oauth/token", TimeoutError)],
)
def test_a_signal_that_was_running_at_the_deadline_is_unclear(
    path: str, expected: type
) -> None:
    """A signal that was not sent is not unclear."""
    requested: list[str] = []
    world = ContextTenant("", SIGNAL_WAY)
    credentials = ClientCredentials(
        client_id=canary.CLIENT, client_secret=canary.SECRET
    )

    async def write() -> Any:
        time = stepping_time(Random(1))
        client = ContextClient(
            hanging(path, requested),
            TENANT,
            credentials,
            time,
            world.path,
            world.writer,
        )
        async with asyncio.timeout(0.2):
            return await client.write("c-1", SAID, 0.2)

    with pytest.raises(expected):
        run(write())
    assert 1 == sum(item.endswith(path) for item in requested)


def test_a_signal_does_not_probe_an_unavailable_tenant() -> None:
    """Five fail, one read replaces the sixth, without its values; the signal is sent after a
    response to the read.
    """
    world = ContextTenant("context:503@#1-5", SIGNAL_WAY)

    async def write() -> list[Any]:
        client = world.client()
        actual: list[Any] = []
        for number in range(7):
            actual += await asyncio.gather(
                client.write(f"c-{number}", SAID, 5.0), return_exceptions=True
            )
            world.clock.seconds += 2.0 if number > 4 else 0.0
        world.clock.seconds += 2.0
        return [*actual, await client.write("c-9", SAID, 5.0)]

    *actual, last = asyncio.run(write())
    assert [AmbiguousWriteError] * 5 == [type(item) for item in actual[:5]]
    assert isinstance(actual[5], RetryLaterError)
    assert last is None
    (probe,) = [
        request for request in world.app.state.requests if request.method == "GET"
    ]
    assert (True, "") == (probe.path.endswith("/signal"), probe.query)


@pytest.mark.generated
@settings(max_examples=size(fast=20, slow=100))
@given(
    st.text(min_size=1, max_size=40),
    st.none() | st.floats(0, 1),
    st.text(min_size=1, max_size=20),
)
def test_a_value_stays_in_its_parameter(
    intent: str, confidence: float | None, at: str
) -> None:
    """The query has only unreserved characters and percent signs, and decodes to exactly the given
    values.
    """
    output: list[str] = []
    text = dict(zip(NAMES, (intent, confidence, at), strict=True))

    async def call(_name: str, path: str, _body: object) -> Any:
        output.append(path)

    asyncio.run(
        posted(signal_writer({NAMES[0]: 4, NAMES[1]: 1, NAMES[2]: 9}), call, text)
    )
    ((query),) = [path.partition("?")[2] for path in output]
    assert query.isascii()
    assert not set(query) & set(' \r\n"<>#?/\\+')
    actual = parse_qs(query, keep_blank_values=True, strict_parsing=True)
    assert {"p1": [value_text(confidence)], "p4": [intent], "p9": [at]} == actual
    assert ["p1", "p4", "p9"] == list(actual)


async def posted(
    signal: ContextWriter, call: Any, said: Mapping[str, str | float | None]
) -> None:
    """Send a signal."""
    await signal(call, "/signal", said)


@each_case(
    "value, expected",
    [
        (None, ""),
        (0.93, "0.93"),
        (1, "1"),
        (0, "0"),
        (1.0, "1.0"),
        (1e-05, "0.00001"),
        ("0.5 ", "0.5 "),
    ],
)
def test_values_are_texts(value: str | float | None, expected: str) -> None:
    """Numbers without an exponent, null as an empty text."""
    assert expected == value_text(value)


def test_undefined_fields_say_how_to_define_them() -> None:
    """The fields, the place and the type; no values."""
    (actual,) = ContextTenant("", FIELDS_WAY, custom_fields=("routedAt",)).run("c-1")
    assert isinstance(actual, UndefinedFieldsError)
    assert (
        "cognigyDetectedIntent, cognigyConfidence, routedAt: an administrator defines them"
        in str(actual)
    )
    assert "billing" not in str(actual)


def test_an_intent_without_a_confidence_clears_the_field() -> None:
    """The same contact; rules do not see a confidence any more."""
    world = ContextTenant("", FIELDS_WAY)

    async def write() -> None:
        client = world.client()
        await client.write("c-1", SAID, 5.0)
        await client.write("c-1", {**SAID, "cognigyConfidence": None}, 5.0)

    asyncio.run(write())
    assert {**SAID, "cognigyConfidence": None} == world.app.state.contexts["c-1"]
    requests_sent = [
        json.loads(request.body)
        for request in world.app.state.requests
        if request.method == "PUT"
    ]
    assert ["0.9", ""] == [
        item["value"]
        for body in requests_sent
        for item in body
        if item["ident"] == "cognigyConfidence"
    ]


def test_a_repeated_unclear_event_gets_the_same_response_unwritten() -> None:
    """Exactly the same event; a newer one is written, and after that the old one is stale."""
    endpoint = Endpoint(Upstream(faults=[AmbiguousWriteError("")]))

    async def post() -> list[posting.Reply]:
        again = [await endpoint.post() for _ in range(2)]
        newer = await endpoint.post(posting.event(timestamp="2026-02-01T09:00:01Z"))
        return [*again, newer, await endpoint.post()]

    replies = asyncio.run(post())
    assert [502, 502, 200, 200] == [reply.status for reply in replies]
    assert replies[0].body == replies[1].body
    assert (
        "it is unknown whether the event was written; it is not written again"
        == replies[0].form["error"]
    )
    assert replies[3].form["stale"] is True
    assert 2 == len(endpoint.upstream.writes)
    assert ["", "", "", ""] == [document.fault(reply) for reply in replies]


def test_the_test_chat_is_answered_and_counted_and_not_written() -> None:
    """With either writer of the platform; the default one has no test chat."""
    endpoint = Endpoint(policy=EventPolicy(ignored_conversations=TEST_CHATS))
    reply = asyncio.run(endpoint.post(posting.event(conversationId="100000000000")))
    candidate = asyncio.run(endpoint.post(posting.event(conversationId="100000000001")))
    assert (200, True, "test-chat", None) == (
        reply.status,
        *(reply.form[x] for x in ("success", "skipped", "data")),
    )
    assert "" == document.fault(reply)
    assert "skipped" not in candidate.form
    assert ["100000000001"] == [
        conversation for conversation, _ in endpoint.upstream.writes
    ]
    assert 'cxroute_requests_total{status="200",outcome="skipped"} 1' in [
        *endpoint.app.metrics.lines()
    ]


def environment(
    writer: str, context: Mapping[str, Any] | None = None, **more: Any
) -> Environment:
    text = {
        "name": "prod",
        "owner": "acme",
        "tenant": "acme",
        "context": {"writer": writer, **(context or {})},
        **more,
    }
    return Environment.model_validate(text)


@WAYS
def test_the_writer_is_set_by_environment_profile_and_writer(way: str) -> None:
    """In this order: the last setting wins."""
    plain = Profile(name="x")
    mine = Profile.model_validate(
        {"name": "x", "contextPath": "/mine/{conversationId}"}
    )
    own = {FIELDS_WAY: "/dfo/3.0/contacts/{conversationId}/custom-fields"}
    own[SIGNAL_WAY] = (
        "/inContactAPI/services/v30.0/interactions/{conversationId}/signal"
    )
    present = environment(way, api={"contextPath": "/there/{conversationId}"})
    assert own.get(way, plain.context_path) == context_path(environment(way), plain)
    assert "/mine/{conversationId}" == context_path(environment(way), mine)
    assert "/there/{conversationId}" == context_path(present, mine)
    assert (TEST_CHATS if way in own else frozenset()) == ignored_conversations(present)


def test_a_signals_parameters_are_those_of_the_environment() -> None:
    """By the names of attributes, for any names."""
    text = environment(
        SIGNAL_WAY,
        {"signal": {"intent": 5, "updatedAt": 1}},
        attributes={"intent": "x"},
    )
    output: list[str] = []

    async def call(_name: str, path: str, _body: object) -> Any:
        output.append(path)

    writer = choose_writer(text)
    asyncio.run(
        posted(
            writer, call, {"x": "billing", "cognigyConfidence": 0.5, "routedAt": "now"}
        )
    )
    assert ["/signal?p1=now&p5=billing&p8=0.5"] == output


def test_a_rate_limit_does_not_prevent_a_signal() -> None:
    """After a 429, a refused connection and an invalid token it is certain that nothing was sent:
    it is repeated.
    """
    world = ContextTenant(
        "context:429=1@#1,context:refuse@#2,context:revoke@#3", SIGNAL_WAY
    )
    assert [None] == world.run("c-1")
    assert 1 == sum(request.changed_state for request in world.app.state.requests)
    assert isinstance(
        ContextTenant("context:429=60", SIGNAL_WAY).run("c-1")[0], RateLimitedError
    )
