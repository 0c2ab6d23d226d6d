"""A script that follows the printed recipe sends contacts where `cxroute explain` says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from reconciler.cli.hooks import open_sandbox_tables
from reconciler.features.endpoint.auth import ApiKeys, SignatureVerifier
from reconciler.features.endpoint.decide.exchange import (
    ExchangeAnswer,
    PayloadNames,
    parse_exchange,
    return_control,
)
from reconciler.features.endpoint.decide.service import (
    DECIDE_PATH,
    EXCHANGE_PATH,
    SHADOW_PATH,
    DecisionService,
    RouteKeys,
    ServiceSurroundings,
)
from tests.features.endpoint.in_process_endpoint import Endpoint
from tests.support.program import Program, write
from tests.support.script_engine import RecipeScript, RoutedContact
from tests.tiers import size

URL: Final = "https://routing.acme.example"
ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
api:
  rules: served
  served:
    url: "https://routing.acme.example/"
    as: name
    variables: {intent: bot_intent, customerTier: tier}
context: {minConfidence: 0.3, below: {intent: none}}
---
apiVersion: routing/v1
kind: Attributes
name: crm
attributes:
  age: {type: number, writtenBy: the script}
  customerTier: {writtenBy: the script}
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost, fee, card, none]
---
"""
INTENTS: Final = ("lost", "fee", "card", "small_talk", "")
CONFIDENCES: Final = ("", "0", "0.3", "0.5", "0.95", "1")
TIERS: Final = ("", "gold", "silver", "7", "Gold")
AGES: Final = ("", "17", "18", "66.5", "old")
QUEUES: Final = ("Fraud", "Billing", "Cards", "General")


def rule(random: Random, key: str) -> dict[str, Any]:
    """Return a random rule of a manifest; one of five is a split."""
    when: list[dict[str, Any]] = []
    if random.random() < 0.5:
        tier = random.choice(TIERS[1:])
        operator = random.choice(("equals", "notEquals", "contains", "startsWith"))
        when.append({"attribute": "customerTier", operator: tier})
    if random.random() < 0.4:
        operator = random.choice(("greaterThanOrEqual", "lessThan"))
        when.append({"attribute": "age", operator: random.choice((17, 18, 60))})
    if random.random() < 0.2:
        operator = random.choice(("exists", "notExists"))
        when.append(
            {"attribute": random.choice(("age", "customerTier")), operator: True}
        )
    found: dict[str, Any] = {
        "key": key,
        "priority": random.randint(1, 1000),
        "when": when,
    }
    if random.random() < 0.7:
        found["intents"] = random.sample(("lost", "fee", "card", "none"), 2)
    if random.random() < 0.3:
        found["minConfidence"] = random.choice((0.3, 0.5, 0.9))
    queues = random.sample(QUEUES, 2)
    if random.random() < 0.2:
        found["targets"] = [{"queue": name, "weight": 50} for name in queues]
    else:
        found["queue"] = queues[0]
    return found


def project(random: Random) -> None:
    """Write manifests with random rules, none of which takes every conversation."""
    rules = [rule(random, f"r{number}") for number in range(6)]
    head = {"apiVersion": "routing/v1", "kind": "RuleSet", "name": "cards"}
    kept = [each for each in rules if each["when"] or "intents" in each]
    write("project.yaml", ENVIRONMENT + json.dumps({**head, "rules": kept}))


def contact(random: Random) -> dict[str, str]:
    """Return the variables that a script has from the bot and the CRM: texts."""
    return {
        "bot_intent": random.choice(INTENTS),
        "confidence": random.choice(CONFIDENCES),
        "tier": random.choice(TIERS),
        "age": random.choice(AGES),
    }


def explained(program: Program, variables: dict[str, str]) -> set[str]:
    """Return the queues to which `explain` says that a contact goes; DEFAULT without a rule."""
    options = {"bot_intent": "--intent", "confidence": "--confidence"}
    command = ["explain", "-e", "sandbox"]
    for name, value in variables.items():
        if value and name in options:
            command += [options[name], value]
    if variables["tier"]:
        command += ["--attr", f"customerTier={json.dumps(variables['tier'])}"]
    if variables["age"]:
        command += ["--attr", f"age={variables['age']}"]
    if command[-2:] == ["-e", "sandbox"]:
        command += ["--attr", "nothing=1"]
    code, form = program.json(*command)
    assert code == 0, program.err
    destination = form["destination"]
    if not destination or "queues" not in destination:
        return {"DEFAULT"}
    return {queue["queueName"] for queue in destination["queues"]}


