"""Each analysis ends at its work limit and never reports an undecided question as unchanged,
covered or safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.budget import DEFAULT_WORK, UndecidedError, WorkBudget
from reconciler.core.behaviour.diff import containment as within
from reconciler.core.behaviour.diff import difference as differing
from reconciler.core.behaviour.diff.containment import RegionClaim, find_uncovered
from reconciler.core.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.core.behaviour.diff.winners import RankPair, WinnerPairs
from reconciler.core.behaviour.ordering import constraints
from reconciler.core.behaviour.ordering.constraints import Constraints, Move
from reconciler.core.behaviour.ordering.order import MoveOrder, order_moves
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.behaviour.space import space as spaces
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.rule import Target, make_condition
from tests.support.builders import intent_is, rule
from tests.support.random_rules import a_pair, attribute, entries
from tests.support.random_rules import rule as a_rule

FRAUD = (Target("q-fraud", 1),)
X = rule("x")
Y = rule("y", conditions=[intent_is("y")], targets=FRAUD)
SENT_ELSEWHERE = rule("x", targets=FRAUD)


def one(*rules: Any) -> list[RoutingEntry]:
    return [RoutingEntry(name=each.name, rule=each) for each in rules]


# A difference


def test_a_changed_rule_beyond_the_limit_is_undecided() -> None:
    """Only its queue changed, not its conditions: the conversations of these conditions are
    reported as undecided.
    """
    actual = compare_behaviour(one(X), one(SENT_ELSEWHERE), work=0)
    assert ((), ((Clause(intent_is("x")),),), False) == (
        actual.regions,
        actual.undecided,
        actual.complete,
    )
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete


@pytest.mark.parametrize(
    ("old", "new"),
    [((), (X,)), ((X,), ()), ((X,), (Y,))],
    ids=["created", "deleted", "changed"],
)
def test_an_unchecked_rule_without_an_equal_rule_is_undecided(
    old: tuple[Any], new: tuple[Any]
) -> None:
    """The rule was created or deleted, or no earlier rule has its conditions."""
    actual = compare_behaviour(one(*old), one(*new), work=0)
    assert [each.conditions[0] for each in (*old, *new)] == [
        clauses[0].condition for clauses in actual.undecided
    ]
    assert (False, False) == (actual.changed, actual.complete)


@pytest.mark.parametrize(
    ("places", "price"), [(1, 1), (4_095, 1), (4_096, 2), (8_192, 3)]
)
def test_comparisons_of_long_masks_cost_more(places: int, price: int) -> None:
    """A comparison costs one more for each full 4,096 bits of the mask, and the cost never
    decreases.
    """
    budget = WorkBudget(100, 100)
    budget.widen(places)
    budget.widen(1)
    budget.spend(10)
    assert 100 - 10 * price == budget.remaining


def test_equal_lists_need_no_work_to_be_equal() -> None:
    """Unchanged rules are decided without any work."""
    assert BehaviourChange(regions=()) == compare_behaviour(
        one(X, Y), one(Y, X), work=0
    )


def pairs(
    old: list[RoutingEntry],
    new: list[RoutingEntry],
    evaluation: Any,
    most: int | None = None,
) -> WinnerPairs:
    """Return the pairs of winners of two lists; `most` limits the comparisons of each search."""
    before = order_entries(old, evaluation)
    after = order_entries(new, evaluation)
    space = Space((before, after))
    if most is not None:
        space.budget.search_limit = most
    return WinnerPairs(PivotSlices(space, before), PivotSlices(space, after))


def known(found: WinnerPairs) -> set[RankPair]:
    return {*found.narrow, *found.wide}


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(3))
def test_a_pair_of_winners_with_an_aborted_search_is_unknown(block: int) -> None:
    """Under any limit of a search, each pair of the complete analysis is found or reported as
    unknown.
    """
    given_up = 0
    for seed in range(block * 50, (block + 1) * 50):
        pair = a_pair(Random(f"searches {seed}"), 6)
        lists = entries(pair.old), entries(pair.new), pair.evaluation
        complete = pairs(*lists)
        part = pairs(*lists, most=seed % 4 * 3)
        assert known(complete) <= known(part) | {*part.unknown}, seed
        given_up += len(known(complete) - known(part))
    assert given_up


def hard(count: int, shift: int) -> list[RoutingEntry]:
    """Return rules that overlap in sets of intents and in ranges of two numbers, each with one of
    five queues.
    """
    random = Random("hard")
    return entries(
        a_rule(
            f"r{n}",
            n,
            [
                attribute(
                    "intent",
                    "in",
                    [f"i{each}" for each in random.sample(range(count), count // 3)],
                ),
                attribute("x", "lessThan", random.random()),
                attribute("y", "greaterThan", random.random()),
            ],
            f"Q{(random.randrange(5) + shift) % 5}",
        )
        for n in range(count)
    )


@pytest.mark.parametrize("part", [2, 4, 8])
def test_a_difference_ends_at_its_work_limit(part: int) -> None:
    """The work is at most twice the limit, and the undecided conversations are reported."""
    old = hard(12, 0)
    new = hard(12, 1)
    bound = compare_behaviour(old, new).work // part
    actual = compare_behaviour(old, new, work=bound)
    assert bound <= actual.work <= 2 * bound
    assert not actual.complete


def test_the_default_work_limit_grows_with_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The default limit is a constant, and an amount for each rule of both lists."""
    monkeypatch.setattr(differing, "DEFAULT_WORK", 0)
    monkeypatch.setattr(differing, "WORK_PER_RULE", 0)
    assert not compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete
    monkeypatch.setattr(differing, "WORK_PER_RULE", 2_000)
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete
    monkeypatch.setattr(differing, "WORK_PER_RULE", 0)
    monkeypatch.setattr(differing, "DEFAULT_WORK", 4_000)
    assert compare_behaviour(one(X), one(SENT_ELSEWHERE)).complete


