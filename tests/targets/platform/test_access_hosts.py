"""An issuer's documents with other hosts get no credential and no token (W15, R13); canaries show a
leak.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

import pytest

from reconciler.core import errors
from reconciler.targets.platform.settings import check_host
from tests.hostile.command import Workspace
from tests.hostile.tenant import HostileTenant, Turn, page, response, serving, whole
from tests.support import canary_secrets as canary
from tests.support.access_key_tenant import (
    API,
    AT_ISSUER,
    CXONE,
    ISSUER,
    OPENID,
    RULES,
    TOKEN,
    ScriptedIssuer,
    jwt,
    token,
)
from tests.support.cases import each_case

NOWHERE: Final = {
    "another host": "https://evil.example/auth/token",
    "another host in capitals": "https://EVIL.EXAMPLE/auth/token",
    "http": "http://cxone.niceincontact.com/auth/token",
    "http in capitals": "HTTP://CXONE.niceincontact.com/auth/token",
    "this machine": "https://localhost/auth/token",
    "this machine in capitals": "https://LOCALHOST/auth/token",
    "this machine, as a number": "https://127.0.0.1/auth/token",
    "this machine, another number": "https://127.8.9.10:8443/auth/token",
    "this machine, IPv6": "https://[::1]/auth/token",
    "this machine without TLS": "http://127.0.0.1:8099/auth/token",
    "this machine with a dot": "https://localhost./auth/token",
    "this machine inside IPv6": "https://[::ffff:7f00:1]/auth/token",
    "this machine, short": "https://127.1/auth/token",
    "this machine, one number": "https://2130706433/auth/token",
    "an address": "https://203.0.113.7/auth/token",
    "a cloud's own address": "http://169.254.169.254/latest/meta-data",
    "a user": "https://cxone.niceincontact.com@evil.example/auth/token",
    "a user and a password": "https://cxone.niceincontact.com:443@evil.example/auth/token",
    "a user at the right host": "https://user@cxone.niceincontact.com/auth/token",
    "a look-alike behind": "https://cxone.niceincontact.com.evil.example/auth/token",
    "a look-alike before": "https://evilniceincontact.com/auth/token",
    "a look-alike, sovereign": "https://evil.nicecxone-sov1.au/auth/token",
    "another sovereign": "https://nicecxone-sov1.example/auth/token",
    "the suffix alone": "https://niceincontact.com/auth/token",
    "letters of another script": "https://cxone.niceincontаct.com/auth/token",
    "punycode": "https://xn--cxone-niceincontct-x8j.com/auth/token",
    "a trailing dot": "https://cxone.niceincontact.com./auth/token",
    "a port": "https://cxone.niceincontact.com:8443/auth/token",
    "the port of http": "https://api-na1.niceincontact.com:80/auth/token",
    "no port there is": "https://cxone.niceincontact.com:99999/auth/token",
    "a backslash": "https://evil.example\\.niceincontact.com/auth/token",
    "a backslash in the path": "https://cxone.niceincontact.com/\\evil.example",
    "a fragment": "https://evil.example#.niceincontact.com/auth/token",
    "a query": "https://evil.example?.niceincontact.com/auth/token",
    "a percent": "https://evil.example%2f.niceincontact.com/auth/token",
    "a semicolon": "https://evil.example;.niceincontact.com/auth/token",
    "a line": "https://cxone.niceincontact.com/auth/token\r\nHost: evil.example",
    "a space": "https://cxone.niceincontact.com /auth/token",
    "a null": "https://cxone.niceincontact.com\x00.evil.example/auth/token",
    "the path above": "https://cxone.niceincontact.com/a/../b",
    "an encoded path above": "https://cxone.niceincontact.com/%2e%2e/b",
    "two slashes": "https://cxone.niceincontact.com//evil.example/b",
    "no scheme": "//cxone.niceincontact.com/auth/token",
    "no host": "https:///auth/token",
    "a path": "/auth/token",
    "a file": "file:///etc/passwd",
    "a script": "javascript://cxone.niceincontact.com/%0aalert(1)",
    "far too long": "https://cxone.niceincontact.com/" + "a" * 10_000,
}
"""Where nothing may go, though a document of a public issuer says so."""


@each_case("where", NOWHERE)
def test_no_secret_is_sent_to_an_untrusted_token_endpoint(where: str) -> None:
    """The first document is read, and no other request is sent."""
    world = ScriptedIssuer(openid={"issuer": ISSUER, "token_endpoint": NOWHERE[where]})
    with pytest.raises(
        errors.CredentialsError,
        match="token_endpoint is not trusted, and nothing was sent",
    ) as text:
        asyncio.run(world.client().rules())
    assert [f"GET {OPENID}"] == world.calls
    assert [] == canary.find_leaks(f"{text.value}{world.sent()}")
    assert len(str(text.value)) < 600


@each_case("where", NOWHERE)
def test_no_token_is_sent_to_an_untrusted_api_endpoint(where: str) -> None:
    """Only the issuer gets requests; the token is not sent."""
    world = ScriptedIssuer(cxone={"api_endpoint": NOWHERE[where]})
    with pytest.raises(
        errors.CredentialsError,
        match="api_endpoint is not trusted, and nothing was sent",
    ) as text:
        asyncio.run(world.client().rules())
    assert [f"GET {OPENID}", f"POST {TOKEN}", f"GET {CXONE}"] == world.calls
    assert [] == canary.find_leaks(
        f"{text.value}{world.sent('cxone.niceincontact.com')}"
    )
    assert canary.TOKEN not in world.sent()


@each_case("where", NOWHERE)
def test_an_untrusted_issuer_in_an_id_token_gets_no_request(where: str) -> None:
    """Not even for a document, which the client would trust next."""
    world = ScriptedIssuer(
        token=token(id_token=jwt({"iss": NOWHERE[where], "tenantId": "t"}))
    )
    with pytest.raises(
        errors.CredentialsError, match="the id token: its iss is not trusted"
    ) as text:
        asyncio.run(world.client().rules())
    assert [f"GET {OPENID}", f"POST {TOKEN}"] == world.calls
    assert [] == canary.find_leaks(str(text.value))


def test_the_message_tells_an_operator_how_to_allow_a_host() -> None:
    """The variable and its value, in one sentence."""
    world = ScriptedIssuer(cxone={"api_endpoint": "https://api.nicecxone-sov1.eu"})
    with pytest.raises(
        errors.CredentialsError,
        match=r"allow it with CXROUTE_HOSTS=api\.nicecxone-sov1\.eu$",
    ):
        asyncio.run(world.client().rules())


BELIEVED: Final = {
    "capitals": ("https://API-NA1.niceincontact.com", RULES),
    "a slash at the end": (f"{API}/", RULES),
    "the usual port": (f"{API}:443", RULES),
    "a path": (f"{API}/some/api.v1", f"{API}/some/api.v1/api/v2/routing/rules"),
    "another host of CXone": (
        "https://api-c52.nice-incontact.com",
        "https://api-c52.nice-incontact.com/api/v2/routing/rules",
    ),
    "a host that is allowed": (
        "https://gate.example",
        "https://gate.example/api/v2/routing/rules",
    ),
}


@each_case("where", BELIEVED)
def test_cxone_hosts_and_allowed_hosts_are_trusted(where: str) -> None:
    """In every spelling."""
    url, rules = BELIEVED[where]
    world = ScriptedIssuer(cxone={"api_endpoint": url})
    asyncio.run(
        world.client(
            replace(AT_ISSUER, allowed_hosts=frozenset({"gate.example"}))
        ).rules()
    )
    assert f"GET {rules}" == world.calls[-1]


def test_an_allowed_issuer_may_have_its_own_port() -> None:
    """The token server of a gateway on port 8443 may use that port; other hosts may not."""
    gate = "https://gate.example:8443"
    tenant = replace(
        AT_ISSUER,
        issuer=gate,
        allowed_hosts=frozenset({"gate.example", "other.example"}),
    )
    world = ScriptedIssuer()
    identity = jwt({"iss": gate, "tenantId": "t"})
    world.answers[f"{gate}/.well-known/openid-configuration"] = {
        "token_endpoint": f"{gate}/token"
    }
    world.answers[f"{gate}/token"] = token(id_token=identity)
    world.answers[f"{gate}/.well-known/cxone-configuration"] = {
        "api_endpoint": f"{gate}/api"
    }
    asyncio.run(world.client(tenant).rules())
    assert f"GET {gate}/api/api/v2/routing/rules" == world.calls[-1]
    world.answers[f"{gate}/.well-known/cxone-configuration"] = {
        "api_endpoint": "https://other.example:8443"
    }
    with pytest.raises(errors.CredentialsError, match="another port than 443"):
        asyncio.run(world.client(tenant).rules())


@each_case(
    "issuer, known",
    [
        ("https://cxone.niceincontact.com", True),
        ("https://cxone-gov.niceincontact.com", True),
        ("https://nicecxone-sov1.au", True),
        ("https://nicecxone-sov1.eu", True),
        ("https://NICECXONE-SOV1.EU", True),
        ("https://api.nicecxone-sov1.eu", False),
        ("https://nicecxone-sov1.eu.evil.example", False),
        ("https://evilnicecxone-sov1.eu", False),
        ("https://nicecxone-sov2.eu", False),
        ("https://nicecxone-sov1.eu.", False),
        ("http://nicecxone-sov1.eu", False),
    ],
)
def test_only_the_published_issuers_are_known(issuer: str, known: bool) -> None:  # noqa: FBT001 - a value
    """The sovereign issuers are two hosts; no hosts below them are published."""
    if known:
        check_host(issuer, frozenset())
    else:
        with pytest.raises((errors.CredentialsError, errors.UsageError)):
            check_host(issuer, frozenset())


ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: evil
owner: acme
api: {{auth: access-key, issuer: "{url}", timeoutSeconds: 2, requestsPerSecond: 10000}}
"""
STEPS: Final = {
    "openid": "/.well-known/openid-configuration",
    "token": "/auth/token",
    "cxone": "/.well-known/cxone-configuration",
    "rules": "/api/v2/routing/rules",
}


