"""Tokens, rate, retries, lists and hosts: each against a server with scripted responses."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from functools import wraps
from typing import Any

import httpx
import pytest
import respx

from reconciler.core import errors
from reconciler.core.model.live import FetchedRule
from reconciler.targets.platform.settings import ClientCredentials, check_host
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.request import Transport
from reconciler.targets.rules_api.client import WritingClient
from tests.support.builders import MARKER, rule, unmanaged
from tests.support.cases import each_case
from tests.support.fake_clock import START, FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.plain_http import PLAIN

RULES = "http://localhost/api/v2/routing/rules"
ONE = "http://localhost/api/v2/routing/rules/1"
STORED = {"id": "1", "name": "vip", "priority": 1}
EMPTY = {"entities": [], "total": 0}


def over_http() -> Transport:
    """Return a transport whose network is respx."""
    return transport_over(httpx.AsyncHTTPTransport(verify=PLAIN))


def client(virtual: FakeClock | None = None, patience: float = 0.0) -> WritingClient:
    """Return a client; by default it does not wait for an outage to end (test_circuit_breaker.py
    has tests of that).
    """
    tenant = replace(TENANT, patience_seconds=patience)
    time = (virtual or FakeClock()).time
    return WritingClient(
        over_http(),
        tenant,
        ClientCredentials(client_id="id", client_secret="canary-secret"),
        time,
    )


@contextmanager
def token_issuer() -> Iterator[Any]:
    """Serve a CXone that only issues tokens, until a test adds routes."""
    with respx.mock(assert_all_called=False) as routes:
        token = {"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}
        routes.post("http://localhost/oauth/token", name="token").respond(json=token)
        yield routes


@pytest.fixture
def server() -> Iterator[Any]:
    """Serve that CXone for one test."""
    with token_issuer() as routes:
        yield routes


def served(test: Callable[..., None]) -> Callable[..., None]:
    """Return the test with a new CXone, its `server`, for each case."""
    signature = inspect.signature(test)
    cases = [
        parameter
        for name, parameter in signature.parameters.items()
        if name != "server"
    ]

    @wraps(test)
    def run(**case: Any) -> None:
        with token_issuer() as server:
            test(server=server, **case)

    run.__signature__ = signature.replace(parameters=cases)  # type: ignore[attr-defined]
    return run


def slowly(
    *answers: httpx.Response,
) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """Answer after a pause, so that all concurrent requests are waiting by then; the last response
    repeats.
    """
    remaining = list(answers)

    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return answer


def at_once(calls: int) -> list[Any]:
    """Read a rule so many times in parallel, with one client; failures are among the results."""

    async def run() -> list[Any]:
        item = client()
        return await asyncio.gather(
            *(item.rule("1") for _ in range(calls)), return_exceptions=True
        )

    return asyncio.run(run())


READS: dict[str, Callable[[WritingClient], Awaitable[object]]] = {
    "list": lambda item: item.rules(),
    "one": lambda item: item.rule("1"),
}
WRITES: dict[str, Callable[[WritingClient], Awaitable[object]]] = {
    "POST": lambda item: item.create(rule(), MARKER),
    "PUT": lambda item: item.update(
        FetchedRule(unmanaged("1", rule())), rule(), MARKER
    ),
    "DELETE": lambda item: item.delete(FetchedRule(unmanaged("1", rule()))),
}
UNWANTED = (
    errors.UnsupportedCallError,
    errors.RejectedError,
    errors.RejectedError,
    errors.RejectedError,
)
UNKNOWN = (
    errors.OverloadedError,
    errors.AmbiguousWriteError,
    errors.AmbiguousWriteError,
    errors.AmbiguousWriteError,
)
ALL_NOT_OFFERED = (errors.UnsupportedCallError,) * 4
TABLE: dict[int, tuple[type[Exception], ...]] = {
    # status: error of a read, a POST, a PUT and a DELETE
    400: UNWANTED,
    401: (errors.CredentialsError,) * 4,
    403: (errors.ScopeError,) * 4,
    405: ALL_NOT_OFFERED,
    409: (errors.UnsupportedCallError, *(errors.NameTakenError,) * 3),
    412: (errors.UnsupportedCallError, *(errors.ConcurrentChangeError,) * 3),
    413: (*UNWANTED[:3], errors.UnsupportedCallError),
    414: (*UNWANTED[:3], errors.UnsupportedCallError),
    422: UNWANTED,
    429: (errors.OverloadedError,) * 4,
    431: (*UNWANTED[:3], errors.UnsupportedCallError),
    500: UNKNOWN,
    501: ALL_NOT_OFFERED,
    502: UNKNOWN,
    503: UNKNOWN,
    504: UNKNOWN,
}
ATTEMPTS = {401: 2, 429: 4}


@each_case("status", TABLE)
@each_case("call", [*READS, *WRITES])
@served
def test_the_table_of_errors(server: Any, call: str, status: int) -> None:
    """api-contract "Errors": the meaning of each status for a read and a write, and the number of
    attempts.
    """
    expected = TABLE[status][0 if call in READS else [*READS, *WRITES].index(call) - 1]
    route = server.route(url__startswith=RULES).respond(
        status, json={"errors": [{"message": "no\x1b[31m\nway"}]}
    )
    with pytest.raises(errors.ApiError) as refused:
        asyncio.run({**READS, **WRITES}[call](client()))  # type: ignore[arg-type]
    assert expected is type(refused.value)
    assert (
        4 if expected is errors.OverloadedError else ATTEMPTS.get(status, 1)
    ) == route.call_count
    assert "\x1b" not in str(refused.value)
    assert "canary" not in str(refused.value)


@each_case(
    "failure",
    [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.WriteError],
)
@each_case("call", [*READS, *WRITES])
@served
def test_a_lost_response_is_retried_only_for_a_read(
    server: Any, call: str, failure: type[Exception]
) -> None:
    """A read four times; a write once, and then its outcome is unknown."""
    route = server.route(url__startswith=RULES).mock(side_effect=failure)
    expected = errors.OverloadedError if call in READS else errors.AmbiguousWriteError
    with pytest.raises(expected):
        asyncio.run({**READS, **WRITES}[call](client()))  # type: ignore[arg-type]
    assert (4 if call in READS else 1) == route.call_count


@each_case(
    "status, of_an_update",
    [(404, errors.RuleNotFoundError), (410, errors.UnsupportedCallError)],
)
@served
def test_404_and_410_mean_gone(
    server: Any, status: int, of_an_update: type[Exception]
) -> None:
    """A single rule: None; a delete: a success; the list or a create: the API does not exist."""
    server.route(url__startswith=RULES).respond(status)
    assert asyncio.run(client().rule("1")) is None
    asyncio.run(WRITES["DELETE"](client()))  # type: ignore[arg-type]
    for call, expected in (
        (READS["list"], errors.UnsupportedCallError),
        (WRITES["POST"], errors.UnsupportedCallError),
        (WRITES["PUT"], of_an_update),
    ):
        with pytest.raises(expected):
            asyncio.run(call(client()))  # type: ignore[arg-type]


def test_a_refused_token_is_renewed_once_and_the_call_repeated(server: Any) -> None:
    """It was revoked: one new token, one retry."""
    server["token"].side_effect = [
        httpx.Response(200, json={"access_token": name, "expires_in": 3600})
        for name in "ab"
    ]
    route = server.get(ONE)
    route.side_effect = [httpx.Response(401), httpx.Response(200, json=STORED)]
    assert asyncio.run(client().rule("1")) is not None
    assert ["Bearer a", "Bearer b"] == [
        call.request.headers["Authorization"] for call in route.calls
    ]


@pytest.mark.slow
def test_a_thousand_calls_share_one_token(server: Any) -> None:
    """Single flight."""
    server.get(url__startswith=RULES).respond(json=STORED)
    assert {FetchedRule} == {type(item) for item in at_once(1_000)}
    assert 1 == server["token"].call_count


@pytest.mark.slow
def test_a_thousand_refused_calls_share_one_new_token(server: Any) -> None:
    """One request also if the token was revoked under all of them."""
    server["token"].side_effect = [
        httpx.Response(200, json={"access_token": name, "expires_in": 3600})
        for name in "ab"
    ]

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        revoked = request.headers["Authorization"] == "Bearer a"
        return httpx.Response(401) if revoked else httpx.Response(200, json=STORED)

    server.get(url__startswith=RULES).side_effect = answer
    assert {FetchedRule} == {type(item) for item in at_once(1_000)}
    assert 2 == server["token"].call_count


@pytest.mark.slow
@pytest.mark.parametrize("expires_in", [0, -5, 1, 30, "soon", None])
def test_a_thousand_calls_share_a_token_with_any_lifetime(
    server: Any, expires_in: object
) -> None:
    """Callers that waited for one request use its token, even if it expires for later callers."""
    server["token"].side_effect = slowly(
        httpx.Response(200, json={"access_token": "t", "expires_in": expires_in})
    )
    server.get(url__startswith=RULES).respond(json=STORED)
    assert {FetchedRule} == {type(item) for item in at_once(1_000)}
    assert 1 == server["token"].call_count


@each_case("status, requests", [(401, 1), (404, 1), (429, 4), (503, 4)])
@served
def test_a_thousand_calls_share_a_refusal(
    server: Any, status: int, requests: int
) -> None:
    """A wrong secret is tried once and not once for each call, which could lock the account.

    So is an outage.
    """
    server["token"].side_effect = slowly(httpx.Response(status))
    assert all(isinstance(item, errors.ApiError) for item in at_once(1_000))
    assert requests == server["token"].call_count


def test_the_next_call_tries_a_refused_secret_again(server: Any) -> None:
    """Only concurrent callers share the refusal; the secret may have been corrected since."""
    good = httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
    server["token"].side_effect = [httpx.Response(401), good]
    server.get(url__startswith=RULES).respond(json=STORED)

    async def run() -> object:
        item = client()
        with pytest.raises(errors.CredentialsError):
            await item.rule("1")
        return await item.rule("1")

    assert asyncio.run(run()) is not None


def test_a_cancelled_token_request_does_not_affect_other_callers(server: Any) -> None:
    """The requesting call is cancelled; the next one sends the request in its place."""
    server.get(url__startswith=RULES).respond(json=STORED)
    server["token"].side_effect = slowly(
        httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
    )

    async def run() -> list[Any]:
        item = client()
        calls = [asyncio.ensure_future(item.rule("1")) for _ in range(3)]
        await asyncio.sleep(0)
        calls[0].cancel()
        return await asyncio.gather(*calls[1:])

    assert [True, True] == [read is not None for read in asyncio.run(run())]


@each_case(
    "expires_in, tokens",
    [
        (3600, 2),
        (4000, 1),
        (61, 4),
        (60, 5),
        (0, 5),
        (-5, 5),
        ("3600", 2),
        (None, 2),
        ("soon", 2),
        (1e12, 1),
        (float("inf"), 1),
    ],
)
@served
def test_a_token_is_used_until_a_minute_before_its_end(
    server: Any, expires_in: object, tokens: int
) -> None:
    """By a monotonic clock: five calls, 900 seconds apart. Unusual lifetimes are accepted."""
    body = json.dumps({"access_token": "t", "expires_in": expires_in}).replace(
        "Infinity", "1e999"
    )
    server["token"].respond(content=body)
    server.get(url__startswith=RULES).respond(json=STORED)
    virtual = FakeClock()

    async def run() -> None:
        item = client(virtual)
        for _ in range(5):
            await item.rule("1")
            virtual.seconds += 900

    asyncio.run(run())
    assert tokens <= server["token"].call_count <= tokens + 1


@each_case("status", [400, 401, 403])
@served
def test_the_error_for_a_wrong_secret_does_not_contain_it(
    server: Any, status: int
) -> None:
    """One request; neither id nor secret is repeated, even if the server repeats them."""
    server["token"].respond(
        status, json={"error": "invalid_client", "error_description": "bad"}
    )
    with pytest.raises(errors.CredentialsError, match="client id or secret") as refused:
        asyncio.run(client().rules())
    assert "canary-secret" not in str(refused.value)
    assert 1 == server["token"].call_count


@each_case(
    "header, waited",
    [
        ("7", 7),
        ("0.5", 0.5),
        (format_datetime(START + timedelta(seconds=30), usegmt=True), 30),
        ("600", 120),
        (None, 0.5),
        ("0", 0.5),
        ("-1", 0.5),
        ("1000000000", 0.5),
        ("soon", 0.5),
        ("Wed, 99 Nov 2026 99:00:00 GMT", 0.5),
    ],
)
@served
def test_a_plausible_retry_after_is_respected(
    server: Any, header: str | None, waited: float
) -> None:
    """Seconds or a date, at most two minutes; any other value means a short wait with jitter."""
    headers = {} if header is None else {"Retry-After": header}
    server.get(ONE).side_effect = [
        httpx.Response(429, headers=headers),
        httpx.Response(200, json=STORED),
    ]
    virtual = FakeClock(chance=0.5)
    asyncio.run(client(virtual).rule("1"))
    assert pytest.approx(waited, abs=1) == virtual.seconds - 1000


def test_a_429_delays_every_call_of_the_client(server: Any) -> None:
    """Not only the refused one."""
    first = iter([httpx.Response(429, headers={"Retry-After": "50"})])
    observed: list[float] = []
    virtual = FakeClock()

    def answer(_request: httpx.Request) -> httpx.Response:
        observed.append(virtual.seconds - 1000)
        return next(first, httpx.Response(200, json=STORED))

    server.get(url__startswith=RULES).side_effect = answer

    async def run() -> None:
        item = client(virtual)
        await item.rule("1")
        await asyncio.gather(*(item.rule("1") for _ in range(5)))

    asyncio.run(run())
    assert pytest.approx(0, abs=0.01) == observed[0]
    assert all(at >= 50 for at in observed[1:])


def test_the_configured_rate_is_kept(server: Any) -> None:
    """A hundred calls at ten a second: one each 100 ms, by absolute deadlines."""
    at: list[float] = []
    virtual = FakeClock()

    def answer(_request: httpx.Request) -> httpx.Response:
        at.append(virtual.seconds - 1000)
        return httpx.Response(200, json=STORED)

    server.get(url__startswith=RULES).side_effect = answer

    async def run() -> None:
        element = WritingClient(
            over_http(),
            replace(TENANT, requests_per_second=10),
            ClientCredentials(client_id="i", client_secret="s"),
            virtual.time,
        )
        for _ in range(100):
            await element.rule("1")

    asyncio.run(run())
    assert 9.9 <= at[-1] <= 10.1
    assert all(sum(start <= item < start + 1 for item in at) <= 11 for start in at)


def test_a_total_outage_ends_after_a_few_requests(server: Any) -> None:
    """The first call tries four times; later calls send no request."""
    server["token"].mock(side_effect=httpx.ConnectError)
    assert {errors.UnreachableError, errors.OverloadedError} >= {
        type(item) for item in at_once(50)
    }
    assert 4 == server["token"].call_count


@each_case("padding", range(150, 201, 5))
@served
def test_a_truncated_secret_is_not_repeated(server: Any, padding: int) -> None:
    """A server's text is cut to one line after the secrets are removed from it."""
    server.post(RULES).respond(400, json={"message": "x" * padding + "canary-secret"})
    with pytest.raises(errors.RejectedError) as refused:
        asyncio.run(client().create(rule(), MARKER))
    assert "can" not in str(refused.value)


