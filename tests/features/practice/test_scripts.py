"""The simulated Scripts API beyond the contract's examples: saves, locks, history, contacts,
faults, state.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.scripts import run_script
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.snippet import SimDialect
from reconciler.features.practice.simulator.state import TenantState
from reconciler.features.practice.simulator.storage import StateError
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.simulated import SimulatorTransport, run
from tests.support.studio_scripts import (
    DESKTOP_SCRIPT,
    PATH,
    SCRIPTS,
    code_of,
    with_block,
    with_code,
)
from tests.tiers import size

QUEUES = [{"id": "4001", "name": "Cards"}, {"id": "4002", "name": "Fraud_Desk"}]
ONE = {"scriptPath": PATH}
SIGNAL = "/inContactAPI/services/v30.0/interactions/{}/signal"
CONTEXT = "/api/v2/interactions/interactions/{}/context"
LOST_CARD = (
    "SELECT",
    "{",
    '  CASE ( cognigyDetectedIntent = "lost_card" ) & ( ( cognigyConfidence + 0 ) >= 0.7 )',
    "  {",
    "    ASSIGN cxr_skill = 4002",
    '    ASSIGN cxr_rule = "fraud/lost"',
    "  }",
    "}",
)


def world(spec: str = "", **switches: Any) -> Simulator:
    """Return a tenant with one script and two skills."""
    state = TenantState(QUEUES)
    state.add_script(PATH)
    return Simulator(
        state, SimulatorSettings(**switches), FaultInjector(spec) if spec else None
    )


async def read(http: httpx.AsyncClient) -> Any:
    """Return the script that runs."""
    return (await http.get(SCRIPTS, params=ONE)).json()


async def save(http: httpx.AsyncClient, *lines: str) -> httpx.Response:
    """Read the script, and save it with more lines in its block."""
    return await http.post(SCRIPTS, json=with_block(await read(http), *lines))


async def lock(http: httpx.AsyncClient, command: str) -> Any:
    """Lock or unlock the script."""
    return (await http.put(SCRIPTS, params={**ONE, "lockScript": command})).json()


async def history(http: httpx.AsyncClient) -> list[dict[str, str]]:
    """Return the versions."""
    versions: list[dict[str, str]] = (
        await http.get(f"{SCRIPTS}/historyByName", params=ONE)
    ).json()["versions"]
    return versions


async def sign_in_as(http: httpx.AsyncClient, key: str) -> None:
    """Sign in with an access key: from now on the client is another user."""
    answer = await http.post(
        "/authentication/v1/token/access-key",
        json={"accessKeyId": key, "accessKeySecret": "secret"},
    )
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def test_the_default_script_is_read_with_its_odd_parts() -> None:
    """One SNIPPET holds the two marker lines; numbers and the order of keys survive; the lock is
    free.
    """

    async def talk(http: httpx.AsyncClient) -> str:
        return (await http.get(SCRIPTS, params=ONE)).text

    app = world()
    text = run(app, talk)
    script = json.loads(text)
    assert "// cxroute:begin acme-routing/main\r\n// cxroute:end\r\n" in code_of(script)
    assert "1000.0" in text
    assert ["1", "3", "2"] == list(script["actions"])
    assert {"lockedName": "", "lockedId": "", "lockedDate": ""} == script["header"][
        "lockInfo"
    ]
    assert app.state.current_script(PATH) == script["header"]["masterId"]


def test_a_save_is_served_as_it_was_sent() -> None:
    """Apart from masterId and lockInfo, every byte of the next read is that of the save."""

    async def talk(http: httpx.AsyncClient) -> tuple[str, str]:
        await save(http, *LOST_CARD)
        first = (await http.get(SCRIPTS, params=ONE)).text
        requests_sent = f'{{"scriptContent":{first}}}'.encode()
        answer = await http.post(
            SCRIPTS, content=requests_sent, headers={"Content-Type": "application/json"}
        )
        again = (await http.get(SCRIPTS, params=ONE)).text
        return first.replace(
            json.loads(first)["header"]["masterId"],
            answer.json()["results"][0]["masterId"],
        ), again

    first, again = run(world(), talk)
    assert first == again


def test_every_save_makes_a_version_and_runs_at_once() -> None:
    """Also an unchanged one; the history names the users, newest first, and one version is CURR."""
    clock = FakeClock()
    app = world(clock=clock)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        answers = [await save(http), await save(http), await save(http, *LOST_CARD)]
        ids = [answer.json()["results"][0]["masterId"] for answer in answers]
        clock.seconds += 60
        app.state.save_script_by_person(PATH, "Ada Lovelace", lambda code: code)
        return [ids, await history(http), (await read(http))["header"]["masterId"]]

    ids, versions, current = run(app, talk)
    assert len({*ids, current}) == 4
    assert [current, *reversed(ids)] == [
        version["scriptId"] for version in versions[:4]
    ]
    assert ["CURR", "PREV", "PREV", "PREV", "PREV"] == [
        version["status"] for version in versions
    ]
    users = [version["modifyUser"] for version in versions]
    assert ("Ada Lovelace", "Studio Author", 1) == (
        users[0],
        users[-1],
        len(set(users[1:4])),
    )
    date = datetime.strptime(versions[1]["modifyDate"], "%m/%d/%Y %I:%M:%S %p").replace(
        tzinfo=UTC
    )
    assert clock.seconds - 60 == date.timestamp()


def test_a_save_with_an_old_master_id_replaces_a_newer_version() -> None:
    """The tenant does not compare: an edit of a person between read and save is lost, so a client
    must look again.
    """
    app = world()

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        body = with_block(await read(http), *LOST_CARD)
        app.state.save_script_by_person(
            PATH, "Ada Lovelace", lambda code: code + "// hers\r\n"
        )
        observed = code_of(await read(http))
        status = (await http.post(SCRIPTS, json=body)).status_code
        return ["// hers" in observed, status, "// hers" in code_of(await read(http))]

    assert [True, 200, False] == run(app, talk)


def test_warnings_save_and_errors_do_not() -> None:
    """206 for an unknown skill, in the block or outside it; 409 for invalid code, and nothing is
    stored.
    """
    app = world()

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        warned = await save(http, "ASSIGN cxr_skill = 4999")
        before = json.dumps(app.state.to_document())
        refused = await save(http, "CASE 1")
        return [
            warned,
            refused,
            before == json.dumps(app.state.to_document()),
            app.state.requests[-1].changed_state,
        ]

    warned, refused, is_unchanged, changed = run(app, talk)
    (result,), (error,) = warned.json()["results"], refused.json()["results"]
    assert (206, True, 409, False) == (
        warned.status_code,
        result["success"],
        refused.status_code,
        error["success"],
    )
    assert [{"key": "UnknownSkill (4999)"}] == result["error_code"]["details"][
        "actions"
    ]["2"]["warnings"]
    assert 1 == error["error_code"]["details"]["totalErrors"]
    assert (
        "line 5" in error["error_code"]["details"]["actions"]["2"]["errors"][0]["key"]
    )
    assert (True, False) == (is_unchanged, changed)


def test_a_comment_names_no_skill() -> None:
    """A disabled rule's lines are comments: an unknown skill in them causes no warning."""
    assert (
        200
        == run(
            world(), lambda http: save(http, "//- ASSIGN cxr_skill = 4999")
        ).status_code
    )


