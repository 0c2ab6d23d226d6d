"""Which conversations two lists of rules send to different destinations, exactly (semantics
"Differences").

Every conversation has one winner before and one after. Each pair of winners that some conversation
has and whose destinations differ is a region. Effects (`effects`) are the same conversations by the
edit that moves them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.behaviour.diff.effects import EditSet, Effect, EffectBuilder
from reconciler.behaviour.diff.regions import (
    DraftRegionBuilder,
    Region,
    RegionFormatter,
)
from reconciler.behaviour.diff.winners import WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.clauses import Clause
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Space
from reconciler.behaviour.space.value_type import Types
from reconciler.model.rule import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """The change for conversations: `regions` for programs, `effects` for readers, and `undecided`
    conversations.
    """

    regions: tuple[Region, ...]
    undecided: tuple[tuple[Clause, ...], ...] = ()
    effects: tuple[Effect, ...] = ()
    addresses: frozenset[Address] = (
        frozenset()
    )  # of all managed rules of both lists, if there are effects
    rests_on: Types = field(
        default_factory=dict
    )  # the known types, by attribute, on which the result depends
    work: int = field(
        default=0, compare=False, repr=False
    )  # the work done, in comparisons

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
    edited: EditSet | None = None,
) -> BehaviourChange:
    """Return the regions whose destination differs, each with an example that both lists confirm.

    `work` limits the search, in comparisons; `types` are the known types of attributes. With
    `edited`, the result has effects.
    """
    before = order_entries(old, evaluation)
    after = order_entries(new, evaluation)
    has_middle = edited is not None and edited.middle is not None and bool(edited.edits)
    between = (
        order_entries(edited.middle, evaluation)
        if edited and edited.middle is not None and edited.edits
        else ()
    )
    space = Space((before, after, between), types=types)
    work = (
        DEFAULT_WORK + WORK_PER_RULE * (len(before) + len(after))
        if work is None
        else work
    )
    space.budget.remaining = work
    pairs = WinnerPairs(PivotSlices(space, before), PivotSlices(space, after))
    builder = DraftRegionBuilder(pairs)
    formatter = RegionFormatter(space)
    drafts = list(builder.build_drafts())
    regions = formatter.format_regions(
        drafts, lambda draft: (draft.before, draft.after, draft.excepts)
    )
    boxes = [pairs.common_box(pair) for pair in pairs.unknown]
    undecided = dict.fromkeys(
        formatter.format_box(tuple(box.items())) for box in boxes if box is not None
    )
    effects: Sequence[Effect] = ()
    if edited is not None:
        slices = PivotSlices(space, between) if has_middle else None
        effects = EffectBuilder(
            pairs, formatter, edited.edits, slices, evaluation
        ).build()
    for index, is_new in (
        ((RuleIndex(before), False), (RuleIndex(after), True)) if regions else ()
    ):
        for (
            region
        ) in regions:  # verify each example rule by rule, independently of the analysis
            example = region.example
            expected = region.after_rule if is_new else region.before_rule
            winner = index.find_winner(example.attributes, example.assumed)
            if (winner and winner.whole) is not expected:
                raise AssertionError(
                    f"the example {example} is not taken by {expected}"
                )
    return BehaviourChange(
        regions=tuple(regions),
        undecided=tuple(undecided),
        effects=tuple(effects),
        addresses=_addresses(before, after) if edited is not None else frozenset(),
        rests_on={name: types[name] for name in formatter.rests_on} if types else {},
        work=work - space.budget.remaining,
    )


def _addresses(*lists: Iterable[RoutingEntry]) -> frozenset[Address]:
    return frozenset(
        entry.address
        for entries in lists
        for entry in entries
        if entry.address is not None
    )
