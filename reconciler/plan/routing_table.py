"""Desired or live rules -> entries that take part in routing, each under the name that people know it by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.model.rule import Target
from reconciler.plan.stored_texts import classify_live_rules
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.behaviour.space.value_type import Types
    from reconciler.desired.desired import DesiredState
    from reconciler.model.live import LiveRule
    from reconciler.model.rule import Address


@dataclass(frozen=True, slots=True)
class RuleList:
    """A list of rules, and the names of queues by id."""

    entries: tuple[RoutingEntry, ...]
    queues: Mapping[str, str]

    def by_name(self) -> RuleList:
        """Return the list with queues called by their names in place of their ids, where a name means one alone."""
        count = Counter(self.queues.values())
        names = {queue: name for queue, name in self.queues.items() if count[name] == 1}
        queues = {names.get(queue, queue): name for queue, name in self.queues.items()}
        return RuleList(tuple(_renamed(entry, names) for entry in self.entries), queues)


def _renamed(entry: RoutingEntry, names: Mapping[str, str]) -> RoutingEntry:
    targets = tuple(
        Target(names.get(one.queue_id, one.queue_id), one.weight) if isinstance(one, Target) else one
        for one in entry.rule.targets
    )
    return replace(entry, rule=replace(entry.rule, targets=targets))


def types_phrase(types: Types, labels: Mapping[str, str]) -> str:
    """Say what is known; `labels` are what people call attributes that the API knows by longer names."""
    said = [f"{sanitize(labels.get(name, name))} is missing or {known.phrase}" for name, known in types.items()]
    return f"{' and '.join(said)}, as the endpoint writes it"


def desired_entries(desired: DesiredState) -> tuple[RoutingEntry, ...]:
    """Return what the manifests want, each rule by its address and with its place."""
    return tuple(
        RoutingEntry(name=str(address), rule=one.rule, address=address, source=one.source)
        for address, one in desired.rules.items()
    )


def live_entries(live: Iterable[LiveRule], desired: DesiredState) -> tuple[RoutingEntry, ...]:
    """Return every live rule: a managed one by its address, with its place where the manifests have it."""
    # All others go by their live names: unmanaged ones, those of other owners, copies that somebody edited.
    owned = classify_live_rules(live, desired)
    ours = [(rule, address) for address, rule in owned.managed.items()]
    ours += [(rule, rule.marker.address) for rule in owned.duplicates if rule.marker]
    theirs = (*owned.edited_copies, *owned.temporary_copies, *owned.unmanaged)
    return (
        *(_managed_entry(rule, address, desired) for rule, address in ours),
        *(RoutingEntry(name=rule.rule.name, rule=rule.rule, id=rule.id) for rule in theirs),
    )


def _managed_entry(live: LiveRule, address: Address, desired: DesiredState) -> RoutingEntry:
    wanted = desired.rules.get(address)
    return RoutingEntry(
        name=str(address), rule=live.rule, id=live.id, address=address, source=wanted.source if wanted else None
    )
