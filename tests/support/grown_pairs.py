"""Realistic pairs of rule lists: 20 to 60 rules by intent, confidence, language and tier, and an
edit.

The rules are the API's JSON, as in `random_rules`. The edits are realistic: the confidence of a
full RuleSet, the last rule, several deleted rules, a language or a tier of its own, a first plan
over manual rules.
"""

from __future__ import annotations

from random import Random
from typing import Final

from tests.support.brute_force import Json
from tests.support.random_rules import Evaluation, RulePair, attribute, queue, rule

LANGUAGES: Final = ("de", "fr", "it")
TIERS: Final = ("gold", "platinum", "standard")
_QUEUES: Final = ("A", "B", "C")


def generate_pair(random: Random) -> RulePair:
    """Return a list of 20 to 60 rules and its result after one to three edits, or a manual list
    before it.
    """
    old = _grown(random, random.randint(20, 60))
    if random.random() < 0.2:
        return RulePair(_by_hand(random, old), old, "lowest-first")
    new = old
    for _ in range(random.randint(1, 3)):
        new = random.choice((_minimum, _last, _deleted, _split, _retargeted, _moved))(
            random, new
        )
    return RulePair(old, new, "lowest-first")


def _grown(random: Random, size: int) -> list[Json]:
    intents = [f"intent_{number}" for number in range(random.randint(4, 12))]
    rules = [_one(random, f"k{number}", intents) for number in range(size - 1)]
    if random.random() < 0.85:
        rules.append(rule("catch-all", 900, [], random.choice(_QUEUES)))
    return rules


def _one(random: Random, key: str, intents: list[str]) -> Json:
    conditions = []
    if random.random() < 0.85:
        several = random.sample(intents, random.choice((1, 1, 1, 2, 3)))
        conditions.append(attribute("intent", "in", several))
    if random.random() < 0.7:
        conditions.append(
            attribute("conf", "greaterThanOrEqual", random.choice((0.5, 0.6, 0.6, 0.7)))
        )
    if random.random() < 0.2:
        conditions.append(
            attribute(
                "language",
                random.choice(("equals", "notEquals")),
                random.choice(LANGUAGES),
            )
        )
    if random.random() < 0.2:
        conditions.append(
            attribute("tier", random.choice(("in", "notIn")), random.sample(TIERS, 2))
        )
    return rule(key, random.choice((10, 20, 100, 100, 100)), conditions, _goes(random))


def _goes(random: Random) -> list[Json]:
    if random.random() < 0.15:
        return [queue(random.choice("AB"), 3), queue("C", 1)]
    return [queue(random.choice(_QUEUES))]


def _by_hand(random: Random, rules: list[Json]) -> list[Json]:
    """Return a few of the rules in another order and to other queues, like a tenant before its
    first plan.
    """
    retained = random.sample(rules, min(len(rules), random.randint(3, 12)))
    return [
        {**item, "priority": place, "targets": _goes(random)}
        for place, item in enumerate(retained)
    ]


def _minimum(random: Random, rules: list[Json]) -> list[Json]:
    before, after = random.sample((0.5, 0.6, 0.7), 2)
    old, new = (
        attribute("conf", "greaterThanOrEqual", value) for value in (before, after)
    )
    return [
        {
            **rule,
            "conditions": [new if part == old else part for part in rule["conditions"]],
        }
        for rule in rules
    ]


def _last(random: Random, rules: list[Json]) -> list[Json]:
    remaining_items = [rule for rule in rules if rule["conditions"]]
    return random.choice(
        (
            remaining_items,
            [*remaining_items, rule("catch-all", 900, [], random.choice(_QUEUES))],
        )
    )


def _deleted(random: Random, rules: list[Json]) -> list[Json]:
    removed = {
        item["id"]
        for item in random.sample(rules, min(len(rules) - 1, random.randint(1, 5)))
    }
    return [rule for rule in rules if rule["id"] not in removed]


def _split(random: Random, rules: list[Json]) -> list[Json]:
    extra = random.choice(
        (
            attribute("language", "equals", random.choice(LANGUAGES)),
            attribute("tier", "equals", random.choice(TIERS)),
        )
    )
    retained = f"s{len(rules)}-{random.randrange(10**6)}"
    conditions = [
        extra,
        *(
            [attribute("conf", "greaterThanOrEqual", 0.6)]
            if random.random() < 0.5
            else []
        ),
    ]
    return [
        *rules,
        rule(retained, random.choice((5, 50, 800)), conditions, _goes(random)),
    ]


def _retargeted(random: Random, rules: list[Json]) -> list[Json]:
    chosen = {
        item["id"]
        for item in random.sample(rules, min(len(rules), random.randint(1, 8)))
    }
    return [
        {**rule, "targets": _goes(random)} if rule["id"] in chosen else rule
        for rule in rules
    ]


