"""Behaviour x a traffic sample -> how much of the sample moves, and the share of each queue before
and after.

A row of a sample has some attributes of a conversation; the others are unknown, so a share has a
minimum and a maximum (semantics "Traffic shares"). A conversation moves by half the sum of the
differences between the two splits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Final, Literal, NamedTuple

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.diff.effects import EffectRow
from reconciler.core.behaviour.endpoint_stage import store_values
from reconciler.core.behaviour.evaluate import (
    Conversation,
    RuleIndex,
    canonical_attributes,
    holds,
)
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
    make_probe,
    order_entries,
)
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Condition
from reconciler.core.traffic.sample import SampleRow, TrafficSample


def convert_sample(types: Types, sample: TrafficSample) -> TrafficSample:
    """Return a traffic sample with its values converted to the known types."""
    if not types:
        return sample
    rows = (
        replace(row, attributes=store_values(types, row.attributes))
        for row in sample.rows
    )
    return replace(sample, rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class ShareRange:
    """A share of the sample in percent: minimum and maximum."""

    least: float
    most: float

    def in_words(self, sign: Literal["-", "+"] = "-") -> str:
        """Return the range: `3.1 %`, or `2.0 to 3.1 %` if the sample leaves it open; `+`: with a
        sign.
        """
        least, most = (
            f"{round(value, 1) + 0.0:{sign}.1f}" for value in (self.least, self.most)
        )
        return f"{most} %" if least == most else f"{least} to {most} %"


_NOTHING: Final = ShareRange(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueueShare:
    """A queue's share of the sample, before and after.

    `queue` is its id; None: the default routing, "": no queue.
    """

    queue: str | None
    before: ShareRange
    after: ShareRange
    # the increase, which can be more exact than `after` minus `before`
    change: ShareRange


class EffectShare(NamedTuple):
    """The share of an effect, and those of its rows; None without a sample."""

    total: ShareRange | None
    rows: tuple[ShareRange | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficImpact:
    """The shares of a sample that move: of each region and each effect, in order, and in total; and
    of each queue.
    """

    sample: TrafficSample
    regions: tuple[ShareRange, ...]
    effects: tuple["EffectShare", ...]
    total: ShareRange
    balance: tuple[QueueShare, ...]
    shares: tuple["RuleShares", "RuleShares"]  # of the rules before and after


@dataclass(slots=True, eq=False)
class _Sum:
    """A number of conversations: minimum and maximum."""

    least: float = 0.0
    most: float = 0.0

    def add(self, least: float, most: float) -> None:
        self.least += least
        self.most += most

    def as_share(self, total: float) -> ShareRange:
        least = 100 * self.least / total
        most = 100 * self.most / total
        return ShareRange(least, most)


def measure_traffic(
    behaviour: BehaviourChange,
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
    sample: TrafficSample,
) -> TrafficImpact:
    """Return how much of the sample moves between two lists of rules, each in order."""
    regions = [
        _Moving(region.where, region.excepts, region.before, region.after)
        for region in behaviour.regions
    ]
    effects = [list(map(_moving_row, effect.rows)) for effect in behaviour.effects]
    all_regions = _MovingGroups([regions])
    all_effects = _MovingGroups(effects)
    changes: dict[str | None, _Sum] = {}
    for row in sample.rows:
        counted = all_regions.count_row(row)
        _count_changes(changes, counted, row)
        if counted:
            all_effects.count_row(row)

    total = sample.total
    shares = (_rule_shares(before, sample), _rule_shares(after, sample))
    decided_changes = None if behaviour.undecided else changes
    return TrafficImpact(
        sample=sample,
        regions=_as_shares(regions, total),
        effects=_effect_shares(all_effects, effects, total),
        total=all_regions.sums[0].as_share(total),
        balance=_compute_balance(shares, decided_changes, total),
        shares=shares,
    )


def _effect_shares(
    groups: "_MovingGroups", effects: Iterable[list["_Moving"]], total: float
) -> tuple[EffectShare, ...]:
    """Return the share of each effect, and of its rows."""
    return tuple(
        EffectShare(group.as_share(total), _as_shares(rows, total))
        for group, rows in zip(groups.sums, effects, strict=True)
    )


class _Moving:
    """Conversations with `where` and without a complete list of `excepts`, and how much of the
    sample they are.
    """

    def __init__(
        self,
        where: Sequence[Clause],
        excepts: Sequence[Sequence[Clause]],
        before: Destination,
        after: Destination,
    ) -> None:
        self.where = where
        self.excepts = excepts
        self.distance = float(split_distance(before, after))
        gains = _queue_gains(before, after)
        self.gains = {queue: float(gain) for queue, gain in gains.items()}
        self.sum = _Sum()


def _as_shares(parts: Iterable[_Moving], total: float) -> tuple[ShareRange, ...]:
    return tuple(part.sum.as_share(total) for part in parts)


class _Counted(NamedTuple):
    """Conversations that a row may be among, how many of the row certainly move, and how many may
    move.
    """

    moving: _Moving
    certain: float
    moved: float


def _moving_row(row: EffectRow) -> _Moving:
    earlier_rules = (rule.entry.rule for rule in row.earlier)
    excepts = [tuple(map(Clause, rule.conditions)) for rule in earlier_rules]
    return _Moving(row.where, excepts, row.before, row.after)


class _MovingGroups:
    """Groups of moving conversations, found by the listed values of an attribute, and the sum of
    each group.
    """

    def __init__(self, groups: Sequence[Sequence[_Moving]]) -> None:
        self.sums = [_Sum() for _ in groups]
        self._parts: list[tuple[_Moving, _Sum]] = []
        probes = []
        for parts, group_sum in zip(groups, self.sums, strict=True):
            for part in parts:
                clauses = (clause for clause in part.where if not clause.negate)
                probes.append(make_probe(tuple(clause.condition for clause in clauses)))
                self._parts.append((part, group_sum))
        self._index = RuleIndex(probes)

    def count_row(self, row: SampleRow) -> list[_Counted]:
        """Add a row to all conversations that it may be among, and to the sums of their groups."""
        values = canonical_attributes(row.attributes)
        counted: list[tuple[_Sum, _Counted]] = []
        for position in self._index.possible_positions(row.attributes, values):
            part, group_sum = self._parts[position]
            is_inside = _contains_row(part, row, values)
            if is_inside is not False:
                moved = row.count * part.distance
                certain = moved if is_inside else 0.0
                part.sum.add(certain, moved)
                counted.append((group_sum, _Counted(part, certain, moved)))

        for group_sum, members in group_pairs(counted).items():
            certain = sum(member.certain for member in members)
            moved = max(member.moved for member in members)
            group_sum.add(certain, moved)
        return [member for _, member in counted]


def _count_changes(
    changes: dict[str | None, _Sum], counted: Sequence[_Counted], row: SampleRow
) -> None:
    """Add how much more of a row each queue gets, or less."""
    gains = [member.moving.gains for member in counted]
    if not any(member.certain for member in counted):
        gains.append({})  # the row may gain nothing
    for queue in dict.fromkeys(chain.from_iterable(gains)):
        parts = [gain.get(queue, 0.0) for gain in gains]
        change = changes.setdefault(queue, _Sum())
        change.add(row.count * min(parts), row.count * max(parts))


def _queue_gains(before: Destination, after: Destination) -> dict[str | None, Fraction]:
    first = dict(_split_parts(before))
    second = dict(_split_parts(after))
    nothing = Fraction(0)
    return {
        queue: second.get(queue, nothing) - first.get(queue, nothing)
        for queue in {**first, **second}
    }


def _compute_balance(
    sides: Iterable["RuleShares"],
    changes: Mapping[str | None, _Sum] | None,
    total: float,
) -> tuple[QueueShare, ...]:
    """Return each queue's share of the sample by two lists of rules, the largest changes first."""
    before, after = (side.queues for side in sides)
    shares = []
    for queue in {**before, **after}:
        first = before.get(queue, _NOTHING)
        second = after.get(queue, _NOTHING)
        if changes is None:
            # It is unknown which conversations move: a queue may lose all of them, and gain all
            # others.
            change = ShareRange(second.least - first.most, second.most - first.least)
        else:
            change = changes.get(queue, _Sum()).as_share(total)
        shares.append(QueueShare(queue, first, second, change))
    return tuple(sorted(shares, key=_largest_change_first))


