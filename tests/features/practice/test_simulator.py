"""The simulator's API beyond the contract's examples: tokens, lag, rate, hostile bodies, speed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES, SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState, bank_tenant
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.simulated import (
    CREDENTIALS,
    QUEUES,
    RULES,
    body,
    run,
    sign_in,
    stored,
)
from tests.support.work_bounds import takes_at_most

CONTEXT = "/api/v2/interactions/interactions/{}/context"


async def statuses(http: httpx.AsyncClient, count: int) -> list[int]:
    """Request the list so often, and return the statuses."""
    return [(await http.get(RULES)).status_code for _ in range(count)]


async def listed(http: httpx.AsyncClient) -> list[str]:
    """Return the names on the first page."""
    return [rule["name"] for rule in (await http.get(RULES)).json()["entities"]]


def test_a_token_expires_at_its_stated_time() -> None:
    """A token works until expires_in has passed, then 401; a new one works."""
    clock = FakeClock()
    app = Simulator(TenantState(), SimulatorSettings(token_seconds=60, clock=clock))

    async def talk(http: httpx.AsyncClient) -> list[int]:
        actual = await statuses(http, 1)
        clock.seconds += 59
        actual += await statuses(http, 1)
        clock.seconds += 1
        actual += await statuses(http, 1)
        await sign_in(http)
        return actual + await statuses(http, 1)

    assert [200, 200, 401, 200] == run(app, talk)


def test_a_revoked_token_is_refused() -> None:
    """After tokens.revoke() every earlier token gets 401, and a new one works."""
    app = Simulator(TenantState(), SimulatorSettings())

    async def talk(http: httpx.AsyncClient) -> list[int]:
        app.tokens.revoke()
        actual = await statuses(http, 1)
        await sign_in(http)
        return actual + await statuses(http, 1)

    assert [401, 200] == run(app, talk)
    assert 2 == sum(request.path == "/oauth/token" for request in app.state.requests)


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_without_set_credentials_all_nonempty_ones_are_accepted(missing: str) -> None:
    """With clients=None an empty id or secret is still 401."""
    app = Simulator(TenantState(), SimulatorSettings())
    form = {**CREDENTIALS, missing: ""}

    async def talk(http: httpx.AsyncClient) -> int:
        return (await http.post("/oauth/token", data=form)).status_code

    assert 401 == run(app, talk)


def test_a_new_rule_is_missing_from_lists_for_some_reads() -> None:
    """lag_reads=2: two reads of the list lack it, and so does total; a GET of the rule finds it
    immediately.
    """
    app = Simulator(TenantState(QUEUES, [stored(1)]), SimulatorSettings(lag_reads=2))

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        created = (await http.post(RULES, json=body("new"))).json()
        alone = (await http.get(f"{RULES}/{created['id']}")).status_code
        totals = [(await http.get(RULES)).json()["total"] for _ in range(3)]
        return [alone, totals, await listed(http)]

    assert [200, [1, 1, 2], ["rule 1", "new"]] == run(app, talk)


def test_a_new_rule_is_missing_from_lists_for_some_seconds() -> None:
    """lag_seconds=5: the list has it from the fifth second on, and not before."""
    clock = FakeClock()
    app = Simulator(TenantState(QUEUES), SimulatorSettings(lag_seconds=5, clock=clock))

    async def talk(http: httpx.AsyncClient) -> list[list[str]]:
        await http.post(RULES, json=body("new"))
        actual = [await listed(http)]
        clock.seconds += 4.9
        actual.append(await listed(http))
        clock.seconds += 0.1
        return [*actual, await listed(http)]

    assert [[], [], ["new"]] == run(app, talk)


def test_the_rate_is_a_token_bucket() -> None:
    """rate=2, burst=3: of four immediate calls the fourth gets 429; half a second later one more
    succeeds.
    """
    clock = FakeClock()
    app = Simulator(TenantState(), SimulatorSettings(rate=2, burst=3, clock=clock))

    async def talk(http: httpx.AsyncClient) -> list[int]:
        actual = await statuses(http, 4)
        clock.seconds += 0.5
        return actual + await statuses(http, 2)

    assert [200, 200, 200, 429, 200, 429] == run(app, talk)


def test_retry_after_is_long_enough() -> None:
    """A client that waits for Retry-After succeeds."""
    clock = FakeClock()
    app = Simulator(TenantState(), SimulatorSettings(rate=0.25, burst=1, clock=clock))

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        await statuses(http, 1)
        refused = await http.get(RULES)
        clock.seconds += int(refused.headers["Retry-After"])
        return [refused.headers["Retry-After"], *await statuses(http, 1)]

    assert ["4", 200] == run(app, talk)


def test_latency_precedes_each_response() -> None:
    """latency=0.05: each request, including that for a token, takes that long by the injected
    clock.
    """
    clock = FakeClock()
    start = clock.seconds
    run(
        Simulator(
            TenantState(),
            SimulatorSettings(latency=0.05, clock=clock, sleep=clock.sleep),
        ),
        lambda http: http.get(RULES),
    )
    assert round(clock.seconds - start, 6) == 0.1


def test_a_put_removes_absent_fields_and_stores_unknown_ones() -> None:
    """PUT replaces: an absent description or division is removed, an unknown field is stored, the
    id stays.
    """
    state = TenantState(
        QUEUES, [stored(1, division={"id": "d"}, hints=["a"], dateCreated="then")]
    )
    requests_sent = body("renamed", hints=["b"], extra=None)
    del requests_sent["description"]
    run(
        Simulator(state, SimulatorSettings()),
        lambda http: http.put(f"{RULES}/r1", json=requests_sent),
    )
    retained = {
        key: value
        for key, value in state.stored_rules["r1"].items()
        if key != "dateModified"
    }
    assert {
        **requests_sent,
        "id": "r1",
        "version": 2,
        "dateCreated": "then",
    } == retained


def test_a_put_with_another_id_in_its_body_is_refused() -> None:
    """422, and nothing changed."""
    state = TenantState(QUEUES, [stored(1)])
    answer = run(
        Simulator(state, SimulatorSettings()),
        lambda http: http.put(f"{RULES}/r1", json=body("x", id="r2")),
    )
    assert (422, 0) == (answer.status_code, state.revision)


def test_a_client_cannot_set_the_servers_own_fields() -> None:
    """A POST with id, version or dates gets the server's."""
    state = TenantState(QUEUES)
    requests_sent = body(
        "x", id="mine", version=9, dateCreated="then", selfUri="/elsewhere"
    )
    created = run(
        Simulator(state, SimulatorSettings(new_id=lambda: "i1")),
        lambda http: http.post(RULES, json=requests_sent),
    ).json()
    assert ("i1", 1, f"{RULES}/i1") == (
        created["id"],
        created["version"],
        created["selfUri"],
    )
    assert created["dateCreated"] != "then"


