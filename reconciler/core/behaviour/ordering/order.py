"""An order of changes in which every conversation always goes to its old or its new destination.

Algorithms "Ordering constraints": for a conversation with the old winner o and the new winner n it
suffices that n comes before the removal of o, that rules which would then show are removed before
o, and that n comes before rules that would hide it. "Hide" is by priority, so the order is safe
however the platform breaks ties. Where the constraints form a cycle, a few changes are searched
exactly. Where no order of the changes exists, one change is made in three calls: a temporary copy
of the new rule, the rule itself, the deletion of the copy.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Final

from reconciler.core.behaviour.budget import DEFAULT_WORK, UndecidedError
from reconciler.core.behaviour.ordering.constraints import Constraints, Move
from reconciler.core.behaviour.ordering.graph import (
    Dependencies,
    Graph,
    MovePairs,
    MoveStep,
    SplitMoves,
    build_graph,
    build_waves,
    connected_groups,
    find_cycles,
    reachable,
)
from reconciler.core.behaviour.ordering.search import search_waves
from reconciler.core.behaviour.routing_entry import Evaluation, RoutingEntry

# up to so many changes, every order of all of them is searched
MAX_SEARCHED_MOVES: Final = 6
# up to so many linked changes, every order of them is searched
MAX_SEARCHED_DEPENDENT_MOVES: Final = 8
# copies chosen by trying every choice; further ones are chosen one by one
MAX_COPIES_SEARCHED: Final = 3
MAX_CANDIDATES: Final = 16
# in the search for the fewest copies; after it, each stuck change has one
MAX_DEPENDENCY_CHECKS: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """Waves of calls: the calls of one wave in any order, the waves one after the other."""

    waves: tuple[tuple[MoveStep, ...], ...]
    # the changes whose order the work budget did not suffice to prove
    unproven: tuple[int, ...] = ()
    graph: Graph[MoveStep] = field(default_factory=dict, compare=False, repr=False)

    def dependents(self, moves: Collection[int]) -> set[MoveStep]:
        """Return the steps of some changes, and all that must come after one of them."""
        steps = [step for step in self.graph if step.move in moves]
        return reachable(self.graph, steps)


def order_moves(
    moves: Sequence[Move],
    fixed: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int = DEFAULT_WORK,
    stale_copies: MovePairs = frozenset(),
) -> MoveOrder:
    """Return the order of the changes; the `fixed` rules do not change."""
    # `stale_copies` are pairs: the deletion of a copy that an earlier run left, and the change that
    # it was made for.
    if len(moves) == 1:
        only = MoveStep(0, "whole")
        return MoveOrder(((only,),), graph={only: set()})
    constraints = Constraints(moves, tuple(fixed), evaluation, work)
    undecided = constraints.undecided
    links = constraints.dependencies._replace(copies=stale_copies)
    split = SplitMoves()
    groups = [] if undecided else _cyclic_groups(links, len(moves))
    for group in groups:
        links, split = _order_group(constraints, group, links, split)

    graph = links.graph(range(len(moves)), split)
    stuck = _stuck_moves(graph) if groups or undecided else set()
    # Deletes come late: each waits for a read that shows the rules which replace it.
    ordered = build_waves(
        graph, lambda step: step.kind == "drop" or moves[step.move].after is None
    )
    return MoveOrder(ordered, tuple(sorted(undecided | stuck)), graph)


def _stuck_moves(graph: Graph[MoveStep]) -> set[int]:
    """Return the changes with a step on a cycle."""
    return {step.move for step in chain.from_iterable(find_cycles(graph))}


def _order_group(
    constraints: Constraints,
    group: Sequence[int],
    links: Dependencies,
    split: SplitMoves,
) -> tuple[Dependencies, SplitMoves]:
    """Return the links and the split changes with an order of one group, as far as there is one."""
    result = None
    if len(group) <= MAX_SEARCHED_DEPENDENT_MOVES:
        result = _search_group(constraints, group)
    if result is not None:
        waves, parked = result
        split = split._replace(parked=split.parked | parked)
        return links.with_waves(waves), split

    # only an update can be split by a copy
    updates = []
    for number in group:
        move = constraints.moves[number]
        if move.before is not None and move.after is not None:
            updates.append(number)
    broken = break_cycles(links.among(group), group, updates)
    split = SplitMoves(split.copies | broken.copies, split.parked | broken.parked)
    return links, split


def _cyclic_groups(dependencies: Dependencies, count: int) -> list[list[int]]:
    """Return the groups of linked changes with a cycle; of few changes, all as one group."""
    stuck = _stuck_moves(dependencies.graph(range(count), SplitMoves()))
    if not stuck:
        return []
    if count <= MAX_SEARCHED_MOVES:
        return [list(range(count))]
    return [
        group for group in connected_groups(dependencies, count) if stuck & {*group}
    ]


def _search_group(
    constraints: Constraints, group: Sequence[int]
) -> tuple[list[list[int]], frozenset[int]] | None:
    """Return waves of a group, and the few changes that take their name in a second call; None
    without an order.
    """
    names = constraints.dependencies.among(group).names
    takers = sorted({taker for _, taker in names})
    for count in range(len(takers) + 1):
        for parked in combinations(takers, count):
            try:
                waves = search_waves(
                    constraints,
                    group,
                    [pair for pair in names if pair[1] not in parked],
                )
            except UndecidedError:  # temporary copies need no search
                return None
            if waves is not None:
                return waves, frozenset(parked)
    return None


def break_cycles(
    dependencies: Dependencies,
    moves: Sequence[int],
    updates: Collection[int],
) -> SplitMoves:
    """Return the changes (updates only) that get a copy, and those that take their name in a second
    call.
    """
    # First the cycles of behaviour alone, then those of names alone, then those of both.
    split = _add_copies(
        dependencies._replace(names=frozenset()),
        SplitMoves(),
        updates,
        moves,
    )
    split = split._replace(
        parked=_break_name_cycles(dependencies.names, moves, split.copies)
    )
    split = _park_moves(dependencies, split, moves)
    return _add_copies(dependencies, split, updates, moves)


def _break_name_cycles(
    names: MovePairs,
    moves: Sequence[int],
    copies: Collection[int],
) -> frozenset[int]:
    """Return one change of each cycle of names, preferably one without a copy."""
    parked: frozenset[int] = frozenset()
    while True:
        groups = find_cycles(
            build_graph(moves, (pair for pair in names if pair[1] not in parked))
        )
        if not groups:
            return parked
        parked |= {
            min(group, key=lambda move: (move in copies, move)) for group in groups
        }


def _park_moves(
    dependencies: Dependencies,
    split: SplitMoves,
    moves: Sequence[int],
) -> SplitMoves:
    """Park changes, preferably without a copy, until no change of a cycle waits for its name."""
    while True:
        groups = [
            {step.move for step in group}
            for group in find_cycles(dependencies.graph(moves, split))
        ]
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
    links: Dependencies,
    split: SplitMoves,
    updates: Collection[int],
    moves: Sequence[int],
) -> SplitMoves:
    """Add copies, cycle by cycle, until no cycle is left that a copy could break."""
    while True:
        copies: set[int] = set()
        for group in find_cycles(links.graph(moves, split)):
            stuck = {step.move for step in group}
            able = sorted(
                (stuck & {*updates}) - split.copies,
                key=lambda move: (move in split.parked, move),
            )
            if able:
                copies |= _choose_copies(links.among(stuck), sorted(stuck), split, able)
        if not copies:
            return split
        split = split._replace(copies=split.copies | copies)


def _choose_copies(
    links: Dependencies,
    moves: Sequence[int],
    split: SplitMoves,
    candidates: Sequence[int],
) -> set[int]:
    """Return the copies that break one cycle: of a few changes the fewest, of many chosen one by
    one.
    """
    breaker = _CycleBreaker(links, moves, split)
    if len(candidates) <= MAX_CANDIDATES:
        fewest = breaker.find_fewest(candidates)
        if fewest is not None:
            return fewest
    return breaker.choose_greedily(candidates)


class _CycleBreaker:
    """One cycle of changes, and the bound of the checks for copies that break it."""

    def __init__(
        self,
        links: Dependencies,
        moves: Sequence[int],
        split: SplitMoves,
    ) -> None:
        self._links = links
        self._moves = moves
        self._split = split
        self._checks = MAX_DEPENDENCY_CHECKS // (len(moves) + sum(map(len, links)))

    def _stuck(self, copies: Collection[int]) -> set[int]:
        """Return the changes that are still on a cycle, with these further copies."""
        split = self._split._replace(copies=self._split.copies | {*copies})
        return _stuck_moves(self._links.graph(self._moves, split))

    def find_fewest(self, candidates: Sequence[int]) -> set[int] | None:
        """Return the fewest copies that break the cycle; None if it takes too many of them."""
        for count in range(1, MAX_COPIES_SEARCHED + 1):
            for choice in combinations(candidates, count):
                if not self._stuck(choice):
                    return set(choice)
        return None

    def choose_greedily(self, candidates: Collection[int]) -> set[int]:
        """Return copies of the changes with most dependencies, without those that are not needed."""
        chosen: list[int] = []
        stuck = self._stuck(chosen)
        while remaining := (stuck & {*candidates}) - {*chosen}:
            self._checks -= 1
            if self._checks > 0:
                chosen.append(_most_dependent(self._links, remaining))
            else:
                chosen += remaining
            stuck = self._stuck(chosen)
        return set(chosen) if stuck else self._drop_unneeded(chosen)

    def _drop_unneeded(self, chosen: Sequence[int]) -> set[int]:
        needed = set(chosen)
        for move in chosen:
            fewer = needed - {move}
            self._checks -= 1
            if self._checks > 0 and fewer and not self._stuck(fewer):
                needed = fewer
        return needed


def _most_dependent(links: Dependencies, moves: Collection[int]) -> int:
    pairs = chain.from_iterable(links.among(moves))
    degree = Counter(chain.from_iterable(pairs))
    return max(sorted(moves), key=degree.__getitem__)
