"""One list of rules, indexed by the pivot: the rules with a value of it, and which of them come
before a rule.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, chain
from operator import or_
from sys import maxsize
from typing import Final

from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of,
)
from reconciler.core.behaviour.space.boxes import Box, Shape, Shapes
from reconciler.core.behaviour.space.domain import REST
from reconciler.core.behaviour.space.patterns import bits, union
from reconciler.core.behaviour.space.space import CompiledRule, Space

NO_RANK: Final = maxsize  # the rank of a shape that is not in a slice
# the slice of texts of the pivot that no rule names
UNNAMED_SLICE: Final = REST.bit_length() - 1


class PrefixMasks:
    """The shapes of the rules before each rank, of rules that are in most slices."""

    # In a slice without the first rule of a shape, that shape begins later, or not at all.

    def __init__(
        self,
        rules: Iterable[tuple[int, int]],
        missing: Mapping[int, Collection[int]] | None = None,
    ) -> None:
        """Take (rank, shape), by rank; and for the ranks of rules that are not in every slice, the
        slices without.
        """
        ranked_shapes = list(rules)
        self.ranks = [rank for rank, _ in ranked_shapes]
        masks = (1 << shape for _, shape in ranked_shapes)
        self._masks = list(accumulate(masks, or_, initial=0))
        self.first_rank_of: dict[int, int] = {}  # by shape
        # by slice, the first rank of shapes that begin later there
        self.late_ranks: dict[int, dict[int, int]] = {}
        self._find_first_ranks(ranked_shapes, missing or {})

    def _find_first_ranks(
        self,
        ranked_shapes: Iterable[tuple[int, int]],
        missing: Mapping[int, Collection[int]],
    ) -> None:
        # by shape, the slices in which it did not begin yet
        waiting: dict[int, set[int]] = {}
        for rank, shape in ranked_shapes:
            absent = missing.get(rank, ())
            if shape not in self.first_rank_of:
                self.first_rank_of[shape] = rank
                if absent:
                    waiting[shape] = set(absent)
            elif waiting.get(shape):
                self._begin_later(waiting[shape].difference(absent), shape, rank)
                waiting[shape].intersection_update(absent)
        for shape, atoms in waiting.items():
            self._begin_later(atoms, shape, NO_RANK)

    def _begin_later(self, atoms: Iterable[int], shape: int, rank: int) -> None:
        for atom in atoms:
            self.late_ranks.setdefault(atom, {})[shape] = rank

    def mask_before(self, rank: int, atom: int = -1) -> int:
        """Return the shapes of the rules before a rank in a slice; by default in one with all
        rules.
        """
        mask = self._masks[bisect_left(self.ranks, rank)]
        if atom in self.late_ranks:
            for shape, begins in self.late_ranks[atom].items():
                if begins >= rank:
                    mask &= ~(1 << shape)
        return mask

    def first_ranks(self, atom: int = -1) -> dict[int, int]:
        """Return the first rank of each shape in a slice; NO_RANK where the shape has none
        there.
        """
        if atom in self.late_ranks:
            return self.first_rank_of | self.late_ranks[atom]
        return self.first_rank_of


class PivotSlices:
    """A list of rules in the order of evaluation.

    A rule's rank is its position; a contradictory rule has none.
    """

    def __init__(self, space: Space, ordered: Sequence[RoutingEntry]) -> None:
        self.space = space
        self.never_matching: list[RoutingEntry] = []
        # by rank:
        self.entries: list[RoutingEntry] = []
        self.boxes: list[CompiledRule] = []
        self._add_entries(ordered)
        self.destinations = [
            destination_of(entry.rule.targets) for entry in self.entries
        ]

        # of rules with few values, or a minority of them, by value
        self.ranks_by_atom: dict[int, list[int]] = {}
        self.general_ranks: list[int] = []  # of rules with most values of the pivot
        self.unnamed_ranks: list[int] = []  # of rules with texts that no rule names
        # the values that a general rule excludes, by its rank
        self.missing_atoms: dict[int, Sequence[int]] = {}
        self._excluded_ranks: dict[int, set[int]] = {}
        self._index_rules()
        self._mask_prefixes()

    def _mask_prefixes(self) -> None:
        boxes = self.boxes
        general = ((rank, boxes[rank].shape) for rank in self.general_ranks)
        self.prefix_masks = PrefixMasks(general, self.missing_atoms)
        late_ranks = self.prefix_masks.late_ranks
        self._late_atoms = union(1 << atom for atom in late_ranks)

        unnamed = ((rank, boxes[rank].rest) for rank in self.unnamed_ranks)
        self.unnamed_prefix_masks = PrefixMasks(unnamed)

        # Of each value, for its latest rank: the number of earlier rules with it, and their shapes.
        self._running_masks: dict[int, tuple[int, int]] = {}
        self._masks_by_destination: dict[tuple[Destination, bool], PrefixMasks] = {}

    def _add_entries(self, ordered: Iterable[RoutingEntry]) -> None:
        for entry in ordered:
            compiled = self.space.compiled(entry)
            if compiled is None:
                self.never_matching.append(entry)
            else:
                self.entries.append(entry)
                self.boxes.append(compiled)

    def _index_rules(self) -> None:
        named = self.space.pivot_domain.all[0] & ~REST
        for rank, box in enumerate(self.boxes):
            if box.atoms:
                for atom in box.atoms:
                    self.ranks_by_atom.setdefault(atom, []).append(rank)
                continue
            if box.rest >= 0:
                self.unnamed_ranks.append(rank)
            values = box.pivot[0] & named
            if 2 * values.bit_count() <= named.bit_count():
                for atom in bits(values):
                    self.ranks_by_atom.setdefault(atom, []).append(rank)
                continue
            self.general_ranks.append(rank)
            if values != named:
                missing = tuple(bits(named & ~values))
                self.missing_atoms[rank] = missing
                for atom in missing:
                    self._excluded_ranks.setdefault(atom, set()).add(rank)

    def shape(self, atom: int, rank: int) -> int:
        """Return a rule's shape in a slice; for the default routing, beyond the last rule, that of
        everything.
        """
        box = self.boxes[rank] if rank < len(self.boxes) else self.space.always
        return box.rest if atom == UNNAMED_SLICE else box.shape

    def shapes(self, atom: int) -> Shapes:
        """Return the shapes to which those of a slice belong."""
        return self.space.rest_shapes if atom == UNNAMED_SLICE else self.space.shapes

    def destination_of_rank(self, rank: int) -> Destination:
        """Return a rule's destination; None for the default routing, beyond the last rule."""
        return self.destinations[rank] if rank < len(self.boxes) else None

    def entry_of_rank(self, rank: int) -> RoutingEntry | None:
        """Return a rule, or that of which it is a part; None for the default routing, beyond the
        last rule.
        """
        return self.entries[rank].whole if rank < len(self.entries) else None

    def is_narrow(self, rank: int) -> bool:
        """Return whether a rule has few values of the pivot; the default routing has not."""
        if rank >= len(self.boxes):
            return False
        return bool(self.boxes[rank].atoms)

    def mask_before(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come before a rank."""
        if atom == UNNAMED_SLICE:
            return self.unnamed_prefix_masks.mask_before(rank)
        about = self.ranks_by_atom.get(atom, ())
        count = bisect_left(about, rank)
        done, mask = self._running_masks.get(atom, (0, 0))
        if done > count:
            done = 0
            mask = 0
        late_ranks = self.prefix_masks.late_ranks.get(atom, ())
        self.space.budget.charge(count - done + len(late_ranks))
        for earlier in about[done:count]:
            mask |= 1 << self.boxes[earlier].shape
        self._running_masks[atom] = count, mask
        return self.prefix_masks.mask_before(rank, atom) | mask

    def open_atoms(self, rank: int) -> Iterable[int]:
        """Return the slices in which earlier rules with most values may leave conversations to a
        rule.
        """
        if self._is_open(rank, rank):
            return self.atoms(rank)
        unnamed = (UNNAMED_SLICE,) if self.boxes[rank].rest >= 0 else ()
        late_atoms = self.prefix_masks.late_ranks
        return chain(unnamed, (atom for atom in late_atoms if self.holds(atom, rank)))

    def open_mask(self, rank: int, above: int) -> int:
        """Return a mask of slices in which rules with most values before `above` may leave
        conversations to a rule.
        """
        box = self.boxes[rank]
        if box.atoms:
            return sum(1 << atom for atom in box.atoms)
        if self.space.pivot < 0:  # without a pivot all slices are alike
            return REST
        if self._is_open(rank, above):
            return box.pivot[0]
        return box.pivot[0] & (REST | self._late_atoms)

    def _is_open(self, rank: int, above: int) -> bool:
        """Return whether the rules with most values, if they were in every slice, may leave
        conversations to a rule.
        """
        box = self.boxes[rank]
        if box.atoms:
            return True
        wide = self.prefix_masks.mask_before(above)
        return self.space.shapes.may_leave_any(box.shape, box.shape, wide)

    def same_destination_mask_after(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come after a rule and have its
        destination.
        """
        is_unnamed = atom == UNNAMED_SLICE
        destination = self.destinations[rank]
        masks = self._masks_by_destination.get((destination, is_unnamed))
        if masks is None:
            masks = self._reversed_masks(atom, destination)
            self._masks_by_destination[destination, is_unnamed] = masks
        mask = masks.mask_before(-rank, atom)
        about = self.ranks_by_atom.get(atom, ()) if not is_unnamed else ()
        after = about[bisect_right(about, rank) :]
        self.space.budget.charge(len(after))
        return mask | union(
            1 << self.boxes[later].shape
            for later in after
            if self.destinations[later] == destination
        )

    def _reversed_masks(self, atom: int, destination: Destination) -> PrefixMasks:
        """Return the masks of the rules with a destination, from the last rule to the first."""
        is_unnamed = atom == UNNAMED_SLICE
        all_ranks = self.unnamed_ranks if is_unnamed else self.general_ranks
        ranks = [
            rank
            for rank in reversed(all_ranks)
            if self.destinations[rank] == destination
        ]
        missing: dict[int, Sequence[int]] = {}
        if not is_unnamed:
            atoms = self.missing_atoms
            missing = {-rank: atoms[rank] for rank in ranks if rank in atoms}
        shapes = ((-rank, self.shape(atom, rank)) for rank in ranks)
        return PrefixMasks(shapes, missing)

    @cached_property
    def always_masks(self) -> PrefixMasks:
        """The masks of the rules without a condition on the pivot: they are in every slice."""
        every = self.space.pivot_domain.all
        boxes = self.boxes
        return PrefixMasks(
            (rank, boxes[rank].shape)
            for rank in self.general_ranks
            if boxes[rank].pivot == every
        )

    def holds(self, atom: int, rank: int) -> bool:
        """Return whether a rule is in a slice; the default routing, beyond the last rule, is in
        each.
        """
        if rank >= len(self.boxes):
            return True
        box = self.boxes[rank]
        return atom in box.atoms if box.atoms else bool(box.pivot[0] >> atom & 1)

    def ranks_in(self, atom: int) -> Iterator[int]:
        """Yield the ranks of the rules in a slice, in order."""
        self.space.budget.spend(len(self.general_ranks))
        if atom == UNNAMED_SLICE:
            yield from self.unnamed_ranks
            return
        excluded = self._excluded_ranks.get(atom)
        general = self.general_ranks
        if excluded:
            general = [rank for rank in general if rank not in excluded]
        yield from sorted([*self.ranks_by_atom.get(atom, ()), *general])

    def first_ranks_in(self, atom: int) -> list[int]:
        """Return the ranks of the rules in a slice, in order, except those behind a wide rule of
        the same shape.
        """
        self.space.budget.spend(len(self.prefix_masks.first_rank_of))
        if atom == UNNAMED_SLICE:
            return list(self.unnamed_prefix_masks.first_rank_of.values())
        first_ranks = self.prefix_masks.first_ranks(atom).values()
        ranks = [rank for rank in first_ranks if rank != NO_RANK]
        return sorted([*self.ranks_by_atom.get(atom, ()), *ranks])

    def atoms(self, rank: int) -> Iterator[int]:
        """Yield the slices of a rule."""
        return self.atoms_of(self.boxes[rank])

    def atoms_of(self, box: CompiledRule) -> Iterator[int]:
        """Yield the slices of a box: unnamed texts first, where most rules have a free
        conversation.
        """
        if box.atoms:
            yield from box.atoms
            return
        if box.rest >= 0:
            yield UNNAMED_SLICE
        if self.space.pivot >= 0:  # without a pivot all slices are alike
            yield from bits(box.pivot[0] & ~REST)

    def find_free_box(
        self,
        atom: int,
        heads: Sequence[int],
        blockers: int,
        parts: Shape = (),
    ) -> Box | None:
        """Return a box of a slice in two or more shapes that none of the blockers touches.

        With `parts`, it has these values of some attributes; of the pivot, unnamed texts alone.
        Raises UndecidedError.
        """
        first, second, *others = heads
        shapes = self.shapes(atom)
        if others or parts:
            box = shapes.find_free_box_in_all(heads, blockers, parts)
        else:
            box = shapes.find_free_box(first, second, blockers)
        if box is None or atom == UNNAMED_SLICE or self.space.pivot < 0:
            return box
        return {**box, self.space.pivot: (1 << atom, 0, 0)}
