"""The client against `contract/access.json`: the requests of its login, and its reading of each
response.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from reconciler.core import errors
from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from reconciler.targets.rules_api.client import ReadingClient
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

CONTRACT = Path(__file__).parents[2] / "contract"
EXAMPLES = json.loads((CONTRACT / "access.json").read_text(encoding="utf-8"))
CLIENTS = [example for example in EXAMPLES if "client" in example["sides"]]
RULES = {
    "entities": [],
    "pageNumber": 1,
    "pageSize": 100,
    "total": 0,
    "pageCount": 0,
    "nextUri": None,
}
EXPECTED: dict[str, tuple[type[Exception], str]] = {
    "openid-configuration-silent": (
        errors.UnexpectedResponseError,
        "has no token_endpoint",
    ),
    "openid-configuration-missing": (
        errors.CredentialsError,
        "status 404, Not found; check api.issuer",
    ),
    "openid-configuration-page": (errors.UnexpectedResponseError, "HTML"),
    "password-token-wrong-key": (
        errors.CredentialsError,
        "refuses the access key or the client id or secret",
    ),
    "password-token-wrong-client": (
        errors.CredentialsError,
        "Client authentication failed.*; check THE_KEY, THE_SECRET",
    ),
    "password-token-without-identity": (
        errors.UnexpectedResponseError,
        "no id_token .* set api.baseUrl",
    ),
    "cxone-configuration-silent": (
        errors.UnexpectedResponseError,
        "has no api_endpoint",
    ),
    "cxone-configuration-missing": (
        errors.CredentialsError,
        "status 404, Not found; set api.baseUrl",
    ),
    "access-key-token-wrong": (
        errors.CredentialsError,
        "refuses the access key [(]POST .*: status 401, The access key is not valid",
    ),
}
"""Examples that cause an error, and its text. All others are understood."""


class Server:
    """Answers with the first example of each path, with one replacement; records the requests."""

    def __init__(self, example: Any) -> None:
        self.answers: dict[str, Any] = {}
        for item in [example, *CLIENTS]:
            self.answers.setdefault(item["request"]["path"], item["response"])
        self.asked: list[ApiRequest] = []

    async def carry(self, request: ApiRequest) -> ApiResponse:
        """Answer one request."""
        self.asked.append(request)
        response = self.answers.get(
            request.target.partition("?")[0], {"status": 200, "json": RULES}
        )
        content = (
            json.dumps(response["json"]) if "json" in response else response["text"]
        )
        return ApiResponse(request.call, response["status"], {}, content.encode())


def credentials(example: Any) -> ClientCredentials:
    """Return the credentials of the example's request."""
    request = example["request"]
    body = (
        request.get("json")
        or request.get("form")
        or dict(parse_qsl(request.get("text", "")))
    )
    key = (
        body.get("accessKeyId") or body.get("username", "k"),
        body.get("accessKeySecret") or body.get("password", "s"),
    )
    scheme, _, pair = request["headers"].get("Authorization", "").partition(" ")
    client = (
        b64decode(pair).decode().partition(":")[::2]
        if scheme == "Basic"
        else ("id", "secret")
    )
    if example["name"].startswith("access-key"):
        client = ("", "")
    return ClientCredentials(
        client_id=client[0],
        client_secret=client[1],
        key_id=key[0],
        key_secret=key[1],
        variables=("THE_KEY", "THE_SECRET"),
    )


@each_case("example", CLIENTS)
def test_the_client_logs_in_as_the_contract_specifies(example: Any) -> None:
    """The request equals the example's; the response is understood, or causes an error that says
    what to do.
    """
    server = Server(example)
    at_issuer = not example["name"].startswith("access-key")
    path = example["request"]["path"]
    keyed = replace(TENANT, token_url=f"http://localhost{path}")
    tenant = (
        replace(TENANT, issuer="http://localhost", base_url="", token_url="")
        if at_issuer
        else keyed
    )

    async def run() -> None:
        carry = read_only_transport(server.carry, tenant)
        await ReadingClient(
            carry, tenant, credentials(example), FakeClock().time
        ).rules()

    if example["name"] in EXPECTED:
        expected, text = EXPECTED[example["name"]]
        with pytest.raises(expected, match=text):
            asyncio.run(run())
    else:
        asyncio.run(run())
        assert {"http://localhost/api/v2/routing/rules"} == {
            item.url.partition("?")[0] for item in server.asked[-2:]
        }
    requested = next(
        item for item in server.asked if urlsplit(item.target).path == path
    )
    same(example["request"], requested)


def same(expected: Any, asked: ApiRequest) -> None:
    """Compare a request with the contract's: exactly, unless the contract has a placeholder."""
    assert (expected["method"], expected["query"]) == (
        asked.method,
        dict(parse_qsl(urlsplit(asked.target).query)),
    )
    assert {**expected["headers"], "Accept-Encoding": "gzip"} == asked.headers
    body = asked.content.decode()
    assert expected.get("text", body) == body
    assert expected.get("form", dict(parse_qsl(body))) == dict(parse_qsl(body))
    assert (
        json.loads(body) == expected["json"]
        if "json" in expected
        else body == "" or "form" in expected or "text" in expected
    )


def test_every_example_states_its_source() -> None:
    """In one way or the other; names are unique over all files."""
    every = [
        load
        for file in CONTRACT.glob("*.json")
        for load in json.loads(file.read_text(encoding="utf-8"))
    ]
    assert [] == [
        item["name"]
        for item in every
        if (item.get("source") in {"T", "A"}) == (item.get("sure") in {"O", "T", "?"})
    ]
    assert len(every) == len({item["name"] for item in every})
    assert set(EXPECTED) < {client["name"] for client in CLIENTS}
