"""The order of changes: after any part of a wave, each input goes to its old or its new
destination.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings

from reconciler.core.behaviour.ordering.constraints import Move
from reconciler.core.behaviour.ordering.order import order_moves
from tests.support import brute_force as brute
from tests.support.brute_force import Json
from tests.support.brute_force_checks import (
    OrderSafety,
    before_of,
    check_order,
    order_without_copies,
    state_after,
)
from tests.support.random_rules import (
    PAIRS,
    Evaluation,
    RulePair,
    a_pair,
    attribute,
    entries,
    entry,
    rule,
)
from tests.tiers import size

BLOCKS = 26
SIZE = size(fast=12, slow=60, full=120)
"""Pairs of lists in each block."""

Waves = list[list[tuple[int, str]]]


def waves_of(pair: RulePair) -> tuple[Waves, bool]:
    """Return the waves of a pair's order, and whether all of it is proven."""
    moves = [
        Move(*(None if item is None else entry(item) for item in move))
        for move in pair.moves
    ]
    actual = order_moves(moves, entries(pair.fixed), pair.evaluation)
    return [
        [(step.move, step.kind) for step in wave] for wave in actual.waves
    ], not actual.unproven


def check(pair: RulePair) -> set[str]:
    """Assert that a pair's order is safe and has no superfluous copy; return the kinds of its
    steps.
    """
    waves, proven = waves_of(pair)
    assert proven or pair.opaque, pair
    if proven:
        check_order(pair.moves, pair.fixed, waves, pair.evaluation)
    kinds = {kind for wave in waves for _, kind in wave}
    needed = (
        kinds & {"copy"}
        if OrderSafety(pair.moves, pair.fixed).names
        else kinds - {"whole"}
    )
    if proven and needed and len(pair.moves) <= 5:
        assert not order_without_copies(pair.moves, pair.fixed, pair.evaluation), (
            pair,
            waves,
        )
    return kinds


