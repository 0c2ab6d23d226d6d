"""Projects as realistic as the bank, generated: an airline and a telecom with 40 to 80 rules,
labels and traffic.

`write_project("airline", 7, folder)` writes the manifests into a folder: the same ones for the same
seed, in the layout that people write. They have no error; their route tests pass, and their
promises are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from reconciler.features.traffic.cells import CellCounts, format_sample, merge_small
from tests.support.trades import TRADES, Desk, Topic, Trade
from tests.support.traffic_records import (
    MISTAKEN,
    NO_SCORE,
    TrafficModel,
    Weights,
    weights_of,
)

FALLBACK: Final = 0.35
"""Below this confidence, the endpoint writes the intent `none`."""
UNSURE: Final = 0.55
"""Below this confidence, the bot is unsure."""
PERIOD: Final = "2026-06-01 to 2026-06-30"
OVERFLOW: Final = "overflow-partner"

_HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
_BOT_MET: Final = "{attribute: cognigyDetectedIntent, exists: true}"
_TEAM_FLOORS: Final = (0.55, 0.6, 0.65)
_OWN_FLOORS: Final = (0.5, 0.7, 0.75)
_URGENT_FLOORS: Final = (0.4, 0.45, 0.5)
_MOST_ON_A_LINE: Final = 4
_SPLITS: Final = ((90, 10), (80, 20), (70, 30), (60, 40), (50, 50))
_REASONS: Final = (
    "often mistaken for another intent",
    "opens a case, which a wrong route wastes",
    "asked for by the team in March",
    "the bot was trained again in May",
)

Shares = Mapping[str, int]  # weights by the alias of a queue


@dataclass(frozen=True, kw_only=True)
class PlannedRule:
    """A rule before it is written."""

    key: str
    shares: Shares
    intents: Sequence[str] = ()
    floor: float | None = None  # None: the RuleSet's
    below: float | None = None
    when: Sequence[str] = ()
    priority: int | None = None
    name: str = ""
    comment: str = ""

    def lines(self) -> Iterator[str]:
        """Yield its lines in a manifest."""
        first, *rest = self._fields()
        yield f"  - {first}\n"
        yield from (f"    {line}\n" for line in rest)

    def _fields(self) -> Iterator[str]:
        comment = f" # {self.comment}" if self.comment else ""
        if [self.key] != [_key_of(intent) for intent in self.intents]:
            yield f"key: {self.key}"
        if self.name:
            yield f'name: "{self.name}"'
        if len(self.intents) == 1:
            yield f"intent: {self.intents[0]}"
        elif len(self.intents) > _MOST_ON_A_LINE:
            yield "intents:"
            yield from (f"  - {intent}" for intent in self.intents)
        elif self.intents:
            yield f"intents: [{', '.join(self.intents)}]"
        if self.floor is not None:
            yield f"minConfidence: {self.floor}{comment}"
        if self.below is not None:
            yield f"belowConfidence: {self.below}"
        if self.when:
            yield "when:"
            yield from (f"  - {condition}" for condition in self.when)
        yield self._destination()
        if self.priority is not None:
            yield f"priority: {self.priority}"

    def _destination(self) -> str:
        names = {
            queue: '"${overflow}"' if queue == OVERFLOW else queue
            for queue in self.shares
        }
        if len(names) == 1:
            return f"queue: {''.join(names.values())}"
        targets = (
            f"{{queue: {names[queue]}, weight: {weight}}}"
            for queue, weight in self.shares.items()
        )
        return f"targets: [{', '.join(targets)}]"

    def expectation(self) -> str:
        """Return the destination in the form of a route test."""
        if len(self.shares) == 1:
            return f"{{queue: {''.join(self.shares)}}}"
        split = (f"{queue}: {weight}" for queue, weight in self.shares.items())
        return f"{{split: {{{', '.join(split)}}}}}"


@dataclass(frozen=True, kw_only=True)
class PlannedSet:
    """A RuleSet before it is written."""

    name: str
    comment: str
    priority: int
    floor: float | None
    rules: Sequence[PlannedRule]

    def text(self) -> str:
        """Return its manifest."""
        floor = "" if self.floor is None else f", minConfidence: {self.floor}"
        head = f"# {self.comment}\n{_HEAD.format(kind='RuleSet', name=self.name)}"
        lines = (line for rule in self.rules for line in rule.lines())
        return f"{head}defaults: {{priority: {self.priority}{floor}}}\nrules:\n{''.join(lines)}"

    def floor_of(self, rule: PlannedRule) -> float:
        """Return the lowest confidence of a rule."""
        return rule.floor if rule.floor is not None else self.floor or 0


@dataclass(frozen=True, kw_only=True)
class PlannedProject:
    """The rules of a project before they are written."""

    trade: Trade
    topics: Sequence[PlannedSet]
    urgent: PlannedSet
    languages: PlannedSet
    tiers: PlannedSet
    general: PlannedSet

    @property
    def rule_sets(self) -> tuple[PlannedSet, ...]:
        """Return all RuleSets."""
        return (*self.topics, self.urgent, self.languages, self.tiers, self.general)


def write_project(trade: str, seed: int, folder: Path) -> None:
    """Write the manifests of an airline or a telecom into a folder, with a traffic sample."""
    random = Random(f"{trade} {seed}")
    project = plan_project(TRADES[trade], random)
    files = {f"{rule_set.name}.yaml": rule_set.text() for rule_set in project.rule_sets}
    files |= {
        "environments/sandbox.yaml": _environment(project.trade),
        "queues.yaml": _queues(project.trade),
        "intents.yaml": _intents(project.trade),
        "attributes.yaml": _attributes(project.trade),
        "promises.yaml": _promises(project),
        "tests/teams.yaml": _team_tests(project),
        "tests/people.yaml": _people_tests(project),
        f"traffic/{trade}.csv": _traffic(project, random),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# Rules


def plan_project(trade: Trade, random: Random) -> PlannedProject:
    """Return the rules of a project."""
    topics = [_plan_topic(topic, random) for topic in trade.topics]
    return PlannedProject(
        trade=trade,
        topics=topics,
        urgent=_plan_urgent(trade, random),
        languages=_plan_languages(trade, topics, random),
        tiers=_plan_tiers(trade, topics, random),
        general=_plan_general(),
    )


def _plan_topic(topic: Topic, random: Random) -> PlannedSet:
    team_floor = random.choice(_TEAM_FLOORS)
    rules: list[PlannedRule] = []
    for key, labels in _entries(topic):
        own_floor = random.choice(_OWN_FLOORS) if random.random() < 0.25 else None
        comment = (
            random.choice(_REASONS)
            if own_floor is not None and random.random() < 0.7
            else ""
        )
        shares = {topic.queue: 1}
        if random.random() < 0.2:
            most, least = random.choice(_SPLITS)
            shares = {topic.queue: most, OVERFLOW: least}
        intents = list(labels)
        rules.append(
            PlannedRule(
                key=key,
                intents=intents,
                shares=shares,
                floor=own_floor,
                comment=comment,
            )
        )
        if own_floor is not None and own_floor > team_floor and random.random() < 0.4:
            unsure = {topic.queue: 50, "general": 50}
            name = f"Perhaps: {next(iter(labels.values()))}"
            rules.append(
                PlannedRule(
                    key=f"{key}-unsure",
                    intents=intents,
                    shares=unsure,
                    below=own_floor,
                    name=name,
                )
            )
    return PlannedSet(
        name=topic.name,
        comment=topic.comment,
        priority=100,
        floor=team_floor,
        rules=rules,
    )


def _plan_urgent(trade: Trade, random: Random) -> PlannedSet:
    topic = trade.urgent
    number = trade.number
    rules = [
        PlannedRule(key=key, intents=list(labels), shares={topic.queue: 1})
        for key, labels in _entries(topic)
    ]
    special = PlannedRule(
        key=number.key,
        intents=number.intents[:1],
        shares={number.queue: 1},
        floor=0.5,
        when=[f"{{attribute: {number.attribute}, {number.test}}}"],
        priority=15,
        name=number.name,
    )
    floor = random.choice(_URGENT_FLOORS)
    return PlannedSet(
        name=topic.name,
        comment=topic.comment,
        priority=10,
        floor=floor,
        rules=[*rules, special],
    )


def _plan_languages(
    trade: Trade, topics: Sequence[PlannedSet], random: Random
) -> PlannedSet:
    rules: list[PlannedRule] = []
    for desk in trade.language_desks:
        test = f"{{attribute: language, in: [{', '.join(desk.values)}]}}"
        name = f"Language: {desk.label}"
        if desk.is_for_all:
            rules.append(
                PlannedRule(
                    key=desk.key,
                    shares={desk.queue: 1},
                    when=[_BOT_MET, test],
                    name=name,
                )
            )
            continue
        first, second = random.sample(topics, 2)
        intents = [
            *_sample_intents(first, 5, random),
            *_sample_intents(second, 4, random),
        ]
        names = f"{first.name} and {second.name}"
        key = f"{desk.key}-{first.name}-and-{second.name}"
        selected = PlannedRule(
            key=key,
            intents=intents,
            shares={desk.queue: 1},
            when=[test],
            priority=21,
            name=f"{name}, {names}",
        )
        rest = PlannedRule(
            key=f"{desk.key}-everything-else",
            shares={desk.queue: 75, "general": 25},
            when=[_BOT_MET, test],
            priority=800,
            name=f"{name}, everything else",
        )
        rules += [selected, rest]
    comment = (
        "Language comes early: a specialist who cannot be understood is not a help."
    )
    return PlannedSet(
        name="languages", comment=comment, priority=20, floor=0.6, rules=rules
    )


def _plan_tiers(
    trade: Trade, topics: Sequence[PlannedSet], random: Random
) -> PlannedSet:
    desk = trade.tier_desk
    test = f"{{attribute: {trade.tier}, in: [{', '.join(desk.values)}]}}"
    rules: list[PlannedRule] = []
    for topic in random.sample(topics, 3):
        most, least = random.choice(_SPLITS[:3])
        (team,) = {next(iter(rule.shares)) for rule in topic.rules}
        rules.append(
            PlannedRule(
                key=f"{desk.key}-{topic.name}",
                intents=_sample_intents(topic, 6, random),
                shares={desk.queue: most, team: least},
                when=[test],
                name=f"{desk.label}: {topic.name}",
            )
        )
    rest = PlannedRule(
        key=f"{desk.key}-unsure",
        shares={desk.queue: 1},
        when=[_BOT_MET, test],
        priority=810,
        name=f"{desk.label}: no team found",
    )
    return PlannedSet(
        name=desk.key,
        comment=f"{desk.label} customers.",
        priority=30,
        floor=0.6,
        rules=[*rules, rest],
    )


def _plan_general() -> PlannedSet:
    ask_again = PlannedRule(
        key="ask-again",
        shares={"general": 50, OVERFLOW: 50},
        below=UNSURE,
        when=[_BOT_MET],
        priority=820,
        name="Bot unsure, ask again",
    )
    catch_all = PlannedRule(
        key="catch-all", shares={"general": 1}, when=[_BOT_MET], name="Everything else"
    )
    comment = "What no team takes."
    return PlannedSet(
        name="general",
        comment=comment,
        priority=900,
        floor=None,
        rules=[ask_again, catch_all],
    )


def _entries(topic: Topic) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the key of each rule of a topic, and the labels of its intents."""
    for line in topic.rules.strip().splitlines():
        key, colon, rest = line.strip().partition(": ")
        pairs = [
            part.partition(" ")
            for part in (rest if colon else line.strip()).split(", ")
        ]
        labels = {intent: label for intent, _, label in pairs}
        yield (key if colon else _key_of(next(iter(labels)))), labels


