"""An oracle of the bank's manifests: it reads their YAML by PyYAML alone, and tries the rules one by
one for one conversation. It shares no code with the product, and knows what the bank uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
_OPERATORS: Final = {
    "exists",
    "notExists",
    "in",
    "equals",
    "greaterThanOrEqual",
}


class StatedRule(NamedTuple):
    """A rule as the YAML states it."""

    address: str
    file: str
    line: int
    priority: int
    intents: tuple[str, ...]
    least: float | None
    below: float | None
    when: tuple[Mapping[str, Any], ...]
    shares: Mapping[str, float]  # by the name of the queue

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Return whether a conversation fulfils all conditions."""
        confidence = event.get(CONFIDENCE)
        if self.intents and event.get(INTENT) not in self.intents:
            return False
        if self.least is not None and (confidence is None or confidence < self.least):
            return False
        if self.below is not None and (confidence is None or confidence >= self.below):
            return False
        return all(_holds(test, event) for test in self.when)

    @property
    def attributes(self) -> set[str]:
        """Return the attributes that its conditions are about."""
        named = {test["attribute"] for test in self.when}
        has_bounds = self.least is not None or self.below is not None
        intent = {INTENT} if self.intents else set()
        return named | intent | ({CONFIDENCE} if has_bounds else set())


class StatedBank:
    """The rules and queues of one Environment."""

    def __init__(self, folder: Path, environment: str) -> None:
        """`folder` has the directory `manifests`."""
        self._folder = folder
        self.environment = environment
        nodes = list(self._documents())
        documents = [yaml.safe_load(yaml.serialize(node)) for _, node in nodes]
        self.environments = {
            each["name"]: each for each in documents if each["kind"] == "Environment"
        }
        self.queues = {
            alias: self._queue_name(alias, value)
            for each in documents
            if each["kind"] == "Queues"
            for alias, value in each["queues"].items()
        }
        self.promises = [
            promise["name"]
            for each in documents
            if each["kind"] == "Promises"
            for promise in each["promises"]
            if environment in promise.get("environments", [environment])
        ]
        self.intents = {
            entry if isinstance(entry, str) else entry["name"]
            for each in documents
            if each["kind"] == "Intents"
            for entry in each["intents"]
        }
        self.rules = [
            rule
            for (file, node), document in zip(nodes, documents, strict=True)
            if document["kind"] == "RuleSet"
            and environment in document.get("environments", [environment])
            for rule in self._rules(file, node, document)
        ]

    def route(self, **given: Any) -> StatedRule | None:
        """Return the rule that takes a conversation; None: the default routing.

        `intent` and `confidence` are the bot's; the others are further attributes.
        """
        names = {"intent": INTENT, "confidence": CONFIDENCE}
        event = {names.get(name, name): value for name, value in given.items()}
        context = self.environments[self.environment]["context"]
        if INTENT in event:
            confidence = event.get(CONFIDENCE, -1)
            is_known = event[INTENT] in self.intents
            if not is_known or confidence < context["minConfidence"]:
                event[INTENT] = context["below"]["intent"]
        taking = [rule for rule in self.rules if rule.takes(event)]
        first = min((rule.priority for rule in taking), default=0)
        winners = [rule for rule in taking if rule.priority == first]
        assert len({str(rule.shares) for rule in winners}) <= 1, "a tie of the bank"
        return winners[0] if winners else None

    def _documents(self) -> Iterator[tuple[str, yaml.Node]]:
        for path in sorted((self._folder / "manifests").rglob("*.yaml")):
            file = path.relative_to(self._folder).as_posix()
            for node in yaml.compose_all(path.read_text(encoding="utf-8")):
                yield file, node

    def _queue_name(self, alias: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        return str(value[self.environment].get("name", alias))

    def _rules(
        self, file: str, node: yaml.Node, document: Mapping[str, Any]
    ) -> Iterator[StatedRule]:
        (items,) = (value for key, value in node.value if key.value == "rules")
        defaults = document.get("defaults", {})
        for place, stated in zip(items.value, document["rules"], strict=True):
            if "from" in stated:  # the bank's dates are all in the future
                continue
            intents = stated.get("intents", [])
            intents = [stated["intent"]] if "intent" in stated else intents
            key = stated.get("key") or _slug(intents[0])
            least = defaults.get("minConfidence") if intents else None
            for test in stated.get("when", ()):
                assert test.keys() - {"attribute"} <= _OPERATORS, test
            yield StatedRule(
                address=f"{document['name']}/{key}",
                file=file,
                line=place.start_mark.line + 1,
                priority=stated.get("priority", defaults.get("priority")),
                intents=tuple(intents),
                least=stated.get("minConfidence", least),
                below=stated.get("belowConfidence"),
                when=tuple(stated.get("when", ())),
                shares=self._shares(stated),
            )

    def _shares(self, stated: Mapping[str, Any]) -> dict[str, float]:
        variables = self.environments[self.environment].get("vars", {})
        targets = stated.get("targets") or [
            {"queue": stated.get("queue"), "weight": 100}
        ]
        total = sum(target["weight"] for target in targets)
        shares = {}
        for target in targets:
            if target["weight"] == 0:  # it begins with a later step
                continue
            alias = re.sub(
                r"\$\{(\w+)\}", lambda match: variables[match[1]], target["queue"]
            )
            shares[self.queues[alias]] = target["weight"] / total
        return shares


def _slug(intent: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", intent.lower()).strip("-")


def _holds(test: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    value = event.get(test["attribute"])
    if "notExists" in test:
        return value is None
    if value is None:
        return False
    if "in" in test:
        return value in test["in"]
    if "equals" in test:
        return bool(value == test["equals"])
    if "greaterThanOrEqual" in test:
        return bool(value >= test["greaterThanOrEqual"])
    return True  # it exists
