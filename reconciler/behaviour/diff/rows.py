"""Rows: the conversations that move, exactly and in few rows, for people to read (semantics "Rows").

A region says from where to where; a row says where conversations will go, and names every place that they come from.
So all conversations that one rule takes over can be one row: what the rule asks, without what earlier rules take and
without what goes to the same destination today. Where that is longer than its regions, the regions are the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.exceptions import Taken
from reconciler.behaviour.diff.regions import Finish, Making, Region, Rough, merge
from reconciler.behaviour.diff.winners import DEFAULT, Pair
from reconciler.behaviour.routing_entry import Destination, Entry, destination
from reconciler.behaviour.space.boxes import Box, Shape, meeting
from reconciler.behaviour.space.clauses import Clause, sayable
from reconciler.behaviour.space.domain import meet, minus
from reconciler.behaviour.space.simplify import simplify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.space.space import Example


_MOST_PIECES: Final = 6
"""Boxes that what one rule keeps may be cut into, before its regions are shorter."""
_LOOKS: Final = 100_000
"""Looks at an earlier rule, over all rows; a thousand ordinary rules need a few thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Conversations for which all of `where` and no whole list of `excepts` holds.

    Each of them goes to one of `befores` today and to `after` afterwards, and these two differ. `before_rules` take
    them today and `after_rules` afterwards (None: the default routing). `example` is one of the conversations.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    befores: tuple[Destination, ...]
    after: Destination
    example: Example
    before_rules: tuple[Entry | None, ...]
    after_rules: tuple[Entry | None, ...]
    unlikely: tuple[str, ...] = ()
    """Attributes that have a value of another type, text or number, than any rule compares them with."""


def rows(making: Making, roughs: Sequence[Rough], finish: Finish) -> tuple[Row, ...]:
    """Return rows that are disjoint and hold every conversation that moves; `roughs` are the regions under way.

    Those that hang on a value of an unlikely type stand last.
    """
    taking = _Taking(making)
    found = list(taking.overs())
    if found:
        roughs = [*found, *making.roughs(taking.done)]
    merged = merge(making.space, roughs, lambda rough: (rough.after, rough.excepts))
    return tuple(sorted((row_of(finish.region(rough)) for rough in merged), key=lambda row: bool(row.unlikely)))


def row_of(region: Region) -> Row:
    """Return a region, or what several were merged to, as a row."""
    befores = dict.fromkeys(None if entry is None else destination(entry.rule.targets) for entry in region.before_rules)
    return Row(
        where=region.where,
        excepts=region.excepts,
        befores=tuple(befores),
        after=region.after,
        example=region.example,
        before_rules=region.before_rules,
        after_rules=region.after_rules,
        unlikely=region.unlikely,
    )


class _LongerError(Exception):
    """As one row it would be longer than its regions."""


class _Taking:
    """Makes one row of all that a new rule takes over, where that is shorter. `done` are the ranks of such rules."""

    def __init__(self, making: Making) -> None:
        self.making, self.pairs, self.space = making, making.pairs, making.space
        self.done: set[int] = set()
        self._looks = _LOOKS
        self._taken = Taken(self.pairs.old, self.pairs.new)

    def overs(self) -> Iterator[Rough]:
        """Yield the rows; none where the search stopped at its bound, for then what stays is not known either."""
        if self.pairs.unknown:
            return
        moved: dict[int, list[Pair]] = {}
        for pair in sorted((*self.pairs.narrow, *self.pairs.wide), key=lambda pair: (pair[1], pair[0])):
            moved.setdefault(pair[1], []).append(pair)
        for rank, pairs in moved.items():
            if rank == DEFAULT or len(pairs) == 1 or rank in self.pairs.kept:
                continue
            try:
                rough = self._over(rank, pairs)
            except (_LongerError, UndecidedError):
                continue
            self.done.add(rank)
            yield rough

    def _over(self, rank: int, pairs: Sequence[Pair]) -> Rough:
        """Return what a new rule takes over as one row. Raises _LongerError."""
        new = self.pairs.new
        box = self.space.box(new.boxes[rank])
        overlapping = self.space.shapes.overlapping(new.boxes[rank].shape)
        same = sorted(self.pairs.same.get(rank, ()))
        staying = [shape for old in same for shape in self._staying(old, box, overlapping)]
        if len(staying) > len(pairs):
            raise _LongerError
        box, excepts = simplify(self.space, box, [*self._taken.before((0, rank), overlapping), *staying])
        return self.making.rough(pairs, box, excepts, self._example(pairs[0]))

    def _example(self, pair: Pair) -> Box:
        found = self.pairs.narrow.get(pair)
        return self.pairs.wide[pair] if found is None else found.box

    def _staying(self, rank: int, box: Box, overlapping: int) -> list[Shape]:
        """Return boxes of what an old rule sends where a new one does, with what earlier rules take left out.

        `box` is what the new rule asks; `overlapping` are the shapes that have anything in common with it.
        """
        old = self.pairs.old
        own = self.space.box(old.boxes[rank])
        common = meeting(box, tuple(own.items()))
        self._looks -= rank
        if common is None or self._looks < 0:
            raise _LongerError
        overlapping &= self.space.shapes.overlapping(old.boxes[rank].shape)
        earlier = {
            id(one): one
            for one, goes in zip(old.boxes[:rank], old.destinations[:rank], strict=True)
            if overlapping >> one.shape & 1 and goes != old.destinations[rank]
        }
        boxes = map(self.space.box, earlier.values())
        taken = [tuple(sorted(one.items())) for one in boxes if meeting(common, tuple(one.items())) is not None]
        pieces = self._pieces(*simplify(self.space, own, taken))
        return [tuple(sorted(piece.items())) for piece in pieces]

    def _pieces(self, box: Box, excepts: Sequence[Shape]) -> list[Box]:
        """Cut a box without its exceptions into boxes."""
        pieces = [box]
        for shape in excepts:
            pieces = [part for piece in pieces for part in self._outside(piece, shape)]
            if len(pieces) > _MOST_PIECES:
                raise _LongerError
        return pieces

    def _outside(self, box: Box, shape: Shape) -> Iterator[Box]:
        if meeting(box, shape) is None:
            yield box
            return
        inside = dict(box)
        for attribute, part in shape:
            domain = self.space.domain(attribute)
            here = inside.get(attribute, domain.all)
            for left in minus(domain, here, part):
                if not sayable(self.space.domains[attribute], left):
                    raise _LongerError
                yield {**inside, attribute: left}
            inside[attribute] = meet(here, part)
