"""Recorded conversations x two lists of rules -> how many go elsewhere, from where, to where and by
which rules.

A row is routed like a row of a traffic sample (semantics "Traffic shares"). Rows that no rule
distinguishes share one result, so that a row costs a few microseconds, and memory does not grow
with the file.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import call
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.core.behaviour.endpoint_stage import EndpointStage, store_values
from reconciler.core.behaviour.evaluate import RuleIndex
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
)
from reconciler.core.behaviour.space.value_type import ANY_TEXT
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import PATTERNS
from reconciler.core.model.rule import Condition
from reconciler.core.plan.behaviour_json import destination_to_json
from reconciler.core.plan.traffic_shares import split_distance
from reconciler.core.traffic.records import (
    MAX_CACHED_LENGTH,
    CellValue,
    ParsedRow,
    RecordReader,
)

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ReplayJson

_MAX_EXAMPLES: Final = 3  # of a pair of destinations
_MAX_RULES: Final = 100  # pairs of rules of a pair of destinations
# pairs of destinations that are listed; the conversations of further pairs are added up
_MAX_PAIRS: Final = 2_000
_MAX_CACHED: Final = 100_000  # kinds of rows
_OTHER_TEXT: Final = object()
_Attributes = Mapping[str, CellValue]


class ReplaySide:
    """Rules in the order of evaluation, and the endpoint before them."""

    def __init__(
        self, entries: Sequence[RoutingEntry], endpoint: EndpointStage
    ) -> None:
        on_events = endpoint.pull_back(entries)
        self.endpoint = endpoint
        self._index = RuleIndex(entries)
        self._index_of_events = RuleIndex(on_events)
        parts = (
            part for entry in (*entries, *on_events) for part in entry.rule.conditions
        )
        self.conditions = [part for part in parts if isinstance(part, Condition)]

    def possible_winners(
        self, attributes: _Attributes
    ) -> Iterator[RoutingEntry | None]:
        """Yield each rule that may take an event; several if that depends on what is not recorded
        or understood.
        """
        endpoint = self.endpoint
        if endpoint.intent in attributes and endpoint.confidence in attributes:
            context = endpoint.context(attributes).attributes
            return self._index.possible_winners({**attributes, **context})
        event = store_values(endpoint.types, attributes)
        return self._index_of_events.possible_winners(event)


class ReplayExample(NamedTuple):
    """A recorded conversation: its line from 1, and the attributes that rules test; None is a
    missing one.
    """

    line: int
    attributes: _Attributes


@dataclass(slots=True, kw_only=True)
class DestinationPair:
    """Conversations that go from one destination to another; of each, `distance` (0 to 1) goes
    elsewhere.
    """

    before: Destination = None
    after: Destination = None
    distance: float = 0.0
    conversations: int | float = 0
    rules: dict[tuple[str | None, ...], list[RoutingEntry | None]] = field(
        default_factory=dict
    )
    """The winners on each side by their names; None: no rule."""
    examples: list[ReplayExample] = field(default_factory=list)

    @property
    def moved(self) -> int | float:
        """Return how many conversations go elsewhere."""
        if self.distance == 1:
            return self.conversations
        return self.conversations * self.distance


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """The counts of conversations.

    `unknown`: if they move depends on what is not recorded or not understood.
    """

    name: str  # of the file
    total: int | float
    moved: int | float
    unknown: int | float
    unrecorded: tuple[str, ...]  # the attributes without a column on which they depend
    # whether some of them depend on a condition that is not understood
    has_opaque: bool
    # the attributes that rules test, and that no row has: they count as missing
    unseen: tuple[str, ...]
    pairs: tuple[DestinationPair, ...]  # most conversations first
    unlisted: int | float  # those of `moved` that are in none of the pairs


def replay(reader: RecordReader, before: ReplaySide, after: ReplaySide) -> ReplayResult:
    """Return which conversations go elsewhere.

    Raises ManifestError for the first row that is wrong.
    """
    replayer = _Replayer(reader, (before, after))
    for row in reader.valid_rows(replayer.conditions):
        replayer.add(row)
    return replayer.result()


class _Replayer:
    def __init__(self, reader: RecordReader, sides: Sequence[ReplaySide]) -> None:
        self._reader = reader
        self._sides = sides
        self.conditions = group_pairs(
            (part.attribute, part) for side in sides for part in side.conditions
        )
        self._unmoved = DestinationPair()
        self._unknown = DestinationPair()
        self._pairs: dict[tuple[Destination, Destination], DestinationPair] = {}
        self._unlisted: dict[float, DestinationPair] = {}  # by distance
        self._unrecorded: set[str] = set()  # attributes
        self._recorded: set[str] = set()  # attributes
        self._has_opaque = False
        self._classifiers: list[Callable[[CellValue], object]] = []  # of the columns
        self._cache: dict[tuple[object, ...], DestinationPair] = {}

    def add(self, row: ParsedRow) -> None:
        """Count a row."""
        names = self._reader.attributes
        if not self._classifiers:
            self._classifiers = [*map(self._classifier, names)]
        key = tuple(map(call, self._classifiers, row.values))
        pair = self._cache.get(key)
        if pair is None:
            pair = self._route_kind(key, dict(zip(names, row.values, strict=True)))
        pair.conversations += row.number
        is_moved = pair.before != pair.after
        if is_moved and len(pair.examples) < _MAX_EXAMPLES and row.number:
            # What no rule tests may be personal data, and a report must not contain it.
            tested = {
                name: value
                for name, value in zip(names, row.values, strict=True)
                if name in self.conditions
            }
            pair.examples.append(ReplayExample(self._reader.line, tested))

    def _route_kind(
        self, key: tuple[object, ...], attributes: _Attributes
    ) -> DestinationPair:
        """Return where to count the conversations of a new kind of rows."""
        self._recorded.update(
            name for name, value in attributes.items() if value is not None
        )
        pair = self._route(attributes)
        if len(self._cache) == _MAX_CACHED:
            self._cache.clear()
        if self._reader.size <= MAX_CACHED_LENGTH:
            self._cache[key] = pair
        return pair

    def _classifier(self, attribute: str) -> Callable[[CellValue], object]:
        """Return a function whose results are equal for values that no condition distinguishes."""
        conditions = self.conditions.get(attribute, ())
        operands = {operand for part in conditions for operand in part.values}
        numbers = sorted(
            operand for operand in operands if isinstance(operand, (int, float))
        )
        has_patterns = any(part.operator in PATTERNS for part in conditions)
        # A number that is stored as text is compared as it is written.
        is_text = any(
            side.endpoint.context_types.get(attribute) == ANY_TEXT
            for side in self._sides
        )

        def classify(value: CellValue) -> object:
            if value is None or not conditions:
                return None
            if isinstance(value, str):
                return value if has_patterns or value in operands else _OTHER_TEXT
            if is_text:
                return (repr(value),)
            return (bisect_left(numbers, value), bisect_right(numbers, value))

        return classify

    def _route(self, attributes: _Attributes) -> DestinationPair:
        """Return where to count conversations."""
        side_before, side_after = self._sides
        winners_before = [*side_before.possible_winners(attributes)]
        winners_after = [*side_after.possible_winners(attributes)]
        routes_before = _routes_of(winners_before)
        routes_after = _routes_of(winners_after)
        if (
            routes_before == routes_after
            and side_before.endpoint == side_after.endpoint
        ):
            # the same rules decide, whatever is not recorded or understood
            return self._unmoved

        before = {destination for _, destination in routes_before}
        after = {destination for _, destination in routes_after}
        if len(before) > 1 or len(after) > 1:
            self._note_unknown(chain(winners_before, winners_after), attributes)
            return self._unknown
        if before == after:
            return self._unmoved
        return self._moved_pair(
            before.pop(), after.pop(), [winners_before[0], winners_after[0]]
        )

    def _note_unknown(
        self, winners: Iterable[RoutingEntry | None], attributes: _Attributes
    ) -> None:
        """Note why the destinations of a conversation are not known."""
        entries = [entry for entry in winners if entry]
        for part in chain.from_iterable(entry.rule.conditions for entry in entries):
            if not isinstance(part, Condition):
                self._has_opaque = True
            elif part.attribute not in attributes:
                self._unrecorded.add(part.attribute)

    def _moved_pair(
        self,
        before: Destination,
        after: Destination,
        winners: list[RoutingEntry | None],
    ) -> DestinationPair:
        """Return the pair of two destinations, with the rules that decide."""
        route = (before, after)
        distance = float(split_distance(before, after))
        if route not in self._pairs and len(self._pairs) >= _MAX_PAIRS:
            unlisted = DestinationPair(distance=distance)
            return self._unlisted.setdefault(distance, unlisted)

        pair = self._pairs.setdefault(
            route, DestinationPair(before=before, after=after, distance=distance)
        )
        if len(pair.rules) < _MAX_RULES:
            names = tuple(entry.name if entry else None for entry in winners)
            pair.rules.setdefault(names, winners)
        return pair

    def result(self) -> ReplayResult:
        """Return the counts."""
        listed = [pair for pair in self._pairs.values() if pair.conversations]
        unlisted = sum(pair.moved for pair in self._unlisted.values())
        every = (self._unmoved, self._unknown, *listed, *self._unlisted.values())
        recordable = self.conditions.keys() & {*self._reader.attributes}
        return ReplayResult(
            name=self._reader.name,
            total=sum(pair.conversations for pair in every),
            moved=sum(pair.moved for pair in listed) + unlisted,
            unknown=self._unknown.conversations,
            unrecorded=tuple(sorted(self._unrecorded)),
            has_opaque=self._has_opaque,
            unseen=tuple(sorted(recordable - self._recorded)),
            pairs=tuple(sorted(listed, key=lambda pair: -pair.moved)),
            unlisted=unlisted,
        )


def _routes_of(
    winners: Iterable[RoutingEntry | None],
) -> list[tuple[object, Destination]]:
    """Return the conditions and the destination of each rule that may take a conversation."""
    return [
        (entry and entry.rule.conditions, destination_of_rule(entry))
        for entry in winners
    ]


def replay_to_json(
    result: ReplayResult, queue_names: Mapping[str, str]
) -> "ReplayJson":
    """Return the counts as JSON (plan-json "Replay")."""
    return {
        "file": result.name,
        "total": result.total,
        "moved": result.moved,
        "movedPercent": 100 * result.moved / result.total,
        "unknown": result.unknown,
        "unrecorded": list(result.unrecorded),
        "unseen": list(result.unseen),
        "pairs": [
            {
                "before": destination_to_json(pair.before, queue_names),
                "after": destination_to_json(pair.after, queue_names),
                "moved": pair.moved,
                "rules": [
                    {"before": before, "after": after} for before, after in pair.rules
                ],
                "examples": [
                    {"line": each.line, "attributes": each.attributes}
                    for each in pair.examples
                ],
            }
            for pair in result.pairs
        ],
        "unlisted": result.unlisted,
    }
