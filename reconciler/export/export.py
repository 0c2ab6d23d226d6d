"""Live rules -> RuleSets, and the queues' names that these need: what there is to write, and what is left out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.export.names import QueueNames, RuleNameAllocator, SkippedRule, find_free_name, slugify
from reconciler.export.ruleset import ExportedRule, ExportedRuleSet, RuleSetBuilder
from reconciler.model.rule import Queue, Target
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from reconciler.desired.desired import DesiredState
    from reconciler.desired.queues import QueueResolver
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.model.live import LiveRule


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSnapshot:
    """What was read, and what the manifests say of it already."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]
    resolver: QueueResolver
    environment: Environment
    desired: DesiredState


@dataclass(frozen=True, slots=True)
class ExportedManifests:
    """RuleSets to write, aliases of queues that they need (alias to what it means), and what is left out."""

    rulesets: tuple[ExportedRuleSet, ...]
    queue_aliases: dict[str, Any]
    skipped: tuple[SkippedRule, ...]

    @property
    def rules(self) -> tuple[ExportedRule, ...]:
        """Return every rule that is written."""
        return tuple(rule for group in self.rulesets for rule in group.rules)


def export_rules(rules: Sequence[LiveRule], tenant: TenantSnapshot, reserved: Collection[str]) -> ExportedManifests:
    """Return the manifests of some live rules: managed ones by their RuleSets, others by where they send most."""
    # `reserved` are names that RuleSets have already, or rules of ours had.
    ordered = sorted(rules, key=lambda one: (one.rule.priority, one.rule.name, one.id))
    queues = QueueNames(tenant.resolver, tenant.queues, (queue for one in ordered for queue in _queue_ids(one)))
    naming = RuleNameAllocator(tenant.rules, (one.rule.name for one in tenant.desired.rules.values()))
    composing = RuleSetBuilder(tenant.environment, queues, naming)
    groups = [
        composing.build_ruleset(name, title, found) for name, title, found in _group_rules(ordered, queues, {*reserved})
    ]
    filled = sorted((group for group in groups if group.rules), key=lambda group: group.name)
    return ExportedManifests(tuple(filled), queues.added_aliases, tuple(composing.skipped))


def compute_export_impact(exported: ExportedManifests, tenant: TenantSnapshot, merged: DesiredState) -> BehaviourChange:
    """Return who would go elsewhere once the exported rules are live as the manifests now say, beside all others."""
    said = {one.live.id: merged.rules[one.address].rule for one in exported.rules}
    before = tuple(RoutingEntry(name=live.rule.name, rule=live.rule, id=live.id) for live in tenant.rules)
    after = tuple(
        RoutingEntry(name=live.rule.name, rule=said.get(live.id, live.rule), id=live.id) for live in tenant.rules
    )
    return compare_behaviour(before, after, tenant.desired.evaluation)


def _group_rules(
    rules: Sequence[LiveRule], queues: QueueNames, reserved: set[str]
) -> Iterator[tuple[str, str, Sequence[LiveRule]]]:
    ours: dict[str, list[LiveRule]] = defaultdict(list)
    by_queue: dict[str, list[LiveRule]] = defaultdict(list)
    for live in rules:
        if live.marker is not None:
            ours[live.marker.address.ruleset].append(live)
        else:
            by_queue[next(iter(_queue_ids(live)), "")].append(live)
    for name, found in ours.items():
        yield name, "Rules of ours that were in no manifest.", found
    reserved |= {*ours}
    for queue, found in by_queue.items():
        name = find_free_name(slugify(queues.live_name(queue)) or "rules", reserved)
        reserved.add(name)
        yield name, f"Conversations for {sanitize(queues.live_name(queue))}.", found


def _queue_ids(live: LiveRule) -> list[str]:
    targets = [one for one in live.rule.targets if isinstance(one, Target)]
    return [one.queue_id for one in sorted(targets, key=lambda one: -one.weight)]
