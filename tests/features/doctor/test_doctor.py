"""`cxroute doctor` against a tenant on a real socket with scripted responses: findings and
advice.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.errors import UnreachableError
from reconciler.core.model.check import CheckResult
from reconciler.core.model.rule import Opaque
from reconciler.features.doctor.reachability import check_network_settings
from reconciler.targets.platform.diagnosis import observations as findings
from reconciler.targets.platform.diagnosis.probe import Probe
from reconciler.targets.platform.diagnosis.reply import ProbeReply
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    NotSentError,
)
from tests.hostile.tenant import (
    HostileTenant,
    Script,
    Turn,
    page,
    response,
    serving,
    whole,
)
from tests.support import canary_secrets as canary
from tests.support.builders import managed, rule, unmanaged
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.program import Program

Start = Callable[..., HostileTenant]

PEM = Path(__file__).parents[2] / "self_signed.pem"
MANIFESTS = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", timeoutSeconds: 2{api}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
- {{intent: billing, queue: Billing}}
"""


def manifests(url: str, api: str = "") -> None:
    Path("manifests").mkdir(exist_ok=True)
    Path("manifests/all.yaml").write_text(MANIFESTS.format(url=url, api=api), "utf-8")


def live(number: int, **more: Any) -> dict[str, Any]:
    """A rule in the tenant's form."""
    return {
        "id": f"r{number}",
        "name": f"rule {number}",
        "description": "",
        "priority": 10,
        "enabled": True,
        "conditions": [
            {
                "type": "attribute",
                "attributeName": "intent",
                "operator": "equals",
                "value": "x",
            }
        ],
        "targets": [{"type": "queue", "queueId": "q-billing", "weight": 1}],
        **more,
    }


def closing(raw: bytes) -> bytes:
    """Add a header that closes the connection, which the server then closes."""
    return raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def says(raw: bytes) -> Script:
    async def script(turn: Turn) -> None:
        turn.writer.write(closing(raw))
        await turn.writer.drain()

    return script


def status(
    line: str, body: bytes = b'{"errors": [{"message": "because"}]}', *headers: bytes
) -> Script:
    return says(response(body, line.encode(), *headers))


