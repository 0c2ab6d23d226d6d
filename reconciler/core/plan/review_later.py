"""What a reviewed plan allows once some of its later boundaries are over.

An apply between two boundaries makes one change of what the plan describes as several, one after
the other: these are joined here.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.core.behaviour.diff.containment import RegionClaim
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.plan.behaviour_json import region_claims
from reconciler.core.plan.document import change_facts

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ChangeJson, LaterJson

_MAX_CLAIMS: Final = 5_000
"""More joined claims are left out: an apply that needs one of them is refused."""


class ChangeFacts(NamedTuple):
    """What a change does (`change_facts`); the id is None for a rule that the tenant did not have."""

    action: str
    address: str | None
    id: str | None
    before: Any
    after: Any

    @classmethod
    def of(cls, change: "ChangeJson") -> "ChangeFacts":
        """Return the facts of a change."""
        facts: list[Any] = change_facts(change)
        return cls(*facts)

    @property
    def identity(self) -> str:
        """Return the change as canonical JSON."""
        return CANONICAL_JSON.encode(list(self))

    @property
    def without_id(self) -> "ChangeFacts":
        """Return the change of a rule with any id."""
        before = self.before
        if before is not None:
            before = {name: value for name, value in before.items() if name != "id"}
        return self._replace(id=None, before=before)


class ReviewedBoundary(NamedTuple):
    """A later change of a reviewed plan."""

    at: datetime
    changes: tuple[ChangeFacts, ...]
    claims: tuple[RegionClaim, ...]


def read_boundaries(later: Iterable["LaterJson"]) -> tuple[ReviewedBoundary, ...]:
    """Return the later changes of a saved plan."""
    return tuple(
        ReviewedBoundary(
            at=datetime.fromisoformat(form["at"]),
            changes=tuple(ChangeFacts.of(each) for each in form["changes"]),
            claims=region_claims(form["behaviour"]),
        )
        for form in later
    )


def join_changes(
    first: Iterable[str], boundaries: Sequence[ReviewedBoundary]
) -> frozenset[str]:
    """Return the identities of changes, of later ones, and of each sequence of them as one."""
    every = [ChangeFacts(*json.loads(identity)) for identity in first]
    every += [change for boundary in boundaries for change in boundary.changes]
    chains = group_pairs((change.address, change) for change in every)
    return frozenset(
        joined.identity for chain in chains.values() for joined in _sequences(chain)
    )


def _sequences(chain: Sequence[ChangeFacts]) -> Iterator[ChangeFacts]:
    """Yield each change of a rule, and each run of neighbours as one change."""
    for start, first in enumerate(chain):
        for last in chain[start:]:
            joined = _joined(first, last)
            if joined is not None:
                yield joined


def _joined(first: ChangeFacts, last: ChangeFacts) -> ChangeFacts | None:
    """Return the change from before the first one to after the last one; None if there is none."""
    if first is last:
        return first
    # A plan may also delete a second live rule of the address.
    is_other_rule = last.id not in (None, first.id)
    if is_other_rule:
        return None
    if first.before is None and last.after is None:
        return None
    action = "update"
    if first.before is None:
        action = "create"
    elif last.after is None:
        action = "delete"
    elif first.action == "adopt":
        action = "adopt"
    return first._replace(action=action, after=last.after)


def join_claims(
    first: Sequence[RegionClaim], boundaries: Iterable[ReviewedBoundary]
) -> tuple[RegionClaim, ...]:
    """Return the claims, those of boundaries, and those of conversations that move several times."""
    claims = list(first)
    for boundary in boundaries:
        joined = (
            claim
            for earlier in claims
            for later in boundary.claims
            for claim in _joined_claims(earlier, later)
        )
        room = max(0, _MAX_CLAIMS - len(claims))
        claims += [*boundary.claims, *islice(list(joined), room)]
    return tuple(claims)


def _joined_claims(earlier: RegionClaim, later: RegionClaim) -> Iterator[RegionClaim]:
    """Yield the claim of the conversations that both move, one after the other."""
    start, middle = json.loads(earlier.destination)
    from_there, end = json.loads(later.destination)
    if middle == from_there:
        yield RegionClaim(
            (*earlier.where, *later.where),
            (*earlier.excepts, *later.excepts),
            CANONICAL_JSON.encode([start, end]),
        )
