"""Effects in words: the headline, each edit with its consequence, the flows of a large change, and what moves nobody.

Every form of a report prints from an `EffectsSummary`. A row is exact: it may shorten a list of values or of rules to a
number, but it never omits a condition.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from reconciler.behaviour.diff.effects import FALLBACK, Effect, EffectRow, NamedRule
from reconciler.behaviour.routing_entry import Destination, RoutingEntry
from reconciler.model.rule import Condition, Source
from reconciler.plan.clauses import FEW_VALUES, clauses_phrase
from reconciler.plan.edits import EditedRule
from reconciler.plan.headline import headline
from reconciler.plan.impact import Impact
from reconciler.plan.promises import PromiseResult
from reconciler.plan.routing_table import entry_name, types_phrase
from reconciler.plan.traffic_shares import EffectShare, QueueShare, ShareRange, TrafficImpact
from reconciler.plan.words import (
    ALL_VALUES,
    DEFAULT_ROUTING,
    Names,
    name_with_id,
    row_phrases,
    share_phrase,
    target_name,
    two_destinations,
)
from reconciler.render.edit_words import edit_sign, edit_texts
from reconciler.text.escape import join_all, pluralize, sanitize
from reconciler.text.phrases import Labels, conversation_phrase

OTHERS_UNCHANGED: Final = "Everyone else: no change (proven)."
UNKNOWN_NOTE: Final = "Not known: the rules overlap in too many ways, and the analysis stopped at its bound for"
WAITING_NOTE: Final = "The tenant's settings decide whether conversations that already wait are routed again."
MANY_ROWS: Final = 12
"""With more rows, a report begins with the flows from queue to queue."""
_MAX_FLOWS: Final = 8
_MAX_NAMED: Final = 6
"""With more earlier rules, they are written by RuleSet."""
_MAX_COUNTERPARTS: Final = 2
_MAX_QUIET: Final = 5
_MAX_UNKNOWN: Final = 5
_FLOW_INTENTS: Final = 2
_SAME: Final = "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class RowText:
    """Conversations that go to another queue, in words. `lead` has the conditions that the row before has, too."""

    callers: str
    phrases: tuple[str, ...]
    repeated: int  # number of the first phrases that are those of the row before
    before: str
    after: str
    share: str  # `1.9 %`; empty without a sample
    by: str  # who takes them instead: `by general/catch-all`; empty if the same rule does
    example: str
    all_callers: str = ""  # with every value of each list; empty if `callers` has them

    @property
    def short_callers(self) -> str:
        """Return the conversations, with `...` for the conditions that the row before has, too."""
        if not self.repeated:
            return self.callers
        return ", ".join([_SAME, *(self.phrases[self.repeated :] or ("all others",))])

    @property
    def route(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.before} -> {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberText:
    """A rule of an effect: its name and place."""

    name: str
    source: Source | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectText:
    """An edit and its consequence."""

    sign: str  # the action, as in `SYMBOLS`
    subject: str  # `cards/pin-blocked`, or `10 rules of cards/`
    edits: tuple[str, ...]  # `queue "Card Services" -> "Fraud Desk"`
    members: tuple[MemberText, ...]
    share: str
    rows: tuple[RowText, ...]
    notes: tuple[str, ...]  # sentences about earlier rules

    @property
    def source(self) -> Source | None:
        """Return the place of the edit, if it is one rule's."""
        return self.members[0].source if len(self.members) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowText:
    """Conversations that go from one queue to another one, by any edit."""

    before: str
    after: str
    share: str
    intents: str  # `12 intents: "a", "b", ...`
    few_intents: str  # `12 intents`; up to two by name
    rules: str  # `3 rules`


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueText:
    """The share of one queue of the sample before and after, and the change."""

    queue: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsSummary:
    """What a change does to conversations, in words, in reading order."""

    headline: str
    share: str = ""  # `3.1 % of callers of "sample.csv"`
    effects: tuple[EffectText, ...] = ()
    flows: tuple[FlowText, ...] = ()  # with more than `MANY_ROWS` rows
    more_flows: str = ""
    quiet: str = ""  # the edits that move nobody
    balance: tuple[QueueText, ...] = ()
    balance_note: str = ""
    unknown: tuple[str, ...] = ()
    premise: str = ""
    closing: str = ""  # that everyone else is unchanged

    @property
    def rows(self) -> tuple[RowText, ...]:
        """Return the rows of all effects."""
        return tuple(row for effect in self.effects for row in effect.rows)


