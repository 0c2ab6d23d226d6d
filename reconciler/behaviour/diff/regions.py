"""From pairs of winners to regions under way: what both rules of a pair ask, without what earlier rules take.

Pairs that differ in the value of the pivot alone are one region from the start.

Regions: conversations whose destination changes, made few and readable.

A region begins as all that two rules have in common, without what earlier rules take. Regions that differ in one
attribute alone become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.behaviour.diff.exceptions import PatternExceptions, RunningExceptions
from reconciler.behaviour.evaluate import holds
from reconciler.behaviour.space.boxes import Box, Shape, intersect_box
from reconciler.behaviour.space.clauses import Clause, express_checked_values, is_expressible, unite_values
from reconciler.behaviour.space.domain import REST, ValueSet
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.simplify import simplify
from reconciler.model.rule import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    from reconciler.behaviour.diff.winners import NarrowPair, RankPair, WinnerPairs
    from reconciler.behaviour.routing_entry import Destination, RoutingEntry
    from reconciler.behaviour.space.space import Example, Space

    Key = tuple[tuple[Destination, Destination], int, int, int]
    """Destinations, both rules' shapes, and the shapes of earlier rules that have something in common with both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Conversations for which all of `where` and no whole list of `excepts` holds: they go from `before` to `after`.

    `example` is one of them; `before_rule` and `after_rule` take it (None: the default routing). The other rules that
    take conversations of the region are among `before_rules` and `after_rules`.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    before: Destination
    after: Destination
    example: Example
    before_rule: RoutingEntry | None
    after_rule: RoutingEntry | None
    before_rules: tuple[RoutingEntry | None, ...]
    after_rules: tuple[RoutingEntry | None, ...]
    unlikely: tuple[str, ...] = ()
    """Attributes that have a value of another type, text or number, than any rule compares them with."""


@dataclass(slots=True, kw_only=True)
class DraftRegion:
    """A region under way: a box without other boxes, and which rules take its conversations before and after."""

    box: Box
    excepts: tuple[Shape, ...]
    before: Destination
    after: Destination
    example: Box
    rules: tuple[RoutingEntry | None, RoutingEntry | None]
    other_rules: list[tuple[RoutingEntry | None, RoutingEntry | None]] = field(default_factory=list)
    kind: int = 0
    """A number that the regions which may be merged with this one share."""


def merge_regions(
    space: Space, drafts: Iterable[DraftRegion], kind: Callable[[DraftRegion], Hashable]
) -> list[DraftRegion]:
    """Make one of regions of one kind that differ in one attribute alone, again and again.

    Regions of one kind have at least equal exceptions.
    """
    left = list(drafts)
    kinds: dict[Hashable, int] = {}
    for rough in left:  # exceptions may be long, so they are compared once
        rough.kind = kinds.setdefault(kind(rough), len(kinds))
    before = len(left) + 1
    while len(left) < before:
        before = len(left)
        used = sorted({attribute for rough in left for attribute in rough.box})
        for attribute in sorted(used, key=lambda number: number != space.pivot):
            space.budget.charge(sum(1 + len(rough.box) for rough in left))
            if space.budget.is_exhausted():  # those that are left apart are as right
                return left
            left = _merge_along_attribute(space, left, attribute)
    return left


def _merge_along_attribute(space: Space, drafts: Sequence[DraftRegion], attribute: int) -> list[DraftRegion]:
    every = space.domains[attribute].all
    groups: dict[object, list[DraftRegion]] = {}
    for rough in drafts:
        others = frozenset(item for item in rough.box.items() if item[0] != attribute)
        groups.setdefault((rough.kind, others), []).append(rough)
    found: list[DraftRegion] = []
    for group in groups.values():
        found += [group[0]] if len(group) == 1 else _join_group(space, group, attribute, every)
    return found


def _join_group(space: Space, group: Sequence[DraftRegion], attribute: int, every: ValueSet) -> list[DraftRegion]:
    """Join the regions of one group, as far as conditions can say what becomes of them."""
    whole = _union_values(space, group, attribute, every)
    if whole is not None:
        return [_merge_group(group, attribute, whole, every)]
    found: list[DraftRegion] = []
    for rough in group:
        for place, other in enumerate(found):
            part = _union_values(space, (other, rough), attribute, every)
            if part is not None:
                found[place] = _merge_group((other, rough), attribute, part, every)
                break
        else:
            found.append(rough)
    return found


def _union_values(space: Space, group: Sequence[DraftRegion], attribute: int, every: ValueSet) -> ValueSet | None:
    atoms, yes, no = 0, 0, 0
    for rough in group:
        part = rough.box.get(attribute, every)
        if part[0] & REST:
            if atoms & REST:
                return None
            yes, no = part[1], part[2]
        atoms |= part[0]
    return (atoms, yes, no) if is_expressible(space.domains[attribute], (atoms, yes, no)) else None


