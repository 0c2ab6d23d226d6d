"""An order of changes in which every conversation always goes to its old or its new destination.

behaviour_algorithms.md section 6: for a conversation whose old winner is o and whose new one is n, it suffices that n
is there before o goes, that whatever else would then show goes before o, and that n comes before whatever would hide
it. "Before" is meant by priority, so the order holds however the platform breaks ties. Where these constraints run in
a circle, a few changes are searched through exactly, and where no order of the changes themselves exists, one of them
is made in three calls: a temporary copy of the new rule, the rule itself, the copy's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.constraints import Constraints, Move
from reconciler.behaviour.exact import search
from reconciler.behaviour.graph import circles, levels
from reconciler.behaviour.links import Split, Step
from reconciler.behaviour.untangle import untangle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.behaviour.entry import Entry, Evaluation

__all__ = ["Move", "Order", "Step", "order"]

FEW_MOVES: Final = 6
"""Up to how many changes every order is searched through."""


@dataclass(frozen=True, slots=True)
class Order:
    """Waves of calls: the calls of one wave may be made in any order, the waves one after the other.

    `unproven` names the changes for which this could not be proven within the bound of work.
    """

    waves: tuple[tuple[Step, ...], ...]
    unproven: tuple[int, ...] = ()


def order(
    moves: Sequence[Move], fixed: Iterable[Entry], evaluation: Evaluation = "lowest-first", steps: int | None = None
) -> Order:
    """Return the order of the changes beside the rules that stay as they are."""
    constraints = Constraints(moves, tuple(fixed), evaluation, steps)
    if constraints.undecided or not circles(constraints.links.graph(range(len(moves)), Split())):
        return _ordered(constraints, Split())
    if len(moves) <= FEW_MOVES:
        found = _searched(constraints)
        if found is not None:
            return found
    updates = {place for place, move in enumerate(moves) if move.before is not None and move.after is not None}
    return _ordered(constraints, untangle(constraints.links, updates, len(moves)))


def _ordered(constraints: Constraints, split: Split) -> Order:
    """Put the steps in waves: deletes as late as may be, since each waits for a read that shows its cover."""
    moves = constraints.moves
    graph = constraints.links.graph(range(len(moves)), split)
    waves = levels(graph, lambda step: step.kind == "drop" or moves[step.move].after is None)
    stuck = {step.move for group in circles(graph) for step in group}
    return Order(waves, tuple(sorted({*constraints.undecided, *stuck})))


def _searched(constraints: Constraints) -> Order | None:
    """Search every order of a few changes; as few as may be take their name in a second call."""
    names = constraints.links.names
    takers = sorted({takes for _, takes in names})
    for count in range(len(takers) + 1):
        for some in combinations(takers, count):
            found = search(constraints, [pair for pair in names if pair[1] not in some])
            if found is not None:
                split = Split(asides=frozenset(some))
                named = [tuple(Step(move, "whole") for move in some)] if some else []
                return Order((*(tuple(split.makes(move) for move in wave) for wave in found), *named))
    return None
