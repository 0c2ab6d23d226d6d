"""Access by key: the way in, what is asked once, what is asked anew, and odd documents and id tokens."""

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

from reconciler import errors
from reconciler.cxone.auth import TenantLogin
from reconciler.cxone.client import ReadingClient
from reconciler.cxone.connect import read_only_transport
from reconciler.cxone.discovery import Identity, parse_identity
from reconciler.cxone.settings import ClientCredentials, ServerUrl
from reconciler.cxone.transport.request import LENIENT_DECODER, ApiRequest, ApiResponse
from reconciler.cxone.transport.sender import RequestKind
from reconciler.manifest.kinds.environment import Environment
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
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

GONE = (404, {"message": "Not found"})
TENANT_ID = "11111111-2222-4333-8444-555555555555"


def read(world: ScriptedIssuer, tenant: Any = AT_ISSUER) -> None:
    """Read the rules of a tenant."""
    asyncio.run(world.client(tenant).rules())


def failing(client: ReadingClient) -> Any:
    """Return what reading raises, or nothing."""

    async def run() -> BaseException | None:
        try:
            await client.rules()
        except errors.ApiError as error:
            return error
        return None

    return run()


def test_the_way_in_at_an_issuer() -> None:
    """Two documents and a token, each asked once; a secret goes to the token's address, and the token to the API."""
    world = ScriptedIssuer()
    read(world)
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {CXONE}", f"GET {RULES}", f"GET {RULES}"] == world.calls
    first, second, third, *rest = world.asked
    assert f"tenantId={TENANT_ID}" == third.target.partition("?")[2]
    assert {"grant_type": ["password"], "username": [canary.KEY], "password": [canary.KEY_SECRET]} == parse_qs(
        second.content.decode()
    )
    assert f"password={quote_plus(canary.KEY_SECRET)}" in second.content.decode()
    pair = b64encode(f"{canary.CLIENT}:{canary.SECRET}".encode()).decode()
    assert f"Basic {pair}" == second.headers["Authorization"]
    assert not [one for one in (first, third) if "Authorization" in one.headers or one.content]
    assert {f"Bearer {canary.TOKEN}"} == {one.headers["Authorization"] for one in rest}
    assert {"application/json"} == {one.headers["Accept"] for one in world.asked}


def test_an_address_of_the_api_that_is_given_is_taken() -> None:
    """Then nobody asks where the API is, and no id token is needed."""
    world = ScriptedIssuer(token=token(id_token="none"))
    world.answers[f"{API}/rules/api/v2/routing/rules"] = EMPTY
    read(world, replace(AT_ISSUER, base_url=f"{API}/rules"))
    assert [f"GET {OPENID}", f"POST {TOKEN}"] == world.calls[:2]
    assert {f"GET {API}/rules/api/v2/routing/rules"} == set(world.calls[2:])


def test_the_simpler_call_of_an_area() -> None:
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


def test_a_thousand_callers_find_the_way_once() -> None:
    """Each document and the token are asked for once, however many wait."""
    world = ScriptedIssuer()
    client = world.client(replace(AT_ISSUER, concurrency=1000))

    async def run() -> None:
        await asyncio.gather(*(client._login.token() for _ in range(1000)))

    asyncio.run(run())
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {CXONE}"] == world.calls


def test_an_old_token_is_renewed_and_nothing_is_discovered_again() -> None:
    """A minute before its end, by the monotonic clock."""
    world, virtual = ScriptedIssuer(), FakeClock()
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
    """The second 401 is an error; where the API is has not changed."""
    world = ScriptedIssuer(
        token=answers_in_turn(token(), token(access_token=canary.RENEWED)), rules=answers_in_turn((401, {}), EMPTY)
    )
    read(world)
    assert (1, 2, 1) == (world.count(OPENID), world.count(TOKEN), world.count(CXONE))
    world = ScriptedIssuer(rules=(401, {}))
    with pytest.raises(errors.CredentialsError):
        read(world)
    assert 2 == world.count(TOKEN)


