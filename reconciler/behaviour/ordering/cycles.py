"""Circles of changes that wait for each other -> which of them are split: as few copies as may be."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.ordering.graph import Dependencies, Graph, MoveStep, SplitMoves, find_cycles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


MAX_COPIES_SEARCHED: Final = 3  # how many copies at most are chosen by trying every choice; more are chosen one by one
MAX_CANDIDATES: Final = 16
MAX_DEPENDENCY_CHECKS: Final = 5_000_000
"""How many links are looked at for the fewest copies; after that, each change that is stuck has one."""


def break_cycles(dependencies: Dependencies, moves: Sequence[int], updates: Collection[int]) -> SplitMoves:
    """Return which of the changes get a copy (updates alone can), and which take their name in a second call.

    Circles of behaviour alone come first, then those of names alone, broken beside the copies (a copy has the name that
    a rule set aside would take), then what both make together.
    """
    split = _add_copies(dependencies._replace(names=frozenset()), SplitMoves(), updates, moves)
    split = split._replace(parked=_break_name_cycles(dependencies.names, moves, split.copies))
    split = _park_moves(dependencies, split, moves)
    return _add_copies(dependencies, split, updates, moves)


def _break_name_cycles(
    names: Collection[tuple[int, int]], moves: Sequence[int], copies: Collection[int]
) -> frozenset[int]:
    """Return one change of each circle of names, one without a copy where there is one."""
    asides: frozenset[int] = frozenset()
    while True:
        graph: Graph[int] = {move: set() for move in moves}
        for frees, takes in names:
            if takes not in asides:
                graph[frees].add(takes)
        groups = find_cycles(graph)
        if not groups:
            return asides
        asides |= {min(group, key=lambda move: (move in copies, move)) for group in groups}


def _park_moves(dependencies: Dependencies, split: SplitMoves, moves: Sequence[int]) -> SplitMoves:
    """Set changes aside until no circle has one that waits for its name; such as have no copy where possible."""
    while True:
        groups = [{step.move for step in group} for group in find_cycles(dependencies.graph(moves, split))]
        takers = [
            takes
            for group in groups
            for frees, takes in dependencies.names
            if frees in group and takes in group and takes not in split.parked
        ]
        if not takers:
            return split
        taker = min(takers, key=lambda move: (move in split.copies, move))
        split = split._replace(parked=split.parked | {taker})


def _add_copies(
    dependencies: Dependencies, split: SplitMoves, updates: Collection[int], moves: Sequence[int]
) -> SplitMoves:
    """Add copies, circle by circle, until nothing runs in a circle that a copy could break."""
    while True:
        more: set[int] = set()
        for group in find_cycles(dependencies.graph(moves, split)):
            stuck = {step.move for step in group}
            able = sorted((stuck & {*updates}) - split.copies, key=lambda move: (move in split.parked, move))
            if able:
                more |= _choose_copies(dependencies.among(stuck), sorted(stuck), split, able)
        if not more:
            return split
        split = split._replace(copies=split.copies | more)


def _choose_copies(
    dependencies: Dependencies, moves: Sequence[int], split: SplitMoves, candidates: Sequence[int]
) -> set[int]:
    """Choose the copies that break one circle: of a few changes the fewest, of many one by one."""

    def stuck(copies: Collection[int]) -> list[list[MoveStep]]:
        return find_cycles(dependencies.graph(moves, split._replace(copies=split.copies | {*copies})))

    if len(candidates) <= MAX_CANDIDATES:
        for count in range(1, MAX_COPIES_SEARCHED + 1):
            for some in combinations(candidates, count):
                if not stuck(some):
                    return set(some)
    looks = MAX_DEPENDENCY_CHECKS // (len(moves) + sum(map(len, dependencies)))
    chosen: list[int] = []
    groups = stuck(chosen)
    while groups:
        left = {step.move for group in groups for step in group} & {*candidates} - {*chosen}
        if not left:
            break
        looks -= 1
        chosen += [_most_dependent(dependencies, left)] if looks > 0 else left
        groups = stuck(chosen)
    for one in tuple(chosen):
        others = [other for other in chosen if other != one]
        looks -= 1
        if looks > 0 and others and not groups and not stuck(others):
            chosen = others
    return set(chosen)


def _most_dependent(dependencies: Dependencies, moves: Collection[int]) -> int:
    """Return the change that waits for most others, or that most others wait for."""
    degree = dict.fromkeys(sorted(moves), 0)
    for pairs in dependencies:
        for pair in pairs:
            if pair[0] in degree and pair[1] in degree:
                degree[pair[0]] += 1
                degree[pair[1]] += 1
    return max(degree, key=lambda move: degree[move])
