"""Effects agree with every representative input: exact, disjoint, complete, each with the edit that moves it."""

from __future__ import annotations

from random import Random

import pytest

from reconciler.plan.behaviour_json import impact_to_json
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES, RoutingDifference
from tests.support.effect_oracle import oracle_of
from tests.support.grown_pairs import generate_pair, generate_tangled_pair
from tests.support.impacts import compare_lists
from tests.support.random_rules import RulePair, a_pair, entries
from tests.tiers import FULL

BLOCKS = 20
SIZE = 200 if FULL else 50
"""Pairs of each kind in each block."""


def check(pair: RulePair, work: int | None = None) -> Json:
    """Assert that the effects are exact; return the document."""
    impact = compare_lists(entries(pair.old), entries(pair.new), pair.evaluation, work)
    document = impact_to_json(impact, QUEUES)
    oracle_of(RoutingDifference(pair.old, pair.new, pair.evaluation)).check(document)
    return document


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
        check(a_pair(Random(f"bound {seed}"), 8), seed % 7 * 100)
