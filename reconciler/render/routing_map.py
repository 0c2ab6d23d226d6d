"""The routing map: which rule sends which conversations to which queue, before and after the plan,
as Mermaid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

from reconciler.core.behaviour.evaluate import required_values
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.schedule import build_transition
from reconciler.core.plan.stages import Changes
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.escape import join_first, sanitize
from reconciler.core.text.phrases import conditions_phrase
from reconciler.render.escape_markdown import unquote, unquote_values

LaneState = Literal["same", "new", "gone", "changed"]
_MAX_INTENTS: Final = 3
_ORDER: Final[tuple[LaneState, ...]] = ("gone", "changed", "new", "same")


class Lane(NamedTuple):
    """One rule on the map.

    Queues are display names, or `no queue`; empty if the rule is absent or disabled.
    """

    rule: str
    callers: str  # `"card_not_working", "card_acceptance" and 3 more`
    before: tuple[str, ...]
    after: tuple[str, ...]
    state: LaneState
    priority: int | float  # an integer of any size stays one in JSON

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the queues before and after the plan, those after it first."""
        return tuple(dict.fromkeys((*self.after, *self.before)))


def build_routing_map(plan: Changes) -> list[Lane]:
    """Return the rules that are enabled before or after the plan: changed ones first, then in order
    of evaluation.
    """
    transition = build_transition(plan)
    moves: list[tuple[RoutingEntry | None, RoutingEntry | None]] = []
    moves += [(entry, entry) for entry in transition.fixed]
    moves += [(move.before, move.after) for move in transition.moves]
    enabled = [(_if_enabled(before), _if_enabled(after)) for before, after in moves]
    lanes = [_lane(plan, before, after) for before, after in enabled if before or after]
    sign = 1 if plan.desired.evaluation == "lowest-first" else -1
    return sorted(
        lanes,
        key=lambda lane: (_ORDER.index(lane.state), sign * lane.priority, lane.rule),
    )


def _if_enabled(entry: RoutingEntry | None) -> RoutingEntry | None:
    return entry if entry and entry.rule.enabled else None


def _lane(
    plan: Changes, before: RoutingEntry | None, after: RoutingEntry | None
) -> Lane:
    entry = after or before
    assert entry is not None  # noqa: S101 - the caller has one of them
    intent = plan.desired.endpoint.intent
    intents = next(
        (values for name, values in required_values(entry.rule) if name == intent), ()
    )
    state: LaneState = "new" if after else "gone"
    if before and after:
        is_same = _routing_of(before) == _routing_of(after)
        state = "same" if is_same else "changed"
    callers = conditions_phrase(entry.rule, plan.labels)
    if intents:
        label = partial(plan.labels.value, intent)
        callers = join_first(list(map(str, intents)), _MAX_INTENTS, label)
    return Lane(
        rule=entry_name(entry),
        callers=callers,
        before=_queues(before, plan.queue_names),
        after=_queues(after, plan.queue_names),
        state=state,
        priority=entry.rule.priority,
    )


def _routing_of(entry: RoutingEntry) -> tuple[object, ...]:
    rule = entry.rule
    return rule.conditions, rule.priority, rule.targets


def _queues(entry: RoutingEntry | None, names: Mapping[str, str]) -> tuple[str, ...]:
    if entry is None:
        return ()
    split = destination_of(entry.rule.targets)
    if not split:
        return (destination_phrase((), names),)
    largest_first = sorted(split, key=lambda part: (-part[1], part[0]))
    return tuple(unquote(destination_phrase((part,), names)) for part in largest_first)


MAX_LANES: Final = 30  # two lines each; GitHub draws more, but more are not readable
_MAX_LABEL: Final = 60
_STYLES: Final = {
    "new": "stroke:#1a7f37,stroke-width:2px",
    "gone": "stroke:#cf222e,stroke-width:2px,stroke-dasharray:5 4",
    "changed": "stroke:#9a6700,stroke-width:2px",
}
_ARROWS: Final = {"new": "-->|new|", "gone": "-->|removed|", "changed": "-->|changed|"}
_SPECIAL: Final = re.compile(r"[^\w .,/-]")


def render_mermaid(lanes: Sequence[Lane]) -> str:
    """Return a flowchart of these rules."""
    names = dict.fromkeys(queue for lane in lanes for queue in lane.queues)
    queues = {queue: f"q{index}" for index, queue in enumerate(names)}
    lines = ["flowchart LR"]
    lines += [f'  {name}(["{label(queue)}"])' for queue, name in queues.items()]
    states: list[str] = []  # of the arrows, which are numbered in their order
    for index, lane in enumerate(lanes):
        callers = label(unquote_values(lane.callers))
        rule = label(unquote_values(lane.rule))
        lines.append(f'  i{index}["{callers}"]')
        lines.append(f'  r{index}("{rule}")')

        for state, text in _edges(lane, f"i{index}", f"r{index}", queues):
            lines.append(f"  {text}")
            states.append(state)

    lines += _link_styles(states)
    return "\n".join(lines) + "\n"


def _link_styles(states: Sequence[str]) -> Iterator[str]:
    for state, style in _STYLES.items():
        edges = [str(number) for number, name in enumerate(states) if name == state]
        if edges:
            yield f"  linkStyle {','.join(edges)} {style}"


def drawn_lanes(lanes: Sequence[Lane]) -> Sequence[Lane]:
    """Return all rules if there are at most `MAX_LANES`, otherwise the first `MAX_LANES` changed
    ones.
    """
    return (
        lanes
        if len(lanes) <= MAX_LANES
        else [lane for lane in lanes if lane.state != "same"][:MAX_LANES]
    )


def label(text: str) -> str:
    """Return text for a label in quotes: all characters except letters, digits and a few signs as
    entities.
    """
    content = sanitize(text)
    content = content if len(content) <= _MAX_LABEL else f"{content[: _MAX_LABEL - 1]}…"
    return _SPECIAL.sub(lambda match: f"#{ord(match.group())};", content) or " "


def _edges(
    lane: Lane,
    callers: str,
    rule: str,
    queues: dict[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield the line from the callers to the rule, and those from the rule to its queues, each with
    its state.
    """
    yield lane.state, f"{callers} {_ARROWS.get(lane.state, '-->')} {rule}"
    for queue in lane.queues:
        state = (
            "gone"
            if queue not in lane.after
            else lane.state
            if queue in lane.before
            else "new"
        )
        yield (
            state,
            f"{rule} {'-->' if state == lane.state else _ARROWS[state]} {queues[queue]}",
        )
