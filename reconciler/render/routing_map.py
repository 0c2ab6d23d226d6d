"""The routing map: which conversations which rule sends to which queue, now and after the plan. A value to be drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of
from reconciler.model.rule import Condition, Rule
from reconciler.plan.schedule import build_transition
from reconciler.render.escape_markdown import unquote
from reconciler.render.impact import destination_phrase
from reconciler.text.escape import join_first, quote, sanitize
from reconciler.text.phrases import conditions_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.plan.plan import Plan

LaneState = Literal["same", "new", "gone", "changed", "off"]
"""What the plan does to a rule's part in routing; `off` takes none, before or after."""

_MAX_INTENTS: Final = 3
_ORDER: Final[tuple[LaneState, ...]] = ("gone", "changed", "new", "same", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One rule on the map: who comes in, by which rule, to which queues before and after.

    A queue is a name as people read it, or `no queue`. Where the rule takes no part, on that side, it is None.
    """

    rule: str
    callers: str  # `"card_not_working", "card_acceptance" and 3 more`
    conditions: str  # all that it asks for
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    state: LaneState
    managed: bool
    priority: float
    share: float  # percent of the sample with one of its intents; 0 without a sample, or where it names none

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the queues of either side, those after the plan first."""
        return tuple(dict.fromkeys([*(self.after or ()), *(self.before or ())]))


@dataclass(frozen=True, slots=True)
class RoutingMap:
    """All rules that take part, changed ones first, then as they are tried. `sample` says what shares are of."""

    lanes: tuple[Lane, ...]
    disabled: tuple[Lane, ...]  # rules that take part neither before nor after: they are switched off
    sample: str

    @property
    def changed(self) -> tuple[Lane, ...]:
        """Return the lanes that the plan changes."""
        return tuple(lane for lane in self.lanes if lane.state != "same")

    @property
    def queues(self) -> tuple[str, ...]:
        """Return every queue, those that most changes touch first."""
        count = Counter(queue for lane in self.changed for queue in lane.queues)
        named = dict.fromkeys(queue for lane in self.lanes for queue in lane.queues)
        return tuple(sorted(named, key=lambda queue: (-count[queue], queue)))


def build_routing_map(plan: Plan) -> RoutingMap:
    """Return the map of a plan."""
    way = build_transition(plan)
    intents = _intent_shares(plan)
    drawing = _LaneBuilder(plan, intents)
    pairs = [(entry, entry) for entry in way.fixed] + [(move.before, move.after) for move in way.moves]
    lanes = [drawing.lane(before, after) for before, after in pairs]
    sign = 1 if plan.desired.evaluation == "lowest-first" else -1
    lanes.sort(key=lambda lane: (_ORDER.index(lane.state), sign * lane.priority, lane.rule))
    sample = plan.traffic_impact.sample if plan.traffic_impact else None
    period = sanitize(sample.period or sample.name) if sample else ""
    part = tuple(lane for lane in lanes if lane.state != "off")
    return RoutingMap(part, tuple(lane for lane in lanes if lane.state == "off"), period)


@dataclass(frozen=True, slots=True)
class _LaneBuilder:
    plan: Plan
    intents: Mapping[str, float]

    def lane(self, before: RoutingEntry | None, after: RoutingEntry | None) -> Lane:
        """Return the lane of a rule that is there before, after, or both."""
        old, new = _if_enabled(before), _if_enabled(after)
        named = new or old or after or before
        if named is None:
            raise AssertionError("a move is of a rule")
        rule = named.rule
        return Lane(
            rule=sanitize(named.name) if named.address else quote(named.name),
            callers=self._callers(rule),
            conditions=conditions_phrase(rule, self.plan.labels),
            before=self._queues(old),
            after=self._queues(new),
            state=_state(old, new),
            managed=named.address is not None,
            priority=rule.priority,
            share=sum(self.intents.get(intent, 0.0) for intent in self._listed_intents(rule)),
        )

    def _queues(self, entry: RoutingEntry | None) -> tuple[str, ...] | None:
        if entry is None:
            return None
        split = destination_of(entry.rule.targets) or ()
        heaviest = sorted(split, key=lambda part: (-part[1], part[0]))
        parts: list[Destination] = [((queue, share),) for queue, share in heaviest] or [()]
        return tuple(unquote(destination_phrase(part, self.plan.queue_names)) for part in parts)

    def _callers(self, rule: Rule) -> str:
        named = [quote(intent) for intent in self._listed_intents(rule)]
        if not named:
            return conditions_phrase(rule, self.plan.labels)
        return join_first(named, _MAX_INTENTS)

    def _listed_intents(self, rule: Rule) -> tuple[str, ...]:
        for part in rule.conditions:
            if (
                isinstance(part, Condition)
                and self.plan.labels.get(part.attribute) == "intent"
                and part.operator in ("equals", "in")
            ):
                listed = part.value if isinstance(part.value, tuple) else (part.value,)
                return tuple(str(value) for value in listed)
        return ()


def _if_enabled(entry: RoutingEntry | None) -> RoutingEntry | None:
    return entry if entry is not None and entry.rule.enabled else None


def _state(old: RoutingEntry | None, new: RoutingEntry | None) -> LaneState:
    if old is None:
        return "new" if new else "off"
    if new is None:
        return "gone"
    same = (old.rule.conditions, old.rule.priority, old.rule.targets)
    return "same" if same == (new.rule.conditions, new.rule.priority, new.rule.targets) else "changed"


def _intent_shares(plan: Plan) -> dict[str, float]:
    if plan.traffic_impact is None:
        return {}
    sample = plan.traffic_impact.sample
    attribute = next((name for name, label in plan.labels.items() if label == "intent"), "")
    shares: dict[str, float] = {}
    for row in sample.rows:
        if attribute in row.attributes:
            intent = str(row.attributes[attribute])
            shares[intent] = shares.get(intent, 0.0) + 100 * row.count / sample.total
    return shares


def lanes_by_queue(routing: RoutingMap) -> Iterable[tuple[str, list[Lane]]]:
    """Yield each queue with the lanes that lead there, now or after."""
    for queue in routing.queues:
        yield queue, [lane for lane in routing.lanes if queue in lane.queues]