# Reviewed claims

SURE = Clause(make_condition("cognigyConfidence", "greaterThanOrEqual", 0.7))
AN_X = Clause(intent_is("x"))
HALVES = [
    RegionClaim((AN_X, SURE), (), "a"),
    RegionClaim((AN_X, SURE._replace(negate=True)), (), "a"),
]


def test_an_undecided_claim_is_not_covered_by_reviewed_claims(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two reviewed halves cover the claim, which needs a search; without work the claim is
    uncovered.
    """
    assert [] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)
    monkeypatch.setattr(spaces, "DEFAULT_WORK", 0)
    assert [0] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)


def test_a_claim_with_the_reviewed_clauses_needs_no_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The claim is covered."""
    monkeypatch.setattr(spaces, "DEFAULT_WORK", 0)
    assert [] == find_uncovered(HALVES, HALVES)


def test_too_many_reviewed_claims_cover_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each reviewed claim is one level of recursion; beyond Python's limit the claim counts as
    uncovered.
    """

    def deep(*_given: object) -> bool:
        raise RecursionError

    monkeypatch.setattr(within._ContainmentSearch, "_has_uncovered", deep)
    assert [0] == find_uncovered([RegionClaim((AN_X,), (), "a")], HALVES)


@pytest.mark.parametrize(
    ("fresh", "reviewed", "expected"),
    [
        (RegionClaim((AN_X, Clause(intent_is("y"))), (), "a"), [], []),
        (
            RegionClaim((AN_X,), (), "a"),
            [RegionClaim((AN_X, Clause(intent_is("y"))), (), "a")],
            [0],
        ),
        (
            RegionClaim((AN_X,), ((AN_X, Clause(intent_is("y"))),), "a"),
            [RegionClaim((AN_X,), (), "a")],
            [],
        ),
        (
            RegionClaim((), ((AN_X,),), "a"),
            [RegionClaim((AN_X._replace(negate=True),), (), "a")],
            [],
        ),
    ],
    ids=[
        "nothing in it",
        "nothing reviewed",
        "an exception of nothing",
        "all but one value",
    ],
)
def test_empty_claims_are_covered_and_cover_no_other_claim(
    fresh: RegionClaim, reviewed: list[RegionClaim], expected: list[int]
) -> None:
    """Their clauses contradict each other."""
    assert expected == find_uncovered([fresh], reviewed)


# An order


MOVES = [
    Move(
        RoutingEntry(name="a", rule=rule("a", conditions=[intent_is("x")])),
        RoutingEntry(name="a", rule=rule("a", conditions=[intent_is("y")])),
    ),
    Move(
        RoutingEntry(
            name="b", rule=rule("b", conditions=[intent_is("y")], targets=FRAUD)
        ),
        RoutingEntry(
            name="b", rule=rule("b", conditions=[intent_is("x")], targets=FRAUD)
        ),
    ),
    Move(
        None,
        RoutingEntry(
            name="c",
            rule=rule("c", conditions=[make_condition("tier", "equals", "gold")]),
        ),
    ),
]
ALL_ELSE = one(rule("all", priority=900, conditions=[]))


def ordered(work: int = DEFAULT_WORK, moves: Iterable[Move] = MOVES) -> MoveOrder:
    return order_moves([*moves], ALL_ELSE, work=work)


def test_an_undecided_order_is_unproven_for_each_change() -> None:
    """Without work no change is proven safe; with the default work all are."""
    assert (0, 1, 2) == ordered(work=0).unproven
    assert () == ordered().unproven


def test_an_order_with_too_many_pairs_is_unproven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit of pairs applies independently of the remaining work."""
    monkeypatch.setattr(constraints, "MAX_PAIR_CHECKS", 1)
    assert (0, 1, 2) == ordered().unproven


def test_disjoint_pairs_of_one_intent_count_as_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their ranges of the confidence are disjoint, and each pair must be checked for that."""
    moves = [Move(ranged(n), None) for n in range(10)] + [
        Move(None, ranged(n)) for n in range(10, 20)
    ]
    actual = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (frozenset(), set()) == (
        actual.dependencies.add_before_remove,
        actual.undecided,
    )
    monkeypatch.setattr(constraints, "MAX_PAIR_CHECKS", 90)
    assert (
        set(range(20))
        == Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK).undecided
    )


def ranged(part: int) -> RoutingEntry:
    """Return a rule for one twentieth of the confidences of an intent."""
    low = make_condition("cognigyConfidence", "greaterThanOrEqual", part / 20)
    high = make_condition("cognigyConfidence", "lessThan", (part + 1) / 20)
    return RoutingEntry(
        name=f"k{part}", rule=rule(f"k{part}", conditions=[intent_is("x"), low, high])
    )


def apart(name: str, priority: int) -> RoutingEntry:
    """Return a rule with a condition on an attribute that no other rule uses."""
    return RoutingEntry(
        name=name,
        rule=rule(
            name,
            priority=priority,
            conditions=[make_condition(name, "equals", "yes")],
            targets=FRAUD,
        ),
    )


def test_links_between_changes_end_at_their_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of twenty creates depends on each of twenty deletes; the limit bounds the memory of such
    links.
    """
    moves = [Move(apart(f"old{n}", n), None) for n in range(20)]
    moves += [Move(None, apart(f"new{n}", 20 - n)) for n in range(20)]
    actual = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (400, set()) == (
        len(actual.dependencies.add_before_remove),
        actual.undecided,
    )
    monkeypatch.setattr(constraints, "MAX_DEPENDENCIES", 50)
    actual = Constraints(moves, ALL_ELSE, "lowest-first", DEFAULT_WORK)
    assert (51, set(range(40))) == (
        len(actual.dependencies.add_before_remove),
        actual.undecided,
    )


def test_an_abandoned_search_for_an_order_uses_temporary_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy breaks the cycle without a search, and the order is still proven."""

    def gives_up(*_given: object) -> None:
        raise UndecidedError

    monkeypatch.setattr(
        "reconciler.core.behaviour.ordering.order.search_waves", gives_up
    )
    actual = ordered()
    assert ((), True) == (
        actual.unproven,
        any(step.kind == "copy" for wave in actual.waves for step in wave),
    )


def test_changes_that_route_as_before_need_no_work() -> None:
    """A new name or description does not change the routing, and a disabled rule routes no
    conversation.
    """
    off = rule("off", enabled=False)
    moves = [
        Move(
            RoutingEntry(name="n", rule=X),
            RoutingEntry(name="n", rule=rule("x", description="new")),
        ),
        Move(None, RoutingEntry(name="off", rule=off)),
    ]
    assert () == ordered(0, moves).unproven