def test_one_idempotency_key_makes_one_rule() -> None:
    """Profile E: the first response is repeated; another body with the key gets 422; profile C
    creates two.
    """
    keyed = {"Idempotency-Key": "k"}

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        first, second = [
            await http.post(RULES, json=body("x"), headers=keyed) for _ in range(2)
        ]
        candidate = await http.post(RULES, json=body("y"), headers=keyed)
        return [
            first.status_code,
            second.status_code,
            candidate.status_code,
            first.json() == second.json(),
        ]

    keys = TenantState(QUEUES)
    none = TenantState(QUEUES)
    assert [201, 201, 422, True] == run(Simulator(keys, PROFILES["E"]), talk)
    assert [201, 201, 201, False] == run(Simulator(none, PROFILES["C"]), talk)
    assert (1, 3) == (len(keys.stored_rules), len(none.stored_rules))


def test_a_refused_create_leaves_its_idempotency_key_free() -> None:
    """A POST that got 422 may be repeated in corrected form with its key."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        requests_sent = [body("x", priority="high"), body("x")]
        return [
            (
                await http.post(RULES, json=item, headers={"Idempotency-Key": "k"})
            ).status_code
            for item in requests_sent
        ]

    assert [422, 201] == run(Simulator(TenantState(QUEUES), PROFILES["E"]), talk)


def test_a_freed_name_can_be_used_again() -> None:
    """With unique names: 409 for a used one; free after a rename and after a delete; a rule may
    keep its own.
    """
    state = TenantState(QUEUES, [stored(1), stored(2)])

    async def talk(http: httpx.AsyncClient) -> list[int]:
        calls = [
            ("POST", RULES, body("rule 1")),
            ("PUT", f"{RULES}/r1", body("rule 1")),
            ("PUT", f"{RULES}/r1", body("other")),
            ("POST", RULES, body("rule 1")),
            ("PUT", f"{RULES}/r1", body("rule 2")),
            ("DELETE", f"{RULES}/r2", None),
            ("PUT", f"{RULES}/r1", body("rule 2")),
        ]
        return [
            (await http.request(method, path, json=requests_sent)).status_code
            for method, path, requests_sent in calls
        ]

    assert [409, 200, 200, 201, 409, 204, 200] == run(
        Simulator(state, PROFILES["A"]), talk
    )


BAD_FIELDS = [
    ({"name": ""}, ["name"]),
    ({"name": "  "}, ["name"]),
    ({"name": "x" * 257}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"description": None}, ["description"]),
    ({"description": "x" * 4097}, ["description"]),
    ({"priority": True}, ["priority"]),
    ({"priority": None}, ["priority"]),
    ({"enabled": 1}, ["enabled"]),
    ({"conditions": {}}, ["conditions"]),
    ({"conditions": ["x"]}, ["conditions[0]"]),
    ({"conditions": [{"type": "time"}]}, ["conditions[0].type"]),
    (
        {
            "conditions": [
                {"type": "attribute", "operator": ["equals"], "attributeName": ""}
            ]
        },
        ["conditions[0].attributeName", "conditions[0].operator"],
    ),
    ({"targets": []}, ["targets"]),
    ({"targets": [{"type": "skill"}]}, ["targets[0].type"]),
    (
        {"targets": [{"type": "queue", "queueId": ["q1"], "weight": -1}]},
        ["targets[0].queueId", "targets[0].weight"],
    ),
    ({"targets": [{"type": "queue", "queueId": "q1"}]}, ["targets[0].weight"]),
]  # fmt: skip - a table


@each_case("change, fields", BAD_FIELDS)
def test_a_bad_rule_is_refused_with_its_fields(
    change: dict[str, Any], fields: list[str]
) -> None:
    """422 names each invalid field, for create and update, and nothing changes."""
    state = TenantState(QUEUES, [stored(1)])

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        requests_sent = {**body("x"), **change}
        return [
            await http.post(RULES, json=requests_sent),
            await http.put(f"{RULES}/r1", json=requests_sent),
        ]

    for answer in run(Simulator(state, SimulatorSettings()), talk):
        assert 422 == answer.status_code
        assert fields == [error["field"] for error in answer.json()["errors"]]
    assert 0 == state.revision


VALUES = [
    ("equals", ["", "x", 1, 0.5, True], [None, [], {}]),
    ("notEquals", ["x", 1], [None, ["x"]]),
    ("in", [[], ["x", 1, False]], ["x", None, [None], [["x"]]]),
    ("notIn", [["x"]], ["x", 1]),
    ("contains", ["", "x"], [1, True, None]),
    ("notEndsWith", ["x"], [["x"]]),
    ("greaterThan", [1, 0.5, "0.5", "-1e3"], ["x", "", "01", "1.", True, None, [1]]),
    ("lessThanOrEqual", [0], ["x"]),
    ("between", [[0, 1], [1, 0], ["0.1", 1]], [1, [1], [0, 1, 2], ["a", "b"], None]),
    ("exists", [None, "ignored"], []),
    ("notExists", [None], []),
]


@each_case("operator, good, bad", VALUES)
def test_each_operator_accepts_its_values(
    operator: str, good: list[Any], bad: list[Any]
) -> None:
    """A value that the operator can compare with is stored as sent; another is 422."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        requests_sent = [
            {
                "type": "attribute",
                "attributeName": "a",
                "operator": operator,
                "value": item,
            }
            for item in good + bad
        ]
        return [
            (await http.post(RULES, json=body("x", conditions=[item]))).status_code
            for item in requests_sent
        ]

    state = TenantState(QUEUES)
    assert [201] * len(good) + [422] * len(bad) == run(
        Simulator(state, SimulatorSettings()), talk
    )
    assert good == [rule["conditions"][0]["value"] for rule in state.rules()]


