"""Regions compare as sets of conversations: what a reviewed plan moved may be moved, however it is written down."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from reconciler.behaviour.diff.containment import Claim, beyond
from reconciler.behaviour.diff.difference import difference
from reconciler.behaviour.space.clauses import Clause
from reconciler.model.rule import condition
from reconciler.plan.behaviour_json import behaviour_document, claims
from tests.support.brute_force import inputs_for
from tests.support.brute_force_checks import QUEUES
from tests.support.random_rules import a_pair, entries

if TYPE_CHECKING:
    from typing import Any


def clause(attribute: str, operator: str, value: Any, *, negate: bool = False) -> Clause:
    return Clause(condition(attribute, operator, value), negate)


X, Y = clause("intent", "equals", "x"), clause("intent", "equals", "y")
SURE = clause("conf", "greaterThanOrEqual", 0.7)
UNSURE = SURE._replace(negate=True)


@pytest.mark.parametrize(
    ("fresh", "reviewed", "new"),
    [
        ([Claim((X,), (), "a")], [Claim((X,), (), "a")], []),
        ([Claim((X, SURE), (), "a")], [Claim((X,), (), "a")], []),
        ([Claim((X,), (), "a")], [Claim((X, SURE), (), "a")], [0]),
        ([Claim((X,), (), "a")], [Claim((X, SURE), (), "a"), Claim((X, UNSURE), (), "a")], []),
        ([Claim((X,), (), "a")], [Claim((X,), (), "b")], [0]),
        ([Claim((X,), ((SURE,),), "a")], [Claim((X, UNSURE), (), "a")], []),
        ([Claim((X,), (), "a")], [Claim((X,), ((SURE,),), "a")], [0]),
        ([Claim((X,), (), "a")], [Claim((X,), ((SURE,),), "a"), Claim((SURE,), (), "a")], []),
        ([Claim((X,), (), "a"), Claim((Y,), (), "a")], [Claim((X,), (), "a")], [1]),
        ([Claim((), (), "a")], [], [0]),
        ([], [Claim((X,), (), "a")], []),
    ],
)
def test_a_claim_is_within_what_was_reviewed(fresh: list[Claim], reviewed: list[Claim], new: list[int]) -> None:
    """Narrower, split, or written with an exception in place of a range."""
    assert new == beyond(fresh, reviewed)


@pytest.mark.parametrize("block", range(6))
def test_subsets_are_told_exactly(block: int) -> None:
    """Against every representative input: the regions of one difference within those of another one."""
    for seed in range(block * 60, (block + 1) * 60):
        one, other = a_pair(Random(seed), 3), a_pair(Random(f"other {seed}"), 3)
        lists = (one.old, one.new, other.new)
        first = behaviour_document(difference(entries(one.old), entries(one.new)), QUEUES)
        second = behaviour_document(difference(entries(one.old), entries(other.new)), QUEUES)
        universe = inputs_for(*lists)
        expected = []
        for place, (region, claim) in enumerate(zip(first["regions"], claims(first), strict=True)):
            held = 0
            for reviewed, its in zip(second["regions"], claims(second), strict=True):
                held |= universe.region(reviewed) if its.goes == claim.goes else 0
            if universe.region(region) & ~held:
                expected.append(place)
        assert expected == beyond(claims(first), claims(second)), (seed, first, second)
