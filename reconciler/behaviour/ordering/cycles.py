"""Cycles of changes that wait for each other, and the few changes to split into several calls to break them."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.ordering.graph import Dependencies, Graph, MoveStep, SplitMoves, find_cycles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_COPIES_SEARCHED: Final = 3  # copies chosen by trying every choice; further ones are chosen one by one
MAX_CANDIDATES: Final = 16
MAX_DEPENDENCY_CHECKS: Final = 5_000_000  # in the search for the fewest copies; after it, each stuck change has one


def break_cycles(dependencies: Dependencies, moves: Sequence[int], updates: Collection[int]) -> SplitMoves:
    """Return the changes (updates only) that get a copy, and those that take their name in a second call.

    First the cycles of behaviour alone, then those of names alone, then those of both. A copy already has the name that
    a parked rule would take.
    """
    split = _add_copies(dependencies._replace(names=frozenset()), SplitMoves(), updates, moves)
    split = split._replace(parked=_break_name_cycles(dependencies.names, moves, split.copies))
    split = _park_moves(dependencies, split, moves)
    return _add_copies(dependencies, split, updates, moves)


def _break_name_cycles(
    names: Collection[tuple[int, int]], moves: Sequence[int], copies: Collection[int]
) -> frozenset[int]:
    """Return one change of each cycle of names, preferably one without a copy."""
    parked: frozenset[int] = frozenset()
    while True:
        graph: Graph[int] = {move: set() for move in moves}
        for owner, taker in names:
            if taker not in parked:
                graph[owner].add(taker)
        groups = find_cycles(graph)
        if not groups:
            return parked
        parked |= {min(group, key=lambda move: (move in copies, move)) for group in groups}


def _park_moves(dependencies: Dependencies, split: SplitMoves, moves: Sequence[int]) -> SplitMoves:
    """Park changes, preferably without a copy, until no change of a cycle waits for its name."""
    while True:
        groups = [{step.move for step in group} for group in find_cycles(dependencies.graph(moves, split))]
        takers = [
            taker
            for group in groups
            for owner, taker in dependencies.names
            if owner in group and taker in group and taker not in split.parked
        ]
        if not takers:
            return split
        taker = min(takers, key=lambda move: (move in split.copies, move))
        split = split._replace(parked=split.parked | {taker})


def _add_copies(
    dependencies: Dependencies, split: SplitMoves, updates: Collection[int], moves: Sequence[int]
) -> SplitMoves:
    """Add copies, cycle by cycle, until no cycle is left that a copy could break."""
    while True:
        copies: set[int] = set()
        for group in find_cycles(dependencies.graph(moves, split)):
            stuck = {step.move for step in group}
            able = sorted((stuck & {*updates}) - split.copies, key=lambda move: (move in split.parked, move))
            if able:
                copies |= _choose_copies(dependencies.among(stuck), sorted(stuck), split, able)
        if not copies:
            return split
        split = split._replace(copies=split.copies | copies)


def _choose_copies(
    dependencies: Dependencies, moves: Sequence[int], split: SplitMoves, candidates: Sequence[int]
) -> set[int]:
    """Return the copies that break one cycle: of a few changes the fewest, of many chosen one by one."""

    def stuck(copies: Collection[int]) -> list[list[MoveStep]]:
        return find_cycles(dependencies.graph(moves, split._replace(copies=split.copies | {*copies})))

    if len(candidates) <= MAX_CANDIDATES:
        for count in range(1, MAX_COPIES_SEARCHED + 1):
            for choice in combinations(candidates, count):
                if not stuck(choice):
                    return set(choice)
    checks = MAX_DEPENDENCY_CHECKS // (len(moves) + sum(map(len, dependencies)))
    chosen: list[int] = []
    groups = stuck(chosen)
    while groups:
        remaining = {step.move for group in groups for step in group} & {*candidates} - {*chosen}
        if not remaining:
            break
        checks -= 1
        chosen += [_most_dependent(dependencies, remaining)] if checks > 0 else remaining
        groups = stuck(chosen)
    for move in tuple(chosen):
        others = [copy for copy in chosen if copy != move]
        checks -= 1
        if checks > 0 and others and not groups and not stuck(others):
            chosen = others
    return set(chosen)


def _most_dependent(dependencies: Dependencies, moves: Collection[int]) -> int:
    """Return the change with most dependencies on the others."""
    degree = dict.fromkeys(sorted(moves), 0)
    for pairs in dependencies:
        for first, then in pairs:
            if first in degree and then in degree:
                degree[first] += 1
                degree[then] += 1
    return max(degree, key=lambda move: degree[move])
