"""A rule index gives the same answers as trying rule by rule; and examples of large numbers are
short.
"""

from __future__ import annotations

from random import Random

import pytest

from reconciler.core.behaviour.evaluate import (
    OpaqueConditionError,
    RuleIndex,
    route_conversation,
)
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.behaviour.space.domain import number_beyond
from tests.support.brute_force import inputs_for
from tests.support.random_rules import a_list, attribute, entries, rule


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_a_rule_index_answers_as_trying_rule_by_rule(block: int) -> None:
    """The winner and all rules that match are the same, for random lists and inputs."""
    for seed in range(block * 40, (block + 1) * 40):
        random = Random(f"filed {seed}")
        rules = a_list(random, 8)
        universe = inputs_for(rules)
        ordered = order_entries(entries(rules))
        filed = RuleIndex(ordered)
        for _ in range(40):
            attributes, assumed = universe.example(1 << random.randrange(universe.size))
            assert route_conversation(
                ordered, attributes, assumed
            ).winner is filed.find_winner(attributes, assumed), (
                rules,
                attributes,
            )
            alone = [
                entry
                for entry in ordered
                if route_conversation((entry,), attributes, assumed).winner
            ]
            assert alone == list(filed.matching_entries(attributes, assumed)), (
                rules,
                attributes,
            )


def test_a_rule_index_assumes_no_unknown_condition() -> None:
    """If a condition that is not understood decides, both raise an error; if another condition
    fails, neither does.
    """
    unknown = {"type": "schedule", "name": "nights"}
    filed = RuleIndex(
        order_entries(
            entries([rule("k", 1, [unknown, attribute("intent", "equals", "x")], "A")])
        )
    )
    assert filed.find_winner({"intent": "y"}) is None
    with pytest.raises(OpaqueConditionError):
        filed.find_winner({"intent": "x"})


def test_a_number_beyond_another_is_short() -> None:
    """The next integer, or a number of few digits where that integer is long."""
    assert [1, 100, -1, 0] == [
        number_beyond(0.7, None),
        number_beyond(99, None),
        number_beyond(None, 0),
        number_beyond(-1e300, None),
    ]
    assert [2e300, 1.1e308, -2e300] == [
        number_beyond(1e300, None),
        number_beyond(1e308, None),
        number_beyond(None, -1e300),
    ]
    assert number_beyond(10**350, None) > 10**350