def _sample_intents(topic: PlannedSet, most: int, random: Random) -> list[str]:
    intents = list(
        dict.fromkeys(intent for rule in topic.rules for intent in rule.intents)
    )
    chosen = set(random.sample(intents, min(most, len(intents))))
    return [intent for intent in intents if intent in chosen]


def _key_of(intent: str) -> str:
    return intent.replace("_", "-")


# Further documents


def _environment(trade: Trade) -> str:
    return (
        f"# {trade.company}, simulated.\n{_HEAD.format(kind='Environment', name='sandbox')}"
        f"owner: {trade.name}-routing\n"
        f"traffic: {{file: traffic/{trade.name}.csv, period: the June sample}}\nvars:\n  overflow: "
        f"{OVERFLOW}\n"
        f"context:\n  minConfidence: {FALLBACK}\n  below: {{intent: none}}\n"
    )


def _queues(trade: Trade) -> str:
    lines = (f"  {alias}: {name}\n" for alias, name in trade.queues.items())
    return f"{_HEAD.format(kind='Queues', name='queues')}queues:\n{''.join(lines)}"


def _intents(trade: Trade) -> str:
    labels = [
        labels
        for topic in (*trade.topics, trade.urgent)
        for _, labels in _entries(topic)
    ]
    lines = [
        f'  - {{name: {intent}, label: "{label}"}}\n'
        for each in labels
        for intent, label in each.items()
    ]
    return f"{_HEAD.format(kind='Intents', name=f'{trade.name}-bot')}intents:\n{''.join(lines)}"


