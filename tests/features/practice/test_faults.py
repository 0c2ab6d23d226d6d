"""Each fault has the effect of its name at the time of its rule, and the same seed gives the same
faults.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.faults.spec import FaultSpecError
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from tests.support.cases import each_case
from tests.support.simulated import (
    CREDENTIALS,
    QUEUES,
    RULES,
    SimulatorTransport,
    body,
    run,
    sign_in,
    stored,
)

ONE = f"{RULES}/r1"


def world(
    spec: str, count: int = 2, seed: int = 0, **settings: Any
) -> tuple[Simulator, FaultInjector]:
    """Return a simulator with so many rules, and its faults."""
    faults = FaultInjector(spec, seed)
    return Simulator(
        TenantState(QUEUES, [stored(n) for n in range(1, count + 1)]),
        SimulatorSettings(**settings),
        faults,
    ), faults


async def seen(
    http: httpx.AsyncClient, method: str, path: str, sent: Any = None
) -> int | type[Exception]:
    """Return the status, or the fault of the connection."""
    try:
        return (await http.request(method, path, json=sent)).status_code
    except httpx.TransportError as error:
        return type(error)


def page(spec: str, query: str = "", count: int = 5, **settings: Any) -> Any:
    """Return the page of a response with a fault."""
    return run(
        world(spec, count, **settings)[0], lambda http: http.get(f"{RULES}?{query}")
    ).json()


INSTEAD = [
    ("500", 500),
    ("502", 502),
    ("503", 503),
    ("504", 504),
    ("501", 501),
    ("400", 400),
    ("403", 403),
    ("404", 404),
    ("405", 405),
    ("409", 409),
    ("410", 410),
    ("412", 412),
    ("413", 413),
    ("414", 414),
    ("422", 422),
    ("431", 431),
    ("429", 429),
    ("html", 200),
    ("empty", 201),
    ("shape", 201),
    ("nan", 201),
    ("deep", 200),
    ("gzip=1", 200),
    ("huge=1", 200),
    ("redirect", 302),
    ("redirect=307", 307),
    ("reset", httpx.ReadError),
    ("timeout", httpx.ReadTimeout),
    ("refuse", httpx.ConnectError),
]  # fmt: skip - a table


@each_case("name, outcome", INSTEAD)
def test_a_response_that_replaces_the_real_one(name: str, outcome: Any) -> None:
    """The create is not done; with -applied it is done, and the response is the same."""
    base, _, argument = name.partition("=")
    for suffix, count in (("", 2), ("-applied", 3)):
        app, faults = world(
            f"POST rules:{base}{suffix}" + (f"={argument}" if argument else "")
        )

        async def talk(http: httpx.AsyncClient) -> list[Any]:
            actual = await seen(http, "POST", RULES, body("new"))
            return [actual, (await http.get(RULES)).json()["total"]]

        assert [outcome, count] == run(app, talk)
        assert 1 == len(faults.fired_faults)
        requested = app.state.requests[1]
        assert (count == 3, outcome if isinstance(outcome, int) else None) == (
            requested.changed_state,
            requested.status,
        )


def test_401_once_and_always() -> None:
    """401 for one request does not affect the next; without WHEN it stays, with any token."""

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        actual = [await seen(http, "GET", RULES)]
        await sign_in(http)
        return [*actual, await seen(http, "GET", RULES)]

    assert [401, 200] == run(world("GET:401@#1")[0], talk)
    assert [401, 401] == run(world("GET:401")[0], talk)
    assert [401, 200] == run(world("GET:revoke@#1")[0], talk)


@each_case(
    "spec, after",
    [
        ("429", "1"),
        ("429=7", "7"),
        ("429=-1", "-1"),
        ("429=1000000000", "1000000000"),
        ("429=soon", "soon"),
        ("429=none", None),
        ("429=date", "Sun, 01 Feb 2026 09:00:02 GMT"),
    ],
)
def test_retry_after_in_every_form(spec: str, after: str | None) -> None:
    """The argument of 429 is the value of Retry-After; `date` is two seconds from now."""
    app, _ = world(f"GET:{spec}", clock=lambda: 1_769_936_400.0)
    assert after == run(app, lambda http: http.get(RULES)).headers.get("Retry-After")


def test_bodies_that_no_api_returns() -> None:
    """HTML, an empty body, nested lists, NaN, another shape, and a redirect to another host."""

    def answer(spec: str) -> httpx.Response:
        actual = run(world(f"GET:{spec}")[0], lambda http: http.get(RULES))
        assert isinstance(actual, httpx.Response)
        return actual

    assert "text/html; charset=utf-8" == answer("html").headers["Content-Type"]
    assert (503, b"") == (answer("empty=503").status_code, answer("empty").content)
    assert b"[" * 50 + b"]" * 50 == answer("deep=50").content
    assert 200_000 == len(answer("deep").content)
    assert b"NaN" in answer("nan").content
    assert {"status": "ok", "items": [[]]} == answer("shape").json()
    assert (
        f"https://elsewhere.example.com{RULES}"
        == answer("redirect").headers["Location"]
    )
    assert 2 * 1024 * 1024 + 2 == len(answer("huge=2").content)


def test_a_gzip_bomb_is_small_and_unpacks_to_the_stated_size() -> None:
    """Its 3 MB are real gzip of real JSON, and need only some KB on the network."""
    app, _ = world("GET:gzip=3")

    async def talk(http: httpx.AsyncClient) -> bytes:
        async with http.stream("GET", RULES) as answer:
            assert "gzip" == answer.headers["Content-Encoding"]
            return b"".join([part async for part in answer.aiter_raw()])

    packed = run(app, talk)
    assert len(packed) < 10_000
    assert b" " * (3 << 20) + b"{}" == gzip.decompress(packed)


def test_half_and_cut_bodies() -> None:
    """half: half of a document that looks complete; cut: the connection breaks; both times the rule
    was created.
    """

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        try:
            answer = await http.post(RULES, json=body("new"))
        except httpx.TransportError as error:
            return [type(error), None]
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        return [
            answer.status_code,
            int(answer.headers["Content-Length"]) == len(answer.content),
        ]

    half = world("POST rules:half")[0]
    cut = world("POST rules:cut")[0]
    assert [201, True] == run(half, talk)
    assert [httpx.RemoteProtocolError, None] == run(cut, talk)
    assert (3, 3) == (len(half.state.stored_rules), len(cut.state.stored_rules))


def test_a_slow_drip_takes_its_time() -> None:
    """One byte at a time, with the pause of the injected sleep; the final body is complete."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    answer = run(world("GET rule:drip=0.5", sleep=sleep)[0], lambda http: http.get(ONE))
    assert stored(1) == answer.json()
    assert [0.5] * len(answer.content) == slept