def page(ids: list[str], total: int, pages: int = 1) -> httpx.Response:
    return httpx.Response(
        200,
        json={
            "entities": [{"id": item, "name": item} for item in ids],
            "total": total,
            "pageCount": pages,
        },
    )


def test_the_pages_of_a_list_are_read_in_parallel(server: Any) -> None:
    """The size of the first page decides the number of pages, not the requested size."""

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["pageNumber"])
        return page([f"{number}-{n}" for n in range(3 if number < 4 else 1)], 10)

    route = server.get(url__startswith="http://localhost/api/v2/routing/queues").mock(
        side_effect=answer
    )
    assert 10 == len(asyncio.run(client().queues()))
    assert 4 == route.call_count


@each_case(
    "pages",
    [
        [page(["a", "b"], 4), page(["b", "c"], 4)],
        [page(["a", "b"], 3), page(["c"], 4)],
        [page(["a", "b"], 4), page(["c"], 4)],
        [page(["a", "b"], 1)],
    ],
)
@served
def test_an_inconsistent_list_is_read_again_and_then_refused(
    server: Any, pages: list[httpx.Response]
) -> None:
    """Doubled, missing or shifted entries, or a total that changes: there is no plan."""
    route = server.get(url__startswith="http://localhost/api/v2/routing/queues").mock(
        side_effect=pages * 3
    )
    with pytest.raises(errors.IncompleteReadError, match="No plan was made"):
        asyncio.run(client().queues())
    assert 3 * len(pages) == route.call_count


