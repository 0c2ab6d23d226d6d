"""Access by key: discovery of the servers, caching, rediscovery, and invalid documents and id
tokens.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
import yaml

from reconciler.core import errors
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.targets.platform.auth import TenantLogin
from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.discovery import parse_identity
from reconciler.targets.platform.settings import ClientCredentials, ServerUrl
from reconciler.targets.platform.transport.request import (
    LENIENT_DECODER,
    ApiRequest,
    ApiResponse,
)
from reconciler.targets.platform.transport.sender import RequestKind
from reconciler.targets.rules_api.client import ReadingClient
from tests.support import canary_secrets as canary
from tests.support.access_key_tenant import (
    API,
    AT_ISSUER,
    CXONE,
    EMPTY,
    ISSUER,
    KEYS,
    OPENID,
    RULES,
    TOKEN,
    ScriptedIssuer,
    answers_in_turn,
    jwt,
    part,
    token,
)
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

GONE = (404, {"message": "Not found"})
TENANT_ID = "11111111-2222-4333-8444-555555555555"


def read(world: ScriptedIssuer, tenant: Any = AT_ISSUER) -> None:
    """Read the rules of a tenant."""
    asyncio.run(world.client(tenant).rules())


def failing(client: ReadingClient) -> Any:
    """Return the error of reading the rules, or None."""

    async def run() -> BaseException | None:
        try:
            await client.rules()
        except errors.ApiError as error:
            return error
        return None

    return run()


def test_login_at_an_issuer() -> None:
    """Two documents and a token, each requested once; the secret goes to the token server, and the
    token to the API.
    """
    world = ScriptedIssuer()
    read(world)
    assert [
        f"GET {OPENID}",
        f"POST {TOKEN}",
        f"GET {CXONE}",
        f"GET {RULES}",
        f"GET {RULES}",
    ] == world.calls
    first, second, third, *rest = world.asked
    assert f"tenantId={TENANT_ID}" == third.target.partition("?")[2]
    assert {
        "grant_type": ["password"],
        "username": [canary.KEY],
        "password": [canary.KEY_SECRET],
    } == parse_qs(second.content.decode())
    assert f"password={quote_plus(canary.KEY_SECRET)}" in second.content.decode()
    pair = b64encode(f"{canary.CLIENT}:{canary.SECRET}".encode()).decode()
    assert f"Basic {pair}" == second.headers["Authorization"]
    assert not [
        item
        for item in (first, third)
        if "Authorization" in item.headers or item.content
    ]
    assert {f"Bearer {canary.TOKEN}"} == {
        item.headers["Authorization"] for item in rest
    }
    assert {"application/json"} == {item.headers["Accept"] for item in world.asked}


def test_a_configured_api_address_is_used() -> None:
    """Then there is no request for the API's address, and no id token is needed."""
    world = ScriptedIssuer(token=token(id_token="none"))
    world.answers[f"{API}/rules/api/v2/routing/rules"] = EMPTY
    read(world, replace(AT_ISSUER, base_url=f"{API}/rules"))
    assert [f"GET {OPENID}", f"POST {TOKEN}"] == world.calls[:2]
    assert {f"GET {API}/rules/api/v2/routing/rules"} == set(world.calls[2:])


def test_an_area_needs_one_request() -> None:
    """One request with the access key as JSON; no client, no document."""
    address = "https://na1.nice-incontact.com/authentication/v1/token/access-key"
    world = ScriptedIssuer()
    world.answers[address] = {"access_token": canary.TOKEN}
    tenant = replace(TENANT, base_url=API, token_url=address)
    client = world.client(tenant)
    client._login._credentials = ClientCredentials(
        client_id="", client_secret="", key_id=canary.KEY, key_secret=canary.KEY_SECRET
    )
    asyncio.run(client.rules())
    assert [f"POST {address}", f"GET {RULES}", f"GET {RULES}"] == world.calls
    assert "Authorization" not in world.asked[0].headers


def test_a_thousand_callers_share_one_login() -> None:
    """Each document and the token are requested once, for any number of waiting callers."""
    world = ScriptedIssuer()
    client = world.client(replace(AT_ISSUER, concurrency=1000))

    async def run() -> None:
        await asyncio.gather(*(client._login.token() for _ in range(1000)))

    asyncio.run(run())
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {CXONE}"] == world.calls