def test_parts_of_a_live_rule_are_accepted() -> None:
    """A condition of unknown operator gets 422, unless a live rule has it: adopting that rule must
    work.
    """
    odd = {
        "type": "attribute",
        "attributeName": "a",
        "operator": "matchesRegex",
        "value": "x.*",
    }
    state = TenantState(QUEUES, [stored(1, conditions=[odd])])

    async def talk(http: httpx.AsyncClient) -> list[int]:
        candidate = {**odd, "value": "y.*"}
        requests_sent = [body("x", conditions=[odd]), body("x", conditions=[candidate])]
        return [
            (await http.put(f"{RULES}/r1", json=item)).status_code
            for item in requests_sent
        ]

    assert [200, 422] == run(Simulator(state, SimulatorSettings()), talk)


HOSTILE = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe{}", 400),
    (b'{"name": NaN}', 400),
    (b'{"name": 1e999}', 400),
    (b'{"name": "\\ud800"}', 400),
    (b"[" * 100_000, 400),
    (b'{"priority": ' + b"9" * 5000 + b"}", 400),
    (b"null", 422),
    (b"[]", 422),
    (b'"text"', 422),
    (b" " * 1_048_577, 413),
    (b" " * 5_000_000, 413),
]


@each_case("sent, status", HOSTILE)
@each_case("path", [RULES, CONTEXT.format("c1")])
def test_a_hostile_body_is_refused(path: str, sent: bytes, status: int) -> None:
    """For any bytes the response is an error in the API's form, and nothing changes."""
    state = TenantState(QUEUES)
    headers = {"Content-Type": "application/json"}
    answer = run(
        Simulator(state, SimulatorSettings()),
        lambda http: http.post(path, content=sent, headers=headers),
    )
    assert (status, 0) == (answer.status_code, state.revision)
    assert answer.json()["errors"][0]["message"]


