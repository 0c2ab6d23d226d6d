"""The bounds of work of the analyses: each ends there, and what it did not decide is never taken for a good answer.

Not decided is neither "no difference", nor "within what was reviewed", nor "a safe order".
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from reconciler.behaviour.budget import DEFAULT_WORK, UndecidedError, WorkBudget
from reconciler.behaviour.diff import containment as within
from reconciler.behaviour.diff import difference as differing
from reconciler.behaviour.diff.containment import RegionClaim, find_uncovered
from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.diff.winners import RankPair, WinnerPairs
from reconciler.behaviour.ordering import constraints
from reconciler.behaviour.ordering.constraints import Constraints, Move
from reconciler.behaviour.ordering.order import MoveOrder, order_moves
from reconciler.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.behaviour.space import space as spaces
from reconciler.behaviour.space.clauses import Clause
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space
from reconciler.model.rule import Target, make_condition
from tests.support.builders import intent_is, rule
from tests.support.random_rules import a_pair, attribute, entries
from tests.support.random_rules import rule as a_rule

FRAUD = (Target("q-fraud", 1),)
X, Y = rule("x"), rule("y", conditions=[intent_is("y")], targets=FRAUD)
SENT_ELSEWHERE = rule("x", targets=FRAUD)


def one(*rules: Any) -> list[RoutingEntry]:
    return [RoutingEntry(name=each.name, rule=each) for each in rules]


# A difference


def test_a_changed_rule_beyond_the_bound_is_unknown_not_unchanged() -> None:
    """It asks what it asked, and sends elsewhere: nothing is known of the conversations that it asks for."""
    found = compare_behaviour(one(X), one(SENT_ELSEWHERE), work=0)
    assert ((), ((Clause(intent_is("x")),),), False) == (found.regions, found.undecided, found.complete)
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete


@pytest.mark.parametrize(("old", "new"), [((), (X,)), ((X,), ()), ((X,), (Y,))], ids=["new", "gone", "another"])
def test_a_rule_without_a_counterpart_that_was_not_looked_at_is_unknown(old: tuple[Any], new: tuple[Any]) -> None:
    """Created, deleted, or with other conditions than any rule before."""
    found = compare_behaviour(one(*old), one(*new), work=0)
    assert [each.conditions[0] for each in (*old, *new)] == [clauses[0].condition for clauses in found.undecided]
    assert (False, False) == (found.changed, found.complete)


@pytest.mark.parametrize(("places", "price"), [(1, 1), (4_095, 1), (4_096, 2), (8_192, 3)])
def test_comparisons_of_long_masks_cost_more(places: int, price: int) -> None:
    """One for each 4,096 places that are begun; what was dear once stays dear."""
    budget = WorkBudget(100, 100)
    budget.widen(places)
    budget.widen(1)
    budget.spend(10)
    assert 100 - 10 * price == budget.remaining


def test_equal_lists_need_no_work_to_be_equal() -> None:
    """Nothing is unknown of a rule that stays as it is."""
    assert BehaviourChange(regions=()) == compare_behaviour(one(X, Y), one(Y, X), work=0)


def pairs(old: list[RoutingEntry], new: list[RoutingEntry], evaluation: Any, most: int | None = None) -> WinnerPairs:
    """The pairs of winners of two lists, each search bounded to so many comparisons."""
    before, after = order_entries(old, evaluation), order_entries(new, evaluation)
    space = Space((before, after))
    if most is not None:
        space.budget.search_limit = most
    return WinnerPairs(PivotSlices(space, before), PivotSlices(space, after))


def known(found: WinnerPairs) -> set[RankPair]:
    return {*found.narrow, *found.wide}


@pytest.mark.parametrize("block", range(3))
def test_a_pair_of_winners_whose_search_was_given_up_is_unknown(block: int) -> None:
    """Each pair that a whole analysis finds is found or named as unknown, whatever one search may take."""
    given_up = 0
    for seed in range(block * 50, (block + 1) * 50):
        pair = a_pair(Random(f"searches {seed}"), 6)
        lists = entries(pair.old), entries(pair.new), pair.evaluation
        whole, part = pairs(*lists), pairs(*lists, most=seed % 4 * 3)
        assert known(whole) <= known(part) | {*part.unknown}, seed
        given_up += len(known(whole) - known(part))
    assert given_up


def hard(count: int, shift: int) -> list[RoutingEntry]:
    """Rules that overlap in sets of intents and in ranges of two numbers, each to one of five queues."""
    random = Random("hard")
    return entries(
        a_rule(
            f"r{n}",
            n,
            [
                attribute("intent", "in", [f"i{each}" for each in random.sample(range(count), count // 3)]),
                attribute("x", "lessThan", random.random()),
                attribute("y", "greaterThan", random.random()),
            ],
            f"Q{(random.randrange(5) + shift) % 5}",
        )
        for n in range(count)
    )


@pytest.mark.parametrize("part", [2, 4, 8])
def test_a_difference_ends_at_its_bound(part: int) -> None:
    """No more than twice the bound is done, and what is left out is said."""
    old, new = hard(12, 0), hard(12, 1)
    bound = compare_behaviour(old, new).work // part
    found = compare_behaviour(old, new, work=bound)
    assert bound <= found.work <= 2 * bound
    assert not found.complete


def test_the_bound_of_a_difference_grows_with_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one of its own: some work for any question, and more for each rule of both lists."""
    monkeypatch.setattr(differing, "DEFAULT_WORK", 0)
    monkeypatch.setattr(differing, "WORK_PER_RULE", 0)
    assert not compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete
    monkeypatch.setattr(differing, "WORK_PER_RULE", 2_000)
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete
    monkeypatch.setattr(differing, "WORK_PER_RULE", 0)
    monkeypatch.setattr(differing, "DEFAULT_WORK", 4_000)
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete


