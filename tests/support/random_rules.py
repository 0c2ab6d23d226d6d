"""Small random lists of rules: every operator, values of every type, ties, contradictions, and
edits of them.

Random values come from a `random.Random`: a seeded one, or that of hypothesis, which shrinks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final, Literal

from hypothesis import strategies as st

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.operators import OPERATORS
from reconciler.core.model.rule import (
    Condition,
    Opaque,
    Rule,
    Target,
    make_condition,
    make_opaque,
    normalized_conditions,
    sorted_targets,
)
from tests.support.brute_force import Json, Move

Evaluation = Literal["lowest-first", "highest-first"]

TEXTS: Final = ("a", "b", "ab", "x", "true", "0.5", "")
PIECES: Final = ("a", "ab", "b", "ba", "")
NUMBERS: Final = (0.5, 0, 1, 0.7, 2, -1, 0.95, 0.9500000000000001)
NUMERALS: Final = (*NUMBERS, "0.5", "1", "-1", "7e-1")
MIXED: Final = ("a", 1, "1", True, "true", 0.5, "0.5", "ab", False, 1.0)
UNKNOWN: Final = (
    {
        "type": "attribute",
        "attributeName": "intent",
        "operator": "matches",
        "value": "a.*",
    },
    {"type": "schedule", "name": "nights"},
    {
        "type": "attribute",
        "attributeName": "conf",
        "operator": "lessThan",
        "value": "many",
    },
)
SKILL: Final = {"type": "skill", "skillId": "s"}
ODD: Final = (
    "aba",
    "~",
    "\x00",
    "é",
    "-",
    " ",
    "other",
    "-_",
    2**53,
    2**53 + 1,
    2.0**53 + 2,
    5e-324,
    1e15,
    -0.0,
    10**20,
)
ODD_PIECES: Final = ("ab", "ba", "-", "_", "\x00", "o", "r", "~", "é")
ODD_NUMBERS: Final = (
    0,
    -0.0,
    5e-324,
    1e-9,
    2**53,
    2**53 + 1,
    2.0**53 + 2,
    1e15,
    -1e15,
    10**20,
    1e20,
)
KINDS: Final = {
    "intent": (TEXTS, PIECES, NUMERALS),
    "conf": (NUMBERS, PIECES, NUMERALS),
    "any": (MIXED, PIECES, NUMERALS),
    "said": (("ab", "aba"), PIECES[:4], NUMERALS),
    "odd": (ODD, ODD_PIECES, ODD_NUMBERS),
}
"""Attribute to the values of `equals` and `in`, of patterns, and of numeric operators."""
SOME: Final = ("intent", "conf", "any")
PRIORITIES: Final = (1, 2, 3, 4, 4, 5)


@dataclass(frozen=True)
class RulePair:
    """Two lists of rules; rules of one id are one rule before and after."""

    old: list[Json]
    new: list[Json]
    evaluation: Evaluation

    @property
    def moves(self) -> list[Move]:
        """Return each rule that changes."""
        old, new = (
            {rule["id"]: rule for rule in rules} for rules in (self.old, self.new)
        )
        ids = dict.fromkeys([*old, *new])
        return [
            (old.get(item), new.get(item))
            for item in ids
            if old.get(item) != new.get(item)
        ]

    @property
    def fixed(self) -> list[Json]:
        """Return the rules that do not change."""
        return [rule for rule in self.old if rule in self.new]

    @property
    def opaque(self) -> bool:
        """Return whether a condition is not understood."""
        return any(
            part in UNKNOWN
            for rule in (*self.old, *self.new)
            for part in rule["conditions"]
        )


def chance(random: Random, share: float) -> bool:
    return random.random() > 1 - share


def attribute(name: str, operator: str, value: Any = None) -> Json:
    return {
        "type": "attribute",
        "attributeName": name,
        "operator": operator,
        "value": value,
    }


def queue(name: str, weight: float = 1) -> Json:
    return {"type": "queue", "queueId": name, "weight": weight}


def rule(
    key: str,
    priority: float,
    conditions: Iterable[Json],
    to: str | Iterable[Json],
    **more: Any,
) -> Json:
    """A rule in the API's form; a target given as letters is that queue with weight 1."""
    targets = [queue(to)] if isinstance(to, str) else list(to)
    plain = {"id": key, "name": key, "enabled": True, "priority": priority}
    return {**plain, "conditions": list(conditions), "targets": targets, **more}


