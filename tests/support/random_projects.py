"""Random manifests with rules that can be left out, and what they do to every event, by trying all.

The evaluation shares no code with the product, except the one that expands manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, Final

from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.rule import Rule, to_api_json
from tests.support.brute_force import Destination, Json, destination, matches

INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
INTENTS: Final = ("billing", "refund", "greeting", "none")
TIERS: Final = ("gold", "basic")
BOUNDS: Final = (0.3, 0.5, 0.8)
QUEUES: Final = ("A", "B", "C")
CONFIDENCES: Final = (0.1, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, None)


def events(confidences: Iterable[float | str | None]) -> tuple[dict[str, Any], ...]:
    """Return an event of each kind that the rules and fallbacks below can distinguish."""
    tiers = (*TIERS, "other", None)
    amounts = (5, 10, 15, "many", None)
    every = product((*INTENTS, "other", None), confidences, tiers, amounts)
    names = (INTENT, CONFIDENCE, "tier", "amount")
    return tuple(
        {
            name: value
            for name, value in zip(names, values, strict=True)
            if value is not None
        }
        for values in every
    )


SENT: Final = events(CONFIDENCES)
"""Events of a bot, whose confidence is a share."""
STORED: Final = events((*CONFIDENCES, -1, 2, "high"))
"""What else the context may have where no fallback of the endpoint is known."""


@dataclass(frozen=True)
class Fallback:
    """What the endpoint writes for an unknown or uncertain intent; None: each is written as it
    is.
    """

    intent: str | None
    min_confidence: float

    def context(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the rules read after an event."""
        if self.intent is None or INTENT not in event:
            return dict(event)
        confidence = event.get(CONFIDENCE)
        is_known = event[INTENT] in INTENTS
        if is_known and confidence is not None and confidence >= self.min_confidence:
            return dict(event)
        return {**event, INTENT: self.intent}


@dataclass(frozen=True)
class Project:
    """The text of manifests, and the fallback of each Environment."""

    text: str
    fallbacks: Mapping[str, Fallback]


def a_project(random: Random, most: int) -> Project:
    """Return one or two Environments and rules, with ties, shadows and promises."""
    names = ("prod", "staging")[: random.choice((1, 1, 2))]
    fallbacks = {name: _a_fallback(random) for name in names}
    evaluation = random.choice(("lowest-first",) * 3 + ("highest-first",))
    documents = [_environment(name, fallbacks[name], evaluation) for name in names]
    documents.append(
        "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: "
        f"{json.dumps(INTENTS)}\n"
    )
    rules = [
        _a_rule(random, f"rule-{n}", names) for n in range(random.randint(2, most))
    ]
    for rule in [rule for rule in rules if random.random() < 0.3]:
        rules.append(_planted(random, rule, f"rule-{len(rules)}"))
    default = random.choice(("", "defaults: {minConfidence: 0.5}\n"))
    text = f"apiVersion: routing/v1\nkind: RuleSet\nname: rules\n{default}rules:\n"
    documents.append(text + "".join(_rule_text(random, rule) for rule in rules))
    if random.random() < 0.3:
        documents.append(_a_promise(random, len(rules)))
    return Project("---\n".join(documents), fallbacks)


def _a_fallback(random: Random) -> Fallback:
    if random.random() < 0.4:
        return Fallback(None, 0)
    return Fallback(random.choice(("none", "greeting")), random.choice((0.3, 0.5)))


def _environment(name: str, fallback: Fallback, evaluation: str) -> str:
    fields: dict[str, Any] = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": name,
        "owner": "acme",
        "tenant": f"acme-{name}",
        "api": {"evaluation": evaluation},
        "vars": {"second": "B" if name == "prod" else "C"},
    }
    if fallback.intent is not None:
        fields["context"] = {
            "minConfidence": fallback.min_confidence,
            "below": {"intent": fallback.intent},
        }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items())


