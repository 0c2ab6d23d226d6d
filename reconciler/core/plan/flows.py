"""Flows: the rows of all effects that lead from one destination to another one, together."""

from collections import Counter
from dataclasses import dataclass, field

from reconciler.core.behaviour.diff.effects import FALLBACK, Effect, EffectRow
from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.traffic_shares import ShareRange
from reconciler.core.plan.words import MANY_ROWS, listed_intents
from reconciler.core.text.phrases import Labels


@dataclass(slots=True, kw_only=True)
class Flow:
    """All conversations that go from one destination to another one."""

    before: Destination
    after: Destination
    share: ShareRange | None  # None without a sample
    # with the number of rows that list each
    intents: Counter[str] = field(default_factory=Counter)
    is_open: bool = False  # a row lists no intents
    edits: set[int] = field(default_factory=set)  # the numbers of the edits of rules

    def add(self, effect: Effect, row: EffectRow, labels: Labels) -> None:
        """Add the words of a row; its share is added by `shown_flows`."""
        intents = listed_intents(row, labels)
        self.intents.update(intents)
        self.is_open = self.is_open or not intents
        self.edits.update(number for number in effect.edits if number != FALLBACK)


def shown_flows(impact: Impact, labels: Labels) -> list[Flow]:
    """Return the flows of a large impact, which say more than its rows; none of a small one.

    Those of most callers come first; without a sample, those of most intents.
    """
    if sum(len(effect.rows) for effect in impact.behaviour.effects) <= MANY_ROWS:
        return []
    flows: dict[tuple[Destination, Destination], Flow] = {}
    for effect, shares in impact.effects:
        for row, share in zip(effect.rows, shares.rows, strict=True):
            flow = flows.setdefault(
                (row.before, row.after),
                Flow(before=row.before, after=row.after, share=None),
            )
            flow.add(effect, row, labels)
            if impact.traffic and share:
                flow.share = _sum(flow.share, share, impact.traffic.total.most)
    return sorted(flows.values(), key=_rank)


def _sum(first: ShareRange | None, second: ShareRange, limit: float) -> ShareRange:
    """Return the share of two sets of conversations together."""
    least = second.least
    most = second.most
    if first:
        least += first.least
        most += first.most
    most = min(most, limit)
    return ShareRange(min(least, most), most)


def _rank(flow: Flow) -> tuple[float, bool, int]:
    most = flow.share.most if flow.share else 0.0
    return -most, not flow.is_open, -len(flow.intents)
