"""Who reaches a rule, as an editor shows it, against every representative conversation."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import Evaluation
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.features.editor.analysis import find_reach
from tests.support.brute_force import inputs_for
from tests.support.random_rules import a_list, entries, entry
from tests.tiers import size

BLOCKS = 10
SIZE = size(fast=4, slow=20, full=200)
EVALUATIONS: Final[tuple[Evaluation, ...]] = ("lowest-first", "highest-first")


@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_rows_are_exactly_the_conversations_that_a_rule_wins(block: int) -> None:
    """For each rule of random lists, with every operator and ties; no row means that the rule wins
    none.
    """
    random = Random(block)
    for _ in range(SIZE):
        rules = a_list(random, 4)
        evaluation = random.choice(EVALUATIONS)
        universe = inputs_for(rules)
        for rule, won in universe.wins(rules, evaluation)[:-1]:
            assert rule is not None
            actual = find_reach(
                entries(rules), entry(rule).name, evaluation, EndpointStage()
            )
            assert actual.behaviour.complete
            document = impact_to_json(actual, {})
            printed = 0
            for row in (
                row for effect in document["effects"] for row in effect["rows"]
            ):
                inside = universe.all_of(row["where"])
                for name in row["earlier"]:
                    inside &= ~universe.all_of(document["rules"][name]["conditions"])
                printed |= inside
            assert won == printed, (evaluation, rules, rule)