def summarize_effects(
    impact: Impact,
    names: Names,
    labels: Labels,
    promises: Iterable[PromiseResult] = (),
    values: int = FEW_VALUES,
) -> EffectsSummary:
    """Return the effects in words; `values` of each list are written, with `ALL_VALUES` every one."""
    behaviour, traffic = impact.behaviour, impact.traffic
    writer = _EffectWriter(impact, names, labels, values)
    effects = writer.write_all()
    rows = sum(len(effect.rows) for effect in behaviour.effects)
    flows = writer.flows() if rows > MANY_ROWS else ()
    hidden = flows[_MAX_FLOWS:]
    balance, balance_note = _balance(impact, names)
    return EffectsSummary(
        headline=headline(impact, names, labels, promises),
        share=_total_text(traffic) if behaviour.effects else "",
        effects=effects,
        flows=flows[:_MAX_FLOWS],
        more_flows=f"and {pluralize(len(hidden), 'more flow')}" if hidden else "",
        quiet=_quiet_text(impact),
        balance=balance,
        balance_note=balance_note,
        unknown=_unknown_texts(impact, labels),
        premise=premise(impact, labels),
        closing=OTHERS_UNCHANGED if behaviour.effects and behaviour.complete else "",
    )


def premise(impact: Impact, labels: Labels) -> str:
    """Return the known types on which the result depends, as a sentence, or an empty text."""
    types = impact.behaviour.rests_on
    return f"This holds where {types_phrase(types, labels)}." if types else ""


def _total_text(traffic: TrafficImpact | None) -> str:
    if traffic is None:
        return ""
    sample = sanitize(traffic.sample.period or traffic.sample.name)
    return f"{share_phrase(traffic.total)} of {sample}"


def _unknown_texts(impact: Impact, labels: Labels) -> tuple[str, ...]:
    undecided = impact.behaviour.undecided
    texts = [clauses_phrase(clauses, labels) for clauses in undecided[:_MAX_UNKNOWN]]
    further = len(undecided) - len(texts)
    if further:
        texts.append(f"and {pluralize(further, 'further case')}; --format json lists all.")
    return tuple(texts)


def _quiet_text(impact: Impact) -> str:
    """Return the edits that move nobody in one line."""
    moving = {number for effect in impact.behaviour.effects for number in effect.edits}
    quiet = [edited for number, edited in enumerate(impact.edits) if number not in moving]
    if not quiet or not impact.behaviour.complete or not moving:
        return ""
    shown = [_quiet_edit(edited) for edited in quiet[:_MAX_QUIET]]
    rest = f" and {len(quiet) - len(shown)} more" if len(quiet) > len(shown) else ""
    verb = "moves" if len(quiet) == 1 else "move"
    return f"{pluralize(len(quiet), 'further edit')} {verb} nobody (proven): {', '.join(shown)}{rest}."


def _quiet_edit(edited: EditedRule) -> str:
    fields = ", ".join(dict.fromkeys(sanitize(field.name) for field in edited.fields)) or edited.action
    return f"{entry_name(edited.entry)} ({fields})"


