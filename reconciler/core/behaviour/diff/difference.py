"""Which conversations two lists of rules send to different destinations, exactly (semantics
"Differences").

Every conversation has one winner before and one after. Each pair of winners that some conversation
has and whose destinations differ is a region. Effects (`effects`) are the same conversations by the
edit that moves them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.core.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.core.behaviour.diff.effects import Edit, EditSet, Effect, EffectBuilder
from reconciler.core.behaviour.diff.regions import (
    DraftRegionBuilder,
    Region,
    RegionFormatter,
)
from reconciler.core.behaviour.diff.winners import WinnerPairs
from reconciler.core.behaviour.evaluate import RuleIndex
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    order_entries,
)
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Example, Space
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.model.rule import Address

EVERYTHING: Final[tuple[tuple[Clause, ...], ...]] = ((),)
"""The regions of an analysis that decides about no conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """The change for conversations: `regions` for programs, `effects` for readers, and `undecided`
    conversations.
    """

    regions: tuple[Region, ...]
    undecided: tuple[tuple[Clause, ...], ...] = ()
    effects: tuple[Effect, ...] = ()
    # of all managed rules of both lists, if there are effects
    addresses: frozenset[Address] = frozenset()
    # the known types, by attribute, on which the result depends
    rests_on: Types = field(default_factory=dict)
    # the work done, in comparisons
    work: int = field(default=0, compare=False, repr=False)

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
    between = _order_between(edited, evaluation)
    space = Space((before, after, between or ()), types=types)
    entries = (*before, *after)
    if work is None:
        work = _work_bound(entries)
    space.budget.remaining = work

    pairs = WinnerPairs(PivotSlices(space, before), PivotSlices(space, after))
    formatter = RegionFormatter(space)
    change = _compare_winners(pairs, formatter)
    _verify_examples(change.regions, before, after)
    if edited is not None:
        effects = _build_effects(pairs, formatter, edited.edits, between, evaluation)
        change = replace(change, effects=effects, addresses=_addresses(entries))
    return replace(
        change,
        rests_on=_select_types(types, formatter.rests_on),
        work=work - space.budget.remaining,
    )


def _work_bound(entries: Sequence[RoutingEntry]) -> int:
    return DEFAULT_WORK + WORK_PER_RULE * len(entries)


def _select_types(types: Types | None, names: Iterable[str]) -> Types:
    return {name: types[name] for name in names} if types else {}


def _build_effects(
    pairs: WinnerPairs,
    formatter: RegionFormatter,
    edits: Sequence[Edit],
    between: Sequence[RoutingEntry] | None,
    evaluation: Evaluation,
) -> tuple[Effect, ...]:
    """Return the effects of edits; `between` are the old rules behind the new fallback."""
    middle = None if between is None else PivotSlices(pairs.space, between)
    builder = EffectBuilder(pairs, formatter, edits, middle, evaluation)
    return tuple(builder.build())


def _compare_winners(pairs: WinnerPairs, formatter: RegionFormatter) -> BehaviourChange:
    """Return the regions of all pairs of winners, and the boxes that were not decided."""
    drafts = list(DraftRegionBuilder(pairs).build_drafts())
    regions = formatter.format_regions(
        drafts, lambda draft: (draft.before, draft.after, draft.excepts)
    )
    boxes = [pairs.common_box(pair) for pair in pairs.unknown]
    undecided = dict.fromkeys(
        formatter.format_box(tuple(box.items())) for box in boxes if box is not None
    )
    return BehaviourChange(regions=tuple(regions), undecided=tuple(undecided))


def _order_between(
    edited: EditSet | None, evaluation: Evaluation
) -> Sequence[RoutingEntry] | None:
    """Return the old rules behind the new fallback in order; None if that is not needed."""
    if edited is None or edited.middle is None or not edited.edits:
        return None
    return order_entries(edited.middle, evaluation)


def _verify_examples(
    regions: Sequence[Region],
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
) -> None:
    """Verify each example rule by rule, independently of the analysis."""
    if not regions:
        return
    old_index = RuleIndex(before)
    new_index = RuleIndex(after)
    for region in regions:
        _verify_winner(old_index, region.example, region.before_rule)
        _verify_winner(new_index, region.example, region.after_rule)


def _verify_winner(
    index: RuleIndex,
    example: Example,
    expected: RoutingEntry | None,
) -> None:
    winner = index.find_winner(example.attributes, example.assumed)
    if (winner and winner.whole) is not expected:
        raise AssertionError(f"the example {example} is not taken by {expected}")


def _addresses(entries: Iterable[RoutingEntry]) -> frozenset[Address]:
    addresses = (entry.address for entry in entries)
    return frozenset(address for address in addresses if address is not None)
