"""Desired or live rules -> entries that take part in routing, each under the name that people know it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.entry import Entry
from reconciler.kept_texts import owned_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.change import LiveRule
    from reconciler.desired import Desired
    from reconciler.model import Address


def desired_entries(desired: Desired) -> tuple[Entry, ...]:
    """Return what the manifests want, each rule by its address and with its place."""
    return tuple(
        Entry(str(address), one.rule, address=address, source=one.source) for address, one in desired.rules.items()
    )


def live_entries(live: Iterable[LiveRule], desired: Desired) -> tuple[Entry, ...]:
    """Return every live rule: a managed one by its address, with its place where the manifests have it.

    All others go by their live names: unmanaged ones, those of other owners, copies that somebody edited.
    """
    owned = owned_by(live, desired)
    ours = [(rule, address) for address, rule in owned.managed.items()]
    ours += [(rule, rule.marker.address) for rule in owned.duplicates if rule.marker]
    theirs = (*owned.clones, *owned.copies, *owned.unmanaged)
    return (
        *(_managed(rule, address, desired) for rule, address in ours),
        *(Entry(rule.rule.name, rule.rule, rule.id) for rule in theirs),
    )


def _managed(live: LiveRule, address: Address, desired: Desired) -> Entry:
    wanted = desired.rules.get(address)
    return Entry(str(address), live.rule, live.id, address, wanted.source if wanted else None)
