"""Who takes what is left of a shape in a slice of a list: down the slice, until nothing is left.

What rules about most values of the pivot take is the same in most slices, and is worked out once for what others leave.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from sys import maxsize
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.slices import UNNAMED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.behaviour.shapes import Box
    from reconciler.behaviour.slices import Slices

DEFAULT: Final = maxsize
"""The rank of the default routing: after all rules."""

_ORDINARY: Final = -1


class Taker(NamedTuple):
    """A rule that takes something, and a box of what it takes; None where it was not decided whether it does."""

    rank: int
    box: Box | None


class _Run(NamedTuple):
    ranks: list[int]
    takers: list[Taker]


class Walk:
    """Walks of one list."""

    def __init__(self, slices: Slices) -> None:
        self.slices, self.space = slices, slices.space
        self._firsts: dict[int, list[int]] = {}
        self._runs: dict[tuple[int, int, int], _Run] = {}

    def takers(self, atom: int, shape: int, before: int, seen: set[tuple[int, int, int]]) -> Iterator[Taker]:
        """Yield who takes what the shapes `before` leave of a shape in a slice.

        Of rules about most values, only runs that are not in `seen` yet, in which they are noted.
        """
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        low = -1
        for rank in slices.about.get(atom, ()) if atom != UNNAMED else ():
            self.space.budget.spend()
            other = slices.boxes[rank].shape
            if not (overlapping & ~before) >> other & 1:
                continue
            yield from self._between(atom, shape, before, (low, rank), seen)
            taker = self._taker(atom, shape, rank, before | slices.cumulated.before(rank, atom))
            if taker is not None:
                yield taker
            if covering >> other & 1:
                return
            before |= 1 << other
            low = rank
        yield from self._between(atom, shape, before, (low, DEFAULT + 1), seen)

    def _between(
        self, atom: int, shape: int, before: int, ends: tuple[int, int], seen: set[tuple[int, int, int]]
    ) -> list[Taker]:
        """Return the rules about most values, between two ranks, that take something."""
        run = self._run(atom, shape, before)
        first, last = bisect_right(run.ranks, ends[0]), bisect_left(run.ranks, ends[1])
        key = (id(run), first, last)
        if key in seen:
            return []
        seen.add(key)
        return run.takers[first:last]

    def _run(self, atom: int, shape: int, before: int) -> _Run:
        slices = self.slices
        kind = atom if atom == UNNAMED or atom in slices.cumulated.late else _ORDINARY
        key = (kind, shape, before)
        run = self._runs.get(key)
        if run is None:
            takers = list(self._wide_takers(atom, kind, shape, before))
            run = self._runs[key] = _Run([taker.rank for taker in takers], takers)
        return run

    def _wide_takers(self, atom: int, kind: int, shape: int, before: int) -> Iterator[Taker]:
        slices = self.slices
        shapes = slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        cumulated = slices.cumulated_unnamed if atom == UNNAMED else slices.cumulated
        if kind not in self._firsts:
            self._firsts[kind] = [rank for rank in sorted(cumulated.firsts(kind).values()) if rank < DEFAULT]
        self.space.budget.spend(len(self._firsts[kind]))
        for rank in self._firsts[kind]:
            other = slices.shape(atom, rank)
            if (overlapping & ~before) >> other & 1:
                taker = self._taker(atom, shape, rank, before | cumulated.before(rank, kind))
                if taker is not None:
                    yield taker
                if covering >> other & 1:
                    return
        taker = self._taker(atom, shape, DEFAULT, before | cumulated.before(DEFAULT, kind))
        if taker is not None:
            yield taker

    def _taker(self, atom: int, shape: int, rank: int, before: int) -> Taker | None:
        slices = self.slices
        try:
            box = slices.shapes(atom).free(shape, slices.shape_of_rank(atom, rank), before)
        except UndecidedError:
            if self.space.budget.exhausted():
                raise
            return Taker(rank, None)
        return None if box is None else Taker(rank, box)
