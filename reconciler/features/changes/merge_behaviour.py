"""Where a merge sends conversations that neither of its two changes sends there. Pure.

The expected destination of a conversation follows from the other three versions: where one change
leaves it, the other change decides; where both send it to one place, that place; otherwise the two
changes are in conflict about it.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.core.behaviour.diff.reading import RuleBox, is_taken
from reconciler.core.behaviour.diff.regions import RegionFormatter
from reconciler.core.behaviour.evaluate import RuleIndex
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
)
from reconciler.core.behaviour.space.boxes import (
    Box,
    intersect_box,
    is_inside,
    overlaps,
)
from reconciler.core.behaviour.space.clauses import Clause, is_expressible
from reconciler.core.behaviour.space.domain import REST, ValueSet, covers, subtract
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import MAX_NARROW_VALUES, Example, Space
from reconciler.core.behaviour.space.usual_examples import UsualExamples
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.model.grouping import group_pairs
from reconciler.features.changes.merge_winners import (
    VERSIONS,
    FoundWinners,
    MergeWinners,
    Ranks,
    find_merge_winners,
)

_MAX_COMPARED: Final = 60  # earlier rules, or rows, that are compared one by one


class Expected(NamedTuple):
    """The destination that a merge should have; None: the default routing."""

    destination: Destination


def find_expected(
    base: Destination, ours: Destination, theirs: Destination
) -> Expected | None:
    """Return where a conversation should go after the merge; None: the two changes differ."""
    if theirs == base:
        return Expected(ours)
    if ours in (base, theirs):
        return Expected(theirs)
    return None


class EarlierRule(NamedTuple):
    """A rule that a row names, and the versions that have it with these conditions and priority."""

    entry: RoutingEntry
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRow:
    """Conversations with all of `where` that no rule of `earlier` matches.

    `rules` and `destinations` are those of each version, in the order of `VERSIONS`.
    """

    where: tuple[Clause, ...]
    earlier: tuple[EarlierRule, ...]
    rules: tuple[RoutingEntry | None, ...]
    destinations: tuple[Destination, ...]
    expected: Expected | None  # None: the two changes are in conflict
    example: Example


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeBehaviour:
    """What a merge does to conversations beyond its two changes: disjoint rows, and the
    conversations that are not decided.
    """

    surprises: tuple[MergeRow, ...]
    conflicts: tuple[MergeRow, ...]
    undecided: tuple[tuple[Clause, ...], ...] = ()
    # the known types, by attribute, on which the result depends
    rests_on: Types = field(default_factory=dict)
    # the work done, in comparisons
    work: int = field(default=0, compare=False, repr=False)

    @property
    def complete(self) -> bool:
        """Return whether every conversation was decided."""
        return not self.undecided

    @property
    def is_as_expected(self) -> bool:
        """Return whether every conversation is proven to go where it is expected."""
        return not (self.surprises or self.conflicts or self.undecided)


def check_merge(
    lists: Sequence[Sequence[RoutingEntry]],
    types: Types | None = None,
    work: int | None = None,
) -> MergeBehaviour:
    """Return the conversations that a merge sends elsewhere than expected.

    `lists` are the versions in the order of `VERSIONS`, each in the order of evaluation. `types`
    are the known types of attributes, and `work` limits the search, in comparisons.
    """
    space = Space(lists, types=types)
    if work is None:
        work = DEFAULT_WORK + WORK_PER_RULE * sum(map(len, lists))
    slices = [PivotSlices(space, entries) for entries in lists]
    winners = find_merge_winners(slices, work)
    formatter = RegionFormatter(space)
    rows = _RowBuilder(winners, formatter).build()
    _verify_examples(rows, lists)

    undecided = dict.fromkeys(
        formatter.format_box(tuple(box.items())) for box in winners.undecided
    )
    names = formatter.rests_on if types else ()
    return MergeBehaviour(
        surprises=tuple(row for row in rows if row.expected),
        conflicts=tuple(row for row in rows if not row.expected),
        undecided=tuple(undecided),
        rests_on={name: types[name] for name in names} if types else {},
        work=work - space.budget.remaining,
    )


def _verify_examples(
    rows: Iterable[MergeRow], lists: Iterable[Sequence[RoutingEntry]]
) -> None:
    """Raise AssertionError if a version does not route an example as its row says."""
    indexes = [RuleIndex(entries) for entries in lists]
    for row in rows:
        for index, expected in zip(indexes, row.rules, strict=True):
            example = row.example
            winner = index.find_winner(example.attributes, example.assumed)
            if (winner and winner.whole) is not expected:
                raise AssertionError(f"{example} is not taken by {expected}")


@dataclass(slots=True, kw_only=True)
class _DraftRow:
    """A row before it is formatted; earlier rules are numbers of `_VersionRules`."""

    ranks: Ranks
    rules: tuple[RoutingEntry | None, ...]
    box: Box
    earlier: frozenset[int]
    example: Box


class _VersionRules:
    """The rules of all versions by number; a rule with equal conditions and priority is one."""

    def __init__(self, lists: Sequence[PivotSlices]) -> None:
        self._lists = lists
        self._space: Space = lists[0].space
        self.rules: list[RuleBox] = []
        self._number_of: dict[Hashable, int] = {}
        self._numbers: list[list[int]] = []
        self._versions: dict[int, list[str]] = {}
        for version, slices in zip(VERSIONS, lists, strict=True):
            self._numbers.append(self._add(version, slices))

    def _add(self, version: str, slices: PivotSlices) -> list[int]:
        """Return the number of each rule of a version, by rank."""
        numbers = []
        for entry, compiled in zip(slices.entries, slices.boxes, strict=True):
            key = entry.whole.name, entry.rule.priority, entry.rule.conditions
            number = self._number_of.setdefault(key, len(self.rules))
            if number == len(self.rules):
                self.rules.append(RuleBox(entry, self._space.box(compiled), None))
            numbers.append(number)
            versions = self._versions.setdefault(number, [])
            if version not in versions:
                versions.append(version)
        return numbers

    def name(self, number: int) -> EarlierRule:
        """Return a rule as rows name it."""
        return EarlierRule(self.rules[number].entry, tuple(self._versions[number]))

    def overlapping_before(self, ranks: Ranks, box: Box) -> set[int]:
        """Return the rules that match a part of a box before the winner of their list."""
        candidates: set[int] = set()
        for slices, numbers, rank in zip(
            self._lists, self._numbers, ranks, strict=True
        ):
            earlier = self._ranks_before(slices, rank, box)
            candidates.update(numbers[number] for number in earlier)
        return {
            number for number in candidates if overlaps(box, self.rules[number].box)
        }

    def _ranks_before(self, slices: PivotSlices, rank: int, box: Box) -> Iterable[int]:
        """Return the ranks before another one, without those that have other values of the
        pivot.
        """
        values = box.get(self._space.pivot)
        mask = REST if values is None else values[0]
        if mask & REST or mask.bit_count() > MAX_NARROW_VALUES:
            return range(min(rank, len(slices.entries)))
        ranks = set(slices.general_ranks)
        for atom in bits(mask):
            ranks.update(slices.ranks_by_atom.get(atom, ()))
        return (other for other in ranks if other < rank)


class _RowBuilder:
    def __init__(self, winners: MergeWinners, formatter: RegionFormatter) -> None:
        self._winners = winners
        self._space = winners.space
        self._formatter = formatter
        self._book = _VersionRules(winners.lists)
        self._examples = UsualExamples(winners)

    def build(self) -> list[MergeRow]:
        """Return disjoint rows, in the order in which the merged list is evaluated."""
        drafts = [
            self._draft(ranks, found) for ranks, found in self._winners.found.items()
        ]
        alike = group_pairs(
            (tuple(id(rule) for rule in draft.rules), draft) for draft in drafts
        )
        merged = [draft for group in alike.values() for draft in self._merge(group)]
        merged.sort(key=lambda draft: draft.ranks[::-1])
        return [self._format(draft) for draft in merged]

    def _draft(self, ranks: Ranks, found: FoundWinners) -> _DraftRow:
        rules = tuple(
            slices.entry_of_rank(rank)
            for slices, rank in zip(self._winners.lists, ranks, strict=True)
        )
        box = self._box_of(ranks, found)
        earlier = self._book.overlapping_before(ranks, box)
        box, earlier = self._fold_own_versions(box, earlier, rules)
        return _DraftRow(
            ranks=ranks,
            rules=rules,
            box=box,
            earlier=self._outermost(box, earlier),
            example=self._examples.improve([ranks], found.box).box,
        )

    def _box_of(self, ranks: Ranks, found: FoundWinners) -> Box:
        """Return the common box of the rules, with the values of the pivot that were found."""
        box = self._winners.common_box(ranks) or {}
        winners: Mapping[int, int] = dict(enumerate(ranks))
        if not self._winners.is_narrow(winners):
            return box
        values = (sum(1 << atom for atom in found.atoms), 0, 0)
        if not is_expressible(self._space.pivot_domain, values):
            return box
        return {**box, self._space.pivot: values}

    def _fold_own_versions(
        self,
        box: Box,
        earlier: set[int],
        winners: Iterable[RoutingEntry | None],
    ) -> tuple[Box, set[int]]:
        """Return the box without what other versions of its rules take, where one attribute says
        that.
        """
        names = {winner.name for winner in winners if winner}
        folded = box
        for number in sorted(earlier):
            entry, own_box, _ = self._book.rules[number]
            if entry.whole.name in names:
                folded = self._without(folded, own_box)
        if folded == box:
            return box, earlier
        rest = {
            number
            for number in earlier
            if overlaps(folded, self._book.rules[number].box)
        }
        return folded, rest

    def _without(self, box: Box, other: Mapping[int, ValueSet]) -> Box:
        """Return a box without another one, if they differ in one attribute and conditions express
        the result; otherwise the box.
        """
        domains = self._space.domains
        beyond = [
            (attribute, part)
            for attribute, part in other.items()
            if not covers(part, box.get(attribute, domains[attribute].all))
        ]
        if len(beyond) != 1:
            return box
        attribute, part = beyond[0]
        domain = domains[attribute]
        pieces = subtract(domain, box.get(attribute, domain.all), part)
        if len(pieces) != 1 or not is_expressible(domain, pieces[0]):
            return box
        return {**box, attribute: pieces[0]}

    def _outermost(self, box: Box, earlier: Iterable[int]) -> frozenset[int]:
        """Return earlier rules without those that match less of a box than another one; of many,
        all.
        """
        numbers = sorted(earlier)
        if len(numbers) > _MAX_COMPARED:
            return frozenset(numbers)
        parts = {
            number: intersect_box(box, tuple(self._book.rules[number].box.items()))
            or {}
            for number in numbers
        }
        kept: list[int] = []
        for number in sorted(numbers, key=lambda number: len(parts[number])):
            if not any(is_inside(parts[number], parts[other]) for other in kept):
                kept = [
                    other
                    for other in kept
                    if not is_inside(parts[other], parts[number])
                ]
                kept.append(number)
        return frozenset(kept)

    def _merge(self, drafts: list[_DraftRow]) -> list[_DraftRow]:
        """Return the rows of equal rules; two that differ in one attribute are one where that is
        exact.
        """
        if len(drafts) > _MAX_COMPARED:
            return drafts
        rows = drafts
        count = len(rows) + 1
        while len(rows) < count:
            count = len(rows)
            rows = self._merge_once(rows)
        return rows

    def _merge_once(self, drafts: Iterable[_DraftRow]) -> list[_DraftRow]:
        rows: list[_DraftRow] = []
        for draft in drafts:
            for place, row in enumerate(rows):
                joined = self._join(row, draft)
                if joined is not None:
                    rows[place] = joined
                    break
            else:
                rows.append(draft)
        return rows

    def _join(self, first: _DraftRow, second: _DraftRow) -> _DraftRow | None:
        """Return two rows as one; None where conditions cannot express it."""
        box = self._united_box(first.box, second.box)
        if box is None:
            return None
        for row, other in ((first, second), (second, first)):
            for number in other.earlier - row.earlier:
                if not is_taken(self._book.rules, row.box, number, row.earlier):
                    return None
        examples = [first.example, second.example]
        return _DraftRow(
            ranks=min(first.ranks, second.ranks),
            rules=first.rules,
            box=box,
            earlier=first.earlier | second.earlier,
            example=examples[self._space.most_usual(examples)],
        )

    def _united_box(self, first: Box, second: Box) -> Box | None:
        """Return two boxes that differ in one attribute as one, if conditions express it."""
        domains = self._space.domains
        differing = [
            attribute
            for attribute in first.keys() | second.keys()
            if first.get(attribute, domains[attribute].all)
            != second.get(attribute, domains[attribute].all)
        ]
        if len(differing) != 1:
            return None
        (attribute,) = differing
        domain = domains[attribute]
        parts = [box.get(attribute, domain.all) for box in (first, second)]
        open_parts = [part for part in parts if part[0] & REST]
        if len(open_parts) > 1:
            return None
        _, yes, no = open_parts[0] if open_parts else parts[0]
        united = (parts[0][0] | parts[1][0], yes, no)
        if not is_expressible(domain, united):
            return None
        box = {**first, attribute: united}
        if united == domain.all:
            del box[attribute]
        return box

    def _format(self, draft: _DraftRow) -> MergeRow:
        destinations = tuple(map(destination_of_rule, draft.rules))
        base, ours, theirs, _ = destinations
        names = map(self._book.name, draft.earlier)
        order = VERSIONS.index
        return MergeRow(
            where=self._formatter.format_box(tuple(draft.box.items())),
            earlier=tuple(
                sorted(names, key=lambda rule: _place(rule, order(rule.versions[-1])))
            ),
            rules=draft.rules,
            destinations=destinations,
            expected=find_expected(base, ours, theirs),
            example=self._space.example(draft.example),
        )


def _place(rule: EarlierRule, version: int) -> tuple[float, str, int]:
    """Return the place of an earlier rule in a row."""
    return rule.entry.rule.priority, rule.entry.name, version
