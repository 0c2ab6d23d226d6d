"""The impact on conversations in words: cases with origins, destination and example, and the unknown cases.

A row is exact: it may shorten a list of values, but never omits a condition.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.behaviour.diff.regions import ImpactRow
from reconciler.behaviour.routing_entry import Destination
from reconciler.model.rule import Condition
from reconciler.plan.routing_table import entry_name, types_phrase
from reconciler.plan.traffic_shares import ShareRange, TrafficImpact
from reconciler.plan.clauses import FEW_VALUES, clauses_phrase, exception_phrase
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import Labels, conversation_phrase, queue_phrase, split_phrase

Names = Mapping[str, str]
_Pair = tuple[ImpactRow, ShareRange | None]

DEFAULT_ROUTING: Final = "the tenant's default routing"
MAX_SHOWN: Final = 20
ALL_ROWS: Final = 10**9  # the limit that shows all rows
NO_IMPACT: Final = "No conversation goes elsewhere (proven)."
NO_KNOWN_IMPACT: Final = "No conversation is known to go elsewhere."
TITLE: Final = "Who is affected"
OTHERS_UNCHANGED: Final = "Everyone else: no change (proven)."
WAITING_NOTE: Final = "The tenant's settings decide whether conversations that already wait are routed again."
UNKNOWN_NOTE: Final = "Not known: the rules overlap in too many ways, and the analysis stopped at its bound for"
_MAX_EXCEPTIONS: Final = 40  # of a row that is displayed without -v
_MAX_ORIGINS: Final = 3
_MAX_UNKNOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactCase:
    """Conversations that change their destination."""

    callers: str
    origins: tuple[str, ...]  # destinations today: each conversation goes to one of them
    destination: str
    share: str = ""  # of the sample: `3.1 %`; empty without a sample
    example: str
    rules: str  # the winning rules: `by cards/vip`, `cards/vip -> no rule`
    exceptions: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Return the origins as one text."""
        return "; ".join(self.origins)

    @property
    def route(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.origin} -> {self.destination}"


class QueueBalance(NamedTuple):
    """The share of one queue in the sample before and after, `3.1 to 5.0 %`, and the change: `-2.5 %`."""

    queue: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactSummary:
    """The impact on conversations as texts."""

    title: str
    share: str = ""
    cases: tuple[ImpactCase, ...] = ()
    balance: tuple[QueueBalance, ...] = ()  # the affected queues; empty without a sample
    hidden_cases: int = 0  # further cases, not in `cases`
    hidden_share: str = ""  # their share of the sample: `2.1 %`; empty without a sample
    unknown: tuple[str, ...]  # conversations with an unknown impact; of many, the last text counts the others
    premise: str = ""  # the known types of attributes on which the result depends

    def rest_text(self, extra_hidden: int = 0) -> str:
        """Return the number of hidden rows, `extra_hidden` of `cases` among them, or an empty text."""
        count = self.hidden_cases + extra_hidden
        share = f", {self.hidden_share} of callers" if self.hidden_share and not extra_hidden else ""
        return f"and {pluralize(count, 'more row')}{share}" if count else ""


