"""Whether conversations that go elsewhere now were all going there in a reviewed plan.

Regions compare as sets of conversations with equal destinations before and after, however they are written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.routing_entry import Entry
from reconciler.behaviour.space.domain import Part, meet, minus
from reconciler.behaviour.space.space import FAILS, HOLDS, Space
from reconciler.model.rule import Condition, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.behaviour.space.boxes import Shape
    from reconciler.behaviour.space.clauses import Clause


class Claim(NamedTuple):
    """What a region says: conversations with all of `where` and no whole list of `excepts` go as `goes` says."""

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    goes: str


def beyond(fresh: Sequence[Claim], reviewed: Sequence[Claim]) -> list[int]:
    """Return the places of the fresh claims that hold conversations which no reviewed one with its `goes` holds."""
    known = set(reviewed)
    new = [place for place, claim in enumerate(fresh) if claim not in known]
    if not new:
        return []
    search = _Search([fresh[place] for place in new], reviewed)
    return [place for index, place in enumerate(new) if search.escapes(index)]


class _Boxes(NamedTuple):
    """A claim's boxes, as numbers of shapes; `where` is None where nothing is in it."""

    where: int | None
    excepts: tuple[int, ...]
    goes: str


class _Search:
    def __init__(self, fresh: Sequence[Claim], reviewed: Sequence[Claim]) -> None:
        parts = {clause.part: None for claim in (*fresh, *reviewed) for clauses in _lists(claim) for clause in clauses}
        rule = Rule(name="", description="", priority=0, enabled=True, conditions=tuple(parts), targets=())
        self.space = Space(([Entry(name="", rule=rule)],))
        self.fresh = [self._boxes(claim) for claim in fresh]
        self.reviewed = [self._boxes(claim) for claim in reviewed]

    def _boxes(self, claim: Claim) -> _Boxes:
        excepts = [self._box(clauses) for clauses in claim.excepts]
        return _Boxes(self._box(claim.where), tuple(one for one in excepts if one is not None), claim.goes)

    def _box(self, clauses: Sequence[Clause]) -> int | None:
        """Enter what the clauses say as one shape; None where nothing is left."""
        parts: dict[int, Part] = {}
        for clause in clauses:
            number, part = self._said(clause)
            parts[number] = meet(parts.get(number, self.space.domains[number].all), part)
        shape: Shape = tuple(sorted((n, part) for n, part in parts.items() if part != self.space.domains[n].all))
        return self.space.shapes.enter(shape) if all(part[0] for _, part in shape) else None

    def _said(self, clause: Clause) -> tuple[int, Part]:
        if not isinstance(clause.part, Condition):
            return self.space.number[clause.part], FAILS if clause.negate else HOLDS
        number = self.space.number[clause.part.attribute]
        domain = self.space.domain(number)
        part = domain.part(clause.part)
        if not clause.negate:
            return number, part
        pieces = minus(domain, domain.all, part)
        return number, pieces[0] if pieces else (0, 0, 0)

    def escapes(self, index: int) -> bool:
        """Say whether a fresh claim holds a conversation that no reviewed one of its kind holds, or may hold one."""
        claim = self.fresh[index]
        if claim.where is None:
            return False
        alike = [one for one in self.reviewed if one.goes == claim.goes and one.where is not None]
        blockers = sum({1 << one for one in claim.excepts})
        try:
            return self._escapes((claim.where,), blockers, alike)
        except (UndecidedError, RecursionError):  # one level for each reviewed claim: very many are not looked through
            return True

    def _escapes(self, heads: tuple[int, ...], blockers: int, alike: Sequence[_Boxes]) -> bool:
        """Look outside the next reviewed claim, and inside each of its exceptions."""
        if self.space.shapes.free_of_all(heads, blockers) is None:
            return False
        if not alike:
            return True
        (where, excepts, _), *others = alike
        if where is None or self._escapes(heads, blockers | 1 << where, others):
            return True
        return any(self._escapes((*heads, where, one), blockers, others) for one in excepts)


def _lists(claim: Claim) -> tuple[tuple[Clause, ...], ...]:
    return (claim.where, *claim.excepts)
