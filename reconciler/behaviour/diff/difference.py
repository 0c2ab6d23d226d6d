"""Which conversations two lists of rules send to different destinations, exactly (semantics "Differences").

Every conversation has one winner before and one after. Each pair of winners that some conversation has and whose
destinations differ is a region. Rows are the same conversations in fewer lines: a row names one destination after the
change and every origin, so all conversations that one rule takes over are one row, unless its regions are shorter.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE, UndecidedError
from reconciler.behaviour.diff.exceptions import RunningExceptions
from reconciler.behaviour.diff.regions import DraftRegion, DraftRegionBuilder, ImpactRow, Region, RegionFormatter
from reconciler.behaviour.diff.winners import DEFAULT_RANK, RankPair, WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.boxes import Box, Shape, intersect_box
from reconciler.behaviour.space.clauses import Clause, is_expressible, simplify
from reconciler.behaviour.space.domain import intersect, subtract
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space
from reconciler.behaviour.space.value_type import Types
from reconciler.model.grouping import group_pairs

_MAX_PIECES: Final = 6  # boxes of one rule's unchanged conversations; with more, its regions are shorter
_MAX_CHECKS: Final = 100_000  # checks of an earlier rule, over all rows; a thousand ordinary rules need a few thousand


def build_rows(
    builder: DraftRegionBuilder, drafts: list[DraftRegion], formatter: RegionFormatter
) -> Sequence[ImpactRow]:
    """Return disjoint rows that hold every conversation that moves; rows with unlikely values come last."""
    if covered := _RowBuilder(builder).build_all():
        drafts = [*covered.values(), *builder.build_drafts(covered)]
    rows = formatter.format_regions(drafts, lambda draft: (draft.after, draft.excepts))
    return sorted(rows, key=lambda row: bool(row.unlikely))


class _RowTooLongError(Exception):
    """The row would be longer than its regions."""


class _RowBuilder:
    """Builds one row of all that a new rule takes over, where that is shorter."""

    def __init__(self, builder: DraftRegionBuilder) -> None:
        self.builder, self.pairs, self.space = builder, builder.pairs, builder.space
        self._remaining_checks = _MAX_CHECKS
        self._exceptions = RunningExceptions(self.pairs.old, self.pairs.new)

    def build_all(self) -> dict[int, DraftRegion]:
        """Return the rows by the ranks of their new rules."""
        rows: dict[int, DraftRegion] = {}
        if self.pairs.unknown:  # the unchanged conversations are not known either
            return rows
        moved = group_pairs((pair[1], pair) for pair in sorted((*self.pairs.narrow, *self.pairs.wide)))
        for rank, pairs in sorted(moved.items()):
            if rank != DEFAULT_RANK and len(pairs) > 1 and rank not in self.pairs.unchanged_ranks:
                with suppress(_RowTooLongError, UndecidedError):
                    rows[rank] = self._build_row(rank, pairs)
        return rows

    def _build_row(self, rank: int, pairs: Sequence[RankPair]) -> DraftRegion:
        rule = self.pairs.new.boxes[rank]
        box, overlapping = self.space.box(rule), self.space.shapes.overlapping(rule.shape)
        same = sorted(self.pairs.same_destination.get(rank, ()))
        staying = [shape for old in same for shape in self._unchanged_shapes(old, box, overlapping)]
        if len(staying) > len(pairs):
            raise _RowTooLongError
        box, excepts = simplify(self.space, box, [*self._exceptions.shapes_before((0, rank), overlapping), *staying])
        narrow = self.pairs.narrow.get(pairs[0])
        example = self.pairs.wide[pairs[0]] if narrow is None else narrow.box
        return self.builder.make_draft(pairs, box, excepts, example)

    def _unchanged_shapes(self, rank: int, box: Box, overlapping: int) -> list[Shape]:
        """Return boxes of an old rule's conversations that keep their destination in a new rule's box."""
        # `overlapping` are the shapes that have a conversation in common with the new rule.
        old = self.pairs.old
        own = self.space.box(old.boxes[rank])
        common = intersect_box(box, tuple(own.items()))
        self._remaining_checks -= rank
        if common is None or self._remaining_checks < 0:
            raise _RowTooLongError
        overlapping &= self.space.shapes.overlapping(old.boxes[rank].shape)
        earlier = {
            id(rule): rule
            for rule, destination in zip(old.boxes[:rank], old.destinations[:rank], strict=True)
            if overlapping >> rule.shape & 1 and destination != old.destinations[rank]
        }
        shapes = (tuple(sorted(self.space.box(rule).items())) for rule in earlier.values())
        own, excepts = simplify(self.space, own, [s for s in shapes if intersect_box(common, s) is not None])
        pieces = [own]
        for shape in excepts:
            pieces = [part for piece in pieces for part in self._subtract_shape(piece, shape)]
            if len(pieces) > _MAX_PIECES:
                raise _RowTooLongError
        return [tuple(sorted(piece.items())) for piece in pieces]

    def _subtract_shape(self, box: Box, shape: Shape) -> Iterator[Box]:
        if intersect_box(box, shape) is None:
            yield box
            return
        inside = dict(box)
        for attribute, part in shape:
            domain = self.space.domains[attribute]
            values = inside.get(attribute, domain.all)
            for remaining in subtract(domain, values, part):
                if not is_expressible(domain, remaining):
                    raise _RowTooLongError
                yield {**inside, attribute: remaining}
            inside[attribute] = intersect(values, part)


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """The change for conversations: exact `regions`, fewer `rows` for readers, and `undecided` conversations."""

    regions: tuple[Region, ...]
    undecided: tuple[tuple[Clause, ...], ...] = ()
    rows: tuple[ImpactRow, ...] = ()
    rests_on: Types = field(default_factory=dict)  # the known types, by attribute, on which the result depends
    work: int = field(default=0, compare=False, repr=False)  # the work done, in comparisons

    @property
    def changed(self) -> bool:
        """Return whether any conversation is known to go elsewhere."""
        return bool(self.regions)

    @property
    def complete(self) -> bool:
        """Return whether every conversation was decided."""
        return not self.undecided


def compare_behaviour(
    old: Iterable[RoutingEntry],
    new: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int | None = None,
    types: Types | None = None,
) -> BehaviourChange:
    """Return the regions whose destination differs, each with an example that both lists confirm."""
    # `work` limits the search, in comparisons; `types` are the known types of attributes.
    before, after = order_entries(old, evaluation), order_entries(new, evaluation)
    space = Space((before, after), types=types)
    work = DEFAULT_WORK + WORK_PER_RULE * (len(before) + len(after)) if work is None else work
    space.budget.remaining = work
    pairs = WinnerPairs(PivotSlices(space, before), PivotSlices(space, after))
    builder, formatter = DraftRegionBuilder(pairs), RegionFormatter(space)
    drafts = list(builder.build_drafts())
    regions = formatter.format_regions(drafts, lambda draft: (draft.before, draft.after, draft.excepts))
    boxes = [pairs.common_box(pair) for pair in pairs.unknown]
    undecided = dict.fromkeys(formatter.format_box(tuple(box.items())) for box in boxes if box is not None)
    rows = build_rows(builder, drafts, formatter)
    for index, is_new in ((RuleIndex(before), False), (RuleIndex(after), True)) if regions else ():
        for region in regions:  # verify each example rule by rule, independently of the analysis
            example, expected = region.example, region.after_rule if is_new else region.before_rule
            winner = index.find_winner(example.attributes, example.assumed)
            if (winner and winner.whole) is not expected:
                raise AssertionError(f"the example {example} is not taken by {expected}")
    return BehaviourChange(
        regions=tuple(regions),
        undecided=tuple(undecided),
        rows=tuple(rows),
        rests_on={name: types[name] for name in formatter.rests_on} if types else {},
        work=work - space.budget.remaining,
    )