def _merge_group(group: Sequence[DraftRegion], attribute: int, part: ValueSet, every: ValueSet) -> DraftRegion:
    first = group[0]
    others = [*first.other_rules, *(pair for rough in group[1:] for pair in (rough.rules, *rough.other_rules))]
    box = {**first.box, attribute: part}
    if part == every:  # as a region that never asked for the attribute has it
        del box[attribute]
    return DraftRegion(
        box=box,
        excepts=first.excepts,
        before=first.before,
        after=first.after,
        example=first.example,
        rules=first.rules,
        other_rules=others,
        kind=first.kind,
    )


class RegionFormatter:
    """Regions under way -> regions: what was said once of a part is not worked out again."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.rests_on = dict.fromkeys(space.narrowed_attributes)
        """The attributes whose known type what was said rests on."""
        self._clauses_by_values: dict[tuple[int, ValueSet], tuple[Clause, ...]] = {}
        self._exceptions: dict[int, tuple[Shape, tuple[Clause, ...]]] = {}

    def format_region(self, draft: DraftRegion) -> Region:
        """Return the region as conditions, with its example as a conversation."""
        pairs = [draft.rules, *draft.other_rules]
        before_rule, after_rule = draft.rules
        return Region(
            where=self.format_box(tuple(draft.box.items())),
            excepts=tuple(self._format_exception(shape) for shape in draft.excepts),
            before=draft.before,
            after=draft.after,
            example=self.space.example(draft.example),
            before_rule=before_rule,
            after_rule=after_rule,
            before_rules=tuple(dict.fromkeys(before for before, _ in pairs)),
            after_rules=tuple(dict.fromkeys(after for _, after in pairs)),
            unlikely=self.space.unlikely_attributes(draft.box),
        )

    def _format_exception(self, shape: Shape) -> tuple[Clause, ...]:
        found = self._exceptions.get(id(shape))  # what one rule asks is one object, and too long to be compared
        if found is None:
            found = self._exceptions[id(shape)] = (shape, self.format_box(shape))
        return found[1]

    def format_box(self, shape: Shape) -> tuple[Clause, ...]:
        """Return a box as conditions, the pivot's first."""
        ordered = sorted(shape, key=lambda asked: (asked[0] != self.space.pivot, asked[0]))
        found: list[Clause] = []
        for asked in ordered:
            said = self._clauses_by_values.get(asked)
            if said is None:
                said = self._clauses_by_values[asked] = self._format_values(*asked)
            found += said
        return tuple(found)

    def _format_values(self, attribute: int, part: ValueSet) -> tuple[Clause, ...]:
        if not is_expressible(self.space.domains[attribute], part):
            raise AssertionError(f"no conditions say {part} of {self.space.domains[attribute].attribute}")
        said = express_checked_values(self.space.domains[attribute], part)
        likes = self.space.domains[attribute].text_like_numbers
        if likes and all(_accepts_unnamed_text(clause) for clause in said) is not bool(part[0] & likes):
            self.rests_on[self.space.domains[attribute].attribute] = None
        return said


def _accepts_unnamed_text(clause: Clause) -> bool:
    """Say whether a clause takes a text that no condition names."""
    return not isinstance(clause.condition, Condition) or (
        holds(clause.condition, {clause.condition.attribute: ""}) is not clause.negate
    )


def common_box(pairs: WinnerPairs, pair: RankPair) -> Box | None:
    """Return what both rules of a pair ask; None where nothing is in both."""
    found: Box | None = {}
    for slices, rank in zip((pairs.old, pairs.new), pair, strict=True):
        if found is not None and rank < len(slices.boxes):
            found = intersect_box(found, tuple(pairs.space.box(slices.boxes[rank]).items()))
    return found


