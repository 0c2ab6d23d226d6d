"""Regions: conversations whose destination changes, made few and readable.

A region begins as all that two rules have in common, without what earlier rules take. Regions that differ in one
attribute alone become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.behaviour.domain import REST
from reconciler.behaviour.evaluate import holds
from reconciler.behaviour.express import Clause, say, sayable
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.shapes import Box, Shape
    from reconciler.behaviour.space import Example, Space


@dataclass(frozen=True, slots=True)
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


@dataclass(slots=True)
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
    return Rough(box, first.excepts, first.before, first.after, first.example, first.rules, others, first.kind)


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
        return Region(
            self.clauses(tuple(rough.box.items())),
            tuple(self._exception(shape) for shape in rough.excepts),
            rough.before,
            rough.after,
            self.space.example(rough.example),
            *rough.rules,
            tuple(dict.fromkeys(before for before, _ in pairs)),
            tuple(dict.fromkeys(after for _, after in pairs)),
            self.space.unlikely(rough.box),
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
