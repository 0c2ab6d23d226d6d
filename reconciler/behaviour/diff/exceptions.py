"""The conversations that earlier rules take from a pair of winners: the exceptions of its region, as shapes."""

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from reconciler.behaviour.diff.winners import RankPair, WinnerPairs
from reconciler.behaviour.space.boxes import Shape
from reconciler.behaviour.space.clauses import unite_values
from reconciler.behaviour.space.domain import REST, ValueSet
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices

_ValuesByKey = dict["Hashable", "ValueSet"]
MAX_NAMED_VALUES: Final = 64


class _RunningUnion:
    """The values that the rules of one list before a rank take, by shape; cheap while the rank grows."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.space = slices, slices.space
        # Conditions can express any values with equal patterns as one, unless the pivot has numbers.
        self.keeps_values_apart = self.space.pivot_domain.number_mask != 0
        self.rank, self.mask = 0, 0
        self.by_shape: dict[int, _ValuesByKey] = {}

    def advance_to(self, rank: int) -> None:
        if rank < self.rank:
            self.rank, self.mask = 0, 0
            self.by_shape = {}
        for box in self.slices.boxes[self.rank : rank]:
            self.mask |= 1 << box.shape
            part = self.space.pivot_values(box)
            key: Hashable = part if self.keeps_values_apart else part[1:]
            _add_values(self.by_shape.setdefault(box.shape, {}), key, part)
        self.rank = min(rank, len(self.slices.boxes))


def _add_values(parts: _ValuesByKey, key: Hashable, part: ValueSet) -> None:
    known = parts.get(key)
    parts[key] = part if known is None else (known[0] | part[0], part[1], part[2])


class RunningExceptions:
    """The shapes that earlier rules of two lists take from pairs; cheap where both ranks grow from pair to pair."""

    def __init__(self, old: PivotSlices, new: PivotSlices) -> None:
        self.space = old.space
        self._old, self._new = _RunningUnion(old), _RunningUnion(new)

    def shapes_before(self, pair: RankPair, overlapping: int) -> list[Shape]:
        """Return the parts that rules of these shapes take before a pair, as few shapes as conditions can express."""
        for running, rank in zip((self._old, self._new), pair, strict=True):
            running.advance_to(rank)
        shapes: list[Shape] = []
        for number in bits((self._old.mask | self._new.mask) & overlapping):
            old, new = self._old.by_shape.get(number, {}), self._new.by_shape.get(number, {})
            parts = dict(old)
            for key, part in () if old == new else new.items():
                _add_values(parts, key, part)
            values = list(parts.values())
            if self._old.keeps_values_apart:
                values = unite_values(self.space.pivot_domain, values)
            shapes += self.with_pivot(number, values)
        return shapes

    def with_pivot(self, number: int, parts: Sequence[ValueSet]) -> list[Shape]:
        """Return a shape with each of these values of the pivot."""
        shape = self.space.shapes.all[number]
        if self.space.pivot < 0 or self.space.pivot_domain.all in parts:
            return [shape]
        return [tuple(sorted((*shape, (self.space.pivot, part)))) for part in parts]


class _RuleExtent(NamedTuple):
    """A rule's complete shape, its named values of the pivot, and its shape on the other attributes."""

    full_shape: Shape
    atoms: int
    shape: int


class PatternExceptions:
    """Exceptions of pairs with few named values of the pivot; a rule's shape is one object in all of them."""

    def __init__(self, pairs: WinnerPairs) -> None:
        self.pairs, self.space = pairs, pairs.space

    def applies_to(self, pivot: ValueSet) -> bool:
        """Return whether the pivot has few values and no numbers, of which conditions cannot express all sets."""
        texts = self.space.pivot >= 0 and not self.space.pivot_domain.number_mask
        return texts and (pivot[0] & ~REST).bit_count() <= MAX_NAMED_VALUES

    def shapes_before(self, pair: RankPair, pivot: ValueSet) -> tuple[list[Shape], list[Shape]]:
        """Return the shapes of rules, none of which contains another one, and further exceptions by value."""
        literals = pivot[0] & ~REST
        atoms_by_shape: dict[int, int] = {}
        outer: dict[int, int] = {}
        for atom in bits(literals):
            mask = self._mask_before(atom, pair)
            for number in bits(mask):
                atoms_by_shape[number] = atoms_by_shape.get(number, 0) | 1 << atom
                if not self.space.shapes.covering(number) & mask & ~(1 << number):
                    outer[number] = outer.get(number, 0) | 1 << atom
        rules: list[Shape] = []
        for extent in self._unnamed_extents(pair, literals, atoms_by_shape) if pivot[0] & REST else ():
            rules.append(extent.full_shape)
            outer[extent.shape] = outer.get(extent.shape, 0) & ~extent.atoms
        shapes = ((self.space.shapes.all[number], atoms) for number, atoms in outer.items() if atoms)
        return rules, [tuple(sorted((*shape, (self.space.pivot, (atoms, 0, 0))))) for shape, atoms in shapes]

    def _mask_before(self, atom: int, pair: RankPair) -> int:
        """Return the shapes before a pair in a slice that overlap both rules; charges for a look at each."""
        mask = self.pairs.mask_before(pair, atom)
        self.space.budget.charge(mask.bit_count())
        return mask

    def _unnamed_extents(self, pair: RankPair, literals: int, atoms_by_shape: dict[int, int]) -> Iterator[_RuleExtent]:
        """Yield the rules that take unnamed texts; of rules that differ in named values only, one before the pair."""
        mask = self._mask_before(UNNAMED_SLICE, pair)
        for number in bits(mask):
            if not self.space.rest_shapes.covering(number) & mask & ~(1 << number):
                extents = self.extents[number].values()
                yield next(rule for rule in extents if not rule.atoms & literals & ~atoms_by_shape.get(rule.shape, 0))

    @cached_property
    def extents(self) -> dict[int, dict[int, _RuleExtent]]:
        """The extents of the rules of both lists, by their shape among unnamed texts."""
        extents: dict[int, dict[int, _RuleExtent]] = {}
        for slices in (self.pairs.old, self.pairs.new):
            for rank in slices.unnamed_ranks:
                box = slices.boxes[rank]
                alike = extents.setdefault(box.rest, {})
                if id(box) not in alike:
                    shape = tuple(sorted(self.space.box(box).items()))
                    alike[id(box)] = _RuleExtent(shape, box.pivot[0] & ~REST, box.shape)
        return extents
