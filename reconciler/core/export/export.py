"""Live rules -> RuleSets and queue names, their text as YAML, and the check that an apply of them
only adopts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from reconciler.core.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.export.names import (
    NewAliases,
    QueueNames,
    RuleNameAllocator,
    SkippedRule,
    find_free_name,
    slugify,
)
from reconciler.core.export.ruleset import (
    ExportedRule,
    ExportedRuleSet,
    RuleSetBuilder,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.change import Adopt, Change
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Queue, Target
from reconciler.core.plan.changes import is_selected
from reconciler.core.plan.compare import compare_rules
from reconciler.core.plan.ownership import LiveRulesByOwner, classify_by_owner
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.phrases import Labels


class ExportSelection(NamedTuple):
    """Live rules to export, skipped rules, and rules that the manifests already have."""

    rules: tuple[LiveRule, ...]
    skipped: tuple[SkippedRule, ...]
    # Or adopted by them; the reason is the location.
    already_in_manifests: tuple[SkippedRule, ...]


def select_rules(
    candidates: Iterable[LiveRule],
    by_owner: LiveRulesByOwner,
    desired: DesiredState,
    rulesets: Mapping[str, str],
) -> ExportSelection:
    """Return the selection; `rulesets` are the names of all existing RuleSets with their files."""
    selector = _RuleSelector(by_owner, desired, rulesets)
    selected: list[LiveRule] = []
    skipped: list[SkippedRule] = []
    already_in_manifests: list[SkippedRule] = []
    for live in candidates:
        location = selector.manifest_location(live)
        if location:
            already_in_manifests.append(SkippedRule(live, location))
            continue
        reason = selector.exclusion_reason(live)
        if reason:
            skipped.append(SkippedRule(live, reason))
        else:
            selected.append(live)
    return ExportSelection(tuple(selected), tuple(skipped), tuple(already_in_manifests))


def match_rules(
    rules: Iterable[LiveRule], selector: str, owner: str
) -> Iterator[LiveRule]:
    """Yield the rules with this live name, id or address of this owner, or that match a pattern of
    addresses.
    """
    for live in rules:
        address = None
        if live.marker is not None and live.marker.owner == owner:
            address = live.marker.address
        is_named = selector in (live.rule.name, live.id)
        if is_named or (address and is_selected(address, [selector])):
            yield live


def _by_address(rules: Iterable[DesiredRule]) -> dict[Address, DesiredRule]:
    return {rule.address: rule for rule in rules}


def _by_name(rules: Iterable[DesiredRule]) -> dict[str, DesiredRule]:
    return {rule.rule.name: rule for rule in rules}


class _RuleSelector:
    def __init__(
        self,
        by_owner: LiveRulesByOwner,
        desired: DesiredState,
        rulesets: Mapping[str, str],
    ) -> None:
        self.by_owner = by_owner
        self.desired = desired
        self.rulesets = rulesets
        self._managed = {live.id: address for address, live in by_owner.managed.items()}
        self._removable_ids = {
            live.id for live in (*by_owner.duplicates, *by_owner.temporary_copies)
        }
        self._edited_copy_ids = {live.id for live in by_owner.edited_copies}
        self._adopting_by_name: dict[str, DesiredRule] = {}
        self._adopting_by_id: dict[str, DesiredRule] = {}
        # a rule of another time is in the manifests, too
        stated = (*desired.stated_rules, *desired.rules.values())
        self._stated = _by_address(stated)
        self._names = _by_name(stated)
        for rule in stated:
            if isinstance(rule.adopt, str):
                self._adopting_by_name[rule.adopt] = rule
            elif rule.adopt is not None:
                self._adopting_by_id[rule.adopt.id] = rule

    def manifest_location(self, live: LiveRule) -> str:
        address = self._managed.get(live.id)
        if address is not None:
            rule = self._stated.get(address)
            return f"it is in {rule.location}" if rule else ""
        if live.marker is not None:
            return ""

        rule = self._adopting_by_id.get(live.id)
        if rule is None:
            rule = self._adopting_by_name.get(live.rule.name)
        return f"{rule.address} adopts it, in {rule.location}" if rule else ""

    def exclusion_reason(self, live: LiveRule) -> str:
        marker = live.marker
        if live.id in self._removable_ids:
            return "it is a second copy of a managed rule; the next apply deletes it"
        if live.id in self._edited_copy_ids:
            return (
                "it is an edited copy of a managed rule; delete it, or remove the last line of its "
                "description"
            )
        if marker is not None and marker.owner != self.desired.owner:
            return f"it is managed by {marker.owner}"

        rule = self._names.get(live.rule.name)
        if rule:
            advice = "write `adopt:` there" if marker is None else "it would be moved"
            return f"{rule.address} has its name, in {rule.location}: {advice}"
        if marker is not None and marker.address.ruleset in self.rulesets:
            name = marker.address.ruleset
            return (
                f"RuleSet {name} is in {self.rulesets[name]}: add the rule there, or leave it to "
                f"be deleted"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSnapshot:
    """The live rules and queues of a tenant, and the desired state of the existing manifests."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]
    resolver: QueueResolver
    environment: Environment
    desired: DesiredState


