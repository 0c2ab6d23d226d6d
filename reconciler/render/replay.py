"""Replayed conversations in words, for the command and for every format of a plan."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from reconciler.core.plan.replay import DestinationPair, ReplayResult
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.traffic_shares import ShareRange
from reconciler.core.plan.words import share_phrase, two_destinations
from reconciler.core.text.escape import join_first, pluralize
from reconciler.core.text.phrases import Labels, conversation_phrase

MAX_PAIRS: Final = 20
_MAX_RULES: Final = 3


class ReplayCase(NamedTuple):
    """Recorded conversations that go from one destination to another one, in words."""

    callers: str
    before: str
    after: str
    example: str
    rules: str

    @property
    def route(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.before} -> {self.after}"


class ReplaySummary(NamedTuple):
    """The counts in words: conversations with the same origin and destination are a case.

    Safe for a terminal.
    """

    title: str
    cases: tuple[ReplayCase, ...]
    notes: tuple[str, ...]


def summarize_replay(
    result: ReplayResult,
    names: Mapping[str, str],
    labels: Labels,
    limit: int = MAX_PAIRS,
) -> ReplaySummary:
    """Return the counts in words, with up to `limit` pairs of destinations."""
    cases = [_case(pair, names, labels) for pair in result.pairs[:limit]]
    notes = _notes(result, labels, limit)
    return ReplaySummary(_title(result), tuple(cases), tuple(notes))


def _title(result: ReplayResult) -> str:
    noun = "conversation" if result.total == 1 else "conversations"
    title = f"Of {_number(result.total)} recorded {noun}, "
    if result.unknown:
        verb = "goes" if result.unknown == 1 else "go"
        title += (
            f"it is not known where {_number(result.unknown)} {verb}; of the others, "
        )
    moved = "none"
    if result.moved:
        percent = 100 * result.moved / result.total
        share = share_phrase(ShareRange(percent, percent))
        if result.unknown:
            share += " of all"
        moved = f"{_number(result.moved)} ({share})"
    verb = "goes" if result.moved == 1 else "go"
    return f"{title}{moved} {verb} elsewhere."


def _notes(result: ReplayResult, labels: Labels, limit: int) -> list[str]:
    """Return what the list of pairs omits, and what is not known, with up to `limit` names."""
    notes = []
    hidden = result.pairs[limit:]
    if hidden:
        count = sum(pair.moved for pair in hidden)
        notes.append(
            f"and {pluralize(len(hidden), 'more pair')} of destinations, {_number(count)}; JSON "
            f"lists all."
        )
    if result.unlisted:
        notes.append(
            f"and {_number(result.unlisted)} of further pairs, which are not listed."
        )
    if result.unknown:
        reasons = []
        if result.unrecorded:
            names = join_first(result.unrecorded, limit, labels.name)
            reasons.append(f"attributes without a column: {names}")
        if result.has_opaque:
            reasons.append("conditions that cxroute does not understand")
        notes.append(f"Where they go depends on {', or on '.join(reasons)}.")
    if result.unseen:
        names = join_first(result.unseen, limit, labels.name)
        notes.append(
            f"No row has these attributes, which rules test; they count as missing: {names}."
        )
    return notes


def _case(
    pair: DestinationPair,
    names: Mapping[str, str],
    labels: Labels,
) -> ReplayCase:
    noun = "conversation" if pair.moved == 1 else "conversations"
    line, attributes = pair.examples[0]
    recorded = {name: value for name, value in attributes.items() if value is not None}
    rules = [" -> ".join(map(entry_name, rules)) for rules in pair.rules.values()]
    before, after = two_destinations(pair.before, pair.after, names)
    return ReplayCase(
        callers=f"{_number(pair.moved)} {noun}",
        before=before,
        after=after,
        example=f"line {line:,}: {conversation_phrase(recorded, labels)}",
        rules=join_first(rules, _MAX_RULES),
    )


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}"
