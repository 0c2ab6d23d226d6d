"""Behaviour x a traffic sample -> how much of the sample moves, and the share of each queue before and after.

A row of a sample has some attributes of a conversation; the others are unknown, so a share has a minimum and a maximum
(semantics "Traffic shares"). A conversation moves by half the sum of the differences between the two splits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.behaviour.diff.effects import EffectRow
from reconciler.behaviour.endpoint_stage import store_values
from reconciler.behaviour.evaluate import Conversation, RuleIndex, canonical_attributes, holds
from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of_rule, make_probe, order_entries
from reconciler.behaviour.space.clauses import Clause
from reconciler.behaviour.space.value_type import Types
from reconciler.desired.desired import DesiredState
from reconciler.model.grouping import group_pairs
from reconciler.model.rule import Condition
from reconciler.traffic.sample import SampleRow, TrafficSample


def convert_sample(types: Types, sample: TrafficSample) -> TrafficSample:
    """Return a traffic sample with its values converted to the known types."""
    rows = (replace(row, attributes=store_values(types, row.attributes)) for row in sample.rows)
    return replace(sample, rows=tuple(rows)) if types else sample


@dataclass(frozen=True, slots=True)
class ShareRange:
    """A share of the sample in percent: minimum and maximum."""

    least: float
    most: float

    def in_words(self, sign: Literal["-", "+"] = "-") -> str:
        """Return the range: `3.1 %`, or `2.0 to 3.1 %` if the sample leaves it open; `+`: with a sign."""
        least, most = (f"{round(value, 1) + 0.0:{sign}.1f}" for value in (self.least, self.most))
        return f"{most} %" if least == most else f"{least} to {most} %"


_NOTHING: Final = ShareRange(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueueShare:
    """A queue's share of the sample, before and after. `queue` is its id; None: the default routing, "": no queue."""

    queue: str | None
    before: ShareRange
    after: ShareRange
    change: ShareRange  # the increase, which can be more exact than `after` minus `before`


