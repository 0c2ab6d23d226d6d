"""Effects in words: the headline, each edit with its consequence, the flows of a large change, and
what moves nobody.

Every form of a report prints from an `EffectsSummary`. A row is exact: it may shorten a list of
values or of rules to a number, but it never omits a condition.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, Literal

from reconciler.core.behaviour.diff.effects import FALLBACK, Effect, EffectRow
from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.model.change import Action
from reconciler.core.model.rule import Source
from reconciler.core.plan.clauses import FEW_VALUES, clauses_phrase
from reconciler.core.plan.edits import EditedRule
from reconciler.core.plan.flows import Flow, shown_flows
from reconciler.core.plan.headline import headline
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.routing_table import entry_name, types_phrase
from reconciler.core.plan.traffic_shares import EffectShare, QueueShare, ShareRange
from reconciler.core.plan.words import (
    ALL_VALUES,
    DEFAULT_ROUTING,
    Names,
    intents_of_rule,
    listed_intents,
    name_with_id,
    row_phrases,
    share_phrase,
    target_name,
    total_share_phrase,
    two_destinations,
)
from reconciler.core.text.escape import join_all, pluralize, sanitize
from reconciler.core.text.phrases import Labels, conversation_phrase
from reconciler.render.edit_words import (
    edit_sign,
    equal_edit_texts,
    is_move,
    most_telling,
    renamed_text,
    renaming_phrase,
    shorten_new_rule,
)
from reconciler.render.row_order import row_blocks
from reconciler.render.rule_names import EARLIER_KEEP, EARLIER_TAKE, RuleNamer

OTHERS_UNCHANGED: Final = "Everyone else: no change (proven)."
FIRST_FITS: Final = "First match wins."
UNKNOWN_NOTE: Final = (
    "Not known: the rules overlap in too many ways, and the analysis stopped at its bound "
    "for"
)
WAITING_NOTE: Final = (
    "The tenant's settings decide whether conversations that already wait are routed "
    "again."
)
_MAX_FLOWS: Final = 8
_MAX_COUNTERPARTS: Final = 2
_MAX_QUIET: Final = 5
_MAX_UNKNOWN: Final = 5
_FLOW_INTENTS: Final = 2
_FEW_INTENTS: Final = 3
ALL_OTHERS: Final = "all others"
MARKER: Final = "its marker alone"
"""What an update without a field that differs writes."""
NO_LONGER_MATCHED: Final = "no longer matched"
NEWLY_MATCHED: Final = "newly matched"
ANOTHER_QUEUE: Final = "another queue"
OTHER_QUEUES: Final = "other queues"
ANOTHER_SPLIT: Final = "another split"
_SAME: Final = "..."
_THEIR: Final = "their"
"""Before the number of intents of a row that has all intents of the edited rules."""
_THE_SAME: Final = "the same"
"""Before the number of intents of a row whose list a row above has; no other list is as long."""
OTHER_TYPES_PLACE: Final = ", which -v and JSON list"
"""The end of the note about rows that a text without details leaves out."""
_FEW_ROWS: Final = 3
"""So many rows of an effect have each single queue in full; with more rows, `...` stands for an
equal one above."""
_FEW_REPEATED: Final = 2
"""So many equal conditions are written once; fewer ones if they have many words."""
_MANY_WORDS: Final = 3
_FEWEST_COMMON: Final = 2
"""So many effects have a note in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowText:
    """Conversations that go to another queue, in words.

    Rows are read from the top. `...` stands for all conditions but the last one of the nearest row
    above that is written in full; of a route, for the same place of the row above.
    """

    number: int  # of the row in its effect
    callers: str
    phrases: tuple[str, ...]
    repeated: int = 0  # number of the first phrases for which `...` stands
    before: str = ""
    after: str = ""
    # the route as an edit that leaves its names to this row: `another queue`, `another split`
    redirect: str
    share: str  # `1.9 %`; empty without a sample
    by: str  # who takes them instead: `by general/catch-all`; empty if the same rule does
    example: str  # empty: `no_example` says why
    no_example: str
    short_before: str = ""  # `...` for what the row above has, too
    short_after: str = ""
    all_callers: str = ""  # with every value of each list; empty if `callers` has them

    @property
    def short_callers(self) -> str:
        """Return the conversations, with `...` for the conditions that rows above have, too."""
        if not self.repeated:
            return self.callers
        return ", ".join([_SAME, *(self.phrases[self.repeated :] or (ALL_OTHERS,))])

    @property
    def route(self) -> str:
        """Return `"Card Services" -> "General"`."""
        return f"{self.before} -> {self.after}"

    @property
    def short_route(self) -> str:
        """Return the route, with `...` for a place that the row above has, too."""
        before = self.short_before or self.before
        after = self.short_after or self.after
        return f"{before} -> {after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberText:
    """A rule of an effect: its name and place."""

    name: str
    source: Source | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectText:
    """An edit and its consequence."""

    sign: Action  # as in `SYMBOLS`
    subject: str  # `cards/pin-blocked`, or `10 rules of cards/`
    edits: tuple[str, ...]  # `queue "Card Services" -> "Fraud Desk"`
    members: tuple[MemberText, ...]
    share: str
    rows: tuple[RowText, ...]
    notes: tuple[str, ...]  # sentences about earlier rules

    @property
    def short_edits(self) -> tuple[str, ...]:
        """Return what was edited, without queues that a row below says in full."""
        routes = {f"queue {row.route}": row.redirect for row in self.rows if not row.by}
        destinations = {row.after for row in self.rows}
        return tuple(
            routes.get(edit) or shorten_new_rule(edit, destinations)
            for edit in self.edits
        )

    @property
    def says_route(self) -> bool:
        """Return whether the edit says, in full, where the callers of all rows go."""
        if any(row.by for row in self.rows):
            return False
        routes = {row.route for row in self.rows}
        return len(routes) == 1 and any(
            edit.endswith(f"queue {route}") for edit in self.edits for route in routes
        )

    @property
    def line_edits(self) -> tuple[str, ...]:
        """Return what was edited; splits that only a row below says in full are left to it."""
        if self.says_route:
            return self.edits
        return tuple(
            edit if short == ANOTHER_QUEUE else short
            for edit, short in zip(self.edits, self.short_edits, strict=True)
        )

    @property
    def source(self) -> Source | None:
        """Return the place of the edit, if it is one rule's."""
        if len(self.members) != 1:
            return None
        return self.members[0].source


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


