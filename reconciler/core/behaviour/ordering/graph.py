"""Graphs of calls and the calls that must come after them: cycles, waves, and changes split into
several calls.
"""

from collections import Counter
from collections.abc import (
    Callable,
    Collection,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Sequence,
)
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, pairwise, product
from typing import Literal, NamedTuple, TypeVar

Node = TypeVar("Node", bound="Hashable")
Graph = dict[Node, set[Node]]  # each node with those that must come after it


def build_graph(
    nodes: Iterable[Node], links: Iterable[tuple[Node, Node]]
) -> Graph[Node]:
    """Return the graph of some nodes; the second node of each link must come after the first."""
    graph: Graph[Node] = {node: set() for node in nodes}
    for before, after in links:
        graph[before].add(after)
    return graph


def find_cycles(graph: Graph[Node]) -> list[set[Node]]:
    """Return the groups of nodes that wait for each other (Kosaraju's components of more than one
    node).
    """
    # Without recursion, because chains may be long.
    left: list[Node] = []  # in the order in which the search leaves them
    entered = set[Node]()
    work = [(node, False) for node in graph]
    while work:
        node, is_left = work.pop()
        if is_left:
            left.append(node)
        elif node not in entered:
            entered.add(node)
            work.append((node, True))
            work += ((after, False) for after in graph[node] - entered)
    groups = group_reachable(_reversed(graph), reversed(left))
    return [
        group
        for group in groups
        if len(group) > 1 or any(node in graph[node] for node in group)
    ]


def build_waves(
    graph: Graph[Node], is_late: Callable[[Node], bool]
) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes in waves of independent nodes; late nodes only when no other node is
    ready.
    """
    # Late nodes that others wait for come before other late nodes; nodes of a cycle come last, one
    # in each wave.
    waiting = Counter(chain.from_iterable(graph.values()))
    urgent = _late_prerequisites(graph, is_late)
    remaining = dict.fromkeys(graph)
    waves: list[tuple[Node, ...]] = []
    ready = [node for node in remaining if not waiting[node]]
    while remaining:
        wave = (
            [node for node in ready if not is_late(node)]
            or [node for node in ready if node in urgent]
            or ready
            or [next(iter(remaining))]
        )
        waves.append(tuple(wave))
        done = set(wave)
        ready = [node for node in ready if node not in done]
        for node in wave:
            remaining.pop(node)
            ready += filter(
                remaining.__contains__, _count_down(waiting, graph[node], done)
            )
    return tuple(waves)


def _count_down(
    waiting: Counter[Node],
    nodes: Iterable[Node],
    done: Container[Node],
) -> Iterator[Node]:
    """Count that one node is done; yield those of the nodes that wait for no further one."""
    for node in nodes:
        waiting[node] -= 1
        if not waiting[node] and node not in done:
            yield node


def _late_prerequisites(
    graph: Graph[Node], is_late: Callable[[Node], bool]
) -> set[Node]:
    """Return the late nodes that a node which is not late waits for, directly or indirectly."""
    not_late = [node for node in graph if not is_late(node)]
    return set(filter(is_late, reachable(_reversed(graph), not_late)))


def _reversed(graph: Graph[Node]) -> Graph[Node]:
    links: list[tuple[Node, Node]] = []
    for node, afters in graph.items():
        links += [(after, node) for after in afters]
    return build_graph(graph, links)


def reachable(
    graph: Graph[Node],
    nodes: Iterable[Node],
    without: AbstractSet[Node] = frozenset(),
) -> set[Node]:
    """Return some nodes, and all nodes that come after one of them, up to the nodes `without`."""
    reached = set(nodes)
    work = list(reached)
    while work:
        new = graph[work.pop()] - reached - without
        reached |= new
        work += new
    return reached


def group_reachable(graph: Graph[Node], nodes: Iterable[Node]) -> list[set[Node]]:
    """Return each node that is in no earlier group as a group with all that come after it and are
    in none.
    """
    groups: list[set[Node]] = []
    grouped = set[Node]()
    for node in nodes:
        if node not in grouped:
            groups.append(reachable(graph, [node], grouped))
            grouped |= groups[-1]
    return groups


MoveStepKind = Literal["whole", "copy", "aside", "drop"]
MovePairs = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, order=True)
class MoveStep:
    """One call for the change `move`."""

    move: int
    # whole: the change itself. copy: create a temporary copy of its new rule. drop: delete the
    # copy. aside: update the rule except for its name, which another rule still has and `whole`
    # then sets.
    kind: MoveStepKind


class SplitMoves(NamedTuple):
    """The changes with a temporary copy, and those that take their name in a second call."""

    copies: frozenset[int] = frozenset()
    parked: frozenset[int] = frozenset()

    def adding_step(self, move: int) -> MoveStep:
        """Return the step with which a change's new rule first exists."""
        if move in self.copies:
            return MoveStep(move, "copy")
        return self.main_step(move)

    def main_step(self, move: int) -> MoveStep:
        """Return the step that turns a change's old rule into its new one."""
        return MoveStep(move, "aside" if move in self.parked else "whole")

    def step_graph(self, move: int) -> Graph[MoveStep]:
        """Return the graph of the steps of one change: its copy is deleted after the main step."""
        steps = []
        if move in self.copies:
            steps.append(MoveStep(move, "copy"))
        if move in self.parked:
            steps.append(MoveStep(move, "aside"))
        last = MoveStep(move, "whole")
        steps.append(last)

        graph: Graph[MoveStep] = {before: {after} for before, after in pairwise(steps)}
        graph[last] = set()
        if move in self.copies:
            drop = MoveStep(move, "drop")
            graph[self.main_step(move)].add(drop)
            graph[drop] = set()
        return graph