def _moved(random: Random, rules: list[Json]) -> list[Json]:
    chosen = {
        item["id"]
        for item in random.sample(rules, min(len(rules), random.randint(1, 3)))
    }
    return [
        {**rule, "priority": random.choice((1, 15, 500))}
        if rule["id"] in chosen
        else rule
        for rule in rules
    ]


def generate_tangled_pair(random: Random) -> RulePair:
    """Return two short lists of rules with conditions on five attributes, one of them a number."""
    evaluation: Evaluation = (
        "highest-first" if random.random() < 0.4 else "lowest-first"
    )
    old = [_tangled(random, f"k{number}") for number in range(random.randint(2, 6))]
    new = [item for item in old if random.random() < 0.6]
    new += [_tangled(random, f"n{number}") for number in range(random.randint(1, 4))]
    return RulePair(old, new, evaluation)


def _tangled(random: Random, key: str) -> Json:
    conditions = []
    for name in random.sample(
        ("intent", "a2", "a3", "a4"), random.choice((0, 1, 1, 2, 2, 3))
    ):
        operator = random.choice(
            ("equals", "notEquals", "in", "exists", "notExists", "startsWith")
        )
        value = {"in": random.sample("pqr", 2), "exists": None, "notExists": None}.get(
            operator, random.choice("pqr")
        )
        conditions.append(attribute(name, operator, value))
    if random.random() < 0.4:
        low = random.choice((0.3, 0.5, 0.6))
        requested = random.choice(
            (
                ("between", [low, 0.7]),
                ("equals", 0.7),
                ("greaterThan", low),
                ("notEquals", low),
            )
        )
        conditions.append(attribute("conf", *requested))
    return rule(key, random.choice((1, 2, 3)), conditions, _goes(random))


def generate_renamed_pair(random: Random) -> RulePair:
    """Return two lists of rules with few priorities, in which rules swap or change their names or
    ids, and equal edits come with other names.
    """
    evaluation: Evaluation = (
        "highest-first" if random.random() < 0.4 else "lowest-first"
    )
    old = [_tangled(random, f"k{number}") for number in range(random.randint(3, 7))]
    new = old
    for number in range(random.randint(1, 3)):
        change = random.choice((_swapped, _exchanged, _renamed, _replaced, _equal))
        new = change(random, new, f"{number}")
    return RulePair(old, new, evaluation)


def _swapped(random: Random, rules: list[Json], _word: str) -> list[Json]:
    """Swap the names of two rules."""
    first, second = random.sample(range(len(rules)), 2)
    names = {first: rules[second]["name"], second: rules[first]["name"]}
    return [
        {**rule, "name": names.get(place, rule["name"])}
        for place, rule in enumerate(rules)
    ]


def _exchanged(random: Random, rules: list[Json], word: str) -> list[Json]:
    """Swap the ids of two rules, or all but their ids."""
    first, second = random.sample(range(len(rules)), 2)
    ids = {first: rules[second]["id"], second: rules[first]["id"]}
    name = random.choice(("", f"x{word}"))
    return [
        {**rule, "id": ids[place], "name": f"{name}{rule['name']}"}
        if place in ids
        else rule
        for place, rule in enumerate(rules)
    ]


def _renamed(random: Random, rules: list[Json], word: str) -> list[Json]:
    chosen = random.randrange(len(rules))
    name = f"{random.choice('ajz')}{word}"
    return [
        {**rule, "name": name} if place == chosen else rule
        for place, rule in enumerate(rules)
    ]


def _replaced(random: Random, rules: list[Json], word: str) -> list[Json]:
    """Give a rule another name and id."""
    chosen = random.randrange(len(rules))
    key = f"{random.choice('ajz')}new{word}"
    return [
        {**rule, "id": key, "name": key} if place == chosen else rule
        for place, rule in enumerate(rules)
    ]


def _equal(random: Random, rules: list[Json], word: str) -> list[Json]:
    """Edit several rules equally, or add some; a part of them gets another name."""
    if random.random() < 0.3:
        new = [_tangled(random, f"n{word}{number}") for number in range(3)]
        alike = {name: new[0][name] for name in ("priority", "targets")}
        return [*rules, *({**rule, **alike} for rule in new)]
    field = random.choice(("priority", "targets", "enabled"))
    values = {
        "priority": random.choice((1, 2, 3)),
        "targets": _goes(random),
        "enabled": False,
    }
    chosen = set(random.sample(range(len(rules)), random.randint(2, len(rules))))
    return [
        {**rule, field: values[field], "name": _perhaps(random, rule["name"], word)}
        if place in chosen
        else rule
        for place, rule in enumerate(rules)
    ]


def _perhaps(random: Random, name: str, word: str) -> str:
    return name if random.random() < 0.5 else f"{random.choice('az')}{word}{name}"
