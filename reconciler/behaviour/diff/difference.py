"""Exactly which conversations two lists of rules send to different destinations (semantics "Differences").

Every conversation has one winner before and one after. Pairs of winners that differ in destination, and that some
conversation really has, are the difference; each pair is a region. Rules with equal conditions whose order is kept
are one rule, so a renumbering leaves nothing to look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.behaviour.diff.regions import DraftRegionBuilder, Region, RegionFormatter, common_box, merge_regions
from reconciler.behaviour.diff.rows import ImpactRow, build_rows
from reconciler.behaviour.diff.winners import WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.behaviour.space.clauses import Clause
    from reconciler.behaviour.space.value_type import Types


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """What changes for conversations: as `regions`, each from one destination to one, and as fewer `rows`, for people.

    `undecided` says for which conversations nothing is known, where the bound was reached.
    """

    regions: tuple[Region, ...]
    undecided: tuple[tuple[Clause, ...], ...] = ()
    rows: tuple[ImpactRow, ...] = ()
    rests_on: Types = field(default_factory=dict)
    """The known types without which all this might be different, by attribute."""
    work: int = field(default=0, compare=False, repr=False)
    """What it took, in comparisons."""

    @property
    def changed(self) -> bool:
        """Say whether any conversation is known to go elsewhere."""
        return bool(self.regions)

    @property
    def complete(self) -> bool:
        """Say whether everything is known."""
        return not self.undecided


def compare_behaviour(
    old: Iterable[RoutingEntry],
    new: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int | None = None,
    types: Types | None = None,
) -> BehaviourChange:
    """Return the regions of conversations whose destination differs, each with an example put through both lists.

    `work` bounds the search, in comparisons; what could not be decided within it is in the answer's `undecided`.
    `types` are those of attributes of which they are known.
    """
    before, after = order_entries(old, evaluation), order_entries(new, evaluation)
    space = Space((before, after), types=types)
    work = DEFAULT_WORK + WORK_PER_RULE * (len(before) + len(after)) if work is None else work
    space.budget.remaining = work
    finish = RegionFormatter(space)
    found = _compare_slices(PivotSlices(space, before), PivotSlices(space, after), finish)
    if found.regions:
        _verify_examples(found.regions, RuleIndex(before), RuleIndex(after))
    rests_on = {name: types[name] for name in finish.rests_on} if types else {}
    return replace(found, rests_on=rests_on, work=work - space.budget.remaining)


def _compare_slices(old: PivotSlices, new: PivotSlices, formatter: RegionFormatter) -> BehaviourChange:
    """Find every pair of winners, and make regions of them."""
    pairs = WinnerPairs(old, new)
    making = DraftRegionBuilder(pairs)
    roughs = list(making.build_drafts())
    merged = merge_regions(old.space, roughs, lambda rough: (rough.before, rough.after, rough.excepts))
    regions = tuple(formatter.format_region(rough) for rough in merged)
    boxes = [common_box(pairs, pair) for pair in pairs.unknown]
    unknown = [formatter.format_box(tuple(box.items())) for box in boxes if box is not None]
    return BehaviourChange(
        regions=regions, undecided=tuple(dict.fromkeys(unknown)), rows=build_rows(making, roughs, formatter)
    )


def _verify_examples(regions: Iterable[Region], before: RuleIndex, after: RuleIndex) -> None:
    """Put each region's example through both lists, by the plain reading of rules."""
    for region in regions:
        example = region.example
        for filed, expected in ((before, region.before_rule), (after, region.after_rule)):
            if filed.find_winner(example.attributes, example.assumed) is not expected:
                raise AssertionError(f"the example {example} is not taken by {expected}")