def test_an_empty_page_with_a_total_causes_few_requests(server: Any) -> None:
    """The number of pages is unknown, so no further page is requested: three attempts, three
    requests.
    """
    route = server.get(url__startswith=RULES).respond(
        json={"entities": [], "total": 1_000_000}
    )
    with pytest.raises(errors.IncompleteReadError, match="none of 1,000,000 arrived"):
        asyncio.run(client().rules())
    assert 3 == route.call_count


def test_a_list_that_is_consistent_at_the_second_read_is_accepted(server: Any) -> None:
    """A rule was created during the first read."""
    answers = [page(["a", "b"], 3), page(["b"], 3), page(["a", "b"], 3), page(["c"], 3)]
    server.get(url__startswith="http://localhost/api/v2/routing/queues").mock(
        side_effect=answers
    )
    assert ["a", "b", "c"] == sorted(
        queue.id for queue in asyncio.run(client().queues())
    )


@each_case(
    "form",
    [
        [],
        {"entities": {}},
        {"entities": [], "total": -1},
        {"entities": [], "total": 10**9},
        {"entities": [], "total": True},
        {"entities": ["x"], "total": 1},
        {"entities": [{"id": 7}], "total": 1},
        {"entities": [{"id": "x"}], "total": 1},
        {"entities": [], "total": 0, "nextUri": "https://evil.example/rules"},
        {"entities": [], "total": 0, "nextUri": "//evil.example/rules"},
    ],
)
@served
def test_a_page_of_a_wrong_shape_is_an_error(server: Any, form: object) -> None:
    """So is a list that links to another host."""
    server.get(url__startswith="http://localhost/api/v2/routing/queues").respond(
        json=form
    )
    with pytest.raises(errors.UnexpectedResponseError):
        asyncio.run(client().queues())


