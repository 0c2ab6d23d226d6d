"""The regions of a difference agree with every representative input, on thousands of pairs of small
lists.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.impact import Impact
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES, check_bounded, check_difference
from tests.support.cases import each_case
from tests.support.random_rules import (
    PAIRS,
    SKILL,
    Evaluation,
    RulePair,
    a_list,
    a_pair,
    attribute,
    entries,
    queue,
    rule,
)
from tests.tiers import size

BLOCKS = 32
SIZE = size(fast=20, slow=100, full=200)
"""Pairs of lists in each block."""


def document(
    old: list[Json], new: list[Json], evaluation: Evaluation = "lowest-first"
) -> Json:
    return impact_to_json(
        Impact(compare_behaviour(entries(old), entries(new), evaluation)), QUEUES
    )


def check(pair: RulePair) -> None:
    check_difference(
        pair.old,
        pair.new,
        document(pair.old, pair.new, pair.evaluation),
        pair.evaluation,
    )


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_regions_are_sound_complete_and_disjoint(block: int) -> None:
    """An input moves as stated exactly when one region has it, and no input is in two; each example
    confirms it.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(a_pair(Random(seed), 5 if seed % 4 else 9))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(pair=PAIRS)
def test_regions_hold_for_pairs_that_shrink(pair: RulePair) -> None:
    """The same for pairs that hypothesis reduces when they fail."""
    check(pair)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(12))
def test_a_limited_difference_reports_undecided_conversations(block: int) -> None:
    """With little work regions are still correct, and every other input that moves is in
    `undecided`.
    """
    for seed in range(block * 20, (block + 1) * 20):
        pair = a_pair(Random(f"bound {seed}"), 8)
        actual = compare_behaviour(
            entries(pair.old), entries(pair.new), pair.evaluation, work=seed % 7 * 100
        )
        check_bounded(
            pair.old, pair.new, impact_to_json(Impact(actual), QUEUES), pair.evaluation
        )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(8))
def test_a_list_does_not_differ_from_itself(block: int) -> None:
    """Another order of the list, new priorities in the same order, and multiplied weights move no
    conversation.
    """
    for seed in range(block * 25, (block + 1) * 25):
        old = a_list(Random(seed), 6)
        new = [
            {
                **item,
                "priority": item["priority"] * 10,
                "targets": scaled(item["targets"]),
            }
            for item in reversed(old)
        ]
        actual = document(old, new)
        assert (False, True, [], []) == tuple(
            actual[name] for name in ("changed", "complete", "effects", "regions")
        ), old


def scaled(targets: list[Json]) -> list[Json]:
    return (
        targets
        if SKILL in targets
        else [{**target, "weight": target["weight"] * 8} for target in targets]
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(8))
def test_a_difference_from_an_empty_list_is_all_that_a_list_takes(block: int) -> None:
    """The default takes all inputs of an empty list, so exactly the inputs of the list move, in
    both directions.
    """
    for seed in range(block * 25, (block + 1) * 25):
        item = a_list(Random(seed), 5)
        check_difference([], item, document([], item))
        check_difference(item, [], document(item, []))


BILLING = attribute("intent", "equals", "billing")
SURE = attribute("conf", "greaterThanOrEqual", 0.7)


def test_the_region_of_a_deleted_rule_has_its_conditions() -> None:
    """The region names the deleted rule before the change, and the default after it."""
    actual = document([rule("k", 1, [BILLING], "A")], [])
    assert actual["changed"] is True
    (region,) = actual["regions"]
    plain = {key: BILLING[key] for key in ("attributeName", "operator", "value")}
    assert [plain] == [
        {key: value for key, value in item.items() if key != "type"}
        for item in region["where"]
    ]
    assert region["except"] == []
    assert {
        "queues": [{"queueId": "A", "queueName": "Queue A", "share": 1.0}]
    } == region["before"]
    assert ({"default": True}, {"intent": "billing"}) == (
        region["after"],
        region["witness"],
    )
    assert ("set/k", None) == (region["beforeRule"], region["afterRule"])


DIRECTED: dict[str, tuple[list[Json], list[Json]]] = {
    "a shadowed rule moves, and the rule that shadows it": (
        [rule("top", 1, [BILLING], "A"), rule("low", 2, [BILLING, SURE], "B")],
        [rule("low", 1, [BILLING, SURE], "B"), rule("top", 2, [BILLING], "A")],
    ),
    "the confidence at which a rule starts": (
        [rule("k", 1, [BILLING, SURE], "A"), rule("all", 9, [], "B")],
        [
            rule("k", 1, [BILLING, attribute("conf", "greaterThanOrEqual", 0.5)], "A"),
            rule("all", 9, [], "B"),
        ],
    ),
    "a split whose weights change": (
        [rule("k", 1, [BILLING], [queue("A", 1), queue("B", 3)])],
        [rule("k", 1, [BILLING], [queue("A", 3), queue("B", 9), queue("C", 1)])],
    ),
    "no weight is not the default": ([rule("k", 1, [BILLING], [queue("A", 0)])], []),
    "one rule becomes two": (
        [rule("k", 1, [attribute("intent", "in", ["a", "b"])], "A")],
        [
            rule("k", 1, [attribute("intent", "equals", "a")], "A"),
            rule("l", 2, [attribute("intent", "equals", "b")], "C"),
        ],
    ),
    "an enabled rule below one that is disabled": (
        [rule("k", 1, [], "A"), rule("l", 2, [BILLING], "B")],
        [rule("k", 1, [], "A", enabled=False), rule("l", 2, [BILLING], "B")],
    ),
}


@each_case("evaluation", ["lowest-first", "highest-first"])
@each_case("name", DIRECTED)
def test_directed_differences(name: str, evaluation: Evaluation) -> None:
    """Typical changes, in both orders of evaluation and both directions."""
    old, new = DIRECTED[name]
    check_difference(old, new, document(old, new, evaluation), evaluation)
    check_difference(new, old, document(new, old, evaluation), evaluation)


def test_a_region_names_the_assumed_unknown_condition() -> None:
    """The example contains the assumed truth value of the condition."""
    unknown = {"type": "schedule", "name": "nights"}
    old = [rule("k", 1, [unknown, BILLING], "A")]
    new = [rule("k", 1, [unknown, BILLING], "B")]
    actual = document(old, new)
    check_difference(old, new, actual)
    (region,) = actual["regions"]
    assert [{"condition": unknown, "holds": True}] == region["assumed"]