# What was reviewed

SURE = Clause(make_condition("cognigyConfidence", "greaterThanOrEqual", 0.7))
AN_X = Clause(intent_is("x"))
HALVES = [RegionClaim((AN_X, SURE), (), "a"), RegionClaim((AN_X, SURE._replace(negate=True)), (), "a")]


def test_what_was_not_decided_is_not_within_what_was_reviewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two reviewed halves hold all of it, which takes a search to see; without work it counts as beyond."""
    assert [] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)
    monkeypatch.setattr(spaces, "DEFAULT_WORK", 0)
    assert [0] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)


def test_what_was_reviewed_in_the_very_words_needs_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is within it."""
    monkeypatch.setattr(spaces, "DEFAULT_WORK", 0)
    assert [] == find_uncovered(HALVES, HALVES)


def test_too_many_reviewed_claims_cover_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One level of calls for each: where Python gives up, the claim counts as beyond."""

    def deep(*_given: object) -> bool:
        raise RecursionError

    monkeypatch.setattr(within._ContainmentSearch, "_has_uncovered", deep)
    assert [0] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)


@pytest.mark.parametrize(
    ("fresh", "reviewed", "expected"),
    [
        (RegionClaim((AN_X, Clause(intent_is("y"))), (), "a"), [], []),
        (RegionClaim((AN_X,), (), "a"), [RegionClaim((AN_X, Clause(intent_is("y"))), (), "a")], [0]),
        (RegionClaim((AN_X,), ((AN_X, Clause(intent_is("y"))),), "a"), [RegionClaim((AN_X,), (), "a")], []),
        (RegionClaim((), ((AN_X,),), "a"), [RegionClaim((AN_X._replace(negate=True),), (), "a")], []),
    ],
    ids=["nothing in it", "nothing reviewed", "an exception of nothing", "all but one value"],
)
def test_claims_that_hold_nothing_neither_escape_nor_hold_others(
    fresh: RegionClaim, reviewed: list[RegionClaim], expected: list[int]
) -> None:
    """Clauses that contradict each other."""
    assert expected == find_uncovered([fresh], reviewed)


# An order


MOVES = [
    Move(
        RoutingEntry(name="a", rule=rule("a", conditions=[intent_is("x")])),
        RoutingEntry(name="a", rule=rule("a", conditions=[intent_is("y")])),
    ),
    Move(
        RoutingEntry(name="b", rule=rule("b", conditions=[intent_is("y")], targets=FRAUD)),
        RoutingEntry(name="b", rule=rule("b", conditions=[intent_is("x")], targets=FRAUD)),
    ),
    Move(None, RoutingEntry(name="c", rule=rule("c", conditions=[make_condition("tier", "equals", "gold")]))),
]
ALL_ELSE = one(rule("all", priority=900, conditions=[]))


def ordered(work: int = DEFAULT_WORK, moves: Iterable[Move] = MOVES) -> MoveOrder:
    return order_moves([*moves], ALL_ELSE, work=work)


def test_an_order_that_was_not_decided_is_unproven_for_each_change() -> None:
    """Without work nothing is known to be safe; with enough of it all is proven."""
    assert (0, 1, 2) == ordered(work=0).unproven
    assert () == ordered().unproven


def test_an_order_with_more_pairs_than_are_looked_at_is_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    """That bound holds, whatever work is left."""
    monkeypatch.setattr(constraints, "MAX_PAIR_CHECKS", 1)
    assert (0, 1, 2) == ordered().unproven


def test_pairs_of_one_intent_that_share_nothing_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of the confidence, side by side: to see of each pair that it shares nothing is work."""
    moves = [Move(ranged(n), None) for n in range(10)] + [Move(None, ranged(n)) for n in range(10, 20)]
    found = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (set(), set()) == (found.add_before_remove, found.undecided)
    monkeypatch.setattr(constraints, "MAX_PAIR_CHECKS", 90)
    assert set(range(20)) == Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK).undecided


