"""Facts about one list of rules agree with every representative input."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings

from reconciler.core.behaviour.facts.rule_facts import RuleFacts, analyze_slices
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.rule import Condition, to_api_json
from tests.support.brute_force import (
    Json,
    Universe,
    destination,
    in_routing_order,
    inputs_for,
    matches,
)
from tests.support.brute_force_checks import completions, rules_text
from tests.support.cases import each_case
from tests.support.facts import analyze_rules
from tests.support.random_rules import (
    LISTS,
    Evaluation,
    a_list,
    attribute,
    entries,
    rule,
)
from tests.tiers import size

BLOCKS = 26
SIZE = 120
Key = TypeVar("Key")


class Truth:
    """The facts about a list according to every representative input."""

    def __init__(self, rules: list[Json], evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.universe = inputs_for(rules)
        self.rules = {item["id"]: item for item in in_routing_order(rules, evaluation)}
        self.matched = {
            key: self.universe.matched(rule) for key, rule in self.rules.items()
        }
        self.won = {
            item["id"]: bits
            for item, bits in self.universe.wins(rules, evaluation)
            if item
        }
        self.report = f"{evaluation}\n{rules_text(rules)}\n"

    def instead(self, key: str) -> set[str | None]:
        """Return the rules that take the inputs of a rule, if that rule is removed."""
        remaining_items = [rule for rule in self.rules.values() if rule["id"] != key]
        wins = self.universe.wins(remaining_items, self.evaluation)
        return {
            None if item is None else item["id"]
            for item, bits in wins
            if bits & self.won[key]
        }

    def redundant(self) -> set[str]:
        """Return the rules that win an input and whose inputs would all have the same destination
        without them.
        """
        return {
            key
            for key, rule in self.rules.items()
            if self.won[key]
            and all(
                candidate and destination(self.rules[candidate]) == destination(rule)
                for candidate in self.instead(key)
            )
        }

    def ties(self) -> set[frozenset[str]]:
        """Return the pairs whose undefined order decides the destination of some input."""
        may_win = [
            (item, bits)
            for item, bits in self.universe.may_win(
                self.rules.values(), self.evaluation
            )
            if item
        ]
        return {
            frozenset((item["id"], candidate["id"]))
            for item, bits in may_win
            for candidate, further in may_win
            if bits & further
            and item["priority"] == candidate["priority"]
            and destination(item) != destination(candidate)
        }


def check(rules: list[Json], evaluation: Evaluation = "lowest-first") -> None:
    truth = Truth(rules, evaluation)
    facts = analyze_rules(entries(rules), evaluation)
    never = {key for key in truth.rules if not truth.matched[key]}
    assert never == unique(item.entry.id for item in facts.contradictory), truth.report
    shadowed = {key for key in truth.rules if truth.matched[key] and not truth.won[key]}
    assert shadowed == unique(item.entry.id for item in facts.shadowed), truth.report
    assert truth.redundant() == unique(item.entry.id for item in facts.redundant), (
        truth.report
    )
    assert truth.ties() == unique(
        frozenset((tie.first.id, tie.second.id)) for tie in facts.ties
    ), truth.report
    check_contradictions(truth, facts)
    check_covers(truth, facts)
    check_ties(truth, facts)
    assert facts.undecided == (), truth.report
    for one in facts.redundant:
        assert truth.instead(one.entry.id) == unique(
            other_replacement.id for other_replacement in one.replacements
        ), truth.report


def unique(keys: Iterable[Key]) -> set[Key]:
    """Return the items as a set, after asserting that each occurs once."""
    actual = list(keys)
    assert len(set(actual)) == len(actual), actual
    return set(actual)


def check_contradictions(truth: Truth, facts: RuleFacts) -> None:
    """The conditions of a rule that never matches contradict each other, and no proper subset of
    them does.
    """
    for one in facts.contradictory:
        stated = [to_api_json(part) for part in one.conditions]
        assert set(one.conditions) <= set(one.entry.rule.conditions), truth.report
        assert contradict(truth.universe, stated), (truth.report, stated)
        for at in range(len(stated)):
            assert not contradict(truth.universe, stated[:at] + stated[at + 1 :]), (
                truth.report,
                stated,
            )


def contradict(universe: Universe, conditions: list[Json]) -> bool:
    return not universe.all_of(conditions)


def check_covers(truth: Truth, facts: RuleFacts) -> None:
    """The rules that shadow another one come before it, cover it together, and none of them is
    superfluous.
    """
    before = {key: set(list(truth.rules)[:at]) for at, key in enumerate(truth.rules)}
    for one in facts.shadowed:
        by = unique(candidate.id for candidate in one.shadowing)
        assert by <= before[one.entry.id], truth.report
        for left_out in (None, *by):
            remaining = truth.matched[one.entry.id]
            for key in by - {left_out}:
                remaining &= ~truth.matched[key]
            assert bool(remaining) is (left_out is not None), (
                truth.report,
                one.entry.id,
                by,
                left_out,
            )


def check_ties(truth: Truth, facts: RuleFacts) -> None:
    """The first rule of a tie is evaluated first; both match its example, which no rule of a better
    priority takes.
    """
    order = list(truth.rules)
    for tie in facts.ties:
        first = truth.rules[tie.first.id]
        second = truth.rules[tie.second.id]
        assert order.index(first["id"]) < order.index(second["id"]), truth.report
        earlier = [truth.rules[key] for key in order[: order.index(first["id"])]]
        higher = [item for item in earlier if item["priority"] != first["priority"]]
        for assumed in completions(truth.universe, tie.example.assumed):
            one = (tie.example.attributes, assumed)
            taking = (
                matches(first, one),
                matches(second, one),
                any(matches(candidate, one) for candidate in higher),
            )
            assert (True, True, False) == taking, (truth.report, tie)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_facts_are_exactly_right(block: int) -> None:
    """The rules that never match, never win, are redundant, or have ties that matter are named, and
    no others.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"lint {seed}")
        check(a_list(random, 6), random.choice(("lowest-first", "highest-first")))


