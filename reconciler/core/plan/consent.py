"""Whose consent a plan needs: the owners of the queues that gain or lose callers, by the rows of
its behaviour.

The claim: if the owners of a queue are not listed, its share of every conversation stays the same.
Where the rows do not prove that, the owners of every queue are listed. A passing moment during an
apply is not part of the claim.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.desired.queues import OwnedQueue
from reconciler.core.text.escape import join_first, sanitize

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ConsentJson

ConsentChange = Literal["gains", "loses", "both", "unknown"]
CALLERS: Final[Mapping[ConsentChange, str]] = {
    "gains": "gains callers",
    "loses": "loses callers",
    "both": "gains and loses callers",
    "unknown": "may gain or lose callers",
}


CONSENT_PLACE: Final = (
    "The pipeline checks this before an apply (`reviewed-plan`); `cxroute apply` on another "
    "machine does not."
)


class Consent(NamedTuple):
    """A queue whose callers change or may change: one of its owners must consent."""

    queue: OwnedQueue
    change: ConsentChange

    @property
    def reason(self) -> str:
        """Return `Fraud Desk loses callers`."""
        return f"{sanitize(self.queue.name)} {CALLERS[self.change]}"


def required_consent(
    behaviour: BehaviourChange,
    live_queues: Collection[str],
    owned: Iterable[OwnedQueue],
) -> Iterator[Consent]:
    """Yield the entries that a behaviour needs; `live_queues` are the ids of the tenant's
    queues.
    """
    gaining: set[str] = set()
    losing: set[str] = set()
    for region in behaviour.regions:
        before = dict(region.before or ())
        after = dict(region.after or ())
        gaining |= _larger_shares(after, before)
        losing |= _larger_shares(before, after)

    # A destination that is not a live queue, such as a target of an unknown type, may be any queue.
    is_proven = behaviour.complete and (gaining | losing).issubset(live_queues)
    for queue in sorted(owned, key=_sort_key):
        if queue.id in gaining & losing:
            yield Consent(queue, "both")
        elif queue.id in gaining:
            yield Consent(queue, "gains")
        elif queue.id in losing:
            yield Consent(queue, "loses")
        elif not is_proven:
            yield Consent(queue, "unknown")
        elif behaviour.regions and queue.id not in live_queues:
            # the tenant may have renamed it
            yield Consent(queue, "unknown")


def _larger_shares(
    shares: Mapping[str, Fraction], reference: Mapping[str, Fraction]
) -> set[str]:
    """Return the queues with a larger share than in the reference."""
    return {queue for queue, share in shares.items() if share > reference.get(queue, 0)}


def _sort_key(queue: OwnedQueue) -> tuple[str, str, tuple[str, ...]]:
    return queue.name, queue.id or "", queue.owners


def join_consent(lists: Iterable[Iterable[Consent]]) -> tuple[Consent, ...]:
    """Return one entry for each queue of several lists: what happens to its callers in all of
    them.
    """
    changes: dict[OwnedQueue, set[ConsentChange]] = {}
    for entry in chain.from_iterable(lists):
        changes.setdefault(entry.queue, set()).add(entry.change)
    return tuple(
        Consent(queue, _joined_change(changes[queue]))
        for queue in sorted(changes, key=_sort_key)
    )


def _joined_change(changes: Collection[ConsentChange]) -> ConsentChange:
    known = {change for change in changes if change != "unknown"}
    if not known:
        return "unknown"
    return known.pop() if len(known) == 1 else "both"


def consent_to_json(consent: Consent) -> "ConsentJson":
    """Return the JSON form of one entry."""
    queue = consent.queue
    return {
        "queueId": queue.id,
        "queueName": queue.name,
        "owners": list(queue.owners),
        "change": consent.change,
    }


def parse_consent(form: Mapping[str, Any]) -> Consent:
    """Return an entry from its JSON. Raises LookupError and TypeError."""
    owners = tuple(sanitize(str(owner)) for owner in form["owners"])
    if form["change"] not in CALLERS:
        raise LookupError(form["change"])
    return Consent(
        OwnedQueue(form["queueId"], str(form["queueName"]), owners), form["change"]
    )


def describe_consent(consent: Iterable[Consent], limit: int = 5) -> str:
    """Return `@acme/fraud (Fraud Desk loses callers), ...`, up to a limit of entries."""
    return join_first(
        [f"{' or '.join(item.queue.owners)} ({item.reason})" for item in consent], limit
    )