def a_condition(random: Random, names: tuple[str, ...]) -> Json:
    if chance(random, 0.03):
        return random.choice(UNKNOWN)
    name = random.choice(names)
    texts = ("equals", "in", "contains", "startsWith", "endsWith", "equals", "in")
    numbers = (
        "greaterThanOrEqual",
        "lessThan",
        "between",
        "greaterThan",
        "lessThanOrEqual",
        "equals",
        "in",
    )
    declared = {"intent": texts, "conf": numbers, "said": texts[1:5]}
    operator = random.choice(declared.get(name, (*texts, *numbers)))
    negative = f"not{operator[0].upper()}{operator[1:]}"
    if negative in OPERATORS and chance(random, 0.3):
        operator = negative
    if chance(random, 0.08):
        return attribute(name, random.choice(("exists", "notExists")))
    return attribute(name, operator, a_value(random, operator, name))


def a_value(random: Random, operator: str, name: str) -> Any:
    kind, pieces, numerals = KINDS[name]
    if operator in ("in", "notIn"):
        return [
            random.choice(kind) for _ in range(random.choice((2, 1, 2, 3, 3, 4, 0)))
        ]
    if operator == "between":
        low = random.choice(numerals)
        high = random.choice(numerals)
        return (
            [high, low]
            if float(low) > float(high) and not chance(random, 0.1)
            else [low, high]
        )
    if operator in ("equals", "notEquals"):
        return random.choice(kind)
    return random.choice(pieces if operator.endswith(("ontains", "With")) else numerals)


def a_destination(random: Random) -> list[Json]:
    if not chance(random, 0.25):
        return [queue(random.choice("ABC"), random.choice((1, 7)))]
    splits: tuple[list[Json], ...] = (
        [queue("A", 1), queue("B", 1)],
        [queue("A", 2), queue("B", 2)],
        [queue("A", 1), queue("A", 0.5), queue("B", 1.5)],
        [queue("A", 1), queue("B", 0)],
        [queue("A", 0.1), queue("B", 0.2)],
        [queue("A", 0)],
        [],
        [SKILL],
        [SKILL, queue("A", 1)],
    )
    return random.choice(splits)


def a_rule(random: Random, key: str, names: tuple[str, ...]) -> Json:
    expected = 0 if chance(random, 0.08) else random.choice((1, 1, 1, 1, 2, 2, 3))
    conditions = [a_condition(random, names) for _ in range(expected)]
    name = random.choice("pq") if chance(random, 0.05) else f"rule {key}"
    further = {"name": name, "enabled": not chance(random, 0.08)}
    return rule(
        key, random.choice(PRIORITIES), conditions, a_destination(random), **further
    )


def a_list(random: Random, most: int) -> list[Json]:
    names = random.choice(
        (
            *((name,) for name in KINDS),
            ("intent", "conf"),
            ("intent", "conf"),
            ("intent", "conf", "any"),
        )
    )
    rules = [a_rule(random, f"k{at}", names) for at in range(random.randint(1, most))]
    return [
        complementary(random, rule, random.choice(rules))
        if chance(random, 0.2)
        else rule
        for rule in rules
    ]


COMPLEMENTS: Final = {
    "lessThan": "greaterThanOrEqual",
    "lessThanOrEqual": "greaterThan",
    "exists": "notExists",
}


def complementary(random: Random, one: Json, other: Json) -> Json:
    """Return a rule that matches the rest of another rule, if both have a condition: together they
    hide others.
    """
    plain = [part for part in other["conditions"] if part["type"] == "attribute"]
    if not plain:
        return one
    part = random.choice(plain)
    declared = {**COMPLEMENTS, **{new: old for old, new in COMPLEMENTS.items()}}
    denied = part["operator"][3:4].lower() + part["operator"][4:]
    negative = f"not{part['operator'][0].upper()}{part['operator'][1:]}"
    operator = declared.get(
        part["operator"], negative if negative in OPERATORS else denied
    )
    return (
        {**one, "conditions": [{**part, "operator": operator}]}
        if operator in OPERATORS
        else one
    )