def summarize_impact(
    behaviour: BehaviourChange,
    names: Names,
    labels: Labels,
    traffic: TrafficImpact | None = None,
    limit: int = MAX_SHOWN,
) -> ImpactSummary:
    """Return the impact, up to `limit` rows, those of most callers first; with `ALL_ROWS` all rows and values."""
    unknown = tuple(clauses_phrase(tuple(clauses), labels) for clauses in behaviour.undecided[:_MAX_UNKNOWN])
    if further := len(behaviour.undecided) - len(unknown):
        unknown = (*unknown, f"and {pluralize(further, 'further case')}; --format json lists all.")
    basis = premise(behaviour, labels)
    if not behaviour.rows:
        return ImpactSummary(title=NO_KNOWN_IMPACT if unknown else NO_IMPACT, unknown=unknown, premise=basis)
    share = "share of callers unknown"
    if traffic:
        total = f"at least {traffic.total.least:.1f} %" if unknown else share_phrase(traffic.total)
        share = f"{total} of {sanitize(traffic.sample.period or traffic.sample.name)}"
    ordered = _ordered(behaviour, traffic, labels)
    values = ALL_ROWS if limit == ALL_ROWS else FEW_VALUES
    together = [pair for pair in ordered if pair[0].unlikely] if limit < ALL_ROWS else []
    if len(together) > 1:
        ordered = [pair for pair in ordered if not pair[0].unlikely]
    readable = [pair for pair in ordered if limit > MAX_SHOWN or len(pair[0].excepts) <= _MAX_EXCEPTIONS]
    visible = readable[:limit] or ordered[:1]
    visible_ids = {id(row) for row, _ in visible}
    hidden = [share for row, share in ordered if id(row) not in visible_ids]
    cases = tuple(_case(row, share, names, labels, values) for row, share in visible)
    if len(together) > 1:
        cases += (_merge_unlikely_rows(together, traffic, names, labels),)
    return ImpactSummary(
        title=TITLE,
        share=share,
        cases=cases,
        balance=_balance(behaviour, traffic, names) if traffic else (),
        hidden_cases=len(hidden),
        hidden_share=_total_share(hidden, traffic),
        unknown=unknown,
        premise=basis,
    )


def premise(behaviour: BehaviourChange, labels: Labels) -> str:
    """Return the known types on which the result depends, as a sentence, or an empty text."""
    return f"This holds where {types_phrase(behaviour.rests_on, labels)}." if behaviour.rests_on else ""


def destination_phrase(destination: Destination, names: Names) -> str:
    """Return a destination in words: a queue, a split with percents, no queue, or the tenant's default routing."""
    return DEFAULT_ROUTING if destination is None else split_phrase(destination, lambda queue: _queue(queue, names))


def share_phrase(share: ShareRange) -> str:
    """Return a share of a sample: `3.1 %`, or `at most 3.1 %` if the sample is not specific enough."""
    shown = "under 0.1" if 0 < share.most < 0.1 else f"{share.most:.1f}"  # noqa: PLR2004 - the smallest number with one decimal
    return f"{'' if share.least == share.most else 'at most '}{shown} %"


def _ordered(behaviour: BehaviourChange, traffic: TrafficImpact | None, labels: Labels) -> list[_Pair]:
    """Return the rows by share of the traffic, then by intents; unlikely and not understood ones last."""

    def rank(pair: _Pair) -> tuple[bool, float, bool, int, int]:
        row, share = pair
        known = [(part, negate) for part, negate in row.where if isinstance(part, Condition)]
        about_intent = (part for part, negate in known if labels.is_intent(part.attribute) and not negate)
        values = [part.value for part in about_intent if part.operator in ("equals", "in")]
        intents = min((len(value) if isinstance(value, tuple) else 1 for value in values), default=0)
        most, size = share.most if share else 0.0, len(row.where)
        return bool(row.unlikely), -most, len(known) < size, -intents, size

    shares: Sequence[ShareRange | None] = traffic.rows if traffic else [None] * len(behaviour.rows)
    return sorted(zip(behaviour.rows, shares, strict=True), key=rank)


def _case(row: ImpactRow, share: ShareRange | None, names: Names, labels: Labels, values: int) -> ImpactCase:
    *befores, after = _destination_phrases(row, names)
    if values == FEW_VALUES and len(befores) > _MAX_ORIGINS:
        befores = [*befores[: _MAX_ORIGINS - 1], f"{befores[_MAX_ORIGINS - 1]} and {len(befores) - _MAX_ORIGINS} more"]
    return ImpactCase(
        callers=clauses_phrase(row.where, labels, values),
        origins=tuple(befores),
        destination=after,
        share=share_phrase(share) if share else "",
        example=conversation_phrase(row.example.attributes, labels, row.example.absent),
        rules=_rules(row),
        exceptions=tuple(f"except if {exception_phrase(clauses, labels, values)}" for clauses in row.excepts),
    )


