"""Effects: which edit moves which conversations.

A row names the rules that come earlier, and does not unfold them.

A row of an effect is a set of conversations: all that satisfy its conditions, without those that
earlier rules match. Each pair of winners is a row at first: the common box of both rules, and the
rules before them. Its cause is the edited rule of the pair. Rows of one effect that differ in one
attribute become one row where that stays exact.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, combinations
from typing import Final, Literal, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.diff.reading import (
    MAX_CHECKS,
    RowBox,
    RowReader,
    RuleBox,
    Side,
    is_taken,
)
from reconciler.core.behaviour.diff.regions import RegionFormatter
from reconciler.core.behaviour.diff.winners import DEFAULT_RANK, RankPair, WinnerPairs
from reconciler.core.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    evaluation_key,
)
from reconciler.core.behaviour.space.boxes import (
    Box,
    intersect_box,
    is_inside,
    overlaps,
)
from reconciler.core.behaviour.space.clauses import Clause, is_expressible
from reconciler.core.behaviour.space.domain import (
    REST,
    ValueSet,
    covers,
    intersect,
    subtract,
)
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import MAX_NARROW_VALUES, Example
from reconciler.core.behaviour.space.usual_examples import FurtherRule, UsualExamples
from reconciler.core.model.grouping import group_pairs

Kind = Literal["redirects", "takes", "releases", "fallback"]
When = Literal["before", "after", "both", "between"]

FALLBACK: Final = -1
"""The number of the edit of the endpoint's fallback."""
_Place = tuple[bool, float, str, str]
"""The place of a rule in the order of evaluation, in either list; that of the default routing is
the last."""
_LAST: Final[_Place] = (True, 0.0, "", "")
_MAX_COMPARED: Final = 60  # rules or rows that are compared with each other, one by one
# earlier rules that together may match all that another one matches
_MAX_COVERING: Final = 12
_MAX_PIECES: Final = 100  # of a box, to find that out
_MAX_CHECKS: Final = 200_000  # rows times earlier rules of one merge


class Edit(NamedTuple):
    """An edited rule as it is before and after; None: it is not there.

    Equal edits have one `group`, and so have the deletion and the creation of a rule that moves to
    another address.
    """

    before: RoutingEntry | None
    after: RoutingEntry | None
    group: Hashable


def _matching(entry: RoutingEntry | None) -> Hashable:
    """Return what decides which conversations a rule takes, except its name, which decides between
    equal priorities.
    """
    if entry is None or not entry.rule.enabled:
        return None
    return entry.rule.conditions, entry.rule.priority


class EditSet(NamedTuple):
    """All rules that differ between two lists; `middle` are the old rules behind a changed fallback
    of the endpoint.
    """

    edits: Sequence[Edit]
    middle: Iterable[RoutingEntry] | None = None


class NamedRule(NamedTuple):
    """A rule that a row names, and the list that has it; `both`: with equal conditions and
    priority, `between`: no list has the rule's conditions of today behind the new fallback.
    """

    entry: RoutingEntry
    when: When


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """Conversations with all of `where` that no rule of `earlier` matches: each goes from `before`
    to `after`.
    """

    kind: Kind
    where: tuple[Clause, ...]
    earlier: tuple[NamedRule, ...]
    counterpart: tuple[NamedRule | None, ...]  # None: the default routing
    before: Destination
    after: Destination
    example: Example
    # the rules that take the conversations before or afterwards
    winners: tuple[RoutingEntry | None, ...]
    # attributes with a value of another type than any rule compares them with
    other_type: tuple[str, ...] = ()
    # of `earlier`, what a reader of the rows must know of this row alone
    besides: tuple[NamedRule, ...] = ()
    # without what the edited rules match in the list that has the counterpart
    own_version: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What some equal edits move. `edits` are the numbers of those that move a conversation.

    Rows can be read from the top, like rules: a conversation that a rule of `leading` matches is in
    no row. Any other one is in the first row whose `where` holds, if no rule of `besides` matches
    it, and with `own_version` no edited rule.
    """

    edits: tuple[int, ...]
    rows: tuple[EffectRow, ...]
    leading: tuple[NamedRule, ...] = ()
    # two rows fit one conversation, and the second one is not a last row for all others
    depends_on_order: bool = False


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A row before it is formatted. Rules are numbers of `_RuleBook`."""

    edits: frozenset[int]
    kind: Kind
    before: Destination
    after: Destination
    box: Box
    earlier: frozenset[int]
    # further rules that come earlier; what they match in the box, `earlier` match, too
    contained: frozenset[int]
    counterparts: frozenset[int]
    takers: frozenset[int]  # the rules that take the conversations before or afterwards
    place: _Place  # of the rule that takes them afterwards, or for `takes` today
    example: Box