def _largest_change_first(share: QueueShare) -> tuple[float, str]:
    largest = max(-share.change.least, share.change.most)
    return -largest, share.queue or ""


class RuleShares(NamedTuple):
    """Shares of a sample: of each rule, by name and id (None: no rule takes it), and of each queue
    as in QueueShare.
    """

    rules: Mapping[tuple[str, str] | None, ShareRange]
    queues: Mapping[str | None, ShareRange]

    def of(self, entry: RoutingEntry) -> ShareRange:
        """Return the share of a rule."""
        return self.rules.get((entry.name, entry.id), _NOTHING)


def rule_shares(
    entries: Iterable[RoutingEntry], desired: DesiredState, sample: TrafficSample
) -> RuleShares:
    """Return the shares of rules behind the environment's endpoint."""
    endpoint = desired.endpoint
    events = order_entries(endpoint.pull_back(entries), desired.evaluation)
    return _rule_shares(events, convert_sample(endpoint.types, sample))


def _rule_shares(ordered: Sequence[RoutingEntry], sample: TrafficSample) -> RuleShares:
    index = RuleIndex(ordered)
    rules = dict[tuple[str, str] | None, _Sum]()
    queues = dict[str | None, _Sum]()
    splits = {id(entry): _queue_parts(entry) for entry in (*ordered, None)}
    for row in sample.rows:
        winners = list(index.possible_winners(row.attributes))
        _count_winners(rules, winners, row)
        _count_queues(queues, [splits[id(entry)] for entry in winners], row)
    total = sample.total
    return RuleShares(
        {key: rule_sum.as_share(total) for key, rule_sum in rules.items()},
        {queue: queue_sum.as_share(total) for queue, queue_sum in queues.items()},
    )