@pytest.fixture
def start(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a tenant, with manifests and credentials for it."""
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with ExitStack() as stack:

        def begin(
            *rules: dict[str, Any],
            api: str = "",
            tls: ssl.SSLContext | None = None,
            **scripts: Script,
        ) -> HostileTenant:
            tenant = HostileTenant(
                rules={item["id"]: item for item in rules or (live(1),)},
                scripts=scripts,
            )
            stack.enter_context(serving(tenant, tls))
            manifests(tenant.url, api)
            return tenant

        yield begin


def lines(cxroute: Program, expected: int) -> dict[str, tuple[str, str, str]]:
    """Run it; return status, message and advice of each line by its name (the worst of that
    name).
    """
    code, form = cxroute.json("doctor", "-e", "prod")
    assert (expected, expected == 0) == (code, form["ok"]), form
    assert "Traceback" not in cxroute.err
    order = ["ok", "warn", "fail"]
    actual = sorted(form["checks"], key=lambda item: order.index(item["status"]))
    return {
        item["name"]: (item["status"], item["message"], item["advice"] or "")
        for item in actual
    }


def test_a_good_tenant_has_only_ok_lines(start: Start, cxroute: Program) -> None:
    """Every line is ok; doctor sent the token request and four GETs, and no other request."""
    tenant = start(live(1), live(2))
    actual = lines(cxroute, 0)
    assert {"ok"} == {state for state, _, _ in actual.values()} - {"warn"}
    assert ["clock"] == [
        name for name, (state, _, _) in actual.items() if state == "warn"
    ], "the tenant says no time"
    expected = [
        "credentials",
        "etags",
        "host",
        "names",
        "network",
        "operators",
        "owners",
        "queues",
        "rules",
        "token",
    ]
    assert [*expected, "writing"] == sorted(name for name in actual if name != "clock")
    assert "issued: Bearer, for 3,600 seconds" == actual["token"][1]
    assert "2 rules in 1 page" == actual["rules"][1]
    assert "0 managed by acme, 2 without an owner" == actual["owners"][1]
    assert "live rules use equals 2" == actual["operators"][1]
    assert "routing:write" in actual["writing"][1]
    assert ["token", "list", "queues", "one"] == [
        request.kind for request in tenant.asked
    ]


def test_the_text_output(start: Start, cxroute: Program) -> None:
    """Status, check, finding; the advice below; the totals at the end."""
    start(list=status("403 Forbidden"))
    assert 1 == cxroute("doctor", "-e", "prod")
    assert re.search(
        r"^Doctor for prod   tenant localhost:\d+$", cxroute.out, re.MULTILINE
    )
    expected = "  fail  rules        GET /api/v2/routing/rules: status 403: because\n"
    assert (
        f"{expected}                     The client lacks the scope routing:read"
        in cxroute.out
    )
    assert cxroute.out.endswith("warn, 1 fail.\n")


def test_the_sandbox_is_checked_too(cxroute: Program) -> None:
    """Without a network, credentials or rules; and the output says that it is simulated."""
    manifests("http://127.0.0.1:9")
    code, form = cxroute.json("doctor")
    assert (0, True, "sandbox") == (code, form["simulated"], form["environment"])
    cxroute("doctor")
    assert cxroute.out.startswith("Simulated: ")


PAGE = b"<!doctype html><title>Sign in</title>"
WRONG: list[tuple[str, dict[str, Script], str, str, str]] = [
    (
        "bad id or secret",
        {"token": status("401 Unauthorized")},
        "token",
        "status 401: because",
        "The id or secret is",
    ),
    (
        "another way",
        {"token": status("400 Bad Request")},
        "token",
        "status 400",
        "for client_credentials",
    ),
    (
        "no token there",
        {"token": status("404 Not Found")},
        "token",
        "status 404",
        "set api.tokenUrl",
    ),
    (
        "token page",
        {"token": says(response(PAGE))},
        "token",
        "a web page instead of JSON",
        "api.tokenUrl must be",
    ),
    (
        "no token in it",
        {"token": says(whole({}))},
        "token",
        "no usable access_token",
        "api.tokenUrl may be",
    ),
    (
        "other token",
        {"token": says(whole([]))},
        "token",
        "no usable access_token",
        "api.tokenUrl may be",
    ),
    (
        "refused token",
        {"list": status("401 Unauthorized")},
        "rules",
        "status 401",
        "must be of one tenant",
    ),
    (
        "scope",
        {"queues": status("403 Forbidden")},
        "queues",
        "status 403",
        "lacks the scope routing:read",
    ),
    (
        "no such resource",
        {"list": status("404 Not Found")},
        "rules",
        "status 404",
        "`cxroute plan --live FILE.json`",
    ),
    (
        "nor here",
        {"list": status("405 Method Not Allowed")},
        "rules",
        "status 405",
        "set api.rulesPath",
    ),
    (
        "nor queues",
        {"queues": status("501 Not Implemented")},
        "queues",
        "status 501",
        "set api.queuesPath",
    ),
    (
        "nor one",
        {"one": status("404 Not Found")},
        "one rule",
        "status 404",
        "set api.rulesPath",
    ),
    (
        "bad page",
        {"list": status("400 Bad Request")},
        "rules",
        "status 400",
        "api.pageSize may be wrong",
    ),
    (
        "too fast",
        {"list": status("429 Too Many", b"", b"Retry-After: 0")},
        "rules",
        "status 429",
        "below 50",
    ),
    (
        "broken",
        {"queues": status("503 Service", PAGE, b"Retry-After: 0")},
        "queues",
        "status 503",
        "support",
    ),
    (
        "page",
        {"list": says(response(PAGE))},
        "rules",
        "a web page instead of JSON (status 200)",
        "CXROUTE_PROXY",
    ),
    (
        "nothing",
        {"list": says(response(b""))},
        "rules",
        "the response is not JSON",
        "api.baseUrl",
    ),
    (
        "half",
        {"list": says(response(b'{"entities": ['))},
        "rules",
        "the response is not JSON",
        "cuts off responses",
    ),
    (
        "shape",
        {"list": says(whole({"items": []}))},
        "rules",
        "no list `entities`",
        "api.rulesPath may be",
    ),
    (
        "no rule",
        {"list": says(whole(page([{"id": "7"}])))},
        "rules",
        "`name` is not text",
        "api.profile must describe",
    ),
    (
        "no queue",
        {"queues": says(whole(page([{"id": "7"}])))},
        "queues",
        "no text `name`",
        "or api.profile may be that of another tenant",
    ),
    (
        "elsewhere",
        {
            "list": status(
                "302 Found", b"", b"Location: https://sign-in.example/?session=hunter-2"
            )
        },
        "rules",
        "the server redirects to another address (sign-in.example)",
        "if you trust it, set api.baseUrl to it",
    ),
    (
        "encoded",
        {"list": says(response(b"x", b"200 OK", b"Content-Encoding: br"))},
        "rules",
        "the response is not JSON: the response is encoded as 'br', which was not requested",
        "api.baseUrl may be",
    ),
    (
        "cut",
        {"list": says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")},
        "rules",
        "connection broke",
        "Try again",
    ),
]


@pytest.mark.parametrize(
    ("scripts", "name", "message", "advice"),
    [item[1:] for item in WRONG],
    ids=[o[0] for o in WRONG],
)
def test_a_failure_has_advice(
    start: Start,
    cxroute: Program,
    scripts: dict[str, Script],
    name: str,
    message: str,
    advice: str,
) -> None:
    """Exit 1, one line for it, all other checks still run, and no write is sent."""
    tenant = start(**scripts)
    actual = lines(cxroute, 1)
    assert actual[name][0] == "fail"
    assert message in actual[name][1]
    assert advice in actual[name][2]
    assert [] == tenant.writes
    if name != "token":
        assert {"rules", "queues"} <= set(actual), "the other list is checked too"
    assert "hunter-2" not in cxroute.out


@pytest.mark.slow
def test_a_tenant_that_never_answers_ends_in_time(
    start: Start, cxroute: Program
) -> None:
    """No answer in api.timeoutSeconds; the other checks still run."""

    async def silent(_turn: Turn) -> None:
        await asyncio.sleep(60)

    start(api="", list=silent)
    actual = lines(cxroute, 1)
    assert "GET /api/v2/routing/rules: no response in time" == actual["rules"][1]
    assert "api.timeoutSeconds" in actual["rules"][2]
    assert actual["queues"][0] == "ok"


@pytest.mark.parametrize(
    ("url", "name", "message", "advice"),
    [
        (
            "http://127.0.0.1:9",
            "network",
            "no connection to 127.0.0.1:9",
            "CXROUTE_PROXY",
        ),
        (
            "https://nowhere.my.cxone.com.invalid",
            "host",
            "credentials are not sent to",
            "",
        ),
        (
            "https://name-without-address.my.cxone.com",
            "network",
            "no connection to",
            "DNS",
        ),
    ],
)
def test_an_unreachable_server(
    start: Start, cxroute: Program, url: str, name: str, message: str, advice: str
) -> None:
    """The step that failed, and that the later checks did not run."""
    start()
    manifests(url)
    actual = lines(cxroute, 1)
    assert actual[name][0] == "fail"
    assert message in actual[name][1]
    assert advice in actual[name][2]
    assert "because no allowed server can be reached" in actual["tenant"][1]


def test_an_untrusted_certificate(
    start: Start, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is sent; the operator's file of authorities fixes it; an invalid file is an
    error.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    tenant = start(tls=context)
    actual = lines(cxroute, 1)
    assert "no connection to localhost:" in actual["network"][1]
    assert "CXROUTE_CA_FILE" in actual["network"][2]
    assert [] == tenant.asked
    monkeypatch.setenv("CXROUTE_CA_FILE", "manifests/all.yaml")
    assert "cannot read the certificates" in lines(cxroute, 1)["authorities"][1]


def test_plain_http_and_tls_mixed_up(start: Start, cxroute: Program) -> None:
    """In both directions: one sentence."""
    tenant = start()
    manifests(tenant.url.replace("http:", "https:"))
    assert "no connection to localhost:" in lines(cxroute, 1)["network"][1]


def test_a_proxy_is_named(
    start: Start, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors behind a proxy cannot be told apart: the token's line has the result, without the
    password.
    """
    start()
    monkeypatch.setenv("CXROUTE_PROXY", "http://127.0.0.1:9")
    actual = lines(cxroute, 1)
    assert "all requests go through 127.0.0.1:9 (CXROUTE_PROXY)" == actual["proxy"][1]
    assert "no connection" in actual["token"][1]
    (line,) = check_network_settings(canary.proxy("127.0.0.1:9"), None)
    assert (actual["proxy"][1], []) == (line.message, canary.find_leaks(repr(line)))
    (line,) = check_network_settings(
        canary.proxy("127.0.0.1:9").replace("http", "socks5"), None
    )
    assert ("fail", []) == (line.status, canary.find_leaks(repr(line)))


@pytest.mark.parametrize(
    ("variables", "state", "message"),
    [
        (
            {"CXONE_CLIENT_SECRET": ""},
            "fail",
            "set CXONE_CLIENT_SECRET, or CXONE_CLIENT_SECRET_FILE",
        ),
        (
            {"CXONE_CLIENT_SECRET": "", "CXONE_CLIENT_SECRET_FILE": "nowhere"},
            "fail",
            "cannot be read",
        ),
        ({"CXONE_CLIENT_ID": " canary-client"}, "warn", "CXONE_CLIENT_ID is set"),
    ],
)
def test_credentials_are_checked_by_name(
    start: Start,
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    state: str,
    message: str,
) -> None:
    """Missing ones are a failure, and the network is checked in any case."""
    start()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    actual = lines(cxroute, state == "fail")
    assert (state, True) == (
        actual["credentials"][0],
        message in actual["credentials"][1],
    )
    assert actual["network"][0] == "ok"


def test_operators_of_live_rules_and_unknown_parts(
    start: Start, cxroute: Program
) -> None:
    """Counted; names from outside are quoted; names and operators are compared with the
    Environment's.
    """
    start(
        live(1),
        live(
            2,
            conditions=[
                {
                    "type": "attribute",
                    "attributeName": "x",
                    "operator": "sounds\nlike",
                    "value": "y",
                }
            ],
        ),
        live(3, conditions=[{"type": "time", "from": "9:00"}], name="rule 1"),
        live(
            4,
            targets=[
                {"type": "script", "id": "7"},
                {"type": "queue", "queueId": "gone", "weight": 1},
            ],
        ),
        api=", operators: [in], namesUnique: true",
    )
    actual = lines(cxroute, 1)
    assert (
        "warn",
        "live rules use equals, which api.operators of the Environment omits",
    ) == actual["operators"][:2]
    expected = ('operator "sounds\\nlike" (1)', 'type "time" (1)', 'type "script" (1)')
    assert all(item in actual["unknown parts"][1] for item in expected), actual[
        "unknown parts"
    ]
    assert ("fail", True) == (
        actual["names"][0],
        'several rules are named "rule 1"' in actual["names"][1],
    )
    assert "1 queue missing from the list of queues" in actual["queues"][1]


def test_missing_queues_of_the_manifests(start: Start, cxroute: Program) -> None:
    """Plan would refuse them."""
    start(queues=says(whole(page([{"id": "1", "name": "Other"}]))))
    assert (
        'the manifests name queues that do not exist: "Billing"'
        == lines(cxroute, 1)["queues"][1]
    )


@pytest.mark.parametrize(
    ("form", "state", "said"),
    [
        (
            {"token_type": "bearer", "expires_in": 3600},
            "ok",
            "issued: bearer, for 3,600 seconds",
        ),
        (
            {"token_type": "MAC", "expires_in": 3600},
            "warn",
            "issued: MAC, for 3,600 seconds",
        ),
        ({"expires_in": 3600}, "warn", "issued: without a type, for 3,600 seconds"),
        (
            {"token_type": "Bearer", "expires_in": 30},
            "warn",
            "issued: Bearer, for 30 seconds",
        ),
    ],
)
def test_tokens(form: dict[str, Any], state: str, said: str) -> None:
    """Type and lifetime."""
    line = findings.check_token(form)
    assert (state, said) == (line.status, line.message)


@each_case("life", [None, "soon", True, -1, float("inf"), float("nan"), 1e300, []])
def test_an_invalid_lifetime(life: object) -> None:
    """Any invalid value is a warning."""
    line = findings.check_token({"token_type": "Bearer", "expires_in": life})
    assert ("warn", "issued: Bearer, without a lifetime") == (line.status, line.message)


@each_case(
    "came, total, asked, state, said",
    [
        (0, 0, 100, "ok", "0 rules in 1 page"),
        (3, 3, 100, "ok", "3 rules in 1 page"),
        (100, 312, 100, "ok", "312 rules in 4 pages"),
        (50, 312, 100, "warn", "312 rules in 7 pages: 50 received, 100 requested"),
        (312, 312, 100, "warn", "312 rules in 1 page: 312 received, 100 requested"),
        (0, 5, 100, "warn", "5 rules in 1 page: 0 received, 100 requested"),
    ],
)
def test_pages(came: int, total: int, asked: int, state: str, said: str) -> None:
    """The number of pages, and whether the tenant respects the page size."""
    line = findings.check_pages("rules", came, total, asked)
    assert (state, said) == (line.status, line.message)


@each_case(
    "text, said",
    [
        ("[1]", "a part without a type"),
        ("{", "a part without a type"),
        ('{"operator": "in"}', "a part without a type"),
        ('{"type": "attribute", "operator": "in", "value": {}}', "a value of in"),
        ('{"type": "attribute", "operator": "sounds like"}', 'operator "sounds like"'),
        ('{"type": 7}', 'type "7"'),
    ],
)
def test_an_unknown_part_is_named_by_its_type(text: str, said: str) -> None:
    """For any JSON, and for text that is not JSON."""
    rules = [unmanaged("1", rule(conditions=(Opaque(text),)))]
    assert (
        f"not understood: {said} (1)"
        == findings.check_operators(rules, (), "")[-1].message
    )


def test_owners_and_etags() -> None:
    """The owners of the rules; the protection of a write."""
    rules = [managed("1", "cards/a", rule()), managed("2", "cards/b", rule("b"))]
    assert (
        "2 managed by acme, 0 without an owner"
        == findings.check_owners(rules, "acme", "").message
    )
    assert (
        "0 managed by other, 0 without an owner, 2 managed by other owners (x)"
        == findings.check_owners(rules, "other", " (x)").message
    )
    assert ["ok", "ok"] == [findings.check_etag(etag).status for etag in ('"1"', None)]


def asked(
    headers: dict[str, str], ahead: float = 0.0
) -> tuple[ProbeReply, CheckResult]:
    """Request a token with a fake clock; return the reply and the finding on the clocks."""
    time = FakeClock()

    async def carry(request: ApiRequest) -> ApiResponse:
        at = datetime(2026, 11, 25, 12, 0, tzinfo=UTC) + timedelta(
            seconds=time.seconds - 1000 + ahead
        )
        return ApiResponse(
            request.call,
            200,
            {"date": format_datetime(at, usegmt=True), **headers},
            b'{"access_token": "x"}',
        )

    reply = asyncio.run(
        Probe(
            carry,
            TENANT,
            ClientCredentials(client_id="id", client_secret="a-secret"),
            time.time,
        ).request_token()
    )
    return reply, findings.check_clock(
        [reply.clock_skew] if reply.clock_skew is not None else []
    )


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (0, "ok", "agree within a minute"),
        (-59, "ok", "agree within a minute"),
        (90, "warn", "this machine's clock is 90 seconds behind the tenant's"),
        (
            -86400,
            "warn",
            "this machine's clock is 86,400 seconds ahead of the tenant's",
        ),
    ],
)
def test_the_clock(ahead: float, state: str, said: str) -> None:
    """By the header Date; the smallest difference of all responses counts."""
    line = asked({}, ahead)[1]
    assert (state, True) == (line.status, said in line.message)
    assert findings.check_clock([900.0, 2.0]).status == "ok"


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Foo 2026 25:61:61 GMT"])
def test_an_invalid_date(date: str) -> None:
    """The difference is unknown, and there is no error."""
    assert asked({"date": date})[0].clock_skew is None


def test_a_refused_connection_is_tried_once() -> None:
    """The reply says that there was no connection."""
    time = FakeClock()
    calls = []

    async def carry(request: ApiRequest) -> ApiResponse:
        calls.append(request.call)
        raise NotSentError("refused")

    probe = Probe(
        carry,
        TENANT,
        ClientCredentials(client_id="id", client_secret="secret"),
        time.time,
    )
    with pytest.raises(UnreachableError):
        asyncio.run(probe.request_token())
    assert ["unreachable"] == [reply.kind for reply in probe.replies]
    assert (1, []) == (len(calls), time.slept)


def test_what_only_a_write_can_check_is_not_ok_in_text(
    start: Start, cxroute: Program
) -> None:
    """The line has no status and is in no count; JSON keeps the status of before."""
    start(live(1), live(2))
    checks = lines(cxroute, 0)
    assert 0 == cxroute("doctor", "-e", "prod")
    (line,) = (line for line in cxroute.out.splitlines() if " writing " in line)
    assert line.split()[:4] == ["writing", "not", "checked", "(a"]
    assert "ok" == checks["writing"][0]
    printed = [line for line in cxroute.out.splitlines() if line.startswith("  ok ")]
    assert f"\n{len(printed)} ok, " in cxroute.out
