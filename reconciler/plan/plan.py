"""Desired x live -> Plan: a value that can be printed, saved, read back and compared. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.desired.desired import DesiredState
from reconciler.model.change import Adopt, Change, Create, Delete, HeldChange, PlanStep, Update
from reconciler.model.finding import Finding, group_findings
from reconciler.model.live import LiveRule
from reconciler.model.rule import CANONICAL_JSON, Address, Queue
from reconciler.plan.compare import compare_rules
from reconciler.plan.holds import split_held_changes
from reconciler.plan.options import PlanOptions, is_selected
from reconciler.plan.ownership import classify_by_owner
from reconciler.plan.stored_texts import attach_read_rules, restore_texts
from reconciler.plan.traffic_shares import TrafficImpact


@dataclass(frozen=True, slots=True)
class LiveState:
    """What one read of the tenant found: every rule and every queue."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult:
    """What one guard says of a plan. `value` and `limit` are its number and limit; `allowed` is why it was lifted."""

    name: str
    value: int | float
    limit: int | float
    ok: bool
    message: str
    allowed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What differs, what would be done, and what speaks against it."""

    environment: str
    owner: str
    changes: tuple[Change, ...]
    held: tuple[HeldChange, ...]
    findings: tuple[Finding, ...]
    unchanged: int
    managed: tuple[Address, ...]  # addresses of the managed live rules, before
    unmanaged: int
    rulesets: frozenset[str]  # RuleSets that the manifests have in this environment, empty ones included
    queue_names: Mapping[str, str]
    labels: Mapping[str, str]  # what people call the attributes that the API knows by longer names
    options: PlanOptions
    desired: DesiredState
    live: LiveState
    generated_at: datetime
    steps: tuple[tuple[PlanStep, ...], ...] = ()
    """The calls in waves, as `schedule_steps` puts them: those of one wave may be made in any order."""
    unproven: tuple[Address, ...] = ()
    """Changes during which it is not proven that each conversation goes to its old or its new destination."""
    behaviour: BehaviourChange | None = None  # who goes elsewhere, as `predict_impact` finds it
    traffic_impact: TrafficImpact | None = None  # how much of the traffic sample goes elsewhere; None without a sample
    guards: tuple[GuardResult, ...] = field(default=())
    acknowledged: tuple[Finding, ...] = ()
    """Findings that the manifests accept, each with the reason: counted, and not shown."""
    failed_tests: tuple[Finding, ...] = ()
    """The route tests that the manifests fail: no conflicts with live rules, but apply refuses while there is one."""
    _digests: dict[str, str] = field(default_factory=dict, init=False, compare=False, repr=False)

    def digest(self, name: str, compute: Callable[[], str]) -> str:
        """Return a digest of this plan, computed at its first use."""
        if name not in self._digests:
            self._digests[name] = compute()
        return self._digests[name]

    @property
    def manifest_digest(self) -> str:
        """The digest of what the manifests want, not of how their files are written."""
        return self.digest("manifests", self._digest_manifests)

    @property
    def live_digest(self) -> str:
        """The digest of everything that was read, whatever its order."""
        return self.digest("live", self._digest_live)

    def _digest_manifests(self) -> str:
        text = sha256(f"{self.desired.environment} {self.desired.owner}\n".encode())
        for address in sorted(self.desired.rules):
            text.update(f"{address} {self.desired.rules[address].fingerprint}\n".encode())
        return text.hexdigest()

    def _digest_live(self) -> str:
        rules = sorted((rule.raw for rule in self.live.rules), key=lambda raw: str(raw["id"]))
        queues = sorted([*queue[:2], *([] if queue.active else ["inactive"])] for queue in self.live.queues)
        return sha256(CANONICAL_JSON.encode([rules, queues]).encode()).hexdigest()

    @property
    def conflicts(self) -> tuple[Finding, ...]:
        """What stands in the way of a desired rule: apply refuses while there is one."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def draft_plan(desired: DesiredState, live: LiveState, options: PlanOptions, now: datetime) -> Plan:
    """Return the plan that makes the live rules the desired ones. `now` decides which holds are in force."""
    target = adopt_namesakes(desired, live) if options.adopt else desired
    rules, text_findings = restore_texts(live.rules, target)
    owned = classify_by_owner(rules, desired.owner)
    comparison = compare_rules(target, owned if desired.scope is None else owned.restricted_to(desired.scope))
    selected = [change for change in comparison.changes if is_selected(change.address, options.only)]
    changes, held = split_held_changes(attach_read_rules(selected, live.rules), target, owned, options, now)
    findings = (*desired.findings, *text_findings, *comparison.findings)
    return Plan(
        environment=desired.environment,
        owner=desired.owner,
        changes=tuple(sorted(changes, key=_change_sort_key)),
        held=tuple(sorted(held, key=lambda hold: _change_sort_key(hold.change))),
        findings=tuple(finding for finding in findings if _is_relevant(finding, options)),
        unchanged=sum(is_selected(address, options.only) for address in comparison.unchanged),
        managed=tuple(sorted(owned.managed)),
        unmanaged=len(owned.unmanaged),
        rulesets=desired.rulesets,
        queue_names={queue.id: queue.name for queue in live.queues},
        labels=desired.labels,
        options=options,
        desired=desired,
        live=live,
        generated_at=now,
    )


def add_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with further findings, without those of unselected addresses."""
    relevant = (finding for finding in findings if _is_relevant(finding, plan.options))
    return replace_findings(plan, (*plan.findings, *relevant))


def replace_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with just these findings: the acknowledged ones apart, and one for each cause."""
    ordered = sorted(findings, key=_finding_sort_key)
    open_findings = group_findings(finding for finding in ordered if not finding.acknowledged)
    accepted = group_findings(finding for finding in ordered if finding.acknowledged)
    return replace(plan, findings=tuple(open_findings), acknowledged=(*plan.acknowledged, *accepted))


def adopt_namesakes(desired: DesiredState, live: LiveState) -> DesiredState:
    """Return the desired rules, each one that names nothing to adopt adopting the unmanaged rule of its own name."""
    names = {rule.rule.name for rule in live.rules if rule.marker is None}
    rules = {
        address: replace(rule, adopt=rule.rule.name) if rule.adopt is None and rule.rule.name in names else rule
        for address, rule in desired.rules.items()
    }
    return replace(desired, rules=rules)


def _is_relevant(finding: Finding, options: PlanOptions) -> bool:
    return finding.address is None or is_selected(finding.address, options.only)


def _change_sort_key(change: Change) -> tuple[int, float, Address, str]:
    """Creates, updates, deletes; the first-evaluated first, and deletes the other way round."""
    match change:
        case Create():
            return 0, change.after.priority, change.address, ""
        case Update() | Adopt():
            return 1, change.after.priority, change.address, change.live.id
        case Delete():
            return 2, -change.live.rule.priority, change.address, change.live.id


def _finding_sort_key(finding: Finding) -> tuple[str, str, int, str]:
    source = finding.source
    return (finding.code, source.file if source else "", source.line if source else 0, finding.message)