ANY_JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = strategies.sampled_from(
    [
        "name",
        "description",
        "priority",
        "enabled",
        "conditions",
        "targets",
        "id",
        "attributes",
    ]
)
PARTS = strategies.dictionaries(
    strategies.sampled_from(
        ["type", "attributeName", "operator", "value", "queueId", "weight"]
    ),
    ANY_JSON
    | strategies.sampled_from(["attribute", "queue", "equals", "between", "in", "q1"]),
)
BODIES = ANY_JSON | strategies.dictionaries(
    FIELDS, ANY_JSON | strategies.lists(PARTS, max_size=3)
)


@pytest.mark.slow
@given(sent=BODIES, overlaid=strategies.booleans())
@settings(max_examples=200, deadline=None)
def test_any_json_is_answered(sent: Any, overlaid: bool) -> None:  # noqa: FBT001 - drawn
    """Any JSON is stored as sent or refused with a status of the contract; nothing is raised."""
    state = TenantState(QUEUES, [stored(1)])
    item = {**body("x"), **sent} if overlaid and isinstance(sent, dict) else sent
    content = json.dumps(item).encode()
    headers = {"Content-Type": "application/json"}

    async def talk(http: httpx.AsyncClient) -> set[int]:
        calls = [
            ("POST", RULES),
            ("PUT", f"{RULES}/r1"),
            ("POST", CONTEXT.format("c1")),
        ]
        return {
            (
                await http.request(how, path, content=content, headers=headers)
            ).status_code
            for how, path in calls
        }

    assert run(Simulator(state, SimulatorSettings()), talk) <= {200, 201, 400, 422}
    for rule in state.rules()[1:]:
        assert {key: item[key] for key in body("x") if key in item} == {
            key: rule[key] for key in body("x") if key in item
        }


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/x-www-form-urlencoded"]
)
def test_another_media_type_is_refused(media: str) -> None:
    """415 for a body that is not declared as JSON."""
    requests_sent = json.dumps(body("x")).encode()
    answer = run(
        Simulator(TenantState(QUEUES), SimulatorSettings()),
        lambda http: http.post(
            RULES, content=requests_sent, headers={"Content-Type": media}
        ),
    )
    assert 415 == answer.status_code


@each_case(
    "conversation",
    [
        "..%2F..%2Frouting%2Frules%2Fr1%3Fx=",
        "a%20b",
        "%C3%A9",
        "x" * 129,
        "unknown-7",
        "%00",
    ],
)
def test_an_encoded_slash_does_not_change_the_path(conversation: str) -> None:
    """An invalid conversation id is 404 in any encoding, and no other path is reached."""
    state = TenantState(QUEUES, [stored(1)])
    path = CONTEXT.format(conversation)
    answer = run(
        Simulator(state, SimulatorSettings()),
        lambda http: http.post(path, json={"attributes": {"a": 1}}),
    )
    assert (404, 0) == (answer.status_code, state.revision)


def test_attributes_merge() -> None:
    """Later attributes join earlier ones, null is a value, and a new conversation begins empty."""
    state = TenantState()

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        requests_sent = [{"a": 1, "b": "x"}, {"b": None, "c": True}]
        return [
            (await http.post(CONTEXT.format("c1"), json={"attributes": item})).json()
            for item in requests_sent
        ]

    after = {"a": 1, "b": None, "c": True}
    assert [
        {"id": "c1", "attributes": {"a": 1, "b": "x"}},
        {"id": "c1", "attributes": after},
    ] == run(Simulator(state, SimulatorSettings()), talk)
    assert {"c1": after} == state.contexts


def test_pages_hold_every_rule_once() -> None:
    """Following nextUri over 7 rules in pages of 3 gives each once, in one order, under one
    total.
    """
    state = TenantState(QUEUES, [stored(n) for n in range(7)])

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        observed = []
        path = f"{RULES}?pageSize=3"
        while path:
            page = (await http.get(path)).json()
            assert (7, 3, 3) == (page["total"], page["pageCount"], page["pageSize"])
            observed += [rule["id"] for rule in page["entities"]]
            path = page["nextUri"]
        return observed

    assert [f"r{n}" for n in range(7)] == run(
        Simulator(state, SimulatorSettings()), talk
    )