def ranged(part: int) -> RoutingEntry:
    """A rule for one twentieth of the confidences that an intent may have."""
    low = make_condition("cognigyConfidence", "greaterThanOrEqual", part / 20)
    high = make_condition("cognigyConfidence", "lessThan", (part + 1) / 20)
    return RoutingEntry(name=f"k{part}", rule=rule(f"k{part}", conditions=[intent_is("x"), low, high]))


def apart(name: str, priority: int) -> RoutingEntry:
    """A rule that asks for an attribute of its own."""
    return RoutingEntry(
        name=name, rule=rule(name, priority=priority, conditions=[make_condition(name, "equals", "yes")], targets=FRAUD)
    )


def test_links_between_changes_end_at_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of twenty rules that come is linked with each of twenty that go: their memory is bounded, too."""
    moves = [Move(apart(f"old{n}", n), None) for n in range(20)]
    moves += [Move(None, apart(f"new{n}", 20 - n)) for n in range(20)]
    found = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (400, set()) == (len(found.add_before_remove), found.undecided)
    monkeypatch.setattr(constraints, "MAX_DEPENDENCIES", 50)
    found = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (51, set(range(40))) == (len(found.add_before_remove), found.undecided)


def test_an_abandoned_search_for_an_order_uses_temporary_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Changes that wait for each other: a copy needs no search, and the order is proven all the same."""

    def gives_up(*_given: object) -> None:
        raise UndecidedError

    monkeypatch.setattr("reconciler.behaviour.ordering.order.search_waves", gives_up)
    found = ordered()
    assert ((), True) == (found.unproven, any(step.kind == "copy" for wave in found.waves for step in wave))


def test_changes_that_route_as_before_need_no_work() -> None:
    """A new name or description is no version that comes or goes; a disabled rule is none either."""
    off = rule("off", enabled=False)
    moves = [
        Move(RoutingEntry(name="n", rule=X), RoutingEntry(name="n", rule=rule("x", description="new"))),
        Move(None, RoutingEntry(name="off", rule=off)),
    ]
    assert () == ordered(0, moves).unproven
