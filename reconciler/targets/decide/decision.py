"""A decision: the queue of one conversation by a published table.

It is a pure function of the table, the attributes and the conversation's id: the fallback first,
then the first rule that matches, then the split of that rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from secrets import randbits
from typing import Final

from reconciler.core.behaviour.endpoint_stage import Doubt, EndpointStage
from reconciler.core.behaviour.evaluate import RuleIndex
from reconciler.core.behaviour.routing_entry import (
    RoutingEntry,
    destination_of_rule,
    order_entries,
)
from reconciler.core.model.operators import Scalar
from reconciler.targets.decide.slices import Steps
from reconciler.targets.decide.table import PublishedTable

_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a conversation goes.

    `rule` is None where no rule matches: the default routing. `queue_id` is None then, and for a
    rule without a positive weight. `share` is the queue's share of the rule's conversations.
    """

    rule: str | None
    queue_id: str | None
    share: Fraction | None
    fallback: Doubt | None


class Decider:
    """Decides by one table; `decider_steps` makes it."""

    def __init__(self, stage: EndpointStage, index: RuleIndex) -> None:
        self._stage = stage
        self._index = index
        # by the entry's identity, computed for the first decision: a new table is ready sooner
        self._splits: dict[int, Sequence[tuple[str, Fraction]]] = {}

    def decide(
        self, attributes: Mapping[str, Scalar | None], conversation: str | None
    ) -> Decision:
        """Return the decision about an event. Without a conversation's id, a split is drawn."""
        context, doubt = self._stage.context(attributes)
        entry = self._index.find_winner(context)
        if entry is None:
            return Decision(rule=None, queue_id=None, share=None, fallback=doubt)

        split = self._split_of(entry)
        if not split:
            return Decision(rule=entry.name, queue_id=None, share=None, fallback=doubt)
        queue_id, share = _choose(split, position_of(conversation, entry))
        return Decision(rule=entry.name, queue_id=queue_id, share=share, fallback=doubt)

    def _split_of(self, entry: RoutingEntry) -> Sequence[tuple[str, Fraction]]:
        split = self._splits.get(id(entry))
        if split is None:
            split = destination_of_rule(entry) or ()
            self._splits[id(entry)] = split
        return split


def decider_steps(table: PublishedTable) -> Steps[Decider]:
    """Index the rules of a table in steps."""
    entries: list[RoutingEntry] = []
    for entry in table.entries():
        entries.append(entry)
        yield
    ordered = order_entries(entries, table.settings.evaluation)
    yield
    return Decider(table.settings.stage, RuleIndex(ordered))


def _choose(
    split: Sequence[tuple[str, Fraction]], position: Fraction
) -> tuple[str, Fraction]:
    """Return the queue and the share at a position of a split; the shares add up to 1."""
    upper = Fraction(0)
    for queue_id, share in split:
        upper += share
        if position < upper:
            return queue_id, share
    raise AssertionError("the shares of a split do not add up to 1")


def position_of(conversation: str | None, entry: RoutingEntry) -> Fraction:
    """Return a number in [0, 1): equal for equal pairs of conversation and rule, evenly spread over
    conversations; random without a conversation.
    """
    if conversation is None:
        return Fraction(randbits(_BITS), 2**_BITS)
    digest = sha256(f"{conversation}\n{entry.name}".encode()).digest()
    return Fraction(int.from_bytes(digest[: _BITS // 8], "big"), 2**_BITS)