class _EffectWriter:
    def __init__(self, impact: Impact, names: Names, labels: Labels, values: int) -> None:
        self._impact = impact
        self._names = names
        self._labels = labels
        self._values = values
        regions = impact.behaviour.regions
        self._takers = {
            id(entry.whole)
            for region in regions
            for entry in (*region.before_rules, *region.after_rules)
            if entry is not None
        }

    def write_all(self) -> tuple[EffectText, ...]:
        """Return the effects, those of most callers first."""
        effects = self._impact.behaviour.effects
        traffic = self._impact.traffic
        shares: Sequence[EffectShare | None] = traffic.effects if traffic else (None,) * len(effects)
        pairs = sorted(zip(effects, shares, strict=True), key=self._rank)
        return tuple(self._write(effect, share) for effect, share in pairs)

    def _rank(self, pair: tuple[Effect, EffectShare | None]) -> tuple[float, int]:
        effect, share = pair
        intents = {intent for row in effect.rows for intent in self._intents(row)}
        return -(share.total.most if share else 0.0), -len(intents)

    def _write(self, effect: Effect, share: EffectShare | None) -> EffectText:
        edits = [self._impact.edits[number] for number in effect.edits if number != FALLBACK]
        shares = share.rows if share else (None,) * len(effect.rows)
        usual = [(row, part) for row, part in zip(effect.rows, shares, strict=True) if not row.other_type]
        others = [(row, part) for row, part in zip(effect.rows, shares, strict=True) if row.other_type]
        rows = self._rows(effect, usual)
        notes = self._notes(effect)
        if others and self._values < ALL_VALUES:
            notes.append(self._other_type_note([row for row, _ in others]))
        else:
            rows += self._rows(effect, others)
        first = edits[0] if edits else None
        return EffectText(
            sign=edit_sign(first),
            subject=_subject(edits),
            edits=tuple(edit_texts(first, self._names, self._labels)) if first else (),
            members=tuple(MemberText(name=entry_name(edited.entry), source=edited.source) for edited in edits),
            share=share_phrase(share.total) if share else "",
            rows=tuple(rows),
            notes=tuple(notes),
        )

    def _rows(self, effect: Effect, pairs: Sequence[tuple[EffectRow, ShareRange | None]]) -> list[RowText]:
        texts: list[RowText] = []
        for row, share in pairs:
            own = tuple(self._own_phrases(effect, row))
            phrases = (*row_phrases(row, self._labels, self._values), *own)
            callers = ", ".join(phrases)
            all_callers = ", ".join((*row_phrases(row, self._labels, ALL_VALUES), *own))
            before, after = two_destinations(row.before, row.after, self._names)
            texts.append(
                RowText(
                    callers=callers,
                    phrases=phrases,
                    repeated=_common(texts[-1].phrases, phrases) if texts else 0,
                    before=before,
                    after=after,
                    share=share_phrase(share) if share else "",
                    by=self._by(row),
                    example=conversation_phrase(row.example.attributes, self._labels, row.example.absent),
                    all_callers="" if all_callers == callers else all_callers,
                )
            )
        return texts

    def _own_phrases(self, effect: Effect, row: EffectRow) -> Iterator[str]:
        """Yield what an edited rule still matches, where its conditions before and after differ in several ways."""
        own = [rule for rule in row.earlier if self._is_cause(effect, rule)]
        if own:
            yield "no longer matched" if row.kind == "releases" else "newly matched"

    def _is_cause(self, effect: Effect, rule: NamedRule) -> bool:
        edits = (self._impact.edits[number].edit for number in effect.edits if number != FALLBACK)
        whole = rule.entry.whole
        return any(whole is entry for edit in edits for entry in (edit.before, edit.after))

    def _by(self, row: EffectRow) -> str:
        if row.kind == "redirects":
            return ""
        rules = [None if rule is None else rule.entry for rule in row.counterpart]
        named = list(dict.fromkeys(entry_name(entry) for entry in rules))
        if named == [entry_name(None)]:
            return ""  # the destination says it: the default routing
        shown = named[:_MAX_COUNTERPARTS]
        rest = f" and {len(named) - len(shown)} more" if len(named) > len(shown) else ""
        word = "from" if row.kind == "takes" else "by"
        return f"{word} {', '.join(shown)}{rest}"

    def _notes(self, effect: Effect) -> list[str]:
        """Return sentences about the earlier rules of an effect."""
        own = {id(rule.entry.whole) for row in effect.rows for rule in row.counterpart if rule is not None}
        keeping: dict[str, RoutingEntry] = {}
        changing: dict[str, RoutingEntry] = {}
        for row in effect.rows:
            for rule in row.earlier:
                whole = rule.entry.whole
                if self._is_cause(effect, rule) or id(whole) in own:
                    continue
                target = changing if id(whole) in self._takers else keeping
                target[entry_name(whole)] = whole
        notes = [f"Earlier rules keep theirs: {_folded(keeping)}"] if keeping else []
        if changing:
            notes.append(f"Without conversations that these rules match: {_folded(changing)}")
        return notes

    def _other_type_note(self, rows: Sequence[EffectRow]) -> str:
        attributes = dict.fromkeys(self._labels.name(name) for row in rows for name in row.other_type)
        return (
            f"Also some conversations in which {join_all(attributes, 'or')} is of another type, text or number,"
            f" than the rules compare it with: {pluralize(len(rows), 'row')}, which -v and JSON list"
        )

    # Flows

    def flows(self) -> tuple[FlowText, ...]:
        """Return the flows from queue to queue, those of most callers first."""
        effects, traffic = self._impact.behaviour.effects, self._impact.traffic
        found: dict[tuple[Destination, Destination], _Flow] = {}
        for number, effect in enumerate(effects):
            shares = traffic.effects[number].rows if traffic else (None,) * len(effect.rows)
            for row, share in zip(effect.rows, shares, strict=True):
                flow = found.setdefault((row.before, row.after), _Flow())
                flow.add(effect, share, self._intents(row))
        limit = traffic.total.most if traffic else 0.0
        ordered = sorted(found.items(), key=lambda item: (-item[1].most, -len(item[1].intents)))
        return tuple(self._flow(pair, flow, limit) for pair, flow in ordered)

    def _flow(self, pair: tuple[Destination, Destination], flow: "_Flow", limit: float) -> FlowText:
        before, after = two_destinations(*pair, self._names)
        most = min(flow.most, limit)
        largest = [intent for intent, _ in flow.intents.most_common(_FLOW_INTENTS)]
        attribute = next((name for name, short in self._labels.short.items() if short == "intent"), "")
        names = ", ".join(map(partial(self._labels.value, attribute), largest))
        count = len(flow.intents)
        is_short = count <= len(largest)
        few = "any intent" if flow.is_open else names if is_short else f"{count} intents"
        rules = len(flow.edits)
        return FlowText(
            before=before,
            after=after,
            share=share_phrase(ShareRange(min(flow.least, most), most)) if self._impact.traffic else "",
            intents=few if flow.is_open or is_short else f"{few}: {names}, ...",
            few_intents=few,
            rules=pluralize(rules, "rule") if rules else "the endpoint's fallback",
        )

    def _intents(self, row: EffectRow) -> list[str]:
        """Return the intents that a row lists."""
        values: list[str] = []
        for part, negate in row.where:
            is_intent = isinstance(part, Condition) and self._labels.is_intent(part.attribute)
            if isinstance(part, Condition) and is_intent and not negate and part.operator in ("equals", "in"):
                values += map(str, part.values)
        return values


