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

from reconciler.behaviour.diff.exceptions import Near, Taken
from reconciler.behaviour.evaluate import holds
from reconciler.behaviour.space.boxes import Box, Shape, meeting
from reconciler.behaviour.space.clauses import Clause, say, sayable, unite
from reconciler.behaviour.space.domain import REST, Part
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.simplify import simplify
from reconciler.model.rule import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    from reconciler.behaviour.diff.winners import Narrow, Pair, Pairs
    from reconciler.behaviour.routing_entry import Destination, Entry
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
    before_rule: Entry | None
    after_rule: Entry | None
    before_rules: tuple[Entry | None, ...]
    after_rules: tuple[Entry | None, ...]
    unlikely: tuple[str, ...] = ()
    """Attributes that have a value of another type, text or number, than any rule compares them with."""


@dataclass(slots=True, kw_only=True)
class Rough:
    """A region under way: a box without other boxes, and which rules take its conversations before and after."""

    box: Box
    excepts: tuple[Shape, ...]
    before: Destination
    after: Destination
    example: Box
    rules: tuple[Entry | None, Entry | None]
    others: list[tuple[Entry | None, Entry | None]] = field(default_factory=list)
    kind: int = 0
    """A number that the regions which may be merged with this one share."""


def merge(space: Space, roughs: Iterable[Rough], kind: Callable[[Rough], Hashable]) -> list[Rough]:
    """Make one of regions of one kind that differ in one attribute alone, again and again.

    Regions of one kind have at least equal exceptions.
    """
    left = list(roughs)
    kinds: dict[Hashable, int] = {}
    for rough in left:  # exceptions may be long, so they are compared once
        rough.kind = kinds.setdefault(kind(rough), len(kinds))
    before = len(left) + 1
    while len(left) < before:
        before = len(left)
        used = sorted({attribute for rough in left for attribute in rough.box})
        for attribute in sorted(used, key=lambda number: number != space.pivot):
            space.budget.charge(sum(1 + len(rough.box) for rough in left))
            if space.budget.exhausted():  # those that are left apart are as right
                return left
            left = _merged(space, left, attribute)
    return left


def _merged(space: Space, roughs: Sequence[Rough], attribute: int) -> list[Rough]:
    every = space.domains[attribute].all
    groups: dict[object, list[Rough]] = {}
    for rough in roughs:
        others = frozenset(item for item in rough.box.items() if item[0] != attribute)
        groups.setdefault((rough.kind, others), []).append(rough)
    found: list[Rough] = []
    for group in groups.values():
        found += [group[0]] if len(group) == 1 else _joined(space, group, attribute, every)
    return found


def _joined(space: Space, group: Sequence[Rough], attribute: int, every: Part) -> list[Rough]:
    """Join the regions of one group, as far as conditions can say what becomes of them."""
    whole = _unions(space, group, attribute, every)
    if whole is not None:
        return [_one(group, attribute, whole, every)]
    found: list[Rough] = []
    for rough in group:
        for place, other in enumerate(found):
            part = _unions(space, (other, rough), attribute, every)
            if part is not None:
                found[place] = _one((other, rough), attribute, part, every)
                break
        else:
            found.append(rough)
    return found


def _unions(space: Space, group: Sequence[Rough], attribute: int, every: Part) -> Part | None:
    atoms, yes, no = 0, 0, 0
    for rough in group:
        part = rough.box.get(attribute, every)
        if part[0] & REST:
            if atoms & REST:
                return None
            yes, no = part[1], part[2]
        atoms |= part[0]
    return (atoms, yes, no) if sayable(space.domains[attribute], (atoms, yes, no)) else None


def _one(group: Sequence[Rough], attribute: int, part: Part, every: Part) -> Rough:
    first = group[0]
    others = [*first.others, *(pair for rough in group[1:] for pair in (rough.rules, *rough.others))]
    box = {**first.box, attribute: part}
    if part == every:  # as a region that never asked for the attribute has it
        del box[attribute]
    return Rough(
        box=box,
        excepts=first.excepts,
        before=first.before,
        after=first.after,
        example=first.example,
        rules=first.rules,
        others=others,
        kind=first.kind,
    )