def _attributes(trade: Trade) -> str:
    tiers = _values(trade.tiers, [])
    languages = _values(trade.languages, trade.language_desks)
    channels = _values(trade.channels, [])
    return f"{_HEAD.format(kind='Attributes', name=trade.name)}attributes:\n" + "".join(
        (
            (
                f"  {trade.tier}:\n    label: {trade.tier_label}\n{tiers}    writtenBy: the CRM "
                f"look-up\n"
            ),
            f"  language:\n{languages}    writtenBy: the bot, after the caller's first sentence\n",
            (
                f"  {trade.number.attribute}:\n    label: {trade.number.label}\n    type: number\n    "
                f"writtenBy: the bot\n"
            ),
            f"  channel:\n{channels}    writtenBy: CXone, when the conversation arrives\n",
        )
    )


def _values(values: Mapping[str, tuple[str, float]], groups: Sequence[Desk]) -> str:
    """Return the values of an attribute, those that one team serves as a group."""
    group_of = {value: desk.label for desk in groups for value in desk.values}
    lines = []
    for value, (label, _) in values.items():
        if value == "-":
            continue
        group = group_of.get(value)
        text = f'{{label: "{label}", group: {group}}}' if group else f'"{label}"'
        lines.append(f"      {value}: {text}\n")
    return f"    values:\n{''.join(lines)}"