GARBLED = {
    "half": b'{"id": "1", "na',
    "nothing": b"",
    "HTML": b"<html>Sign in</html>",
    "not UTF-8": b'{"id": "\xff"}',
}
HOSTILE = {
    "wrong shape": b'{"status": "ok"}',
    "NaN": b'{"id": "1", "name": "x", "priority": NaN}',
    "deep": b"[" * 100_000,
    "5,000 digits": b"9" * 5000,
}


@each_case("body", GARBLED)
@served
def test_a_read_without_json_is_retried(server: Any, body: str) -> None:
    """The response may have been truncated (F7 to F9, F12)."""
    garbled = httpx.Response(200, content=GARBLED[body])
    server.get(ONE).side_effect = [*[garbled] * 3, httpx.Response(200, json=STORED)]
    assert asyncio.run(client().rule("1")) is not None


@each_case("call", READS)
@each_case(
    "body, attempts",
    [*((item, 4) for item in GARBLED), *((item, 1) for item in HOSTILE)],
)
@served
def test_unusable_responses_to_a_read_end_the_run(
    server: Any, call: str, body: str, attempts: int
) -> None:
    """After four attempts if a retry may help, otherwise after one (F10, F36)."""
    route = server.get(url__startswith=RULES).respond(
        200, content={**GARBLED, **HOSTILE}[body]
    )
    with pytest.raises(errors.UnexpectedResponseError):
        asyncio.run(READS[call](client()))  # type: ignore[arg-type]
    assert attempts == route.call_count


