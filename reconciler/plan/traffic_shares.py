"""Behaviour x a traffic sample -> how much of the sample moves, and what each queue gets before and after.

A row of a sample tells some attributes of a conversation; what it does not tell is unknown, so a share has a least and
a most (semantics "Traffic shares"). A conversation that goes to another split moves by as much as the two
splits differ: half the sum of the differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import RuleIndex, canonical, holds
from reconciler.behaviour.routing_entry import Destination, Entry, destination
from reconciler.desired.desired import (
    as_written,
)
from reconciler.model.rule import Condition, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.diff.difference import Behaviour
    from reconciler.behaviour.diff.regions import Region
    from reconciler.behaviour.diff.rows import Row as Moving
    from reconciler.behaviour.space.clauses import Clause
    from reconciler.behaviour.space.value_type import Types
    from reconciler.traffic.sample import Row, Sample


def sample_as_written(types: Types, sample: Sample) -> Sample:
    """Return a traffic sample likewise."""
    rows = (replace(row, attributes=as_written(types, row.attributes)) for row in sample.rows)
    return replace(sample, rows=tuple(rows)) if types else sample


@dataclass(frozen=True, slots=True)
class Share:
    """Percent of the sample, at the least and at the most."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class QueueShare:
    """What a queue gets of the sample, before and after. `queue` is its id; None: the default routing, "": no queue.

    `change` is how much more it gets, or less. Where the sample leaves much open, it tells more than the other two.
    """

    queue: str | None
    before: Share
    after: Share
    change: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How much of a sample moves: with each region and each row, in order, and in all; and what each queue gets."""

    sample: Sample
    regions: tuple[Share, ...]
    rows: tuple[Share, ...]
    total: Share
    balance: tuple[QueueShare, ...]


@dataclass(slots=True)
class _Sum:
    """Conversations, at the least and at the most."""

    least: float = 0.0
    most: float = 0.0

    def add(self, least: float, most: float) -> None:
        self.least += least
        self.most += most

    def of(self, total: float) -> Share:
        return Share(100 * self.least / total, 100 * self.most / total)


def shares(behaviour: Behaviour, before: Sequence[Entry], after: Sequence[Entry], sample: Sample) -> Moved:
    """Return how much of the sample moves between two lists of rules, each in order."""
    counting = _Counting(behaviour)
    for row in sample.rows:
        counting.take(row)
    return Moved(
        sample=sample,
        regions=tuple(one.of(sample.total) for one in counting.of_regions),
        rows=tuple(one.of(sample.total) for one in counting.of_rows),
        total=counting.total.of(sample.total),
        balance=balance(before, after, sample, None if behaviour.unknown else counting.changes),
    )


class _Counting:
    """Counts the conversations of a sample that move."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.regions, self.rows = behaviour.regions, behaviour.rows
        self.lengths = [float(distance(region.before, region.after)) for region in self.regions]
        self.of_regions = [_Sum() for _ in self.regions]
        self.of_rows = [_Sum() for _ in self.rows]
        self.total = _Sum()
        self.changes: dict[str | None, _Sum] = {}
        self._gains = [_gains(region) for region in self.regions]
        self._near_regions, self._near_rows = _Near(self.regions), _Near(self.rows)

    def take(self, row: Row) -> None:
        """Count the conversations of one row of the sample."""
        maybe: list[int] = []
        surely = 0.0
        for place, sure in self._near_regions.hits(row):
            moved = row.count * self.lengths[place]
            self.of_regions[place].add(moved if sure else 0.0, moved)
            surely += moved if sure else 0.0
            maybe.append(place)
        self.total.add(surely, max((row.count * self.lengths[place] for place in maybe), default=0.0))
        self._change(row.count, maybe, stays=() if surely else ({},))
        for place, sure in self._near_rows.hits(row) if maybe else ():
            one = self.rows[place]
            # A conversation of this row is in one of its regions, which all lead from its origins to its destination.
            moved_by = [row.count * self.lengths[number] for number in maybe if _leads(self.regions[number], one)]
            self.of_rows[place].add(min(moved_by, default=0.0) if sure else 0.0, max(moved_by, default=0.0))

    def _change(self, count: float, maybe: Sequence[int], stays: Sequence[dict[str | None, float]]) -> None:
        """Count what each queue gains and loses. `stays`: that the conversations may gain nothing for anybody."""
        gains = [*(self._gains[place] for place in maybe), *stays]
        for queue in dict.fromkeys(queue for one in gains for queue in one):
            parts = [one.get(queue, 0.0) for one in gains]
            self.changes.setdefault(queue, _Sum()).add(count * min(parts), count * max(parts))