Extent = Literal["all", "flows"]
"""What is written about a large change: all effects, or flows in their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsSummary:
    """What a change does to conversations, in words, in reading order."""

    headline: str
    share: str = ""  # `3.1 % of callers of "sample.csv"`
    count: int = 0  # of the effects
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

    @property
    def common_notes(self) -> tuple[str, ...]:
        """Return the sentences about earlier rules that several effects have, and all of them."""
        if len(self.effects) < _FEWEST_COMMON:
            return ()
        first, *others = self.effects
        return tuple(
            note
            for note in first.notes
            if note.startswith((EARLIER_KEEP, EARLIER_TAKE))
            and all(note in effect.notes for effect in others)
        )


def summarize_effects(
    impact: Impact,
    names: Names,
    labels: Labels,
    promises: Iterable[PromiseResult] = (),
    values: int = FEW_VALUES,
    extent: Extent = "all",
) -> EffectsSummary:
    """Return the effects in words; `values` of each list are written, with `ALL_VALUES` every one.

    With the extent `flows`, flows stand in place of the effects, of which a large plan has
    thousands.
    """
    behaviour = impact.behaviour
    writer = _EffectWriter(impact, names, labels, values)
    flows = shown_flows(impact, labels)
    hidden = flows[_MAX_FLOWS:]
    balance, balance_note = _balance(impact, names)
    return EffectsSummary(
        headline=headline(impact, names, labels, promises, flows),
        share=_total_text(impact) if behaviour.effects else "",
        count=len(behaviour.effects),
        effects=writer.write_all() if extent == "all" or not flows else (),
        flows=tuple(map(writer.flow, flows[:_MAX_FLOWS])),
        more_flows=f"and {pluralize(len(hidden), 'more flow')}" if hidden else "",
        quiet=_quiet_text(impact),
        balance=balance,
        balance_note=balance_note,
        unknown=_unknown_texts(impact, labels),
        premise=premise(impact, labels),
        closing=_closing(impact),
    )


def _closing(impact: Impact) -> str:
    """Return how rows are read, where that matters, and that everyone else is unchanged."""
    effects = impact.behaviour.effects
    is_ordered = any(effect.depends_on_order for effect in effects)
    sentences = [FIRST_FITS] * is_ordered + [OTHERS_UNCHANGED] * bool(
        effects and impact.behaviour.complete
    )
    return " ".join(sentences)


def premise(impact: Impact, labels: Labels) -> str:
    """Return the known types on which the result depends, as a sentence, or an empty text."""
    types = impact.behaviour.rests_on
    return f"This holds where {types_phrase(types, labels)}." if types else ""


def _total_text(impact: Impact) -> str:
    if impact.traffic is None:
        return ""
    sample = impact.traffic.sample
    return f"{total_share_phrase(impact)} of {sanitize(sample.period or sample.name)}"


def _unknown_texts(impact: Impact, labels: Labels) -> tuple[str, ...]:
    undecided = impact.behaviour.undecided
    texts = [clauses_phrase(clauses, labels) for clauses in undecided[:_MAX_UNKNOWN]]
    further = len(undecided) - len(texts)
    if further:
        texts.append(
            f"and {pluralize(further, 'further case')}; --format json lists all."
        )
    return tuple(texts)


def _quiet_edits(impact: Impact) -> list[EditedRule]:
    """Return the edits that move nobody, one of each renaming; of the others none whose rule takes
    a conversation that moves.
    """
    rules = RuleNamer(impact)
    loud = {number for effect in impact.behaviour.effects for number in effect.edits}
    told = {impact.edits[number].renaming for number in loud if number != FALLBACK} - {
        None
    }
    quiet = []
    for number, edited in enumerate(impact.edits):
        if edited.renaming:
            if edited.renaming not in told:
                told.add(edited.renaming)
                quiet.append(edited)
        elif number not in loud and not rules.takes_part(edited.entry):
            quiet += [edited] * (not edited.is_copy)
    return quiet


def _quiet_text(impact: Impact) -> str:
    """Return the edits that move nobody in one line; the headline says it if no edit moves
    anyone.
    """
    quiet = _quiet_edits(impact)
    if not quiet or not impact.behaviour.complete:
        return ""
    texts = list(map(_quiet_edit, quiet))
    shown = ", ".join(texts[:_MAX_QUIET])
    hidden = len(texts[_MAX_QUIET:])
    if hidden:
        shown += f" and {hidden} more"
    if not impact.behaviour.effects:
        return f"Edited: {shown}."
    verb = "moves" if len(quiet) == 1 else "move"
    return f"{pluralize(len(quiet), 'further edit')} {verb} nobody (proven): {shown}."


def _quiet_edit(edited: EditedRule) -> str:
    """Return an edit in a few words; both halves of a renaming have the same ones."""
    if edited.renaming:
        return renaming_phrase(edited.renaming)
    name = entry_name(edited.entry)
    text = renamed_text(edited)
    if text:
        return f"{name} ({text})"
    fields = dict.fromkeys(sanitize(field.name) for field in edited.fields)
    action = MARKER if edited.action == "update" else edited.action
    return f"{name} ({', '.join(fields) or action})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditions:
    """The conditions of a row in the order in which they are written."""

    whole: tuple[str, ...]  # by which rows are compared
    shown: tuple[str, ...]  # a long list of intents perhaps as their number


@dataclass(frozen=True, slots=True, kw_only=True)
class _PhrasedRow:
    """A row, the intents that it lists, and its conditions in words: these intents first."""

    row: EffectRow
    intents: tuple[str, ...]
    phrases: tuple[str, ...]

    def in_order(
        self, counts: Mapping[str, int], *, begins_with_intents: bool
    ) -> tuple[str, ...]:
        """Return the conditions, those that most rows have first."""
        ordered = sorted(self.phrases, key=lambda text: -counts[text])
        if self.intents and begins_with_intents:
            first = self.phrases[0]
            ordered.remove(first)
            ordered.insert(0, first)
        return tuple(ordered)

    def conditions(self, ordered: tuple[str, ...], number: str) -> _Conditions:
        """Return the conditions in this order; a number may replace the intents."""
        shown = list(ordered)
        position = shown.index(self.phrases[0])
        if number:
            shown[position] = number
        elif self.intents and position > 0:
            # Only at the beginning of a row is a list of intents clear without a name.
            shown[position] = f"intent {self.phrases[0]}"
        return _Conditions(whole=ordered, shown=tuple(shown))


class _EffectWriter:
    def __init__(
        self,
        impact: Impact,
        names: Names,
        labels: Labels,
        values: int,
    ) -> None:
        self._impact = impact
        self._names = names
        self._labels = labels
        self._values = values
        self._rules = RuleNamer(impact, every=values >= ALL_VALUES)

    def write_all(self) -> tuple[EffectText, ...]:
        """Return all effects in words."""
        return tuple(
            self._write(effect, share) for effect, share in self._impact.effects
        )

    def _write(self, effect: Effect, share: EffectShare) -> EffectText:
        edits = self._edits_of(effect)
        numbers = {id(row): number for number, row in enumerate(effect.rows)}
        notes = self._rules.leading_notes(effect)
        rows = effect.rows
        other_type_rows = [row for row in rows if row.other_type]
        if other_type_rows and self._values < ALL_VALUES:
            rows = tuple(row for row in rows if not row.other_type)
            notes.append(self._other_type_note(other_type_rows))
        blocks = row_blocks(rows, self._labels)

        texts = equal_edit_texts(edits, self._names, self._labels)
        return EffectText(
            sign=edit_sign(most_telling(edits)),
            subject=_subject(edits),
            edits=tuple(texts),
            members=tuple(map(_member, edits)),
            share=_optional_share(share.total),
            rows=tuple(self._rows(blocks, edits, numbers, share)),
            notes=tuple(notes),
        )

    def _edits_of(self, effect: Effect) -> list[EditedRule]:
        """Return the edits that words about an effect name: of a rule that moves to another
        address, the one that creates it there.
        """
        numbers = {number for number in effect.edits if number != FALLBACK}
        edits = [self._impact.edits[number] for number in sorted(numbers)]
        if not edits or not is_move(edits[0]):
            return edits
        renamings = {edited.renaming for edited in edits}
        return [
            edited
            for edited in self._impact.edits
            if edited.renaming in renamings and edited.edit.after
        ]

    def _rows(
        self,
        blocks: Sequence[Sequence[EffectRow]],
        edits: Sequence[EditedRule],
        numbers: Mapping[int, int],
        shares: EffectShare,
    ) -> Iterator[RowText]:
        """Yield the rows in words; `numbers` has the number of each row by its identity."""
        head: tuple[str, ...] = ()
        above = ("", "")
        may_be_short = _is_split if sum(map(len, blocks)) <= _FEW_ROWS else _always
        for row, conditions in self._conditions(blocks, edits):
            repeated = _repeated(head, conditions.whole)
            head = head if repeated else conditions.whole
            routes = two_destinations(row.before, row.after, self._names)
            short_routes = _short_route(row, routes, above, may_be_short)
            above = routes
            number = numbers[id(row)]
            text = self._row_text(row, number, conditions.shown, shares)
            yield replace(
                text,
                repeated=repeated,
                before=routes[0],
                after=routes[1],
                short_before=short_routes[0],
                short_after=short_routes[1],
            )

    def _row_text(
        self,
        row: EffectRow,
        number: int,
        shown: Sequence[str],
        shares: EffectShare,
    ) -> RowText:
        """Return a row in words, without the parts that depend on the rows above."""
        exclusions = tuple(self._exclusions(row))
        phrases = (*shown, *exclusions)
        return RowText(
            number=number,
            callers=", ".join(phrases),
            phrases=phrases,
            redirect=_redirect(row),
            share=_optional_share(shares.rows[number]),
            by=self._by(row),
            example=self._example(row),
            no_example=row.example.reason,
            all_callers=self._all_callers(row, phrases, exclusions),
        )

    def _example(self, row: EffectRow) -> str:
        example = row.example
        if example.reason:
            return ""
        return conversation_phrase(example.attributes, self._labels, example.absent)

    def _all_callers(
        self,
        row: EffectRow,
        phrases: Sequence[str],
        exclusions: Sequence[str],
    ) -> str:
        """Return the callers of a row with all values; empty if the phrases have them."""
        all_phrases = (*row_phrases(row, self._labels, ALL_VALUES), *exclusions)
        if sorted(all_phrases) == sorted(phrases):
            return ""
        return ", ".join(all_phrases)

    def _conditions(
        self, blocks: Sequence[Sequence[EffectRow]], edits: Sequence[EditedRule]
    ) -> Iterator[tuple[EffectRow, _Conditions]]:
        """Yield each row with its conditions in words, those that most rows have first."""
        own = self._own_intents(edits)
        phrased = [list(map(self._phrase, block)) for block in blocks]
        rows = list(chain.from_iterable(phrased))
        sizes = Counter(map(len, {row.intents for row in rows}))
        counts = Counter(chain.from_iterable(row.phrases for row in rows))

        listed_before: set[tuple[str, ...]] = set()
        for block in phrased:
            is_alike = len(block) > 1 and len({row.intents for row in block}) == 1
            for row in block:
                number = self._number_of_intents(row.intents, own, listed_before, sizes)
                listed_before.add(row.intents)
                ordered = row.in_order(counts, begins_with_intents=is_alike)
                yield row.row, row.conditions(ordered, number)

    def _phrase(self, row: EffectRow) -> _PhrasedRow:
        return _PhrasedRow(
            row=row,
            intents=tuple(listed_intents(row, self._labels)),
            phrases=row_phrases(row, self._labels, self._values),
        )

    def _number_of_intents(
        self,
        intents: tuple[str, ...],
        own: AbstractSet[str],
        seen: AbstractSet[tuple[str, ...]],
        sizes: Mapping[int, int],
    ) -> str:
        """Return a number in place of a long list that the edit or a row above has; an empty text
        for other lists.
        """
        count = len(intents)
        if own and own == set(intents):
            return f"{_THEIR} {count} intents"

        is_long = count > _FEW_INTENTS and self._values < ALL_VALUES
        if is_long and intents in seen and sizes[count] == 1:
            return f"{_THE_SAME} {count} intents"
        return ""

    def _own_intents(self, edits: Sequence[EditedRule]) -> set[str]:
        """Return the intents of several rules, if they are too many to list; an empty set if the
        edit changes them.
        """
        if len(edits) == 1 or self._values >= ALL_VALUES:
            return set()
        before, after = (
            {
                intent
                for edited in edits
                if (entry := getattr(edited.edit, side)) is not None
                for intent in intents_of_rule(entry.rule, self._labels)
            }
            for side in ("before", "after")
        )
        same = (
            before
            if not after
            else after
            if not before or before == after
            else set[str]()
        )
        return same if len(same) > _FEW_INTENTS else set()

    def _exclusions(self, row: EffectRow) -> Iterator[str]:
        """Yield what a row excludes, besides the rows above and the rules of the note."""
        if row.own_version:
            yield NEWLY_MATCHED if row.kind == "takes" else NO_LONGER_MATCHED
        if row.besides:
            yield f"except those of {self._rules.folded(row.besides, 'and')}"

    def _by(self, row: EffectRow) -> str:
        if row.kind == "redirects":
            return ""
        entries = [None if rule is None else rule.entry for rule in row.counterpart]
        names = list(dict.fromkeys(map(entry_name, entries)))
        if names == [entry_name(None)]:
            return ""  # the destination says it: the default routing
        limit = len(names)
        if limit > _MAX_COUNTERPARTS and self._values < ALL_VALUES:
            limit = _MAX_COUNTERPARTS - 1
        text = ", ".join(names[:limit])
        if len(names) > limit:
            text += f" and {len(names) - limit} more"
        word = "from" if row.kind == "takes" else "by"
        return f"{word} {text}"

    def _other_type_note(self, rows: Sequence[EffectRow]) -> str:
        attributes = dict.fromkeys(
            self._labels.name(name) for row in rows for name in row.other_type
        )
        return (
            f"Also some conversations in which {join_all(attributes, 'or')} is of another type, "
            f"text or number,"
            f" than the rules compare it with: {pluralize(len(rows), 'row')}{OTHER_TYPES_PLACE}"
        )

    def flow(self, flow: Flow) -> FlowText:
        """Return a flow in words."""
        before, after = two_destinations(flow.before, flow.after, self._names)
        rules = len(flow.edits)
        names, few = self._flow_intents(flow)
        return FlowText(
            before=before,
            after=after,
            share=_optional_share(flow.share),
            intents=few if names in ("", few) else f"{few}: {names}, ...",
            few_intents=few,
            rules=pluralize(rules, "rule") if rules else "the endpoint's fallback",
        )

    def _flow_intents(self, flow: Flow) -> tuple[str, str]:
        """Return the names of the largest intents, and the number of all, or the names again if
        there are few.
        """
        if flow.is_open:
            return "", "any intent"
        attribute = next(
            (name for name, short in self._labels.short.items() if short == "intent"),
            "",
        )
        largest = [intent for intent, _ in flow.intents.most_common(_FLOW_INTENTS)]
        names = ", ".join(map(partial(self._labels.plain_value, attribute), largest))
        count = len(flow.intents)
        return names, names if count <= len(largest) else pluralize(count, "intent")


def _optional_share(share: ShareRange | None) -> str:
    return share_phrase(share) if share else ""


def _member(edited: EditedRule) -> MemberText:
    return MemberText(name=entry_name(edited.entry), source=edited.source)


def _repeated(head: Sequence[str], phrases: Sequence[str]) -> int:
    """Return how many first conditions `...` can stand for: all but the last one of the row written
    in full.
    """
    count = len(head) - 1
    common = tuple(head[:count])
    if count < 1 or tuple(phrases[:count]) != common:
        return 0
    words = " ".join(common).split()
    if count < _FEW_REPEATED and len(words) < _MANY_WORDS:
        return 0
    return count


def _short_route(
    row: EffectRow,
    route: tuple[str, str],
    above: tuple[str, str],
    may_be_short: Callable[[Destination], bool],
) -> tuple[str, str]:
    """Return a route with `...` for what the row above has, too, but not for both ends."""
    before, after = route
    before_above, after_above = above
    if before == before_above and after != after_above and may_be_short(row.before):
        return _SAME, after
    if after == after_above and may_be_short(row.after):
        return before, _SAME
    return route


def _always(_destination: Destination) -> bool:
    return True


def _is_split(destination: Destination) -> bool:
    return destination is not None and len(destination) > 1


def _redirect(row: EffectRow) -> str:
    """Return what the route of a row is, without the names of its queues."""
    before, after = (
        {queue for queue, _ in place or ()} for place in (row.before, row.after)
    )
    if len(before) == len(after) == 1:
        return ANOTHER_QUEUE
    return ANOTHER_SPLIT if before == after else OTHER_QUEUES


def _subject(edits: Sequence[EditedRule]) -> str:
    if not edits:
        return "the endpoint's fallback"
    if len(edits) == 1:
        return entry_name(edits[0].entry)
    address = edits[0].entry.address
    place = f" of {sanitize(address.ruleset)}/" if address else ""
    return f"{len(edits)} rules{place}"


def _balance(impact: Impact, names: Names) -> tuple[tuple[QueueText, ...], str]:
    """Return the queues whose change the sample determines, and the number of the others."""
    if impact.traffic is None:
        return (), ""
    touched = _touched_queues(impact)
    balance = [
        item
        for item in impact.traffic.balance
        if item.queue in touched or impact.behaviour.undecided
    ]
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
    return tuple(
        texts
    ), f"{pluralize(rest, 'queue')}: the sample does not say" if rest else ""


def _touched_queues(impact: Impact) -> set[str | None]:
    queues: set[str | None] = set()
    for effect in impact.behaviour.effects:
        for row in effect.rows:
            for split in (row.before, row.after):
                if split is None:
                    queues.add(None)
                else:
                    queues.update(dict(split) or ("",))
    return queues


def _is_known(item: QueueShare) -> bool:
    """Return whether a change has one sign."""
    return (
        item.change.least == item.change.most
        or item.change.least > 0
        or item.change.most < 0
    )


def _queue_label(item: QueueShare, names: Names) -> str:
    if item.queue:
        return target_name(item.queue, names)
    return DEFAULT_ROUTING if item.queue is None else "no queue"
