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
from typing import TYPE_CHECKING, Final, Literal

from reconciler.behaviour.constraints import Constraints, Move
from reconciler.behaviour.exact import search
from reconciler.behaviour.graph import Graph, circles, levels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from reconciler.behaviour.entry import Entry, Evaluation

__all__ = ["Move", "Order", "Step", "order"]

Kind = Literal["whole", "copy", "aside", "drop"]

FEW_MOVES: Final = 6
"""Up to how many changes every order is searched through."""
MOST_TRIED: Final = 3
"""How many copies at most are chosen by trying every choice; more are chosen one by one."""
MOST_CHOICES: Final = 16


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One call. `move` is the change's place.

    whole: the change's own call. copy: create a temporary copy of its new rule. aside: make the rule all that it is to
    be but for its name, which another one still has; `whole` then gives it its name. drop: delete the copy.
    """

    move: int
    kind: Kind


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
    return _Ordering(moves, constraints).result()


class _Ordering:
    def __init__(self, moves: Sequence[Move], constraints: Constraints) -> None:
        self.moves, self.constraints = moves, constraints
        self.asides: frozenset[int] = frozenset()
        self.names = frozenset(constraints.names)

    def result(self) -> Order:
        """Order the changes by the constraints; where they run in a circle, search, and last of all make copies."""
        unproven = tuple(sorted(self.constraints.undecided))
        if not circles(self.graph(())):
            return Order(self.waves(()), unproven)
        if len(self.moves) <= FEW_MOVES and not unproven:
            found = self.searched()
            if found is not None:
                return found
        copies = self.copies()
        circle = {step.move for group in circles(self.graph(copies)) for step in group}
        return Order(self.waves(copies), tuple(sorted({*unproven, *circle, *(self.asides & {*copies})})))

    def searched(self) -> Order | None:
        """Search every order of the changes; as few as may be take their name in a second call."""
        takers = sorted({takes for _, takes in self.names})
        for count in range(len(takers) + 1):
            for some in combinations(takers, count):
                found = search(self.constraints, [pair for pair in self.names if pair[1] not in some])
                if found is not None:
                    self.asides = frozenset(some)
                    waves = [tuple(self.makes(move) for move in wave) for wave in found]
                    named = tuple(Step(move, "whole") for move in some)
                    return Order(tuple([*waves, named] if named else waves))
        return None

    def copies(self) -> tuple[int, ...]:
        """Choose which changes take their name in a second call, and which updates get a copy: as few as may be.

        Circles of names alone come first, then those of behaviour alone, then what both make together.
        """
        self.break_names(lambda: circles(self.naming()), ())
        names, self.names = self.names, frozenset()
        chosen = self.break_circles(())
        self.names = names
        self.break_names(lambda: [[step.move for step in group] for group in circles(self.graph(chosen))], chosen)
        return self.break_circles(chosen)

    def break_circles(self, chosen: tuple[int, ...]) -> tuple[int, ...]:
        """Add copies until nothing runs in a circle that a copy could break."""
        while True:
            groups = circles(self.graph(chosen))
            able = sorted({step.move for group in groups for step in group if self.is_update(step.move)} - {*chosen})
            if not able:
                return chosen
            chosen = self.fewest(chosen, able) or (*chosen, self.busiest(chosen, able))

    def break_names(self, groups: Callable[[], Iterable[Sequence[int]]], copies: Collection[int]) -> None:
        """Set changes aside until no circle has one that waits for its name; such as have no copy where possible."""
        while True:
            takers = [
                takes
                for group in groups()
                for frees, takes in sorted(self.names)
                if frees in group and takes in group and takes not in self.asides
            ]
            if not takers:
                return
            self.asides |= {min(takers, key=lambda move: (move in copies, move))}

    def naming(self) -> Graph[int]:
        """Return who must free a name before whom, but for those that are set aside."""
        graph: Graph[int] = {move: set() for move in range(len(self.moves))}
        for frees, takes in self.names:
            if takes not in self.asides:
                graph[frees].add(takes)
        return graph

    def fewest(self, chosen: tuple[int, ...], able: Sequence[int]) -> tuple[int, ...] | None:
        """Try every choice of a few; those that are also set aside last."""
        able = sorted(able, key=lambda move: move in self.asides)
        for count in range(1, MOST_TRIED + 1):
            for more in combinations(able, count) if len(able) <= MOST_CHOICES or count == 1 else ():
                if not circles(self.graph((*chosen, *more))):
                    return (*chosen, *more)
        return None

    def busiest(self, chosen: Collection[int], able: Sequence[int]) -> int:
        """Return the update that most others wait for or that waits for most."""
        graph = self.graph(chosen)
        degree = dict.fromkeys(able, 0)
        for before, afters in graph.items():
            for after in afters:
                for step in (before, after):
                    if step.move in degree:
                        degree[step.move] += 1
        return max(able, key=lambda move: degree[move])

    def is_update(self, move: int) -> bool:
        """Say whether a change replaces a rule: only that can block in a circle, and be split."""
        return self.moves[move].before is not None and self.moves[move].after is not None

    def graph(self, copies: Collection[int]) -> Graph[Step]:
        """Return the steps, each with those that must come after it."""
        graph: Graph[Step] = {step: set() for step in self.steps(copies)}
        for before, after in self.constraints.edges:
            comes = Step(before, "copy") if before in copies else self.makes(before)
            graph[comes].add(self.makes(after))
        for before, after in self.constraints.goes_first:
            graph[self.makes(before)].add(self.makes(after))
        for before, after in self.constraints.comes_first:
            comes, hidden = (Step(one, "copy") if one in copies else self.makes(one) for one in (before, after))
            graph[comes].add(hidden)
        for move in copies:
            graph[Step(move, "copy")].add(self.makes(move))
            graph[self.makes(move)].add(Step(move, "drop"))
        for move in self.asides:
            graph[Step(move, "aside")].add(Step(move, "whole"))
        for frees, takes in self.names:
            graph[self.makes(frees)].add(Step(takes, "whole"))
        return graph

    def makes(self, move: int) -> Step:
        """Return the step that makes a change's new rule out of its old one."""
        return Step(move, "aside" if move in self.asides else "whole")

    def steps(self, copies: Collection[int]) -> Iterator[Step]:
        """Yield every step."""
        for move in range(len(self.moves)):
            if move in copies:
                yield Step(move, "copy")
            if move in self.asides:
                yield Step(move, "aside")
            yield Step(move, "whole")
            if move in copies:
                yield Step(move, "drop")

    def waves(self, copies: Collection[int]) -> tuple[tuple[Step, ...], ...]:
        """Put the steps in waves: deletes as late as may be, since each waits for a read that shows its cover."""
        return levels(self.graph(copies), self.deletes)

    def deletes(self, step: Step) -> bool:
        """Say whether a step deletes a rule."""
        return step.kind == "drop" or self.moves[step.move].after is None
