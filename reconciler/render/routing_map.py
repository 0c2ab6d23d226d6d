"""The routing map: which conversations which rule sends to which queue, now and after the plan. A value to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of
from reconciler.model.rule import Condition, Rule
from reconciler.plan.plan import Plan
from reconciler.plan.schedule import build_transition
from reconciler.render.escape_markdown import unquote
from reconciler.render.impact import destination_phrase
from reconciler.text.escape import join_first, quote, sanitize
from reconciler.text.phrases import conditions_phrase

LaneState = Literal["same", "new", "gone", "changed", "off"]  # an `off` rule is disabled before and after the plan
_MAX_INTENTS: Final = 3
_ORDER: Final[tuple[LaneState, ...]] = ("gone", "changed", "new", "same", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One rule on the map. Queues are display names, or `no queue`; None where the rule is absent or disabled."""

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
    """All enabled rules, changed ones first, then in order of evaluation; `sample` is the period of the shares."""

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
    transition, intents = build_transition(plan), _intent_shares(plan)
    lanes = [_lane(plan, intents, entry, entry) for entry in transition.fixed]
    lanes += [_lane(plan, intents, move.before, move.after) for move in transition.moves]
    sign = 1 if plan.desired.evaluation == "lowest-first" else -1
    lanes.sort(key=lambda lane: (_ORDER.index(lane.state), sign * lane.priority, lane.rule))
    sample = plan.traffic_impact.sample if plan.traffic_impact else None
    period = sanitize(sample.period or sample.name) if sample else ""
    enabled = tuple(lane for lane in lanes if lane.state != "off")
    return RoutingMap(enabled, tuple(lane for lane in lanes if lane.state == "off"), period)


def _lane(plan: Plan, shares: Mapping[str, float], before: RoutingEntry | None, after: RoutingEntry | None) -> Lane:
    old, new = (entry if entry is not None and entry.rule.enabled else None for entry in (before, after))
    entry = new or old or after or before
    if entry is None:
        raise AssertionError("a move is of a rule")
    rule, intents = entry.rule, _listed_intents(entry.rule, plan.labels)
    conditions = conditions_phrase(rule, plan.labels)
    return Lane(
        rule=sanitize(entry.name) if entry.address else quote(entry.name),
        callers=join_first(intents, _MAX_INTENTS, quote) if intents else conditions,
        conditions=conditions,
        before=_queues(old, plan.queue_names),
        after=_queues(new, plan.queue_names),
        state=_state(old, new),
        managed=entry.address is not None,
        priority=rule.priority,
        share=sum(shares.get(intent, 0.0) for intent in intents),
    )


def _queues(entry: RoutingEntry | None, names: Mapping[str, str]) -> tuple[str, ...] | None:
    if entry is None:
        return None
    split = sorted(destination_of(entry.rule.targets) or (), key=lambda part: (-part[1], part[0]))
    parts: list[Destination] = [(part,) for part in split] or [()]
    return tuple(unquote(destination_phrase(part, names)) for part in parts)


def _listed_intents(rule: Rule, labels: Mapping[str, str]) -> tuple[str, ...]:
    for part in rule.conditions:
        if isinstance(part, Condition) and labels.get(part.attribute) == "intent" and part.operator in ("equals", "in"):
            return tuple(map(str, part.value if isinstance(part.value, tuple) else (part.value,)))
    return ()


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
