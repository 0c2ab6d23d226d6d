"""Shapes: what rules ask of a few attributes, as boxes; how they lie to each other, and what a set of them leaves free.

A few hundred shapes serve ten thousand rules, so a set of rules is a mask of shapes, and every relation and every
search is remembered. The one question that all analysis comes down to is `free`: is there a conversation in these
boxes that none of those takes? It is coNP-hard in the number of attributes, so each search has a budget of steps, and
one that runs out says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.asked import Asked
from reconciler.behaviour.domain import REST, meet, minus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.domain import Domain, Part

Shape = tuple[tuple[int, "Part"], ...]
"""What is asked of each attribute that is asked about: its number, ascending, and its values."""

Box = dict[int, "Part"]

_Piece = tuple[Box, dict[int, int], int]
"""A piece of a search: a box; by attribute, the shapes that do not allow all of it; and the shapes that touch it."""


class UndecidedError(Exception):
    """A search was given up at its budget: nothing is known."""


class Budget:
    """How much may still be looked for: `left` steps in all, `most` in one search, and `looks` at slices."""

    def __init__(self, left: int, most: int, looks: int) -> None:
        self.left, self.most, self.looks = left, most, looks

    def search(self) -> int:
        """Return how many steps one search may take."""
        return min(self.left, self.most)

    def look(self) -> None:
        """Count a look at one slice. Raises UndecidedError where none is left."""
        if self.looks <= 0:
            raise UndecidedError
        self.looks -= 1


class Shapes:
    """Shapes by number, and what is known of them. All are entered before anything is asked."""

    def __init__(self, domains: Sequence[Domain], budget: Budget) -> None:
        self.domains, self.budget = domains, budget
        self.all: Final[list[Shape]] = []
        self._number: dict[Shape, int] = {}
        self._asked = [Asked(domain) for domain in domains]
        self._patterned = [
            (number, (1 << len(domain.patterns.all)) - 1)
            for number, domain in enumerate(domains)
            if domain.patterns.all
        ]
        self._overlaps: dict[int, int] = {}
        self._covers: dict[int, int] = {}
        self._found: dict[tuple[int, int, int], Box | UndecidedError | None] = {}

    def enter(self, shape: Shape) -> int:
        """Return the number of a shape."""
        number = self._number.get(shape)
        if number is None:
            number = self._number[shape] = len(self.all)
            self.all.append(shape)
            for attribute, part in shape:
                self._asked[attribute].enter(part, 1 << number)
        return number

    def overlapping(self, number: int) -> int:
        """Return the shapes that have a conversation in common with this one."""
        found = self._overlaps.get(number)
        if found is None:
            found = (1 << len(self.all)) - 1
            for attribute, part in self.all[number]:
                found &= ~self._asked[attribute].lying(part)[0]
            self._overlaps[number] = found
        return found

    def covering(self, number: int) -> int:
        """Return the shapes that hold every conversation of this one."""
        found = self._covers.get(number)
        if found is None:
            found = (1 << len(self.all)) - 1
            parts = dict(self.all[number])
            for attribute, asked in enumerate(self._asked):
                if asked.by:
                    found &= ~(asked.lying(parts[attribute])[1] if attribute in parts else asked.by)
            self._covers[number] = found
        return found

    def free(self, one: int, other: int, blockers: int) -> Box | None:
        """Return a box in both shapes that none of the blocking shapes touches; None where there is none.

        Raises UndecidedError where the search had to be given up.
        """
        blockers &= self.overlapping(one) & self.overlapping(other)
        if blockers & (self.covering(one) | self.covering(other)):
            return None
        key = (one, other, blockers)
        found = self._found.get(key, self)
        if found is self:
            try:
                found = self._search(_both(self.all[one], self.all[other]), blockers)
            except UndecidedError as error:
                found = error
            self._found[key] = found
        if isinstance(found, UndecidedError):
            raise found
        return found  # type: ignore[return-value]

    def leave(self, one: int, blockers: int) -> bool:
        """Say whether the blocking shapes may leave anything of a shape: where that is not decided, they may."""
        try:
            return self.free(one, one, blockers) is not None
        except UndecidedError:
            return True

    def free_of_all(self, heads: Iterable[int], blockers: int) -> Box | None:
        """Return what `free` does for any number of shapes."""
        box: Box | None = {}
        for head in heads:
            box = None if box is None else meeting(box, self.all[head])
            blockers &= self.overlapping(head)
        return None if box is None else self._search(box, blockers)

    def _search(self, box: Box | None, blockers: int) -> Box | None:
        if box is None:
            return None
        if not blockers:
            return box
        plainest = self._plainest(box)
        if plainest is not None:
            found = self._hole(plainest, blockers)
            if found is not None:
                return found
        return self._hole(box, blockers)

    def _plainest(self, box: Box) -> Box | None:
        """Return the box with every pattern that is open taken as not holding; None where no pattern is open.

        That is always possible, and most rules with a pattern are out of the way at once.
        """
        plainest = dict(box)
        for attribute, every in self._patterned:
            atoms, yes, no = box.get(attribute) or self.domains[attribute].all
            if atoms & REST and every & ~yes & ~no:
                plainest[attribute] = (atoms, yes, every & ~yes)
        return plainest if plainest != box else None

    def _hole(self, box: Box, blockers: int) -> Box | None:
        """Cut the box by shape after shape until a piece is left that none touches."""
        most = self.budget.search()
        steps = 0
        stack = [self._first(box, blockers)]
        try:
            while stack:
                steps += 1
                if steps > most:
                    raise UndecidedError
                piece = stack.pop()
                if not piece[2]:
                    return piece[0]
                self._cut(piece, stack)
        finally:
            self.budget.left -= steps
        return None

    def _first(self, box: Box, blockers: int) -> _Piece:
        beyond: dict[int, int] = {}
        for attribute, asked in enumerate(self._asked):
            if asked.by & blockers:
                part = box.get(attribute)
                apart, beyond[attribute] = asked.lying(part) if part is not None else (0, asked.by)
                blockers &= ~apart
        return box, beyond, blockers

    def _cut(self, piece: _Piece, stack: list[_Piece]) -> None:
        """Part the box at one shape's side, and stack the pieces: what is outside is tried first."""
        box, beyond, blockers = piece
        once = twice = 0
        for further in beyond.values():
            asking = further & blockers
            twice |= once & asking
            once |= asking
        if once != blockers:  # a shape that asks nothing beyond the box covers it
            return
        chosen = once & ~twice or blockers
        chosen &= -chosen
        attribute = min(
            (attribute for attribute, asking in beyond.items() if asking & chosen),
            key=lambda attribute: len(self.domains[attribute].patterns.all),
        )
        part = next(part for asked, part in self.all[chosen.bit_length() - 1] if asked == attribute)
        here = box.get(attribute) or self.domains[attribute].all
        pieces = minus(self.domains[attribute], here, part)[::-1]
        if chosen & twice:
            pieces.insert(0, meet(here, part))
        asked = self._asked[attribute]
        for part in pieces:
            apart, further = asked.lying(part)
            stack.append(({**box, attribute: part}, {**beyond, attribute: further}, blockers & ~apart))


def _both(one: Shape, other: Shape) -> Box | None:
    return meeting(dict(one), other) if one is not other else dict(one)


def meeting(box: Mapping[int, Part], shape: Shape) -> Box | None:
    """Return what is in a box and in a shape; None where nothing is."""
    found = dict(box)
    for attribute, part in shape:
        here = found.get(attribute)
        common = part if here is None else meet(here, part)
        if not common[0]:
            return None
        found[attribute] = common
    return found