def test_responses_with_another_rule() -> None:
    """other: a priority that is not the stored one; no-id: the rule lacks its id; the state is
    right.
    """
    app, _ = world("POST rules:other@#1,POST rules:no-id@#2,GET rules:no-id")

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        created = [
            (await http.post(RULES, json=body(name))).json() for name in ("a", "b")
        ]
        return [
            created[0]["priority"],
            "id" in created[1],
            [rule.get("id") for rule in (await http.get(RULES)).json()["entities"]],
        ]

    assert [11, False, [None] * 4] == run(app, talk)
    assert [10, 10] == [rule["priority"] for rule in app.state.rules()[2:]]


ALTERED = [
    ("description", "two\nlines", "two lines"),
    ("name", "Upper", "upper"),
    ("priority", 5, 1),
    ("enabled", True, False),
]


@pytest.mark.parametrize(("field", "sent", "kept"), ALTERED)
def test_a_server_that_stores_another_value(field: str, sent: Any, kept: Any) -> None:
    """altered: the stored and returned rule differs from the sent one, for create and update."""
    app, _ = world(f"*:altered={field}", count=1)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        item = {**body("x"), field: sent}
        return [
            (await http.post(RULES, json=item)).json()[field],
            (await http.put(ONE, json=item)).json()[field],
        ]

    assert [kept, kept] == run(app, talk)
    assert [kept, kept] == [rule[field] for rule in app.state.rules()]
    assert [False, True, True] == [
        requested.changed_state for requested in app.state.requests
    ]


def test_pages_that_are_inconsistent() -> None:
    """duplicate, missing, empty-list and shift change the entities; total stays, except 0 for
    empty-list.
    """
    assert (["r1", "r2", "r1"], 5) == names(page("GET:duplicate", "pageSize=2"))
    assert (["r1"], 5) == names(page("GET:missing", "pageSize=2"))
    assert ([], 0) == names(page("GET:empty-list"))
    assert (["r1", "r2"], 5) == names(page("GET:shift", "pageSize=2"))
    assert (["r4", "r5"], 5) == names(page("GET:shift", "pageSize=2&pageNumber=2"))
    assert (["r2", "r3"], 5) == names(page("GET:shift=-1", "pageSize=2&pageNumber=2"))


def names(found: Any) -> tuple[list[str], int]:
    """Return a page's ids and its total."""
    return [rule["id"] for rule in found["entities"]], found["total"]


