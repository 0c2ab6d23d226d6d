"""Recorded conversations x two lists of rules -> how many go elsewhere, from where, to where and by which rules.

A row is routed like a row of a traffic sample (semantics "Traffic shares"). Rows that no rule distinguishes share one
result, so that a row costs a few microseconds, and memory does not grow with the file.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from operator import call
from typing import Final, NamedTuple

from reconciler.behaviour.endpoint_stage import EndpointStage, store_values
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of_rule
from reconciler.behaviour.space.value_type import ANY_TEXT
from reconciler.model.finding import Document
from reconciler.model.rule import PATTERNS, Condition
from reconciler.plan.behaviour_json import destination_to_json
from reconciler.plan.traffic_shares import split_distance
from reconciler.traffic.records import RecordReader
from reconciler.traffic.sample import COUNT_COLUMN, MAX_CACHED_LENGTH, CellValue, Record

MAX_EXAMPLES: Final = 3  # of a pair of destinations
_MAX_PAIRS: Final = 2_000  # pairs of rules that are listed; the conversations of further pairs are added up
_MAX_CACHED: Final = 100_000  # kinds of rows
_MAX_CELLS: Final = 16_384  # of a column
_OTHER_TEXT: Final = object()


class ReplaySide(NamedTuple):
    """Rules in the order of evaluation, and the endpoint before them."""

    entries: Sequence[RoutingEntry]
    endpoint: EndpointStage


class ReplayExample(NamedTuple):
    """A recorded conversation: its line from 1, and the attributes that rules test; None is a missing one."""

    line: int
    attributes: Mapping[str, CellValue]


@dataclass(slots=True)
class RulePair:
    """Conversations with the same winner on each side; None: no rule. Of each, `distance` (0 to 1) goes elsewhere."""

    winners: tuple[RoutingEntry | None, RoutingEntry | None] | None = None  # None: several pairs added up
    distance: float = 0.0
    conversations: int | float = 0
    examples: list[ReplayExample] = field(default_factory=list)

    @property
    def moved(self) -> int | float:
        """Return how many conversations go elsewhere."""
        return self.conversations if self.distance == 1 else self.conversations * self.distance

    @property
    def lacks_examples(self) -> bool:
        """Return whether an example is wanted: not of conversations that stay."""
        return self.winners is not None and len(self.examples) < MAX_EXAMPLES


class DestinationPair(NamedTuple):
    """Conversations that go from one destination to another: how many move, by which rules, and the first ones."""

    before: Destination
    after: Destination
    moved: int | float
    rules: tuple[RulePair, ...]
    examples: tuple[ReplayExample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """The counts of conversations. `unknown`: their destination depends on what is not recorded or not understood."""

    name: str  # of the file
    total: int | float
    moved: int | float
    unknown: int | float
    unrecorded: tuple[str, ...]  # the attributes without a column on which they depend
    unseen: tuple[str, ...]  # the attributes that rules test, and that no line of JSON has: they count as missing
    pairs: tuple[DestinationPair, ...]  # most conversations first
    unlisted: int | float  # those of `moved` that are in none of the pairs


def replay(reader: RecordReader, before: ReplaySide, after: ReplaySide) -> ReplayResult:
    """Return which conversations go elsewhere. Raises ManifestError for the first row that is wrong."""
    replayer = _Replayer(before, after)
    for cells in reader.rows(frozenset(replayer.conditions)):
        try:
            replayer.add(reader, cells)
        except ValueError:
            reader.refuse()
    result = replace(replayer.result(reader.name), unseen=reader.unseen)
    return result if result.total else reader.refuse_empty()


class _IndexedSide:
    def __init__(self, side: ReplaySide) -> None:
        self.endpoint = side.endpoint
        self.on_events = side.endpoint.pull_back(side.entries)
        self._index, self._index_of_events = RuleIndex(side.entries), RuleIndex(self.on_events)

    def possible_winners(self, attributes: Mapping[str, CellValue]) -> Iterator[RoutingEntry | None]:
        """Yield each rule that may take an event; several if that depends on what is not recorded or understood."""
        endpoint = self.endpoint
        if endpoint.intent in attributes and endpoint.confidence in attributes:
            return self._index.possible_winners({**attributes, **endpoint.context(attributes).attributes})
        return self._index_of_events.possible_winners(store_values(endpoint.types, attributes))


class _Replayer:
    def __init__(self, *sides: ReplaySide) -> None:
        self._sides = [_IndexedSide(side) for side in sides]
        self.conditions: dict[str, list[Condition]] = {}  # by attribute
        for entry in chain(*(side.on_events for side in self._sides), *(side.entries for side in sides)):
            for part in entry.rule.conditions:
                if isinstance(part, Condition):
                    self.conditions.setdefault(part.attribute, []).append(part)
        self._unmoved, self._unknown, self._pairs = RulePair(), RulePair(), dict[object, RulePair]()
        self._unrecorded: set[str] = set()
        self._classifiers: list[Callable[[str], object]] = []  # of the columns
        self._cache: dict[tuple[object, ...], tuple[RulePair, int | float]] = {}

    def add(self, reader: RecordReader, cells: Sequence[str]) -> None:
        """Count a row. Raises ValueError for a wrong one."""
        if not self._classifiers:
            layout, attributes = reader.layout, iter(reader.layout.attributes)
            for name, parse in zip(layout.names, layout.parsers, strict=True):
                self._classifiers.append(parse if name == COUNT_COLUMN else self._classifier(next(attributes), parse))
        if len(cells) != len(self._classifiers):
            raise ValueError
        if reader.size > MAX_CACHED_LENGTH:
            pair, count = self._route(*_read_row(reader, cells))
            pair.conversations += count
            return
        key = tuple(map(call, self._classifiers, cells))
        result = self._cache.get(key)
        if result is None:
            if len(self._cache) == _MAX_CACHED:
                self._cache.clear()
            result = self._cache[key] = self._route(*_read_row(reader, cells))
        pair, count = result
        pair.conversations += count
        if pair.lacks_examples and count:
            recorded, _ = _read_row(reader, cells)
            # What no rule tests may be personal data, and a report must not contain it.
            tested = {name: value for name, value in recorded.items() if name in self.conditions}
            pair.examples.append(ReplayExample(reader.line, tested))

    def _classifier(self, attribute: str, parse: Callable[[str], CellValue]) -> Callable[[str], object]:
        """Return a function of a cell; its results are equal for cells that no condition distinguishes."""
        conditions = self.conditions.get(attribute, ())
        values = [part.value if isinstance(part.value, tuple) else (part.value,) for part in conditions]
        operands = {operand for each in values for operand in each}
        numbers = sorted(operand for operand in operands if isinstance(operand, (int, float)))
        has_patterns = any(part.operator in PATTERNS for part in conditions)
        # A number that is stored as text is compared as it is written.
        is_text = any(each.endpoint.context_types.get(attribute) == ANY_TEXT for each in self._sides)

        def classify(cell: str) -> object:
            value = parse(cell)
            if value is None or not conditions:
                return None
            if isinstance(value, str):
                return value if has_patterns or value in operands else _OTHER_TEXT
            return (repr(value),) if is_text else (bisect_left(numbers, value), bisect_right(numbers, value))

        return lru_cache(_MAX_CELLS)(classify)

    def _route(self, attributes: Mapping[str, CellValue], count: float) -> tuple[RulePair, int | float]:
        """Return where to count conversations, and their number."""
        winners = [[*side.possible_winners(attributes)] for side in self._sides]
        before, after = ({destination_of_rule(entry) for entry in entries} for entries in winners)
        if len(before) > 1 or len(after) > 1:
            parts = (part for entry in chain(*winners) if entry for part in entry.rule.conditions)
            tested = {part.attribute for part in parts if isinstance(part, Condition)}
            self._unrecorded |= tested - attributes.keys()
            return self._unknown, count
        if before == after:
            return self._unmoved, count
        pair = (winners[0][0], winners[1][0])
        names = tuple(entry and (entry.name, entry.id) for entry in pair)
        if names not in self._pairs:
            distance = float(split_distance(before.pop(), after.pop()))
            if len(self._pairs) >= _MAX_PAIRS:
                return self._pairs.setdefault(distance, RulePair(None, distance)), count
            self._pairs[names] = RulePair(pair, distance)
        return self._pairs[names], count

    def result(self, name: str) -> ReplayResult:
        """Return the counts."""
        pairs = [pair for pair in self._pairs.values() if pair.conversations]
        groups: dict[tuple[Destination, Destination], list[RulePair]] = {}
        for pair in pairs:
            if pair.winners:
                before, after = map(destination_of_rule, pair.winners)
                groups.setdefault((before, after), []).append(pair)
        moved = sum(pair.moved for pair in pairs)
        listed = [_join(before, after, group) for (before, after), group in groups.items()]
        return ReplayResult(
            name=name,
            total=self._unmoved.conversations + self._unknown.conversations + sum(pair.conversations for pair in pairs),
            moved=moved,
            unknown=self._unknown.conversations,
            unrecorded=tuple(sorted(self._unrecorded)),
            unseen=(),
            pairs=tuple(sorted(listed, key=lambda pair: -pair.moved)),
            unlisted=sum(pair.moved for pair in pairs if not pair.winners),
        )


def _read_row(reader: RecordReader, cells: Sequence[str]) -> tuple[dict[str, CellValue], int | float]:
    row = reader.layout.read_row(Record(0, reader.line, [*cells]))
    if row is None:
        raise ValueError
    return dict(zip(reader.layout.attributes, row[0], strict=True)), row[1]


def _join(before: Destination, after: Destination, pairs: Sequence[RulePair]) -> DestinationPair:
    rules = tuple(sorted(pairs, key=lambda pair: -pair.conversations))
    examples = sorted((example for pair in pairs for example in pair.examples), key=lambda example: example.line)
    return DestinationPair(before, after, sum(pair.moved for pair in pairs), rules, tuple(examples[:MAX_EXAMPLES]))


def replay_to_json(result: ReplayResult, queue_names: Mapping[str, str]) -> Document:
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
                "rules": [_rules_to_json(rules) for rules in pair.rules],
                "examples": [example._asdict() for example in pair.examples],
            }
            for pair in result.pairs
        ],
        "unlisted": result.unlisted,
    }


def _rules_to_json(pair: RulePair) -> Document:
    before, after = (entry and entry.name for entry in pair.winners or (None, None))
    return {"before": before, "after": after, "conversations": pair.conversations}
