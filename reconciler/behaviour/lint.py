"""Facts about one list of rules: which can never match, are shadowed or redundant, and which ties matter.

Facts, each proven: a rule of which nothing could be decided within the bound of work is named in `undecided`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST, covers, meet
from reconciler.behaviour.entry import in_order
from reconciler.behaviour.shapes import UndecidedError, meeting
from reconciler.behaviour.slices import UNNAMED, Slices
from reconciler.behaviour.space import Space
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.entry import Entry, Evaluation
    from reconciler.behaviour.shapes import Box
    from reconciler.behaviour.space import Example
    from reconciler.model import Opaque

MOST_TIES_OF_ONE_RULE: Final = 20


@dataclass(frozen=True, slots=True)
class Never:
    """A rule whose conditions cannot hold together; `conditions` are those that contradict each other."""

    entry: Entry
    conditions: tuple[Condition | Opaque, ...]


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A rule all of whose conversations earlier rules take; without any of `by` that would not be so."""

    entry: Entry
    by: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Redundant:
    """A rule whose conversations would go to the same destination without it; `instead` would take them."""

    entry: Entry
    instead: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Tie:
    """Two rules of equal priority and different destinations, and a conversation for which the platform may choose."""

    first: Entry
    second: Entry
    example: Example


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a list of rules."""

    never: tuple[Never, ...]
    shadowed: tuple[Shadowed, ...]
    redundant: tuple[Redundant, ...]
    ties: tuple[Tie, ...]
    undecided: tuple[Entry, ...] = field(default=())


def lint(
    entries: Iterable[Entry],
    evaluation: Evaluation = "lowest-first",
    texts: Mapping[str, Iterable[str]] | None = None,
    steps: int | None = None,
) -> Facts:
    """Return the facts about a list of rules. `texts` are further values of attributes to tell apart."""
    ordered = in_order(entries, evaluation)
    space = Space((ordered,), texts)
    if steps is not None:
        space.budget.left = steps
    return facts(Slices(space, ordered))


def facts(slices: Slices) -> Facts:
    """Return the facts about a list that is filed already."""
    return _Lint(slices).result()


class _Lint:
    def __init__(self, slices: Slices) -> None:
        self.slices, self.space = slices, slices.space
        self.undecided: dict[int, None] = {}

    def result(self) -> Facts:
        """Go through the rules in order."""
        entries = self.slices.entries
        shadowed: list[Shadowed] = []
        redundant: list[Redundant] = []
        for rank in range(len(entries)):
            try:
                instead = self.instead(rank)
                if instead is None:
                    shadowed.append(Shadowed(entries[rank], self.culprits(rank)))
                elif instead:
                    redundant.append(Redundant(entries[rank], instead))
            except UndecidedError:
                self.undecided[rank] = None
        never = tuple(Never(entry, core(self.space, entry)) for entry in self.slices.never)
        ties = tuple(self.ties())
        undecided = tuple(entries[rank] for rank in self.undecided)
        return Facts(never, tuple(shadowed), tuple(redundant), ties, undecided)

    def free(self, atom: int, heads: tuple[int, int], blockers: int) -> Box | None:
        """Return a box of a slice in both shapes that none of the blockers touches."""
        shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
        found = shapes.free(heads[0], heads[1], blockers)
        if found is None or atom == UNNAMED or self.space.pivot < 0:
            return found
        return {**found, self.space.pivot: (1 << atom, 0, 0)}

    def instead(self, rank: int) -> tuple[Entry, ...] | None:
        """Return who would send a rule's conversations where it does: nobody where it is needed, None without any."""
        wins = False
        others: dict[int, None] = {}
        for atom in self.slices.open_atoms(rank):
            self.space.budget.look()
            before = self.slices.before(atom, rank)
            head = self.slices.shape(atom, rank)
            if self.free(atom, (head, head), before) is not None:
                wins = True
                if self.needed_in(atom, rank, before, others):
                    return ()
        return tuple(self.slices.entries[one] for one in sorted(others)) if wins else None

    def needed_in(self, atom: int, rank: int, before: int, others: dict[int, None]) -> bool:
        """Say whether a slice has a conversation that would go elsewhere without the rule; gathers who takes others."""
        slices = self.slices
        shape, goes = slices.shape(atom, rank), slices.destinations[rank]
        alike = slices.alike_after(atom, rank)
        if not alike or self.free(atom, (shape, shape), before | alike) is not None:
            return True
        shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
        overlapping = shapes.overlapping(shape)
        for one in slices.members(atom):
            other = slices.shape(atom, one)
            if one <= rank or not overlapping >> other & 1:
                continue
            if self.free(atom, (shape, other), before) is not None:
                if slices.destinations[one] != goes:
                    return True
                others[one] = None
            before |= 1 << other
        return False

    def culprits(self, rank: int) -> tuple[Entry, ...]:
        """Return earlier rules that take all of a rule's conversations, none of which could be left out."""
        single = next((one for one in self.earlier(rank) if self.contains(one, rank)), None)
        needed = [single] if single is not None else self.gathered(rank)
        for one in list(needed) if len(needed) > 1 else ():
            others = [other for other in needed if other != one]
            if self.covered(rank, others):
                needed = others
        return tuple(self.slices.entries[one] for one in needed)

    def earlier(self, rank: int) -> list[int]:
        """Return the earlier rules that may take all of a rule's conversations, as far as their places tell."""
        atoms = self.slices.boxes[rank].atoms
        if not atoms:
            return [one for one in (*self.slices.general, *self.slices.unnamed) if one < rank]
        return [one for one in self.slices.members(atoms[0]) if one < rank]

    def contains(self, one: int, rank: int) -> bool:
        """Say whether one rule alone takes all that another one asks for."""
        boxes = self.slices.boxes
        if not self.space.shapes.covering(boxes[rank].shape) >> boxes[one].shape & 1:
            return False
        if boxes[rank].atoms:
            return all(self.slices.holds(atom, one) for atom in boxes[rank].atoms)
        return not boxes[one].atoms and covers(boxes[one].pivot, boxes[rank].pivot)

    def gathered(self, rank: int) -> list[int]:
        """Return earlier rules that take all of a rule's conversations: the next one for each that is still free."""
        needed: list[int] = []
        hole = self.hole(rank, needed)
        while hole is not None:
            atom, box = hole
            shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
            takers = (one for one in self.slices.members(atom) if one not in needed)
            needed.append(next(one for one in takers if meeting(box, shapes.all[self.slices.shape(atom, one)])))
            hole = self.hole(rank, needed)
        return sorted(needed)

    def covered(self, rank: int, others: Sequence[int]) -> bool:
        """Say whether the others take all of a rule's conversations."""
        return self.hole(rank, others) is None

    def hole(self, rank: int, others: Sequence[int]) -> tuple[int, Box] | None:
        """Return a slice and conversations of a rule in it that none of the others takes."""
        for atom in self.differing(rank, others):
            blockers = 0
            for other in others:
                if self.slices.holds(atom, other):
                    blockers |= 1 << self.slices.shape(atom, other)
            shape = self.slices.shape(atom, rank)
            found = self.free(atom, (shape, shape), blockers)
            if found is not None:
                return atom, found
        return None

    def differing(self, rank: int, others: Sequence[int]) -> Iterator[int]:
        """Yield slices of a rule, one for each set of the others that is in it."""
        box = self.slices.boxes[rank]
        if box.rest >= 0:
            yield UNNAMED
        parts = [self.space.pivot_part(box)[0] & ~REST]
        for other in others:
            atoms = self.space.pivot_part(self.slices.boxes[other])[0]
            parts = [piece for part in parts for piece in (part & atoms, part & ~atoms) if piece]
        yield from ((part & -part).bit_length() - 1 for part in parts if part)

    def ties(self) -> Iterator[Tie]:
        """Yield pairs of rules of one priority that compete for a conversation."""
        entries = self.slices.entries
        for _, group in groupby(range(len(entries)), key=lambda rank: entries[rank].rule.priority):
            ranks = list(group)
            if len(ranks) > 1:
                yield from self.ties_of(ranks)

    def ties_of(self, ranks: Sequence[int]) -> Iterator[Tie]:
        """Yield the ties of one priority: among rules about one value, and of each with those about many."""
        boxes = self.slices.boxes
        about: dict[int, list[int]] = {}
        wide = [rank for rank in ranks if not boxes[rank].atoms]
        for rank in ranks:
            for atom in boxes[rank].atoms:
                about.setdefault(atom, []).append(rank)
        for rank in ranks:
            near = {other for atom in boxes[rank].atoms for other in about[atom] if other > rank}
            others = wide if boxes[rank].atoms else [other for other in wide if other > rank]
            found = 0
            for other in sorted({*near, *others}):
                tie = self.tie(min(rank, other), max(rank, other), ranks[0])
                if tie is not None:
                    yield tie
                    found += 1
                    if found == MOST_TIES_OF_ONE_RULE:
                        break

    def tie(self, one: int, other: int, first: int) -> Tie | None:
        """Return the tie of two rules, where some conversation that no rule of a better priority takes fits both."""
        slices = self.slices
        if slices.destinations[one] == slices.destinations[other]:
            return None
        few, more = (one, other) if slices.boxes[one].atoms else (other, one)
        try:
            for atom in slices.atoms(few):
                if slices.holds(atom, more):
                    heads = slices.shape(atom, few), slices.shape(atom, more)
                    box = self.free(atom, heads, slices.before(atom, first))
                    if box is not None:
                        return Tie(slices.entries[one], slices.entries[other], self.space.example(box))
        except UndecidedError:
            self.undecided[one] = None
        return None


def core(space: Space, entry: Entry) -> tuple[Condition | Opaque, ...]:
    """Return conditions of a rule that cannot hold together, none of which could be left out."""
    for number, domain in enumerate(space.domains):
        asked = [
            one for one in entry.rule.conditions if isinstance(one, Condition) and one.attribute == domain.attribute
        ]
        if asked and not _common(space, number, asked)[0]:
            for one in list(asked):
                others = [other for other in asked if other is not one]
                if not others or not _common(space, number, others)[0]:
                    asked = others or asked
            return tuple(asked)
    raise AssertionError(entry.name)


def _common(space: Space, number: int, asked: Sequence[Condition]) -> Part:
    part = space.domains[number].all
    for one in asked:
        part = meet(part, space.domain(number).part(one))
    return part
