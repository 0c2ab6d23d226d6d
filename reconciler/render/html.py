"""A plan as one self-contained HTML page, with the routing map as SVG (units are pixels).

The template escapes all values. The Content-Security-Policy allows only the page's own style and script, by digest.
"""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from markupsafe import Markup

from reconciler.model.finding import Document
from reconciler.render import summary as texts
from reconciler.render.change_summary import ACTION_ORDER, common_rows, group_equal_edits, sentences
from reconciler.render.escape_markdown import EXPLAIN_COMMAND, QUOTED_VALUE, unquote, unquote_values
from reconciler.render.finding_subject import finding_subject, source_location
from reconciler.render.impact import MAX_SHOWN, OTHERS_UNCHANGED, UNKNOWN_NOTE, WAITING_NOTE
from reconciler.render.provenance import Provenance
from reconciler.render.routing_map import Lane, LaneState, RoutingMap
from reconciler.render.summary import PlanSummary
from reconciler.text.escape import escape_invisible, join_first, pluralize, quote, sanitize

MAX_LANES: Final = 24  # rules; on a larger map the unchanged rules of one queue are drawn as one
MAX_CHANGED: Final = 80  # changed rules on the map: a larger map is not readable, and the tables list all rules
WIDTH: Final = 980
_TOP, _ROW, _GAP = 34, 30, 14
_CALLERS, _RULE, _QUEUE = (8, 300), (380, 240), (700, 272)  # position and width of each column
_LETTER: Final = 7.0  # approximate width of a letter; a longer text is cut, its title is complete
_MIN_THICKNESS, _MAX_THICKNESS, _THICKNESS_PER_PERCENT = 1.5, 18.0, 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node of the map: `text` is cut to fit, `title` is the full text."""

    x: float
    y: float
    width: float
    height: float
    text: str
    title: str
    state: LaneState


class Edge(NamedTuple):
    """A line from one node to another: an SVG path, its thickness and its title."""

    path: str
    thickness: float
    state: LaneState
    title: str


class MapDrawing(NamedTuple):
    """The shapes of the map; `hidden_rules` is the number of changed rules that are not drawn."""

    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    hidden_rules: int


def draw_map(routing: RoutingMap) -> MapDrawing:
    """Return the map's shapes, rules sorted by queue so that few lines cross, changed ones on top."""
    indices = {queue: index for index, queue in enumerate(routing.queues)}
    lanes = [*routing.changed[:MAX_CHANGED], *_unchanged(routing)]
    lanes.sort(key=lambda lane: (min((indices[name] for name in lane.queues), default=-1), lane.state == "same"))
    rows = {id(lane): _TOP + number * _ROW for number, lane in enumerate(lanes)}
    queues, boxes = _queues(lanes, rows), []
    for lane in lanes:
        callers, rule, y = unquote_values(lane.callers), unquote_values(lane.rule), rows[id(lane)]
        title = f"{lane.callers}: {lane.conditions}" if lane.callers != lane.conditions else lane.conditions
        boxes.append(_box(_CALLERS, y, callers, unquote_values(title), lane.state))
        boxes.append(_box(_RULE, y, rule, rule, lane.state))
    boxes += queues.values()
    edges = [edge for lane in lanes for edge in _edges(lane, rows[id(lane)], queues)]
    edges.sort(key=lambda edge: edge.state != "same")  # changed edges are drawn last, on top
    height = max((box.y + box.height for box in boxes), default=_TOP) + _GAP
    return MapDrawing(height, tuple(boxes), tuple(edges), max(len(routing.changed) - MAX_CHANGED, 0))


def _unchanged(routing: RoutingMap) -> list[Lane]:
    same = [lane for lane in routing.lanes if lane.state == "same"]
    if len(routing.lanes) <= MAX_LANES:
        return same
    groups: dict[tuple[str, ...], list[Lane]] = {}
    for lane in same:
        groups.setdefault(lane.queues[:1], []).append(lane)
    for queue, lanes in groups.items():
        if len(lanes) > 1:
            callers, rules = f"{len(lanes):,} unchanged rules", join_first(lanes, 20, lambda lane: lane.rule)
            group = replace(lanes[0], callers=callers, conditions=rules, rule="unchanged", before=queue, after=queue)
            groups[queue] = [replace(group, share=sum(lane.share for lane in lanes))]
    return [lanes[0] for lanes in groups.values()]


def _queues(lanes: Sequence[Lane], rows: Mapping[int, float]) -> dict[str, Box]:
    ys: dict[str, list[float]] = {}
    for lane in lanes:
        for queue in lane.queues:
            ys.setdefault(queue, []).append(rows[id(lane)])
    boxes: dict[str, Box] = {}
    lowest = float(_TOP)
    for middle, queue in sorted((sum(rows_of) / len(rows_of), queue) for queue, rows_of in ys.items()):
        y = max(middle, lowest)
        boxes[queue] = _box(_QUEUE, y, queue, queue, "same")
        lowest = y + _ROW
    return boxes


