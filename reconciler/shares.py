"""Regions x a traffic sample -> how much of the sample each region moves (behaviour_algorithms.md, "traffic").

A row tells some attributes of a conversation; what it does not tell is unknown, so a share has a least and a most. A
conversation that goes to another split moves by as much as the two splits differ: half the sum of the differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import canonical, holds
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.entry import Destination
    from reconciler.behaviour.express import Clause
    from reconciler.behaviour.region import Region
    from reconciler.model import Scalar
    from reconciler.traffic import Row, Sample


@dataclass(frozen=True, slots=True)
class Share:
    """Percent of the sample that moves, at the least and at the most."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Moved:
    """How much of a sample moves: with each region, in order, and in all."""

    sample: Sample
    regions: tuple[Share, ...]
    total: Share


def shares(regions: Sequence[Region], sample: Sample) -> Moved:
    """Return how much of the sample the regions move."""
    distances = [float(distance(region.before, region.after)) for region in regions]
    near = _Near(regions)
    least, most = [0.0] * len(regions), [0.0] * len(regions)
    total_least = total_most = 0.0
    for row in sample.rows:
        known = canonical(row.attributes)
        furthest = 0.0
        for place in near.of(row):
            surely, maybe = _inside(regions[place], row, known)
            moved = row.count * distances[place]
            least[place] += moved if surely else 0.0
            total_least += moved if surely else 0.0
            most[place] += moved if maybe else 0.0
            furthest = max(furthest, moved if maybe else 0.0)
        total_most += furthest
    percent = 100 / sample.total
    found = tuple(Share(low * percent, high * percent) for low, high in zip(least, most, strict=True))
    return Moved(sample, found, Share(total_least * percent, total_most * percent))


def distance(one: Destination, other: Destination) -> Fraction:
    """Return how much two splits differ, from 0 to 1; the default routing and no queue are places of their own."""
    first, second = (dict(split or {str(split): Fraction(1)}) for split in (one, other))
    nothing = Fraction(0)
    return sum((abs(first.get(name, nothing) - second.get(name, nothing)) for name in {*first, *second}), nothing) / 2


class _Near:
    """Which regions a row may be in: by the values of the attribute that most regions list values of."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.about: dict[str, dict[object, list[int]]] = {}
        self.others: list[int] = []
        for place, region in enumerate(regions):
            listed = next((clause.part for clause in region.where if _lists(clause)), None)
            if not isinstance(listed, Condition):
                self.others.append(place)
                continue
            values = listed.value if isinstance(listed.value, tuple) else (listed.value,)
            for value in values:
                self.about.setdefault(listed.attribute, {}).setdefault(value, []).append(place)

    def of(self, row: Row) -> Iterable[int]:
        """Yield the places of the regions that the row may be in."""
        yield from self.others
        for attribute, regions in self.about.items():
            if attribute in row.attributes:
                yield from regions.get(row.attributes[attribute], ())
            else:
                yield from {place for places in regions.values() for place in places}


def _lists(clause: Clause) -> bool:
    return not clause.negate and isinstance(clause.part, Condition) and clause.part.operator in ("equals", "in")


def _inside(region: Region, row: Row, known: Mapping[str, str | int | float]) -> tuple[bool, bool]:
    """Say whether a row's conversations surely are in a region, and whether they may be."""
    where = [_told(clause, row.attributes, known) for clause in region.where]
    if False in where:
        return False, False
    excepts = [[_told(clause, row.attributes, known) for clause in clauses] for clauses in region.excepts]
    if any(all(told is True for told in clauses) for clauses in excepts):
        return False, False
    return None not in where and all(False in clauses for clauses in excepts), True


def _told(clause: Clause, told: Mapping[str, Scalar | None], known: Mapping[str, str | int | float]) -> bool | None:
    """Say whether a clause holds for a row; None where the row does not tell."""
    if not isinstance(clause.part, Condition) or clause.part.attribute not in told:
        return None
    return holds(clause.part, known) is not clause.negate