@each_case("call", ["POST", "PUT"])
@each_case("body", [*GARBLED, *HOSTILE])
@served
def test_an_unusable_response_to_a_write_leaves_its_outcome_unknown(
    server: Any, call: str, body: str
) -> None:
    """It may have been done: only a read can tell."""
    route = server.route(url__startswith=RULES).respond(
        201, content={**GARBLED, **HOSTILE}[body]
    )
    with pytest.raises(errors.AmbiguousWriteError):
        asyncio.run(WRITES[call](client()))  # type: ignore[arg-type]
    assert 1 == route.call_count


@each_case("body", [*GARBLED, *HOSTILE])
@served
def test_the_body_of_a_delete_is_ignored_unless_it_is_a_web_page(
    server: Any, body: str
) -> None:
    """The status is enough; but a proxy or a login page may answer 200 in the server's place."""
    server.delete(ONE).respond(200, content={**GARBLED, **HOSTILE}[body])
    with pytest.raises(errors.AmbiguousWriteError) if body == "HTML" else nullcontext():
        asyncio.run(WRITES["DELETE"](client()))  # type: ignore[arg-type]


@each_case(
    "status, body, attempts",
    [(200, b'{"access_tok', 4), (200, b"<html>", 1), (204, b"", 1)],
)
@served
def test_a_truncated_token_response_is_retried(
    server: Any, status: int, body: bytes, attempts: int
) -> None:
    """A sign-in page, or an empty response, means a wrong address."""
    server["token"].respond(status, content=body)
    with pytest.raises(errors.UnexpectedResponseError):
        asyncio.run(client().rule("1"))
    assert attempts == server["token"].call_count


