"""Live rules -> RuleSets, and the queues' names that these need: what there is to write, and what is left out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.behaviour.diff.difference import Behaviour, difference
from reconciler.behaviour.routing_entry import Entry
from reconciler.export.names import LeftOut, Naming, QueueNames, free, slugged
from reconciler.export.ruleset import Composing, Group, Written
from reconciler.model.rule import Queue, Target
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from reconciler.desired.desired import Desired
    from reconciler.desired.queues import Catalogue
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.model.live import LiveRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What was read, and what the manifests say of it already."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]
    catalogue: Catalogue
    environment: Environment
    desired: Desired


@dataclass(frozen=True, slots=True)
class Exported:
    """RuleSets to write, aliases of queues that they need (alias to what it means), and what is left out."""

    groups: tuple[Group, ...]
    queues: dict[str, Any]
    left_out: tuple[LeftOut, ...]

    @property
    def rules(self) -> tuple[Written, ...]:
        """Return every rule that is written."""
        return tuple(rule for group in self.groups for rule in group.rules)


def export(rules: Sequence[LiveRule], tenant: Tenant, taken: Collection[str]) -> Exported:
    """Return the manifests of some live rules: managed ones by their RuleSets, others by where they send most.

    `taken` are names that RuleSets have already, or rules of ours had.
    """
    ordered = sorted(rules, key=lambda one: (one.rule.priority, one.rule.name, one.id))
    queues = QueueNames(tenant.catalogue, tenant.queues, (queue for one in ordered for queue in _queues_of(one)))
    naming = Naming(tenant.rules, (one.rule.name for one in tenant.desired.rules.values()))
    composing = Composing(tenant.environment, queues, naming)
    groups = [composing.group(name, title, found) for name, title, found in _grouped(ordered, queues, {*taken})]
    filled = sorted((group for group in groups if group.rules), key=lambda group: group.name)
    return Exported(tuple(filled), queues.added, tuple(composing.left_out))


def consequence(exported: Exported, tenant: Tenant, merged: Desired) -> Behaviour:
    """Return who would go elsewhere once the exported rules are live as the manifests now say, beside all others."""
    said = {one.live.id: merged.rules[one.address].rule for one in exported.rules}
    before = tuple(Entry(name=live.rule.name, rule=live.rule, id=live.id) for live in tenant.rules)
    after = tuple(Entry(name=live.rule.name, rule=said.get(live.id, live.rule), id=live.id) for live in tenant.rules)
    return difference(before, after, tenant.desired.evaluation)


def _grouped(
    rules: Sequence[LiveRule], queues: QueueNames, taken: set[str]
) -> Iterator[tuple[str, str, Sequence[LiveRule]]]:
    """Yield each RuleSet's name, its title and its rules."""
    ours: dict[str, list[LiveRule]] = defaultdict(list)
    by_queue: dict[str, list[LiveRule]] = defaultdict(list)
    for live in rules:
        if live.marker is not None:
            ours[live.marker.address.ruleset].append(live)
        else:
            by_queue[next(iter(_queues_of(live)), "")].append(live)
    for name, found in ours.items():
        yield name, "Rules of ours that were in no manifest.", found
    taken |= {*ours}
    for queue, found in by_queue.items():
        name = free(slugged(queues.live_name(queue)) or "rules", taken)
        taken.add(name)
        yield name, f"Conversations for {sanitize(queues.live_name(queue))}.", found


def _queues_of(live: LiveRule) -> list[str]:
    """Return the ids of a rule's queues, the one that gets most first."""
    targets = [one for one in live.rule.targets if isinstance(one, Target)]
    return [one.queue_id for one in sorted(targets, key=lambda one: -one.weight)]
