"""Regions compare as sets of conversations: a reviewed plan covers the same conversations in other
conditions.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.containment import RegionClaim, find_uncovered
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.rule import make_condition
from reconciler.core.plan.behaviour_json import impact_to_json, region_claims
from reconciler.core.plan.impact import Impact
from tests.support.brute_force import inputs_for
from tests.support.brute_force_checks import QUEUES
from tests.support.cases import each_case
from tests.support.random_rules import a_pair, entries


def clause(
    attribute: str, operator: str, value: Any, *, negate: bool = False
) -> Clause:
    return Clause(make_condition(attribute, operator, value), negate)


X = clause("intent", "equals", "x")
Y = clause("intent", "equals", "y")
SURE = clause("conf", "greaterThanOrEqual", 0.7)
UNSURE = SURE._replace(negate=True)


@each_case(
    "fresh, reviewed, new",
    [
        ([RegionClaim((X,), (), "a")], [RegionClaim((X,), (), "a")], []),
        ([RegionClaim((X, SURE), (), "a")], [RegionClaim((X,), (), "a")], []),
        ([RegionClaim((X,), (), "a")], [RegionClaim((X, SURE), (), "a")], [0]),
        (
            [RegionClaim((X,), (), "a")],
            [RegionClaim((X, SURE), (), "a"), RegionClaim((X, UNSURE), (), "a")],
            [],
        ),
        ([RegionClaim((X,), (), "a")], [RegionClaim((X,), (), "b")], [0]),
        ([RegionClaim((X,), ((SURE,),), "a")], [RegionClaim((X, UNSURE), (), "a")], []),
        ([RegionClaim((X,), (), "a")], [RegionClaim((X,), ((SURE,),), "a")], [0]),
        (
            [RegionClaim((X,), (), "a")],
            [RegionClaim((X,), ((SURE,),), "a"), RegionClaim((SURE,), (), "a")],
            [],
        ),
        (
            [RegionClaim((X,), (), "a"), RegionClaim((Y,), (), "a")],
            [RegionClaim((X,), (), "a")],
            [1],
        ),
        ([RegionClaim((), (), "a")], [], [0]),
        ([], [RegionClaim((X,), (), "a")], []),
    ],
)
def test_a_claim_is_covered_by_reviewed_claims(
    fresh: list[RegionClaim], reviewed: list[RegionClaim], new: list[int]
) -> None:
    """The claim is narrower, split, or has an exception instead of a range."""
    assert new == find_uncovered(fresh, reviewed)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(18))
def test_containment_is_exact(block: int) -> None:
    """The regions of one difference and of another one agree with every representative input."""
    for seed in range(block * 20, (block + 1) * 20):
        item = a_pair(Random(seed), 3)
        candidate = a_pair(Random(f"other {seed}"), 3)
        lists = (item.old, item.new, candidate.new)
        first = impact_to_json(
            Impact(compare_behaviour(entries(item.old), entries(item.new))), QUEUES
        )
        second = impact_to_json(
            Impact(compare_behaviour(entries(item.old), entries(candidate.new))), QUEUES
        )
        universe = inputs_for(*lists)
        expected = []
        for place, (region, claim) in enumerate(
            zip(first["regions"], region_claims(first), strict=True)
        ):
            stored_values = 0
            for reviewed, its in zip(
                second["regions"], region_claims(second), strict=True
            ):
                stored_values |= (
                    universe.region(reviewed)
                    if its.destination == claim.destination
                    else 0
                )
            if universe.region(region) & ~stored_values:
                expected.append(place)
        assert expected == find_uncovered(
            region_claims(first), region_claims(second)
        ), (seed, first, second)