def test_an_expiring_token_is_renewed_without_discovery() -> None:
    """A minute before it expires, by the monotonic clock."""
    world = ScriptedIssuer()
    virtual = FakeClock()
    client = world.client(clock=virtual)

    async def run() -> None:
        await client.rules()
        virtual.seconds += 3500
        await client.rules()
        assert 1 == world.count(TOKEN)
        virtual.seconds += 50
        await client.rules()

    asyncio.run(run())
    assert (1, 2, 1) == (world.count(OPENID), world.count(TOKEN), world.count(CXONE))


def test_a_refused_token_is_renewed_once() -> None:
    """The second 401 is an error; the API's address stays known."""
    world = ScriptedIssuer(
        token=answers_in_turn(token(), token(access_token=canary.RENEWED)),
        rules=answers_in_turn((401, {}), EMPTY),
    )
    read(world)
    assert (1, 2, 1) == (world.count(OPENID), world.count(TOKEN), world.count(CXONE))
    world = ScriptedIssuer(rules=(401, {}))
    with pytest.raises(errors.CredentialsError):
        read(world)
    assert 2 == world.count(TOKEN)


@each_case(
    "moved", [GONE, (405, {}), (410, {}), (421, {}), (501, {}), (302, {}), (307, {})]
)
def test_a_token_address_that_stops_working_is_discovered_again(moved: Any) -> None:
    """By the next caller; the API's address stays the same, so that a plan never changes hosts
    midway.
    """
    candidate = f"{ISSUER}/new/token"
    world = ScriptedIssuer(
        openid=answers_in_turn(
            {"token_endpoint": TOKEN}, {"token_endpoint": candidate}
        ),
        token=answers_in_turn(token(), moved),
    )
    world.answers[candidate] = token(access_token=canary.RENEWED)
    world.answers[CXONE] = answers_in_turn(
        {"api_endpoint": API}, {"api_endpoint": "https://api-eu1.niceincontact.com"}
    )
    virtual = FakeClock()
    client = world.client(replace(AT_ISSUER, patience_seconds=60.0), virtual)

    async def run() -> None:
        await client.rules()
        virtual.seconds += 3600
        assert await failing(client) is not None
        assert await failing(client) is None

    asyncio.run(run())
    assert (2, 1, 1) == (
        world.count(OPENID),
        world.count(candidate),
        world.count(CXONE),
    )
    assert f"GET {RULES}" == world.calls[-1]


def test_an_unreachable_token_address_is_discovered_again() -> None:
    """By the endpoint, which runs for months; a command gives up."""
    world = ScriptedIssuer()

    async def send(request: ApiRequest, _kind: RequestKind) -> ApiResponse:
        answer = await world.carry(request)
        if request.method == "POST" and world.count(TOKEN) == 1:
            raise errors.UnreachableError("no connection")
        return answer._replace(payload=answer.json(LENIENT_DECODER))

    async def run() -> None:
        access = TenantLogin(AT_ISSUER, KEYS, send, lambda: 0.0)
        with pytest.raises(errors.UnreachableError):
            await access.token()
        assert canary.TOKEN == await access.token()

    asyncio.run(run())
    assert (2, 2) == (world.count(OPENID), world.count(TOKEN))


@each_case("refused", [(400, {}), (401, {}), (403, {}), (500, {}), (429, {})])
def test_a_refused_key_or_a_busy_issuer_causes_no_discovery(refused: Any) -> None:
    """The address is right: the key is wrong, or the issuer is overloaded."""
    world = ScriptedIssuer(token=refused)
    client = world.client()

    async def run() -> None:
        assert await failing(client) is not None
        assert await failing(client) is not None

    asyncio.run(run())
    assert 1 == world.count(OPENID)


def test_a_missing_api_document_is_read_again_with_the_same_token() -> None:
    """An issuer whose second document is missing for a while gets no further requests for
    tokens.
    """
    world = ScriptedIssuer(cxone=answers_in_turn(GONE, GONE, {"api_endpoint": API}))
    client = world.client()

    async def run() -> list[Any]:
        return [await failing(client) for _ in range(3)]

    first, second, third = asyncio.run(run())
    assert "status 404, Not found; set api.baseUrl" in str(first)
    assert str(first) == str(second)
    assert third is None
    assert (1, 3) == (world.count(TOKEN), world.count(CXONE))


