"""Which conversations two lists of rules send to different destinations, exactly (semantics "Differences").

Every conversation has one winner before and one after. Each pair of winners that some conversation has and whose
destinations differ is a region. Rules with equal conditions whose order is kept count as one rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.behaviour.diff.regions import DraftRegionBuilder, Region, RegionFormatter, common_box, merge_regions
from reconciler.behaviour.diff.rows import ImpactRow, build_rows
from reconciler.behaviour.diff.winners import WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.clauses import Clause
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space
from reconciler.behaviour.space.value_type import Types


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """The change for conversations: exact `regions`, fewer `rows` for people, and `undecided` conversations."""

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
    merged = merge_regions(space, drafts, lambda draft: (draft.before, draft.after, draft.excepts))
    regions = tuple(map(formatter.format_region, merged))
    boxes = [common_box(pairs, pair) for pair in pairs.unknown]
    undecided = dict.fromkeys(formatter.format_box(tuple(box.items())) for box in boxes if box is not None)
    rows = build_rows(builder, drafts, formatter)
    for index, is_new in ((RuleIndex(before), False), (RuleIndex(after), True)) if regions else ():
        for region in regions:  # verify each example rule by rule, independently of the analysis
            example, expected = region.example, region.after_rule if is_new else region.before_rule
            if index.find_winner(example.attributes, example.assumed) is not expected:
                raise AssertionError(f"the example {example} is not taken by {expected}")
    return BehaviourChange(
        regions=regions,
        undecided=tuple(undecided),
        rows=tuple(rows),
        rests_on={name: types[name] for name in formatter.rests_on} if types else {},
        work=work - space.budget.remaining,
    )
