"""What all shapes ask of one attribute: which of them lie apart from some values, and which do not allow all of them.

Most shapes ask for one run of atoms, a value or a range: for these two bisections' worth of masks answer at once. The
others, sets and patterns, are looked at one by one. Answers are remembered. All shapes are entered before any question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST, covers, meet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.behaviour.domain import Domain, Part

_MOST_REMEMBERED: Final = 20_000


class Asked:
    """One attribute: `by` is the mask of the shapes that ask for some of its values."""

    def __init__(self, domain: Domain) -> None:
        self.domain: Final = domain
        self.by = 0
        self._shapes: dict[Part, int] = {}
        self._lying: dict[Part, tuple[int, int]] = {}
        self._tables: tuple[list[int], list[int], list[tuple[Part, int]]] | None = None

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
            self._tables = self._filed()
        begun, ended, others = self._tables
        touching, allowing = 0, self.by
        for first, last in runs(part[0]):
            touching |= begun[last] & ~ended[first]
            allowing &= begun[first] & ~ended[last]
        for other, shapes in others:
            if meet(part, other)[0]:
                touching |= shapes
            if covers(other, part):
                allowing |= shapes
            else:
                allowing &= ~shapes
        return self.by & ~touching, self.by & ~allowing

    def _filed(self) -> tuple[list[int], list[int], list[tuple[Part, int]]]:
        """Return by atom the shapes of one run that begin there or before, and that end before; and all others."""
        size = self.domain.all[0].bit_length() + 1
        begun, ended = [0] * size, [0] * (size + 1)
        others = []
        for part, shapes in self._shapes.items():
            first, *more = runs(part[0])
            if more or part[0] & REST:
                others.append((part, shapes))
            else:
                begun[first[0]] |= shapes
                ended[first[1] + 1] |= shapes
        return _summed(begun), _summed(ended), others


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
