"""An order of changes in which every conversation always goes to its old or its new destination.

Algorithms "Ordering constraints": for a conversation whose old winner is o and whose new one is n, it suffices that n
is there before o goes, that whatever else would then show goes before o, and that n comes before whatever would hide
it. "Before" is meant by priority, so the order holds however the platform breaks ties. Where these constraints run in
a circle, a few changes are searched through exactly, and where no order of the changes themselves exists, one of them
is made in three calls: a temporary copy of the new rule, the rule itself, the copy's end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import DEFAULT_WORK, UndecidedError
from reconciler.behaviour.ordering.constraints import Constraints, Move
from reconciler.behaviour.ordering.cycles import break_cycles
from reconciler.behaviour.ordering.graph import (
    Dependencies,
    Graph,
    MovePairs,
    MoveStep,
    SplitMoves,
    build_waves,
    connected_groups,
    find_cycles,
)
from reconciler.behaviour.ordering.search import search_waves

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry


MAX_SEARCHED_MOVES: Final = 6  # up to how many changes every order of all of them is searched through
MAX_SEARCHED_DEPENDENT_MOVES: Final = 8  # up to how many changes that are linked every order is searched through


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """Waves of calls: the calls of one wave may be made in any order, the waves one after the other.

    `unproven` names the changes for which this could not be proven within the bound of work.
    """

    waves: tuple[tuple[MoveStep, ...], ...]
    unproven: tuple[int, ...] = ()
    graph: Graph[MoveStep] = field(default_factory=dict, compare=False, repr=False)
    """Each step with those that must come after it."""

    def dependents(self, moves: Collection[int]) -> set[MoveStep]:
        """Return the steps of some changes, and all that must come after one of them."""
        found = {step for step in self.graph if step.move in moves}
        work = list(found)
        while work:
            for after in self.graph[work.pop()]:
                if after not in found:
                    found.add(after)
                    work.append(after)
        return found


def order_moves(
    moves: Sequence[Move],
    fixed: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int = DEFAULT_WORK,
    stale_copies: MovePairs = frozenset(),
) -> MoveOrder:
    """Return the order of the changes beside the rules that stay as they are.

    `stale_copies` are pairs of moves: the end of a copy that an earlier run left, and the change that it stood in for.
    """
    constraints = Constraints(moves, tuple(fixed), evaluation, work)
    links, split = constraints.dependencies._replace(copies=stale_copies), SplitMoves()
    for group in [] if constraints.undecided else _cyclic_groups(links, len(moves)):
        found = _search_group(constraints, group) if len(group) <= MAX_SEARCHED_DEPENDENT_MOVES else None
        if found is not None:
            waves, asides = found
            links = links.excluding(group).with_waves(waves)
            split = split._replace(parked=split.parked | asides)
        else:
            more = break_cycles(links.among(group), group, [move for move in group if _is_update(moves[move])])
            split = SplitMoves(split.copies | more.copies, split.parked | more.parked)
    graph = links.graph(range(len(moves)), split)
    stuck = {step.move for circle in find_cycles(graph) for step in circle}
    # Deletes as late as may be: each waits for a read that shows its cover.
    late = build_waves(graph, lambda step: step.kind == "drop" or moves[step.move].after is None)
    return MoveOrder(late, tuple(sorted({*constraints.undecided, *stuck})), graph)


def _is_update(move: Move) -> bool:
    """Say whether a change replaces a rule: only that can be split by a copy."""
    return move.before is not None and move.after is not None


def _cyclic_groups(dependencies: Dependencies, count: int) -> list[list[int]]:
    """Return the groups of linked changes in which some wait for each other; of few changes, all as one group."""
    stuck = {step.move for circle in find_cycles(dependencies.graph(range(count), SplitMoves())) for step in circle}
    if not stuck:
        return []
    if count <= MAX_SEARCHED_MOVES:
        return [list(range(count))]
    return [group for group in connected_groups(dependencies, count) if stuck & {*group}]


def _search_group(constraints: Constraints, group: Sequence[int]) -> tuple[list[list[int]], frozenset[int]] | None:
    """Search every order of a group; as few as may be take their name in a second call. Returns waves, and those."""
    names = constraints.dependencies.among(group).names
    takers = sorted({takes for _, takes in names})
    for count in range(len(takers) + 1):
        for some in combinations(takers, count):
            try:
                found = search_waves(constraints, group, [pair for pair in names if pair[1] not in some])
            except UndecidedError:  # temporary copies need no search
                return None
            if found is not None:
                return found, frozenset(some)
    return None
