"""Random versions of manifests with declared intents and values, and which conversations the stage
before the rules lets through.

The filter is written from docs/reference/semantics.md ("The endpoint"), docs/manifests/intents.md
and docs/manifests/attributes.md. It shares no code with the product.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from random import Random
from typing import Any, Final

import yaml

from tests.support.brute_force import Destination, Json, destination, holds, matches
from tests.support.random_projects import (
    CONFIDENCE,
    INTENT,
    INTENTS,
    QUEUES,
    Fallback,
    a_project,
)

Document = dict[str, Any]
Conversation = Mapping[str, Any]
HEAD: Final = {"apiVersion": "routing/v1"}
TIERS: Final = (
    ["gold"],
    ["gold", "silver"],
    ["gold", "basic", "silver"],
    ["silver", "golden"],
    None,
)
AMOUNTS: Final = ({"type": "number"}, {"values": [5, 15]}, {"values": [12]}, None)
VALUES: Final[Mapping[str, Sequence[Any]]] = {
    INTENT: (*INTENTS, "other"),
    CONFIDENCE: (0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1),
    "tier": ("gold", "golden", "basic", "silver", "other", 7),
    "amount": (5, 10, 12, 15, "many"),
    "vip": ("true", "false", "other", 7),
}
"""One value of each kind that rules, fallbacks and declarations below distinguish."""


@dataclass(frozen=True)
class Vocabulary:
    """What the documents declare; None: nothing about it."""

    intents: Sequence[str] | None
    tier: Sequence[str] | None
    amount: Mapping[str, Any] | None
    vip: bool

    def documents(self) -> Iterator[Document]:
        """Yield the documents."""
        if self.intents is not None:
            yield {
                **HEAD,
                "kind": "Intents",
                "name": "bot",
                "intents": list(self.intents),
            }
        declared: Document = {"other": {"label": "Another one"}}
        if self.tier is not None:
            declared["tier"] = {"values": list(self.tier)}
        if self.amount is not None:
            declared["amount"] = dict(self.amount)
        if self.vip:
            declared["vip"] = {"type": "boolean"}
        yield {**HEAD, "kind": "Attributes", "name": "all", "attributes": declared}

    def lets_through(self, conversation: Conversation) -> bool:
        """Return whether a bot and the declared systems can send a conversation.

        One without an intent did not meet the bot.
        """
        return all(
            value is None or self._is_possible(name, value)
            for name, value in conversation.items()
        )

    def _is_possible(self, name: str, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name == CONFIDENCE:
            return is_number and 0 <= value <= 1
        if name == "amount" and self.amount == {"type": "number"}:
            return is_number
        listed = {
            INTENT: self.intents,
            "tier": self.tier,
            "vip": ("true", "false", True, False) if self.vip else None,
            "amount": (self.amount or {}).get("values"),
        }
        values = listed.get(name)
        return values is None or value in values

    @cached_property
    def every(self) -> tuple[Document, ...]:
        """A conversation of each kind that it lets through."""
        names = list(VALUES)
        choices = [[*VALUES[name], None] for name in names]
        every = (
            {
                name: value
                for name, value in zip(names, values, strict=True)
                if value is not None
            }
            for values in product(*choices)
        )
        return tuple(each for each in every if self.lets_through(each))


@dataclass(frozen=True)
class Versions:
    """Four versions of a project: before, after one change, after another one, after both."""

    documents: tuple[Document, ...]  # without rules
    rules: tuple[list[Document], ...]
    vocabulary: Vocabulary
    fallback: Fallback

    def texts(self) -> list[str]:
        """Return the manifests of each version."""
        return [
            "---\n".join(
                json.dumps(each) + "\n" for each in (*self.documents, _ruleset(rules))
            )
            for rules in self.rules
        ]


def _ruleset(rules: Sequence[Document]) -> Document:
    return {**HEAD, "kind": "RuleSet", "name": "rules", "rules": list(rules)}


def some_versions(random: Random, most: int) -> Versions:
    """Return versions of a random project, behind one endpoint and one vocabulary."""
    plain = a_project(random, most)
    documents = list(yaml.safe_load_all(plain.text))
    vocabulary = Vocabulary(
        INTENTS if random.random() < 0.8 else None,
        random.choice(TIERS),
        random.choice(AMOUNTS),
        random.random() < 0.7,
    )
    (base,) = [each["rules"] for each in documents if each["kind"] == "RuleSet"]
    base = [_other_conditions(random, rule) for rule in base]
    ours, theirs = (_edited(random, base) for _ in range(2))
    kept = [each for each in documents if each["kind"] not in ("RuleSet", "Intents")]
    for each in kept:
        if each["kind"] == "Environment":
            each.setdefault("context", {})
    return Versions(
        documents=(*kept, *vocabulary.documents()),
        rules=(base, ours, theirs, _merged(base, ours, theirs)),
        vocabulary=vocabulary,
        fallback=plain.fallbacks["prod"],
    )


def _other_conditions(random: Random, rule: Document) -> Document:
    extra: list[Document] = []
    if random.random() < 0.2:
        tests: Sequence[tuple[str, Any]] = (
            ("equals", True),
            ("notEquals", True),
            ("exists", True),
            ("in", [False]),
        )
        operator, value = random.choice(tests)
        extra.append({"attribute": "vip", operator: value})
    if random.random() < 0.2:
        pattern = random.choice(("startsWith", "contains", "notContains", "endsWith"))
        text = random.choice(("g", "old", "er", "x"))
        extra.append({"attribute": "tier", pattern: text})
    if random.random() < 0.1:
        extra.append(
            {"attribute": INTENT, random.choice(("exists", "notExists")): True}
        )
        return {**_without_intent(rule), "when": [*rule.get("when", ()), *extra]}
    return {**rule, "when": [*rule.get("when", ()), *extra]}


def _without_intent(rule: Document) -> Document:
    return {
        name: value for name, value in rule.items() if name not in ("intent", "intents")
    }


def _edited(random: Random, rules: Sequence[Document]) -> list[Document]:
    edited = [dict(rule) for rule in rules]
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(edited))
        rule = edited[place]
        kind = random.random()
        if kind < 0.3:
            rule["queue"] = random.choice(QUEUES)
        elif kind < 0.5:
            rule["priority"] = random.choice((5, 15, 25, 35, 45))
        elif kind < 0.65:
            rule["minConfidence"] = random.choice((0.3, 0.5, 0.8))
            rule.pop("belowConfidence", None)
        elif kind < 0.85:
            edited[place] = _other_conditions(random, {**rule, "when": []})
        elif len(edited) > 1:
            del edited[place]
    return edited


def _merged(
    base: Sequence[Document], ours: Sequence[Document], theirs: Sequence[Document]
) -> list[Document]:
    """Return the rules as git merges them: where both edit, the first one wins."""
    sides = [{rule["key"]: rule for rule in rules} for rules in (base, ours, theirs)]
    merged = []
    for key in sides[0]:
        before, mine, other = (side.get(key) for side in sides)
        chosen = other if mine == before else mine
        if chosen is not None:
            merged.append(chosen)
    return merged


@dataclass(frozen=True)
class RoutedList:
    """Rules in the API's form behind an endpoint."""

    rules: Sequence[Json]
    evaluation: str
    fallback: Fallback
    vocabulary: Vocabulary

    @cached_property
    def ordered(self) -> list[Json]:
        """Return the rules in the order of evaluation (S1)."""
        sign = -1 if self.evaluation == "highest-first" else 1
        enabled = [rule for rule in self.rules if rule["enabled"]]
        return sorted(enabled, key=lambda rule: (sign * rule["priority"], rule["name"]))

    def with_rules(self, rules: Sequence[Json]) -> RoutedList:
        """Return other rules behind the same endpoint."""
        return replace(self, rules=rules)

    def context(self, event: Conversation) -> Document:
        """Return what the rules read after an event."""
        plain = {name: _plain(value) for name, value in event.items()}
        intents = self.vocabulary.intents
        if self.fallback.intent is None or INTENT not in plain:
            return plain
        confidence = plain.get(CONFIDENCE)
        is_known = intents is None or plain[INTENT] in intents
        is_sure = confidence is not None and confidence >= self.fallback.min_confidence
        if is_known and is_sure:
            return plain
        return {**plain, INTENT: self.fallback.intent}

    def route(self, event: Conversation) -> Destination:
        """Return where an event goes."""
        context = self.context(event)
        for rule in self.ordered:
            if matches(rule, (context, {})):
                return destination(rule)
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def is_inside(
    conversation: Conversation, where: Iterable[Json], excepts: Iterable[Iterable[Json]]
) -> bool:
    """Return whether a conversation fulfils all of `where`, and no complete list of `excepts`."""
    one = {name: _plain(value) for name, value in conversation.items()}
    return all(holds(part, one, {}) for part in where) and not any(
        all(holds(part, one, {}) for part in parts) for parts in excepts
    )
