"""Whether conversations that go elsewhere now were all going there in a reviewed plan.

Regions compare as sets of conversations with equal destinations before and after, however they are written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.behaviour.space.domain import ValueSet, intersect, subtract
from reconciler.behaviour.space.space import FAILS, HOLDS, Space
from reconciler.model.rule import Condition, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.behaviour.space.boxes import Shape
    from reconciler.behaviour.space.clauses import Clause


class RegionClaim(NamedTuple):
    """What a region says: conversations with all of `where` and no whole list of `excepts` go as `destination` says."""

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    destination: str


def find_uncovered(fresh: Sequence[RegionClaim], reviewed: Sequence[RegionClaim]) -> list[int]:
    """Return the places of the fresh claims that hold more conversations.

    No reviewed one with its `destination` holds these.
    """
    known = set(reviewed)
    new = [place for place, claim in enumerate(fresh) if claim not in known]
    if not new:
        return []
    search = _ContainmentSearch([fresh[place] for place in new], reviewed)
    return [place for index, place in enumerate(new) if search.is_uncovered(index)]


class _ClaimShapes(NamedTuple):
    """A claim's boxes, as numbers of shapes; `where` is None where nothing is in it."""

    where: int | None
    excepts: tuple[int, ...]
    destination: str


class _ContainmentSearch:
    def __init__(self, fresh: Sequence[RegionClaim], reviewed: Sequence[RegionClaim]) -> None:
        parts = {
            clause.condition: None
            for claim in (*fresh, *reviewed)
            for clauses in _clause_lists(claim)
            for clause in clauses
        }
        rule = Rule(name="", description="", priority=0, enabled=True, conditions=tuple(parts), targets=())
        self.space = Space(([RoutingEntry(name="", rule=rule)],))
        self.fresh = [self._claim_shapes(claim) for claim in fresh]
        self.reviewed = [self._claim_shapes(claim) for claim in reviewed]

    def _claim_shapes(self, claim: RegionClaim) -> _ClaimShapes:
        excepts = [self._add_shape(clauses) for clauses in claim.excepts]
        return _ClaimShapes(
            self._add_shape(claim.where), tuple(one for one in excepts if one is not None), claim.destination
        )

    def _add_shape(self, clauses: Sequence[Clause]) -> int | None:
        """Enter what the clauses say as one shape; None where nothing is left."""
        parts: dict[int, ValueSet] = {}
        for clause in clauses:
            number, part = self._clause_values(clause)
            parts[number] = intersect(parts.get(number, self.space.domains[number].all), part)
        shape: Shape = tuple(sorted((n, part) for n, part in parts.items() if part != self.space.domains[n].all))
        return self.space.shapes.add(shape) if all(part[0] for _, part in shape) else None

    def _clause_values(self, clause: Clause) -> tuple[int, ValueSet]:
        if not isinstance(clause.condition, Condition):
            return self.space.domain_index[clause.condition], FAILS if clause.negate else HOLDS
        number = self.space.domain_index[clause.condition.attribute]
        domain = self.space.domain(number)
        part = domain.values_for(clause.condition)
        if not clause.negate:
            return number, part
        pieces = subtract(domain, domain.all, part)
        return number, pieces[0] if pieces else (0, 0, 0)

    def is_uncovered(self, index: int) -> bool:
        """Say whether a fresh claim holds a conversation that no reviewed one of its kind holds, or may hold one."""
        claim = self.fresh[index]
        if claim.where is None:
            return False
        alike = [one for one in self.reviewed if one.destination == claim.destination and one.where is not None]
        blockers = sum({1 << one for one in claim.excepts})
        try:
            return self._has_uncovered((claim.where,), blockers, alike)
        except (UndecidedError, RecursionError):  # one level for each reviewed claim: very many are not looked through
            return True

    def _has_uncovered(self, heads: tuple[int, ...], blockers: int, candidates: Sequence[_ClaimShapes]) -> bool:
        """Look outside the next reviewed claim, and inside each of its exceptions."""
        if self.space.shapes.find_free_box_in_all(heads, blockers) is None:
            return False
        if not candidates:
            return True
        (where, excepts, _), *others = candidates
        if where is None or self._has_uncovered(heads, blockers | 1 << where, others):
            return True
        return any(self._has_uncovered((*heads, where, one), blockers, others) for one in excepts)


def _clause_lists(claim: RegionClaim) -> tuple[tuple[Clause, ...], ...]:
    return (claim.where, *claim.excepts)