def test_a_save_under_a_new_name_makes_a_script() -> None:
    """The name, not the masterId, decides what is replaced."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        body = with_block(await read(http))
        body["scriptContent"]["header"]["scriptName"] = "Acme\\Other"
        await http.post(SCRIPTS, json=body)
        return [
            len(await history(http)),
            (await http.get(SCRIPTS, params={"scriptPath": "Acme\\Other"})).status_code,
        ]

    assert [1, 200] == run(world(), talk)


def test_a_lock_belongs_to_one_access_key() -> None:
    """Its own key takes it again and releases it; another key is told the holder; a person's lock
    is as strong.
    """
    app = world()

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        await sign_in_as(http, "key-1")
        first = [(await lock(http, "true"))["errorState"] for _ in range(2)]
        holder = (await read(http))["header"]["lockInfo"]["lockedName"]
        await sign_in_as(http, "key-2")
        second = [await lock(http, "true"), await lock(http, "false")]
        await sign_in_as(http, "key-1")
        released = [
            (await lock(http, "false"))["errorState"],
            (await read(http))["header"]["lockInfo"]["lockedName"],
        ]
        app.state.lock_script(PATH, "Ada Lovelace")
        return [
            first,
            holder,
            second,
            released,
            (await lock(http, "true"))["errorMessage"],
        ]

    first, holder, second, released, message = run(app, talk)
    assert [False, False] == first
    assert [True, True] == [answer["errorState"] for answer in second]
    assert {f"The script is locked by {holder}"} == {
        answer["errorMessage"] for answer in second
    }
    assert [False, ""] == released
    assert "The script is locked by Ada Lovelace" == message


@pytest.mark.parametrize(("binds", "status"), [(False, 200), (True, 409)])
def test_whether_a_lock_binds_is_a_setting(binds: bool, status: int) -> None:  # noqa: FBT001 - a setting
    """Another user's save succeeds or is refused; a save keeps the lock, and its holder may
    save.
    """
    app = world(locks_bind=binds)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        await sign_in_as(http, "key-1")
        await lock(http, "true")
        own = (await save(http)).status_code
        await sign_in_as(http, "key-2")
        return [
            own,
            (await save(http)).status_code,
            (await read(http))["header"]["lockInfo"]["lockedName"] != "",
        ]

    assert [200, status, True] == run(app, talk)


def test_a_desktop_script_is_read_by_its_id_alone() -> None:
    """By its path it is an error 500; its history leads to the XML; it can be edited by a
    person.
    """
    state = TenantState(QUEUES)
    state.add_script(PATH, DESKTOP_SCRIPT)
    state.save_script_by_person(
        PATH, "Ada Lovelace", lambda text: text.replace("4001", "4002")
    )

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        (current, _) = await history(http)
        version = (await http.get(f"{SCRIPTS}/{current['scriptId']}")).json()
        return [
            (await http.get(SCRIPTS, params=ONE)).status_code,
            version["status"],
            version["scriptContent"],
        ]

    assert [500, "CURR", DESKTOP_SCRIPT.replace("4001", "4002")] == run(
        Simulator(state, SimulatorSettings()), talk
    )


def test_an_old_token_can_do_nothing() -> None:
    """After tokens.revoke() each call is 401, and nothing changes."""
    app = world()

    async def talk(http: httpx.AsyncClient) -> set[int]:
        body = with_block(await read(http), *LOST_CARD)
        app.tokens.revoke()
        answers = [
            await http.get(SCRIPTS, params=ONE),
            await http.post(SCRIPTS, json=body),
            await http.put(SCRIPTS, params={**ONE, "lockScript": "true"}),
            await http.get(f"{SCRIPTS}/historyByName", params=ONE),
        ]
        return {answer.status_code for answer in answers}

    assert {401} == run(app, talk)
    assert 1 == len(app.state.scripts)


def test_reading_and_writing_need_their_scopes() -> None:
    """routing:read for GET, routing:write for POST and PUT."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        answers = [
            await http.get(SCRIPTS, params=ONE),
            await http.post(SCRIPTS, json={}),
            await http.put(SCRIPTS, params={**ONE, "lockScript": "true"}),
        ]
        return [answer.status_code for answer in answers]

    assert [200, 403, 403] == run(world(scopes=frozenset({"routing:read"})), talk)
    assert [403, 400, 200] == run(world(scopes=frozenset({"routing:write"})), talk)


HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"scriptContent": 1}',
    b'{"scriptContent": {"header": {"scriptName": "x"}, "actions": [], "properties": {}, "branches": {}}}',
    b'{"scriptContent": {"header": {"scriptName": 1}, "actions": {}, "properties": {}, "branches": {}}}',
    b'{"scriptContent": {"header": {"scriptName": "\\ud800"}, "actions": {}, "properties": {}, "branches": {}}}',
    b'{"scriptContent": {"header": NaN}}',
    b'{"scriptContent": ' + b"[" * 100_000,
]


@each_case("sent", HOSTILE)
def test_a_hostile_body_is_refused(sent: bytes) -> None:
    """It is 400, and nothing changes."""
    app = world()
    headers = {"Content-Type": "application/json"}
    answer = run(app, lambda http: http.post(SCRIPTS, content=sent, headers=headers))
    assert (400, 1) == (answer.status_code, len(app.state.scripts))
    assert answer.json()["errors"][0]["message"]


@pytest.mark.slow
def test_a_script_may_be_eight_megabytes_long() -> None:
    """More is 413; a rule is still limited to 1 MB."""

    async def talk(http: httpx.AsyncClient) -> list[int]:
        script = await read(http)
        comments = ["//" + "x" * size for size in (8_000_000, 9_000_000)]
        bodies = [
            with_code(script, lambda _: f"a = 1\n{comment}")  # noqa: B023 - called at once
            for comment in comments
        ]
        return [(await http.post(SCRIPTS, json=body)).status_code for body in bodies]

    assert [200, 413] == run(world(), talk)


