"""Effects agree with every representative input: exact, disjoint, complete, each with the edit that moves it."""

from __future__ import annotations

from random import Random

import pytest

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.diff.effects import EditSet
from reconciler.plan.behaviour_json import impact_to_json
from reconciler.plan.edits import EditedRule, edits_of_lists
from reconciler.plan.impact import Impact
from reconciler.text.phrases import Labels
from tests.support.brute_force import Json
from tests.support.brute_force_checks import (
    QUEUES,
    RoutingDifference,
    assumption,
    completions,
    destination_of,
    entry_name,
)
from tests.support.brute_force import holds
from tests.support.grown_pairs import generate_pair, generate_tangled_pair
from tests.support.random_rules import RulePair, a_pair, entries
from tests.tiers import FULL

LABELS = Labels({"intent": "intent", "conf": "confidence"})
BLOCKS = 20
SIZE = 200 if FULL else 50
"""Pairs of each kind in each block."""


def compared(pair: RulePair, work: int | None = None) -> tuple[BehaviourChange, list[EditedRule]]:
    old, new = entries(pair.old), entries(pair.new)
    edits = edits_of_lists(old, new, LABELS, words="plan")
    change = compare_behaviour(old, new, pair.evaluation, work, edited=EditSet([edited.edit for edited in edits]))
    return change, edits


def check(pair: RulePair, work: int | None = None) -> Json:
    """Assert that the effects are exact; return the document."""
    change, edits = compared(pair, work)
    document = impact_to_json(Impact(change, edits), QUEUES)
    moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
    seen = 0
    for effect in document["effects"]:
        for row in effect["rows"]:
            inside = check_row(moved, row, effect, document)
            assert not inside & seen, f"{moved.report}{row}\nin two rows: {moved.universe.example(inside & seen)}"
            seen |= inside
    for where in document.get("unknown", []):
        seen |= moved.universe.all_of(where["where"])
    missed = moved.all & ~seen
    assert not missed, f"{moved.report}in no row: {moved.universe.example(missed)}"
    return document


def inputs_of(moved: RoutingDifference, row: Json, rules: Json) -> int:
    """Return the inputs of a row, from the document alone."""
    found = moved.universe.all_of(row["where"])
    for name in row["earlier"]:
        found &= ~moved.universe.all_of(rules[name]["conditions"])
    return found


def check_row(moved: RoutingDifference, row: Json, effect: Json, document: Json) -> int:
    rules = document["rules"]
    inside = inputs_of(moved, row, rules)
    report = f"{moved.report}row: {row}\nrules: { {name: rules[name] for name in row['earlier']} }\n"
    assert inside, f"{report}no input"
    before, after = destination_of(row["before"]), destination_of(row["after"])
    assert before != after, report
    wrong = inside & ~(moved.to["before"].get(before, 0) & moved.to["after"].get(after, 0))
    assert not wrong, report + str(moved.universe.example(wrong))
    causes = {cause["address"] for cause in effect["causes"]}
    winners = {side: {entry_name(rule) for rule, bits in wins if bits & inside} for side, wins in moved.wins.items()}
    counterparts = {name and rules[name]["name"] for name in row["counterpart"]}
    counterparts = {name and f"set/{name}" if name else None for name in counterparts}
    match row["kind"]:
        case "redirects":
            assert winners["before"] == winners["after"] <= causes, report + str(causes)
            assert not row["counterpart"]
        case "takes":
            assert winners["after"] <= causes, report + str((winners, causes))
            assert len(winners["before"]) == len(counterparts), report + str((winners, counterparts))
        case "releases":
            assert winners["before"] <= causes, report + str((winners, causes))
            assert len(winners["after"]) == len(counterparts), report + str((winners, counterparts))
        case other:
            raise AssertionError(other)
    for assumed in completions(moved.universe, assumption(row)):
        one = (row["example"], assumed)
        assert all(holds(part, *one) for part in row["where"]), report
        for name in row["earlier"]:
            assert not all(holds(part, *one) for part in rules[name]["conditions"]), report
    return inside


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_small_pairs_are_exact(block: int) -> None:
    """Every input that moves is in one row, with its queues; an input that stays is in none."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(a_pair(Random(seed), 5 if seed % 4 else 9))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_grown_pairs_are_exact(block: int) -> None:
    """The same for 20 to 60 rules: a changed default, deleted rules, language and tier splits, a first plan."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_pair(Random(seed)))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_effects_of_tangled_pairs_are_exact(block: int) -> None:
    """The same for rules with conditions on five attributes, whose earlier rules overlap in many ways."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(generate_tangled_pair(Random(seed)))


@pytest.mark.parametrize("block", range(4))
def test_effects_within_a_work_limit_are_exact(block: int) -> None:
    """With little work rows are still correct, and every other input that moves is in `undecided`."""
    for seed in range(block * 60, (block + 1) * 60):
        check(a_pair(Random(f"bound {seed}"), 8), seed % 7)