def test_an_empty_list_is_read_once_more(server: Any) -> None:
    """A wrong empty list would cause a second copy of every rule (F31); the second read counts."""
    route = server.get(url__startswith=RULES)
    route.side_effect = [
        httpx.Response(200, json=EMPTY),
        httpx.Response(200, json={"entities": [STORED], "total": 1}),
    ]
    virtual = FakeClock()
    assert 1 == len(asyncio.run(client(virtual).rules()))
    assert max(virtual.slept) >= 0.25
    route.side_effect = [httpx.Response(200, json=EMPTY)] * 2
    assert () == asyncio.run(client().rules())


@each_case(
    "link, is_cycle",
    [
        ("/api/v2/routing/rules?pageNumber=1&pageSize=100", True),
        ("/api/v2/routing/rules?pageNumber=0", True),
        ("/api/v2/routing/rules?pageNumber=2", False),
        ("/api/v2/routing/rules?cursor=abc", False),
        ("/api/v2/routing/rules?pageNumber=abc", False),
        ("/api/v2/routing/rules?pageNumber=" + "9" * 5000, False),
        (None, False),
        (7, False),
    ],
)
@served
def test_a_list_that_links_back_is_an_error(
    server: Any,
    link: object,
    is_cycle: bool,  # noqa: FBT001 - a value
) -> None:
    """The link is never followed; a link to an earlier page shows that this is not the expected
    server (F32).
    """
    form = {"entities": [STORED], "total": 1, "nextUri": link}
    route = server.get(url__startswith=RULES).respond(json=form)
    if is_cycle:
        with pytest.raises(errors.UnexpectedResponseError, match="links back"):
            asyncio.run(client().rules())
    else:
        assert 1 == len(asyncio.run(client().rules()))
    assert 1 == route.call_count


@each_case(
    "url",
    [
        "https://acme.my.cxone.com",
        "https://ACME.my.cxone.com",
        "https://api-na1.niceincontact.com",
        "https://eu1.nice-incontact.com:8443",
        "http://localhost:8099",
        "http://127.0.0.1",
        "http://[::1]:1",
        "https://gateway.internal",
        "https://Gateway.Internal:8443/cxone",
        "HTTPS://acme.my.cxone.com",
    ],
)
def test_credentials_are_sent_to_these_hosts(url: str) -> None:
    """CXone's own, loopback, and hosts that the operator allows."""
    check_host(url, frozenset({"Gateway.internal"}))


