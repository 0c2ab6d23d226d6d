"""The secrets that a process knows, in a process that runs for months."""

from __future__ import annotations

import asyncio
import html
import json
import secrets
from base64 import b64encode
from collections.abc import Callable
from random import Random
from string import ascii_letters, digits
from typing import Final
from urllib.parse import quote, quote_plus

import pytest

from reconciler.core.text.redact import PLACEHOLDER, Redactor, RotatingTokens
from reconciler.targets.platform import connect
from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from tests.features.endpoint.process_memory import MIB, resident
from tests.support.cases import each_case

SERVER = ServerUrl("https", "acme.my.cxone.com", 443, "")


@pytest.mark.slow
def test_the_newest_of_many_tokens_are_hidden_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each token is hidden when received and when used, memory is bounded, and the client's secret
    stays hidden.
    """
    discretion = Redactor()
    monkeypatch.setattr(connect, "REDACTOR", discretion)
    discretion.add("the-clients-own-secret")
    tokens: list[str] = []

    async def carry(request: ApiRequest) -> ApiResponse:
        if request.method == "POST":
            tokens.append(secrets.token_hex(100))
            return ApiResponse(
                "",
                200,
                {},
                json.dumps(
                    {"access_token": tokens[-1], "id_token": f"{tokens[-1]}.id"}
                ).encode(),
            )
        return ApiResponse("", 200, {}, b"{}")

    async def renew(times: int) -> None:
        carried = connect.redacted(carry)
        for _ in range(times):
            await carried(ApiRequest("POST", SERVER, "/oauth/token", {}))
            assert discretion.redact(tokens[-1]) == PLACEHOLDER
            await carried(
                ApiRequest(
                    "GET", SERVER, "/", {"Authorization": f"Bearer {tokens[-1]}"}
                )
            )

    asyncio.run(renew(20))
    before = resident()
    asyncio.run(renew(200))
    assert resident() - before < 10 * MIB
    assert [PLACEHOLDER, PLACEHOLDER] == [
        discretion.redact(tokens[-1]),
        discretion.redact(tokens[-2]),
    ]
    assert tokens[0] == discretion.redact(tokens[0])
    assert PLACEHOLDER == discretion.redact("the-clients-own-secret")


def test_a_token_that_is_a_password_too_is_never_forgotten() -> None:
    """A server may return any value that it received as a token."""
    discretion = Redactor()
    discretion.add("the-clients-own-secret")
    passing = RotatingTokens(discretion)
    passing.add(
        "the-clients-own-secret", *(secrets.token_urlsafe() for _ in range(100))
    )
    assert PLACEHOLDER == discretion.redact("the-clients-own-secret")


def test_a_token_in_use_stays_hidden_after_many_new_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call is repeated with its old token, after a response with twenty other tokens."""
    discretion = Redactor()
    requested = asyncio.Event()
    monkeypatch.setattr(connect, "REDACTOR", discretion)
    token = secrets.token_hex(100)
    many = {f"{number}_token": secrets.token_hex(100) for number in range(20)}

    async def carry(request: ApiRequest) -> ApiResponse:
        if request.method == "POST":
            await requested.wait()
        return ApiResponse("", 200, {}, json.dumps(many).encode())

    async def renew() -> None:
        carried = connect.redacted(carry)
        call = ApiRequest("GET", SERVER, "/", {"Authorization": f"Bearer {token}"})
        renewing = asyncio.ensure_future(
            carried(ApiRequest("POST", SERVER, "/oauth/token", {}))
        )
        await asyncio.sleep(0)
        await carried(call)
        requested.set()
        await renewing
        await carried(call)

    asyncio.run(renew())
    assert PLACEHOLDER == discretion.redact(token)


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("seed", range(5))
def test_every_run_of_a_secret_is_hidden_and_no_other_text(seed: int) -> None:
    """Twelve letters and digits in a row of any encoding are hidden; the text around them is
    kept.
    """
    chance = Random(seed)
    declared = [secrets.token_hex(20) for _ in range(20)]
    discretion = Redactor()
    discretion.add(*declared)
    for _ in range(200):
        secret = chance.choice(declared)
        start = chance.randrange(28)
        end = chance.randrange(start + 12, 41)
        assert f"so: {PLACEHOLDER}. ÄÖÜ" == discretion.redact(
            f"so: {secret[start:end]}. ÄÖÜ"
        )
        assert f"so: {secret[start : start + 11]}." == discretion.redact(
            f"so: {secret[start : start + 11]}."
        )


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("seed", range(5))
def test_a_secret_with_a_changed_middle_leaves_no_run_of_it(seed: int) -> None:
    """A server repeats a secret with some letters replaced: no twelve letters in a row of it
    remain.
    """
    chance = Random(seed)
    secret = "".join(chance.choices(ascii_letters + digits, k=40))
    redactor = Redactor()
    redactor.add(secret)
    for _ in range(300):
        start = chance.randrange(10, 28)
        end = chance.randrange(start + 1, 30)
        changed = f"{secret[:start]}{'9' * (end - start)}{secret[end:]}"
        result = redactor.redact("x" * chance.randrange(8) + changed)
        assert [] == [
            place for place in range(29) if secret[place : place + 12] in result
        ], result


ENCODINGS: Final[dict[str, Callable[[str], str]]] = {
    "raw": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in lower case": lambda secret: quote(secret, safe="").lower(),
    "percent-encoded path": quote,
    "a form": quote_plus,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "a repr": lambda secret: repr(secret)[1:-1],
    "a repr of bytes": lambda secret: repr(secret.encode())[2:-1],
    "JSON escapes": lambda secret: "".join(f"\\u{ord(sign):04x}" for sign in secret),
    "HTML references": lambda secret: "".join(f"&#{ord(sign)};" for sign in secret),
    "HTML": html.escape,
    "hex": lambda secret: secret.encode().hex(),
    "hex in capitals": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: b64encode(secret.encode()).decode(),
    "base64 behind one sign": lambda secret: b64encode(f":{secret}".encode()).decode(),
    "base64 behind two signs": lambda secret: b64encode(
        f"a:{secret}".encode()
    ).decode(),
}
"""How a format or a server writes a text; each occurs in real answers."""


SIGNED: Final = (
    "Zürich/9§=ß&Ärö",
    "pass word'<7>\"+%",
    "käse-é-ñ-ø-4711",
    "p@$$-w0rd!",
)
"""Passwords of which few signs are letters and digits of ASCII."""


@each_case("secret", SIGNED)
@each_case("encoding", ENCODINGS)
def test_a_secret_of_other_signs_is_hidden_in_each_encoding(
    encoding: str, secret: str
) -> None:
    """Its letters and digits alone are too few to find it by, so the encoded form itself is
    compared.
    """
    redactor = Redactor()
    redactor.add(secret)
    form = ENCODINGS[encoding](secret)
    text = redactor.redact(f"so: {form}. End")
    assert form[2:-4] not in text
    assert PLACEHOLDER in text
    assert text.startswith("so: ")
    assert text.endswith("End")
    document = {"a": [f"so: {form}", 1], form: None}
    for redacted in (
        redactor.redact_json(document),
        json.loads(redactor.dump_redacted(document)),
    ):
        assert form[2:-4] not in repr(redacted)
        assert redacted["a"][1] == 1
    redactor.remove(secret)
    assert form == redactor.redact(form)
