"""One change of the server's state, and the sender of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.campaign.oracle_facts import SERVERS_OWN, body_of, call_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.features.practice.simulator.messages import SimRequest
    from tests.campaign.oracle_process import Process

Rule = dict[str, Any]


class Change(NamedTuple):
    """One change of the state: a rule before and after, None if it did or does not exist."""

    id: str
    before: Rule | None
    after: Rule | None


class Moment(NamedTuple):
    """The time of a state change, and the request that caused it."""

    clock: int
    """Counts all events in the world."""
    request: SimRequest | None
    """The newest request."""
    late: Sequence[SimRequest]
    """Delayed requests that are processed now."""
    process: Process | None
    """The sender of the newest request."""
    others: Sequence[str]
    """The appliers that ran at any time while that one did."""


def asks_for(request: SimRequest, change: Change) -> bool:
    """Return whether a request asks for exactly this change."""
    call = call_of(request)
    if call == "delete":
        return change.after is None and request.segments[-1] == change.id
    if change.after is None or call not in ("create", "update"):
        return False
    if (call == "create") != (change.before is None) or (
        call == "update" and request.segments[-1] != change.id
    ):
        return False
    after = change.after
    return all(
        after.get(key) == value
        for key, value in body_of(request).items()
        if key not in SERVERS_OWN
    )


def in_words(change: Change) -> str:
    """Describe a change."""
    if change.before is None or change.after is None:
        return (
            f"{'a new' if change.before is None else 'the end of'} "
            f"{(change.after or change.before or {})['name']!r}"
        )
    fields = [
        key
        for key in change.after
        if change.after[key] != change.before.get(key) and key not in SERVERS_OWN
    ]
    return f"{change.after['name']!r} ({', '.join(fields)})"