def edited(random: Random, rules: list[Json]) -> list[Json]:
    """Return the rules after one change of one kind; the input list is not changed."""
    at = random.randrange(len(rules))
    candidate = random.randrange(len(rules))
    item = rules[at]
    two = rules[candidate]
    actual = list(rules)
    kind = random.choice(
        (*ONE_RULE, "swap", "trade", "split", "merge", "add", "delete", "names")
    )
    if kind in ONE_RULE:
        actual[at] = _changed(random, kind, item)
    elif kind in ("swap", "trade", "names"):
        key = {"swap": "priority", "trade": "conditions", "names": "name"}[kind]
        actual[at], actual[candidate] = {**item, key: two[key]}, {**two, key: item[key]}
    elif kind == "split":
        extra = a_condition(random, SOME)
        actual[at] = {**item, "conditions": [*item["conditions"], extra]}
        actual.append({**item, "id": unused(rules), "name": f"{item['name']} s"})
    elif kind == "merge":
        actual[at] = {
            **item,
            "conditions": [
                part for part in item["conditions"] if part in two["conditions"]
            ],
        }
        actual = [each for each in actual if each is not two or at == candidate]
    elif kind == "add":
        actual.append(a_rule(random, unused(rules), SOME))
    else:
        actual.remove(item)
    return actual


def unused(rules: list[Json]) -> str:
    ids = {rule["id"] for rule in rules}
    return next(item for item in map("n{}".format, count()) if item not in ids)


ONE_RULE: Final = ("retarget", "move", "rename", "switch", "narrow", "change")


def _changed(random: Random, kind: str, one: Json) -> Json:
    return {
        "retarget": lambda: {**one, "targets": a_destination(random)},
        "move": lambda: {**one, "priority": random.choice(PRIORITIES)},
        "rename": lambda: {**one, "name": f"{one['name']}'"},
        "switch": lambda: {**one, "enabled": not one["enabled"]},
        "narrow": lambda: {
            **one,
            "conditions": [*one["conditions"], a_condition(random, SOME)],
        },
        "change": lambda: {
            **one,
            "conditions": [a_condition(random, SOME) for _ in one["conditions"]],
        },
    }[kind]()


def a_pair(random: Random, most: int = 5) -> RulePair:
    """Two lists: usually one and its result after a few edits, otherwise two that share only
    ids.
    """
    evaluation: Evaluation = "highest-first" if chance(random, 0.25) else "lowest-first"
    old = a_list(random, most)
    if chance(random, 0.2):
        return RulePair(old, a_list(random, most), evaluation)
    new = old
    for _ in range(random.choice((1, 2, 2, 3, 4))):
        new = edited(random, new) if new else a_list(random, most)
    return RulePair(old, new, evaluation)


PAIRS: Final = st.builds(a_pair, st.randoms(use_true_random=False), st.just(4))
LISTS: Final = st.builds(a_list, st.randoms(use_true_random=False), st.just(5))


# in the package's form


def entry(form: Json) -> RoutingEntry:
    conditions = normalized_conditions(map(_condition, form["conditions"]))
    targets = sorted_targets(map(_target, form["targets"]))
    read = Rule(
        name=form["name"],
        description="",
        priority=form["priority"],
        enabled=form["enabled"],
        conditions=conditions,
        targets=targets,
    )
    return RoutingEntry(name=f"set/{form['id']}", rule=read, id=form["id"])


def entries(forms: Iterable[Json]) -> list[RoutingEntry]:
    return [entry(form) for form in forms]


def _condition(form: Json) -> Condition | Opaque:
    try:
        if form["type"] == "attribute":
            return make_condition(
                form["attributeName"], form["operator"], form.get("value")
            )
    except ValueError:
        pass
    return make_opaque(form)


def _target(form: Json) -> Target | Opaque:
    return (
        Target(form["queueId"], form["weight"])
        if form["type"] == "queue"
        else make_opaque(form)
    )
