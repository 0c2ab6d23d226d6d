"""The routing map: which conversations which rule sends to which queue, now and after the plan. A value to be drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reconciler.behaviour.routing_entry import Destination, Entry, destination
from reconciler.model.rule import Condition, Rule
from reconciler.plan.schedule import transition
from reconciler.render.escape_markdown import unquoted
from reconciler.render.impact import destination_phrase
from reconciler.text.escape import join_first, quote, sanitize
from reconciler.text.phrases import asks_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.plan.plan import Plan


State = Literal["same", "new", "gone", "changed", "off"]
"""What the plan does to a rule's part in routing; `off` takes none, before or after."""

_MOST_INTENTS: Final = 3
_ORDER: Final[tuple[State, ...]] = ("gone", "changed", "new", "same", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One rule on the map: who comes in, by which rule, to which queues before and after.

    A queue is a name as people read it, or `no queue`. Where the rule takes no part, on that side, it is None.
    """

    rule: str
    who: str
    """`"card_not_working", "card_acceptance" and 3 more`."""
    asks: str
    """All that it asks for."""
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    state: State
    managed: bool
    priority: float
    share: float
    """Percent of the sample with one of its intents; 0 without a sample, or where it names none."""

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the queues of either side, those after the plan first."""
        return tuple(dict.fromkeys([*(self.after or ()), *(self.before or ())]))


@dataclass(frozen=True, slots=True)
class RoutingMap:
    """All rules that take part, changed ones first, then as they are tried. `sample` says what shares are of."""

    lanes: tuple[Lane, ...]
    off: tuple[Lane, ...]
    """Rules that take part neither before nor after: they are switched off."""
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


def routing_map(plan: Plan) -> RoutingMap:
    """Return the map of a plan."""
    way = transition(plan)
    intents = _intents(plan)
    drawing = _Drawing(plan, intents)
    pairs = [(entry, entry) for entry in way.fixed] + [(move.before, move.after) for move in way.moves]
    lanes = [drawing.lane(before, after) for before, after in pairs]
    sign = 1 if plan.desired.evaluation == "lowest-first" else -1
    lanes.sort(key=lambda lane: (_ORDER.index(lane.state), sign * lane.priority, lane.rule))
    sample = plan.moved.sample if plan.moved else None
    told = sanitize(sample.period or sample.name) if sample else ""
    part = tuple(lane for lane in lanes if lane.state != "off")
    return RoutingMap(part, tuple(lane for lane in lanes if lane.state == "off"), told)


@dataclass(frozen=True, slots=True)
class _Drawing:
    plan: Plan
    intents: Mapping[str, float]

    def lane(self, before: Entry | None, after: Entry | None) -> Lane:
        """Return the lane of a rule that is there before, after, or both."""
        old, new = _taking_part(before), _taking_part(after)
        named = new or old or after or before
        if named is None:
            raise AssertionError("a move is of a rule")
        rule = named.rule
        return Lane(
            rule=sanitize(named.name) if named.address else quote(named.name),
            who=self._who(rule),
            asks=asks_phrase(rule, self.plan.labels),
            before=self._queues(old),
            after=self._queues(new),
            state=_state(old, new),
            managed=named.address is not None,
            priority=rule.priority,
            share=sum(self.intents.get(intent, 0.0) for intent in self._named(rule)),
        )

    def _queues(self, entry: Entry | None) -> tuple[str, ...] | None:
        if entry is None:
            return None
        split = destination(entry.rule.targets) or ()
        heaviest = sorted(split, key=lambda part: (-part[1], part[0]))
        parts: list[Destination] = [((queue, share),) for queue, share in heaviest] or [()]
        return tuple(unquoted(destination_phrase(part, self.plan.queue_names)) for part in parts)

    def _who(self, rule: Rule) -> str:
        named = [quote(intent) for intent in self._named(rule)]
        if not named:
            return asks_phrase(rule, self.plan.labels)
        return join_first(named, _MOST_INTENTS)

    def _named(self, rule: Rule) -> tuple[str, ...]:
        """Return the intents that a rule lists."""
        for part in rule.conditions:
            if (
                isinstance(part, Condition)
                and self.plan.labels.get(part.attribute) == "intent"
                and part.operator in ("equals", "in")
            ):
                listed = part.value if isinstance(part.value, tuple) else (part.value,)
                return tuple(str(one) for one in listed)
        return ()


def _taking_part(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.rule.enabled else None


def _state(old: Entry | None, new: Entry | None) -> State:
    if old is None:
        return "new" if new else "off"
    if new is None:
        return "gone"
    same = (old.rule.conditions, old.rule.priority, old.rule.targets)
    return "same" if same == (new.rule.conditions, new.rule.priority, new.rule.targets) else "changed"


def _intents(plan: Plan) -> dict[str, float]:
    """Return which percent of the sample each intent has."""
    if plan.moved is None:
        return {}
    sample = plan.moved.sample
    attribute = next((name for name, label in plan.labels.items() if label == "intent"), "")
    found: dict[str, float] = {}
    for row in sample.rows:
        if attribute in row.attributes:
            intent = str(row.attributes[attribute])
            found[intent] = found.get(intent, 0.0) + 100 * row.count / sample.total
    return found


def by_queue(routing: RoutingMap) -> Iterable[tuple[str, list[Lane]]]:
    """Yield each queue with the lanes that lead there, now or after."""
    for queue in routing.queues:
        yield queue, [lane for lane in routing.lanes if queue in lane.queues]