@each_case(
    "url",
    [
        "https://evil.example%2f.my.cxone.com",
        "https://evil.example;.my.cxone.com",
        "https://evil.example\n.my.cxone.com",
        "https://acme.my.cxone.com:99999",
        "https://acme.my.cxone.com:evil",
        "https://acme.my.cxone.com?x=",
        "https://acme.my.cxone.com/@evil.example",
        "https://[::1",
        "https://[::ffff:127.0.0.1]",
        "https://evil.example",
        "https://acme.my.cxone.com.evil.example",
        "https://evil.example/.my.cxone.com",
        "https://acme.my.cxone.com@evil.example",
        "https://evil.example\\.my.cxone.com",
        "https://evil.example#.my.cxone.com",
        "https://evil.example?.my.cxone.com",
        "https://xmy.cxone.com",
        "https://.my.cxone.com",
        "https://my.cxone.com",
        "https://acme.my.cxone.com.",
        "https://аcme.my.cxone.com",
        "http://acme.my.cxone.com",
        "http://127.0.0.1.evil.example",
        "http://2130706433",
        "ftp://acme.my.cxone.com",
        "//acme.my.cxone.com",
        "https://",
        "",
    ],
)
def test_credentials_are_sent_to_no_other_host(url: str) -> None:
    """Look-alikes, user names, other schemes, and http:// to other machines."""
    with pytest.raises((errors.CredentialsError, errors.UsageError)):
        check_host(url, frozenset({"gateway.internal"}))


@pytest.mark.parametrize(
    "path", ["@evil.example/rules", ".evil.example/rules", ":1@evil.example/rules", ""]
)
def test_no_path_changes_the_host(path: str) -> None:
    """A path is appended to the address, so it must begin where the host has ended."""
    for tenant in (replace(TENANT, rules_path=path), replace(TENANT, queues_path=path)):
        with pytest.raises(errors.UsageError, match="begin with /"):
            WritingClient(
                over_http(),
                tenant,
                ClientCredentials(client_id="i", client_secret="s"),
                FakeClock().time,
            )


@each_case("rule_id", ["", ".", "..", "\ud800"])
@each_case("call", ["GET", "PUT", "DELETE"])
@served
def test_an_id_that_leads_out_of_the_rules_path_is_never_sent(
    server: Any, call: str, rule_id: str
) -> None:
    """`..` stays `..` in every quoting: a delete of it would delete the path above."""
    everything = server.route(url__startswith="http://localhost/api/").respond(404)
    read = FetchedRule(unmanaged(rule_id, rule()))
    item = client()
    calls = {
        "GET": lambda: item.rule(rule_id),
        "PUT": lambda: item.update(read, rule(), MARKER),
    }
    with pytest.raises(
        errors.UnexpectedResponseError, match="cannot be the id of a rule"
    ):
        asyncio.run({**calls, "DELETE": lambda: item.delete(read)}[call]())  # type: ignore[no-untyped-call]
    assert 0 == everything.call_count


def test_another_rule_than_the_requested_one_is_an_error(server: Any) -> None:
    """A cache or proxy may mix up responses; the next write would then change the wrong rule."""
    server.get(ONE).respond(json={**STORED, "id": "2"})
    with pytest.raises(
        errors.UnexpectedResponseError,
        match="the server returned rule '2' instead of '1'",
    ):
        asyncio.run(client().rule("1"))


@each_case(
    "etag, sent",
    [(b'"7"', '"7"'), (b'W/"7"', 'W/"7"'), (b'"\xc3\xbc"', None), (b"", None)],
)
@served
def test_an_etag_is_returned_if_it_fits_into_a_header(
    server: Any, etag: bytes, sent: str | None
) -> None:
    """Without one the rule is compared before it is written, as on servers without ETags."""
    server.get(ONE).mock(
        return_value=httpx.Response(200, json=STORED, headers=[(b"etag", etag)])
    )
    stored = server.put(ONE).respond(json=STORED)

    async def run() -> None:
        item = client()
        read = await item.rule("1")
        assert read is not None
        await item.update(read, rule(), MARKER)

    asyncio.run(run())
    assert sent == stored.calls[0].request.headers.get("If-Match")