def test_a_truncated_document_is_requested_again() -> None:
    """As for every read; a document that stays broken is an error."""
    world = ScriptedIssuer(
        openid=answers_in_turn(b'{"token_end', {"token_endpoint": TOKEN})
    )
    read(world)
    assert 2 == world.count(OPENID)


ODD: dict[str, Any] = {
    "a list": [],
    "null": None,
    "another type": {"token_endpoint": [TOKEN], "api_endpoint": {"url": API}},
    "an empty address": {"token_endpoint": "", "api_endpoint": ""},
    "nothing": b"",
    "half": b'{"token_endpoint": ',
    "a page": b"<html>Sign in</html>",
    "NaN": b'{"token_endpoint": NaN}',
    "infinity": b'{"x": 1e999}',
    "a bomb": b"[" * 100_000,
    "5,000 digits": b'{"x": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"token_endpoint": "\xff"}',
    "too much": b'{"token_endpoint": "%b", "api_endpoint": "%b", "x": "%b"}'
    % (TOKEN.encode(), API.encode(), b"x" * 300_000),
}


@each_case("odd", ODD)
@each_case("which", ["openid", "cxone"])
def test_an_invalid_document_is_one_sentence(which: str, odd: str) -> None:
    """It names the document; the first one sends no secret, and the second one no token."""
    world = ScriptedIssuer(**{which: ODD[odd]})
    with pytest.raises(errors.UnexpectedResponseError, match="well-known") as refused:
        read(world)
    assert (0 if which == "openid" else 1) == world.count(TOKEN)
    assert 0 == world.count(RULES)
    assert [] == canary.find_leaks(
        f"{refused.value}{world.sent('cxone.niceincontact.com')}"
    )


def nested(levels: int) -> str:
    return f"a.{part(b'[' * levels + b']' * levels)}.c"


GOOD = {"iss": ISSUER, "tenantId": TENANT_ID}
IDENTITIES: dict[str, Any] = {
    "absent": None,
    "another type": [1],
    "empty": "",
    "not a JWT": "opaque",
    "two parts": jwt(GOOD).rpartition(".")[0],
    "four parts": jwt(GOOD) + ".d",
    "no base64": "a.###.c",
    "half a byte": "a.eyJ9a.c",
    "spaces": f"a. {part(GOOD)}.c",
    "no JSON": f"a.{part(b'{')}.c",
    "no UTF-8": f"a.{part(bytes([34, 255, 34]))}.c",
    "a list": jwt([GOOD]),
    "NaN": "a." + part(b'{"iss": NaN}') + ".c",
    "nested": nested(40_000),
    "5,000 digits": f"a.{part(b'9' * 5000)}.c",
    "huge": jwt({**GOOD, "x": "x" * 300_000}),
    "no iss": jwt({"tenantId": TENANT_ID}),
    "no tenantId": jwt({"iss": ISSUER}),
    "iss of another type": jwt({**GOOD, "iss": [ISSUER]}),
    "tenantId of another type": jwt({**GOOD, "tenantId": 7}),
    "tenantId empty": jwt({**GOOD, "tenantId": ""}),
    "tenantId with a query": jwt({**GOOD, "tenantId": "a&b=c"}),
    "tenantId with a line": jwt({**GOOD, "tenantId": "a\r\nX: y"}),
    "tenantId without end": jwt({**GOOD, "tenantId": "a" * 129}),
}


@each_case("odd", IDENTITIES)
def test_an_id_token_without_claims_is_one_sentence(odd: str) -> None:
    """The message says how to do without one; the token is sent nowhere."""
    world = ScriptedIssuer(token=token(id_token=IDENTITIES[odd]))
    with pytest.raises(
        errors.UnexpectedResponseError, match=r"no id_token with .* set api\.baseUrl"
    ):
        read(world)
    assert [f"GET {OPENID}", f"POST {TOKEN}"] == world.calls


