"""The client against `contract/*.json`: its requests match the contract, and it understands the
responses.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from reconciler.core import errors
from reconciler.core.model.live import FetchedRule, Marker
from reconciler.core.model.rule import Address
from reconciler.core.rule_json import parse_live_rule
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

CONTRACT = Path(__file__).parents[2] / "contract"
RULES = "/api/v2/routing/rules"
Json = dict[str, Any]

REFUSED: dict[int, type[Exception]] = {
    302: errors.UnsupportedCallError,
    400: errors.RejectedError,
    401: errors.CredentialsError,
    403: errors.ScopeError,
    404: errors.RuleNotFoundError,
    409: errors.NameTakenError,
    412: errors.ConcurrentChangeError,
    422: errors.RejectedError,
    429: errors.OverloadedError,
    502: errors.OverloadedError,
    503: errors.OverloadedError,
}
NOT_ASKED = {
    "create-several-errors",
    "token-missing",
    "not-json",
    "wrong-method",
    "wrong-path",
    "rules-page-number-bad",
    "token-wrong-grant",
}
"""Calls that this client never makes."""


def examples() -> list[Json]:
    """Return the examples of the default profile's contract that this client could request."""
    files = sorted(CONTRACT.glob("*.json"))
    every = [
        example
        for file in files
        for example in json.loads(file.read_text(encoding="utf-8"))
    ]
    actual = [example for example in every if "source" in example]
    own_side = [
        example
        for example in actual
        if "client" in example["sides"] and example["name"] not in NOT_ASKED
    ]
    return [
        example for example in own_side if "/context" not in example["request"]["path"]
    ]


class Server:
    """Answers every call except the token's with the example, and records the requests."""

    def __init__(self, example: Json) -> None:
        self.example = example
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        about_tokens = self.example["request"]["path"] == "/oauth/token"
        if (request.url.path == "/oauth/token") != about_tokens:
            if about_tokens:
                return httpx.Response(
                    200,
                    json={"entities": [], "total": 0, "pageCount": 1, "nextUri": None},
                )
            return httpx.Response(
                200,
                json={
                    "access_token": "TOKEN",
                    "token_type": "Bearer",
                    "expires_in": 3600,
                },
            )
        self.asked.append(request)
        response = self.example["response"]
        content = (
            json.dumps(response["json"])
            if "json" in response
            else response.get("text", "")
        )
        return httpx.Response(
            response["status"],
            headers=response.get("headers"),
            content=content.encode(),
        )


def calls(client: WritingClient, example: Json) -> Any:
    """Return the client's call that makes the example's request."""
    request = example["request"]
    method = request["method"]
    path = request["path"]
    query = request["query"]
    headers = {
        name: value for name, value in request["headers"].items() if name == "If-Match"
    }
    if path == "/oauth/token":
        return client.rules()
    if method == "GET" and query:
        return page(client, path, query)
    if method == "GET":
        return client.rule(path.rsplit("/", 1)[1])
    if method == "DELETE":
        return client.delete(FetchedRule(stored(path), headers.get("If-Match")))
    requests_sent = parse_live_rule(
        {"id": "new", "name": "", "priority": 0, **request["json"]}
    )
    marker = requests_sent.marker or Marker("x", Address("x", "x"), "00000000")
    if method == "POST":
        return client.create(requests_sent.rule, marker)
    return client.update(
        FetchedRule(
            replace(stored(path), raw=request["json"]), headers.get("If-Match")
        ),
        requests_sent.rule,
        marker,
    )


async def page(client: WritingClient, path: str, query: dict[str, str]) -> Any:
    """Request one page, as a list does."""
    return (await client._call("list", f"{path}?{urlencode(query)}")).payload


def stored(path: str) -> Any:
    """Return the rule of the example's tenant at the path."""
    tenant = json.loads((CONTRACT / "tenant/example.json").read_text(encoding="utf-8"))
    rule_id = path.rsplit("/", 1)[1]
    rules = {rule["id"]: rule for rule in tenant["rules"]}
    return parse_live_rule(rules.get(rule_id, {**tenant["rules"][0], "id": rule_id}))


def expectation(example: Json) -> type[Exception] | None:
    """Return the error for the response by api-contract "Errors", or None."""
    status = example["response"]["status"]
    method = example["request"]["method"]
    if status == 404 and (
        method == "DELETE" or (method == "GET" and not example["request"]["query"])
    ):
        return None
    if status < 300:
        broken = "text" in example["response"] and status != 204
        return (
            (
                errors.AmbiguousWriteError
                if method == "POST"
                else errors.UnexpectedResponseError
            )
            if broken
            else None
        )
    if example["request"]["path"] == "/oauth/token":
        return errors.CredentialsError
    if method == "GET" and status == 400:
        return errors.UnsupportedCallError
    return REFUSED[status]


@each_case("example", examples())
def test_the_client_requests_and_understands_as_the_contract_specifies(
    example: Json,
) -> None:
    """The request is the example's; the response becomes a value or the error of the table."""
    server = Server(example)

    async def run() -> None:
        credentials = ClientCredentials(
            client_id="example-id",
            client_secret=example["request"].get("form", {}).get("client_secret", "x"),
        )
        credentials = replace(
            credentials,
            client_id=example["request"].get("form", {}).get("client_id", "example-id"),
        )
        carry = transport_over(httpx.MockTransport(server))
        client = WritingClient(carry, TENANT, credentials, FakeClock().time)
        await calls(client, example)

    expected = expectation(example)
    if expected is None or example["name"] in (
        "page-is-a-list",
        "page-without-total",
        "entity-without-id",
    ):
        asyncio.run(run())
    else:
        with pytest.raises(expected):
            asyncio.run(run())
    requested = server.asked[0]
    request = example["request"]
    assert (request["method"], request["path"]) == (
        requested.method,
        requested.url.path,
    )
    assert request["query"] == dict(requested.url.params)
    for name in ("Authorization", "If-Match", "Content-Type"):
        if name in request["headers"] and request["headers"][name] != "Bearer expired":
            assert request["headers"][name] == requested.headers[name]
    if "form" in request:
        assert request["form"] == dict(parse_qsl(requested.content.decode()))
    if "json" in request and "[cxroute:" in request["json"].get("description", ""):
        assert request["json"] == json.loads(requested.content)


@pytest.mark.parametrize(
    "name", ["page-is-a-list", "page-without-total", "entity-without-id"]
)
def test_a_page_of_a_wrong_shape_is_an_error(name: str) -> None:
    """The list is not accepted: the error names the problem."""
    example = next(example for example in examples() if example["name"] == name)

    async def run() -> None:
        carry = transport_over(httpx.MockTransport(Server(example)))
        await WritingClient(
            carry,
            TENANT,
            ClientCredentials(client_id="id", client_secret="secret"),
            FakeClock().time,
        ).rules()

    with pytest.raises(errors.UnexpectedResponseError, match="page of rules"):
        asyncio.run(run())