ODD = strategies.recursive(
    strategies.none()
    | strategies.integers()
    | strategies.text(max_size=5)
    | strategies.just('a = 1\nb = "'),
    lambda inner: (
        strategies.lists(inner, max_size=2)
        | strategies.dictionaries(strategies.text(max_size=3), inner)
    ),
    max_leaves=6,
)
PARTS = strategies.dictionaries(
    strategies.sampled_from(["1", "2"]),
    ODD
    | strategies.fixed_dictionaries({"actionType": strategies.just("SNIPPET") | ODD})
    | strategies.dictionaries(
        strategies.just("0"), strategies.fixed_dictionaries({"value": ODD})
    ),
)


@pytest.mark.generated
@given(actions=PARTS | ODD, properties=PARTS | ODD, header=ODD)
@settings(max_examples=size(fast=12, slow=60, full=1000), deadline=None)
def test_any_script_is_stored_or_refused(
    actions: Any, properties: Any, header: Any
) -> None:
    """Nothing is raised by the save, a read, a contact and the history; what is stored is
    served.
    """
    app = world()
    header = {"scriptName": PATH, "odd": header}
    content = {
        "header": header,
        "actions": actions,
        "properties": properties,
        "branches": {},
    }

    async def talk(http: httpx.AsyncClient) -> list[int]:
        answers = [
            await http.post(SCRIPTS, json={"scriptContent": content}),
            await http.get(SCRIPTS, params=ONE),
            await http.post(SIGNAL.format("c1"), params={"p1": "x"}),
            await http.get(f"{SCRIPTS}/historyByName", params=ONE),
        ]
        if answers[0].status_code < 300:
            assert {**answers[1].json(), "header": 0} == {**content, "header": 0}
        return [answer.status_code for answer in answers]

    status, *remaining_items = run(app, talk)
    assert (status in (200, 206, 400, 409), [200, 204, 200]) == (True, remaining_items)


