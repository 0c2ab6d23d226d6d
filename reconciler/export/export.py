"""Live rules -> RuleSets, and the queues' names that these need: what there is to write, and what is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.desired import DesiredState
from reconciler.desired.queues import QueueResolver
from reconciler.export.names import QueueNames, RuleNameAllocator, SkippedRule, find_free_name, slugify
from reconciler.export.ruleset import ExportedRule, ExportedRuleSet, RuleSetBuilder
from reconciler.manifest.kinds.environment import Environment
from reconciler.model.live import LiveRule
from reconciler.model.rule import Queue, Target
from reconciler.text.escape import sanitize


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
    # `reserved` are the names of existing RuleSets, and of earlier RuleSets of this owner.
    ordered = sorted(rules, key=lambda live: (live.rule.priority, live.rule.name, live.id))
    queues = QueueNames(tenant.resolver, tenant.queues, (queue for live in ordered for queue in _queue_ids(live)))
    names = RuleNameAllocator(tenant.rules, (desired.rule.name for desired in tenant.desired.rules.values()))
    builder = RuleSetBuilder(tenant.environment, queues, names)
    groups = [builder.build_ruleset(*group) for group in _group_rules(ordered, queues, {*reserved})]
    rulesets = sorted((group for group in groups if group.rules), key=lambda group: group.name)
    return ExportedManifests(tuple(rulesets), queues.added_aliases, tuple(builder.skipped))


def compute_export_impact(exported: ExportedManifests, tenant: TenantSnapshot, merged: DesiredState) -> BehaviourChange:
    """Return the conversations that go elsewhere once the exported rules are live as the manifests define them."""
    rules = {rule.live.id: merged.rules[rule.address].rule for rule in exported.rules}
    before = tuple(RoutingEntry(name=live.rule.name, rule=live.rule, id=live.id) for live in tenant.rules)
    after = tuple(replace(entry, rule=rules.get(entry.id, entry.rule)) for entry in before)
    return compare_behaviour(before, after, tenant.desired.evaluation)


def _group_rules(
    rules: Sequence[LiveRule], queues: QueueNames, reserved: set[str]
) -> Iterator[tuple[str, str, Sequence[LiveRule]]]:
    """Yield each RuleSet's name, its title and its rules."""
    by_ruleset: dict[str, list[LiveRule]] = defaultdict(list)
    by_queue: dict[str, list[LiveRule]] = defaultdict(list)
    for live in rules:
        if live.marker is not None:
            by_ruleset[live.marker.address.ruleset].append(live)
        else:
            by_queue[next(iter(_queue_ids(live)), "")].append(live)
    for name, group in by_ruleset.items():
        yield name, "Rules of ours that were in no manifest.", group
    reserved |= {*by_ruleset}
    for queue, group in by_queue.items():
        name = find_free_name(slugify(queues.live_name(queue)) or "rules", reserved)
        reserved.add(name)
        yield name, f"Conversations for {sanitize(queues.live_name(queue))}.", group


def _queue_ids(live: LiveRule) -> list[str]:
    """Return the ids of a rule's queues, the heaviest first."""
    targets = [target for target in live.rule.targets if isinstance(target, Target)]
    return [target.queue_id for target in sorted(targets, key=lambda target: -target.weight)]