class ServedScript:
    """A script by the printed recipe, and the decision service that it asks."""

    def __init__(self, program: Program, time_outs: int = 0) -> None:
        assert program("studio", "recipe", "--decide", "-e", "sandbox") == 0
        self.recipe = program.out
        keys = RouteKeys(ApiKeys(()), ApiKeys(()), ApiKeys(()), SignatureVerifier(()))
        self.service = DecisionService(
            open_sandbox_tables(), keys, ServiceSurroundings(clock=lambda: 0.0)
        )
        self._endpoint = Endpoint(keys=(), decisions=self.service)
        self.time_outs = time_outs
        self.script = RecipeScript(self.recipe, "DEFAULT", self.post)

    async def post(self, url: str, body: bytes) -> bytes:
        """Answer a call of the script, after some that take too long."""
        if self.time_outs:
            self.time_outs -= 1
            raise TimeoutError
        headers = ((b"content-type", b"application/json"),)
        path = urlsplit(url).path
        reply = await self._endpoint.request("POST", path, body, headers)
        assert reply.status == 200, reply.body
        return reply.body


def applied(program: Program) -> None:
    assert program("apply", "-e", "sandbox", "--yes") == 0, program.out + program.err


def test_contacts_go_where_explain_says(cxroute: Program) -> None:
    """By both actions, with random rules, a fallback, splits, and numbers that are texts."""
    random = Random(71)
    number = 0
    skills = set()
    for _project in range(size(fast=3, slow=20)):
        Path(".cxroute/sandbox.json").unlink(missing_ok=True)
        project(random)
        applied(cxroute)
        served = ServedScript(cxroute)
        for _contact in range(size(fast=20, slow=50)):
            number += 1
            variables = contact(random)
            expected = explained(cxroute, variables)
            routed = asyncio.run(served.script.by_exchange(number, {**variables}))
            assert routed.skill in expected, variables
            assert routed == RoutedContact(routed.skill, "ReturnControlToScript", 1)
            by_rest = asyncio.run(served.script.by_rest(number, {**variables}))
            assert by_rest.skill == routed.skill, variables
            skills.add(routed.skill)
    assert skills == {*QUEUES, "DEFAULT"}


@pytest.mark.parametrize("time_outs", [1, 2, 3])
def test_the_error_branch_comes_after_three_time_outs(
    cxroute: Program, time_outs: int
) -> None:
    """Before the third, a retry finds the skill; after it the default skill stays."""
    write("project.yaml", ENVIRONMENT + RULES)
    applied(cxroute)
    served = ServedScript(cxroute, time_outs)
    variables = {"bot_intent": "lost", "confidence": "0.9", "tier": "", "age": ""}
    routed = asyncio.run(served.script.by_exchange(1, variables))
    expected = RoutedContact("Fraud", "ReturnControlToScript", time_outs + 1)
    if time_outs == 3:
        expected = RoutedContact("DEFAULT", "Error", 3)
    assert routed == expected


RULES: Final = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost, queue: Fraud, priority: 10}
"""


def test_an_earlier_answer_does_not_stay(cxroute: Program) -> None:
    """A second exchange of the contact finds no rule, or fails: the default skill is back."""
    write("project.yaml", ENVIRONMENT + RULES)
    applied(cxroute)
    served = ServedScript(cxroute)
    variables = {"bot_intent": "lost", "confidence": "0.9", "script_skill": "Billing"}
    routed = asyncio.run(served.script.by_exchange(1, variables))
    assert (routed.skill, variables["cxr_rule"]) == ("Fraud", "cards/lost")
    assert served.service.shadow.disagreements == 1
    for change in ({"bot_intent": "fee"}, {"confidence": "sure"}):
        later = asyncio.run(served.script.by_exchange(1, {**variables, **change}))
        assert later.skill == "DEFAULT", change
        later = asyncio.run(served.script.by_rest(1, {**variables, **change}))
        assert later.skill == "DEFAULT", change


def test_the_recipe_has_the_names_of_the_service(cxroute: Program) -> None:
    """Its routes, the variables of answers, and the names that an exchange is read by."""
    write(
        "project.yaml",
        ENVIRONMENT
        + RULES.replace("}", ", when: [{attribute: customerTier, equals: gold}]}"),
    )
    applied(cxroute)
    served = ServedScript(cxroute)
    for path in (EXCHANGE_PATH, DECIDE_PATH):
        assert f"POST {URL}{path}" in served.recipe
    assert f"GET {SHADOW_PATH}" in served.recipe
    publication = asyncio.run(open_sandbox_tables().current())
    assert publication is not None
    names = PayloadNames(publication.table.settings)
    payload = {"bot_intent": "lost", "confidence": "0.9", "tier": "gold"}
    body = json.dumps({"customPayload": {**payload, "script_skill": "Fraud"}})
    request = parse_exchange(body.encode(), names)
    assert request.question.chosen == "Fraud"
    assert request.question.attributes["customerTier"] == "gold"
    for name in (*payload, "script_skill"):
        assert f'ASSIGN customPayload.{name} = "{{{name}}}"' in served.recipe
    answer = ExchangeAnswer("a/b", "4001", "Fraud", "unsure", "d")
    for name in return_control(request, answer)["customPayload"]:
        assert name in served.recipe
