"""The routing map as shapes with places, for a page: who comes in, by which rule, to which queue. Units are pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from reconciler.render.inline import bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.render.routing_map import Lane, RoutingMap, State

MOST_LANES: Final = 24
"""Unchanged rules that are drawn each by itself; of more, those of one queue are one."""
MOST_CHANGED: Final = 80
"""Changed rules that are drawn; a page that shows more is not looked at, and the tables have them all."""
WIDTH: Final = 980
_TOP, _ROW, _GAP = 34, 30, 14
_WHO, _RULE, _QUEUE = (8, 300), (380, 240), (700, 272)
"""Where each column begins, and how wide it is."""
_LETTER: Final = 7.0
"""Pixels of a letter, roughly: what does not fit is cut, and stands whole in the title."""
_THINNEST, _THICKEST, _PERCENT = 1.5, 18.0, 0.45


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its text, cut to fit, and all of it."""

    x: float
    y: float
    width: float
    height: float
    text: str
    title: str
    state: State


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from one node to another: a path in SVG's words, how thick, and what it says."""

    path: str
    thickness: float
    state: State
    title: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is drawn. `left_out` are changed rules for which there is no room."""

    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    left_out: int


def draw(routing: RoutingMap) -> Drawing:
    """Return the map's shapes: rules by their queue, so that few lines cross, the changed ones on top."""
    places = {queue: place for place, queue in enumerate(routing.queues)}
    shown = [*routing.changed[:MOST_CHANGED], *_unchanged(routing)]
    shown.sort(key=lambda lane: (min((places[one] for one in lane.queues), default=-1), lane.state == "same"))
    rows = {id(lane): _TOP + number * _ROW for number, lane in enumerate(shown)}
    queues = _queues(shown, rows)
    boxes = [*_lane_boxes(shown, rows), *queues.values()]
    edges = [edge for lane in shown for edge in _edges(lane, rows[id(lane)], queues)]
    edges.sort(key=lambda edge: edge.state != "same")  # what changes lies on top
    height = max((box.y + box.height for box in boxes), default=_TOP) + _GAP
    return Drawing(height, tuple(boxes), tuple(edges), max(len(routing.changed) - MOST_CHANGED, 0))


def _unchanged(routing: RoutingMap) -> list[Lane]:
    """Return the unchanged rules; many of one queue as one."""
    same = [lane for lane in routing.lanes if lane.state == "same"]
    if len(routing.lanes) <= MOST_LANES:
        return same
    groups: dict[tuple[str, ...], list[Lane]] = {}
    for lane in same:
        groups.setdefault(lane.queues[:1], []).append(lane)
    return [_together(lanes) for lanes in groups.values()]


def _together(lanes: Sequence[Lane]) -> Lane:
    if len(lanes) == 1:
        return lanes[0]
    named = ", ".join(lane.rule for lane in lanes[:20]) + (f" and {len(lanes) - 20:,} more" if len(lanes) > 20 else "")  # noqa: PLR2004
    return replace(
        lanes[0],
        who=f"{len(lanes):,} unchanged rules",
        asks=named,
        rule="unchanged",
        before=lanes[0].queues[:1],
        after=lanes[0].queues[:1],
        share=sum(lane.share for lane in lanes),
    )


def _lane_boxes(lanes: Sequence[Lane], rows: Mapping[int, float]) -> Iterator[Box]:
    for lane in lanes:
        y = rows[id(lane)]
        title = f"{lane.who}: {lane.asks}" if lane.who != lane.asks else lane.asks
        yield _box(_WHO, y, bare(lane.who), bare(title), lane.state)
        yield _box(_RULE, y, bare(lane.rule), bare(lane.rule), lane.state)


def _queues(lanes: Sequence[Lane], rows: Mapping[int, float]) -> dict[str, Box]:
    """Put each queue where the rules are that lead there, and none over another."""
    ys: dict[str, list[float]] = {}
    for lane in lanes:
        for queue in lane.queues:
            ys.setdefault(queue, []).append(rows[id(lane)])
    wanted = sorted((sum(found) / len(found), queue) for queue, found in ys.items())
    placed: dict[str, Box] = {}
    lowest = float(_TOP)
    for middle, queue in wanted:
        y = max(middle, lowest)
        placed[queue] = _box(_QUEUE, y, queue, queue, "same")
        lowest = y + _ROW
    return placed


def _box(column: tuple[int, int], y: float, text: str, title: str, state: State) -> Box:
    most = int((column[1] - 16) / _LETTER)
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return Box(column[0], y, column[1], _ROW - 6, shown, title, state)


def _edges(lane: Lane, y: float, queues: Mapping[str, Box]) -> Iterator[Edge]:
    """Yield the line into the rule, and those to its queues; to one that it leaves, as gone."""
    middle = y + (_ROW - 6) / 2
    thick = min(_THINNEST + _PERCENT * lane.share, _THICKEST)
    share = f", {lane.share:.1f} % of callers have such an intent" if lane.share else ""
    yield Edge(_curve(sum(_WHO), middle, _RULE[0], middle), thick, lane.state, bare(f"{lane.who}: {lane.rule}{share}"))
    for queue in lane.queues:
        box = queues[queue]
        state = _state(lane, queue)
        said = {"gone": " no more", "new": ", new"}.get(state, "")
        path = _curve(sum(_RULE), middle, _QUEUE[0], box.y + box.height / 2)
        yield Edge(path, thick, state, f"{bare(lane.rule)} to {queue}{said}")


def _state(lane: Lane, queue: str) -> State:
    if lane.state == "same":
        return "same"
    if queue not in (lane.after or ()):
        return "gone"
    return "new" if queue not in (lane.before or ()) else lane.state


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x1 + x2) / 2
    return f"M{x1:.0f} {y1:.1f} C{half:.0f} {y1:.1f} {half:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