@each_case(
    "query",
    [
        "pageNumber=x",
        "pageSize=0",
        "pageSize=-1",
        "pageNumber=1.5",
        "pageNumber=9999999999",
        "pageSize=",
    ],
)
def test_a_bad_page_is_400(query: str) -> None:
    """400, for rules and for queues."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        return [
            (await http.get(f"{path}?{query}")).status_code
            for path in (RULES, "/api/v2/routing/queues")
        ]

    assert [400, 400] == run(Simulator(TenantState(), SimulatorSettings()), talk)


def test_the_log_records_state_changes_and_watchers_see_each_state() -> None:
    """state.requests has every request with its status and effect; a watcher sees the full state
    after each change.
    """
    state = TenantState(QUEUES)
    observed = []
    state.watchers.append(
        lambda watched: observed.append([rule["name"] for rule in watched.rules()])
    )

    async def talk(http: httpx.AsyncClient) -> None:
        created = (await http.post(RULES, json=body("x"))).json()
        await http.put(f"{RULES}/{created['id']}", json=body("y"))
        await http.put(f"{RULES}/{created['id']}", json=body(""))
        await http.delete(f"{RULES}/{created['id']}")
        await http.get(RULES)

    run(Simulator(state, SimulatorSettings(new_id=lambda: "i1")), talk)
    item = f"{RULES}/i1"
    assert [
        ("POST", "/oauth/token", 200, False),
        ("POST", RULES, 201, True),
        ("PUT", item, 200, True),
        ("PUT", item, 422, False),
        ("DELETE", item, 204, True),
        ("GET", RULES, 200, False),
    ] == [
        (requested.method, requested.path, requested.status, requested.changed_state)
        for requested in state.requests
    ]
    assert [["x"], ["y"], []] == observed
    assert body("x") == state.requests[1].json()


def test_initial_tenants() -> None:
    """A new tenant has queues alone; the bank has rules whose targets are its queues, apart from
    each other.
    """
    assert (QUEUES, []) == (TenantState(QUEUES).queues, TenantState(QUEUES).rules())
    first = bank_tenant()
    second = bank_tenant()
    declared = {queue["id"] for queue in first.queues}
    assert first.rules()
    assert (
        set()
        == {target["queueId"] for rule in first.rules() for target in rule["targets"]}
        - declared
    )
    first.remove(first.rules()[0]["id"])
    assert len(second.rules()) == len(first.rules()) + 1


def test_importing_the_simulator_is_cheap() -> None:
    """The package imports no HTTP library, no ASGI framework and no event loop."""
    heavy = {"starlette", "uvicorn", "httpx", "anyio", "asyncio"}
    code = f"import sys, reconciler.features.practice.simulator; print(sorted({heavy} & set(sys.modules)))"
    actual = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]\n" == actual.stdout


@pytest.mark.slow
def test_a_thousand_creates_and_a_hundred_pages_cost_little() -> None:
    """In the simulator itself, ASGI included: about 0.2 s of CPU time for the pages, and 0.5 s for
    the creates.
    """
    app = Simulator(
        TenantState(QUEUES, [stored(n) for n in range(10_000)]), SimulatorSettings()
    )
    run(app, lambda http: http.get(RULES))
    token = app.state.requests[-1].headers["authorization"]
    requests_sent = [json.dumps(body(f"new {n}")).encode() for n in range(1_000)]

    async def calls(method: str, queries: list[bytes], bodies: list[bytes]) -> None:
        for query, content in zip(queries, bodies, strict=True):
            await bare(app, method, query, content, token)

    pages = [f"pageNumber={n}&pageSize=100".encode() for n in range(1, 101)]
    asyncio.run(calls("GET", pages, [b""] * 100))
    with takes_at_most(rules=20_000):
        asyncio.run(calls("GET", pages, [b""] * 100))
    with takes_at_most(rules=50_000):
        asyncio.run(calls("POST", [b""] * 1_000, requests_sent))
    assert len(app.state.stored_rules) == 11_000


async def bare(
    app: Simulator, method: str, query: bytes, content: bytes, token: str
) -> None:
    """Call the app as a server would, without the cost of a client."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) in (200, 201)

    headers = [
        (b"authorization", token.encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http",
        "method": method,
        "path": RULES,
        "raw_path": RULES.encode(),
        "query_string": query,
    }
    await app({**scope, "headers": headers}, receive, send)