def _promises(project: PlannedProject) -> str:
    urgent = [
        intent
        for rule in project.urgent.rules
        for intent in rule.intents
        if rule.priority is None
    ]
    desk = _queue_of(project.urgent.rules[0])
    early = ", ".join(dict.fromkeys((desk, project.trade.number.queue)))
    languages = [
        f"  - name: {desk.label} callers reach their desk, except for urgent calls\n    for:\n      "
        f"when:\n"
        f"        - {_BOT_MET}\n        - {{attribute: language, in: [{', '.join(desk.values)}]}}\n"
        f"    always: {{queues: [{desk.queue}, {early}]}}\n"
        for desk in project.trade.language_desks
        if desk.is_for_all
    ]
    return (
        f"{_HEAD.format(kind='Promises', name=project.trade.name)}promises:\n"
        f"  - name: urgent calls reach the desk for them\n"
        f"    for: {{intents: [{', '.join(urgent)}], minConfidence: {project.urgent.floor}}}\n"
        f"    always: {{queues: [{desk}]}}\n{''.join(languages)}"
        f"  - name: callers who met the bot never reach the default routing\n"
        f"    for:\n      when: [{_BOT_MET}]\n    never: {{default: true}}\n"
    )


def _queue_of(rule: PlannedRule) -> str:
    return next(iter(rule.shares))


