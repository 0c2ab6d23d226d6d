"""Destinations, shares and rows of effects in words. Text from outside is safe for a terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from reconciler.core.behaviour.diff.effects import EffectRow
from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.model.rule import Condition, Opaque, Rule
from reconciler.core.plan.clauses import (
    EVERY_CONVERSATION,
    FEW_VALUES,
    condition_phrases,
)
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.traffic_shares import ShareRange
from reconciler.core.text.escape import sanitize
from reconciler.core.text.phrases import Labels, queue_phrase, split_phrase

Names = Mapping[str, str]
"""The names of queues, by id."""

DEFAULT_ROUTING: Final = "the tenant's default routing"
NO_IMPACT: Final = "No conversation goes elsewhere (proven)."
NO_KNOWN_IMPACT: Final = "No conversation is known to go elsewhere."
ALL_VALUES: Final = 10**9
"""The limit that shows all values of a list."""

MANY_ROWS: Final = 12
"""With more rows, a report begins with the flows from queue to queue."""

_SMALLEST: Final = 0.1  # percent: the smallest share with one decimal


def destination_phrase(destination: Destination, names: Names) -> str:
    """Return a destination in words: a queue, a split with percents, no queue, or the tenant's
    default routing.
    """
    if destination is None:
        return DEFAULT_ROUTING
    return split_phrase(destination, lambda queue: target_name(queue, names))


def target_name(queue: str, names: Names) -> str:
    """Return a queue's name in quotes; for a target that is not understood, the queue is its
    JSON.
    """
    if queue not in names and queue.startswith('{"'):
        return f"something that cxroute does not understand ({sanitize(queue)})"
    return queue_phrase(queue, names)


def two_destinations(
    before: Destination, after: Destination, names: Names
) -> tuple[str, str]:
    """Return two different destinations in words, with the ids of queues where the words would be
    equal.
    """
    texts = destination_phrase(before, names), destination_phrase(after, names)
    # Texts that differ only in the order of their parts count as equal.
    first, second = (sorted(text.split(", ")) for text in texts)
    if first != second:
        return texts
    return destination_with_ids(before, names), destination_with_ids(after, names)


def destination_with_ids(destination: Destination, names: Names) -> str:
    """Return a destination in words, each queue with its id."""
    if not destination:
        return destination_phrase(destination, names)
    parts = []
    for queue, share in destination:
        percent = "" if share == 1 else f"{100 * float(share):.15g} % "
        parts.append(f"{percent}{name_with_id(queue, names)}")
    return ", ".join(parts)


def name_with_id(queue: str, names: Names) -> str:
    """Return a queue's name and its id."""
    name = target_name(queue, names)
    return f"{name} ({sanitize(queue)})" if queue in names else name


def share_phrase(share: ShareRange) -> str:
    """Return a share of a sample: `3.1 %`, or `at most 3.1 %` if the sample does not determine
    it.
    """
    if 0 < share.most < _SMALLEST:
        return f"under {_SMALLEST} %"
    prefix = "" if share.least == share.most else "at most "
    return f"{prefix}{share.most:.1f} %"


def row_phrases(
    row: EffectRow, labels: Labels, values: int = FEW_VALUES
) -> tuple[str, ...]:
    """Return the conditions of a row in words, one text for each attribute."""
    return condition_phrases(row.where, labels, values) or (EVERY_CONVERSATION,)


def total_share_phrase(impact: Impact) -> str:
    """Return the share of all callers that move; with unknown conversations, which may move, too,
    only its minimum.
    """
    if impact.traffic is None:
        return ""
    total = impact.traffic.total
    if impact.behaviour.complete:
        return share_phrase(total)
    return f"at least {total.least:.1f} %"


def order_effects(impact: Impact, labels: Labels) -> Impact:
    """Return an impact with its effects in reading order: those of most callers, or else of most
    intents, first.
    """
    effects = impact.behaviour.effects
    traffic = impact.traffic
    shares = impact.effects

    def rank(number: int) -> tuple[float, int]:
        effect, share = shares[number]
        intents: set[str] = set()
        for row in effect.rows:
            intents.update(listed_intents(row, labels))
        most = share.total.most if share.total else 0.0
        return -most, -len(intents)

    order = sorted(range(len(effects)), key=rank)
    ordered = tuple(effects[number] for number in order)
    behaviour = replace(impact.behaviour, effects=ordered)
    if traffic is not None:
        ordered_shares = tuple(traffic.effects[number] for number in order)
        traffic = replace(traffic, effects=ordered_shares)
    return replace(impact, behaviour=behaviour, traffic=traffic)


def listed_intents(row: EffectRow, labels: Labels) -> list[str]:
    """Return the intents that a row lists."""
    parts = (clause.condition for clause in row.where if not clause.negate)
    return _intents(parts, labels)


def intents_of_rule(rule: Rule, labels: Labels) -> list[str]:
    """Return the intents that a rule lists."""
    return _intents(rule.conditions, labels)


def _intents(parts: Iterable[Condition | Opaque], labels: Labels) -> list[str]:
    lists = (
        part
        for part in parts
        if isinstance(part, Condition)
        and part.operator in ("equals", "in")
        and labels.is_intent(part.attribute)
    )
    return [str(value) for part in lists for value in part.values]
