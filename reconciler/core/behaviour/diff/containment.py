"""Whether a reviewed plan already covers conversations that go elsewhere now.

Regions compare as sets of conversations with equal destinations before and after, not by their
conditions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.routing_entry import make_probe
from reconciler.core.behaviour.space.boxes import Shape
from reconciler.core.behaviour.space.clauses import Clause, clause_values
from reconciler.core.behaviour.space.domain import ValueSet, intersect
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.rule import Condition


class RegionClaim(NamedTuple):
    """A region: conversations with all of `where` and no complete list of `excepts` change as
    `destination` states.
    """

    where: tuple[Clause, ...]
    excepts: tuple[tuple[Clause, ...], ...]
    destination: str


def find_uncovered(
    fresh: Sequence[RegionClaim], reviewed: Sequence[RegionClaim]
) -> list[int]:
    """Return the positions of fresh claims with a conversation that no reviewed claim of their
    destination holds.
    """
    known_claims = set(reviewed)
    new = [
        position for position, claim in enumerate(fresh) if claim not in known_claims
    ]
    if not new:
        return []
    search = _ContainmentSearch([fresh[position] for position in new], reviewed)
    return [
        position for index, position in enumerate(new) if search.is_uncovered(index)
    ]


class _ClaimShapes(NamedTuple):
    """The boxes of a claim, as numbers of shapes; `where` is None where the claim holds no
    conversation.
    """

    where: int | None
    excepts: tuple[int, ...]
    destination: str


class _ContainmentSearch:
    def __init__(
        self,
        fresh: Sequence[RegionClaim],
        reviewed: Sequence[RegionClaim],
    ) -> None:
        lists = [
            clauses
            for claim in (*fresh, *reviewed)
            for clauses in (claim.where, *claim.excepts)
        ]
        conditions = tuple(
            {clause.condition: None for clauses in lists for clause in clauses}
        )
        self.space = Space(([make_probe(conditions)],))
        self.fresh = [self._claim_shapes(claim) for claim in fresh]
        self.reviewed = [self._claim_shapes(claim) for claim in reviewed]

    def _claim_shapes(self, claim: RegionClaim) -> _ClaimShapes:
        excepts = [self._add_shape(clauses) for clauses in claim.excepts]
        where = self._add_shape(claim.where)
        return _ClaimShapes(
            where,
            tuple(shape for shape in excepts if shape is not None),
            claim.destination,
        )

    def _add_shape(self, clauses: Sequence[Clause]) -> int | None:
        """Return the number of the shape of the clauses; None where they hold for no
        conversation.
        """
        parts: dict[int, ValueSet] = {}
        for clause in clauses:
            part = clause.condition
            key = part.attribute if isinstance(part, Condition) else part
            number = self.space.domain_index[key]
            domain = self.space.domains[number]
            values = clause_values(domain, clause)
            parts[number] = intersect(parts.get(number, domain.all), values)
        shape: Shape = tuple(
            sorted(
                (n, part)
                for n, part in parts.items()
                if part != self.space.domains[n].all
            )
        )
        if not all(part[0] for _, part in shape):
            return None
        return self.space.shapes.add(shape)

    def is_uncovered(self, index: int) -> bool:
        """Return whether a fresh claim holds, or may hold, a conversation outside the reviewed
        claims.
        """
        claim = self.fresh[index]
        if claim.where is None:
            return False
        alike = [
            other
            for other in self.reviewed
            if other.destination == claim.destination and other.where is not None
        ]
        blockers = sum({1 << shape for shape in claim.excepts})
        try:
            return self._has_uncovered((claim.where,), blockers, alike)
        except (UndecidedError, RecursionError):
            # one level for each reviewed claim, so very many exceed the stack
            return True

    def _has_uncovered(
        self,
        heads: tuple[int, ...],
        blockers: int,
        candidates: Sequence[_ClaimShapes],
    ) -> bool:
        """Search outside the next reviewed claim, and inside each of its exceptions."""
        if self.space.shapes.find_free_box_in_all(heads, blockers) is None:
            return False
        if not candidates:
            return True
        (where, excepts, _), *others = candidates
        if where is None or self._has_uncovered(heads, blockers | 1 << where, others):
            return True
        return any(
            self._has_uncovered((*heads, where, shape), blockers, others)
            for shape in excepts
        )