class Finish:
    """Regions under way -> regions: what was said once of a part is not worked out again."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.rests_on = dict.fromkeys(space.rests_on)
        """The attributes whose known type what was said rests on."""
        self._said: dict[tuple[int, Part], tuple[Clause, ...]] = {}
        self._exceptions: dict[int, tuple[Shape, tuple[Clause, ...]]] = {}

    def region(self, rough: Rough) -> Region:
        """Return the region as conditions, with its example as a conversation."""
        pairs = [rough.rules, *rough.others]
        before_rule, after_rule = rough.rules
        return Region(
            where=self.clauses(tuple(rough.box.items())),
            excepts=tuple(self._exception(shape) for shape in rough.excepts),
            before=rough.before,
            after=rough.after,
            example=self.space.example(rough.example),
            before_rule=before_rule,
            after_rule=after_rule,
            before_rules=tuple(dict.fromkeys(before for before, _ in pairs)),
            after_rules=tuple(dict.fromkeys(after for _, after in pairs)),
            unlikely=self.space.unlikely(rough.box),
        )

    def _exception(self, shape: Shape) -> tuple[Clause, ...]:
        found = self._exceptions.get(id(shape))  # what one rule asks is one object, and too long to be compared
        if found is None:
            found = self._exceptions[id(shape)] = (shape, self.clauses(shape))
        return found[1]

    def clauses(self, shape: Shape) -> tuple[Clause, ...]:
        """Return a box as conditions, the pivot's first."""
        ordered = sorted(shape, key=lambda asked: (asked[0] != self.space.pivot, asked[0]))
        found: list[Clause] = []
        for asked in ordered:
            said = self._said.get(asked)
            if said is None:
                said = self._said[asked] = self._clauses(*asked)
            found += said
        return tuple(found)

    def _clauses(self, attribute: int, part: Part) -> tuple[Clause, ...]:
        if not sayable(self.space.domains[attribute], part):
            raise AssertionError(f"no conditions say {part} of {self.space.domains[attribute].attribute}")
        said = say(self.space.domains[attribute], part)
        likes = self.space.domains[attribute].text_likes
        if likes and all(_takes_a_text(clause) for clause in said) is not bool(part[0] & likes):
            self.rests_on[self.space.domains[attribute].attribute] = None
        return said


def _takes_a_text(clause: Clause) -> bool:
    """Say whether a clause takes a text that no condition names."""
    return not isinstance(clause.part, Condition) or (
        holds(clause.part, {clause.part.attribute: ""}) is not clause.negate
    )


def common(pairs: Pairs, pair: Pair) -> Box | None:
    """Return what both rules of a pair ask; None where nothing is in both."""
    found: Box | None = {}
    for slices, rank in zip((pairs.old, pairs.new), pair, strict=True):
        if found is not None and rank < len(slices.boxes):
            found = meeting(found, tuple(pairs.space.box(slices.boxes[rank]).items()))
    return found


