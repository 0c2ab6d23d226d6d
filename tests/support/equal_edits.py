"""Random realistic lists of rules that are not the bank's, and equal edits of many of their rules.

A list is one team's RuleSet of some 40 rules, with rules for urgent calls and for languages before
it, and rules for the rest behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from reconciler.features.traffic.cells import CellCounts, format_sample, merge_small
from tests.support.trades import TRADES, Trade
from tests.support.traffic_records import TrafficModel, weights_of

Json = dict[str, Any]
TEAM: Final = "team"
COUNTS: Final = (10, 20)
"""So many rules are edited."""
"""The RuleSet whose rules are edited."""
_MAIN: Final = 30  # rules of the team with its main queue
_RULES: Final = 34  # rules of the team
_INTENT: Final = "cognigyDetectedIntent"
_SAMPLE: Final = "traffic/sample.csv"


@dataclass(frozen=True, kw_only=True)
class RuleList:
    """A list of rules as manifests; most rules of the team have the queue `main`."""

    documents: Sequence[Json]
    main: str
    other: str
    labels: Mapping[str, str]
    free: Sequence[str]  # intents without a rule of the team
    sample: str

    @property
    def team(self) -> list[Json]:
        """Return the rules of the team."""
        return list(self._document(TEAM)["rules"])

    def with_team(self, rules: Sequence[Json]) -> RuleList:
        """Return the list with other rules of the team."""
        documents = [
            {**document, "rules": list(rules)}
            if document is self._document(TEAM)
            else document
            for document in self.documents
        ]
        return replace(self, documents=documents)

    def _document(self, name: str) -> Json:
        return next(one for one in self.documents if one["name"] == name)

    def write(self, folder: Path) -> None:
        """Write the manifests, each into a file of its own; those of another list with these
        documents are replaced.
        """
        for document in self.documents:
            path = folder / f"{document['kind']}-{document['name']}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
            path.write_text(text, encoding="utf-8")
        if self.sample:
            path = folder / _SAMPLE
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.sample, encoding="utf-8")


def draw_list(random: Random) -> RuleList:
    """Return a list of an airline or a telecom, in half of all cases with a traffic sample."""
    trade = TRADES[random.choice(sorted(TRADES))]
    labels = dict(_labels(trade))
    intents = random.sample(sorted(labels), len(labels))
    own = intents[:_MAIN]
    others = intents[_MAIN:_RULES]
    main, other, third = random.sample([topic.queue for topic in trade.topics], 3)
    rules = [_team_rule(intent, labels[intent], main, random) for intent in own]
    rules += [
        {"intent": intent, "queue": random.choice((other, third))} for intent in others
    ]
    sample = _sample(trade, intents, random) if random.random() < 0.5 else ""
    return RuleList(
        documents=[
            _environment(trade, sample),
            *_names(trade, labels, random),
            _rule_set(TEAM, 100, rules, minConfidence=random.choice((0.5, 0.6, 0.65))),
            *_other_rule_sets(trade, own, random),
        ],
        main=main,
        other=other,
        labels=labels,
        free=intents[_RULES:],
        sample=sample,
    )


def _labels(trade: Trade) -> Iterator[tuple[str, str]]:
    for topic in (*trade.topics, trade.urgent):
        for line in topic.rules.strip().splitlines():
            pairs = line.strip().rpartition(": ")[2].split(", ")
            for pair in pairs:
                intent, _, label = pair.partition(" ")
                if label:
                    yield intent, label


def _team_rule(intent: str, label: str, queue: str, random: Random) -> Json:
    rule: Json = {"intent": intent}
    if random.random() < 0.3:
        rule["name"] = f"{queue.title()}: {label}"
    if random.random() < 0.2:
        rule["minConfidence"] = 0.75
    return {**rule, "queue": queue}


def _rule_set(name: str, priority: int, rules: Sequence[Json], **more: Any) -> Json:
    return {
        "apiVersion": "routing/v1",
        "kind": "RuleSet",
        "name": name,
        "defaults": {"priority": priority, **more},
        "rules": list(rules),
    }


def _other_rule_sets(
    trade: Trade, intents: list[str], random: Random
) -> Iterator[Json]:
    """Yield rules for urgent calls and languages, and those for what is left."""
    urgent = [
        {"key": f"now-{intent}".replace("_", "-"), "intent": intent, "queue": "general"}
        | {"when": [{"attribute": "channel", "equals": next(iter(trade.channels))}]}
        for intent in random.sample(intents, random.randint(0, 6))
    ]
    if urgent:
        yield _rule_set("urgent", 10, urgent, minConfidence=0.5)
    desks = random.sample(list(trade.language_desks), random.randint(1, 2))
    yield _rule_set(
        "languages",
        20,
        [
            {"key": desk.key, "when": [_met_bot(), _within("language", desk.values)]}
            | {"queue": desk.queue}
            for desk in desks
        ],
    )
    chosen = random.sample(intents, random.randint(3, 8))
    if random.random() < 0.5:
        first: Json = {
            "key": "first",
            "intents": chosen,
            "queue": trade.tier_desk.queue,
        }
        first["when"] = [_within(trade.tier, trade.tier_desk.values)]
        yield _rule_set("vip", 30, [first], minConfidence=0.6)
    tier = {
        "key": "unsure",
        "when": [_met_bot(), _within(trade.tier, trade.tier_desk.values)],
        "queue": trade.tier_desk.queue,
        "priority": 810,
    }
    rest = {"key": "catch-all", "when": [_met_bot()], "queue": "general"}
    yield _rule_set("rest", 900, [tier, rest] if random.random() < 0.6 else [rest])


def _met_bot() -> Json:
    return {"attribute": _INTENT, "exists": True}


def _within(attribute: str, values: Sequence[str]) -> Json:
    return {"attribute": attribute, "in": list(values)}


def _environment(trade: Trade, sample: str) -> Json:
    environment: Json = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": "sandbox",
        "owner": trade.name,
        "context": {"minConfidence": 0.3, "below": {"intent": "none"}},
    }
    if sample:
        environment["traffic"] = {"file": _SAMPLE, "period": "June"}
    return environment


def _names(trade: Trade, labels: Mapping[str, str], random: Random) -> Iterator[Json]:
    """Yield the documents of queues, intents and attributes; some intents have no label."""
    declared: list[Json] = [
        {"name": intent, "label": label} for intent, label in labels.items()
    ]
    if random.random() < 0.3:
        declared = [{"name": intent} for intent in labels]
    values = {
        name: {"values": {value: text for value, (text, _) in each.items() if text}}
        for name, each in _attributes(trade).items()
    }
    head = {"apiVersion": "routing/v1"}
    yield head | {"kind": "Queues", "name": "queues", "queues": dict(trade.queues)}
    yield head | {"kind": "Intents", "name": "bot", "intents": declared}
    yield head | {"kind": "Attributes", "name": "all", "attributes": values}


def _attributes(trade: Trade) -> dict[str, Mapping[str, tuple[str, float]]]:
    return {
        "language": trade.languages,
        trade.tier: trade.tiers,
        "channel": trade.channels,
    }


def _sample(trade: Trade, intents: Sequence[str], random: Random) -> str:
    weights = {
        name: {
            "" if value == "-" else value: weight for value, (_, weight) in each.items()
        }
        for name, each in _attributes(trade).items()
    }
    volumes = {intent: 100 + int(4_000 * random.random() ** 3) for intent in intents}
    model = TrafficModel(
        volumes={**volumes, "none": 2_500, "": 3_000},
        attributes=weights,
        exceptions={"": {"language": weights_of("- 1")}},
        confidences={},
    )
    cells = CellCounts(("intent", "confidence", *weights))
    for record, number in model.records().items():
        named = zip(cells.attributes, record, strict=True)
        cells.add(
            tuple(
                (float(value) if name == "confidence" else value) if value else None
                for name, value in named
            ),
            number,
        )
    return format_sample(merge_small(cells), {"source": "generated", "period": "June"})


# Equal edits

_Change = Callable[[Json, RuleList, Random], Json | None]


def _queue(rule: Json, rules: RuleList, _random: Random) -> Json:
    return {**rule, "queue": rules.other}


def _queue_and_name(rule: Json, rules: RuleList, _random: Random) -> Json:
    label = rules.labels[rule["intent"]]
    return {**rule, "queue": rules.other, "name": f"{rules.other.title()}: {label}"}


def _queue_and_some_names(rule: Json, rules: RuleList, random: Random) -> Json:
    chosen = random.choice((_queue, _queue_and_name))
    return chosen(rule, rules, random)


def _confidence(rule: Json, _rules: RuleList, _random: Random) -> Json:
    return {**rule, "minConfidence": 0.8}


def _confidence_and_name(rule: Json, rules: RuleList, _random: Random) -> Json:
    name = f"Sure: {rules.labels[rule['intent']]}"
    return {**rule, "minConfidence": 0.8, "name": name}


def _split(rule: Json, rules: RuleList, _random: Random) -> Json:
    targets = [
        {"queue": rules.main, "weight": 80},
        {"queue": rules.other, "weight": 20},
    ]
    rest = {name: value for name, value in rule.items() if name != "queue"}
    return {**rest, "targets": targets}


def _condition(rule: Json, rules: RuleList, _random: Random) -> Json:
    (document,) = (one for one in rules.documents if one["kind"] == "Attributes")
    values = document["attributes"]["channel"]["values"]
    return {**rule, "when": [_within("channel", sorted(values)[:2])]}


def _disabled(rule: Json, _rules: RuleList, _random: Random) -> Json:
    return {**rule, "enabled": False}


def _deleted(_rule: Json, _rules: RuleList, _random: Random) -> None:
    return None


_CHANGES: Final[Mapping[str, _Change]] = {
    "queue": _queue,
    "queue and name": _queue_and_name,
    "queue and some names": _queue_and_some_names,
    "confidence": _confidence,
    "confidence and name": _confidence_and_name,
    "split": _split,
    "condition": _condition,
    "disabled": _disabled,
    "deleted": _deleted,
}
KINDS: Final = (*_CHANGES, "new")


def edit_equally(rules: RuleList, kind: str, count: int, random: Random) -> RuleList:
    """Return the list after one equal edit, of a kind in KINDS, of so many rules of the team."""
    team = deepcopy(rules.team)
    if kind == "new":
        intents = random.sample(list(rules.free), min(count, len(rules.free)))
        new = [{"intent": intent, "queue": rules.other} for intent in intents]
        return rules.with_team([*team, *new])
    own = [place for place, rule in enumerate(team) if rule.get("queue") == rules.main]
    chosen = set(random.sample(own, count))
    change = _CHANGES[kind]
    changed = [
        change(rule, rules, random) if place in chosen else rule
        for place, rule in enumerate(team)
    ]
    after = [rule for rule in changed if rule is not None]
    return rules.with_team(after)
