"""Random manifests with a fallback of the endpoint, and the context of an event by the
specification.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.rule import to_api_json

INTENT = "cognigyDetectedIntent"
CONFIDENCE = "cognigyConfidence"
INTENTS = ("billing", "refund", "greeting", "none", "Refund", "small talk")
BOUNDS = (0, 0.35, 0.5, 0.75, 1)


def a_rule(random: Random, key: str) -> dict[str, Any]:
    """Return a rule of a manifest."""
    rule: dict[str, Any] = {
        "key": key,
        "name": key,
        "queue": random.choice("ABC"),
        "priority": random.randint(1, 10_000),
    }
    kind = random.random()
    if kind < 0.4:
        rule["intent"] = random.choice(INTENTS)
    elif kind < 0.6:
        rule["intents"] = random.sample(INTENTS, 2)
    elif kind < 0.85:
        operator = random.choice(
            ("exists", "notExists", "startsWith", "notIn", "notEquals", "contains")
        )
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
    """Return an Environment with a fallback, Intents, and rules; the address of the tenant is to be
    filled in.
    """
    context = {
        "minConfidence": random.choice(BOUNDS),
        "below": {"intent": random.choice(INTENTS)},
    }
    environment = "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\n"
    environment += 'api: {{baseUrl: "{url}", requestsPerSecond: 20000}}\n'
    environment += f"context: {doubled(context if random.random() < 0.85 else {})}\n"
    rules = [a_rule(random, f"k{number}") for number in range(random.randint(2, 8))]
    ruleset = f"---\napiVersion: routing/v1\nkind: RuleSet\nname: set\nrules: {doubled(rules)}\n"
    declared = random.sample(INTENTS, random.choice((0, 2, 4)))
    intents = (
        f"---\napiVersion: routing/v1\nkind: Intents\nname: bot\nintents: {doubled(declared)}\n"
        if declared
        else ""
    )
    return environment + ruleset + intents


def doubled(value: Any) -> str:
    return json.dumps(value).replace("{", "{{").replace("}", "}}")


def context_of(
    event: dict[str, Any], environment: Any, known: set[str]
) -> dict[str, Any]:
    """Return what the rules read after an event, by the specification of the endpoint."""
    intent = event["intent"]
    confidence = event.get("confidence")
    context = environment.context
    if context.below is not None:
        unsure = confidence is None or confidence < (context.min_confidence or 0)
        intent = (
            context.below.intent
            if unsure or (known and intent not in known)
            else intent
        )
    attributes = {INTENT: intent, CONFIDENCE: confidence}
    return {name: value for name, value in attributes.items() if value is not None}


def rules_of(desired: DesiredState) -> list[dict[str, Any]]:
    """Return the desired rules in the API's form; their ids are the addresses."""
    return [
        {
            "id": str(address),
            "name": rule.rule.name,
            "priority": rule.rule.priority,
            "enabled": rule.rule.enabled,
            "conditions": [to_api_json(part) for part in rule.rule.conditions],
            "targets": [to_api_json(part) for part in rule.rule.targets],
        }
        for address, rule in desired.rules.items()
    ]