class EffectShare(NamedTuple):
    """The share of an effect, and those of its rows."""

    total: ShareRange
    rows: tuple[ShareRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficImpact:
    """The shares of a sample that move: of each region and each effect, in order, and in total; and of each queue."""

    sample: TrafficSample
    regions: tuple[ShareRange, ...]
    effects: tuple["EffectShare", ...]
    total: ShareRange
    balance: tuple[QueueShare, ...]
    shares: tuple["RuleShares", "RuleShares"]  # of the rules before and after


@dataclass(slots=True)
class _Sum:
    """A number of conversations: minimum and maximum."""

    least: float = 0.0
    most: float = 0.0

    def add(self, least: float, most: float) -> None:
        self.least += least
        self.most += most

    def as_share(self, total: float) -> ShareRange:
        return ShareRange(100 * self.least / total, 100 * self.most / total)


def measure_traffic(
    behaviour: BehaviourChange, before: Sequence[RoutingEntry], after: Sequence[RoutingEntry], sample: TrafficSample
) -> TrafficImpact:
    """Return how much of the sample moves between two lists of rules, each in order."""
    counter, total = _TrafficCounter(behaviour), sample.total
    shares = (_rule_shares(before, sample), _rule_shares(after, sample))
    for row in sample.rows:
        counter.count_row(row)
    changes = None if behaviour.undecided else counter.changes
    return TrafficImpact(
        sample=sample,
        regions=tuple(region_sum.as_share(total) for region_sum in counter.region_sums),
        effects=tuple(counter.effect_shares(total)),
        total=counter.total.as_share(total),
        balance=_compute_balance(shares, changes, total),
        shares=shares,
    )


class _TrafficCounter:
    def __init__(self, behaviour: BehaviourChange) -> None:
        self.regions = behaviour.regions
        self._rows = [
            _EffectPart(number, row) for number, effect in enumerate(behaviour.effects) for row in effect.rows
        ]
        self.distances = [float(split_distance(region.before, region.after)) for region in self.regions]
        self.region_sums = [_Sum() for _ in self.regions]
        self._row_sums = [_Sum() for _ in self._rows]
        self._effect_sums = [_Sum() for _ in behaviour.effects]
        self.total = _Sum()
        self.changes: dict[str | None, _Sum] = {}
        gains = [_queue_gains(region.before, region.after) for region in self.regions]
        self._gains = [{queue: float(gain) for queue, gain in each.items()} for each in gains]
        region_sets = [_ConversationSet(region.where, region.excepts) for region in self.regions]
        self._region_index = _ConversationIndex(region_sets)
        self._row_index = _ConversationIndex([part.conversations for part in self._rows])

    def count_row(self, row: SampleRow) -> None:
        indices: list[int] = []
        certain = 0.0
        for index, is_certain in self._region_index.find_matches(row):
            moved = row.count * self.distances[index]
            self.region_sums[index].add(moved if is_certain else 0.0, moved)
            certain += moved if is_certain else 0.0
            indices.append(index)
        self.total.add(certain, max((row.count * self.distances[index] for index in indices), default=0.0))
        gains = [self._gains[index] for index in indices] + ([] if certain else [{}])  # {}: the row may gain nothing
        for queue in dict.fromkeys(queue for gain in gains for queue in gain):
            parts = [gain.get(queue, 0.0) for gain in gains]
            self.changes.setdefault(queue, _Sum()).add(row.count * min(parts), row.count * max(parts))
        if indices:
            self._count_effects(row)

    def _count_effects(self, row: SampleRow) -> None:
        most: dict[int, float] = {}
        for index, is_certain in self._row_index.find_matches(row):
            part = self._rows[index]
            moved = row.count * part.distance
            certain = moved if is_certain else 0.0
            self._row_sums[index].add(certain, moved)
            self._effect_sums[part.effect].add(certain, 0.0)
            most[part.effect] = max(most.get(part.effect, 0.0), moved)
        for effect, moved in most.items():
            self._effect_sums[effect].add(0.0, moved)

    def effect_shares(self, total: float) -> Iterator[EffectShare]:
        """Yield the shares of each effect and of its rows."""
        rows = group_pairs(
            (part.effect, row.as_share(total)) for part, row in zip(self._rows, self._row_sums, strict=True)
        )
        for effect, effect_sum in enumerate(self._effect_sums):
            yield EffectShare(effect_sum.as_share(total), tuple(rows.get(effect, ())))


class _ConversationSet(NamedTuple):
    """All conversations with `where` and without a complete list of `excepts`."""

    where: Sequence[Clause]
    excepts: Sequence[Sequence[Clause]]


class _EffectPart:
    """A row of an effect, by the effect's number."""

    def __init__(self, effect: int, row: EffectRow) -> None:
        self.effect = effect
        self.distance = float(split_distance(row.before, row.after))
        earlier = [tuple(map(Clause, rule.entry.rule.conditions)) for rule in row.earlier]
        self.conversations = _ConversationSet(row.where, earlier)


def _queue_gains(before: Destination, after: Destination) -> dict[str | None, Fraction]:
    first, second, nothing = dict(_split_parts(before)), dict(_split_parts(after)), Fraction(0)
    return {queue: second.get(queue, nothing) - first.get(queue, nothing) for queue in {**first, **second}}


def _compute_balance(
    sides: Iterable["RuleShares"], changes: Mapping[str | None, _Sum] | None, total: float
) -> tuple[QueueShare, ...]:
    """Return each queue's share of the sample by two lists of rules, the largest changes first."""
    (before, after), shares = (side.queues for side in sides), []
    for queue in {**before, **after}:
        first, second = before.get(queue, _NOTHING), after.get(queue, _NOTHING)
        # Without `changes` it is unknown which conversations move: a queue may lose all of them, and gain all others.
        widest = ShareRange(second.least - first.most, second.most - first.least)
        change = widest if changes is None else changes.get(queue, _Sum()).as_share(total)
        shares.append(QueueShare(queue, first, second, change))
    return tuple(sorted(shares, key=lambda share: (-max(-share.change.least, share.change.most), share.queue or "")))


class RuleShares(NamedTuple):
    """Shares of a sample: of each rule, by name and id (None: no rule takes it), and of each queue as in QueueShare."""

    rules: Mapping[tuple[str, str] | None, ShareRange]
    queues: Mapping[str | None, ShareRange]

    def of(self, entry: RoutingEntry) -> ShareRange:
        """Return the share of a rule."""
        return self.rules.get((entry.name, entry.id), _NOTHING)


def rule_shares(entries: Iterable[RoutingEntry], desired: DesiredState, sample: TrafficSample) -> RuleShares:
    """Return the shares of rules behind the environment's endpoint."""
    endpoint = desired.endpoint
    events = order_entries(endpoint.pull_back(entries), desired.evaluation)
    return _rule_shares(events, convert_sample(endpoint.types, sample))


def _rule_shares(ordered: Sequence[RoutingEntry], sample: TrafficSample) -> RuleShares:
    index, rules, queues = RuleIndex(ordered), dict[tuple[str, str] | None, _Sum](), dict[str | None, _Sum]()
    for row in sample.rows:
        winners = list(index.possible_winners(row.attributes))
        keys = {None if entry is None else (entry.name, entry.id) for entry in winners}
        for key in keys:
            rules.setdefault(key, _Sum()).add(row.count if len(keys) == 1 else 0, row.count)
        splits = dict.fromkeys(_split_parts(destination_of_rule(entry)) for entry in winners)
        for queue in dict.fromkeys(queue for split in splits for queue, _ in split):
            parts = [float(dict(split).get(queue, 0)) for split in splits]
            queues.setdefault(queue, _Sum()).add(row.count * min(parts), row.count * max(parts))
    by_rule = {key: part.as_share(sample.total) for key, part in rules.items()}
    return RuleShares(by_rule, {queue: part.as_share(sample.total) for queue, part in queues.items()})


def _split_parts(split: Destination) -> tuple[tuple[str | None, Fraction], ...]:
    """Return a split with keys for the default routing (None) and for no queue ("")."""
    return ((None, Fraction(1)),) if split is None else split or (("", Fraction(1)),)


def split_distance(before: Destination, after: Destination) -> Fraction:
    """Return how much two splits differ, from 0 to 1; the default routing and no queue count as two queues."""
    return sum(map(abs, _queue_gains(before, after).values()), Fraction(0)) / 2


class _ConversationIndex:
    """Finds the sets of conversations that may contain a row, by the listed values of an attribute."""

    def __init__(self, parts: Sequence[_ConversationSet]) -> None:
        self.parts = parts
        conditions = (tuple(clause.condition for clause in part.where if not clause.negate) for part in parts)
        self._index = RuleIndex([make_probe(each) for each in conditions])

    def find_matches(self, row: SampleRow) -> Iterator[tuple[int, bool]]:
        """Yield the indices of the sets that may contain the row, and whether they certainly do."""
        values = canonical_attributes(row.attributes)
        for index in self._index.possible_positions(row.attributes, values):
            is_inside = _contains_row(self.parts[index], row, values)
            if is_inside is not False:
                yield index, is_inside is True


def _contains_row(part: _ConversationSet, row: SampleRow, values: Conversation) -> bool | None:
    """Return whether a set contains a row's conversations; None if it may contain some."""

    def clause_holds(clause: Clause) -> bool | None:
        condition = clause.condition
        if not isinstance(condition, Condition) or condition.attribute not in row.attributes:
            return None
        return holds(condition, values) is not clause.negate

    where = list(map(clause_holds, part.where))
    if False in where:
        return False
    excepts = [list(map(clause_holds, clauses)) for clauses in part.excepts]
    if any(all(result is True for result in results) for results in excepts):
        return False
    return True if None not in where and all(False in results for results in excepts) else None