def _gains(region: Region) -> dict[str | None, float]:
    """Return which part of a region's conversations each queue gains, or loses."""
    before, after = dict(_parts(region.before)), dict(_parts(region.after))
    return {queue: float(after.get(queue, 0) - before.get(queue, 0)) for queue in {**before, **after}}


def _leads(region: Region, row: Moving) -> bool:
    return region.after == row.after and region.before in row.befores


def balance(
    before: Sequence[Entry], after: Sequence[Entry], sample: Sample, changes: Mapping[str | None, _Sum] | None
) -> tuple[QueueShare, ...]:
    """Return what each queue gets of the sample by two lists of rules, those that gain or lose most first.

    `changes` are None where it is not known who moves: then a queue may lose all that it had, and gain all it gets.
    """
    sums: dict[str | None, tuple[_Sum, _Sum]] = {}
    for side, filed in enumerate((RuleIndex(before), RuleIndex(after))):
        for row in sample.rows:
            winners = filed.may_win(row.attributes)
            splits = {_parts(None if entry is None else destination(entry.rule.targets)) for entry in winners}
            for queue in {queue: None for split in splits for queue, _ in split}:
                parts = [float(dict(split).get(queue, 0)) for split in splits]
                found = sums.setdefault(queue, (_Sum(), _Sum()))[side]
                found.add(row.count * min(parts), row.count * max(parts))
    balanced = []
    for queue, (first, second) in sums.items():
        most = _Sum(second.least - first.most, second.most - first.least)
        change = most if changes is None else changes.get(queue, _Sum())
        balanced.append(QueueShare(queue, *(one.of(sample.total) for one in (first, second, change))))
    return tuple(sorted(balanced, key=lambda one: (-max(-one.change.least, one.change.most), one.queue or "")))


def _parts(goes: Destination) -> tuple[tuple[str | None, Fraction], ...]:
    """Return a split in which the default routing and no queue are places of their own."""
    return ((None, Fraction(1)),) if goes is None else goes or (("", Fraction(1)),)


def distance(one: Destination, other: Destination) -> Fraction:
    """Return how much two splits differ, from 0 to 1; the default routing and no queue are places of their own."""
    first, second = (dict(split or {str(split): Fraction(1)}) for split in (one, other))
    nothing = Fraction(0)
    return sum((abs(first.get(name, nothing) - second.get(name, nothing)) for name in {*first, *second}), nothing) / 2


class _Near:
    """Which of several sets of conversations a row may be in: by the values that most of them list of an attribute."""

    def __init__(self, parts: Sequence[Region | Moving]) -> None:
        self.parts = parts
        self.about: dict[str, dict[object, list[int]]] = {}
        self.others: list[int] = []
        for place, part in enumerate(parts):
            listed = next((clause.part for clause in part.where if _lists(clause)), None)
            if not isinstance(listed, Condition):
                self.others.append(place)
                continue
            values = listed.value if isinstance(listed.value, tuple) else (listed.value,)
            for value in values:
                self.about.setdefault(listed.attribute, {}).setdefault(value, []).append(place)

    def hits(self, row: Row) -> Iterator[tuple[int, bool]]:
        """Yield the places of those that the row may be in, and whether all of its conversations are."""
        known = canonical(row.attributes)
        for place in self._of(row):
            inside = _inside(self.parts[place], row, known)
            if inside is not False:
                yield place, inside is True

    def _of(self, row: Row) -> Iterable[int]:
        yield from self.others
        for attribute, places in self.about.items():
            if attribute in row.attributes:
                yield from places.get(row.attributes[attribute], ())
            else:
                yield from sorted({place for several in places.values() for place in several})


def _lists(clause: Clause) -> bool:
    return not clause.negate and isinstance(clause.part, Condition) and clause.part.operator in ("equals", "in")


def _inside(part: Region | Moving, row: Row, known: Mapping[str, str | int | float]) -> bool | None:
    """Say whether a row's conversations are in a set; None where some may be."""
    where = [_told(clause, row.attributes, known) for clause in part.where]
    if False in where:
        return False
    excepts = [[_told(clause, row.attributes, known) for clause in clauses] for clauses in part.excepts]
    if any(all(told is True for told in clauses) for clauses in excepts):
        return False
    return True if None not in where and all(False in clauses for clauses in excepts) else None


def _told(clause: Clause, told: Mapping[str, Scalar | None], known: Mapping[str, str | int | float]) -> bool | None:
    """Say whether a clause holds for a row; None where the row does not tell."""
    if not isinstance(clause.part, Condition) or clause.part.attribute not in told:
        return None
    return holds(clause.part, known) is not clause.negate
