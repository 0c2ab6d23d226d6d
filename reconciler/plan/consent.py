"""Whose consent a plan needs: the owners of the queues that gain or lose callers, by the rows of its behaviour.

The claim: if the owners of a queue are not listed, its share of every conversation stays the same. Where the rows do
not prove that, the owners of every queue are listed. A passing moment during an apply is not part of the claim.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.desired.queues import OwnedQueue
from reconciler.model.finding import Document

ConsentChange = Literal["gains", "loses", "both", "unknown"]


@dataclass(frozen=True, slots=True)
class Consent:
    """A queue whose callers change or may change: one of its owners must consent."""

    queue: OwnedQueue
    change: ConsentChange


def required_consent(
    behaviour: BehaviourChange, live_queues: Collection[str], owned: Collection[OwnedQueue]
) -> tuple[Consent, ...]:
    """Return the entries that a behaviour needs; `live_queues` are the ids of the tenant's queues."""
    ordered = sorted(owned, key=lambda queue: (queue.name, queue.id or "", queue.owners))
    return tuple(_needed(behaviour, live_queues, ordered))


def _needed(
    behaviour: BehaviourChange, live_queues: Collection[str], owned: Collection[OwnedQueue]
) -> Iterator[Consent]:
    gains, loses = find_movers(behaviour)
    # A destination that is not a live queue, such as a target of an unknown type, may be any queue.
    is_proven = behaviour.complete and all(queue in live_queues for queue in gains | loses)
    for queue in owned:
        if queue.id in gains | loses:
            in_both = queue.id in gains & loses
            yield Consent(queue, "both" if in_both else "gains" if queue.id in gains else "loses")
        elif not is_proven or (behaviour.rows and queue.id not in live_queues):  # the tenant may have renamed it
            yield Consent(queue, "unknown")


def find_movers(behaviour: BehaviourChange) -> tuple[frozenset[str], frozenset[str]]:
    """Return the ids of the queues that gain, and of those that lose, a share of some conversation of the rows."""
    gains, loses = set[str](), set[str]()
    for row in behaviour.rows:
        after = dict(row.after or ())
        for origin in row.origins:
            before = dict(origin or ())
            gains |= {queue for queue, share in after.items() if share > before.get(queue, 0)}
            loses |= {queue for queue, share in before.items() if share > after.get(queue, 0)}
    return frozenset(gains), frozenset(loses)


def consent_to_json(consent: Consent) -> Document:
    """Return the JSON form of one entry (plan-json "Consent")."""
    queue = consent.queue
    named = {"queueId": queue.id, "queueName": queue.name}
    return {**named, "owners": list(queue.owners), "change": consent.change}


def consent_identity(form: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the queue and the owners of an entry's JSON, which make two entries the same. Raises KeyError."""
    return (str(form["queueId"] or form["queueName"]), *map(str, form["owners"]))