# Route tests


def _team_tests(project: PlannedProject) -> str:
    """Return a route test of each rule of a team, at its floor and above, and of the callers
    below.
    """
    lines = []
    for topic in (*project.topics, project.urgent):
        for rule in topic.rules:
            if rule.when:
                continue
            floor = topic.floor_of(rule)
            certain = 0.9 if rule.below is None else floor
            lines.append(_test(rule.intents[0], certain, rule.expectation()))
            if rule.below is None:
                lines.append(_test(rule.intents[-1], floor, rule.expectation()))
    unsure, _ = project.general.rules
    quiet = project.topics[0].rules[0].intents[0]
    lines.append(_test(quiet, 0.42, unsure.expectation()))
    return f"{_HEAD.format(kind='RouteTests', name='teams')}tests:\n{''.join(lines)}"


def _people_tests(project: PlannedProject) -> str:
    """Return route tests of callers with a language or a tier of their own."""
    trade = project.trade
    first = project.topics[0].rules[0].intents[0]
    lines = []
    for desk in trade.language_desks:
        rules = [
            rule for rule in project.languages.rules if rule.key.startswith(desk.key)
        ]
        for value in desk.values:
            lines.append(
                _test(first, 0.3, rules[-1].expectation(), f"language: {value}")
            )
            lines.append(
                _test(
                    (rules[0].intents or [first])[0],
                    0.8,
                    rules[0].expectation(),
                    f"language: {value}",
                )
            )
    for rule in project.tiers.rules:
        value = trade.tier_desk.values[0]
        lines.append(
            _test(
                (rule.intents or [first])[0],
                _sure(rule),
                rule.expectation(),
                f"{trade.tier}: {value}",
            )
        )
    return f"{_HEAD.format(kind='RouteTests', name='people')}tests:\n{''.join(lines)}"


def _sure(rule: PlannedRule) -> float:
    return 0.8 if rule.intents else 0.3


def _test(intent: str, confidence: float, expectation: str, attribute: str = "") -> str:
    attributes = f", attributes: {{{attribute}}}" if attribute else ""
    return (
        f"  - {{given: {{intent: {intent}, confidence: {confidence}{attributes}}}, expect: "
        f"{expectation}}}\n"
    )


# Traffic


def _traffic(project: PlannedProject, random: Random) -> str:
    trade = project.trade
    intents = [
        intent
        for topic in (*trade.topics, trade.urgent)
        for _, labels in _entries(topic)
        for intent in labels
    ]
    volumes = {intent: 700 + int(8_000 * random.random() ** 3) for intent in intents}
    mistaken = [
        intent
        for topic in project.topics
        for rule in topic.rules
        if rule.below
        for intent in rule.intents
    ]
    with_number = {trade.number.attribute: weights_of(trade.number.weights)}
    model = TrafficModel(
        volumes={**volumes, "small_talk": 2_000, "none": 2_500, "": 3_000},
        attributes={
            "language": _weights(trade.languages),
            trade.tier: _weights(trade.tiers),
            trade.number.attribute: weights_of("- 1"),
            "channel": _weights(trade.channels),
        },
        exceptions={
            **dict.fromkeys(trade.number.intents, with_number),
            "": {"language": weights_of("- 1")},
        },
        confidences={
            **dict.fromkeys(mistaken, MISTAKEN),
            "none": NO_SCORE,
            "": NO_SCORE,
        },
    )
    convert: dict[str, Callable[[str], str | float]] = {
        "confidence": float,
        trade.number.attribute: float,
    }
    cells = CellCounts(("intent", "confidence", *model.attributes))
    for record, number in model.records().items():
        named = zip(cells.attributes, record, strict=True)
        cells.add(
            tuple(
                convert.get(name, str)(value) if value else None
                for name, value in named
            ),
            number,
        )
    return format_sample(merge_small(cells), {"source": "generated", "period": PERIOD})


def _weights(values: Mapping[str, tuple[str, float]]) -> Weights:
    return {
        "" if value == "-" else value: weight for value, (_, weight) in values.items()
    }
