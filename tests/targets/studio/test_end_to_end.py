"""From the bot to the skill, over sockets: Cognigy's Code node, `cxroute serve`, a signal, and the
script's block.

The tenant and the endpoint are processes, plan and apply are commands with an access key, Node.js
runs the Code node, and the simulated script runs the block with the simulator's own evaluator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from reconciler.features.cognigy.command import code
from tests.features.endpoint.processes import caller, contexts
from tests.support import canary_secrets as canary
from tests.support.code_node import run_code_node
from tests.support.command import run_command
from tests.support.plain_http import PLAIN
from tests.support.server_process import server_environment, server_process

pytestmark = pytest.mark.slow

MANIFESTS: Final = """
apiVersion: routing/v1
kind: Environment
name: studio
owner: acme
tenant: acme
api:
  baseUrl: "{url}"
  issuer: "{url}"
  auth: access-key
  queues: acd-skills
  rules: studio
  studio: {{script: 'Bot\\Hand-over', block: main}}
context: {{writer: voice-signal, minConfidence: 0.4, below: {{intent: none}}}}
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost_card, stolen_card, limit, transfer, none]
---
apiVersion: routing/v1
kind: Attributes
name: more
attributes: {{tier: {{values: [gold, basic]}}, amount: {{type: number}}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
- {{key: gold, when: [{{attribute: tier, equals: gold}}], queue: Gold-Desk, priority: 5}}
- {{key: lost, intents: [lost_card, stolen_card], minConfidence: 0.8, queue: Fraud-Desk, priority: 10}}
- {{key: unsure, intents: [lost_card, stolen_card], queue: Card-Services, priority: 20}}
- key: large
  name: Large transfers
  intent: transfer
  when: [{{attribute: amount, greaterThanOrEqual: 1000}}]
  queue: Fraud-Desk
  priority: 30
- {{key: transfer, intent: transfer, queue: Card-Services, priority: 40}}
- {{key: old, intent: limit, queue: Gold-Desk, priority: 50, enabled: false}}
- {{key: none, intent: none, queue: General, priority: 60}}
"""
SCRIPTS: Final = "/inContactAPI/services/v34.0/scripts"
SKILLS: Final = "/inContactAPI/services/v30.0/skills"


class Caller(NamedTuple):
    """What the bot understood, and what the script knows already; and the rule, as the manifests
    are meant.
    """

    bot: dict[str, Any]
    attributes: dict[str, str | float]
    rule: str


CALLERS: Final = [
    Caller({"intent": "lost_card", "intentScore": 0.93}, {}, "cards/lost"),
    Caller({"intent": "stolen_card", "intentScore": 0.8}, {}, "cards/lost"),
    Caller({"intent": "lost_card", "intentScore": 0.79}, {}, "cards/unsure"),
    Caller({"intent": "lost_card", "intentScore": 0.4}, {}, "cards/unsure"),
    # below minConfidence
    Caller({"intent": "lost_card", "intentScore": 0.39}, {}, "cards/none"),
    Caller({"intent": "lost_card", "intentScore": None}, {}, "cards/none"),
    Caller({"intent": None, "intentScore": None}, {}, "cards/none"),
    Caller({"intent": "transfer", "intentScore": 0.9}, {}, "cards/transfer"),
    Caller({"intent": "transfer", "intentScore": 0.9}, {"amount": 1000}, "cards/large"),
    Caller(
        {"intent": "transfer", "intentScore": 0.9}, {"amount": 999.99}, "cards/transfer"
    ),
    Caller(
        {"intent": "transfer", "intentScore": 1},
        {"amount": 5000, "tier": "basic"},
        "cards/large",
    ),
    Caller({"intent": "limit", "intentScore": 0.95}, {}, ""),  # its rule is disabled
    Caller({"intent": "limit", "intentScore": 0.95}, {"tier": "gold"}, "cards/gold"),
    Caller({"intent": "nobody knows", "intentScore": 0.99}, {}, "cards/none"),
]


class Talk(NamedTuple):
    """What happened to a caller: the names of the rule and queues that `explain` gives, offline and
    live.
    """

    contact: str
    explained: list[dict[str, Any]]


class Tenant(NamedTuple):
    """The end: the contacts' attributes, the names of the skills, the next plan, the script, and
    the talks.
    """

    contexts: dict[str, Any]
    skills: dict[str, str]
    plan: dict[str, Any]
    script: dict[str, Any]
    talks: list[Talk]


def command(folder: Path, *words: str) -> str:
    """Return the output of a command that succeeds."""
    ended = run_command(*words, "-e", "studio", cwd=folder, env=server_environment())
    assert 0 == ended.returncode, ended.stderr + ended.stdout
    return str(ended.stdout)


@contextmanager
def client(url: str) -> Iterator[httpx.Client]:
    """Yield a client of the tenant with a token."""
    with httpx.Client(base_url=url, trust_env=False, verify=PLAIN, timeout=20) as http:
        key = {"accessKeyId": canary.KEY, "accessKeySecret": canary.KEY_SECRET}
        token = http.post("/authentication/v1/token/access-key", json=key).json()[
            "access_token"
        ]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def talk(
    folder: Path, given: Caller, contact: str, http: httpx.Client, bot: httpx.Client
) -> Talk:
    """Have a bot hand over a contact, and ask `explain`, offline and live."""
    if given.attributes:
        context = f"/api/v2/interactions/interactions/{contact}/context"
        assert (
            200 == http.post(context, json={"attributes": given.attributes}).status_code
        )
    event = run_code_node(
        code("input.sessionId", "none"), {"sessionId": contact, **given.bot}
    )
    assert 200 == bot.post("/api/route", json=event).status_code
    words = [f"--attr={name}={value}" for name, value in given.attributes.items()]
    words += (
        []
        if event["confidence"] is None
        else ["--confidence", str(event["confidence"])]
    )
    requested = ["explain", "--intent", event["intent"], *words, "--format", "json"]
    return Talk(
        contact,
        [json.loads(command(folder, *requested, *live)) for live in ([], ["--live"])],
    )


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """A tenant that got the rules as a saved plan, after all talks with an endpoint in front of
    it.
    """
    folder = tmp_path_factory.mktemp("studio")
    file = folder / "manifests" / "all.yaml"
    file.parent.mkdir()
    file.write_text(MANIFESTS.format(url="http://127.0.0.1:9"), encoding="utf-8")
    with ExitStack() as stack:
        words = ("simulate", "--as", "studio", "--port", "0", "--state", "state.json")
        _, url = stack.enter_context(server_process(folder, *words))
        file.write_text(MANIFESTS.format(url=url), encoding="utf-8")
        command(folder, "plan", "--out", "plan.json")
        command(folder, "apply", "plan.json", "--yes")
        _, endpoint = stack.enter_context(
            server_process(folder, "serve", "-e", "studio", "--port", "0")
        )
        http = stack.enter_context(client(url))
        bot = stack.enter_context(caller(endpoint))
        talks = [
            talk(folder, each, f"81000000{place:02}", http, bot)
            for place, each in enumerate(CALLERS)
        ]
        skills = {
            str(skill["skillId"]): skill["skillName"]
            for skill in http.get(SKILLS).json()["skills"]
        }
        script = http.get(SCRIPTS, params={"scriptPath": "Bot\\Hand-over"}).json()
        plan = json.loads(command(folder, "plan", "--format", "json"))
    return Tenant(contexts(folder), skills, plan, script, talks)


@pytest.mark.parametrize("number", range(len(CALLERS)))
def test_a_caller_reaches_the_skill_that_explain_names(
    tenant: Tenant, number: int
) -> None:
    """Low or no confidence, an unknown intent, attributes: the script and `explain` choose rule and
    queue alike.
    """
    expected, (contact, explained) = CALLERS[number].rule, tenant.talks[number]
    attributes = tenant.contexts[contact]
    assert expected == attributes["cxrRule"]
    assert [expected] * 2 == [document["winner"] or "" for document in explained]
    skill = (
        {"queues": [tenant.skills[attributes["skillId"]]]}
        if expected
        else {"default": True}
    )
    assert [skill] * 2 == [
        _destination(document["destination"]) for document in explained
    ]


def _destination(form: dict[str, Any]) -> dict[str, Any]:
    return (
        {"queues": [queue["queueName"] for queue in form["queues"]]}
        if "queues" in form
        else form
    )


def test_the_next_plan_is_empty_and_the_block_is_in_the_script(tenant: Tenant) -> None:
    """After the apply nothing differs; the disabled rule is a comment, and the lock is free."""
    assert {0} == {
        tenant.plan["summary"][kind] for kind in ("create", "update", "delete")
    }
    assert "" == tenant.script["header"]["lockInfo"]["lockedName"]
    values = (
        item["value"]
        for item in tenant.script["properties"]["2"].values()
        if isinstance(item.get("value"), str)
    )
    (text,) = (value for value in values if "cxroute:begin" in value)
    assert 7 == text.count("// cxroute:rule cards/")
    assert "//- CASE" in text
