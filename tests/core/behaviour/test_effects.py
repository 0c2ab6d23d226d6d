"""Effects agree with every representative input: exact, disjoint, complete, each with the edit that
moves it.
"""

from __future__ import annotations

from random import Random

import pytest

from reconciler.core.plan.behaviour_json import impact_to_json
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES, RoutingDifference
from tests.support.effect_oracle import oracle_of
from tests.support.grown_pairs import (
    generate_pair,
    generate_renamed_pair,
    generate_tangled_pair,
)
from tests.support.impacts import compare_lists
from tests.support.random_rules import RulePair, a_pair, attribute, entries, rule
from tests.tiers import size

BLOCKS = 20
SIZE = size(fast=10, slow=50, full=200)
"""Pairs of each kind in each block."""


def check(pair: RulePair, work: int | None = None) -> Json:
    """Assert that the effects are exact; return the document."""
    impact = compare_lists(entries(pair.old), entries(pair.new), pair.evaluation, work)
    document = impact_to_json(impact, QUEUES)
    oracle_of(RoutingDifference(pair.old, pair.new, pair.evaluation)).check(document)
    return document


@pytest.mark.generated
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_small_pairs_are_exact(block: int) -> None:
    """Every input that moves is in one row, with its queues; an input that stays is in none."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(a_pair(Random(seed), 5 if seed % 4 else 9))


@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_grown_pairs_are_exact(block: int) -> None:
    """The same for 20 to 60 rules: a changed default, deleted rules, language and tier splits, a
    first plan.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_pair(Random(seed)))


@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_tangled_pairs_are_exact(block: int) -> None:
    """The same for rules with conditions on five attributes, whose earlier rules overlap in many
    ways.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_tangled_pair(Random(seed)))


@pytest.mark.generated
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_renamed_pairs_are_exact(block: int) -> None:
    """The same for rules that swap or change their names and addresses; equal edits are one effect,
    whatever the names.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_renamed_pair(Random(f"renamed {seed}")))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(12))
def test_effects_within_a_work_limit_are_exact(block: int) -> None:
    """With little work rows are still correct, and every other input that moves is in
    `undecided`.
    """
    for seed in range(block * 20, (block + 1) * 20):
        check(a_pair(Random(f"bound {seed}"), 8), seed % 7 * 100)


X, Y, Z = (attribute("intent", "equals", name) for name in ("x", "y", "z"))
CATCH_ALL = rule("all", 900, [], "C")


def at_least(bound: float) -> Json:
    return attribute("conf", "greaterThanOrEqual", bound)


def effects_of(old: list[Json], new: list[Json]) -> list[Json]:
    """Return the effects between two lists, checked against all inputs."""
    return list(check(RulePair(old, new, "lowest-first"))["effects"])


def only_row(old: list[Json], new: list[Json]) -> Json:
    (effect,) = effects_of(old, new)
    (row,) = effect["rows"]
    return dict(row)


def conditions(row: Json) -> list[tuple[str, str, object]]:
    return [
        (part["attributeName"], part["operator"], part.get("value"))
        for part in row["where"]
    ]


def test_a_moved_bound_is_the_range_between_both_bounds() -> None:
    """The row has the other conditions of the rule, the range, and no exception."""
    tier = attribute("tier", "in", ["gold", "platinum"])
    old = [rule("k", 1, [X, tier, at_least(0.55)], "A"), CATCH_ALL]
    new = [rule("k", 1, [X, tier, at_least(0.6)], "A"), CATCH_ALL]
    expected = [
        ("intent", "equals", "x"),
        ("conf", "greaterThanOrEqual", 0.55),
        ("conf", "lessThan", 0.6),
        ("tier", "in", ["gold", "platinum"]),
    ]
    for kind, lists in (("releases", (old, new)), ("takes", (new, old))):
        row = only_row(*lists)
        assert (kind, []) == (row["kind"], row["earlier"])
        assert sorted(map(str, expected)) == sorted(map(str, conditions(row)))


def test_equal_edits_that_release_to_several_rules_are_one_row() -> None:
    """Ten rules with one raised bound: one row for all intents, across the rules that take them
    afterwards.
    """
    intents = [attribute("intent", "equals", f"i{number}") for number in range(10)]
    remaining_items = [
        rule(f"z{number}", 50, [intent], "B") for number, intent in enumerate(intents)
    ]
    old, new = (
        [
            *(
                rule(f"k{number}", 1, [intent, at_least(bound)], "A")
                for number, intent in enumerate(intents)
            ),
            *remaining_items,
        ]
        for bound in (0.6, 0.7)
    )
    (effect,) = effects_of(old, new)
    assert [f"set/k{number}" for number in range(10)] == [
        cause["address"] for cause in effect["causes"]
    ]
    assert [["confidence >="]] * 10 == [cause["fields"] for cause in effect["causes"]]
    (row,) = effect["rows"]
    assert [f"i{number}" for number in range(10)] == row["where"][0]["value"]
    assert ([], 10) == (row["earlier"], len(row["counterpart"]))


def test_the_rows_of_equal_edits_have_one_list_of_intents() -> None:
    """An earlier rule keeps one intent of the gold callers: it is named, and the intents are not
    listed again.
    """
    intents = [attribute("intent", "equals", name) for name in ("x", "y", "z")]
    gold = attribute("tier", "equals", "gold")
    retained = rule("kept", 0, [gold, X], "C")
    unsure = rule("unsure", 50, [gold], "B")
    old, new = (
        [
            retained,
            *(
                rule(f"k{number}", 1, [intent, at_least(bound)], "A")
                for number, intent in enumerate(intents)
            ),
        ]
        for bound in (0.6, 0.7)
    )
    (effect,) = effects_of([*old, unsure, CATCH_ALL], [*new, unsure, CATCH_ALL])
    lists = [
        part["value"]
        for row in effect["rows"]
        for part in row["where"]
        if part["attributeName"] == "intent"
    ]
    assert [["x", "y", "z"]] * 2 == lists