@pytest.mark.fast_cases(2)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_part_of_every_wave_is_safe(block: int) -> None:
    """No call, in any order within its wave and with any order of ties, sends an input to a third
    destination.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check(a_pair(Random(f"order {seed}"), 4 if seed % 4 else 8))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(pair=PAIRS)
def test_orders_are_safe_for_pairs_that_shrink(pair: RulePair) -> None:
    """The same for pairs that hypothesis reduces when they fail."""
    check(pair)


X = attribute("intent", "equals", "x")
Y = attribute("intent", "equals", "y")
SURE = attribute("conf", "greaterThanOrEqual", 0.7)


def directed(
    old: list[Json], new: list[Json], evaluation: Evaluation = "lowest-first"
) -> list[list[str]]:
    """Return the kinds of steps of each wave, after checking the order in both directions."""
    check(RulePair(new, old, evaluation))
    pair = RulePair(old, new, evaluation)
    check(pair)
    waves, proven = waves_of(pair)
    assert proven
    return [sorted(kind for _, kind in wave) for wave in waves]


def flat(waves: list[list[str]]) -> list[str]:
    return sorted(kind for wave in waves for kind in wave)


def test_no_changes_need_no_wave() -> None:
    """An order of no changes has no steps."""
    assert ((), ()) == (order_moves([], []).waves, order_moves([], []).unproven)


def test_a_rename_creates_before_it_deletes() -> None:
    """A rule with another key and name takes over the intent before the old rule is deleted."""
    old = [rule("k", 1, [X], "A"), rule("all", 9, [], "B")]
    new = [rule("l", 1, [X], "A"), rule("all", 9, [], "B")]
    pair = RulePair(old, new, "lowest-first")
    assert [
        (rule("k", 1, [X], "A"), None),
        (None, rule("l", 1, [X], "A")),
    ] == pair.moves
    assert ([[(1, "whole")], [(0, "whole")]], True) == waves_of(pair)
    check(pair)


def test_a_rename_in_place_is_one_call() -> None:
    """A rule with a new name needs only its own update."""
    assert [["whole"]] == directed(
        [rule("k", 1, [X], "A")], [rule("k", 1, [X], "A", name="new")]
    )


def test_changes_without_common_inputs_are_one_wave() -> None:
    """The rules have no input in common."""
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "A")]
    new = [rule("k", 1, [X], "B"), rule("l", 2, [Y], "B")]
    assert [["whole", "whole"]] == directed(old, new)


def test_two_priorities_swap() -> None:
    """Overlapping rules swap priorities without a copy: between the calls they have at worst one
    priority.
    """
    old = [rule("k", 1, [X], "A"), rule("l", 2, [SURE], "B")]
    new = [rule("k", 2, [X], "A"), rule("l", 1, [SURE], "B")]
    assert ["whole", "whole"] == flat(directed(old, new))


def test_two_intents_swap_above_a_catch_all() -> None:
    """Case (ii): two rules swap their conditions above a catch-all, which needs exactly one
    copy.
    """
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "B"), rule("all", 9, [], "C")]
    new = [rule("k", 1, [Y], "A"), rule("l", 2, [X], "B"), rule("all", 9, [], "C")]
    assert ["copy", "drop", "whole", "whole"] == flat(directed(old, new))


def test_two_intents_swap_above_the_default() -> None:
    """Without a catch-all the default is the third destination, and one copy is needed."""
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "B")]
    new = [rule("k", 1, [Y], "A"), rule("l", 2, [X], "B")]
    assert ["copy", "drop", "whole", "whole"] == flat(directed(old, new))


def test_an_update_possible_neither_before_nor_after_a_delete() -> None:
    """Case (i): the smallest set of changes that needs a copy."""
    old = [rule("k", 1, [X], "A"), rule("all", 2, [], "B")]
    new = [rule("k", 1, [Y], "A")]
    assert [["copy"], ["whole"], ["whole"], ["drop"]] == directed(old, new)


def test_one_rule_becomes_two() -> None:
    """The new rule is created before the old rule gives up its part."""
    old = [
        rule("k", 1, [attribute("intent", "in", ["x", "y"])], "A"),
        rule("all", 9, [], "B"),
    ]
    new = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "A"), rule("all", 9, [], "B")]
    assert [["whole"], ["whole"]] == directed(old, new)
    assert [[(1, "whole")], [(0, "whole")]] == waves_of(
        RulePair(old, new, "lowest-first")
    )[0]


def test_two_rules_become_one() -> None:
    """The rule that takes over both parts is changed before the other one is deleted."""
    new = [
        rule("k", 1, [attribute("intent", "in", ["x", "y"])], "A"),
        rule("all", 9, [], "B"),
    ]
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "A"), rule("all", 9, [], "B")]
    assert [[(0, "whole")], [(1, "whole")]] == waves_of(
        RulePair(old, new, "lowest-first")
    )[0]


def test_two_names_swap() -> None:
    """Neither name is free, so one rule first takes its temporary name; no rule is created."""
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "B")]
    new = [rule("k", 1, [X], "A", name="l"), rule("l", 2, [Y], "B", name="k")]
    assert [["aside"], ["whole"], ["whole"]] == directed(old, new)


def test_two_names_and_two_intents_swap() -> None:
    """One rule gets a copy for the intents and the other is parked for the names: two rules never
    share a name.
    """
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "B"), rule("all", 9, [], "C")]
    new = [
        rule("k", 1, [Y], "A", name="l"),
        rule("l", 2, [X], "B", name="k"),
        rule("all", 9, [], "C"),
    ]
    assert ["aside", "copy", "drop", "whole", "whole"] == flat(directed(old, new))


def test_two_names_swap_and_one_rule_has_a_copy() -> None:
    """A rule whose copy has its temporary name cannot be parked, so the other rule is."""
    old = [rule("k", 1, [attribute("conf", "exists")], "A"), rule("l", 5, [SURE], "B")]
    new = [rule("k", 1, [X], "A", name="l"), rule("l", 5, [X], "B", name="k")]
    assert ["aside", "copy", "drop", "whole", "whole"] == flat(directed(old, new))


def test_a_name_is_freed_before_it_is_taken() -> None:
    """In a chain of names the rule that frees a name is changed first."""
    old = [rule("k", 1, [X], "A"), rule("l", 2, [Y], "B")]
    new = [rule("k", 1, [X], "A", name="l"), rule("l", 2, [Y], "B", name="m")]
    assert [[(1, "whole")], [(0, "whole")]] == waves_of(
        RulePair(old, new, "lowest-first")
    )[0]
    assert [["whole"], ["whole"]] == directed(old, new)


def test_a_name_passes_to_another_rule_of_the_same_intent() -> None:
    """One rule is deleted and another with its name and conditions is created: a copy routes until
    the name is free.
    """
    old = [rule("k", 1, [X], "A", name="same"), rule("all", 9, [], "B")]
    new = [rule("l", 1, [X], "A", name="same"), rule("all", 9, [], "B")]
    assert not order_without_copies(RulePair(old, new, "lowest-first").moves, [old[1]])
    assert {"aside", "copy"} & set(flat(directed(old, new)))


def test_an_existing_tie_does_no_harm() -> None:
    """If the live or the desired rules have a tie that matters, both destinations are right during
    the change.
    """
    old = [rule("k", 1, [X], "A"), rule("l", 1, [X], "B"), rule("all", 9, [], "C")]
    new = [rule("k", 1, [X], "B"), rule("l", 1, [X], "A"), rule("all", 9, [], "C")]
    assert ["whole", "whole"] == flat(directed(old, new))


def test_an_order_holds_for_all_values_of_unknown_conditions() -> None:
    """The order is proven for both truth values of a condition that is not understood, or reported
    as unproven.
    """
    unknown = {"type": "schedule", "name": "nights"}
    old = [
        rule("k", 1, [unknown], "A"),
        rule("l", 2, [X], "B"),
        rule("all", 9, [], "C"),
    ]
    new = [
        rule("k", 1, [X], "A"),
        rule("l", 2, [unknown], "B"),
        rule("all", 9, [], "C"),
    ]
    check(RulePair(old, new, "lowest-first"))


# The oracle itself


def test_the_oracle_finds_the_harm_of_case_i() -> None:
    """Update first sends x to B, delete first sends y to the default: the oracle finds both, with
    the rules.
    """
    moves: list[brute.Move] = [
        (rule("k", 1, [X], "A"), rule("k", 1, [Y], "A")),
        (rule("all", 2, [], "B"), None),
    ]
    safety = OrderSafety(moves, [])
    start = before_of(moves, [])
    assert safety.harm(start) is None
    assert "({'intent': 'x'}, {}) goes to all" == safety.harm(
        state_after(start, moves, (0, "whole"))
    )
    assert "({'intent': 'y'}, {}) goes to None" == safety.harm(
        state_after(start, moves, (1, "whole"))
    )
    assert not order_without_copies(moves, [])
    check_order(
        moves,
        [],
        [[(0, "copy")], [(1, "whole")], [(0, "whole")], [(0, "drop")]],
        "lowest-first",
    )
    with pytest.raises(AssertionError, match="goes to"):
        check_order(moves, [], [[(0, "whole"), (1, "whole")]], "lowest-first")


def test_the_oracle_finds_a_duplicate_name() -> None:
    """Taking a name before it is free is harmful; a name that is duplicate from the start is
    not.
    """
    moves: list[brute.Move] = [
        (rule("k", 1, [X], "A"), rule("k", 1, [X], "A", name="l")),
        (rule("l", 2, [Y], "B"), rule("l", 2, [Y], "B", name="m")),
    ]
    safety = OrderSafety(moves, [])
    start = before_of(moves, [])
    assert str(safety.harm(state_after(start, moves, (0, "whole")))).startswith(
        "one name twice"
    )
    assert safety.harm(state_after(start, moves, (1, "whole"))) is None
    assert order_without_copies(moves, [])