class DraftRegionBuilder:
    """Makes regions of the pairs of two lists."""

    def __init__(self, pairs: WinnerPairs) -> None:
        self.pairs, self.space = pairs, pairs.space
        self.simplified: dict[tuple[int, int, int], tuple[Box, Sequence[Shape]]] = {}

    def build_drafts(self, without: Collection[int] = ()) -> Iterator[DraftRegion]:
        """Yield the regions of all pairs, simplified, but for those that these new rules take."""
        yield from self.build_narrow(without)
        yield from (rough for pair, rough in self.wide_drafts.items() if pair[1] not in without)

    def build_narrow(self, without: Collection[int]) -> Iterator[DraftRegion]:
        """Yield regions of pairs about few values: one for those alike but for the value."""
        alike: dict[Key, list[tuple[RankPair, NarrowPair]]] = {}
        for pair, found in self.pairs.narrow.items():
            if pair[1] in without:
                continue
            first, *others = set(found.masks_by_atom.values())
            if others:
                yield self.build_separate(pair, found)
            else:
                alike.setdefault((self.pairs.destinations_of(pair), *self.shapes_of(pair), first), []).append(
                    (pair, found)
                )
        for (_, old, new, before), group in alike.items():
            atoms = sum(1 << atom for _, found in group for atom in found.masks_by_atom)
            if is_expressible(self.space.pivot_domain, (atoms, 0, 0)):
                box, excepts = self.without_pivot(old, new, before)
                whole = {**box, self.space.pivot: (atoms, 0, 0)}
                yield self.make_draft([pair for pair, _ in group], whole, excepts, group[0][1].box)
            else:
                yield from (self.build_separate(pair, found) for pair, found in group)

    def shapes_of(self, pair: RankPair) -> tuple[int, int]:
        """Return the shapes of both rules."""
        always = self.space.always.shape
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.boxes[rank].shape if rank < len(slices.boxes) else always for slices, rank in sides)
        return old, new

    def without_pivot(self, old: int, new: int, before: int) -> tuple[Box, Sequence[Shape]]:
        """Return what two shapes have in common without what earlier ones take, simplified."""
        key = (old, new, before)
        if key not in self.simplified:
            shapes = self.space.shapes
            box = intersect_box(dict(shapes.all[old]), shapes.all[new]) or {}
            outer = [one for one in bits(before) if not shapes.covering(one) & before & ~(1 << one)]
            excepts = [shapes.all[number] for number in outer]
            self.simplified[key] = simplify(self.space, box, excepts, excepts)
        return self.simplified[key]

    def build_separate(self, pair: RankPair, narrow_pair: NarrowPair) -> DraftRegion:
        """Return the region of one pair, where what earlier rules take differs by value, or values cannot be said."""
        box = common_box(self.pairs, pair) or {}
        pivot = (sum(1 << atom for atom in narrow_pair.masks_by_atom), 0, 0)
        if not is_expressible(self.space.pivot_domain, pivot):
            excepts = self.earlier_shapes(RunningExceptions(self.pairs.old, self.pairs.new), pair)
            return self.make_draft([pair], *simplify(self.space, box, excepts), narrow_pair.box)
        box[self.space.pivot] = pivot
        by_shape: dict[int, int] = {}
        for atom, before in narrow_pair.masks_by_atom.items():
            for number in bits(before):
                by_shape[number] = by_shape.get(number, 0) | 1 << atom
        taken = RunningExceptions(self.pairs.old, self.pairs.new)
        excepts = []
        for number, mask in by_shape.items():
            parts = unite_values(self.space.pivot_domain, ((1 << atom, 0, 0) for atom in bits(mask)))
            excepts += taken.with_pivot(number, parts)
        return self.make_draft([pair], *simplify(self.space, box, excepts), narrow_pair.box)

    @cached_property
    def wide_drafts(self) -> dict[RankPair, DraftRegion]:
        """The regions of pairs about many values, made in an order in which ranks mostly grow."""
        made: dict[RankPair, DraftRegion] = {}
        by_old: dict[int, list[RankPair]] = {}
        for pair in sorted(self.pairs.wide):
            by_old.setdefault(pair[0], []).append(pair)
        rising, other = (
            RunningExceptions(self.pairs.old, self.pairs.new),
            RunningExceptions(self.pairs.old, self.pairs.new),
        )
        near = PatternExceptions(self.pairs)
        for group in by_old.values():
            for pair in group:
                box = common_box(self.pairs, pair) or {}
                pivot = box.get(self.space.pivot, self.space.pivot_domain.all)
                if near.applies_to(pivot):
                    rules, more = near.shapes_before(pair, pivot)
                    box, excepts = simplify(self.space, box, [*rules, *more], rules)
                else:
                    box, excepts = simplify(
                        self.space, box, self.earlier_shapes(rising if len(group) == 1 else other, pair)
                    )
                made[pair] = self.make_draft([pair], box, excepts, self.pairs.wide[pair])
        return made

    def earlier_shapes(self, exceptions: RunningExceptions, pair: RankPair) -> list[Shape]:
        """Return what earlier rules take of a pair."""
        old, new = self.shapes_of(pair)
        return exceptions.shapes_before(pair, self.space.shapes.overlapping(old) & self.space.shapes.overlapping(new))

    def make_draft(self, group: Sequence[RankPair], box: Box, excepts: Sequence[Shape], example: Box) -> DraftRegion:
        """Return a region of pairs that lead to the same destinations."""
        rules = [self.rules_of(pair) for pair in group]
        before, after = self.pairs.destinations_of(group[0])
        return DraftRegion(
            box=box,
            excepts=tuple(excepts),
            before=before,
            after=after,
            example=example,
            rules=rules[0],
            other_rules=rules[1:],
        )

    def rules_of(self, pair: RankPair) -> tuple[RoutingEntry | None, RoutingEntry | None]:
        """Return both rules; None is the default routing."""
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.entries[rank] if rank < len(slices.entries) else None for slices, rank in sides)
        return old, new
