"""Shapes: what rules ask of a few attributes, as boxes; how they lie to each other, and what a set of them leaves free.

A few hundred shapes serve ten thousand rules, so a set of rules is a mask of shapes, and every relation and every
search is remembered. The one question that all analysis comes down to is `free`: is there a conversation in these
boxes that none of those takes? It is coNP-hard in the number of attributes, so each search has a budget of steps, and
one that runs out says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST, covers, meet, minus
from reconciler.behaviour.pattern import bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.domain import Domain, Part

Shape = tuple[tuple[int, "Part"], ...]
"""What is asked of each attribute that is asked about: its number, ascending, and its values."""

Box = dict[int, "Part"]


class UndecidedError(Exception):
    """A search was given up at its budget: nothing is known."""


class Budget:
    """How many steps of search may still be made: `left` in all, `most` in one search."""

    def __init__(self, left: int, most: int) -> None:
        self.left, self.most = left, most

    def search(self) -> int:
        """Return how many steps one search may take."""
        return min(self.left, self.most)


class Shapes:
    """Shapes by number, and what is known of them. All are entered before anything is asked."""

    def __init__(self, domains: Sequence[Domain], budget: Budget) -> None:
        self.domains, self.budget = domains, budget
        self.all: Final[list[Shape]] = []
        self._number: dict[Shape, int] = {}
        self._with: list[dict[Part, int]] = [{} for _ in domains]
        self._patterned = [
            (number, (1 << len(domain.patterns.all)) - 1)
            for number, domain in enumerate(domains)
            if domain.patterns.all
        ]
        self._asking = [0] * len(domains)
        self._relations: dict[tuple[int, Part | None], tuple[int, int]] = {}
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
                parts = self._with[attribute]
                parts[part] = parts.get(part, 0) | 1 << number
                self._asking[attribute] |= 1 << number
        return number

    def overlapping(self, number: int) -> int:
        """Return the shapes that have a conversation in common with this one."""
        found = self._overlaps.get(number)
        if found is None:
            found = (1 << len(self.all)) - 1
            for attribute, part in self.all[number]:
                found &= ~self._relation(attribute, part)[0]
            self._overlaps[number] = found
        return found

    def covering(self, number: int) -> int:
        """Return the shapes that hold every conversation of this one."""
        found = self._covers.get(number)
        if found is None:
            found = (1 << len(self.all)) - 1
            asked = dict(self.all[number])
            for attribute, asking in enumerate(self._asking):
                if asking:
                    found &= self._relation(attribute, asked.get(attribute))[1]
            self._covers[number] = found
        return found

    def _relation(self, attribute: int, part: Part | None) -> tuple[int, int]:
        """Return which shapes ask for none of these values of an attribute, and which allow all of them."""
        found = self._relations.get((attribute, part))
        if found is None:
            apart, allowing = 0, ~self._asking[attribute]
            for other, shapes in self._with[attribute].items() if part is not None else ():
                if part is not None and not meet(part, other)[0]:
                    apart |= shapes
                elif part is not None and covers(other, part):
                    allowing |= shapes
            found = self._relations[attribute, part] = (apart, allowing)
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
            found = self._hole(plainest, self._touching(plainest, blockers))
            if found is not None:
                return found
        return self._hole(box, self._touching(box, blockers))

    def _touching(self, box: Box, blockers: int) -> list[Shape]:
        """Return the blocking shapes that have something in common with a box."""
        for attribute, part in box.items():
            blockers &= ~self._relation(attribute, part)[0]
        return [self.all[number] for number in bits(blockers)]

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

    def _hole(self, box: Box, shapes: Sequence[Shape]) -> Box | None:
        """Cut the box by shape after shape until a piece is left that none touches."""
        most = self.budget.search()
        steps = 0
        stack: list[tuple[Box, Sequence[Shape]]] = [(box, shapes)]
        try:
            while stack:
                box, shapes = stack.pop()
                steps += 1 + (len(shapes) >> 4)
                if steps > most:
                    raise UndecidedError
                pending = self._pending(box, shapes)
                if pending is None:
                    continue
                if not pending:
                    return box
                self._cut(box, pending, stack)
        finally:
            self.budget.left -= steps
        return None

    def _pending(self, box: Box, shapes: Sequence[Shape]) -> list[Shape] | None:
        """Return what each shape that touches the box asks beyond the box; None where a shape covers it."""
        domains = self.domains
        found: list[Shape] = []
        for shape in shapes:
            open_: list[tuple[int, Part]] = []
            for attribute, part in shape:
                here = box.get(attribute) or domains[attribute].all
                common = meet(here, part)
                if not common[0]:
                    break
                if common != here:
                    open_.append((attribute, part))
            else:
                if not open_:
                    return None
                found.append(tuple(open_))
        return found

    def _cut(self, box: Box, pending: list[Shape], stack: list[tuple[Box, Sequence[Shape]]]) -> None:
        """Part the box at one shape's side, and stack the pieces: what is outside is tried first."""
        chosen = min(pending, key=len)
        attribute, part = min(chosen, key=lambda asked: len(self.domains[asked[0]].patterns.all))
        here = box.get(attribute) or self.domains[attribute].all
        if len(chosen) > 1:
            stack.append(({**box, attribute: meet(here, part)}, pending))
        others = [shape for shape in pending if shape is not chosen]
        outside = reversed(minus(self.domains[attribute], here, part))
        stack.extend(({**box, attribute: piece}, others) for piece in outside)


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
