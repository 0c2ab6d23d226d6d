"""The earlier rules that take all of a rule's conversations."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.behaviour.space.domain import REST, covers
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import NO_RANK, UNNAMED_SLICE, PivotSlices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.routing_entry import RoutingEntry
    from reconciler.behaviour.space.boxes import Box


class ShadowingSearch:
    """Searches one list; raises UndecidedError where the budget ends a search."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space

    def shadowing_rules(self, rank: int) -> tuple[RoutingEntry, ...]:
        """Return earlier rules that together take all conversations of a shadowed rule, each of them necessary."""
        single = self.find_single(rank)
        needed = [single] if single is not None else self.find_several(rank)
        for rule in list(needed) if len(needed) > 1 else ():
            remaining = [other for other in needed if other != rule]
            if self.find_uncovered(rank, remaining) is None:
                needed = remaining
        return tuple(self.slices.entries[rule] for rule in needed)

    def find_single(self, rank: int) -> int | None:
        """Return the first rule that alone takes all of a rule's conversations, or None."""
        covering = self.space.shapes.covering(self.slices.boxes[rank].shape)
        atoms = self.slices.boxes[rank].atoms
        if atoms:
            covering &= self.slices.mask_before(atoms[0], rank)
        if not covering:
            return None
        candidates = (
            self.candidates_in_slice(atoms[0], covering, rank)
            if len(atoms) == 1
            else self.candidates(covering, rank, atoms)
        )
        return min(candidates, default=None)

    def candidates_in_slice(self, atom: int, covering: int, rank: int) -> Iterator[int]:
        """Yield earlier rules of a slice with these shapes, the first rule of each shape among them."""
        boxes, about = self.slices.boxes, self.slices.ranks_by_atom.get(atom, ())
        self.space.budget.spend(covering.bit_count())
        first = self.slices.prefix_masks.first_ranks(atom)
        yield from (rule for rule in about if rule < rank and covering >> boxes[rule].shape & 1)
        yield from (rule for rule in (first.get(shape, NO_RANK) for shape in bits(covering)) if rule < rank)

    def candidates(self, covering: int, rank: int, atoms: Sequence[int]) -> Iterator[int]:
        """Yield the first earlier rule of each of these shapes that has all of a rule's values of the pivot."""
        slices, boxes = self.slices, self.slices.boxes
        self.space.budget.spend(covering.bit_count())
        if atoms:
            about = [rule for rule in slices.ranks_by_atom.get(atoms[0], ()) if covering >> boxes[rule].shape & 1]
            yield from (rule for rule in about if rule < rank and all(slices.holds(atom, rule) for atom in atoms))
        for shape in bits(covering):
            for rule in self.wide_ranks.get(shape, ()):
                self.space.budget.spend(1 + len(atoms))
                if rule >= rank:
                    break
                alone = all(slices.holds(atom, rule) for atom in atoms)
                if alone and (atoms or covers(boxes[rule].pivot, boxes[rank].pivot)):
                    yield rule
                    break

    @cached_property
    def wide_ranks(self) -> dict[int, list[int]]:
        """The rules with many values of the pivot, by shape."""
        ranks: dict[int, list[int]] = {}
        for rank, box in enumerate(self.slices.boxes):
            if not box.atoms:
                ranks.setdefault(box.shape, []).append(rank)
        return ranks

    def find_several(self, rank: int) -> list[int]:
        """Return earlier rules that together take a rule's conversations: the next rule for each uncovered box."""
        slices = self.slices
        needed: list[int] = []
        while (hole := self.find_uncovered(rank, needed)) is not None:
            atom, box = hole
            takers = slices.shapes(atom).touching(box.items())
            needed.append(next(rule for rule in slices.first_ranks_in(atom) if takers >> slices.shape(atom, rule) & 1))
        return sorted(needed)

    def find_uncovered(self, rank: int, others: Sequence[int]) -> tuple[int, Box] | None:
        """Return a slice, and conversations of a rule in it that none of the others takes."""
        for atom in self.distinct_slices(rank, others):
            self.space.budget.spend(1 + len(others))
            blockers = 0
            for blocker in others:
                if self.slices.holds(atom, blocker):
                    blockers |= 1 << self.slices.shape(atom, blocker)
            shape = self.slices.shape(atom, rank)
            box = self.slices.find_free_box(atom, (shape, shape), blockers)
            if box is not None:
                return atom, box
        return None

    def distinct_slices(self, rank: int, others: Sequence[int]) -> Iterator[int]:
        """Yield slices of a rule, one for each set of the others that is in it."""
        box = self.slices.boxes[rank]
        if box.rest >= 0:
            yield UNNAMED_SLICE
        if self.space.pivot < 0:
            return
        parts = [self.space.pivot_values(box)[0] & ~REST]
        for blocker in others:
            atoms = self.space.pivot_values(self.slices.boxes[blocker])[0]
            self.space.budget.spend(len(parts))
            parts = [piece for part in parts for piece in (part & atoms, part & ~atoms) if piece]
        yield from ((part & -part).bit_length() - 1 for part in parts if part)