def _count_winners(
    rules: dict[tuple[str, str] | None, _Sum],
    winners: Iterable[RoutingEntry | None],
    row: SampleRow,
) -> None:
    """Add a row to the rules that may take it."""
    keys = {None if entry is None else (entry.name, entry.id) for entry in winners}
    certain = row.count if len(keys) == 1 else 0
    for key in keys:
        rules.setdefault(key, _Sum()).add(certain, row.count)


def _queue_parts(entry: RoutingEntry | None) -> dict[str | None, float]:
    """Return the part of its conversations that a rule gives to each queue."""
    parts = _split_parts(destination_of_rule(entry))
    return {queue: float(part) for queue, part in parts}


def _count_queues(
    queues: dict[str | None, _Sum],
    splits: Sequence[Mapping[str | None, float]],
    row: SampleRow,
) -> None:
    """Add a row to the queues that may get conversations of it, by the winners' splits."""
    for queue in dict.fromkeys(chain.from_iterable(splits)):
        parts = [split.get(queue, 0.0) for split in splits]
        queue_sum = queues.setdefault(queue, _Sum())
        queue_sum.add(row.count * min(parts), row.count * max(parts))


def _split_parts(split: Destination) -> tuple[tuple[str | None, Fraction], ...]:
    """Return a split with keys for the default routing (None) and for no queue ("")."""
    if split is None:
        return ((None, Fraction(1)),)
    return split or (("", Fraction(1)),)


def split_distance(before: Destination, after: Destination) -> Fraction:
    """Return how much two splits differ, from 0 to 1; the default routing and no queue count as two
    queues.
    """
    gains = _queue_gains(before, after).values()
    return sum(map(abs, gains), Fraction(0)) / 2


def _contains_row(part: _Moving, row: SampleRow, values: Conversation) -> bool | None:
    """Return whether a set contains a row's conversations; None if it may contain some."""
    is_inside = _all_hold(part.where, row, values)
    if is_inside is False:
        return False

    # A bank's sample has thousands of rows, and a row of a table many earlier rules: this
    # loop decides how long a plan takes.
    for clauses in part.excepts:
        is_excepted = _all_hold(clauses, row, values)
        if is_excepted:
            return False
        if is_excepted is None:
            is_inside = None
    return is_inside


def _all_hold(
    clauses: Iterable[Clause], row: SampleRow, values: Conversation
) -> bool | None:
    """Return whether all clauses hold for a row; None if some may hold and none fails."""
    result: bool | None = True
    for clause in clauses:
        condition = clause.condition
        if (
            not isinstance(condition, Condition)
            or condition.attribute not in row.attributes
        ):
            result = None
        elif holds(condition, values) is clause.negate:
            return False
    return result