class Keyed(HostileTenant):
    """A tenant on a real socket with access keys, and one step that a function answers."""

    def __init__(
        self, step: str = "", instead: Callable[[Turn, Keyed], bytes] | None = None
    ) -> None:
        super().__init__()
        for kind in ("one", "POST"):
            self.scripts[kind] = self._answer
        if step == "rules":
            self.scripts["list"] = self._answer
        self._step, self._instead = STEPS.get(step, ""), instead

    async def _answer(self, turn: Turn) -> None:
        path = turn.request.path.partition("?")[0]
        good = {
            STEPS["openid"]: {"token_endpoint": f"{self.url}/auth/token"},
            STEPS["token"]: token(id_token=jwt({"iss": self.url, "tenantId": "t"})),
            STEPS["cxone"]: {"api_endpoint": self.url},
        }
        answer = whole(good.get(path, page([])))
        answer = (
            self._instead(turn, self)
            if self._instead and path == self._step
            else answer
        )
        await turn.send(
            answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        )


@pytest.fixture
def keyed(place: Workspace) -> Iterator[Callable[..., int]]:
    """Run a command against this tenant; no output and no file contains a secret."""
    with ExitStack() as stack:

        def run(tenant: Keyed, *arguments: str) -> int:
            stack.enter_context(serving(tenant))
            place.manifests(tenant.url, "one", seconds=2)
            manifest = place.path / "manifests/evil.yaml"
            text = manifest.read_text("utf-8")
            manifest.write_text(
                ENVIRONMENT.format(url=tenant.url) + text[text.index("---") :], "utf-8"
            )
            ended = place(*arguments)
            place.secretive()
            if "json" in arguments:
                json.loads(ended.out)
            return ended.code

        yield run