@each_case(
    "intent, confidence, skill, rule",
    [
        ("lost_card", "0.92", "4002", "fraud/lost"),
        ("LOST_CARD", "0.7", "4002", "fraud/lost"),
        ("lost_card", "0.69", "4001", ""),
        ("lost_card", "", "4001", ""),
        ("billing", "1", "4001", ""),
    ],
)
def test_a_signal_runs_the_script(
    intent: str, confidence: str, skill: str, rule: str
) -> None:
    """The conversation's context then has the skill and the rule, and a request for the context
    shows them.
    """
    app = world()

    async def talk(http: httpx.AsyncClient) -> Any:
        await save(http, *LOST_CARD)
        query = {
            "p1": "cxroute",
            "p7": intent,
            "p8": confidence,
            "p9": "2026-02-01T09:00:00Z",
        }
        assert (
            204
            == (
                await http.post(SIGNAL.format("468137592041"), params=query)
            ).status_code
        )
        return (
            await http.post(CONTEXT.format("468137592041"), json={"attributes": {}})
        ).json()["attributes"]

    attributes = run(app, talk)
    assert (skill, rule, intent) == (
        attributes["skillId"],
        attributes["cxrRule"],
        attributes["p7"],
    )
    assert attributes == app.state.contexts["468137592041"]


def test_custom_fields_and_contexts_run_the_script_too() -> None:
    """Their names are the script's variables; the dialect is a setting; later values join the
    earlier ones.
    """
    switches: dict[str, Any] = {
        "custom_fields": ("cognigyDetectedIntent", "cognigyConfidence"),
        "studio_dialect": SimDialect(case_sensitive=True),
    }
    app = world(**switches)

    async def talk(http: httpx.AsyncClient) -> list[str]:
        await save(http, *LOST_CARD)
        fields = [{"ident": "cognigyDetectedIntent", "value": "lost_card"}]
        await http.put("/dfo/3.0/contacts/c1/custom-fields", json=fields)
        rules = [app.state.contexts["c1"]["cxrRule"]]
        for attributes in (
            {"cognigyConfidence": 0.9},
            {"cognigyDetectedIntent": "Lost_Card"},
        ):
            await http.post(CONTEXT.format("c1"), json={"attributes": attributes})
            rules.append(app.state.contexts["c1"]["cxrRule"])
        return rules

    assert ["", "fraud/lost", ""] == run(app, talk)


def test_numbers_of_any_size_reach_the_script() -> None:
    """The longest integer that JSON may have here, and numbers near the end of the range of
    floats.
    """
    app = world()

    async def talk(http: httpx.AsyncClient) -> list[int]:
        await save(http, *LOST_CARD)
        values = [int("9" * 4_300), 1e308, -5e-324, True, None]
        bodies = [
            {"attributes": {"cognigyConfidence": value, "other": value}}
            for value in values
        ]
        return [
            (await http.post(CONTEXT.format("9" * 128), json=body)).status_code
            for body in bodies
        ]

    assert [200] * 5 == run(app, talk)


def test_a_tenant_without_a_script_stores_signals_alone() -> None:
    """Neither does a Desktop script run."""
    state = TenantState(QUEUES)
    state.add_script(PATH, DESKTOP_SCRIPT)
    run(
        Simulator(state, SimulatorSettings()),
        lambda http: http.post(SIGNAL.format("c1"), params={"p1": "x"}),
    )
    assert {"c1": {"p1": "x"}} == state.contexts


def test_a_split_by_contact_id_is_exact() -> None:
    """Of a hundred contacts in a row, twenty get the fifth part."""
    state = TenantState(QUEUES)
    state.add_script(PATH)
    split = "IF ( ContactID % 100 ) < 20\r\n{\r\nASSIGN cxr_skill = 4002\r\n}\r\n// cxroute:end"
    state.save_script_by_person(
        PATH, "Ada Lovelace", lambda code: code.replace("// cxroute:end", split)
    )
    skills = [
        run_script(state, SimulatorSettings(), f"{468137592041 + n}", {})["skillId"]
        for n in range(100)
    ]
    assert (20, 80) == (skills.count("4002"), skills.count("4001"))