class Making:
    """Makes regions of the pairs of two lists."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs, self.space = pairs, pairs.space
        self.parts: dict[tuple[int, int, int], tuple[Box, Sequence[Shape]]] = {}

    def roughs(self, without: Collection[int] = ()) -> Iterator[Rough]:
        """Yield the regions of all pairs, simplified, but for those that these new rules take."""
        yield from self.narrow(without)
        yield from (rough for pair, rough in self.wide.items() if pair[1] not in without)

    def narrow(self, without: Collection[int]) -> Iterator[Rough]:
        """Yield regions of pairs about few values: one for those alike but for the value."""
        alike: dict[Key, list[tuple[Pair, Narrow]]] = {}
        for pair, found in self.pairs.narrow.items():
            if pair[1] in without:
                continue
            first, *others = set(found.before.values())
            if others:
                yield self.apart(pair, found)
            else:
                alike.setdefault((self.pairs.goes(pair), *self.shapes_of(pair), first), []).append((pair, found))
        for (_, old, new, before), group in alike.items():
            atoms = sum(1 << atom for _, found in group for atom in found.before)
            if sayable(self.space.pivot_domain, (atoms, 0, 0)):
                box, excepts = self.without_pivot(old, new, before)
                whole = {**box, self.space.pivot: (atoms, 0, 0)}
                yield self.rough([pair for pair, _ in group], whole, excepts, group[0][1].box)
            else:
                yield from (self.apart(pair, found) for pair, found in group)

    def shapes_of(self, pair: Pair) -> tuple[int, int]:
        """Return the shapes of both rules."""
        always = self.space.always.shape
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.boxes[rank].shape if rank < len(slices.boxes) else always for slices, rank in sides)
        return old, new

    def without_pivot(self, old: int, new: int, before: int) -> tuple[Box, Sequence[Shape]]:
        """Return what two shapes have in common without what earlier ones take, simplified."""
        key = (old, new, before)
        if key not in self.parts:
            shapes = self.space.shapes
            box = meeting(dict(shapes.all[old]), shapes.all[new]) or {}
            outer = [one for one in bits(before) if not shapes.covering(one) & before & ~(1 << one)]
            excepts = [shapes.all[number] for number in outer]
            self.parts[key] = simplify(self.space, box, excepts, excepts)
        return self.parts[key]

    def apart(self, pair: Pair, found: Narrow) -> Rough:
        """Return the region of one pair, where what earlier rules take differs by value, or values cannot be said."""
        box = common(self.pairs, pair) or {}
        pivot = (sum(1 << atom for atom in found.before), 0, 0)
        if not sayable(self.space.pivot_domain, pivot):
            excepts = self.taken(Taken(self.pairs.old, self.pairs.new), pair)
            return self.rough([pair], *simplify(self.space, box, excepts), found.box)
        box[self.space.pivot] = pivot
        by_shape: dict[int, int] = {}
        for atom, before in found.before.items():
            for number in bits(before):
                by_shape[number] = by_shape.get(number, 0) | 1 << atom
        taken = Taken(self.pairs.old, self.pairs.new)
        excepts = []
        for number, mask in by_shape.items():
            parts = unite(self.space.pivot_domain, ((1 << atom, 0, 0) for atom in bits(mask)))
            excepts += taken.with_pivot(number, parts)
        return self.rough([pair], *simplify(self.space, box, excepts), found.box)

    @cached_property
    def wide(self) -> dict[Pair, Rough]:
        """The regions of pairs about many values, made in an order in which ranks mostly grow."""
        made: dict[Pair, Rough] = {}
        by_old: dict[int, list[Pair]] = {}
        for pair in sorted(self.pairs.wide):
            by_old.setdefault(pair[0], []).append(pair)
        rising, other = Taken(self.pairs.old, self.pairs.new), Taken(self.pairs.old, self.pairs.new)
        near = Near(self.pairs)
        for group in by_old.values():
            for pair in group:
                box = common(self.pairs, pair) or {}
                pivot = box.get(self.space.pivot, self.space.pivot_domain.all)
                if near.knows(pivot):
                    rules, more = near.before(pair, pivot)
                    box, excepts = simplify(self.space, box, [*rules, *more], rules)
                else:
                    box, excepts = simplify(self.space, box, self.taken(rising if len(group) == 1 else other, pair))
                made[pair] = self.rough([pair], box, excepts, self.pairs.wide[pair])
        return made

    def taken(self, taken: Taken, pair: Pair) -> list[Shape]:
        """Return what earlier rules take of a pair."""
        old, new = self.shapes_of(pair)
        return taken.before(pair, self.space.shapes.overlapping(old) & self.space.shapes.overlapping(new))

    def rough(self, group: Sequence[Pair], box: Box, excepts: Sequence[Shape], example: Box) -> Rough:
        """Return a region of pairs that lead to the same destinations."""
        rules = [self.rules(pair) for pair in group]
        before, after = self.pairs.goes(group[0])
        return Rough(
            box=box,
            excepts=tuple(excepts),
            before=before,
            after=after,
            example=example,
            rules=rules[0],
            others=rules[1:],
        )

    def rules(self, pair: Pair) -> tuple[Entry | None, Entry | None]:
        """Return both rules; None is the default routing."""
        sides = zip((self.pairs.old, self.pairs.new), pair, strict=True)
        old, new = (slices.entries[rank] if rank < len(slices.entries) else None for slices, rank in sides)
        return old, new
