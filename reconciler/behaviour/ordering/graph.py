"""What must come before what, as a graph of calls; a change may be one call, or be split into several.

Graphs of what must come before what: circles in them, and waves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence


Node = TypeVar("Node", bound="Hashable")
Graph = dict[Node, set[Node]]  # each node with those that must come after it


def find_cycles(graph: Graph[Node]) -> list[list[Node]]:
    """Return the groups of nodes that wait for each other (Tarjan's components of more than one node)."""
    return [group for group in _strong_components(graph) if len(group) > 1 or group[0] in graph[group[0]]]


def _strong_components(graph: Graph[Node]) -> list[list[Node]]:
    """Return the strongly connected components, without recursion: chains may be long."""
    number: dict[Node, int] = {}
    low: dict[Node, int] = {}
    open_: dict[Node, None] = {}
    found: list[list[Node]] = []
    for root in graph:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_[root] = None
        work = [(root, iter(graph[root]))]
        while work:
            node, rest = work[-1]
            for after in rest:
                if after not in number:
                    number[after] = low[after] = len(number)
                    open_[after] = None
                    work.append((after, iter(graph[after])))
                    break
                if after in open_:
                    low[node] = min(low[node], number[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    found.append(_pop_component(open_, node))
    return found


def _pop_component(open_: dict[Node, None], until: Node) -> list[Node]:
    group = []
    while True:
        node, _ = open_.popitem()
        group.append(node)
        if node == until:
            return group


def build_waves(graph: Graph[Node], is_late: Callable[[Node], bool]) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes in waves: none of a wave waits for another of it. Late ones only when nothing else is ready.

    Of late ones, those go first that others wait for; nodes of a circle come last, all in one wave each by order.
    """
    waiting = dict.fromkeys(graph, 0)
    for afters in graph.values():
        for after in afters:
            waiting[after] += 1
    urgent = _late_prerequisites(graph, is_late)
    left = dict.fromkeys(graph)
    waves: list[tuple[Node, ...]] = []
    ready = [node for node in left if not waiting[node]]
    while left:
        wave = [node for node in ready if not is_late(node)] or [node for node in ready if node in urgent] or ready
        wave = wave or [next(iter(left))]
        waves.append(tuple(wave))
        done = set(wave)
        ready = [node for node in ready if node not in done]
        for node in wave:
            left.pop(node)
            for after in graph[node]:
                waiting[after] -= 1
                if not waiting[after] and after in left and after not in done:
                    ready.append(after)
    return tuple(waves)


def _late_prerequisites(graph: Graph[Node], is_late: Callable[[Node], bool]) -> set[Node]:
    """Return the late nodes that some other node waits for, at whatever distance."""
    before: Graph[Node] = {node: set() for node in graph}
    for node, afters in graph.items():
        for after in afters:
            before[after].add(node)
    found: set[Node] = set()
    work = [node for node in graph if not is_late(node)]
    seen = set(work)
    while work:
        for node in before[work.pop()]:
            if node not in seen:
                seen.add(node)
                work.append(node)
            if is_late(node):
                found.add(node)
    return found


MoveStepKind = Literal["whole", "copy", "aside", "drop"]
MovePairs = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, order=True)
class MoveStep:
    """One call. `move` is the change's place.

    whole: the change's own call. copy: create a temporary copy of its new rule. aside: make the rule all that it is to
    be but for its name, which another one still has; `whole` then gives it its name. drop: delete the copy.
    """

    move: int
    kind: MoveStepKind


class SplitMoves(NamedTuple):
    """Which changes have a temporary copy, and which take their name in a second call."""

    copies: frozenset[int] = frozenset()
    parked: frozenset[int] = frozenset()

    def adding_step(self, move: int) -> MoveStep:
        """Return the step with which a change's new rule is first there."""
        return MoveStep(move, "copy") if move in self.copies else self.main_step(move)

    def main_step(self, move: int) -> MoveStep:
        """Return the step that makes a change's new rule out of its old one."""
        return MoveStep(move, "aside" if move in self.parked else "whole")

    def steps(self, move: int) -> Iterator[MoveStep]:
        """Yield the steps of a change, in their order."""
        if move in self.copies:
            yield MoveStep(move, "copy")
        if move in self.parked:
            yield MoveStep(move, "aside")
        yield MoveStep(move, "whole")
        if move in self.copies:
            yield MoveStep(move, "drop")

    def step_graph(self, move: int) -> Graph[MoveStep]:
        """Return the steps of a change, each with those of them that must come after it."""
        steps = list(self.steps(move))
        graph: Graph[MoveStep] = {step: set() for step in steps}
        for before, after in pairwise(steps):
            if "drop" not in (before.kind, after.kind):
                graph[before].add(after)
        if move in self.copies:
            graph[self.main_step(move)].add(MoveStep(move, "drop"))
        return graph


class Dependencies(NamedTuple):
    """Pairs of changes, first and then: what of the first one must come before what of the other one.

    add_before_remove: what comes, before what goes. remove_before_remove: what goes, before what goes. add_before_add:
    what comes, before what comes. names: who frees a name, before who takes it. copies: the end of a copy that an
    earlier run left, before the change gets a copy of its own: there are never two copies of one change.
    """

    add_before_remove: MovePairs
    remove_before_remove: MovePairs
    add_before_add: MovePairs
    names: MovePairs
    copies: MovePairs = frozenset()

    def among(self, moves: Collection[int]) -> Dependencies:
        """Return the links among some changes alone."""
        inside = (frozenset(pair for pair in pairs if pair[0] in moves and pair[1] in moves) for pairs in self)
        return Dependencies(*inside)

    def excluding(self, moves: Collection[int]) -> Dependencies:
        """Return the links that are not among some changes alone; those of names and copies stay."""
        inside = self.among(moves)
        return self._replace(
            add_before_remove=self.add_before_remove - inside.add_before_remove,
            remove_before_remove=self.remove_before_remove - inside.remove_before_remove,
            add_before_add=self.add_before_add - inside.add_before_add,
        )

    def with_waves(self, waves: Sequence[Sequence[int]]) -> Dependencies:
        """Return the links with some changes in waves, one after the other."""
        more = {(first, then) for one, other in pairwise(waves) for first in one for then in other}
        return self._replace(remove_before_remove=self.remove_before_remove | more)

    def graph(self, moves: Iterable[int], split: SplitMoves) -> Graph[MoveStep]:
        """Return the steps of the changes, each with those that must come after it."""
        graph: Graph[MoveStep] = {}
        for move in moves:
            graph |= split.step_graph(move)
        for first, then in self.add_before_remove:
            graph[split.adding_step(first)].add(split.main_step(then))
        for first, then in self.remove_before_remove:
            graph[split.main_step(first)].add(split.main_step(then))
        for first, then in self.add_before_add:
            graph[split.adding_step(first)].add(split.adding_step(then))
        for first, then in self.names:
            graph[split.main_step(first)].add(MoveStep(then, "whole"))
        for first, then in self.copies:
            if then in split.copies:
                graph[split.main_step(first)].add(MoveStep(then, "copy"))
        return graph


def connected_groups(dependencies: Dependencies, count: int) -> list[list[int]]:
    """Return the changes in groups: those of different groups have nothing to do with each other."""
    group = list(range(count))

    def root(move: int) -> int:
        while group[move] != move:
            group[move] = group[group[move]]
            move = group[move]
        return move

    for pairs in dependencies:
        for first, then in pairs:
            group[root(first)] = root(then)
    found: dict[int, list[int]] = {}
    for move in range(count):
        found.setdefault(root(move), []).append(move)
    return list(found.values())
