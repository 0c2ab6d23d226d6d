"""Regions: the conversations whose destination changes, in few and readable sets of conditions.

A region is the common box of both rules of a pair, without the parts that earlier rules take.
Regions that differ in one attribute only become one region.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from reconciler.core.behaviour.diff.exceptions import RunningExceptions
from reconciler.core.behaviour.diff.winners import (
    ORDINARY_SLICE,
    NarrowPair,
    RankPair,
    WinnerPairs,
)
from reconciler.core.behaviour.evaluate import holds
from reconciler.core.behaviour.routing_entry import Destination, RoutingEntry
from reconciler.core.behaviour.space.boxes import Box, Shape, intersect_box
from reconciler.core.behaviour.space.clauses import (
    Clause,
    express_values,
    is_expressible,
    simplify,
    unite_values,
)
from reconciler.core.behaviour.space.domain import REST, ValueSet
from reconciler.core.behaviour.space.patterns import bits, union
from reconciler.core.behaviour.space.space import Example, Space
from reconciler.core.behaviour.space.usual_examples import UsualExamples
from reconciler.core.model.rule import Condition

# Destinations, the shapes of both rules, and the shapes of earlier rules that overlap both.
Key = tuple[tuple[Destination, Destination], int, int, int]
# before and after; None is the default routing
RulePair = tuple[RoutingEntry | None, RoutingEntry | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Conversations with all of `where` and no complete list of `excepts`: each moves from `before`
    to `after`.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    before: Destination
    after: Destination
    example: Example
    # takes the example; None is the default routing, here and below
    before_rule: RoutingEntry | None
    after_rule: RoutingEntry | None
    # take the conversations before the change
    before_rules: tuple[RoutingEntry | None, ...]
    after_rules: tuple[RoutingEntry | None, ...]
    # attributes with a value of another type than any rule compares them with
    other_type: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class DraftRegion:
    """A region before it is formatted: a box, the shapes left out of it, and the rules that take
    its conversations.
    """

    # The first of `rules` are those of the example.

    box: Box
    excepts: tuple[Shape, ...]
    before: Destination
    after: Destination
    example: Box
    rules: list[RulePair]
    kind: int = 0  # equal for regions that may be merged


KindOf = Callable[[DraftRegion], Hashable]


def merge_regions(
    space: Space,
    drafts: Iterable[DraftRegion],
    kind_of: KindOf,
) -> list[DraftRegion]:
    """Return the regions; those of one kind (so of equal exceptions) that differ in one attribute
    only are merged.
    """
    regions = list(drafts)
    kinds: dict[Hashable, int] = {}
    for draft in regions:  # exceptions may be long, so they are compared once
        draft.kind = kinds.setdefault(kind_of(draft), len(kinds))
    before = len(regions) + 1
    while len(regions) < before:
        before = len(regions)
        used = sorted({attribute for draft in regions for attribute in draft.box})
        for attribute in sorted(used, key=lambda number: number != space.pivot):
            space.budget.charge(sum(1 + len(draft.box) for draft in regions))
            if space.budget.remaining < 0:  # separate regions are correct, too
                return regions
            regions = _merge_by_attribute(space, regions, attribute)
    return regions


def _merge_by_attribute(
    space: Space,
    drafts: Iterable[DraftRegion],
    attribute: int,
) -> list[DraftRegion]:
    """Join the regions that differ in no other attribute than this one."""
    groups: dict[Hashable, list[DraftRegion]] = {}
    for draft in drafts:
        items = draft.box.items()
        rest = frozenset(item for item in items if item[0] != attribute)
        groups.setdefault((draft.kind, rest), []).append(draft)

    regions: list[DraftRegion] = []
    for group in groups.values():
        regions += group if len(group) == 1 else _join_group(space, group, attribute)
    return regions


def _join_group(
    space: Space,
    group: Sequence[DraftRegion],
    attribute: int,
) -> list[DraftRegion]:
    """Join the regions of a group, as far as conditions can express the result."""
    merged = _merge_group(space, group, attribute)
    if merged is not None:
        return [merged]
    regions: list[DraftRegion] = []
    for draft in group:
        for position, region in enumerate(regions):
            merged = _merge_group(space, (region, draft), attribute)
            if merged is not None:
                regions[position] = merged
                break
        else:
            regions.append(draft)
    return regions


def _merge_group(
    space: Space,
    group: Sequence[DraftRegion],
    attribute: int,
) -> DraftRegion | None:
    """Return the regions as one; None where no conditions express it."""
    every = space.domains[attribute].all
    atoms = 0
    yes = 0
    no = 0
    for draft in group:
        part = draft.box.get(attribute, every)
        if part[0] & REST:
            if atoms & REST:
                return None
            yes = part[1]
            no = part[2]
        atoms |= part[0]
    if not is_expressible(space.domains[attribute], (atoms, yes, no)):
        return None
    box = {**group[0].box, attribute: (atoms, yes, no)}
    if box[attribute] == every:  # like a region without this attribute
        del box[attribute]
    first = group[space.most_usual(draft.example for draft in group)]
    others = [draft for draft in group if draft is not first]
    return replace(
        first,
        box=box,
        rules=[pair for draft in (first, *others) for pair in draft.rules],
    )


class RegionFormatter:
    """Turns draft regions into regions; remembers the clauses of each part."""

    def __init__(self, space: Space) -> None:
        self.space = space
        # attributes on whose known type the clauses depend
        self.rests_on = dict.fromkeys(space.narrowed_attributes)
        self._clauses_by_values: dict[tuple[int, ValueSet], tuple[Clause, ...]] = {}

    def format_regions(
        self,
        drafts: Iterable[DraftRegion],
        kind_of: KindOf,
    ) -> list[Region]:
        """Return the regions, merged, as conditions, each with its example as a conversation."""
        merged = merge_regions(self.space, drafts, kind_of)
        return list(map(self._format_region, merged))

    def _format_region(self, draft: DraftRegion) -> Region:
        before_rule, after_rule = draft.rules[0]
        before_rules = dict.fromkeys(before for before, _ in draft.rules)
        after_rules = dict.fromkeys(after for _, after in draft.rules)
        return Region(
            where=self.format_box(tuple(draft.box.items())),
            excepts=tuple(map(self.format_box, draft.excepts)),
            before=draft.before,
            after=draft.after,
            example=self.space.example(draft.example),
            before_rule=before_rule,
            after_rule=after_rule,
            before_rules=tuple(before_rules),
            after_rules=tuple(after_rules),
            other_type=self.space.unlikely_attributes(draft.box),
        )

    def format_box(self, shape: Shape) -> tuple[Clause, ...]:
        """Return a box as conditions, the pivot's first."""
        result: list[Clause] = []
        pivot = self.space.pivot
        for item in sorted(shape, key=lambda item: (item[0] != pivot, item[0])):
            result += self._clauses(*item)
        return tuple(result)

    def _clauses(self, attribute: int, part: ValueSet) -> tuple[Clause, ...]:
        if attribute == self.space.pivot:  # it has most values, and mostly other ones
            return self._format_values(attribute, part)
        key = attribute, part
        clauses = self._clauses_by_values.get(key)
        if clauses is None:
            clauses = self._format_values(attribute, part)
            self._clauses_by_values[key] = clauses
        return clauses

    def _format_values(self, attribute: int, part: ValueSet) -> tuple[Clause, ...]:
        domain = self.space.domains[attribute]
        if not is_expressible(domain, part):
            raise AssertionError(f"no conditions express {part} of {domain.attribute}")
        clauses = express_values(domain, part)
        numbers = domain.text_like_numbers
        if numbers:
            accepts_text = all(map(_accepts_unnamed_text, clauses))
            if accepts_text is not bool(part[0] & numbers):
                self.rests_on[domain.attribute] = None
        return clauses