def test_paging_that_leads_to_a_wrong_page() -> None:
    """cycle: nextUri is page 1; other-host: nextUri is on another host; also for queues."""
    assert (
        f"{RULES}?pageNumber=1&pageSize=2"
        == page("GET:cycle", "pageSize=2&pageNumber=3")["nextUri"]
    )
    assert (
        f"https://elsewhere.example.com{RULES}?pageNumber=2"
        == page("GET:other-host", "pageSize=2")["nextUri"]
    )
    queues = run(
        world("GET queues:cycle")[0], lambda http: http.get("/api/v2/routing/queues")
    ).json()
    assert "/api/v2/routing/queues?pageNumber=1&pageSize=100" == queues["nextUri"]


def test_a_stale_replica() -> None:
    """stale=2: lists and single reads are those of two changes ago; a write is not affected."""
    app, _ = world("GET:stale=2", count=1)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        actual = []
        for priority in (20, 30, 40):
            await http.put(ONE, json=body("x", priority=priority))
            actual += [
                (await http.get(ONE)).json()["priority"],
                (await http.get(RULES)).json()["entities"][0]["priority"],
            ]
        await http.delete(ONE)
        return [
            *actual,
            (await http.get(RULES)).json()["total"],
            await seen(http, "GET", ONE),
        ]

    assert [10, 10, 10, 10, 20, 20, 1, 200] == run(app, talk)
    assert {} == app.state.stored_rules


def test_another_user_changes_rules_just_before_the_request() -> None:
    """edit, remove and clone affect the request's own rule; for another request a random rule."""

    async def put(http: httpx.AsyncClient) -> Any:
        return await seen(http, "PUT", ONE, body("mine"))

    edited, removed, cloned = (
        world(f"PUT:{kind}")[0] for kind in ("edit", "remove", "clone")
    )
    assert [200, 404, 200] == [run(app, put) for app in (edited, removed, cloned)]
    assert (3, "mine") == (
        edited.state.stored_rules["r1"]["version"],
        edited.state.stored_rules["r1"]["name"],
    )
    assert ["r2"] == list(removed.state.stored_rules)
    assert ["mine", "rule 2", "rule 1 (copy)"] == [
        rule["name"] for rule in cloned.state.rules()
    ]
    assert "Routes rule 1" == cloned.state.rules()[2]["description"]
    by_lot = world("GET rules:remove", count=9)[0]
    assert 8 == run(by_lot, lambda http: http.get(RULES)).json()["total"]


def test_a_concurrent_edit_is_detected_by_if_match() -> None:
    """With ETags an edit just before a PUT gives 412."""
    app, _ = world("PUT:edit", etags=True)

    async def talk(http: httpx.AsyncClient) -> int:
        tag = (await http.get(ONE)).headers["ETag"]
        return (
            await http.put(ONE, json=body("x"), headers={"If-Match": tag})
        ).status_code

    assert 412 == run(app, talk)


def test_a_late_request_is_processed_later() -> None:
    """late=2: no response; the create is done just before the second request after it, and the log
    has it.
    """
    app, _ = world("POST rules:late=2@#1", count=0)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        actual = [await seen(http, "POST", RULES, body("x"))]
        return [*actual, *[(await http.get(RULES)).json()["total"] for _ in range(3)]]

    assert [httpx.ReadTimeout, 0, 1, 1] == run(app, talk)
    assert (True, None) == (
        app.state.requests[1].changed_state,
        app.state.requests[1].status,
    )


def test_delayed_requests_can_be_processed_on_demand() -> None:
    """run_delayed() processes them once at the end of a run."""
    app, faults = world("POST rules:late=6", count=0)
    run(app, lambda http: seen(http, "POST", RULES, body("x")))
    assert 0 == len(app.state.stored_rules)
    faults.run_delayed(app.api)
    faults.run_delayed(app.api)
    assert 1 == len(app.state.stored_rules)


WHEN = [
    ("GET:500@#2", [200, 500, 200, 200, 200]),
    ("GET:500@#2-3", [200, 500, 500, 200, 200]),
    ("GET:500@#4-", [200, 200, 200, 500, 500]),
    ("GET:500", [500] * 5),
    ("*:500@1.0", [500] * 5),
    ("GET:500@0", [200] * 5),
    ("*:503@0s-2s", [503, 503, 200, 200, 200]),
    ("GET rules:503@1s-3s", [200, 503, 503, 200, 200]),
    ("GET:500@#1,GET:404@#1-2", [500, 404, 200, 200, 200]),
    ("rule:500,queues:500,context:500,token:500@#2,POST:500@#2", [200] * 5),
    (" * rules : 500 @#1 , rules:404@#5", [500, 200, 200, 200, 404]),
]


