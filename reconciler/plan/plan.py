"""Desired x live -> Plan: a value that can be printed, saved, read back and compared. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.desired.desired import DesiredState
from reconciler.model.change import Adopt, Change, Create, Delete, HeldChange, PlanStep, Update
from reconciler.model.finding import Finding, group_findings
from reconciler.model.live import LiveRule
from reconciler.model.rule import CANONICAL_JSON, Address, Queue
from reconciler.plan.compare import compare_rules
from reconciler.plan.ownership import LiveRulesByOwner, classify_by_owner
from reconciler.plan.stored_texts import attach_read_rules, restore_texts
from reconciler.plan.traffic_shares import TrafficImpact


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a person chose when asking for a plan; a saved plan carries it, so that it can be made again."""

    only: tuple[str, ...] = ()  # addresses, or patterns of them such as `cards/*`; none means all
    adopt: bool = False  # take over unmanaged rules that have just the name of a desired one
    keep_drift: bool = False  # leave alone what somebody changed outside
    prune: bool = True  # delete managed rules that no manifest names
    traffic: str | None = None  # the traffic sample's path, where one was named beside the manifests' own
    undo: str | None = None  # the run of the journal that is to be undone, in place of what the manifests want


def is_selected(address: Address, only: Sequence[str]) -> bool:
    """Say whether an address is among the selected ones."""
    return not only or any(fnmatchcase(str(address), pattern) for pattern in only)


def unmatched_selectors(only: Sequence[str], addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return the selectors that select none of the addresses."""
    names = [str(address) for address in addresses]
    return tuple(pattern for pattern in only if not any(fnmatchcase(name, pattern) for name in names))


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
    steps: tuple[tuple[PlanStep, ...], ...] = ()  # the calls in waves: those of one wave may be made in any order
    # Changes during which it is not proven that each conversation goes to its old or its new destination:
    unproven: tuple[Address, ...] = ()
    behaviour: BehaviourChange | None = None  # who goes elsewhere, as `predict_impact` finds it
    traffic_impact: TrafficImpact | None = None  # how much of the traffic sample goes elsewhere; None without a sample
    guards: tuple[GuardResult, ...] = ()
    acknowledged: tuple[Finding, ...] = ()  # findings that the manifests accept: counted, and not shown
    failed_tests: tuple[Finding, ...] = ()  # route tests that the manifests fail: apply refuses while there is one
    _digests: dict[str, str] = field(default_factory=dict, init=False, compare=False, repr=False)

    def digest(self, name: str, compute: Callable[[], str]) -> str:
        """Return a digest of this plan, computed at its first use."""
        if name not in self._digests:
            self._digests[name] = compute()
        return self._digests[name]

    @property
    def manifest_digest(self) -> str:
        """The digest of what the manifests want, not of how their files are written."""

        def compute() -> str:
            rules = self.desired.rules
            lines = (f"{address} {rules[address].fingerprint}\n" for address in sorted(rules))
            return sha256(f"{self.desired.environment} {self.desired.owner}\n{''.join(lines)}".encode()).hexdigest()

        return self.digest("manifests", compute)

    @property
    def live_digest(self) -> str:
        """The digest of everything that was read, whatever its order."""

        def compute() -> str:
            rules = sorted((rule.raw for rule in self.live.rules), key=lambda raw: str(raw["id"]))
            queues = sorted([*queue[:2], *([] if queue.active else ["inactive"])] for queue in self.live.queues)
            return sha256(CANONICAL_JSON.encode([rules, queues]).encode()).hexdigest()

        return self.digest("live", compute)

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

    def sort_key(finding: Finding) -> tuple[str, str, int, str]:
        source = finding.source
        return finding.code, source.file if source else "", source.line if source else 0, finding.message

    ordered = sorted(findings, key=sort_key)
    open_findings = group_findings(finding for finding in ordered if not finding.acknowledged)
    accepted = group_findings(finding for finding in ordered if finding.acknowledged)
    return replace(plan, findings=tuple(open_findings), acknowledged=(*plan.acknowledged, *accepted))


def adopt_namesakes(desired: DesiredState, live: LiveState) -> DesiredState:
    """Return the desired rules, each one that names nothing to adopt adopting the unmanaged rule of its own name."""
    names = {rule.rule.name for rule in live.rules if rule.marker is None}
    rules = desired.rules.values()
    adopting = (rule for rule in rules if rule.adopt is None and rule.rule.name in names)
    changed = {rule.address: replace(rule, adopt=rule.rule.name) for rule in adopting}
    return replace(desired, rules={**desired.rules, **changed})


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


def split_held_changes(
    changes: Iterable[Change], desired: DesiredState, by_owner: LiveRulesByOwner, options: PlanOptions, now: datetime
) -> tuple[list[Change], list[HeldChange]]:
    """Return the changes to make, and those that are left alone; `now` decides which holds are in force."""
    copied = frozenset(live.marker.address for live in by_owner.edited_copies if live.marker and not live.marker.copy)
    pairs = [(change, _blocked_by_copy(change, copied)) for change in changes]
    reasons = [(change, blocked or _hold_reason(change, desired, options, now)) for change, blocked in pairs]
    holds = [HeldChange(change, reason) for change, reason in reasons if reason]
    active = [change for change, reason in reasons if not reason]
    while waiting := _blocked_by_name(active, by_owner):
        holds += waiting
        waiting_ids = {id(hold.change) for hold in waiting}
        active = [change for change in active if id(change) not in waiting_ids]
    return active, holds


def _blocked_by_name(active: Sequence[Change], by_owner: LiveRulesByOwner) -> list[HeldChange]:
    """Return the changes that need the name of a managed rule that keeps it, because it is left alone."""
    changed = {change.live.id for change in active if not isinstance(change, Create)}
    names = {live.rule.name: address for address, live in by_owner.managed.items() if live.id not in changed}
    return [
        HeldChange(change, f"its name is still used by {names[change.after.name]}, which is not changed")
        for change in active
        if not isinstance(change, Delete)
        and change.after.name in names
        and (isinstance(change, Create) or change.live.rule.name != change.after.name)
    ]


def _blocked_by_copy(change: Change, copied_addresses: frozenset[Address]) -> str:
    """Return why a rule does not leave its address yet: an edited copy at that address would count as the rule."""
    before = change.live.marker if not isinstance(change, Create) else None
    leaves = isinstance(change, Delete) and change.cause != "duplicate"
    moves = isinstance(change, Update) and before is not None and before.address != change.address
    if not (leaves or moves) or before is None or before.address not in copied_addresses:
        return ""
    return (
        f"an edited copy of it exists, which would then count as {before.address} and be deleted:"
        " delete the copy, or remove the last line of its description"
    )


def _hold_reason(change: Change, desired: DesiredState, options: PlanOptions, now: datetime) -> str:
    rule = desired.rules.get(change.address)
    if isinstance(change, Delete) and change.cause == "duplicate":
        return ""
    if change.address in desired.skipped:
        return desired.skipped[change.address]
    if rule is not None and rule.hold is not None and now < rule.hold.until:
        return f"held until {rule.hold.until.isoformat()}: {rule.hold.reason}"
    if isinstance(change, Delete) and not options.prune:
        return "this undo deletes no rule" if options.undo else "prune is off: rules that no manifest defines are kept"
    if options.keep_drift and change.cause in ("drift", "both"):
        return "edited in CXone, and such edits are kept"
    return ""