@pytest.mark.generated
@settings(
    max_examples=size(fast=30, slow=75, full=150), deadline=None, derandomize=True
)
@given(rules=LISTS)
def test_facts_hold_for_lists_that_shrink(rules: list[Json]) -> None:
    """The same for lists that hypothesis reduces when they fail."""
    check(rules)


INTENT = attribute("intent", "equals", "a")
LOW = attribute("conf", "lessThan", 0.5)
HIGH = attribute("conf", "greaterThanOrEqual", 0.5)
UNKNOWN = {"type": "schedule", "name": "nights"}


def named(facts: RuleFacts) -> dict[str, list[tuple[str, ...]]]:
    return {
        "never": [(item.entry.id,) for item in facts.contradictory],
        "shadowed": [
            (item.entry.id, *sorted(candidate.id for candidate in item.shadowing))
            for item in facts.shadowed
        ],
        "redundant": [
            (
                item.entry.id,
                *sorted(
                    other_replacement.id for other_replacement in item.replacements
                ),
            )
            for item in facts.redundant
        ],
        "ties": [(tie.first.id, tie.second.id) for tie in facts.ties],
    }


DIRECTED: dict[str, tuple[list[Json], dict[str, list[tuple[str, ...]]]]] = {
    "two rules, absence and any text hide another together": (
        [
            rule("low", 1, [LOW], "A"),
            rule("high", 2, [HIGH], "A"),
            rule("none", 3, [attribute("conf", "notExists")], "A"),
            rule("text", 3, [attribute("conf", "contains", "")], "A"),
            rule("hidden", 4, [INTENT], "B"),
        ],
        {"shadowed": [("hidden", "high", "low", "none", "text")]},
    ),
    "a text is not above, not below and not missing": (
        [
            rule("low", 1, [LOW], "A"),
            rule("high", 2, [HIGH], "A"),
            rule("none", 3, [attribute("conf", "notExists")], "A"),
            rule("seen", 4, [INTENT], "B"),
        ],
        {},
    ),
    "a missing attribute is not above and not below": (
        [
            rule("low", 1, [LOW], "A"),
            rule("high", 2, [HIGH], "A"),
            rule("seen", 3, [INTENT], "B"),
        ],
        {},
    ),
    "between two ends the wrong way round": (
        [rule("k", 1, [INTENT, attribute("conf", "between", [1, 0])], "A")],
        {"never": [("k",)]},
    ),
    "the same queue follows": (
        [rule("k", 1, [INTENT], "A"), rule("all", 2, [], "A")],
        {"redundant": [("k", "all")]},
    ),
    "a tie that matters": (
        [rule("k", 1, [INTENT], "A"), rule("l", 1, [LOW], "B")],
        {"ties": [("k", "l")]},
    ),
    "a tie of one destination": (
        [rule("k", 1, [INTENT], "A"), rule("l", 1, [LOW], "A")],
        {},
    ),
    "a tie above which another takes all": (
        [
            rule("top", 0, [INTENT, LOW], "C"),
            rule("k", 1, [INTENT], "A"),
            rule("l", 1, [LOW], "B"),
        ],
        {},
    ),
    "a tie in the one value that a rule about all others leaves": (
        [
            rule("top", 0, [attribute("intent", "notEquals", "a")], "C"),
            rule("k", 1, [attribute("intent", "exists")], "A"),
            rule("l", 1, [attribute("intent", "contains", "")], "B"),
            *(
                rule(item, 9, [attribute("intent", "equals", item)], "C")
                for item in "abcd"
            ),
        ],
        {
            "shadowed": [("l", "k"), ("a", "k"), *((item, "top") for item in "bcd")],
            "ties": [("k", "l")],
        },
    ),
    "an unknown condition may hold and may not": (
        [
            rule("k", 1, [UNKNOWN], "A"),
            rule("l", 2, [INTENT], "B"),
            rule("m", 3, [UNKNOWN, INTENT], "C"),
        ],
        {"shadowed": [("m", "k")]},
    ),
}