def _box(column: tuple[int, int], y: float, text: str, title: str, state: LaneState) -> Box:
    limit = int((column[1] - 16) / _LETTER)
    label = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return Box(x=column[0], y=y, width=column[1], height=_ROW - 6, text=label, title=title, state=state)


def _edges(lane: Lane, y: float, queues: Mapping[str, Box]) -> Iterator[Edge]:
    """Yield the line to the rule, and those to its queues; the state of a line to a former queue is `gone`."""
    middle = y + (_ROW - 6) / 2
    thick = min(_MIN_THICKNESS + _THICKNESS_PER_PERCENT * lane.share, _MAX_THICKNESS)
    share = f", {lane.share:.1f} % of callers have one of its intents" if lane.share else ""
    title = unquote_values(f"{lane.callers}: {lane.rule}{share}")
    yield Edge(_curve(sum(_CALLERS), middle, _RULE[0], middle), thick, lane.state, title)
    for queue in lane.queues:
        box, state = queues[queue], lane.edge_state(queue)
        suffix = {"gone": " no more", "new": ", new"}.get(state, "")
        path = _curve(sum(_RULE), middle, _QUEUE[0], box.y + box.height / 2)
        yield Edge(path, thick, state, f"{unquote_values(lane.rule)} to {queue}{suffix}")


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x1 + x2) / 2
    return f"M{x1:.0f} {y1:.1f} C{half:.0f} {y1:.1f} {half:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"


_TEMPLATES: Final = Path(__file__).parent / "templates"
_PIECES: Final = re.compile(f"({QUOTED_VALUE})")
_TYPESET: Final = (("->", "→"), (">=", "≥"), ("<=", "≤"), (" %", "\u00a0%"))
_MAX_UNBREAKABLE: Final = 20


class TextPiece(NamedTuple):
    """A part of a sentence: words, or a value from outside."""

    text: str
    is_value: bool

    @property
    def is_unbreakable(self) -> bool:
        """Return whether the piece stays on one line, as a short name with hyphens does: de-AT."""
        return "-" in self.text and len(self.text) <= _MAX_UNBREAKABLE and not any(map(str.isspace, self.text))


def render_html(summary: PlanSummary, routing: RoutingMap, provenance: Provenance) -> str:
    """Return the page."""
    near, notes = texts.split_notes(summary)
    actions = Counter(change.action for change in summary.changes)
    return render_page(
        "report",
        (("report.css",), ("report.js",)),
        summary=summary,
        provenance=provenance,
        routing=routing,
        drawing=draw_map(routing),
        width=WIDTH,
        shown=MAX_SHOWN,
        queues=[(queue, [lane for lane in routing.lanes if queue in lane.queues]) for queue in routing.queues],
        actions=[(kind, actions[kind]) for kind in ACTION_ORDER if actions[kind]],
        phrases={"not_known": UNKNOWN_NOTE, "others": OTHERS_UNCHANGED, "waiting": WAITING_NOTE},
        near=near,
        notes=notes,
        tests_title=texts.failed_tests_title(summary.failed_tests),
        still=[lane for lane in (*routing.lanes, *routing.disabled) if lane.state in ("same", "off")],
    )


def split_sentence(text: str) -> list[TextPiece]:
    """Return the words and the quoted values of a sentence, with typographic arrows."""
    escaped = escape_invisible(text)
    command = EXPLAIN_COMMAND.search(escaped)
    pieces = []
    for number, part in enumerate(_PIECES.split(escaped[: command.start()] if command else escaped)):
        words = unquote(part) if number % 2 else part
        for typed, drawn in () if number % 2 else _TYPESET:
            words = words.replace(typed, drawn)
        pieces.append(TextPiece(words, is_value=bool(number % 2)))
    pieces += [TextPiece(command.group(), is_value=True)] if command else []
    return [piece for piece in pieces if piece.text]


def render_page(name: str, files: Sequence[Sequence[str]], data: Document | None = None, **values: object) -> str:
    """Return the page of a template; `files` are those of its style and those of its script, `data` is JSON for it."""
    style, script = ("".join((_TEMPLATES / file).read_text(encoding="utf-8") for file in part) for part in files)
    sources = f"style-src {_digest(style)}; script-src {_digest(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    # Files of this package, and ASCII without markup, in elements without markup.
    raw = {key: Markup(part) for key, part in (("style", style), ("script", script), ("data", text))}  # noqa: S704
    return _template(name)(**values, **raw, policy=policy)


@cache
def _template(name: str) -> Callable[..., str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow, and rarely needed

    loader, strict = FileSystemLoader(_TEMPLATES), StrictUndefined
    environment = Environment(loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(pieces=split_sentence, place=source_location, plain=sanitize, says=sentences)
    environment.filters.update(bare=unquote_values, subject=finding_subject, common_rows=common_rows)
    # In the text of an element, quotes need no escape, which would be a tenth of a large table.
    environment.filters.update(equal_edits=group_equal_edits, text=lambda text: Markup(escape(text, quote=False)))  # noqa: S704
    environment.globals.update(counted=pluralize, number=quote)
    return environment.get_template(f"{name}.html.j2").render


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