@each_case("spec, expected", WHEN)
def test_a_fault_applies_at_the_time_of_its_rule(
    spec: str, expected: list[int]
) -> None:
    """Numbers count the requests that the rule matches, windows the seconds since the first; the
    first rule decides.
    """
    now = [100.0]
    quiet = Simulator(TenantState(), SimulatorSettings(clock=lambda: now[0]))
    faulty = Simulator(quiet.state, quiet.api.settings, FaultInjector(spec))
    faulty.api = quiet.api

    async def talk(signed_in: httpx.AsyncClient) -> list[Any]:
        actual = []
        async with httpx.AsyncClient(
            transport=SimulatorTransport(faulty),
            base_url="http://x",
            headers=signed_in.headers,
        ) as http:
            for _ in expected:
                actual.append(await seen(http, "GET", RULES))
                now[0] += 1
        return actual

    assert expected == run(quiet, talk)


def test_the_resources_of_a_spec_match_their_requests() -> None:
    """token, rules, rule, queues and context are distinct; a path of none of them matches only
    *.
    """
    calls = [
        ("POST", "/oauth/token"),
        ("GET", RULES),
        ("GET", ONE),
        ("GET", "/api/v2/routing/queues"),
        ("POST", "/api/v2/interactions/interactions/c1/context"),
        ("GET", "/elsewhere"),
    ]

    def hit(word: str) -> list[bool]:
        app, faults = world(f"{word}:418@#1-")

        async def talk() -> list[bool]:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://x"
            ) as http:
                return [
                    (await http.request(method, path, data=CREDENTIALS)).status_code
                    == 418
                    for method, path in calls
                ]

        actual = asyncio.run(talk())
        assert actual.count(True) == len(faults.fired_faults)
        return actual

    words = ["token", "rules", "rule", "queues", "context"]
    for place, word in enumerate(words):
        assert [place == item for item in range(6)] == hit(word)
    assert [True] * 6 == hit("*") == hit("")
    assert [True, False, False, False, True, False] == hit("POST")


def test_a_seed_repeats_a_run_and_another_seed_does_not() -> None:
    """The same seed gives the same faults at the same requests, with the same ids; another seed
    gives others.
    """

    def history(seed: int) -> list[Any]:
        ids = iter(range(1_000))
        app, faults = world(
            "POST:500-applied@0.3,POST:reset@0.3,GET:clone@0.2",
            seed=seed,
            new_id=lambda: f"i{next(ids)}",
            clock=lambda: 1.0,
        )

        async def talk(http: httpx.AsyncClient) -> list[Any]:
            return [
                await seen(http, method, RULES, body("x"))
                for _ in range(40)
                for method in ("POST", "GET")
            ]

        return [
            run(app, talk),
            app.state.to_document(),
            [text for text, _ in faults.fired_faults],
        ]

    first = history(1)
    assert first == history(1)
    assert first[0] != history(2)[0]
    assert len(set(first[2])) == 3


BAD = [
    ("nonsense", "must be [METHOD] [RESOURCE]:FAULT"),
    ("GET", "must be"),
    ("get:500", "must be"),
    ("FETCH:500", "must be"),
    ("GET rulez:500", "must be"),
    ("GET:", "must be"),
    ("GET:500,", "must be"),
    ("GET:resett", "did you mean reset?"),
    ("GET:200", "unknown fault"),
    ("GET:600", "unknown fault"),
    ("GET:cut-applied", "unknown fault"),
    ("GET:500@often", "@often must be a probability"),
    ("GET:500@#0", "must be a probability"),
    ("GET:500@2", "must be a probability"),
    ("GET:late=soon", 'late does not accept "soon"'),
    ("GET:reset=1", 'reset does not accept "1"'),
    ("GET:huge=9999999", 'huge does not accept "9999999"'),
    ("GET:html=99", 'html does not accept "99"'),
    ("GET:altered=id", 'altered does not accept "id"'),
    ("GET:shift=1.5", "does not accept"),
    ("GET:drip=x", "does not accept"),
]


@each_case("spec, reason", BAD)
def test_a_bad_spec_is_a_clear_error(spec: str, reason: str) -> None:
    """The error quotes the part and names its problem."""
    with pytest.raises(FaultSpecError) as caught:
        FaultInjector(spec)
    assert reason in str(caught.value)


def test_no_spec_no_fault() -> None:
    """An empty SPEC has no faults."""
    app, faults = world(" ")
    assert 200 == run(app, lambda http: seen(http, "GET", RULES))
    assert [] == faults.fired_faults
