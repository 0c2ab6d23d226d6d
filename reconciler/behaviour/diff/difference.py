"""Exactly which conversations two lists of rules send to different destinations (semantics "Differences").

Every conversation has one winner before and one after. Pairs of winners that differ in destination, and that some
conversation really has, are the difference; each pair is a region. Rules with equal conditions whose order is kept
are one rule, so a renumbering leaves nothing to look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.budget import WORK, WORK_OF_A_RULE
from reconciler.behaviour.diff.regions import Finish, Making, Region, common, merge
from reconciler.behaviour.diff.rows import Row, rows
from reconciler.behaviour.diff.winners import Pairs
from reconciler.behaviour.evaluate import RuleIndex
from reconciler.behaviour.routing_entry import Entry, Evaluation, in_order
from reconciler.behaviour.space.slices import Slices
from reconciler.behaviour.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.behaviour.space.clauses import Clause
    from reconciler.behaviour.space.value_type import Types


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What changes for conversations: as `regions`, each from one destination to one, and as fewer `rows`, for people.

    `unknown` says for which conversations nothing is known, where the bound was reached.
    """

    regions: tuple[Region, ...]
    unknown: tuple[tuple[Clause, ...], ...] = ()
    rows: tuple[Row, ...] = ()
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
        return not self.unknown


def difference(
    old: Iterable[Entry],
    new: Iterable[Entry],
    evaluation: Evaluation = "lowest-first",
    work: int | None = None,
    types: Types | None = None,
) -> Behaviour:
    """Return the regions of conversations whose destination differs, each with an example put through both lists.

    `work` bounds the search, in comparisons; what could not be decided within it is in the answer's `unknown`. `types`
    are those of attributes of which they are known.
    """
    before, after = in_order(old, evaluation), in_order(new, evaluation)
    space = Space((before, after), types=types)
    work = WORK + WORK_OF_A_RULE * (len(before) + len(after)) if work is None else work
    space.budget.left = work
    finish = Finish(space)
    found = _between(Slices(space, before), Slices(space, after), finish)
    if found.regions:
        _prove(found.regions, RuleIndex(before), RuleIndex(after))
    rests_on = {name: types[name] for name in finish.rests_on} if types else {}
    return replace(found, rests_on=rests_on, work=work - space.budget.left)


def _between(old: Slices, new: Slices, finish: Finish) -> Behaviour:
    """Find every pair of winners, and make regions of them."""
    pairs = Pairs(old, new)
    making = Making(pairs)
    roughs = list(making.roughs())
    merged = merge(old.space, roughs, lambda rough: (rough.before, rough.after, rough.excepts))
    regions = tuple(finish.region(rough) for rough in merged)
    boxes = [common(pairs, pair) for pair in pairs.unknown]
    unknown = [finish.clauses(tuple(box.items())) for box in boxes if box is not None]
    return Behaviour(regions=regions, unknown=tuple(dict.fromkeys(unknown)), rows=rows(making, roughs, finish))


def _prove(regions: Iterable[Region], before: RuleIndex, after: RuleIndex) -> None:
    """Put each region's example through both lists, by the plain reading of rules."""
    for region in regions:
        example = region.example
        for filed, expected in ((before, region.before_rule), (after, region.after_rule)):
            if filed.winner(example.attributes, example.assumed) is not expected:
                raise AssertionError(f"the example {example} is not taken by {expected}")