@each_case(
    "fields, said",
    [
        ('"priority": 1e999', "instead of JSON"),
        (
            '"priority": 1, "targets": [{"type": "queue", "queueId": "q", "weight": -1e999}]',
            "instead of JSON",
        ),
        ('"priority": 1, "conditions": ["x"]', "`conditions` is not a list of objects"),
        ('"priority": 1, "targets": [null]', "`targets` is not a list of objects"),
        (
            '"priority": 1, "conditions": [{"type": ' + "[" * 600 + "]" * 600 + "}]",
            "nested too deeply",
        ),
    ],
)
@served
def test_a_rule_that_cannot_be_displayed_is_refused_with_its_id(
    server: Any, fields: str, said: str
) -> None:
    """Infinity, entries that are not objects, nesting: each ends in a sentence, not in a
    traceback.
    """
    server.get(url__startswith=RULES).respond(
        content=f'{{"total": 1, "entities": [{{"id": "r-1", "name": "n", {fields}}}]}}'
    )
    with pytest.raises(errors.UnexpectedResponseError, match=said) as refused:
        asyncio.run(client().rules())
    assert ("r-1" in str(refused.value)) == (said != "instead of JSON")


def test_the_nesting_limit_is_the_same_on_every_python(server: Any) -> None:
    """Rule, list, condition and 61 lists are 64 levels, which are accepted; one more is refused."""
    server.get(url__startswith=RULES).mock(
        side_effect=[
            httpx.Response(
                200,
                json={
                    "total": 1,
                    "entities": [
                        {
                            **STORED,
                            "conditions": [{"type": json.loads("[" * n + "]" * n)}],
                        }
                    ],
                },
            )
            for n in (61, 62)
        ]
    )

    async def run() -> None:
        item = client()
        assert 1 == len(await item.rules())
        with pytest.raises(errors.UnexpectedResponseError, match="nested too deeply"):
            await item.rules()

    asyncio.run(run())


def test_ids_from_the_server_cannot_leave_their_path(server: Any) -> None:
    """Every id is quoted."""
    route = server.get(url__startswith="http://localhost/").respond(404)
    asyncio.run(client().rule("../../queues?x=#"))
    assert (
        "/api/v2/routing/rules/..%2F..%2Fqueues%3Fx%3D%23"
        == route.calls[0].request.url.raw_path.decode()
    )


def test_neither_credentials_nor_client_show_a_secret() -> None:
    """Not even in a debugger's repr."""
    assert "canary" not in repr(
        ClientCredentials(client_id="canary-id", client_secret="canary-secret")
    )


@each_case("form", ["{}", "echo {} end", "client_secret={}&x"])
@served
def test_a_secret_that_the_server_repeats_is_not_shown(server: Any, form: str) -> None:
    """Neither the client's secret, in any form, nor a token."""
    item = WritingClient(
        over_http(),
        TENANT,
        ClientCredentials(client_id="id", client_secret='canary /"+ü'),
        FakeClock().time,
    )
    forms = ['canary /"+ü', "canary+%2F%22%2B%C3%BC", "aWQ6Y2FuYXJ5IC8iK8O8"]
    for secret in forms:
        server["token"].respond(
            400, json={"error": "bad", "error_description": form.format(secret)}
        )
        with pytest.raises(errors.CredentialsError) as refused:
            asyncio.run(item.rules())
        assert "[secret]" in str(refused.value)
        assert not any(actual in str(refused.value) for actual in ("canary", "aWQ6"))
    server["token"].respond(json={"access_token": "token-canary", "expires_in": 3600})
    server.get(url__startswith=RULES).respond(
        403, json={"message": form.format("token-canary")}
    )
    with pytest.raises(errors.ScopeError) as denied:
        asyncio.run(item.rules())
    assert "canary" not in str(denied.value)


def test_a_run_has_a_time_limit_that_a_confirmation_restarts(server: Any) -> None:
    """No call is sent after the run's time limit; `restart_time_limit` restarts it."""
    server.get(url__startswith=RULES).respond(json=STORED)
    virtual = FakeClock()

    async def run() -> None:
        item = WritingClient(
            over_http(),
            replace(TENANT, run_seconds=900),
            ClientCredentials(client_id="i", client_secret="s"),
            virtual.time,
        )
        await item.rule("1")
        virtual.seconds += 3600
        with pytest.raises(
            errors.OverloadedError, match="the run exceeded its time limit"
        ):
            await item.rule("1")
        item.rate_limiter.restart_time_limit(900)
        await item.rule("1")

    asyncio.run(run())