FAULTS = [
    ("POST script:reset@#1", httpx.ReadError, 1),
    ("POST script:reset-applied@#1", httpx.ReadError, 2),
    ("POST script:timeout-applied@#1", httpx.ReadTimeout, 2),
    ("POST script:503@#1", 503, 1),
    ("POST script:500-applied@#1", 500, 2),
    ("POST script:cut@#1", httpx.RemoteProtocolError, 2),
    ("POST script:half@#1", 200, 2),
    ("POST script:html@#1", 200, 1),
    ("POST script:empty@#1", 200, 1),
    ("POST script:late=2@#1", httpx.ReadTimeout, 1),
    ("POST rule:500", 200, 2),
]


@each_case("spec, outcome, versions", FAULTS)
def test_faults_of_saves(spec: str, outcome: Any, versions: int) -> None:
    """A save is lost before or after it is stored, answered with an error, or cut."""
    app = world(spec)

    async def talk(http: httpx.AsyncClient) -> list[Any]:
        try:
            answer: Any = (await save(http)).status_code
        except httpx.TransportError as error:
            answer = type(error)
        return [answer, len(await history(http))]

    assert [outcome, versions] == run(app, talk)


@pytest.mark.parametrize("call", ["GET", "PUT"])
def test_faults_of_reads_and_locks(call: str) -> None:
    """Each call of the Scripts API is a `script`: reading, history, versions, locks."""
    app = world(f"{call} script:503")

    async def talk(http: httpx.AsyncClient) -> set[int]:
        identity = app.state.current_script(PATH)
        calls = {
            "GET": [
                (SCRIPTS, ONE),
                (f"{SCRIPTS}/historyByName", ONE),
                (f"{SCRIPTS}/{identity}", {}),
            ],
            "PUT": [(SCRIPTS, {**ONE, "lockScript": "true"})],
        }
        return {
            (await http.request(call, path, params=query)).status_code
            for path, query in calls[call]
        }

    assert {503} == run(app, talk)
    assert {} == app.state.scripts[app.state.current_script(PATH)]["lock"]


def test_scripts_and_locks_survive_a_kill_and_a_restart(tmp_path: Path) -> None:
    """The file has every save and lock before it is acknowledged."""
    path = tmp_path / "state.json"
    state = TenantState.load(path, initial=TenantState(QUEUES))
    state.add_script(PATH, block="acme-routing/cards")
    app = Simulator(state, SimulatorSettings())
    run(app, lambda http: save(http, *LOST_CARD))
    state.lock_script(PATH, "Ada Lovelace", 0.0)
    expected = json.loads(json.dumps(state.scripts))
    state.close()
    for _ in range(2):
        with TenantState.load(path) as restarted:
            assert expected == restarted.scripts
            content = restarted.scripts[restarted.current_script(PATH)]["content"]
            assert "// cxroute:begin acme-routing/cards" in code_of(content)
            assert list(expected) == list(restarted.scripts)


def test_a_state_file_without_scripts_is_read(tmp_path: Path) -> None:
    """Files of earlier versions have no scripts; a broken part is a clear error."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"queues": QUEUES, "rules": [], "contexts": {}}))
    with TenantState.load(path) as state:
        assert {} == state.scripts
    path.write_text('{"scripts": {"71": []}}')
    with pytest.raises(StateError, match="scripts must be an object of objects"):
        TenantState.load(path)


def test_two_saves_at_one_time_are_two_versions() -> None:
    """The tenant stores both; the later one runs."""
    app = world()

    async def talk() -> None:
        async with httpx.AsyncClient(
            transport=SimulatorTransport(app), base_url="http://localhost"
        ) as http:
            await sign_in_as(http, "key-1")
            script = await read(http)
            bodies = [
                with_block(script, f'ASSIGN cxr_rule = "{name}"') for name in ("a", "b")
            ]
            await asyncio.gather(*(http.post(SCRIPTS, json=body) for body in bodies))
            assert 3 == len(await history(http))

    asyncio.run(talk())
    assert run_script(app.state, SimulatorSettings(), "1", {})["cxrRule"] in ("a", "b")
