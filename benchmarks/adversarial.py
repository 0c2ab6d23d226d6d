"""Adversarial lists of rules: each kind makes one relation between rules expensive to decide.

The lists are seeded and the same on every machine. `LISTS` maps a kind to the function that returns
its `count` rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from mix import INTENT, QUEUES, entry, intent_is

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.rule import Condition, Opaque, make_condition

Conditions = Sequence[Condition | Opaque]


def adversarial(kind: str, count: int, seed: int = 1) -> list[RoutingEntry]:
    """Return `count` rules of a kind, first-evaluated first; rules of the kind "ties" have one
    priority.
    """
    random = Random(f"{kind} {seed}")  # noqa: S311 - lists that are the same every time
    make = LISTS[kind]
    return [
        entry(
            number,
            1 if kind == "ties" else number + 1,
            make(random, number, count),
            random.choice(QUEUES),
        )
        for number in range(count)
    ]


def _pattern(operator: str, each: int) -> Callable[[Random, int, int], Conditions]:
    """Make rules that ask for `each` patterns of one operator, none of which implies another."""

    def make(_random: Random, number: int, _count: int) -> Conditions:
        return [
            make_condition(INTENT, operator, f"<{number}.{place}>")
            for place in range(each)
        ]

    return make


def _short_patterns(random: Random, _number: int, _count: int) -> Conditions:
    """Ask for patterns many of which imply each other."""
    operators = (
        "contains",
        "startsWith",
        "endsWith",
        "notContains",
        "notStartsWith",
        "notEndsWith",
    )
    return [
        make_condition(INTENT, random.choice(operators), _letters(random))
        for _ in range(random.randrange(1, 5))
    ]


def _patterns_of_many(random: Random, _number: int, _count: int) -> Conditions:
    """Exclude a pattern on each of three of ten attributes."""
    return [
        make_condition(
            f"text{place}", random.choice(("contains", "notContains")), _letters(random)
        )
        for place in random.sample(range(10), 3)
    ]


def _excluded_of_many(_random: Random, number: int, _count: int) -> Conditions:
    """Exclude a pattern of its own on each of three of ten attributes."""
    return [
        make_condition(f"text{(number + place) % 10}", "notContains", f"<{number}>")
        for place in (0, 3, 7)
    ]


def _letters(random: Random) -> str:
    return "".join(random.choice("abc") for _ in range(random.randrange(1, 5)))


def _denied(_random: Random, number: int, _count: int) -> Conditions:
    return [
        make_condition(INTENT, "notEquals", f"intent-{number}"),
        make_condition("channel", "equals", f"c{number % 7}"),
    ]


def _denied_sets(random: Random, _number: int, count: int) -> Conditions:
    values = [
        f"intent-{value}" for value in random.sample(range(count), min(20, count))
    ]
    return [
        make_condition(INTENT, "notIn", values),
        make_condition("channel", "notEquals", f"c{random.randrange(count)}"),
    ]


def _sets(random: Random, _number: int, count: int) -> Conditions:
    values = [
        f"intent-{value}" for value in random.sample(range(count), min(100, count))
    ]
    return [
        make_condition(INTENT, "in", values),
        make_condition("x", "lessThan", random.random()),
    ]


def _unknown(number: object) -> Opaque:
    return Opaque(f'{{"name":"schedule-{number}","type":"schedule"}}')


def _own_unknown(_random: Random, number: int, _count: int) -> Conditions:
    return [_unknown(number)]


def _unknown_of_few(random: Random, _number: int, _count: int) -> Conditions:
    """Ask for three of 30 conditions that are not understood."""
    return [_unknown(name) for name in random.sample(range(30), 3)]


def _own_attribute(_random: Random, number: int, _count: int) -> Conditions:
    return [
        make_condition(f"attribute-{number}", "equals", "yes"),
        make_condition(f"attribute-{number + 1}", "notEquals", "no"),
    ]


def _own_absence(_random: Random, number: int, _count: int) -> Conditions:
    return [make_condition(f"attribute-{number}", "notExists", None)]


def _boxes(random: Random, _number: int, _count: int) -> Conditions:
    """Ask for a range on four of ten numeric attributes."""
    conditions = []
    for place in random.sample(range(10), 4):
        low = random.random()
        conditions.append(
            make_condition(
                f"x{place}",
                "between",
                [round(low, 4), round(low + random.uniform(0.1, 0.6), 4)],
            )
        )
    return conditions


def _clauses(random: Random, _number: int, _count: int) -> Conditions:
    """Ask for one of two values on three of 40 attributes: a formula in conjunctive normal form."""
    return [
        make_condition(f"b{place}", "equals", random.choice("01"))
        for place in random.sample(range(40), 3)
    ]


def _ties(random: Random, number: int, _count: int) -> Conditions:
    return [
        make_condition(f"x{number % 3}", "lessThan", random.random()),
        make_condition(INTENT, "notContains", f"<{number}>"),
    ]


def _mixed(random: Random, number: int, count: int) -> Conditions:
    """Ask what rules of one or two other kinds ask."""
    kinds = random.sample(
        (
            "exclusions",
            "short-patterns",
            "denied-sets",
            "own-unknown",
            "own-attribute",
            "boxes",
        ),
        2,
    )
    conditions = [item for kind in kinds for item in LISTS[kind](random, number, count)]
    return (
        conditions if random.random() < 0.5 else [intent_is(number % 50), *conditions]
    )


LISTS: Final[dict[str, Callable[[Random, int, int], Conditions]]] = {
    "exclusions": _pattern("notContains", 1),
    "exclusions-5": _pattern("notContains", 5),
    "exclusions-20": _pattern("notContains", 20),
    "contains": _pattern("contains", 1),
    "contains-5": _pattern("contains", 5),
    "starts": _pattern("startsWith", 1),
    "short-patterns": _short_patterns,
    "patterns-of-many": _patterns_of_many,
    "excluded-of-many": _excluded_of_many,
    "denied": _denied,
    "denied-sets": _denied_sets,
    "sets": _sets,
    "own-unknown": _own_unknown,
    "unknown-of-few": _unknown_of_few,
    "own-attribute": _own_attribute,
    "own-absence": _own_absence,
    "boxes": _boxes,
    "clauses": _clauses,
    "ties": _ties,
    "mixed": _mixed,
}