class _NamedDraft(NamedTuple):
    """A draft, and the earlier rules that its row names."""

    draft: _Draft
    earlier: AbstractSet[int]


class _Cause(NamedTuple):
    edit: int
    kind: Kind


_NO_RULE: Final = -1
_WHEN: Final[Mapping[tuple[bool, bool], When]] = {
    (True, False): "before",
    (False, True): "after",
    (True, True): "both",
    (False, False): "between",
}
_MIDDLE: Final = 2  # of the lists of `_RuleBook`, the old one behind the new fallback


class _RankedRules(NamedTuple):
    """Rules of a list by rank, with their numbers."""

    ranks: list[int]
    numbers: list[int]


class _RuleBook:
    """The rules that rows name, by number: a rule with equal conditions and priority in both lists
    is one.
    """

    def __init__(
        self,
        pairs: WinnerPairs,
        edits: Iterable[Edit],
        middle: PivotSlices | None,
        evaluation: Evaluation,
    ) -> None:
        self.rules: list[RuleBox] = []
        self._evaluation: Evaluation = evaluation
        self._named: dict[int, NamedRule] = {}
        self._general: dict[Hashable, tuple[_RankedRules, _RankedRules]] = {}
        self._places: dict[int, _Place] = {_NO_RULE: _LAST}
        self._space = pairs.space
        self._lists = (pairs.old, pairs.new, *([middle] if middle else []))
        self._edit_of = _number_edits(edits)
        self._number_of: dict[Hashable, int] = {}
        self._numbers: dict[tuple[int, int], int] = {}

    def edit_of(self, entry: RoutingEntry | None) -> int | None:
        """Return the number of a rule's edit; None if it is not edited."""
        if entry is None:
            return None
        return self._edit_of.get(id(entry.whole))

    def number(self, side: int, rank: int) -> int:
        """Return the number of a rule of a list."""
        place = side, rank
        if place not in self._numbers:
            slices = self._lists[side]
            entry = slices.entries[rank]
            key = self._identity(entry), entry.rule.conditions
            if key not in self._number_of:
                self._number_of[key] = len(self.rules)
                box = self._space.box(slices.boxes[rank])
                self.rules.append(RuleBox(entry, box, self.edit_of(entry)))
            self._numbers[place] = self._number_of[key]
        return self._numbers[place]

    def place_of_rank(self, side: int, rank: int) -> _Place:
        """Return the place of a rule of a list in the order of evaluation."""
        entries = self._lists[side].entries
        if rank >= len(entries):
            return _LAST
        return (False, *evaluation_key(entries[rank], self._evaluation))

    def place(self, number: int) -> _Place:
        """Return the place of a rule in the order of evaluation."""
        place = self._places.get(number)
        if place is None:
            key = evaluation_key(self.rules[number].entry, self._evaluation)
            place = self._places[number] = (False, *key)
        return place

    def name(self, number: int) -> NamedRule:
        """Return a rule, and the lists that have it."""
        if number not in self._named:
            entry = self.rules[number].entry
            old_entries, new_entries = self._entries_by_identity
            lists = self._has(old_entries, entry), self._has(new_entries, entry)
            self._named[number] = NamedRule(entry, _WHEN[lists])
        return self._named[number]

    def _has(
        self,
        entries: Mapping[Hashable, Sequence[RoutingEntry]],
        entry: RoutingEntry,
    ) -> bool:
        conditions = entry.rule.conditions
        candidates = entries.get(self._identity(entry), ())
        return any(candidate.rule.conditions == conditions for candidate in candidates)

    def parts(self, number: int) -> Iterable[int]:
        """Return the numbers of all boxes of a rule with these conditions, in both lists."""
        key = self._whole_key(self.rules[number].entry)
        return [self.number(*place) for place in self._places_of_rule[key]]

    def versions(self, edit: int, side: Side) -> Iterable[int]:
        """Return the numbers of all boxes of an edited rule in a list."""
        wanted_side = 0 if side == "before" else 1
        places = self._places_of_edit.get(edit, ())
        ranks = [rank for number, rank in places if number == wanted_side]
        return [self.number(wanted_side, rank) for rank in ranks]

    @cached_property
    def _places_of_rule(self) -> Mapping[Hashable, Sequence[tuple[int, int]]]:
        places: dict[Hashable, list[tuple[int, int]]] = {}
        for entry, place in self._all_places():
            places.setdefault(self._whole_key(entry), []).append(place)
        return places

    @cached_property
    def _places_of_edit(self) -> Mapping[int, Sequence[tuple[int, int]]]:
        places: dict[int, list[tuple[int, int]]] = {}
        for entry, place in self._all_places():
            edit = self.edit_of(entry)
            if edit is not None:
                places.setdefault(edit, []).append(place)
        return places

    def _all_places(self) -> Iterator[tuple[RoutingEntry, tuple[int, int]]]:
        for side, slices in enumerate(self._lists):
            for rank, entry in enumerate(slices.entries):
                place = side, rank
                yield entry, place

    def _whole_key(self, entry: RoutingEntry) -> Hashable:
        whole = entry.whole
        return self._identity(whole), whole.rule.conditions

    def _identity(self, entry: RoutingEntry) -> Hashable:
        """Return what is equal for a rule of both lists; the conditions may still differ, or be
        those of a part.
        """
        edit = self.edit_of(entry)
        return entry.whole.name if edit is None else edit, entry.rule.priority

    @cached_property
    def _entries_by_identity(
        self,
    ) -> Sequence[Mapping[Hashable, Sequence[RoutingEntry]]]:
        return [
            group_pairs((self._identity(entry), entry) for entry in slices.entries)
            for slices in self._lists[:2]
        ]

    def overlapping_before(self, side: int, rank: int, box: Box) -> set[int]:
        """Return the numbers of the rules of a list before a rank that match a part of a box."""
        slices = self._lists[side]
        if rank == 0 or not slices.entries:
            return set()
        values = box.get(self._space.pivot)
        mask = REST if values is None else values[0]
        if mask & REST or mask.bit_count() > MAX_NARROW_VALUES:
            return self._overlapping(side, range(min(rank, len(slices.entries))), box)

        atoms = list(bits(mask))
        named_ranks: set[int] = set()
        for atom in atoms:
            ranks = slices.ranks_by_atom.get(atom, ())
            named_ranks.update(ranks[: bisect_left(ranks, rank)])
        named = self._overlapping(side, named_ranks, box)
        return named | self._general_rules_before(side, rank, box, atoms)

    def _general_rules_before(
        self,
        side: int,
        rank: int,
        box: Box,
        atoms: Sequence[int],
    ) -> set[int]:
        """Return the overlapping rules with most values of the pivot, some of the atoms included."""
        slices = self._lists[side]
        always, sometimes = self._general_rules(side, box)
        general = set(always.numbers[: bisect_left(always.ranks, rank)])
        for earlier, number in zip(*sometimes, strict=True):
            if earlier < rank and any(slices.holds(atom, earlier) for atom in atoms):
                general.add(number)
        return general

    def _overlapping(self, side: int, ranks: Iterable[int], box: Box) -> set[int]:
        overlapping: set[int] = set()
        for rank in ranks:
            number = self.number(side, rank)
            if overlaps(box, self.rules[number].box):
                overlapping.add(number)
        return overlapping

    def _general_rules(self, side: int, box: Box) -> tuple[_RankedRules, _RankedRules]:
        """Return the rules with most values of the pivot that match a part of a box, apart from the
        pivot.

        First those with every value of it, then the others.
        """
        rest = {
            attribute: part
            for attribute, part in box.items()
            if attribute != self._space.pivot
        }
        key = side, frozenset(rest.items())
        if key not in self._general:
            always = _RankedRules([], [])
            sometimes = _RankedRules([], [])
            for rank in self._lists[side].general_ranks:
                number = self.number(side, rank)
                rule = self.rules[number].box
                if overlaps(rest, rule):
                    kind = sometimes if self._space.pivot in rule else always
                    kind.ranks.append(rank)
                    kind.numbers.append(number)
            self._general[key] = always, sometimes
        return self._general[key]


