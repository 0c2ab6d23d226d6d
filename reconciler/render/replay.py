"""Replayed conversations in words, for the command and for every format of a plan."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from reconciler.plan.replay import DestinationPair, ReplayResult
from reconciler.plan.routing_table import entry_name
from reconciler.plan.traffic_shares import ShareRange
from reconciler.plan.words import destination_phrase, share_phrase
from reconciler.text.escape import join_first, pluralize
from reconciler.text.phrases import Labels, conversation_phrase

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
    percent = 100 * result.moved / result.total
    share = f"{share_phrase(ShareRange(percent, percent))}{' of all' if result.unknown else ''}"
    moved = f"{_number(result.moved)} ({share})" if result.moved else "none"
    noun = "conversation" if result.total == 1 else "conversations"
    verb = "goes" if result.moved == 1 else "go"
    start = f"Of {_number(result.total)} recorded {noun}, "
    notes = []
    if hidden := result.pairs[limit:]:
        rest = sum(pair.moved for pair in hidden)
        notes.append(
            f"and {pluralize(len(hidden), 'more pair')} of destinations, {_number(rest)}; JSON "
            f"lists all."
        )
    if result.unlisted:
        notes.append(
            f"and {_number(result.unlisted)} of further pairs, which are not listed."
        )
    if result.unknown:
        unknown = f"{_number(result.unknown)} {'goes' if result.unknown == 1 else 'go'}"
        start += f"it is not known where {unknown}; of the others, "
        reasons = ["conditions that cxroute does not understand"] * result.has_opaque
        if result.unrecorded:
            reasons.insert(
                0,
                f"attributes without a column: {join_first(result.unrecorded, limit, labels.name)}",
            )
        notes.append(f"Where they go depends on {', or on '.join(reasons)}.")
    if result.unseen:
        seen = join_first(result.unseen, limit, labels.name)
        notes.append(
            f"No row has these attributes, which rules test; they count as missing: {seen}."
        )
    title = f"{start}{moved} {verb} elsewhere."
    return ReplaySummary(
        title,
        tuple(_case(pair, names, labels) for pair in result.pairs[:limit]),
        tuple(notes),
    )


def _case(
    pair: DestinationPair, names: Mapping[str, str], labels: Labels
) -> ReplayCase:
    before, after = (
        destination_phrase(destination, names)
        for destination in (pair.before, pair.after)
    )
    line, attributes = pair.examples[0]
    recorded = {name: value for name, value in attributes.items() if value is not None}
    return ReplayCase(
        callers=f"{_number(pair.moved)} {'conversation' if pair.moved == 1 else 'conversations'}",
        before=before,
        after=after,
        example=f"line {line:,}: {conversation_phrase(recorded, labels)}",
        rules=join_first(
            [" -> ".join(map(entry_name, rules)) for rules in pair.rules.values()],
            _MAX_RULES,
        ),
    )


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
