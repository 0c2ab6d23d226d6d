"""Rules of equal priority that a merge brings together: the tenant may try either first. Pure."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby, product
from typing import NamedTuple

from reconciler.core.behaviour.budget import WORK_PER_SEARCH
from reconciler.core.behaviour.facts.rule_facts import find_ties_of_pairs
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Example, Space
from reconciler.core.behaviour.space.value_type import Types
from reconciler.features.changes.merge_winners import MERGED, OURS, THEIRS


class MergedTie(NamedTuple):
    """Two rules of equal priority and different destinations, which neither change has both of.

    The example is a conversation that both match; None: whether there is one is not decided.
    """

    first: RoutingEntry
    second: RoutingEntry
    example: Example | None


def find_merged_ties(
    lists: Sequence[Sequence[RoutingEntry]], types: Types | None = None
) -> tuple[MergedTie, ...]:
    """Return the ties of the merged list between rules that no change has both of, each pair of
    rules once.

    `lists` are the versions in the order of `VERSIONS`, each in the order of evaluation.
    """
    sides = [set(map(_identity, lists[number])) for number in (OURS, THEIRS)]
    if not any(_new_pairs(lists[MERGED], sides)):
        return ()
    space = Space([lists[MERGED]], types=types)
    slices = PivotSlices(space, lists[MERGED])
    space.budget.remaining = WORK_PER_SEARCH

    found: dict[tuple[str, str], MergedTie] = {}
    for tie in _ties_of_parts(slices, sides):
        names = tie.first.name, tie.second.name
        # the parts of a rule behind an endpoint's fallback: one that is decided counts
        if names not in found or found[names].example is None:
            found[names] = tie
    return tuple(found.values())


def _ties_of_parts(
    slices: PivotSlices, sides: Sequence[set[Hashable]]
) -> Iterator[MergedTie]:
    """Yield the ties of the parts of rules, each with its whole rules."""
    # without the rules that match nothing, which have no rank
    merged = slices.entries
    for level, ranks in _new_pairs(merged, sides):
        for first, second, tie in find_ties_of_pairs(slices, level, ranks):
            example = tie.example if tie else None
            yield MergedTie(merged[first].whole, merged[second].whole, example)


def _new_pairs(
    merged: Sequence[RoutingEntry], sides: Sequence[set[Hashable]]
) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """Yield the ranks of each priority, and its pairs of different destinations that no change
    has both rules of.
    """
    ranks = range(len(merged))
    for _, group in groupby(ranks, key=lambda rank: merged[rank].rule.priority):
        level = list(group)
        pairs = list(_pairs_of_level(merged, level, sides))
        if pairs:
            yield level, pairs


def _pairs_of_level(
    merged: Sequence[RoutingEntry], level: Sequence[int], sides: Sequence[set[Hashable]]
) -> Iterator[tuple[int, int]]:
    """Yield each pair of which one change has only the first rule, and the other one only the
    second; and each pair with a rule that neither has.

    Most rules are in both changes, so there are far fewer than all pairs of the level.
    """
    ours, theirs = (
        {rank for rank in level if _identity(merged[rank]) in side} for side in sides
    )
    unknown = [rank for rank in level if rank not in ours and rank not in theirs]
    pairs = {*product(ours - theirs, theirs - ours), *product(unknown, level)}
    for pair in sorted({(min(pair), max(pair)) for pair in pairs}):
        first, second = (destination_of_rule(merged[rank]) for rank in pair)
        if first != second:
            yield pair


def _identity(entry: RoutingEntry) -> Hashable:
    """Return what makes a rule the same one in another version."""
    rule = entry.rule
    return entry.name, rule.priority, rule.conditions, destination_of_rule(entry)