def _accepts_unnamed_text(clause: Clause) -> bool:
    part = clause.condition
    if not isinstance(part, Condition):
        return True
    return holds(part, {part.attribute: ""}) is not clause.negate


class DraftRegionBuilder:
    """Makes regions of the pairs of two lists."""

    def __init__(self, pairs: WinnerPairs) -> None:
        self.pairs = pairs
        self.space = pairs.space
        self.usual_examples = UsualExamples(pairs)

    def build_drafts(self) -> Iterator[DraftRegion]:
        """Yield the regions of all pairs, simplified."""
        yield from self.build_narrow()
        yield from self.build_wide()

    def build_narrow(self) -> Iterator[DraftRegion]:
        """Yield regions of pairs with few values of the pivot; pairs that differ in these values
        only are one.
        """
        groups: dict[Key, list[tuple[RankPair, NarrowPair]]] = {}
        for pair, narrow in self.pairs.narrow.items():
            before, *further = set(narrow.masks_by_atom.values())
            if further:
                yield self.build_separate(pair, narrow)
                continue
            destinations = self.pairs.destinations_of(pair)
            old, new = self.pairs.shapes_of(pair, ORDINARY_SLICE)
            key = (destinations, old, new, before)
            groups.setdefault(key, []).append((pair, narrow))
        for key, group in groups.items():
            yield from self._build_group(key, group)

    def _build_group(
        self,
        key: Key,
        group: Sequence[tuple[RankPair, NarrowPair]],
    ) -> Iterator[DraftRegion]:
        """Yield pairs that differ in values of the pivot only: one region if conditions can express
        these values.
        """
        masks = chain.from_iterable(narrow.masks_by_atom for _, narrow in group)
        atoms = union(1 << atom for atom in masks)
        if not is_expressible(self.space.pivot_domain, (atoms, 0, 0)):
            for pair, narrow in group:
                yield self.build_separate(pair, narrow)
            return

        _, old, new, before = key
        box, excepts = self.without_pivot(old, new, before)
        full_box = {**box, self.space.pivot: (atoms, 0, 0)}
        pairs = [pair for pair, _ in group]
        _, first = group[0]
        yield self.make_draft(pairs, full_box, excepts, first.box)

    def without_pivot(
        self,
        old: int,
        new: int,
        before: int,
    ) -> tuple[Box, Sequence[Shape]]:
        """Return the common part of two shapes and the exceptions that earlier shapes make,
        simplified.
        """
        shapes = self.space.shapes
        box = intersect_box(dict(shapes.all[old]), shapes.all[new]) or {}
        outer = [
            number
            for number in bits(before)
            if not shapes.covering(number) & before & ~(1 << number)
        ]
        excepts = [shapes.all[number] for number in outer]
        return simplify(self.space, box, excepts, excepts)

    def build_separate(self, pair: RankPair, narrow_pair: NarrowPair) -> DraftRegion:
        """Return the region of one pair whose exceptions differ by value or whose values conditions
        cannot express.
        """
        box = self.pairs.common_box(pair) or {}
        pivot = (sum(1 << atom for atom in narrow_pair.masks_by_atom), 0, 0)
        exceptions = RunningExceptions(self.pairs.old, self.pairs.new)
        if is_expressible(self.space.pivot_domain, pivot):
            box[self.space.pivot] = pivot
            values_of: dict[int, list[ValueSet]] = {}
            for atom, before in narrow_pair.masks_by_atom.items():
                for number in bits(before):
                    values_of.setdefault(number, []).append((1 << atom, 0, 0))
            excepts = []
            for number, values in values_of.items():
                united = unite_values(self.space.pivot_domain, sorted(values))
                excepts += exceptions.with_pivot(number, united)
        else:
            excepts = self.earlier_shapes(exceptions, pair)
        return self.make_draft(
            [pair],
            *simplify(self.space, box, excepts),
            narrow_pair.box,
        )

    def build_wide(self) -> Iterator[DraftRegion]:
        """Yield the regions of pairs with many values of the pivot, in an order in which ranks
        mostly grow.
        """
        pairs_of_old = Counter(old for old, _ in self.pairs.wide)
        rising = RunningExceptions(self.pairs.old, self.pairs.new)
        jumping = RunningExceptions(self.pairs.old, self.pairs.new)
        for pair in sorted(self.pairs.wide):
            box = self.pairs.common_box(pair) or {}
            running = rising if pairs_of_old[pair[0]] == 1 else jumping
            earlier = self.earlier_shapes(running, pair)
            box, excepts = simplify(self.space, box, earlier)
            yield self.make_draft([pair], box, excepts, self.pairs.wide[pair])

    def earlier_shapes(
        self,
        exceptions: RunningExceptions,
        pair: RankPair,
    ) -> list[Shape]:
        """Return the shapes that earlier rules take from a pair."""
        old, new = map(
            self.space.shapes.overlapping, self.pairs.shapes_of(pair, ORDINARY_SLICE)
        )
        return exceptions.shapes_before(pair, old & new)

    def make_draft(
        self,
        group: Sequence[RankPair],
        box: Box,
        excepts: Sequence[Shape],
        example: Box,
    ) -> DraftRegion:
        """Return a region of pairs with the same destinations."""
        old_list = self.pairs.old
        new_list = self.pairs.new
        chosen = self.usual_examples.improve(group, example)
        others = (pair for pair in group if pair != chosen.pair)
        ranks = (chosen.pair, *others)
        rules = [
            (old_list.entry_of_rank(rank), new_list.entry_of_rank(other))
            for rank, other in ranks
        ]
        old, new = self.pairs.destinations_of(group[0])
        return DraftRegion(
            box=box,
            excepts=tuple(excepts),
            before=old,
            after=new,
            example=chosen.box,
            rules=rules,
        )
