"""Which earlier rules take all of a rule's conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.space.domain import REST, covers
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import NO_RANK, UNNAMED_SLICE, PivotSlices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.routing_entry import RoutingEntry
    from reconciler.behaviour.space.boxes import Box


class ShadowingSearch:
    """Answers for one list; raises UndecidedError where a search had to be given up."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space
        self._wide_ranks: dict[int, list[int]] | None = None

    def shadowing_rules(self, rank: int) -> tuple[RoutingEntry, ...]:
        """Return earlier rules that take all of a shadowed rule's conversations, none of which could be left out."""
        single = self.find_single(rank)
        needed = [single] if single is not None else self.find_several(rank)
        for one in list(needed) if len(needed) > 1 else ():
            others = [other for other in needed if other != one]
            if self.find_uncovered(rank, others) is None:
                needed = others
        return tuple(self.slices.entries[one] for one in needed)

    def find_single(self, rank: int) -> int | None:
        """Return the first rule that alone takes all that a rule asks for, if there is one."""
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
        """Yield earlier rules of a slice whose shapes are these, the first of each among them."""
        boxes = self.slices.boxes
        self.space.budget.spend(covering.bit_count())
        first = self.slices.prefix_masks.first_ranks(atom)
        yield from (
            one for one in self.slices.ranks_by_atom.get(atom, ()) if one < rank and covering >> boxes[one].shape & 1
        )
        yield from (one for one in (first.get(shape, NO_RANK) for shape in bits(covering)) if one < rank)

    def candidates(self, covering: int, rank: int, atoms: Sequence[int]) -> Iterator[int]:
        """Yield the first earlier rule of each of these shapes that holds for all values of the pivot a rule has."""
        slices, boxes = self.slices, self.slices.boxes
        self.space.budget.spend(covering.bit_count())
        if atoms:
            about = [one for one in slices.ranks_by_atom.get(atoms[0], ()) if covering >> boxes[one].shape & 1]
            yield from (one for one in about if one < rank and all(slices.holds(atom, one) for atom in atoms))
        for shape in bits(covering):
            for one in self.wide_ranks.get(shape, ()):
                self.space.budget.spend(1 + len(atoms))
                if one >= rank:
                    break
                alone = all(slices.holds(atom, one) for atom in atoms)
                if alone and (atoms or covers(boxes[one].pivot, boxes[rank].pivot)):
                    yield one
                    break

    @property
    def wide_ranks(self) -> dict[int, list[int]]:
        """The rules about many values of the pivot, by shape."""
        if self._wide_ranks is None:
            self._wide_ranks = {}
            for rank, box in enumerate(self.slices.boxes):
                if not box.atoms:
                    self._wide_ranks.setdefault(box.shape, []).append(rank)
        return self._wide_ranks

    def find_several(self, rank: int) -> list[int]:
        """Return earlier rules that take all of a rule's conversations: the next one for each that is still free."""
        needed: list[int] = []
        hole = self.find_uncovered(rank, needed)
        while hole is not None:
            atom, box = hole
            shapes = self.space.rest_shapes if atom == UNNAMED_SLICE else self.space.shapes
            takers = shapes.touching(box.items())
            needed.append(
                next(one for one in self.slices.first_ranks_in(atom) if takers >> self.slices.shape(atom, one) & 1)
            )
            hole = self.find_uncovered(rank, needed)
        return sorted(needed)

    def find_uncovered(self, rank: int, others: Sequence[int]) -> tuple[int, Box] | None:
        """Return a slice and conversations of a rule in it that none of the others takes."""
        for atom in self.distinct_slices(rank, others):
            self.space.budget.spend(1 + len(others))
            blockers = 0
            for other in others:
                if self.slices.holds(atom, other):
                    blockers |= 1 << self.slices.shape(atom, other)
            shape = self.slices.shape(atom, rank)
            found = self.slices.find_free_box(atom, (shape, shape), blockers)
            if found is not None:
                return atom, found
        return None

    def distinct_slices(self, rank: int, others: Sequence[int]) -> Iterator[int]:
        """Yield slices of a rule, one for each set of the others that is in it."""
        box = self.slices.boxes[rank]
        if box.rest >= 0:
            yield UNNAMED_SLICE
        if self.space.pivot < 0:
            return
        parts = [self.space.pivot_values(box)[0] & ~REST]
        for other in others:
            atoms = self.space.pivot_values(self.slices.boxes[other])[0]
            self.space.budget.spend(len(parts))
            parts = [piece for part in parts for piece in (part & atoms, part & ~atoms) if piece]
        yield from ((part & -part).bit_length() - 1 for part in parts if part)