@each_case("name", DIRECTED)
def test_directed_facts(name: str) -> None:
    """Each kind of fact, and a similar case that is not one."""
    rules, expected = DIRECTED[name]
    nothing: dict[str, list[tuple[str, ...]]] = {
        "never": [],
        "shadowed": [],
        "redundant": [],
        "ties": [],
    }
    assert nothing | expected == named(analyze_rules(entries(rules)))
    check(rules)


def test_conditions_that_contradict_are_named_alone() -> None:
    """Of three conditions two contradict each other, and the third is not named."""
    (never,) = analyze_rules(
        entries([rule("k", 1, [INTENT, LOW, HIGH], "A")])
    ).contradictory
    assert {"conf"} == {
        part.attribute for part in never.conditions if isinstance(part, Condition)
    }
    assert len(never.conditions) == 2


@pytest.mark.slow
def test_rules_covered_by_better_priorities_are_not_paired() -> None:
    """Of 200 rules of one priority, each for 60 intents that better priorities take, no two are
    compared.
    """
    intents = [f"i{number}" for number in range(60)]
    rules = [
        rule(name, 1, [attribute("intent", "equals", name)], "A") for name in intents
    ]
    rules += [
        rule(f"r{number}", 2, [attribute("intent", "in", intents)], f"Q{number}")
        for number in range(200)
    ]
    ordered = order_entries(entries(rules))
    space = Space((ordered,))
    before = space.budget.remaining
    actual = analyze_slices(PivotSlices(space, ordered))
    assert ((), 200) == (actual.ties, len(actual.shadowed))
    assert 200 * 200 * len(intents) >= before - space.budget.remaining
