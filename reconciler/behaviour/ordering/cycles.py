"""Circles of changes that wait for each other -> which of them are split: as few copies as may be."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.ordering.graph import Graph, Links, Split, Step, circles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


MOST_TRIED: Final = 3
"""How many copies at most are chosen by trying every choice; more are chosen one by one."""
MOST_CHOICES: Final = 16
MOST_LOOKS: Final = 5_000_000
"""How many links are looked at for the fewest copies; after that, each change that is stuck has one."""


def untangle(links: Links, moves: Sequence[int], updates: Collection[int]) -> Split:
    """Return which of the changes get a copy (updates alone can), and which take their name in a second call.

    Circles of behaviour alone come first, then those of names alone, broken beside the copies (a copy has the name that
    a rule set aside would take), then what both make together.
    """
    split = _with_copies(links._replace(names=frozenset()), Split(), updates, moves)
    split = split._replace(asides=_named_apart(links.names, moves, split.copies))
    split = _set_aside(links, split, moves)
    return _with_copies(links, split, updates, moves)


def _named_apart(names: Collection[tuple[int, int]], moves: Sequence[int], copies: Collection[int]) -> frozenset[int]:
    """Return one change of each circle of names, one without a copy where there is one."""
    asides: frozenset[int] = frozenset()
    while True:
        graph: Graph[int] = {move: set() for move in moves}
        for frees, takes in names:
            if takes not in asides:
                graph[frees].add(takes)
        groups = circles(graph)
        if not groups:
            return asides
        asides |= {min(group, key=lambda move: (move in copies, move)) for group in groups}


def _set_aside(links: Links, split: Split, moves: Sequence[int]) -> Split:
    """Set changes aside until no circle has one that waits for its name; such as have no copy where possible."""
    while True:
        groups = [{step.move for step in group} for group in circles(links.graph(moves, split))]
        takers = [
            takes
            for group in groups
            for frees, takes in links.names
            if frees in group and takes in group and takes not in split.asides
        ]
        if not takers:
            return split
        taker = min(takers, key=lambda move: (move in split.copies, move))
        split = split._replace(asides=split.asides | {taker})


def _with_copies(links: Links, split: Split, updates: Collection[int], moves: Sequence[int]) -> Split:
    """Add copies, circle by circle, until nothing runs in a circle that a copy could break."""
    while True:
        more: set[int] = set()
        for group in circles(links.graph(moves, split)):
            stuck = {step.move for step in group}
            able = sorted((stuck & {*updates}) - split.copies, key=lambda move: (move in split.asides, move))
            if able:
                more |= _chosen(links.within(stuck), sorted(stuck), split, able)
        if not more:
            return split
        split = split._replace(copies=split.copies | more)


def _chosen(links: Links, moves: Sequence[int], split: Split, able: Sequence[int]) -> set[int]:
    """Choose the copies that break one circle: of a few changes the fewest, of many one by one."""

    def stuck(copies: Collection[int]) -> list[list[Step]]:
        return circles(links.graph(moves, split._replace(copies=split.copies | {*copies})))

    if len(able) <= MOST_CHOICES:
        for count in range(1, MOST_TRIED + 1):
            for some in combinations(able, count):
                if not stuck(some):
                    return set(some)
    looks = MOST_LOOKS // (len(moves) + sum(map(len, links)))
    chosen: list[int] = []
    groups = stuck(chosen)
    while groups:
        left = {step.move for group in groups for step in group} & {*able} - {*chosen}
        if not left:
            break
        looks -= 1
        chosen += [_busiest(links, left)] if looks > 0 else left
        groups = stuck(chosen)
    for one in tuple(chosen):
        others = [other for other in chosen if other != one]
        looks -= 1
        if looks > 0 and others and not groups and not stuck(others):
            chosen = others
    return set(chosen)


def _busiest(links: Links, moves: Collection[int]) -> int:
    """Return the change that waits for most others, or that most others wait for."""
    degree = dict.fromkeys(sorted(moves), 0)
    for pairs in links:
        for pair in pairs:
            if pair[0] in degree and pair[1] in degree:
                degree[pair[0]] += 1
                degree[pair[1]] += 1
    return max(degree, key=lambda move: degree[move])
