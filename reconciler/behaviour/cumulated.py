"""Rules that are in most slices, by rank: the shapes of those before a rank, in any slice, as one mask."""

from __future__ import annotations

from bisect import bisect_left
from sys import maxsize
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

NEVER: Final = maxsize
"""The rank of what does not come."""


class Cumulated:
    """Rules' shapes, by rank. In a slice without the first rule of a shape, that shape begins later, or not at all."""

    def __init__(self, rules: Iterable[tuple[int, int]], missing: Mapping[int, Collection[int]] | None = None) -> None:
        """Take (rank, shape), by rank; and for the ranks of rules that are not in every slice, where they are not."""
        self.ranks: list[int] = []
        self.first: dict[int, int] = {}
        """The first rank of each shape."""
        self.late: dict[int, dict[int, int]] = {}
        """For each slice, the shapes that begin there later than elsewhere, with their first rank there."""
        self._before = [0]
        self._find(rules, missing or {})

    def _find(self, rules: Iterable[tuple[int, int]], missing: Mapping[int, Collection[int]]) -> None:
        waiting: dict[int, set[int]] = {}
        for rank, shape in rules:
            self.ranks.append(rank)
            self._before.append(self._before[-1] | 1 << shape)
            absent = missing.get(rank, ())
            if shape not in self.first:
                self.first[shape] = rank
                if absent:
                    waiting[shape] = set(absent)
            elif waiting.get(shape):
                for atom in waiting[shape].difference(absent):
                    self.late.setdefault(atom, {})[shape] = rank
                waiting[shape].intersection_update(absent)
        for shape, atoms in waiting.items():
            for atom in atoms:
                self.late.setdefault(atom, {})[shape] = NEVER

    def before(self, rank: int, atom: int = -1) -> int:
        """Return the shapes of the rules before a rank in a slice; in one that all rules are in, if none is given."""
        found = self._before[bisect_left(self.ranks, rank)]
        if atom in self.late:
            for shape, begins in self.late[atom].items():
                if begins >= rank:
                    found &= ~(1 << shape)
        return found

    def firsts(self, atom: int = -1) -> dict[int, int]:
        """Return the first rank of each shape in a slice; NEVER where the shape has none there."""
        return self.first | self.late[atom] if atom in self.late else self.first