def _merge_unlikely_rows(
    rows: Sequence[_Pair], traffic: TrafficImpact | None, names: Names, labels: Labels
) -> ImpactCase:
    """Return one case for all rows in which an attribute has a type that no rule expects."""
    attributes = dict.fromkeys(labels.name(name) for row, _ in rows for name in row.unlikely)
    phrases = [_destination_phrases(row, names) for row, _ in rows]
    first = rows[0][0]
    return ImpactCase(
        callers=f"some conversations in which {' or '.join(attributes)}"
        " is of another type, text or number,"
        f" than the rules compare it with: {pluralize(len(rows), 'row')}, which -v and JSON list",
        origins=tuple(dict.fromkeys(origin for *origins, _ in phrases for origin in origins)),
        destination="; ".join(dict.fromkeys(after for *_, after in phrases)),
        share=_total_share([share for _, share in rows], traffic),
        example=conversation_phrase(first.example.attributes, labels, first.example.absent),
        rules=_rules(first),
    )


def _destination_phrases(row: ImpactRow, names: Names) -> list[str]:
    """Return the origins of a row and its destination, with ids if two of the texts would be equal."""
    destinations = (*row.origins, row.after)
    phrases = [destination_phrase(item, names) for item in destinations]
    # Texts that differ only in the order of their parts count as equal.
    if len({tuple(sorted(item.split(", "))) for item in phrases}) == len(phrases):
        return phrases
    for number, split in enumerate(destinations):
        if split:
            parts = ((f"{100 * float(share):.15g} % " if share != 1 else "", queue) for queue, share in split)
            phrases[number] = ", ".join(f"{share}{_with_id(queue, names)}" for share, queue in parts)
    return phrases


def _with_id(queue: str, names: Names) -> str:
    return f"{_queue(queue, names)} ({sanitize(queue)})" if queue in names else _queue(queue, names)


def _total_share(shares: Sequence[ShareRange | None], traffic: TrafficImpact | None) -> str:
    if traffic is None or not shares:
        return ""
    ranges = [share for share in shares if share is not None]
    most = min(sum(share.most for share in ranges), traffic.total.most)
    return share_phrase(ShareRange(min(sum(share.least for share in ranges), most), most))


def _balance(behaviour: BehaviourChange, traffic: TrafficImpact, names: Names) -> tuple[QueueBalance, ...]:
    splits = (split for row in behaviour.rows for split in (*row.origins, row.after))
    touched = {queue for split in splits for queue in ((None,) if split is None else dict(split) or ("",))}
    balance = [item for item in traffic.balance if item.queue in touched or behaviour.undecided]
    fixed = {None: DEFAULT_ROUTING, "": "no queue"}
    labels = [_queue(item.queue, names) if item.queue else fixed[item.queue] for item in balance]
    counts = Counter(labels)
    rows = []
    for item, label in zip(balance, labels, strict=True):
        name = _with_id(item.queue, names) if item.queue and counts[label] > 1 else label
        rows.append(QueueBalance(name, item.before.in_words(), item.after.in_words(), item.change.in_words("+")))
    return tuple(rows)


def _rules(row: ImpactRow) -> str:
    phrases = []
    for rules in (row.before_rules, row.after_rules):
        first = next((entry for entry in rules if entry is not None), None)
        name = entry_name(first)
        phrases.append(f"{name} and {len(rules) - 1:,} more" if first and len(rules) > 1 else name)
    before, after = phrases
    return f"by {before}" if before == after else f"{before} -> {after}"


def _queue(queue: str, names: Names) -> str:
    """Return a queue's name; for a target that is not understood, the queue is its JSON."""
    if queue not in names and queue.startswith('{"'):
        return f"something that cxroute does not understand ({sanitize(queue)})"
    return queue_phrase(queue, names)