def _a_rule(random: Random, key: str, names: Sequence[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "key": key,
        "queue": random.choice((*QUEUES, "${second}")),
        "priority": random.choice((10, 20, 20, 30, 40)),
    }
    kind = random.random()
    if kind < 0.45:
        rule["intent"] = random.choice(INTENTS)
    elif kind < 0.7:
        rule["intents"] = random.sample(INTENTS, 2)
    if random.random() < 0.3:
        rule["minConfidence"] = random.choice(BOUNDS)
    elif random.random() < 0.2:
        rule["belowConfidence"] = random.choice(BOUNDS)
    rule["when"] = [
        condition
        for condition in (_on_tier(random), _on_amount(random))
        if random.random() < 0.35
    ]
    if len(names) > 1 and random.random() < 0.2:
        rule["environments"] = [random.choice(names)]
    return rule


def _on_tier(random: Random) -> dict[str, Any]:
    operator = random.choice(("in", "in", "notIn", "equals", "notEquals", "exists"))
    value: Any = random.choice(TIERS)
    if operator in ("in", "notIn"):
        value = random.sample(TIERS, random.choice((1, 2)))
    return {"attribute": "tier", operator: True if operator == "exists" else value}


def _on_amount(random: Random) -> dict[str, Any]:
    operator = random.choice(("greaterThanOrEqual", "lessThan", "greaterThan"))
    return {"attribute": "amount", operator: 10}


def _planted(random: Random, rule: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a rule like another one: often it never takes a conversation, or could be joined."""
    planted = {**rule, "key": key, "priority": random.choice((20, 30, 40, 50))}
    if random.random() < 0.5:
        planted["when"] = [*rule["when"], _on_tier(random)]
    if "intent" in rule and random.random() < 0.5:
        planted["intent"] = random.choice(INTENTS)
    if random.random() < 0.3:
        planted["queue"] = random.choice(QUEUES)
    return planted


def _rule_text(random: Random, rule: Mapping[str, Any]) -> str:
    """Return a rule as an item of a list, in a block or in brackets, sometimes with a comment."""
    fields = dict(rule)
    if not fields["when"] and ("intent" in fields or "minConfidence" in fields):
        del fields["when"]
    extra = random.random()
    if extra < 0.05:
        fields["enabled"] = False
    elif extra < 0.1:
        fields["accept"] = {"CXR203": "kept"}
    comment = "  # cxroute: keep" if random.random() < 0.05 else ""
    above = "  # a remark\n" if random.random() < 0.2 else ""
    if random.random() < 0.3:
        return f"{above}  - {json.dumps(fields)}{comment}\n"
    first, *others = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    lines = [f"  - {first}{comment}\n", *(f"    {line}\n" for line in others)]
    return above + "".join(lines)


def _a_promise(random: Random, count: int) -> str:
    rule = f"rules/rule-{random.randrange(count)}"
    promise = {
        "name": "it decides",
        "for": {"intent": random.choice(INTENTS)},
        "decidedBy": rule,
        "severity": "warning",
    }
    return (
        "apiVersion: routing/v1\nkind: Promises\nname: some\npromises:\n"
        f"  - {json.dumps(promise)}\n"
    )


@dataclass(frozen=True)
class TriedList:
    """The rules of one Environment in the API's form, and where each event goes."""

    rules: tuple[Json, ...]
    fallback: Fallback

    @property
    def events(self) -> tuple[dict[str, Any], ...]:
        """Return the events to try."""
        return STORED if self.fallback.intent is None else SENT

    def destinations(self) -> list[tuple[Destination, frozenset[Destination]]]:
        """Return the destination of each event, and all that ties make possible."""
        return [self._route(self.fallback.context(event)) for event in self.events]

    def _route(
        self, context: Mapping[str, Any]
    ) -> tuple[Destination, frozenset[Destination]]:
        matching = self._matching(context)
        if not matching:
            return None, frozenset([None])
        best = matching[0]["priority"]
        level = [rule for rule in matching if rule["priority"] == best]
        return destination(level[0]), frozenset(map(destination, level))

    def winners(self) -> list[str | None]:
        """Return the address of the rule that takes each event."""
        names = []
        for event in self.events:
            matching = self._matching(self.fallback.context(event))
            names.append(matching[0]["id"] if matching else None)
        return names

    def _matching(self, context: Mapping[str, Any]) -> list[Json]:
        return [rule for rule in self.rules if matches(rule, (dict(context), {}))]

    def without(self, address: str) -> TriedList:
        """Return the list without a rule."""
        rules = tuple(rule for rule in self.rules if rule["id"] != address)
        return TriedList(rules, self.fallback)

    def with_conditions(self, address: str, conditions: Sequence[Json]) -> TriedList:
        """Return the list in which a rule has other conditions."""
        rules = tuple(
            {**rule, "conditions": conditions} if rule["id"] == address else rule
            for rule in self.rules
        )
        return TriedList(rules, self.fallback)


def tried_lists(
    manifests: Manifests, fallbacks: Mapping[str, Fallback]
) -> dict[str, TriedList]:
    """Return the list of each Environment, in the order of evaluation."""
    lists = {}
    for name, fallback in fallbacks.items():
        environment = manifests.environment(name)
        desired, _ = desire_offline(manifests, environment)
        highest_first = environment.api.evaluation == "highest-first"
        rules = [
            _api_form(str(address), each.rule)
            for address, each in desired.rules.items()
            if each.rule.enabled
        ]
        sign = -1 if highest_first else 1
        rules.sort(key=lambda rule: (sign * rule["priority"], rule["name"]))
        lists[name] = TriedList(tuple(rules), fallback)
    return lists


def _api_form(address: str, rule: Rule) -> Json:
    return {
        "id": address,
        "name": rule.name,
        "priority": rule.priority,
        "enabled": True,
        "conditions": [to_api_json(part) for part in rule.conditions],
        "targets": [to_api_json(target) for target in rule.targets],
    }


def unused_rules(lists: Iterable[TriedList]) -> Iterator[str]:
    """Yield each rule that takes no event, and without which no event may go elsewhere."""
    every = list(lists)
    addresses = dict.fromkeys(rule["id"] for each in every for rule in each.rules)
    for address in addresses:
        having = [
            each for each in every if any(rule["id"] == address for rule in each.rules)
        ]
        if all(
            address not in each.winners()
            and each.without(address).destinations() == each.destinations()
            for each in having
        ):
            yield address