def _number_edits(edits: Iterable[Edit]) -> dict[int, int]:
    """Return the number of each edit, by the identity of its rule before and after."""
    number_of: dict[int, int] = {}
    for number, edit in enumerate(edits):
        for entry in (edit.before, edit.after):
            if entry is not None:
                number_of[id(entry)] = number
    return number_of


def _outermost(boxes: Mapping[int, Box]) -> frozenset[int]:
    """Return the numbers of the boxes that are not inside of another one; of equal boxes, that of
    the first one.
    """
    kept: dict[int, Box] = {}
    for number in sorted(boxes, key=lambda number: len(boxes[number])):
        if not any(is_inside(boxes[number], outer) for outer in kept.values()):
            kept = {
                other: box
                for other, box in kept.items()
                if not is_inside(box, boxes[number])
            }
            kept[number] = boxes[number]
    return frozenset(kept)


def _depend_on_order(boxes: Sequence[Box]) -> bool:
    """Return whether two boxes overlap, unless the second one is the last and larger.

    Many are not compared.
    """
    if len(boxes) > _MAX_COMPARED:
        return True
    for first, second in combinations(boxes, 2):
        if not overlaps(first, second):
            continue
        is_last = second is boxes[-1]
        if not (is_last and first != second and is_inside(first, second)):
            return True
    return False


