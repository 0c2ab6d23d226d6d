"""Graphs of what must come before what: circles in them, and waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Node = TypeVar("Node", bound="Hashable")
Graph = dict[Node, set[Node]]
"""Each node with those that must come after it."""


def circles(graph: Graph[Node]) -> list[list[Node]]:
    """Return the groups of nodes that wait for each other (Tarjan's components of more than one node)."""
    return [group for group in _components(graph) if len(group) > 1 or group[0] in graph[group[0]]]


def _components(graph: Graph[Node]) -> list[list[Node]]:
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
                    found.append(_popped(open_, node))
    return found


def _popped(open_: dict[Node, None], until: Node) -> list[Node]:
    group = []
    while True:
        node, _ = open_.popitem()
        group.append(node)
        if node == until:
            return group


def levels(graph: Graph[Node], is_late: Callable[[Node], bool]) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes in waves: none of a wave waits for another of it. Late ones only when nothing else is ready.

    Of late ones, those go first that others wait for; nodes of a circle come last, all in one wave each by order.
    """
    waiting = dict.fromkeys(graph, 0)
    for afters in graph.values():
        for after in afters:
            waiting[after] += 1
    urgent = _awaited(graph, is_late)
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


def _awaited(graph: Graph[Node], is_late: Callable[[Node], bool]) -> set[Node]:
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
