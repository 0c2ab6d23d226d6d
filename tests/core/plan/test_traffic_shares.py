"""The share of a traffic sample that a change moves: exact for a complete sample, otherwise minimum
and maximum.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.rule import Rule, Target, make_condition
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.traffic_shares import (
    QueueShare,
    ShareRange,
    TrafficImpact,
    measure_traffic,
    split_distance,
)
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import read_traffic
from tests.support.builders import at_least, intent_is, rule
from tests.support.cases import each_case

FRAUD = (Target("q-fraud", 1),)
GENERAL = (Target("q-general", 1),)
SURE = rule("sure", priority=1, conditions=[intent_is("x"), at_least(0.7)])
ALL = rule("all", priority=9, conditions=[], targets=GENERAL)


def moved(old: list[Rule], new: list[Rule], csv: str) -> TrafficImpact:
    sample = read_traffic(csv.encode(), "t.csv", BotAttributes())
    before, after = (
        order_entries(RoutingEntry(name=rule.name, rule=rule) for rule in rules)
        for rules in (old, new)
    )
    edits = edits_of_lists(before, after, Labels(), words="plan")
    change = compare_behaviour(
        before, after, edited=EditSet([edit.edit for edit in edits])
    )
    return measure_traffic(change, before, after, sample)


def rows_of(impact: TrafficImpact) -> list[ShareRange]:
    """Return the shares of the rows of all effects."""
    return [row for effect in impact.effects for row in effect.rows if row]


def test_a_complete_row_is_counted_exactly() -> None:
    """Conversations of one intent with high and low confidence are counted separately."""
    csv = "intent,confidence,count\nx,0.9,30\nx,0.5,20\nx,,10\ny,0.9,40\n"
    actual = moved([SURE, ALL], [ALL], csv)
    assert (ShareRange(30.0, 30.0),) == actual.regions
    assert ShareRange(30.0, 30.0) == actual.total


def test_an_incomplete_sample_gives_bounds() -> None:
    """Without confidences the number of conversations with a high one is unknown."""
    actual = moved([SURE, ALL], [ALL], "intent,count\nx,60\ny,40\n")
    assert (ShareRange(0.0, 60.0),) == actual.regions


def test_a_split_moves_by_the_difference() -> None:
    """From all to Fraud to one half: half of the conversations move."""
    half = rule(
        "all",
        priority=9,
        conditions=[],
        targets=[Target("q-general", 1), Target("q-fraud", 1)],
    )
    assert ShareRange(50.0, 50.0) == moved([ALL], [half], "intent,count\nx,10\n").total


@each_case(
    "one, other, expected",
    [
        (None, None, 0),
        (None, (), 1),
        ((), (), 0),
        ((("a", Fraction(1)),), None, 1),
        (
            (("a", Fraction(1, 2)), ("b", Fraction(1, 2))),
            (("a", Fraction(1)),),
            Fraction(1, 2),
        ),
        (
            (("a", Fraction(1, 3)), ("b", Fraction(2, 3))),
            (("a", Fraction(2, 3)), ("c", Fraction(1, 3))),
            Fraction(2, 3),
        ),
    ],
)
def test_distances_between_destinations(
    one: Any, other: Any, expected: Fraction
) -> None:
    """Half the sum of the differences; the default routing and no queue count as queues."""
    assert expected == split_distance(one, other)


def test_a_row_in_several_regions_counts_once() -> None:
    """The sum of the bounds can exceed 100 %; the total never does."""
    candidate = rule(
        "other",
        priority=2,
        conditions=[make_condition("tier", "equals", "gold")],
        targets=FRAUD,
    )
    actual = moved([SURE, candidate, ALL], [ALL], "intent,count\nx,10\n")
    assert 2 == len(actual.regions)
    assert 100.0 == actual.total.most


def test_an_effect_moves_what_its_rows_move() -> None:
    """Two rows: each conversation counts by the distance of its own origin from the destination."""
    half = rule(
        "half",
        priority=2,
        conditions=[intent_is("x")],
        targets=[Target("q-general", 1), Target("q-fraud", 1)],
    )
    actual = moved(
        [SURE, half, ALL],
        [ALL],
        "intent,confidence,count\nx,0.9,30\nx,0.5,20\ny,0.9,50\n",
    )
    assert (ShareRange(30.0, 30.0), ShareRange(10.0, 10.0)) == actual.regions
    assert [ShareRange(10.0, 10.0), ShareRange(30.0, 30.0)] == sorted(
        rows_of(actual), key=lambda share: share.most
    )
    assert 40.0 == sum(effect.total.most for effect in actual.effects if effect.total)
    assert ShareRange(40.0, 40.0) == actual.total


def test_the_balance_has_the_share_of_each_queue() -> None:
    """Exact for a complete sample; splits by their parts; the default routing and no queue are
    separate.
    """
    nowhere = rule(
        "nowhere",
        priority=3,
        conditions=[intent_is("z")],
        targets=[Target("q-fraud", 0)],
    )
    csv = "intent,confidence,count\nx,0.9,30\nx,0.5,20\ny,0.9,40\nz,0.9,10\n"
    actual = moved([SURE, nowhere, ALL], [SURE], csv)
    assert {
        QueueShare(
            None, ShareRange(0.0, 0.0), ShareRange(70.0, 70.0), ShareRange(70.0, 70.0)
        ),
        QueueShare(
            "", ShareRange(10.0, 10.0), ShareRange(0.0, 0.0), ShareRange(-10.0, -10.0)
        ),
        QueueShare(
            "q-cards",
            ShareRange(30.0, 30.0),
            ShareRange(30.0, 30.0),
            ShareRange(0.0, 0.0),
        ),
        QueueShare(
            "q-general",
            ShareRange(60.0, 60.0),
            ShareRange(0.0, 0.0),
            ShareRange(-60.0, -60.0),
        ),
    } == set(actual.balance)


def test_a_row_moves_no_more_than_its_own_regions() -> None:
    """Conversations of one intent go to two destinations: each row has its own bounds."""
    half = rule(
        "half",
        priority=2,
        conditions=[intent_is("x")],
        targets=[Target("q-general", 1), Target("q-fraud", 1)],
    )
    assert {ShareRange(0.0, 60.0), ShareRange(0.0, 30.0)} == set(
        rows_of(moved([ALL], [SURE, half, ALL], "intent,count\nx,60\ny,40\n"))
    )


def test_the_change_of_a_queue_can_be_known_without_the_rest() -> None:
    """Without confidences the numbers are unknown, but not that these conversations move from cards
    to general.
    """
    (cards, general) = sorted(
        moved([SURE, ALL], [ALL], "intent,count\nx,60\ny,40\n").balance,
        key=lambda item: item.change.most,
    )
    assert (ShareRange(0.0, 60.0), ShareRange(0.0, 0.0), ShareRange(-60.0, 0.0)) == (
        cards.before,
        cards.after,
        cards.change,
    )
    assert (
        ShareRange(40.0, 100.0),
        ShareRange(100.0, 100.0),
        ShareRange(0.0, 60.0),
    ) == (
        general.before,
        general.after,
        general.change,
    )