class EffectBuilder:
    """Builds the effects of the edits between two lists; `middle` is the old list behind a changed
    fallback.
    """

    def __init__(
        self,
        pairs: WinnerPairs,
        formatter: RegionFormatter,
        edits: Sequence[Edit],
        middle: PivotSlices | None,
        evaluation: Evaluation,
    ) -> None:
        self._pairs = pairs
        self._space = pairs.space
        self._formatter = formatter
        self._edits = edits
        self._middle = middle
        self._book = _RuleBook(pairs, edits, middle, evaluation)
        self._usual_examples = UsualExamples(pairs)
        self._checks_left = MAX_CHECKS

    def build(self) -> list[Effect]:
        """Return the effects, each with disjoint rows in the order of evaluation."""
        drafts: dict[Hashable, list[_Draft]] = {}
        pairs = {*self._pairs.narrow, *self._pairs.wide}
        for draft in chain.from_iterable(map(self._drafts_of, sorted(pairs))):
            (edit,) = draft.edits
            group: Hashable = FALLBACK
            if edit != FALLBACK:
                group = (self._edits[edit].group,)
            drafts.setdefault(group, []).append(draft)
        return [self._effect(group) for group in drafts.values()]

    def _effect(self, drafts: Sequence[_Draft]) -> Effect:
        edits = sorted(set(chain.from_iterable(draft.edits for draft in drafts)))
        named = list(map(self._named, self._merged(drafts)))
        named.sort(key=lambda row: row.draft.place)
        reader = self._reader(named, edits)
        rows = zip(named, reader.besides, reader.own_versions, strict=True)
        boxes = [row.draft.box for row in named]
        return Effect(
            edits=tuple(edits),
            rows=tuple(self._format(*row) for row in rows),
            leading=self._wholes(reader.leading),
            depends_on_order=_depend_on_order(boxes),
        )

    def _merged(self, drafts: Sequence[_Draft]) -> Sequence[_Draft]:
        """Return the rows of an effect, merged."""
        if len(drafts) == 1:
            return drafts
        merged = self._merge_alike(drafts)
        widened = self._with_common_intents(merged)
        return merged if widened == merged else self._merge_alike(widened)

    def _merge_alike(self, drafts: Iterable[_Draft]) -> list[_Draft]:
        """Return the rows, those of one kind with equal destinations merged as far as that stays
        exact.
        """
        alike = group_pairs(
            ((draft.kind, draft.before, draft.after), draft) for draft in drafts
        )
        return [row for group in alike.values() for row in self._merge(group)]

    def _named(self, draft: _Draft) -> _NamedDraft:
        box, earlier = self._fold_other_types(draft.box, draft.earlier)
        if box is draft.box:
            return _NamedDraft(draft, earlier)
        return _NamedDraft(replace(draft, box=box), earlier)

    def _reader(self, named: Sequence[_NamedDraft], edits: Sequence[int]) -> RowReader:
        rows = []
        for draft, earlier in named:
            side: Side = "before" if draft.kind == "takes" else "after"
            rows.append(RowBox(draft.box, draft.earlier, earlier, side))
        reader = RowReader(rows, self._book, frozenset(edits), self._checks_left)
        self._checks_left -= reader.checks
        return reader

    def _names(self, numbers: frozenset[int]) -> tuple[NamedRule, ...]:
        """Return rules in the order of evaluation."""
        ordered = sorted(numbers, key=self._book.place)
        return tuple(map(self._book.name, ordered))

    def _wholes(self, numbers: frozenset[int]) -> tuple[NamedRule, ...]:
        """Return rules, each part of a rule as the whole."""
        names = self._names(numbers)
        if all(entry.part_of is None for entry, _ in names):
            return names
        return tuple(
            dict.fromkeys(NamedRule(entry.whole, when) for entry, when in names)
        )

    def _format(
        self,
        named: _NamedDraft,
        besides: frozenset[int],
        own_version: bool,  # noqa: FBT001 - of `map`
    ) -> EffectRow:
        draft, earlier = named
        return EffectRow(
            kind=draft.kind,
            where=self._formatter.format_box(tuple(draft.box.items())),
            earlier=self._names(frozenset(earlier)),
            counterpart=tuple(
                None if number == _NO_RULE else self._book.name(number)
                for number in sorted(draft.counterparts, key=self._book.place)
            ),
            before=draft.before,
            after=draft.after,
            example=self._space.example(draft.example),
            winners=tuple(
                None if number == _NO_RULE else self._book.rules[number].entry.whole
                for number in sorted(draft.takers)
            ),
            other_type=self._space.unlikely_attributes(draft.box),
            besides=self._wholes(besides),
            own_version=own_version,
        )

    # Drafts

    def _drafts_of(self, pair: RankPair) -> Iterator[_Draft]:
        """Yield the rows of a pair: one, unless the cause depends on the rule behind the new
        fallback.
        """
        ranks = None if self._middle is None else self._middle_ranks(pair)
        if ranks is None:
            yield self._draft(pair, self._cause(pair, None), None)
            return
        causes = {rank: self._cause(pair, rank) for rank in ranks}
        if len(set(causes.values())) == 1:
            yield self._draft(pair, next(iter(causes.values())), None)
            return
        for rank, cause in causes.items():
            yield self._draft(pair, cause, (rank, ranks[rank]))

    def _middle_ranks(self, pair: RankPair) -> dict[int, Box] | None:
        """Return the rules that take conversations of a pair behind the new fallback, each with a
        box of them.

        None: that is not decided, or nothing is edited.
        """
        middle = self._middle
        if middle is None or not self._edits:
            return None
        boxes: dict[int, Box] = {}
        try:
            for atom in self._atoms_of(pair):
                heads = self._pairs.shapes_of(pair, atom)
                before = self._pairs.mask_before(pair, atom)
                for rank in (*middle.ranks_in(atom), DEFAULT_RANK):
                    mask = before | middle.mask_before(atom, rank)
                    if rank in boxes:
                        continue
                    shapes = (*heads, middle.shape(atom, rank))
                    box = middle.find_free_box(atom, shapes, mask)
                    if box is not None:
                        boxes[rank] = box
        except UndecidedError:
            return None
        return boxes or None

    def _atoms_of(self, pair: RankPair) -> Iterable[int]:
        narrow = self._pairs.narrow.get(pair)
        if narrow is not None:
            return narrow.masks_by_atom
        old = self._pairs.old
        new = self._pairs.new
        every = self._space.pivot_domain.all[0] if self._space.pivot >= 0 else REST
        return [
            atom
            for atom in bits(every)
            if old.holds(atom, pair[0]) and new.holds(atom, pair[1])
        ]

    def _cause(self, pair: RankPair, middle_rank: int | None) -> _Cause:
        """Return the edit that moves a pair; `middle_rank` is the rule that takes it behind the new
        fallback.
        """
        taker = self._pairs.old.entry_of_rank(pair[0])
        later_taker = self._pairs.new.entry_of_rank(pair[1])
        first = taker
        if self._middle is not None and middle_rank is not None:
            if self._middle.destination_of_rank(
                middle_rank
            ) == self._pairs.new.destination_of_rank(pair[1]):
                return _Cause(FALLBACK, "fallback")
            first = self._middle.entry_of_rank(middle_rank)

        old = self._book.edit_of(first)
        new = self._book.edit_of(later_taker)
        edit = new
        if new is None or (old is not None and not self._changes_matching(new)):
            edit = old
        if edit is None:
            return _Cause(FALLBACK, "fallback")
        if new != edit:
            return _Cause(edit, "releases")
        if self._book.edit_of(taker) == edit:
            return _Cause(edit, "redirects")
        return _Cause(edit, "takes")

    def _changes_matching(self, number: int) -> bool:
        """Return whether an edit changes what the rule takes: its conditions, its place, or its
        state.
        """
        before, after, group = self._edits[number]
        before = before or self._deleted.get(group)
        if before is None or after is None or _matching(before) != _matching(after):
            return True
        return before.rule.name != after.rule.name and self._passes_another(
            before, after
        )

    def _passes_another(self, before: RoutingEntry, after: RoutingEntry) -> bool:
        """Return whether a rule with another name is tried in another order among those of its
        priority.
        """
        first, last = sorted((entry.rule.name, entry.id) for entry in (before, after))
        names = self._names_by_priority[after.rule.priority]
        start = bisect_right(names, first)
        end = bisect_left(names, last)
        return start < end

    @cached_property
    def _deleted(self) -> Mapping[Hashable, RoutingEntry]:
        """Return the deleted rules by their group: a new rule of the same group is the old one at
        another address.
        """
        return {
            edit.group: edit.before
            for edit in self._edits
            if edit.before is not None and edit.after is None
        }

    @cached_property
    def _names_by_priority(self) -> Mapping[float, list[tuple[str, str]]]:
        names: dict[float, list[tuple[str, str]]] = {}
        for entry in self._pairs.new.entries:
            name = entry.rule.name, entry.id
            names.setdefault(entry.rule.priority, []).append(name)
        for group in names.values():
            group.sort()
        return names

    def _draft(
        self,
        pair: RankPair,
        cause: _Cause,
        middle: tuple[int, Box] | None,
    ) -> _Draft:
        example = self._example_of(pair, middle)
        box, earlier = self._extent_of(pair, middle)
        box, earlier = self._fold_own_version(box, earlier, cause.edit)
        outermost = frozenset(self._without_contained(box, earlier))
        numbers = self._numbers(pair)
        # A rule that takes conversations is written after the rule that had them.
        side = 0 if cause.kind == "takes" else 1
        counterparts = () if cause.kind == "redirects" else (numbers[side],)
        before, after = self._pairs.destinations_of(pair)
        return _Draft(
            edits=frozenset((cause.edit,)),
            kind=cause.kind,
            before=before,
            after=after,
            box=box,
            earlier=outermost,
            contained=frozenset(earlier) - outermost,
            counterparts=frozenset(counterparts),
            takers=frozenset(numbers),
            place=self._book.place_of_rank(side, pair[side]),
            example=example,
        )

    def _extent_of(
        self,
        pair: RankPair,
        middle: tuple[int, Box] | None,
    ) -> tuple[Box, set[int]]:
        """Return the box of a pair, and the rules that match a part of it earlier."""
        box = self._box_of(pair)
        places = list(enumerate(pair))
        if middle is not None and self._middle is not None:
            rank, _ = middle
            places.append((_MIDDLE, rank))
            if rank < len(self._middle.boxes):
                extent = self._space.box(self._middle.boxes[rank])
                box = intersect_box(box, tuple(extent.items())) or {}
        earlier: set[int] = set()
        for side, rank in places:
            earlier |= self._book.overlapping_before(side, rank, box)
        return box, earlier

    def _numbers(self, pair: RankPair) -> tuple[int, int]:
        """Return the numbers of both rules of a pair."""
        old, new = pair
        first = self._book.number(0, old) if old < DEFAULT_RANK else _NO_RULE
        second = self._book.number(1, new) if new < DEFAULT_RANK else _NO_RULE
        return first, second

    def _example_of(self, pair: RankPair, middle: tuple[int, Box] | None) -> Box:
        if middle is not None and self._middle is not None:
            rank, box = middle
            further = FurtherRule(self._middle, rank)
            examples = UsualExamples(self._pairs, further)
        else:
            narrow = self._pairs.narrow.get(pair)
            box = self._pairs.wide[pair] if narrow is None else narrow.box
            examples = self._usual_examples
        return examples.improve([pair], box).box

    def _box_of(self, pair: RankPair) -> Box:
        """Return the common box of both rules, with the values of the pivot that the pair really
        has.
        """
        old, new = (
            {} if number == _NO_RULE else self._book.rules[number].box
            for number in self._numbers(pair)
        )
        box = intersect_box(old, tuple(new.items())) or {}
        narrow = self._pairs.narrow.get(pair)
        if narrow is not None and self._space.pivot >= 0:
            values: ValueSet = (sum(1 << atom for atom in narrow.masks_by_atom), 0, 0)
            if is_expressible(self._space.pivot_domain, values):
                box[self._space.pivot] = values
        return box

    def _fold_own_version(
        self,
        box: Box,
        earlier: set[int],
        edit: int,
    ) -> tuple[Box, set[int]]:
        """Return the box without what the edited rule takes both before and after, where one
        attribute says that.
        """
        rules = self._book.rules
        own = [number for number in earlier if rules[number].edit == edit]
        original = box
        for number in sorted(own):
            beyond = [
                (attribute, part)
                for attribute, part in rules[number].box.items()
                if not covers(part, self._part(box, attribute))
            ]
            if len(beyond) != 1:
                continue
            attribute, part = beyond[0]
            domain = self._space.domains[attribute]
            rest = subtract(domain, self._part(box, attribute), part)
            if len(rest) == 1 and is_expressible(domain, rest[0]):
                box = {**box, attribute: rest[0]}
                earlier = earlier - {number}
        if box is original:
            return box, earlier
        return box, self._overlapping(earlier, box)

    def _overlapping(self, numbers: Iterable[int], box: Box) -> set[int]:
        """Return the rules that match a part of a box."""
        rules = self._book.rules
        return {number for number in numbers if overlaps(box, rules[number].box)}

    def _part(self, box: Box, attribute: int) -> ValueSet:
        return box.get(attribute, self._space.domains[attribute].all)

    def _without_contained(
        self,
        box: Box,
        earlier: AbstractSet[int],
    ) -> AbstractSet[int]:
        """Return earlier rules without those that match nothing in a box but what another one
        matches.
        """
        if len(earlier) > _MAX_COMPARED:
            return earlier
        return _outermost(
            {
                number: self._inside(box, number)
                for number in sorted(earlier, key=self._book.place)
            }
        )

    def _fold_other_types(
        self,
        box: Box,
        earlier: AbstractSet[int],
    ) -> tuple[Box, AbstractSet[int]]:
        """Return a box whose earlier rules leave nothing but values of another type of an attribute
        without them.
        """
        for attribute, domain in enumerate(self._space.domains):
            here = self._part(box, attribute)
            if not domain.unlikely & here[0] or len(earlier) > _MAX_COMPARED:
                continue
            alone = {
                number
                for number in earlier
                if self._inside(box, number).keys() == {attribute}
            }
            rest = [here]
            for number in alone:
                part = self._book.rules[number].box[attribute]
                pieces = (subtract(domain, values, part) for values in rest)
                rest = list(chain.from_iterable(pieces))
            if len(rest) != 1:
                continue
            (values,) = rest
            if not values[0] & ~domain.unlikely and is_expressible(domain, values):
                box = {**box, attribute: values}
                earlier = self._overlapping(earlier - alone, box)
        return box, earlier

    def _inside(self, box: Box, number: int) -> Box:
        """Return a rule's values in a box, where they are fewer than those of the box."""
        result: Box = {}
        for attribute, part in self._book.rules[number].box.items():
            here = self._part(box, attribute)
            if not covers(part, here):
                result[attribute] = intersect(here, part)
        return result

    # Merging

    def _merge(self, drafts: Sequence[_Draft]) -> list[_Draft]:
        """Return rows of one kind and equal destinations, merged as far as that stays exact."""
        rows = list(drafts)
        if len(rows) == 1:
            return rows
        pivot = self._space.pivot
        count = len(rows) + 1
        while len(rows) < count:
            count = len(rows)
            attributes = set(chain.from_iterable(row.box for row in rows))
            for attribute in sorted(attributes, key=lambda at: (at != pivot, at)):
                groups: dict[Hashable, list[_Draft]] = {}
                for row in rows:
                    items = row.box.items()
                    rest = frozenset(item for item in items if item[0] != attribute)
                    groups.setdefault(rest, []).append(row)
                joined = (self._join(group, attribute) for group in groups.values())
                rows = list(chain.from_iterable(joined))
            if len(rows) <= _MAX_COMPARED:
                rows = self._absorb(rows)
        return rows

    def _join(self, rows: Sequence[_Draft], attribute: int) -> Iterable[_Draft]:
        """Return rows that differ in one attribute as one row, or as few ones."""
        if len(rows) == 1:
            return rows
        union = self._union(rows, attribute)
        if union is not None:
            return [union]

        joined: list[_Draft] = []
        by_earlier = group_pairs((row.earlier, row) for row in rows)
        for group in by_earlier.values():
            union = self._union(group, attribute) if len(group) > 1 else group[0]
            joined += group if union is None else [union]
        if len(joined) > _MAX_COMPARED:
            return joined

        result: list[_Draft] = []
        for row in joined:
            for index, earlier_row in enumerate(result):
                union = self._union((earlier_row, row), attribute)
                if union is not None:
                    result[index] = union
                    break
            else:
                result.append(row)
        return result

    def _union(self, rows: Sequence[_Draft], attribute: int) -> _Draft | None:
        domain = self._space.domains[attribute]
        atoms = 0
        patterns = set[tuple[int, int]]()
        for row in rows:
            part = self._part(row.box, attribute)
            atoms |= part[0]
            if part[0] & REST:
                patterns.add(part[1:])
        if len(patterns) > 1:
            return None
        yes, no = next(iter(patterns), (0, 0))
        values: ValueSet = (atoms, yes, no)
        if not is_expressible(domain, values):
            return None
        box = {**rows[0].box, attribute: values}
        if values == domain.all:
            del box[attribute]
        return self._as_one(rows, box)

    def _absorb(self, rows: Sequence[_Draft]) -> list[_Draft]:
        """Return the rows without those that a wider row can hold as well."""
        result = sorted(rows, key=lambda row: len(row.box))
        for row in list(result):
            for place, wider in enumerate(result):
                if wider is not row and is_inside(row.box, wider.box):
                    both = self._as_one((wider, row), wider.box)
                    if both is not None:
                        result[place] = both
                        result = [one for one in result if one is not row]
                        break
        return result

    def _as_one(self, rows: Sequence[_Draft], box: Box) -> _Draft | None:
        """Return rows as one row with this box, which holds all of their boxes; None where that is
        not exact.
        """
        every = frozenset[int]().union(*(row.earlier for row in rows))
        if len(rows) * len(every) > _MAX_CHECKS:
            return None
        takers = frozenset[int]().union(*(row.takers for row in rows))
        for earlier in dict.fromkeys((every - takers, every)):
            is_exact = all(self._keeps(row, earlier) for row in rows)
            if is_exact and all(self._adds_nothing(row, earlier, rows) for row in rows):
                return self._merged_row(rows, box, earlier)
        return None

    def _merged_row(
        self,
        rows: Sequence[_Draft],
        box: Box,
        earlier: AbstractSet[int],
    ) -> _Draft:
        """Return rows as one row with this box and these earlier rules."""
        first = rows[0]
        every = frozenset[int]().union(*(row.earlier for row in rows))
        examples = [row.example for row in rows]
        return replace(
            first,
            edits=first.edits.union(*(row.edits for row in rows)),
            box=box,
            earlier=frozenset(self._without_contained(box, earlier)),
            contained=every.union(*(row.contained for row in rows)),
            counterparts=first.counterparts.union(*(row.counterparts for row in rows)),
            takers=frozenset[int]().union(*(row.takers for row in rows)),
            place=max(row.place for row in rows),
            example=examples[self._space.most_usual(examples)],
        )

    def _with_common_intents(self, rows: list[_Draft]) -> list[_Draft]:
        """Return the rows, those with a part of another row's values of the pivot with all of them
        where that is exact.

        An edit of several rules then has one list of intents, and the rule that keeps some of them
        is named.
        """
        pivot = self._space.pivot
        if not 1 < len(rows) <= _MAX_COMPARED:
            return rows
        lists = dict.fromkeys(row.box[pivot] for row in rows if pivot in row.box)
        longest_first = sorted(lists, key=lambda values: -values[0].bit_count())
        numbers = frozenset[int]().union(*(row.earlier | row.contained for row in rows))
        return [self._widened(row, longest_first, numbers) for row in rows]

    def _widened(
        self,
        row: _Draft,
        lists: Iterable[ValueSet],
        numbers: AbstractSet[int],
    ) -> _Draft:
        """Return a row with the first of the lists that adds only conversations of the rules
        `numbers`.
        """
        pivot = self._space.pivot
        own = row.box.get(pivot)
        if own is None:
            return row

        for values in lists:
            if values == own or not covers(values, own):
                continue
            added = [
                {**row.box, pivot: piece}
                for piece in subtract(self._space.pivot_domain, values, own)
            ]
            earlier = row.earlier | self._rules_before(row, numbers, added)
            boxes = [self._book.rules[number].box for number in earlier]
            if not self._keeps(row, earlier):
                continue
            if not all(self._is_held(box, boxes) for box in added):
                continue
            box = {**row.box, pivot: values}
            outermost = frozenset(self._without_contained(box, earlier))
            return replace(row, box=box, earlier=outermost)
        return row

    def _rules_before(
        self,
        row: _Draft,
        numbers: Iterable[int],
        boxes: Sequence[Box],
    ) -> set[int]:
        """Return the rules that come before all rules that take a row, and match a part of a
        box.
        """
        first = min(self._book.place(number) for number in row.takers)
        earlier = (number for number in numbers if self._book.place(number) < first)
        return {
            number
            for number in earlier
            if any(overlaps(box, self._book.rules[number].box) for box in boxes)
        }

    def _is_held(self, box: Box, boxes: Iterable[Box]) -> bool:
        """Return whether boxes together certainly hold all of a box."""
        touching = [outer for outer in boxes if overlaps(box, outer)]
        if len(touching) > _MAX_COVERING:
            return False
        return self._is_covered(box, touching, [_MAX_PIECES])

    def _keeps(self, row: _Draft, earlier: AbstractSet[int]) -> bool:
        """Return whether a row loses no conversation if these rules come before it."""
        return all(
            self._is_taken(row.box, number, row.earlier)
            for number in earlier - row.earlier
        )

    def _is_taken(self, box: Box, number: int, earlier: AbstractSet[int]) -> bool:
        """Return whether the earlier rules match all that a rule matches in a box; False where it
        may be so.
        """
        rules = self._book.rules
        if is_taken(rules, box, number, earlier):
            return True
        common = intersect_box(box, tuple(rules[number].box.items())) or {}
        return self._is_held(common, (rules[candidate].box for candidate in earlier))

    def _is_covered(self, box: Box, boxes: Sequence[Box], pieces: list[int]) -> bool:
        """Return whether boxes together hold all of a box; `pieces` counts down the work, and ends
        it undecided.
        """
        touching = [outer for outer in boxes if overlaps(box, outer)]
        if not touching or pieces[0] <= 0:
            return False
        first, *others = touching
        for attribute, part in first.items():
            here = self._part(box, attribute)
            for piece in subtract(self._space.domains[attribute], here, part):
                pieces[0] -= 1
                if not self._is_covered({**box, attribute: piece}, others, pieces):
                    return False
            box = {**box, attribute: intersect(here, part)}
        return True

    def _adds_nothing(
        self,
        row: _Draft,
        earlier: AbstractSet[int],
        rows: Sequence[_Draft],
    ) -> bool:
        """Return whether all conversations of a row's box outside the rules `earlier` are in one of
        the rows.
        """
        for number in row.earlier - earlier:
            common = intersect_box(row.box, tuple(self._book.rules[number].box.items()))
            if common is not None and not any(
                self._holds(other, common, earlier)
                for other in rows
                if other is not row
            ):
                return False
        return True

    def _holds(self, row: _Draft, box: Box, earlier: AbstractSet[int]) -> bool:
        """Return whether a row has all conversations of a box outside the rules `earlier`."""
        return is_inside(box, row.box) and all(
            self._is_taken(box, number, earlier) for number in row.earlier
        )