@pytest.mark.parametrize("moved", [GONE, (405, {}), (410, {}), (421, {}), (501, {}), (302, {}), (307, {})])
def test_a_token_s_address_that_is_none_any_more_is_discovered_anew(moved: Any) -> None:
    """By whoever asks next; where the API is stays as it was, so that a plan never changes hosts midway."""
    other = f"{ISSUER}/new/token"
    world = ScriptedIssuer(
        openid=answers_in_turn({"token_endpoint": TOKEN}, {"token_endpoint": other}),
        token=answers_in_turn(token(), moved),
    )
    world.answers[other] = token(access_token=canary.RENEWED)
    world.answers[CXONE] = answers_in_turn({"api_endpoint": API}, {"api_endpoint": "https://api-eu1.niceincontact.com"})
    virtual = FakeClock()
    client = world.client(replace(AT_ISSUER, patience_seconds=60.0), virtual)

    async def run() -> None:
        await client.rules()
        virtual.seconds += 3600
        assert await failing(client) is not None
        assert await failing(client) is None

    asyncio.run(run())
    assert (2, 1, 1) == (world.count(OPENID), world.count(other), world.count(CXONE))
    assert f"GET {RULES}" == world.calls[-1]


def test_a_token_s_address_that_cannot_be_reached_is_discovered_anew() -> None:
    """By the endpoint, which goes on for months; a command gives up."""
    world = ScriptedIssuer()

    async def send(request: ApiRequest, _kind: RequestKind) -> ApiResponse:
        answer = await world.carry(request)
        if request.method == "POST" and world.count(TOKEN) == 1:
            raise errors.UnreachableError("nobody there")
        return answer._replace(payload=answer.json(LENIENT_DECODER))

    async def run() -> None:
        access = TenantLogin(AT_ISSUER, KEYS, send, lambda: 0.0)
        with pytest.raises(errors.UnreachableError):
            await access.token()
        assert canary.TOKEN == await access.token()

    asyncio.run(run())
    assert (2, 2) == (world.count(OPENID), world.count(TOKEN))


@pytest.mark.parametrize("refused", [(400, {}), (401, {}), (403, {}), (500, {}), (429, {})])
def test_a_refused_key_or_a_busy_issuer_is_no_reason_to_discover_anew(refused: Any) -> None:
    """The address is right; it was the key, or it is not the time."""
    world = ScriptedIssuer(token=refused)
    client = world.client()

    async def run() -> None:
        assert await failing(client) is not None
        assert await failing(client) is not None

    asyncio.run(run())
    assert 1 == world.count(OPENID)


def test_where_the_api_is_can_be_asked_again_without_another_token() -> None:
    """An issuer whose second document is missing for a while is not asked for tokens meanwhile."""
    world = ScriptedIssuer(cxone=answers_in_turn(GONE, GONE, {"api_endpoint": API}))
    client = world.client()

    async def run() -> list[Any]:
        return [await failing(client) for _ in range(3)]

    first, second, third = asyncio.run(run())
    assert "status 404, Not found; give api.baseUrl" in str(first)
    assert str(first) == str(second)
    assert third is None
    assert (1, 3) == (world.count(TOKEN), world.count(CXONE))


def test_a_document_that_was_cut_is_asked_for_again() -> None:
    """As everything that is read; a broken one stays broken."""
    world = ScriptedIssuer(openid=answers_in_turn(b'{"token_end', {"token_endpoint": TOKEN}))
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


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("which", ["openid", "cxone"])
def test_a_document_that_is_none_is_one_sentence(which: str, odd: str) -> None:
    """It names the document; no secret goes out because of the first, no token because of the second."""
    world = ScriptedIssuer(**{which: ODD[odd]})
    with pytest.raises(errors.UnexpectedResponseError, match="well-known") as refused:
        read(world)
    assert (0 if which == "openid" else 1) == world.count(TOKEN)
    assert 0 == world.count(RULES)
    assert [] == canary.find_leaks(f"{refused.value}{world.sent('cxone.niceincontact.com')}")


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


@pytest.mark.parametrize("odd", IDENTITIES)
def test_an_id_token_that_says_nothing_ends_in_one_sentence(odd: str) -> None:
    """It says what can be done without one; the token goes nowhere."""
    world = ScriptedIssuer(token=token(id_token=IDENTITIES[odd]))
    with pytest.raises(errors.UnexpectedResponseError, match=r"no id_token that says .* give api\.baseUrl"):
        read(world)
    assert [f"GET {OPENID}", f"POST {TOKEN}"] == world.calls