class _Flow:
    """The rows from one destination to another one."""

    def __init__(self) -> None:
        self.least = 0.0
        self.most = 0.0
        self.intents: Counter[str] = Counter()
        self.edits: set[int] = set()
        self.is_open = False  # a row lists no intents

    def add(self, effect: Effect, share: ShareRange | None, intents: Sequence[str]) -> None:
        """Add a row of an effect."""
        self.edits.update(number for number in effect.edits if number != FALLBACK)
        self.is_open = self.is_open or not intents
        for intent in intents:
            self.intents[intent] += 1
        if share is not None:
            self.least += share.least
            self.most += share.most


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many leading phrases are equal, if they are worth an ellipsis."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _subject(edits: Sequence[EditedRule]) -> str:
    if not edits:
        return "the endpoint's fallback"
    if len(edits) == 1:
        return entry_name(edits[0].entry)
    address = edits[0].entry.address
    place = f" of {sanitize(address.ruleset)}/" if address else ""
    return f"{len(edits)} rules{place}"


def _folded(rules: Mapping[str, RoutingEntry]) -> str:
    """Return names of rules: many by RuleSet, very many counted."""
    if len(rules) <= _MAX_NAMED:
        return ", ".join(rules)
    sets: dict[str, list[str]] = {}
    for name, entry in rules.items():
        place = f"{sanitize(entry.address.ruleset)}/*" if entry.address else "rules that are not managed"
        sets.setdefault(place, []).append(name)
    texts = [names[0] if len(names) == 1 else f"{place} ({len(names)})" for place, names in sets.items()]
    shown = texts[:_MAX_NAMED]
    hidden = sum(len(names) for names in list(sets.values())[_MAX_NAMED:])
    rest = f" and {hidden} more" if hidden else ""
    return f"{', '.join(shown)}{rest}"


def _balance(impact: Impact, names: Names) -> tuple[tuple[QueueText, ...], str]:
    """Return the queues whose change the sample determines, and the number of the others."""
    if impact.traffic is None:
        return (), ""
    touched = _touched_queues(impact)
    balance = [item for item in impact.traffic.balance if item.queue in touched or impact.behaviour.undecided]
    known = [item for item in balance if _is_known(item)]
    counts = Counter(_queue_label(item, names) for item in known)
    texts = []
    for item in known:
        label = _queue_label(item, names)
        is_shared = bool(item.queue) and counts[label] > 1
        texts.append(
            QueueText(
                queue=name_with_id(item.queue or "", names) if is_shared else label,
                before=item.before.in_words(),
                after=item.after.in_words(),
                change=item.change.in_words("+"),
            )
        )
    rest = len(balance) - len(known)
    return tuple(texts), f"{pluralize(rest, 'queue')}: the sample does not say" if rest else ""


def _touched_queues(impact: Impact) -> set[str | None]:
    rows = (row for effect in impact.behaviour.effects for row in effect.rows)
    splits = [split for row in rows for split in (row.before, row.after)]
    return {queue for split in splits for queue in ((None,) if split is None else dict(split) or ("",))}


def _is_known(item: QueueShare) -> bool:
    """Return whether a change has one sign."""
    return item.change.least == item.change.most or item.change.least > 0 or item.change.most < 0


def _queue_label(item: QueueShare, names: Names) -> str:
    if item.queue:
        return target_name(item.queue, names)
    return DEFAULT_ROUTING if item.queue is None else "no queue"