class ExportedDocument(NamedTuple):
    """A further document to write: its file's name without extension, and its lines."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportedManifests:
    """RuleSets to write, the queue aliases that they need (alias to its value), the skipped rules,
    and documents to write before them.
    """

    rulesets: tuple[ExportedRuleSet, ...]
    queue_aliases: dict[str, Any]
    skipped: tuple[SkippedRule, ...]
    further: tuple[ExportedDocument, ...] = ()

    @property
    def rules(self) -> tuple[ExportedRule, ...]:
        """Return every exported rule."""
        rules: list[ExportedRule] = []
        for group in self.rulesets:
            rules += group.rules
        return tuple(rules)


def export_rules(
    rules: Sequence[LiveRule],
    tenant: TenantSnapshot,
    reserved: Collection[str],
    aliases: NewAliases = "needed",
) -> ExportedManifests:
    """Return the manifests of some live rules: managed ones by their RuleSets, others by their
    heaviest queue.
    """
    # `reserved` are the names of existing RuleSets, and of earlier RuleSets of this owner.
    ordered = sorted(
        rules, key=lambda live: (live.rule.priority, live.rule.name, live.id)
    )
    queue_ids = [queue_id for live in ordered for queue_id in _queue_ids(live)]
    queues = QueueNames(tenant.resolver, tenant.queues, queue_ids, aliases)
    desired_names = [desired.rule.name for desired in tenant.desired.stated_rules]
    names = RuleNameAllocator(tenant.rules, desired_names)

    builder = RuleSetBuilder(tenant.environment, queues, names)
    rulesets: list[ExportedRuleSet] = []
    for group in _group_rules(ordered, queues, {*reserved}):
        ruleset = builder.build_ruleset(*group)
        if ruleset.rules:
            rulesets.append(ruleset)
    rulesets.sort(key=lambda ruleset: ruleset.name)
    return ExportedManifests(
        tuple(rulesets), queues.new_used_aliases(), tuple(builder.skipped)
    )


def _group_rules(
    rules: Sequence[LiveRule], queues: QueueNames, reserved: set[str]
) -> Iterator[tuple[str, str, Sequence[LiveRule]]]:
    """Yield each RuleSet's name, its title and its rules."""
    by_ruleset: dict[str, list[LiveRule]] = {}
    by_queue: dict[str, list[LiveRule]] = {}
    for live in rules:
        if live.marker:
            by_ruleset.setdefault(live.marker.address.ruleset, []).append(live)
        else:
            heaviest = next(iter(_queue_ids(live)), "")
            by_queue.setdefault(heaviest, []).append(live)

    for name, group in by_ruleset.items():
        yield name, "Managed rules that were in no manifest.", group
    reserved |= {*by_ruleset}
    for queue_id, group in by_queue.items():
        queue_name = queues.live_name(queue_id)
        name = find_free_name(slugify(queue_name) or "rules", reserved)
        reserved.add(name)
        yield name, f"Conversations for {sanitize(queue_name)}.", group


def _queue_ids(live: LiveRule) -> list[str]:
    """Return the ids of a rule's queues, the heaviest first."""
    targets = [target for target in live.rule.targets if isinstance(target, Target)]
    targets.sort(key=lambda target: -target.weight)
    return [target.queue_id for target in targets]


