"""Pairs of winners, before and after, that some conversation has and whose destinations differ.

Who takes what is left of a shape in a slice of a list: down the slice, until nothing is left.

What rules about most values of the pivot take is the same in most slices, and is worked out once for what others leave.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from sys import maxsize
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.facts.rule_facts import firsts, twins
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED, Slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.behaviour.routing_entry import Destination
    from reconciler.behaviour.space.boxes import Box


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


_OF_AN_EXCEPTION: Final = 100
"""What it costs to make an exception of a region, or to keep a value of its example, in comparisons."""
_OF_A_CONDITION: Final = 50
"""What it costs to say each further condition of an exception, or ten values of one."""

Pair = tuple[int, int]
"""The rank before and the rank after; DEFAULT for the default routing."""


@dataclass(slots=True)
class Narrow:
    """A pair of which one rule is about few values of the pivot: a box, and what earlier rules take, by value."""

    box: Box
    before: dict[int, int] = field(default_factory=dict)


class Pairs:
    """The pairs of two lists: `narrow`, `wide` with a box of each, and `unknown` ones, which may be none."""

    def __init__(self, old: Slices, new: Slices) -> None:
        self.old, self.new, self.space = old, new, old.space
        self.narrow: dict[Pair, Narrow] = {}
        self.wide: dict[Pair, Box] = {}
        self.unknown: dict[Pair, None] = {}
        self.same: dict[int, set[int]] = {}
        """Of each rank after: the ranks before whose conversations it takes, and sends where they went."""
        self.kept: set[int] = set()
        """The ranks after of rules that ask and send what a rule before does: what these keep is not in `same`."""
        self._priced: set[tuple[int, ...]] = set()
        self._prices: dict[tuple[int, int], int] = {}
        self._walks = {id(slices): Walk(slices) for slices in (old, new)}
        self._find()

    def _find(self) -> None:
        """Try the rules that have no twin with all others, and those whose twin leads elsewhere with that."""
        twin_of = twins(self.old, self.new)
        for rank in firsts(self.old):
            twin = twin_of.get(rank)
            if twin is None:
                self._meet(rank, self.old, self.new)
            elif self.old.destinations[rank] != self.new.destinations[twin]:
                self._try(rank, twin)
            else:
                self.kept.add(twin)
        staying = set(twin_of.values())
        for rank in firsts(self.new):
            if rank not in staying:
                self._meet(rank, self.new, self.old)

    def goes(self, pair: Pair) -> tuple[Destination, Destination]:
        """Return where a pair sends conversations, before and after."""
        return self.old.destination_of_rank(pair[0]), self.new.destination_of_rank(pair[1])

    def _meet(self, rank: int, here: Slices, there: Slices) -> None:
        """Find who of the other list takes what this rule wins."""
        walk = self._walks[id(there)]
        seen: set[tuple[int, int, int]] = set()
        narrow = bool(here.boxes[rank].atoms)
        try:
            for atom in here.open_atoms(rank):
                self.space.budget.spend()
                shape, shapes = here.shape(atom, rank), here.shapes(atom)
                before = here.before(atom, rank) & shapes.overlapping(shape)
                if before & shapes.covering(shape):
                    continue
                for other, box in walk.takers(atom, shape, before, set() if narrow else seen):
                    self._note(atom, (rank, other) if here is self.old else (other, rank), box)
        except UndecidedError:
            self.unknown[(rank, DEFAULT) if here is self.old else (DEFAULT, rank)] = None

    def _try(self, old: int, new: int) -> None:
        """Find whether two rules that ask the same win a conversation; of rules about many values one is enough."""
        try:
            for atom in self._places(old, new):
                self.space.budget.spend()
                shapes, heads = self.old.shapes(atom), (self.old.shape(atom, old), self.new.shape(atom, new))
                box = shapes.free(*heads, self.old.before(atom, old) | self.new.before(atom, new))
                if box is not None:
                    self._note(atom, (old, new), box)
                    if not self.old.boxes[old].atoms:
                        return
        except UndecidedError:
            self.unknown[old, new] = None

    def _places(self, old: int, new: int) -> Iterable[int]:
        """Return the slices of two twins in which the rules about most values may leave them anything."""
        box, wide = self.old.boxes[old], (self.old.cumulated, self.new.cumulated)
        if box.atoms or self.space.shapes.leave(box.shape, wide[0].before(old) | wide[1].before(new)):
            return self.old.atoms(old)
        unnamed = (UNNAMED,) if box.rest >= 0 else ()
        return [*unnamed, *(atom for atom in wide[0].late | wide[1].late if self.old.holds(atom, old))]

    def _note(self, atom: int, pair: Pair, box: Box | None) -> None:
        """Note a pair that takes a box in a slice, unless it leads to one destination."""
        if pair in self.wide:
            return
        before, after = self.goes(pair)
        if before == after:
            self.same.setdefault(pair[1], set()).add(pair[0])
            return
        if box is None:
            self.unknown[pair] = None
            return
        taken = self._charged(atom, pair, box)
        if atom != UNNAMED:
            box = {**box, self.space.pivot: (1 << atom, 0, 0)}
        old, new = pair
        if not (self.old.is_narrow(old) or self.new.is_narrow(new)):
            self.wide[pair] = box
            return
        self.narrow.setdefault(pair, Narrow(box)).before[atom] = taken

    def _charged(self, atom: int, pair: Pair, box: Box) -> int:
        """Return the shapes that take something before a pair; counts the work of making a region of it.

        Raises UndecidedError.
        """
        taken = self.old.before(atom, pair[0]) | self.new.before(atom, pair[1])
        shapes = []
        for slices, rank in zip((self.old, self.new), pair, strict=True):
            shapes.append(slices.shape_of_rank(atom, rank))
            taken &= slices.shapes(atom).overlapping(shapes[-1])
        key = (*shapes, taken)
        if key not in self._priced:
            price = _OF_AN_EXCEPTION * (1 + len(box)) + sum(self._price(atom, number) for number in bits(taken))
            self.space.budget.spend(price + self.space.cost_of_example(box))
            self._priced.add(key)
        return taken

    def _price(self, atom: int, number: int) -> int:
        """Return what it costs to say a shape as an exception: a document holds each of its conditions."""
        shapes = self.old.shapes(atom)
        price = self._prices.get((id(shapes), number))
        if price is None:
            length = 0.0
            for attribute, part in shapes.all[number]:
                domain = self.space.domain(attribute)
                # Among texts of the pivot that no rule names a shape has none of the others, which it need not deny.
                denied = domain.text_mask if atom == UNNAMED and attribute == self.space.pivot else 0
                length += domain.length((part[0] | denied, *part[1:]))
            price = _OF_AN_EXCEPTION + int(_OF_A_CONDITION * max(0, length - 1))
            self._prices[id(shapes), number] = price
        return price
