"""What all shapes ask of one attribute: which of them lie apart from some values, and which do not allow all of them.

Most shapes ask for one run of atoms, a value or a range, and are filed by where it begins and ends; others for one
pattern, and are filed by that. Only the few that are left are looked at one by one. Answers are remembered: all shapes
are entered before the first question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST, covers, meet
from reconciler.behaviour.pattern import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.behaviour.domain import Domain, Part

_MOST_REMEMBERED: Final = 20_000


class Asked:
    """One attribute: `by` is the mask of the shapes that ask for some of its values."""

    def __init__(self, domain: Domain) -> None:
        self.domain: Final = domain
        self.by = 0
        self._shapes: dict[Part, int] = {}
        self._lying: dict[Part, tuple[int, int]] = {}
        self._tables: _Tables | None = None

    def enter(self, part: Part, shape: int) -> None:
        """Note what a shape, given as a mask, asks."""
        self._shapes[part] = self._shapes.get(part, 0) | shape
        self.by |= shape

    def lying(self, part: Part) -> tuple[int, int]:
        """Return which shapes ask for none of these values, and which ask for anything but all of them."""
        found = self._lying.get(part)
        if found is None:
            if len(self._lying) > _MOST_REMEMBERED:
                self._lying.clear()
            found = self._lying[part] = self._compare(part)
        return found

    def _compare(self, part: Part) -> tuple[int, int]:
        if self._tables is None:
            self._tables = _Tables(self.domain, self._shapes)
        tables = self._tables
        touching, allowing = 0, self.by
        for first, last in runs(part[0]):
            touching |= tables.begun[last] & ~tables.ended[first]
            allowing &= tables.begun[first] & ~tables.ended[last]
        if part[0] & REST:
            touched, allowed = tables.open(part[1], part[2])
            touching |= touched
            allowing |= 0 if part[0] & ~REST else allowed
        for other, shapes in tables.others:
            if meet(part, other)[0]:
                touching |= shapes
            if covers(other, part):
                allowing |= shapes
        return self.by & ~touching, self.by & ~allowing


class _Tables:
    """The shapes by what they ask: those of one run by atom, those of texts that no rule names by pattern, and others.

    `begun` has for each atom those whose run begins there or before, `ended` those whose run ends before.
    """

    def __init__(self, domain: Domain, asked: Mapping[Part, int]) -> None:
        size = domain.all[0].bit_length() + 1
        begun, ended = [0] * size, [0] * (size + 1)
        self.others: list[tuple[Part, int]] = []
        self.unasked = 0
        self.held: dict[int, int] = {}
        self.denied: dict[int, int] = {}
        for part, shapes in asked.items():
            first, *more = runs(part[0])
            if not more and not part[0] & REST:
                begun[first[0]] |= shapes
                ended[first[1] + 1] |= shapes
            elif part[0] != REST or not self._by_pattern(domain, part, shapes):
                self.others.append((part, shapes))
        self.begun, self.ended = _summed(begun), _summed(ended)
        self.holding, self.denying = (sum(1 << number for number in by) for by in (self.held, self.denied))
        self.all_held, self.all_denied = _of(self.held, self.holding), _of(self.denied, self.denying)

    def _by_pattern(self, domain: Domain, part: Part, shapes: int) -> bool:
        """File shapes under the one pattern that they ask for or deny; False where there are several."""
        held, denied = domain.patterns.said(part[1], part[2])
        if len(held) + len(denied) > 1:
            return False
        for found, numbers in ((self.held, held), (self.denied, denied)):
            for number in numbers:
                found[number] = found.get(number, 0) | shapes
        if not held and not denied:
            self.unasked |= shapes
        return True

    def open(self, yes: int, no: int) -> tuple[int, int]:
        """Return which of the filed shapes touch, and which allow, the texts of which this is known."""
        touched = self.unasked | self._but(self.held, self.holding & no) | self._but(self.denied, self.denying & yes)
        allowed = self.unasked | _of(self.held, self.holding & yes) | _of(self.denied, self.denying & no)
        return touched, allowed

    def _but(self, found: Mapping[int, int], numbers: int) -> int:
        """Return the shapes filed under all patterns but these: none of them is filed under two."""
        if 2 * numbers.bit_count() < len(found):
            return (self.all_held if found is self.held else self.all_denied) & ~_of(found, numbers)
        return _of(found, (self.holding if found is self.held else self.denying) & ~numbers)


def _of(found: Mapping[int, int], numbers: int) -> int:
    shapes = 0
    for number in bits(numbers):
        shapes |= found[number]
    return shapes


def runs(mask: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last place of each run of bits."""
    while mask:
        first = (mask & -mask).bit_length() - 1
        above = mask + (1 << first)
        last = (above & -above).bit_length() - 2
        yield first, last
        mask &= above


def _summed(masks: Iterable[int]) -> list[int]:
    found, every = [], 0
    for mask in masks:
        every |= mask
        found.append(every)
    return found