def test_an_equal_edit_that_moves_no_conversation_is_not_a_cause() -> None:
    """Of two rules with one edit, an earlier rule hides the second one."""
    hidden = rule("first", 0, [Y], "B")
    old, new = (
        [
            hidden,
            rule("k", 1, [X, at_least(bound)], "A"),
            rule("l", 1, [Y, at_least(bound)], "A"),
            CATCH_ALL,
        ]
        for bound in (0.6, 0.7)
    )
    (effect,) = effects_of(old, new)
    assert ["set/k"] == [cause["address"] for cause in effect["causes"]]


def test_edits_with_other_values_are_other_effects() -> None:
    """One bound rises to 0.7, the other one to 0.8."""
    old = [
        rule("k", 1, [X, at_least(0.6)], "A"),
        rule("l", 1, [Y, at_least(0.6)], "A"),
        CATCH_ALL,
    ]
    new = [
        rule("k", 1, [X, at_least(0.7)], "A"),
        rule("l", 1, [Y, at_least(0.8)], "A"),
        CATCH_ALL,
    ]
    assert [["set/k"], ["set/l"]] == [
        [item["address"] for item in each["causes"]] for each in effects_of(old, new)
    ]


def test_a_new_priority_takes_and_releases() -> None:
    """A rule moves behind one rule and before another one."""
    tiers = [attribute("tier", "equals", name) for name in ("gold", "basic")]
    moving = rule("k", 10, [X], "A")
    early = rule("e", 20, [tiers[0]], "B")
    late = rule("l", 5, [tiers[1]], "C")
    (effect,) = effects_of([moving, early], [{**moving, "priority": 30}, early])
    assert ["releases"] == [row["kind"] for row in effect["rows"]]
    (effect,) = effects_of([moving, late], [{**moving, "priority": 1}, late])
    assert ["takes"] == [row["kind"] for row in effect["rows"]]
    changed = {**moving, "conditions": [Y], "priority": 30}
    (effect,) = effects_of([moving, early, CATCH_ALL], [changed, early, CATCH_ALL])
    assert {"takes", "releases"} == {row["kind"] for row in effect["rows"]}
    assert effect["rows"][0]["counterpart"] != effect["rows"][-1]["counterpart"]


def test_the_row_of_a_catch_all_comes_last() -> None:
    """A deleted rule gives conversations to a language's rule, to a tier's rule, and all others to
    the catch-all.
    """
    german = rule("german", 20, [attribute("language", "equals", "de")], "B")
    gold = rule("gold", 30, [attribute("tier", "equals", "gold")], "A")
    old = [
        rule(
            "k",
            10,
            [X],
            [*rule("", 0, [], "A")["targets"], *rule("", 0, [], "B")["targets"]],
        ),
        german,
        gold,
    ]
    (effect,) = effects_of([*old, CATCH_ALL], [german, gold, CATCH_ALL])
    queues = [row["after"]["queues"][0]["queueName"] for row in effect["rows"]]
    assert ["Queue B", "Queue A", "Queue C"] == queues


def test_a_rule_whose_name_decides_a_tie_takes_conversations() -> None:
    """Two rules of one priority: the renamed one comes first afterwards, and so is the cause."""
    first = rule("k", 1, [X], "A", name="b")
    second = rule("l", 1, [X], "B", name="c")
    (effect,) = effects_of([first, second], [first, {**second, "name": "a"}])
    assert [["name"]] == [cause["fields"] for cause in effect["causes"]]
    (row,) = effect["rows"]
    assert ("takes", ["r1"]) == (row["kind"], row["counterpart"])


def test_a_rename_without_a_tie_is_not_a_cause_beside_a_deleted_rule() -> None:
    """The rule afterwards is only renamed: the conversations belong to the deleted one."""
    old = [rule("k", 1, [X], "A"), rule("l", 2, [X], "B", name="b")]
    (effect,) = effects_of(old, [{**old[1], "name": "a"}])
    assert [("set/k", "delete")] == [
        (cause["address"], cause["action"]) for cause in effect["causes"]
    ]


def test_a_disabled_rule_releases_and_an_enabled_one_takes() -> None:
    """The state of a rule decides what it takes."""
    on = [rule("k", 1, [X], "A"), CATCH_ALL]
    off = [rule("k", 1, [X], "A", enabled=False), CATCH_ALL]
    for kind, lists in (("releases", (on, off)), ("takes", (off, on))):
        (effect,) = effects_of(*lists)
        assert [["enabled"]] == [cause["fields"] for cause in effect["causes"]]
        assert [kind] == [row["kind"] for row in effect["rows"]]


def test_earlier_rules_that_another_one_contains_are_not_named() -> None:
    """Of two earlier rules the wider one is named; one about another intent is not."""
    earlier = [
        rule("wide", 1, [attribute("language", "equals", "de")], "B"),
        rule("narrow", 2, [attribute("language", "equals", "de"), X], "B"),
        rule("other", 3, [Y], "B"),
    ]
    document = check(
        RulePair(
            [*earlier, rule("k", 9, [X], "A")],
            [*earlier, rule("k", 9, [X], "C")],
            "lowest-first",
        )
    )
    ((row,),) = (effect["rows"] for effect in document["effects"])
    assert ["set/wide"] == [
        f"set/{document['rules'][name]['id']}" for name in row["earlier"]
    ]
    assert ("both", 1) == tuple(
        document["rules"][row["earlier"][0]][name] for name in ("when", "priority")
    )