@pytest.mark.parametrize("length", range(4))
def test_an_id_token_is_read_with_and_without_padding(length: int) -> None:
    """JWTs have no padding, but some issuers add it."""
    form = {**GOOD, "x": "ÿ?>" + "x" * length}
    head, payload, signature = jwt(form).split(".")
    assert (ISSUER, TENANT_ID) == parse_identity(jwt(form))
    assert (ISSUER, TENANT_ID) == parse_identity(
        f"{head}.{payload}{'=' * (-len(payload) % 4)}.{signature}"
    )


def test_a_missing_token_is_reported_before_the_id_token() -> None:
    """The missing access_token is reported, and not the missing claims about the tenant."""
    with pytest.raises(errors.UnexpectedResponseError, match="no usable access_token"):
        read(ScriptedIssuer(token={"id_token": "x"}))


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_names_the_variables_and_no_value(status: int) -> None:
    """The issuer repeats its request and the client that it knows; the message repeats neither."""

    def echo(request: ApiRequest) -> Any:
        return status, {
            "error": "bad",
            "error_description": f"{request.content.decode()} {request.headers}",
        }

    with pytest.raises(
        errors.CredentialsError,
        match=r"access key or the client id or secret.*check THE_KEY, THE_SECRET",
    ) as refused:
        read(ScriptedIssuer(token=echo))
    assert [] == canary.find_leaks(str(refused.value))


def test_the_issuer_s_second_document_repeats_no_token() -> None:
    """Its error text may name the tokens that the issuer has just issued."""
    identity = jwt({**GOOD, "nonce": canary.RENEWED})
    world = ScriptedIssuer(
        token=token(id_token=identity),
        cxone=(400, {"message": f"{canary.TOKEN} {identity}"}),
    )
    with pytest.raises(errors.CredentialsError) as refused:
        read(world)
    assert [] == canary.find_leaks(str(refused.value))
    assert identity not in str(refused.value)


def test_a_fence_admits_only_reads_and_token_requests() -> None:
    """The token server is read from the issuer's own document; before that, no POST is allowed."""
    world = ScriptedIssuer()
    carry = read_only_transport(world.carry, AT_ISSUER)
    opening = ApiRequest(
        "GET", ServerUrl.parse(ISSUER), "/.well-known/openid-configuration", {}
    )

    def to(url: str, method: str = "POST") -> ApiRequest:
        server = ServerUrl.parse(url)
        return ApiRequest(method, server, server.path, {})

    async def run() -> None:
        for item in (to(TOKEN), to(RULES)):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(item)
        await carry(opening)
        await carry(to(TOKEN))
        for item in (
            to(RULES),
            to(TOKEN, "PUT"),
            to(f"{ISSUER}/auth/other"),
            to(f"{API}/auth/token"),
            to(OPENID),
        ):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(item)
        world.answers[OPENID] = {"token_endpoint": "https://evil.example/token"}
        await carry(opening)
        for url in ("https://evil.example/token", TOKEN):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(to(url))

    asyncio.run(run())
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {OPENID}"] == world.calls


def test_no_value_that_holds_a_key_shows_it() -> None:
    """Neither credentials, nor requests, nor the values that hold them."""
    world = ScriptedIssuer()
    client = world.client()
    asyncio.run(client.rules())
    stored_values: list[Any] = [
        KEYS,
        client,
        client._login,
        client._login._discovery,
        *world.asked,
    ]
    assert [] == canary.find_leaks(
        "".join(f"{item!r} {item}" for item in stored_values)
    )


def test_the_environments_of_the_documentation_are_valid() -> None:
    """Each block of docs/connect.md about access keys; a block with only `api:` belongs to an
    environment.
    """
    page = (Path(__file__).parents[3] / "docs/connect.md").read_text(encoding="utf-8")
    text = page[page.index("### Use an access key") : page.index("### Destinations")]
    blocks = [
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    ]
    blocks += [yaml.safe_load(line) for line in re.findall(r"`(api: \{[^`]*\})`", text)]
    assert 4 == len(blocks)
    for block in blocks:
        read = Environment.model_validate({"name": "prod", "owner": "acme", **block})
        assert "access-key" == read.api.auth
