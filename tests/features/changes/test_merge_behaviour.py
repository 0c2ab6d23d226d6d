"""The report of a merge agrees with every representative input, on thousands of small merges."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from reconciler.core.behaviour.endpoint_stage import common_types
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.features.changes.merge_behaviour import MergeBehaviour, check_merge
from reconciler.features.changes.merge_check import compared_stages
from reconciler.features.changes.merge_document import time_to_json
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES
from tests.support.endpoint_oracle import Behind, a_fallback, stage
from tests.support.merge_oracle import (
    VERSIONS,
    Quadruple,
    a_quadruple,
    oracle_behind,
    oracle_of,
    some_edits,
)
from tests.support.random_rules import Evaluation, a_list, attribute, entries, rule
from tests.tiers import size

BLOCKS = 30
SIZE = size(fast=10, slow=50, full=100)
"""Quadruples in each block."""


ORDERS: Final[tuple[Evaluation, ...]] = ("lowest-first", "highest-first")


def report(four: Quadruple, work: int | None = None) -> MergeBehaviour:
    lists = [order_entries(entries(rules), four.evaluation) for rules in four.versions]
    return check_merge(lists, work=work)


def document(four: Quadruple, work: int | None = None) -> Json:
    return time_to_json(report(four, work), QUEUES)


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_merge_report_is_exact_disjoint_and_complete(block: int) -> None:
    """An input that the merge sends elsewhere than expected is in one row, and no other one is."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        four = a_quadruple(Random(f"merge {seed}"), 4 if seed % 4 else 7)
        oracle_of(four).check(document(four))


@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(10))
def test_a_merge_report_is_exact_behind_fallbacks(block: int) -> None:
    """Each version has its own fallback of the endpoint, and the report is about events."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"fallback {seed}")
        four = a_quadruple(random, 3)
        fallbacks = [a_fallback(random) for _ in range(2)]
        chosen = [random.choice(fallbacks) for _ in VERSIONS]
        stages = compared_stages([stage(fallback) for fallback in chosen])
        lists = [
            order_entries(each.pull_back(entries(rules)), four.evaluation)
            for each, rules in zip(stages, four.versions, strict=True)
        ]
        actual = time_to_json(check_merge(lists, common_types(stages)), QUEUES)
        sides = [Behind(*each) for each in zip(four.versions, chosen, strict=True)]
        oracle_behind(sides, four.evaluation).check(actual)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(8))
def test_versions_may_differ_in_the_order_of_priorities(block: int) -> None:
    """A change of `api.evaluation` is a change like another one: each version has its own."""
    for seed in range(block * 10, (block + 1) * 10):
        random = Random(f"order {seed}")
        four = a_quadruple(random, 4)
        orders = [random.choice(ORDERS) for _ in VERSIONS]
        lists = [
            order_entries(entries(rules), order)
            for rules, order in zip(four.versions, orders, strict=True)
        ]
        actual = time_to_json(check_merge(lists), QUEUES)
        oracle_of(four, orders).check(actual)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(12))
def test_a_limited_report_says_what_is_not_decided(block: int) -> None:
    """With little work the rows are still exact, and every other input is in `unknown`."""
    incomplete = 0
    for seed in range(block * 20, (block + 1) * 20):
        four = a_quadruple(Random(f"bound {seed}"), 6)
        actual = document(four, work=seed % 7 * 500)
        oracle_of(four).check_bounded(actual)
        incomplete += not actual["complete"]
    assert incomplete


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(8))
def test_the_order_of_the_two_changes_does_not_matter(block: int) -> None:
    """With the two changes exchanged, the report has the same inputs and destinations."""
    for seed in range(block * 10, (block + 1) * 10):
        four = a_quadruple(Random(f"swap {seed}"), 5)
        sides = {"base": "base", "ours": "theirs", "theirs": "ours", "merged": "merged"}
        first = by_destinations(four, document(four), {name: name for name in sides})
        second = by_destinations(four, document(four.swapped), sides)
        assert first == second, four


def by_destinations(
    four: Quadruple, actual: Json, names: dict[str, str]
) -> dict[str, int]:
    """Return the inputs of a report by kind and destinations; `names` renames the versions."""
    oracle = oracle_of(four)
    inputs: dict[str, int] = {}
    for kind in ("surprises", "conflicts"):
        for row in actual[kind]:
            routes = {name: row[names[name]] for name in VERSIONS}
            key = f"{kind} {routes} {row['expected']}"
            inside = oracle.inputs_of(row, actual["rules"])
            inputs[key] = inputs.get(key, 0) | inside
    return inputs


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(8))
def test_equal_changes_and_an_equal_merge_have_no_surprise(block: int) -> None:
    """So does a merge with a side that changes nothing."""
    for seed in range(block * 20, (block + 1) * 20):
        random = Random(f"equal {seed}")
        base = a_list(random, 6)
        changed = some_edits(random, base, 6)
        for versions in (
            (base, changed, changed, changed),
            (base, base, changed, changed),
            (base, changed, base, changed),
        ):
            actual = report(Quadruple(versions))
            assert actual.is_as_expected, (versions, actual)


LOST = attribute("intent", "equals", "lost_card")
GOLD = attribute("tier", "equals", "gold")


def test_two_changes_can_surprise_together() -> None:
    """One adds gold customers behind the fraud rule, the other moves the fraud rule behind them."""
    rest = rule("rest", 900, [], "C")
    fraud = rule("fraud", 10, [LOST], "A")
    later = rule("fraud", 30, [LOST], "A")
    gold = rule("gold", 20, [GOLD], "B")
    four = Quadruple(
        ([fraud, rest], [fraud, gold, rest], [later, rest], [later, gold, rest])
    )
    actual = document(four)
    assert [] == actual["conflicts"]
    (row,) = actual["surprises"]
    assert ["lost_card", "gold"] == [part["value"] for part in row["where"]]
    assert [] == row["earlier"]
    assert {"intent": "lost_card", "tier": "gold"} == row["example"]
    names = [row["rules"][version] for version in VERSIONS]
    assert ["set/fraud", "set/fraud", "set/fraud", "set/gold"] == names
    assert row["ours"] == row["theirs"] == row["base"] == row["expected"]
    assert "B" == row["merged"]["queues"][0]["queueId"]


def test_a_row_names_the_rules_that_come_earlier() -> None:
    """Their conversations are not in the row."""
    german = rule("german", 1, [attribute("language", "equals", "de")], "C")
    moved = [german, rule("fraud", 10, [LOST], "B")]
    base = [german, rule("fraud", 10, [LOST], "A")]
    actual = document(Quadruple((base, base, moved, base)))
    (row,) = actual["surprises"]
    assert ["r1"] == row["earlier"]
    (named,) = actual["rules"].values()
    assert ("set/german", list(VERSIONS)) == (named["address"], named["versions"])


def test_both_changes_of_one_rule_are_a_conflict() -> None:
    """Whatever the merge does with it."""
    lists = [[rule("fraud", 10, [LOST], to)] for to in "ABCA"]
    actual = document(Quadruple((lists[0], lists[1], lists[2], lists[3])))
    assert [] == actual["surprises"]
    (row,) = actual["conflicts"]
    assert row["expected"] is None