@pytest.mark.parametrize("length", range(4))
def test_an_id_token_is_read_however_it_is_padded(length: int) -> None:
    """JWTs have no padding; some have it all the same."""
    form = {**GOOD, "x": "ÿ?>" + "x" * length}
    head, payload, signature = jwt(form).split(".")
    assert Identity(ISSUER, TENANT_ID) == parse_identity(jwt(form))
    assert Identity(ISSUER, TENANT_ID) == parse_identity(f"{head}.{payload}{'=' * (-len(payload) % 4)}.{signature}")


def test_an_answer_without_a_token_says_so_first() -> None:
    """Before anybody asks what it says of the tenant."""
    with pytest.raises(errors.UnexpectedResponseError, match="no usable access_token"):
        read(ScriptedIssuer(token={"id_token": "x"}))


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_names_the_variables_and_no_value(status: int) -> None:
    """Whatever the issuer repeats of what it was sent, and of the client that it knows."""

    def echo(request: ApiRequest) -> Any:
        return status, {"error": "bad", "error_description": f"{request.content.decode()} {request.headers}"}

    with pytest.raises(
        errors.CredentialsError, match=r"access key or the client id or secret.*check THE_KEY, THE_SECRET"
    ) as refused:
        read(ScriptedIssuer(token=echo))
    assert [] == canary.find_leaks(str(refused.value))


def test_the_issuer_s_second_document_repeats_no_token() -> None:
    """It may know the tokens that were just given out, and an error of its own may name them."""
    identity = jwt({**GOOD, "nonce": canary.RENEWED})
    world = ScriptedIssuer(token=token(id_token=identity), cxone=(400, {"message": f"{canary.TOKEN} {identity}"}))
    with pytest.raises(errors.CredentialsError) as refused:
        read(world)
    assert [] == canary.find_leaks(str(refused.value))
    assert identity not in str(refused.value)


def test_a_fence_lets_nothing_through_but_reads_and_the_token() -> None:
    """Where tokens are is read from the issuer's own document; before that, nothing may be posted anywhere."""
    world = ScriptedIssuer()
    carry = read_only_transport(world.carry, AT_ISSUER)
    opening = ApiRequest("GET", ServerUrl.parse(ISSUER), "/.well-known/openid-configuration", {})

    def to(url: str, method: str = "POST") -> ApiRequest:
        server = ServerUrl.parse(url)
        return ApiRequest(method, server, server.path, {})

    async def run() -> None:
        for one in (to(TOKEN), to(RULES)):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(one)
        await carry(opening)
        await carry(to(TOKEN))
        for one in (to(RULES), to(TOKEN, "PUT"), to(f"{ISSUER}/auth/other"), to(f"{API}/auth/token"), to(OPENID)):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(one)
        world.answers[OPENID] = {"token_endpoint": "https://evil.example/token"}
        await carry(opening)
        for url in ("https://evil.example/token", TOKEN):
            with pytest.raises(AssertionError, match="reading client"):
                await carry(to(url))

    asyncio.run(run())
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {OPENID}"] == world.calls


def test_nothing_that_holds_a_key_shows_it() -> None:
    """Neither credentials, nor requests, nor what they are kept in."""
    world = ScriptedIssuer()
    client = world.client()
    asyncio.run(client.rules())
    held: list[Any] = [KEYS, client, client._login, client._login._discovery, *world.asked]
    assert [] == canary.find_leaks("".join(f"{one!r} {one}" for one in held))


def test_the_environments_of_the_documentation_are_valid() -> None:
    """Each block of docs/access.md; one that is `api:` alone is that of an environment."""
    text = (Path(__file__).parents[2] / "docs/access.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    blocks += [yaml.safe_load(line) for line in re.findall(r"`(api: \{[^`]*\})`", text)]
    assert 4 == len(blocks)
    for block in blocks:
        read = Environment.model_validate({"name": "prod", "owner": "acme", **block})
        assert "access-key" == read.api.auth
