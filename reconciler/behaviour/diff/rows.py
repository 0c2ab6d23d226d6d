"""Rows: the conversations that move, exactly and in few rows, for people to read (semantics "Rows").

A region says from where to where; a row says where conversations will go, and names every place that they come from.
So all conversations that one rule takes over can be one row: what the rule asks, without what earlier rules take and
without what goes to the same destination today. Where that is longer than its regions, the regions are the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.exceptions import RunningExceptions
from reconciler.behaviour.diff.regions import DraftRegion, DraftRegionBuilder, Region, RegionFormatter, merge_regions
from reconciler.behaviour.diff.winners import DEFAULT_RANK, RankPair
from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of
from reconciler.behaviour.space.boxes import Box, Shape, intersect_box
from reconciler.behaviour.space.clauses import Clause, is_expressible
from reconciler.behaviour.space.domain import intersect, subtract
from reconciler.behaviour.space.simplify import simplify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.space.space import Example


_MOST_PIECES: Final = 6
"""Boxes that what one rule keeps may be cut into, before its regions are shorter."""
_MAX_CHECKS: Final = 100_000
"""Looks at an earlier rule, over all rows; a thousand ordinary rules need a few thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactRow:
    """Conversations for which all of `where` and no whole list of `excepts` holds.

    Each of them goes to one of `origins` today and to `after` afterwards, and these two differ. `before_rules` take
    them today and `after_rules` afterwards (None: the default routing). `example` is one of the conversations.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    origins: tuple[Destination, ...]
    after: Destination
    example: Example
    before_rules: tuple[RoutingEntry | None, ...]
    after_rules: tuple[RoutingEntry | None, ...]
    unlikely: tuple[str, ...] = ()
    """Attributes that have a value of another type, text or number, than any rule compares them with."""


def build_rows(
    builder: DraftRegionBuilder, drafts: Sequence[DraftRegion], formatter: RegionFormatter
) -> tuple[ImpactRow, ...]:
    """Return rows that are disjoint and hold every conversation that moves; `drafts` are the regions under way.

    Those that hang on a value of an unlikely type stand last.
    """
    taking = _RowBuilder(builder)
    found = list(taking.build_all())
    if found:
        drafts = [*found, *builder.build_drafts(taking.covered_ranks)]
    merged = merge_regions(builder.space, drafts, lambda rough: (rough.after, rough.excepts))
    return tuple(
        sorted((region_to_row(formatter.format_region(rough)) for rough in merged), key=lambda row: bool(row.unlikely))
    )


def region_to_row(region: Region) -> ImpactRow:
    """Return a region, or what several were merged to, as a row."""
    befores = dict.fromkeys(
        None if entry is None else destination_of(entry.rule.targets) for entry in region.before_rules
    )
    return ImpactRow(
        where=region.where,
        excepts=region.excepts,
        origins=tuple(befores),
        after=region.after,
        example=region.example,
        before_rules=region.before_rules,
        after_rules=region.after_rules,
        unlikely=region.unlikely,
    )


class _RowTooLongError(Exception):
    """As one row it would be longer than its regions."""


class _RowBuilder:
    """Makes one row of all that a new rule takes over, where that is shorter.

    `covered_ranks` are the ranks of such rules.
    """

    def __init__(self, builder: DraftRegionBuilder) -> None:
        self.builder, self.pairs, self.space = builder, builder.pairs, builder.space
        self.covered_ranks: set[int] = set()
        self._remaining_checks = _MAX_CHECKS
        self._exceptions = RunningExceptions(self.pairs.old, self.pairs.new)

    def build_all(self) -> Iterator[DraftRegion]:
        """Yield the rows; none where the search stopped at its bound, for then what stays is not known either."""
        if self.pairs.unknown:
            return
        moved: dict[int, list[RankPair]] = {}
        for pair in sorted((*self.pairs.narrow, *self.pairs.wide), key=lambda pair: (pair[1], pair[0])):
            moved.setdefault(pair[1], []).append(pair)
        for rank, pairs in moved.items():
            if rank == DEFAULT_RANK or len(pairs) == 1 or rank in self.pairs.unchanged_ranks:
                continue
            try:
                rough = self._build_row(rank, pairs)
            except (_RowTooLongError, UndecidedError):
                continue
            self.covered_ranks.add(rank)
            yield rough

    def _build_row(self, rank: int, pairs: Sequence[RankPair]) -> DraftRegion:
        """Return what a new rule takes over as one row. Raises _RowTooLongError."""
        new = self.pairs.new
        box = self.space.box(new.boxes[rank])
        overlapping = self.space.shapes.overlapping(new.boxes[rank].shape)
        same = sorted(self.pairs.same_destination.get(rank, ()))
        staying = [shape for old in same for shape in self._unchanged_shapes(old, box, overlapping)]
        if len(staying) > len(pairs):
            raise _RowTooLongError
        box, excepts = simplify(self.space, box, [*self._exceptions.shapes_before((0, rank), overlapping), *staying])
        return self.builder.make_draft(pairs, box, excepts, self._example(pairs[0]))

    def _example(self, pair: RankPair) -> Box:
        found = self.pairs.narrow.get(pair)
        return self.pairs.wide[pair] if found is None else found.box

    def _unchanged_shapes(self, rank: int, box: Box, overlapping: int) -> list[Shape]:
        """Return boxes of what an old rule sends where a new one does, with what earlier rules take left out.

        `box` is what the new rule asks; `overlapping` are the shapes that have anything in common with it.
        """
        old = self.pairs.old
        own = self.space.box(old.boxes[rank])
        common = intersect_box(box, tuple(own.items()))
        self._remaining_checks -= rank
        if common is None or self._remaining_checks < 0:
            raise _RowTooLongError
        overlapping &= self.space.shapes.overlapping(old.boxes[rank].shape)
        earlier = {
            id(one): one
            for one, goes in zip(old.boxes[:rank], old.destinations[:rank], strict=True)
            if overlapping >> one.shape & 1 and goes != old.destinations[rank]
        }
        boxes = map(self.space.box, earlier.values())
        taken = [tuple(sorted(one.items())) for one in boxes if intersect_box(common, tuple(one.items())) is not None]
        pieces = self._cut_out_exceptions(*simplify(self.space, own, taken))
        return [tuple(sorted(piece.items())) for piece in pieces]

    def _cut_out_exceptions(self, box: Box, excepts: Sequence[Shape]) -> list[Box]:
        """Cut a box without its exceptions into boxes."""
        pieces = [box]
        for shape in excepts:
            pieces = [part for piece in pieces for part in self._subtract_shape(piece, shape)]
            if len(pieces) > _MOST_PIECES:
                raise _RowTooLongError
        return pieces

    def _subtract_shape(self, box: Box, shape: Shape) -> Iterator[Box]:
        if intersect_box(box, shape) is None:
            yield box
            return
        inside = dict(box)
        for attribute, part in shape:
            domain = self.space.domain(attribute)
            here = inside.get(attribute, domain.all)
            for left in subtract(domain, here, part):
                if not is_expressible(self.space.domains[attribute], left):
                    raise _RowTooLongError
                yield {**inside, attribute: left}
            inside[attribute] = intersect(here, part)