def test_an_access_key_works_on_a_real_socket(keyed: Callable[..., int]) -> None:
    """Otherwise the tests below would prove nothing."""
    tenant = Keyed()
    assert 0 == keyed(tenant, "plan")
    assert (
        list(STEPS.values())
        == list(dict.fromkeys(item.path.partition("?")[0] for item in tenant.asked))[:4]
    )


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "status",
    [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary", b"308 Permanent"],
)
@pytest.mark.parametrize("step", STEPS)
def test_no_step_of_the_login_follows_a_redirect(
    keyed: Callable[..., int], step: str, status: bytes
) -> None:
    """To another, real server: it gets no connection."""
    with serving(HostileTenant()) as elsewhere:

        def redirect(turn: Turn, _tenant: Keyed) -> bytes:
            return response(
                b"",
                status,
                b"Location: " + f"{elsewhere.url}{turn.request.path}".encode(),
            )

        tenant = Keyed(step, redirect)
        assert 1 == keyed(tenant, "-v", "plan")
        assert [] == elsewhere.asked
    steps = list(STEPS.values())
    requested = {item.path.partition("?")[0] for item in tenant.asked}
    assert set(steps[: list(STEPS).index(step) + 1]) == requested & set(steps)


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("name", ["token_endpoint", "api_endpoint"])
@pytest.mark.parametrize(
    "where",
    [
        "http://evil.example/x",
        "https://evil.example/x",
        "https://203.0.113.7",
        "http://a@localhost/",
    ],
)
def test_an_issuer_on_loopback_cannot_redirect_a_secret(
    keyed: Callable[..., int], name: str, where: str
) -> None:
    """It is trusted no more than any other issuer."""
    step = "openid" if name == "token_endpoint" else "cxone"
    tenant = Keyed(step, lambda _turn, _tenant: whole({name: where}))
    assert 1 == keyed(tenant, "-v", "plan")
    paths = [item.path.partition("?")[0] for item in tenant.asked]
    assert (
        [STEPS["openid"]] == paths if step == "openid" else STEPS["rules"] not in paths
    )