class Dependencies(NamedTuple):
    """Pairs of changes, of which a step of the first must come before a step of the second."""

    # the first adds its new rule before the second removes its old one
    add_before_remove: MovePairs
    remove_before_remove: MovePairs
    add_before_add: MovePairs
    names: MovePairs  # the first frees a name that the second takes
    # the first deletes the copy of an earlier run, before the second creates its own
    copies: MovePairs = frozenset()

    def among(self, moves: Collection[int]) -> "Dependencies":
        """Return the links among these changes."""
        inside = (
            frozenset(pair for pair in pairs if pair[0] in moves and pair[1] in moves)
            for pairs in self
        )
        return Dependencies(*inside)

    def with_waves(self, waves: Sequence[Sequence[int]]) -> "Dependencies":
        """Return the links with those among the changes of the waves replaced; links of names and
        copies stay.
        """
        inside = self.among(set(chain.from_iterable(waves)))
        outside = Dependencies(
            *(pairs - inner for pairs, inner in zip(self, inside, strict=True))
        )
        order: set[tuple[int, int]] = set()
        for wave, next_wave in pairwise(waves):
            order.update(product(wave, next_wave))
        removes = outside.remove_before_remove | order
        return outside._replace(
            remove_before_remove=removes,
            names=self.names,
            copies=self.copies,
        )

    def graph(self, moves: Iterable[int], split: SplitMoves) -> Graph[MoveStep]:
        """Return the steps of the changes, each with those that must come after it."""
        adding = split.adding_step
        main = split.main_step
        graph: Graph[MoveStep] = {}
        for move in moves:
            graph |= split.step_graph(move)
        for first, then in self.add_before_remove:
            graph[adding(first)].add(main(then))
        for first, then in self.remove_before_remove:
            graph[main(first)].add(main(then))
        for first, then in self.add_before_add:
            graph[adding(first)].add(adding(then))
        for first, then in self.names:
            graph[main(first)].add(MoveStep(then, "whole"))
        for first, then in self.copies:
            if then in split.copies:
                graph[main(first)].add(MoveStep(then, "copy"))
        return graph


def connected_groups(dependencies: Dependencies, count: int) -> list[list[int]]:
    """Return the changes in groups without a link between them."""
    links = [*chain.from_iterable(dependencies)]
    reversed_links = [(then, first) for first, then in links]
    graph = build_graph(range(count), [*links, *reversed_links])
    return [sorted(group) for group in group_reachable(graph, graph)]
