"""The routing map in Mermaid's words, for a pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from reconciler.render.escape_markdown import unquote_values
from reconciler.render.routing_map import Lane, RoutingMap
from reconciler.text.escape import sanitize

MAX_LANES: Final = 30  # two lines each; GitHub draws more, but nobody reads them
_MAX_LABEL: Final = 60
_STYLES: Final = {
    "new": "stroke:#1a7f37,stroke-width:2px",
    "gone": "stroke:#cf222e,stroke-width:2px,stroke-dasharray:5 4",
    "changed": "stroke:#9a6700,stroke-width:2px",
}
_WORDS: Final = {"new": "new", "gone": "goes", "changed": "changed"}
_SPECIAL: Final = re.compile(r"[^\w .,/-]")


def render_mermaid(routing: RoutingMap) -> str:
    """Return the map as a flowchart: of many rules those that change, and at most `MAX_LANES`."""
    lanes = drawn_lanes(routing)
    names = dict.fromkeys(queue for lane in lanes for queue in lane.queues)
    queues = {queue: f"q{place}" for place, queue in enumerate(names)}
    lines = ["flowchart LR"]
    lines += [f'  {name}(["{label(queue)}"])' for queue, name in queues.items()]
    styles: dict[str, list[int]] = {}
    edge = 0
    for place, lane in enumerate(lanes):
        lines.append(f'  i{place}["{label(unquote_values(lane.callers))}"]')
        lines.append(f'  r{place}("{label(unquote_values(lane.rule))}")')
        for state, text in _edges(lane, f"i{place}", f"r{place}", queues):
            lines.append(f"  {text}")
            styles.setdefault(state, []).append(edge)
            edge += 1
    for state in filter(styles.__contains__, _STYLES):
        lines.append(f"  linkStyle {','.join(map(str, styles[state]))} {_STYLES[state]}")
    return "\n".join(lines) + "\n"


def drawn_lanes(routing: RoutingMap) -> Sequence[Lane]:
    """Return the rules that are drawn: all where they are few, else the changed ones, as many as can be read."""
    return (routing.lanes if len(routing.lanes) <= MAX_LANES else routing.changed)[:MAX_LANES]


def label(text: str) -> str:
    """Return text for a label in quotes: everything but letters, digits and a few signs as Mermaid's entities."""
    content = sanitize(text)
    content = content if len(content) <= _MAX_LABEL else f"{content[: _MAX_LABEL - 1]}…"
    return _SPECIAL.sub(lambda match: f"#{ord(match.group())};", content) or " "


def _edges(lane: Lane, who: str, rule: str, queues: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each line with its state. The line into a rule has the rule's label; a line to a queue, that queue's."""
    yield lane.state, f"{who} {_arrow(lane.state)} {rule}"
    after, before = lane.after or (), lane.before or ()
    for queue in lane.queues:
        state = lane.state
        if lane.state == "changed":
            state = "gone" if queue not in after else "new" if queue not in before else "changed"
        yield state, f"{rule} {'-->' if state == lane.state else _arrow(state)} {queues[queue]}"


def _arrow(state: str) -> str:
    return f"-->|{_WORDS[state]}|" if state in _WORDS else "-->"