REPEATED: Final[dict[str, Callable[[Turn], str]]] = {
    "the key's secret": lambda _turn: canary.KEY_SECRET,
    "the client's secret": lambda _turn: canary.SECRET,
    "the token": lambda _turn: canary.TOKEN,
    "the whole request": lambda turn: (
        (turn.request.head + turn.request.body).decode("latin-1").replace("\r\n", " ")
    ),
    "the pair of Basic": lambda _: base64.b64encode(
        f"{canary.CLIENT}:{canary.SECRET}".encode()
    ).decode(),
    "the key in base64": lambda _: base64.b64encode(
        f"{canary.KEY}:{canary.KEY_SECRET}".encode()
    ).decode(),
    "the token in base64": lambda _: base64.b64encode(canary.TOKEN.encode()).decode(),
}
SAID: Final[dict[str, Callable[[str], bytes]]] = {
    "an error": lambda text: whole({"errors": [{"message": text}]}, b"400 Bad Request"),
    "as OAuth has it": lambda text: whole(
        {"error": text, "error_description": text}, b"401 Unauthorized"
    ),
    "an address": lambda text: whole(
        {"token_endpoint": f"https://{text}", "api_endpoint": f"https://x/{text}"}
    ),
    "an id token": lambda text: whole(
        token(id_token=jwt({"iss": f"https://{text}", "tenantId": "t"}))
    ),
    "what should be JSON": whole,
}


BEFORE: Final = [subject for subject in REPEATED if not subject.startswith("the token")]
KNOWN: Final = {
    "openid": BEFORE,
    "token": BEFORE,
    "cxone": list(REPEATED),
    "rules": list(REPEATED),
}
"""The secrets that a step can repeat: no step before the token knows it."""
CASES: Final = [
    *(
        (step, subject, list(SAID)[place % len(SAID)])
        for step in STEPS
        for place, subject in enumerate(KNOWN[step])
    ),
    *((step, "the whole request", how) for step in STEPS for how in SAID),
]


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize(("step", "what", "how"), sorted(set(CASES)))
def test_secrets_that_a_login_step_repeats_are_not_shown(
    keyed: Callable[..., int], step: str, what: str, how: str
) -> None:
    """Each step, in an error, an address or an id token."""
    tenant = Keyed(step, lambda turn, _tenant: SAID[how](REPEATED[what](turn)))
    form = ["--format", "json"] if len(what) % 2 else ["-v"]
    assert 1 == keyed(tenant, "plan", *form)
