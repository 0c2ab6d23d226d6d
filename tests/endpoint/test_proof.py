"""The whole way: the running endpoint, `explain`, and a plain evaluation agree on the destination of an event."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.checks.explain import explain_event
from reconciler.desired.desired import desire_offline
from reconciler.manifest.load import load_manifests
from reconciler.model.rule import to_api_json
from reconciler.plan.routing_table import desired_entries
from tests.endpoint.processes import caller, served
from tests.support.brute_force import winner
from tests.tiers import FULL

CONFIGURATIONS = 25 if FULL else 4
EVENTS = 400
INTENT, CONFIDENCE = "cognigyDetectedIntent", "cognigyConfidence"
INTENTS = ("billing", "refund", "greeting", "none", "Refund", "small talk")
BOUNDS = (0, 0.35, 0.5, 0.75, 1)


def a_rule(random: Random, key: str) -> dict[str, Any]:
    """Return a rule of a manifest."""
    rule: dict[str, Any] = {"key": key, "name": key, "queue": random.choice("ABC"), "priority": random.randint(1, 6)}
    kind = random.random()
    if kind < 0.4:
        rule["intent"] = random.choice(INTENTS)
    elif kind < 0.6:
        rule["intents"] = random.sample(INTENTS, 2)
    elif kind < 0.85:
        operator = random.choice(("exists", "notExists", "startsWith", "notIn", "notEquals", "contains"))
        value: Any = True if "xists" in operator else random.choice(INTENTS)[:3]
        value = random.sample(INTENTS, 2) if operator == "notIn" else value
        rule["when"] = [{"attribute": INTENT, operator: value}]
    if random.random() < 0.4:
        rule["minConfidence"] = random.choice(BOUNDS)
    if random.random() < 0.2:
        rule["belowConfidence"] = random.choice(BOUNDS)
    if random.random() < 0.1:
        rule.setdefault("when", []).append({"attribute": CONFIDENCE, "notExists": True})
    if len(rule) == 4:
        rule["when"] = []  # a catch-all
    return rule


def manifests_of(random: Random) -> str:
    """Return an Environment with a fallback, Intents, and rules; the address of the tenant is to be filled in."""
    context = {"minConfidence": random.choice(BOUNDS), "below": {"intent": random.choice(INTENTS)}}
    environment = "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\n"
    environment += 'api: {{baseUrl: "{url}", requestsPerSecond: 20000}}\n'
    environment += f"context: {doubled(context if random.random() < 0.85 else {})}\n"
    rules = [a_rule(random, f"k{number}") for number in range(random.randint(2, 8))]
    ruleset = f"---\napiVersion: routing/v1\nkind: RuleSet\nname: set\nrules: {doubled(rules)}\n"
    known = random.sample(INTENTS, random.choice((0, 2, 4)))
    intents = f"---\napiVersion: routing/v1\nkind: Intents\nname: bot\nintents: {doubled(known)}\n" if known else ""
    return environment + ruleset + intents


def doubled(value: Any) -> str:
    return json.dumps(value).replace("{", "{{").replace("}", "}}")


def an_event(random: Random, number: int) -> dict[str, Any]:
    event: dict[str, Any] = {"conversationId": f"c-{number}", "intent": random.choice((*INTENTS, "unheard of"))}
    confidence = random.choice((*BOUNDS, 0.2, 0.4, 0.6, 0.9, None, ...))
    return event if confidence is ... else {**event, "confidence": confidence}


def context_of(event: dict[str, Any], environment: Any, known: set[str]) -> dict[str, Any]:
    """Return what the rules read after an event, by the specification of the endpoint."""
    intent, confidence, context = event["intent"], event.get("confidence"), environment.context
    if context.below is not None:
        unsure = confidence is None or confidence < (context.min_confidence or 0)
        intent = context.below.intent if unsure or (known and intent not in known) else intent
    attributes = {INTENT: intent, CONFIDENCE: confidence}
    return {name: value for name, value in attributes.items() if value is not None}


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_endpoint_explain_and_evaluation_agree(tmp_path: Path, seed: int) -> None:
    """Over HTTP with --explain, for events of every kind; each configuration applies its fallback to some of them."""
    random = Random(f"whole way {seed}")
    with served(tmp_path, serve=("--explain",), manifest=manifests_of(random)) as (_, url), caller(url) as http:
        manifests = load_manifests(tmp_path / "manifests")
        environment = manifests.environments["prod"].document
        desired, _ = desire_offline(manifests, environment)
        known = {name for loaded in manifests.intents for name in loaded.document.intents}
        entries = desired_entries(desired)
        rules = [
            {
                "id": str(address),
                "name": wanted.rule.name,
                "priority": wanted.rule.priority,
                "enabled": True,
                "conditions": [to_api_json(part) for part in wanted.rule.conditions],
                "targets": [to_api_json(part) for part in wanted.rule.targets],
            }
            for address, wanted in desired.rules.items()
        ]
        outcomes = Counter[str]()
        for number in range(EVENTS):
            event = an_event(random, number)
            reply = http.post("/api/route", json=event).json()
            expected = winner(rules, (context_of(event, environment, known), {}))
            attributes = {INTENT: event["intent"], CONFIDENCE: event.get("confidence")}
            explanation = explain_event(entries, attributes, desired.endpoint, environment)
            assert (expected and expected["id"]) == (explanation.winner and explanation.winner.name), event
            assert (expected and expected["id"]) == reply["route"]["rule"], (event, reply)
            assert explanation.fallback == reply.get("fallback"), (event, reply)
            outcomes[str(explanation.fallback)] += 1
    assert outcomes["None"] or environment.context.below, outcomes
