"""Shapes: the boxes of rules in a few attributes, their relations, and the boxes that a set of
shapes leaves free.

A few hundred shapes serve ten thousand rules, so a set of rules is a mask of shapes, and every
relation and search is remembered. All analysis uses `find_free_box`: is there a conversation in all
of these boxes and in none of the other boxes? The question is coNP-hard in the number of
attributes, so all searches spend from a budget and may end undecided.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError, WorkBudget
from reconciler.core.behaviour.space.attribute_index import AttributeIndex, MaskLayers
from reconciler.core.behaviour.space.domain import (
    MISSING,
    REST,
    Domain,
    ValueSet,
    covers,
    intersect,
    subtract,
)
from reconciler.core.behaviour.space.patterns import bits, union

# the values of each restricted attribute, by its number, ascending
Shape = tuple[tuple[int, "ValueSet"], ...]
Box = dict[int, "ValueSet"]

_SEARCH_COST: Final = 5  # of a search before the first comparison, in comparisons
_CUT_COST: Final = 3
# no value; a condition of an unknown kind that does not hold
_ABSENT: Final[ValueSet] = (MISSING, 0, 0)


class _Piece(NamedTuple):
    box: Box
    beyond: dict[int, int]  # by attribute, the shapes that do not cover the box there
    blockers: int  # the shapes that touch the box
    changed: Box = {}  # noqa: RUF012 - parts that the box still lacks; never changed in place
    units: int = 0  # the shapes with one condition beyond the box


class _PlainValues(NamedTuple):
    """A value of each attribute, and the shapes that lie apart from it."""

    values: Box
    apart: MaskLayers


class Shapes:
    """Shapes by number, and their relations. All are added before the first question."""

    def __init__(self, domains: Sequence[Domain], budget: WorkBudget) -> None:
        self.domains = domains
        self.budget = budget
        self.all: Final[list[Shape]] = []
        self._index_of: dict[Shape, int] = {}
        self._attribute_indexes = [AttributeIndex(domain, budget) for domain in domains]
        self._pattern_attributes: list[tuple[int, int, int]] = []
        for number, domain in enumerate(domains):
            patterns = domain.patterns
            if patterns.all:
                every = (1 << len(patterns.all)) - 1
                self._pattern_attributes.append((number, every, patterns.contains_mask))
        self._overlapping: dict[int, int] = {}
        self._covering: dict[int, int] = {}
        self._search_results: dict[
            tuple[int, int, int], Box | UndecidedError | None
        ] = {}
        # shapes by attribute, once a search needs them
        self._boxes: dict[int, Box] = {}

    def add(self, shape: Shape) -> int:
        """Return the number of a shape."""
        number = self._index_of.get(shape)
        if number is None:
            number = len(self.all)
            self._index_of[shape] = number
            self.all.append(shape)
            for attribute, part in shape:
                self._attribute_indexes[attribute].add(part, 1 << number)
        return number

    def overlapping(self, number: int) -> int:
        """Return the shapes that have a conversation in common with this one."""
        if number not in self._overlapping:
            self._overlapping[number] = self.touching(self.all[number])
        return self._overlapping[number]

    def touching(self, parts: Iterable[tuple[int, ValueSet]]) -> int:
        """Return the shapes that have a conversation in common with a box."""
        apart = union(
            self._attribute_indexes[attribute].classify(part)[0]
            for attribute, part in parts
        )
        return ((1 << len(self.all)) - 1) & ~apart

    def covering(self, number: int) -> int:
        """Return the shapes that hold every conversation of this one."""
        if number not in self._covering:
            parts = dict(self.all[number])
            apart = union(
                self._attribute_indexes[attribute].classify(part)[1]
                for attribute, part in parts.items()
            )
            apart |= self._restricting_layers.outside(parts)
            self._covering[number] = ((1 << len(self.all)) - 1) & ~apart
        return self._covering[number]

    def find_free_box(self, first: int, second: int, blockers: int) -> Box | None:
        """Return a box in both shapes that none of the blockers touches, or None.

        Raises UndecidedError.
        """
        self.budget.spend(_SEARCH_COST)
        blockers &= self.overlapping(first) & self.overlapping(second)
        if blockers & (self.covering(first) | self.covering(second)):
            return None
        key = (first, second, blockers)
        if key not in self._search_results:
            try:
                self._search_results[key] = self._search(
                    _intersect_shapes(self.all[first], self.all[second]), blockers
                )
            except UndecidedError as error:
                self._search_results[key] = error.with_traceback(None)
        result = self._search_results[key]
        if isinstance(result, UndecidedError):
            raise UndecidedError
        return result

    def has_free_box(self, first: int, second: int, blockers: int) -> bool:
        """Return whether `find_free_box` finds a box; conversations without other attributes are
        tried first.
        """
        self.budget.spend(_SEARCH_COST)
        blockers &= self.overlapping(first) & self.overlapping(second)
        if not self.overlapping(first) >> second & 1 or blockers & (
            self.covering(first) | self.covering(second)
        ):
            return False
        if (first, second, blockers) not in self._search_results:
            box = _intersect_shapes(self.all[first], self.all[second]) or {}
            if any(
                self._has_plain_conversation(plain, box, blockers)
                for plain in self._plain_values
            ):
                return True
        return self.find_free_box(first, second, blockers) is not None

    def _has_plain_conversation(
        self,
        plain: _PlainValues,
        box: Box,
        blockers: int,
    ) -> bool:
        """Return whether the box has a free conversation whose other attributes all have the plain
        value.
        """
        self.budget.spend(_SEARCH_COST + len(box) * len(box))
        blockers &= ~plain.apart.outside(box)
        if not blockers:
            return True
        others = (
            attribute
            for attribute in self._restricted_attributes(blockers)
            if attribute not in box
        )
        values = {attribute: plain.values[attribute] for attribute in others}
        return (
            bool(box and values)
            and self._search({**box, **values}, blockers) is not None
        )

    def _restricted_attributes(self, shapes: int) -> Iterable[int]:
        count = shapes.bit_count()
        indexes = self._attribute_indexes
        self.budget.spend(min(count, len(indexes)))
        if count < len(indexes):
            return sorted(
                {
                    attribute
                    for shape in bits(shapes)
                    for attribute, _ in self.all[shape]
                }
            )
        return [
            attribute
            for attribute, index in enumerate(indexes)
            if index.restricting & shapes
        ]

    @cached_property
    def _restricting_layers(self) -> MaskLayers:
        """The shapes that restrict each attribute."""
        indexes = enumerate(self._attribute_indexes)
        return MaskLayers(
            {
                attribute: index.restricting
                for attribute, index in indexes
                if index.restricting
            }
        )

    @cached_property
    def _plain_values(self) -> Sequence[_PlainValues]:
        """Values of all attributes outside most conditions: no value, and texts that no rule
        names.
        """
        texts = {
            number: _unnamed_texts(domain) for number, domain in enumerate(self.domains)
        }
        plain = []
        for values in (dict.fromkeys(texts, _ABSENT), texts):
            masks = {
                n: self._attribute_indexes[n].classify(part)[0]
                for n, part in values.items()
            }
            plain.append(_PlainValues(values, MaskLayers(masks)))
        return plain

    def may_leave_any(self, first: int, second: int, blockers: int) -> bool:
        """Return whether the blockers leave a free box in both shapes; also true where that is
        undecided.
        """
        try:
            return self.has_free_box(first, second, blockers)
        except UndecidedError:
            return True

    def find_free_box_in_all(
        self,
        heads: Iterable[int],
        blockers: int,
        parts: Shape = (),
    ) -> Box | None:
        """Return `find_free_box` of any number of shapes, with these values of some attributes."""
        box: Box | None = dict(parts)
        for head in heads:
            self.budget.spend()
            box = None if box is None else intersect_box(box, self.all[head])
            blockers &= self.overlapping(head)
        return self._search(box, blockers)

    def _search(self, box: Box | None, blockers: int) -> Box | None:
        if box is None or not blockers:
            return box
        for guess in self._guesses(box):
            free_box = self._split_until_free(guess, blockers)
            if free_box is not None:
                return free_box
        return self._split_until_free(box, blockers)

    def _guesses(self, box: Box) -> Iterator[Box]:
        """Yield the box with every open pattern denied, and with all `contains` patterns
        required.
        """
        # Both are always possible, and touch few rules with a pattern.
        plainest = dict(box)
        fullest = dict(box)
        for attribute, every, parts in self._pattern_attributes:
            atoms, yes, no = box.get(attribute) or self.domains[attribute].all
            if atoms & REST and every & ~yes & ~no:
                plainest[attribute] = (atoms, yes, every & ~yes)
                fullest[attribute] = (atoms, yes | parts & ~no, no)
        self.budget.spend(len(self._pattern_attributes))
        if plainest != box:
            yield plainest
        if fullest != box:
            yield fullest

    def _split_until_free(self, box: Box, blockers: int) -> Box | None:
        """Cut the box by shape after shape until a piece is left that none touches."""
        end = max(0, self.budget.remaining - self.budget.search_limit)
        beyond: dict[int, int] = {}
        for attribute in self._restricted_attributes(blockers):
            part = box.get(attribute)
            index = self._attribute_indexes[attribute]
            if not part:
                beyond[attribute] = index.restricting
                continue
            apart, beyond[attribute] = index.classify(part)
            blockers &= ~apart
        stack = [_Piece(box, beyond, blockers)]
        while stack:
            piece = self._propagate_units(stack.pop())
            if self.budget.remaining < end:
                raise UndecidedError
            if piece is None:
                continue
            if not piece.blockers:
                return piece.box
            self._split_piece(piece, stack)
        return None

    def _propagate_units(self, piece: _Piece) -> _Piece | None:
        """Cut a piece by all shapes with one condition beyond it that leave one part; None where
        nothing is left.
        """
        box = dict(piece.box)
        beyond = dict(piece.beyond)
        blockers = piece.blockers
        changed = piece.changed
        self.budget.spend(_SEARCH_COST + len(box) + len(beyond))
        while True:
            box.update(changed)
            for attribute, part in changed.items():
                index = self._attribute_indexes[attribute]
                apart, beyond[attribute] = index.classify(part)
                blockers &= ~apart
            self.budget.spend(2 * len(beyond))
            beyond = {
                attribute: mask & blockers
                for attribute, mask in beyond.items()
                if mask & blockers
            }
            once, units = _count_conditions(beyond.values())
            if once != blockers:  # a shape without a condition beyond the box covers it
                return None
            forced = self._forced_values(box, beyond, units)
            if forced is None:
                return None
            if not forced:
                return _Piece(box, beyond, blockers, {}, units)
            changed = forced

    def _forced_values(
        self,
        box: Box,
        beyond: Mapping[int, int],
        units: int,
    ) -> Box | None:
        """Return the parts that shapes with one condition leave, where each leaves one; None where
        one is empty.
        """
        changed: Box = {}
        for attribute, restricting in beyond.items():
            if restricting & units:
                domain = self.domains[attribute]
                before = box.get(attribute) or domain.all
                here = before
                self.budget.spend(_CUT_COST * (restricting & units).bit_count())
                for shape in bits(restricting & units):
                    part = self._shape_values(shape, attribute)
                    pieces = subtract(domain, here, part)
                    if not pieces:
                        return None
                    if len(pieces) == 1:
                        here = pieces[0]
                if here != before:
                    changed[attribute] = here
        return changed

    def _shape_values(self, shape: int, attribute: int) -> ValueSet:
        box = self._boxes.get(shape)
        if box is None:
            box = dict(self.all[shape])
            self._boxes[shape] = box
        return box[attribute]

    def _split_piece(self, piece: _Piece, stack: list[_Piece]) -> None:
        """Split the box at one side of a shape, and stack the pieces: those outside are tried
        first.
        """
        box, beyond, blockers, _, units = piece
        chosen = units or blockers
        chosen &= -chosen
        attribute = min(
            (
                attribute
                for attribute, restricting in beyond.items()
                if restricting & chosen
            ),
            key=lambda attribute: len(self.domains[attribute].patterns.all),
        )
        part = self._shape_values(chosen.bit_length() - 1, attribute)
        here = box.get(attribute) or self.domains[attribute].all
        pieces = subtract(self.domains[attribute], here, part)[::-1]
        if not units:
            pieces.insert(0, intersect(here, part))
        stack += [_Piece(box, beyond, blockers, {attribute: part}) for part in pieces]


def _count_conditions(masks: Iterable[int]) -> tuple[int, int]:
    """Return the shapes in some of the masks, and those in exactly one."""
    once = 0
    twice = 0
    for mask in masks:
        twice |= once & mask
        once |= mask
    return once, once & ~twice


def _unnamed_texts(domain: Domain) -> ValueSet:
    """Return the unnamed texts that match no pattern; all values of an attribute without texts."""
    return (
        (REST, 0, (1 << len(domain.patterns.all)) - 1)
        if domain.all[0] & REST
        else domain.all
    )


def _intersect_shapes(first: Shape, second: Shape) -> Box | None:
    box = dict(first)
    if first is second:
        return box
    return intersect_box(box, second)


def intersect_box(box: Mapping[int, ValueSet], shape: Shape) -> Box | None:
    """Return the common part of a box and a shape, or None."""
    result = dict(box)
    for attribute, part in shape:
        here = result.get(attribute)
        common = part if here is None else intersect(here, part)
        if not common[0]:
            return None
        result[attribute] = common
    return result


def overlaps(box: Mapping[int, ValueSet], other: Mapping[int, ValueSet]) -> bool:
    """Return whether two boxes have a conversation in common."""
    for attribute, part in other.items():
        here = box.get(attribute)
        if here is not None and not intersect(here, part)[0]:
            return False
    return True


def is_inside(inner: Mapping[int, ValueSet], outer: Mapping[int, ValueSet]) -> bool:
    """Return whether a box has every conversation of another one."""
    for attribute, part in outer.items():
        here = inner.get(attribute)
        if here is None or not covers(part, here):
            return False
    return True