class ExportMismatchError(Exception):
    """The exported manifests do not preserve a rule or the routing; the message has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportVerification:
    """The next plan: adopted rules, how many of them are renamed, other changes, and the impact."""

    adoptions: int
    renamed: int
    other_changes: int
    behaviour: BehaviourChange
    labels: Labels


def verify_export(
    exported: ExportedManifests, tenant: TenantSnapshot, merged: DesiredState
) -> ExportVerification:
    """Compare the manifests, the exported ones included, with the live rules.

    Raises ExportMismatchError.
    """
    comparison = compare_rules(merged, classify_by_owner(tenant.rules, merged.owner))
    changes = {change.address: change for change in comparison.changes}
    rules = {rule.address: rule for rule in exported.rules}
    for address, rule in rules.items():
        _check_rule(rule, merged.rules.get(address), changes.get(address))

    behaviour = _behaviour_after(exported, tenant, merged)
    if behaviour.changed:
        raise ExportMismatchError("conversations would go elsewhere")
    return ExportVerification(
        adoptions=sum(rule.live.marker is None for rule in rules.values()),
        renamed=sum(rule.live.rule.name != rule.rule.name for rule in rules.values()),
        other_changes=sum(address not in rules for address in changes),
        behaviour=behaviour,
        labels=merged.labels,
    )


def _check_rule(
    rule: ExportedRule, desired: DesiredRule | None, change: Change | None
) -> None:
    """Raise ExportMismatchError if a rule is not read back, or not adopted, unchanged."""
    if desired is None or desired.rule != rule.rule:
        raise ExportMismatchError(f"{rule.address} would not be read back unchanged")
    is_adopted = isinstance(change, Adopt) and change.live.id == rule.live.id
    if rule.live.marker is None and not is_adopted:
        raise ExportMismatchError(f"{rule.address} could not be adopted unchanged")


def _behaviour_after(
    exported: ExportedManifests, tenant: TenantSnapshot, merged: DesiredState
) -> BehaviourChange:
    """Return what changes for conversations once the exported rules are as the manifests say."""
    exported_rules = {
        rule.live.id: merged.rules[rule.address].rule for rule in exported.rules
    }
    before = tuple(
        RoutingEntry(name=live.rule.name, rule=live.rule, id=live.id)
        for live in tenant.rules
    )
    after = tuple(
        replace(entry, rule=exported_rules.get(entry.id, entry.rule))
        for entry in before
    )
    return compare_behaviour(before, after, tenant.desired.evaluation)


_API_VERSION_FIELD: Final = {"apiVersion": "routing/v1"}
_MAX_SKIPPED: Final = 100


class ManifestHeader(NamedTuple):
    """The content of every file besides the rules."""

    comment: str  # where and when the rules were read
    environments: tuple[str, ...]  # where the RuleSets apply; none means everywhere
    queues_name: str  # the name of the Queues document


def format_one_file(exported: ExportedManifests, header: ManifestHeader) -> str:
    """Return everything as one text of several documents."""
    documents = ["\n".join(lines) for _, lines in _documents(exported, header)]
    parts = [f"# {header.comment}"]
    parts += _skipped_comments(exported.skipped)
    parts.append("\n---\n".join(documents))
    return "\n".join([*parts, ""])


def format_files(exported: ExportedManifests, header: ManifestHeader) -> dict[str, str]:
    """Return the files by name: one per RuleSet and one for the queues; the first lists the skipped
    rules.
    """
    files: dict[str, str] = {}
    comments = [f"# {header.comment}", *_skipped_comments(exported.skipped)]
    for name, lines in _documents(exported, header):
        files[f"{name}.yaml"] = "\n".join([*comments, *lines, ""])
        comments = comments[:1]
    return files


def _documents(
    exported: ExportedManifests, header: ManifestHeader
) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the lines of each document: the further ones first, then the queues."""
    for document in exported.further:
        yield document.name, [*document.lines]
    if exported.queue_aliases:
        name = header.queues_name
        fields: dict[str, object] = {**_API_VERSION_FIELD, "kind": "Queues"}
        fields["name"] = name
        lines = [*format_mapping(fields, 0), "queues:"]
        lines += format_mapping(exported.queue_aliases, 2)
        yield name, lines

    for group in exported.rulesets:
        yield group.name, _ruleset_lines(group, header)


def _ruleset_lines(group: ExportedRuleSet, header: ManifestHeader) -> list[str]:
    fields: dict[str, object] = {
        **_API_VERSION_FIELD,
        "kind": "RuleSet",
        "name": group.name,
    }
    if header.environments:
        fields["environments"] = header.environments
    if group.defaults:
        fields["defaults"] = group.defaults
    lines = [f"# {group.title}", *format_mapping(fields, 0), "rules:"]
    for rule in group.rules:
        lines += [f"  # {sanitize(note)}" for note in rule.notes]
        first, *following = format_mapping(rule.fields, 4)
        lines += [f"  - {first[4:]}", *following]
    return lines


def _skipped_comments(skipped: Sequence[SkippedRule]) -> list[str]:
    if not skipped:
        return []
    lines = ["# Not exported, and not changed:"]
    lines += [f"#   {line}" for line in describe_skipped(skipped[:_MAX_SKIPPED])]
    excess = len(skipped) - _MAX_SKIPPED
    if excess > 0:
        lines.append(f"#   and {pluralize(excess, 'other')}")
    return lines


def describe_skipped(skipped: Iterable[SkippedRule]) -> list[str]:
    """Return a line for each skipped rule: its name, its id and the reason."""
    return [
        f'"{sanitize(live.rule.name)}" ({sanitize(live.id)}): {sanitize(reason)}'
        for live, reason in skipped
    ]
