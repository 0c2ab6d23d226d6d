"""Desired x live -> Plan: a value that can be printed, saved, read back and compared.

Nothing here has an effect.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.change import (
    Adopt,
    Change,
    Create,
    Delete,
    HeldChange,
    PlanStep,
    Update,
    write_payload,
)
from reconciler.core.model.finding import Finding, group_findings
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.model.rule import CANONICAL_JSON, Address, Queue
from reconciler.core.plan.compare import compare_rules
from reconciler.core.plan.consent import Consent
from reconciler.core.plan.ownership import LiveRulesByOwner, classify_by_owner
from reconciler.core.plan.stored_texts import attach_read_rules, restore_texts
from reconciler.core.text.phrases import Labels

# the one needs this module, the other loads the traffic sample, which `validate` does not need
if TYPE_CHECKING:
    from reconciler.core.plan.impact import Impact
    from reconciler.core.plan.promises import PromiseResult
    from reconciler.core.plan.replay import ReplayResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options of a plan. A saved plan contains them, so that it can be built again."""

    only: tuple[str, ...] = ()  # addresses, or patterns such as `cards/*`; empty: all
    adopt: bool = False  # adopt unmanaged rules that have the name of a desired rule
    keep_drift: bool = False  # do not revert edits made in CXone
    prune: bool = True  # delete managed rules that no manifest names
    # the path of a traffic sample other than that of the manifests
    traffic: str | None = None
    base: str | None = None  # where the manifests before the change are
    # the endpoint's fallback there; None: that of these manifests
    base_fallback: FallbackPolicy | None = None
    undo: str | None = None  # the run of the journal to undo; the manifests are ignored


def is_selected(address: Address, only: Sequence[str]) -> bool:
    """Return whether an address is selected."""
    if not only:
        return True
    return any(fnmatchcase(str(address), pattern) for pattern in only)


def unmatched_selectors(
    only: Sequence[str], addresses: Collection[Address]
) -> tuple[str, ...]:
    """Return the selectors that select none of the addresses."""
    return tuple(
        pattern
        for pattern in only
        if not any(is_selected(address, [pattern]) for address in addresses)
    )


@dataclass(frozen=True, slots=True)
class LiveState:
    """The result of one read of the tenant: every rule and every queue."""

    rules: tuple[LiveRule, ...]
    queues: tuple[Queue, ...]
    last_save: LastSave | None = None  # of the script that holds the rules


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult:
    """The result of one guard: its number, its limit, and in `allowed` why it was lifted."""

    name: str
    value: int | float
    limit: int | float
    ok: bool
    message: str
    allowed: str | None = None


class WatchCounts(NamedTuple):
    """The changed rules that no test and no promise watches, and those of which the bound of work
    left that open.
    """

    unwatched: int
    undecided: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The changes, and everything that a reader or a guard needs to accept or refuse them."""

    environment: str
    owner: str
    changes: tuple[Change, ...]
    held: tuple[HeldChange, ...]
    findings: tuple[Finding, ...]
    unchanged: int
    managed: tuple[Address, ...]  # addresses of the managed live rules, before
    unmanaged: int
    queue_names: Mapping[str, str]
    labels: Labels  # what people read instead of names
    options: PlanOptions
    desired: DesiredState
    live: LiveState
    generated_at: datetime
    # whether the endpoint's fallback is another one after the change
    changes_endpoint: bool = False
    # the calls in waves: those of one wave may be made in any order
    steps: tuple[tuple[PlanStep, ...], ...] = ()
    # changes during which some conversation may have neither its old nor its new destination
    unproven: tuple[Address, ...] = ()
    # what it does to conversations, from `predict_impact`
    impact: "Impact | None" = None
    # the recorded conversations of `plan --replay` that go elsewhere
    replay: "ReplayResult | None" = None
    # whose consent it needs; None if no queue has owners
    consent: tuple[Consent, ...] | None = None
    guards: tuple[GuardResult, ...] = ()
    # on the rules after this plan, from `check_guards`
    promises: "tuple[PromiseResult, ...]" = ()
    # findings that the manifests accept: counted, and not shown
    acknowledged: tuple[Finding, ...] = ()
    # route tests that the manifests fail: apply refuses while there is one
    failed_tests: tuple[Finding, ...] = ()
    watch: WatchCounts | None = None  # None without route tests and promises
    # the id, once it is computed
    _ids: list[str] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def behaviour(self) -> BehaviourChange | None:
        """What the change does to conversations; None before `predict_impact`."""
        return self.impact.behaviour if self.impact else None

    def remember_id(self, compute: Callable[[], str]) -> str:
        """Return the id of this plan, computed at its first use."""
        if not self._ids:
            self._ids.append(compute())
        return self._ids[0]

    @property
    def endpoints(self) -> tuple[EndpointStage, EndpointStage]:
        """Return the endpoint before the change, which the live rules are behind, and the one after
        it.
        """
        after = self.desired.endpoint
        before = replace(after, fallback=self.options.base_fallback or after.fallback)
        return before.compared_with(after), after.compared_with(before)

    @cached_property
    def manifest_digest(self) -> str:
        """The digest of the desired rules, which does not depend on the text of the files."""
        desired = self.desired
        lines = [f"{desired.environment} {desired.owner}"]
        lines += [
            f"{address} {desired.rules[address].fingerprint}"
            for address in sorted(desired.rules)
        ]
        text = "".join(f"{line}\n" for line in lines)
        return sha256(text.encode()).hexdigest()

    @cached_property
    def live_digest(self) -> str:
        """The digest of the live rules and queues, which does not depend on their order."""
        rules = sorted(
            (rule.raw for rule in self.live.rules), key=lambda raw: str(raw["id"])
        )
        queues = []
        for queue in self.live.queues:
            state = [] if queue.active else ["inactive"]
            queues.append([queue.id, queue.name, *state])
        queues.sort()
        return sha256(CANONICAL_JSON.encode([rules, queues]).encode()).hexdigest()

    @property
    def conflicts(self) -> tuple[Finding, ...]:
        """Return the findings that make apply refuse: each concerns a desired rule that cannot be
        made live.
        """
        return tuple(
            finding for finding in self.findings if finding.severity == "error"
        )


def draft_plan(
    desired: DesiredState, live: LiveState, options: PlanOptions, now: datetime
) -> Plan:
    """Return the plan that makes the live rules the desired ones.

    `now` decides which holds are valid.
    """
    target = adopt_namesakes(desired, live) if options.adopt else desired
    rules, text_findings = restore_texts(live.rules, target)
    owned = classify_by_owner(rules, desired.owner)
    covered = owned
    if desired.scope is not None:
        rules_in_scope = _rules_in_scope(rules, desired)
        covered = classify_by_owner(rules_in_scope, desired.owner)
    comparison = compare_rules(target, covered)
    selected = [
        change
        for change in comparison.changes
        if is_selected(change.address, options.only)
    ]
    changes, held = split_held_changes(
        attach_read_rules(selected, live.rules), target, owned, options, now
    )

    findings = [*desired.findings, *text_findings, *comparison.findings]
    if desired.layout:
        findings += _foreign_cases(owned, changes)
    unchanged = [
        address
        for address in comparison.unchanged
        if is_selected(address, options.only)
    ]
    fallback = desired.endpoint.fallback
    base_fallback = options.base_fallback or fallback
    return Plan(
        environment=desired.environment,
        owner=desired.owner,
        changes=tuple(sorted(changes, key=_change_sort_key)),
        held=tuple(sorted(held, key=lambda hold: _change_sort_key(hold.change))),
        findings=tuple(
            finding for finding in findings if _is_relevant(finding, options)
        ),
        unchanged=len(unchanged),
        managed=tuple(sorted(owned.managed)),
        unmanaged=len(owned.unmanaged),
        queue_names={queue.id: queue.name for queue in live.queues},
        labels=desired.labels,
        options=options,
        desired=desired,
        live=live,
        generated_at=now,
        changes_endpoint=base_fallback.settings != fallback.settings,
    )


def rules_after(plan: Plan, changes: Iterable[Change]) -> tuple[LiveRule, ...]:
    """Return the live rules after some changes of a plan; a changed rule has its new marker."""
    rules: dict[str, LiveRule | None] = {live.id: live for live in plan.live.rules}
    for change in changes:
        rule_id = rule_id_after(change)
        payload = write_payload(PlanStep(change), plan.owner)
        if payload:
            rules[rule_id] = LiveRule(rule_id, *payload, {})
        else:
            rules[rule_id] = None
    return tuple(rule for rule in rules.values() if rule is not None)


def rule_id_after(change: Change) -> str:
    """Return the id of a rule in `rules_after`: the address of a created one, which the server
    gives an id.
    """
    return str(change.address) if isinstance(change, Create) else change.live.id


def _rules_in_scope(
    rules: Iterable[LiveRule], desired: DesiredState
) -> Iterator[LiveRule]:
    """Yield the managed rules of the addresses that the desired state covers, and all unmanaged
    ones.
    """
    scope = desired.scope or ()
    for live in rules:
        marker = live.marker
        if marker is None or marker.owner != desired.owner or marker.address in scope:
            yield live


def _foreign_cases(
    owned: LiveRulesByOwner, changes: Iterable[Change]
) -> Iterator[Finding]:
    """Yield a conflict for each CASE that no manifest owns: a save would have to keep or to lose
    it.
    """
    adopted = {change.live.id for change in changes if isinstance(change, Adopt)}
    for live in (*owned.unmanaged, *owned.edited_copies):
        if live.id not in adopted:
            kind = "not managed"
            hint = f"move it out of the block, or take it over with `adopt: {{id: {live.id}}}`"
            if live.marker:
                kind = "an edited copy of another CASE"
                hint = "remove it in Studio"
            message = f'"{live.rule.name}" of the block is {kind}, and apply writes no block that contains it'
            yield Finding(code="CXR313", severity="error", message=message, hint=hint)


def add_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with further findings, without those of unselected addresses."""
    relevant = (finding for finding in findings if _is_relevant(finding, plan.options))
    return replace_findings(plan, (*plan.findings, *relevant))


def replace_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with these findings only: the acknowledged ones separate, and one for each
    cause.
    """

    def sort_key(finding: Finding) -> tuple[str, str, int, str]:
        source = finding.source
        return (
            finding.code,
            source.file if source else "",
            source.line if source else 0,
            finding.message,
        )

    ordered = sorted(findings, key=sort_key)
    open_findings = group_findings(
        finding for finding in ordered if not finding.acknowledged
    )
    accepted = group_findings(finding for finding in ordered if finding.acknowledged)
    return replace(
        plan,
        findings=tuple(open_findings),
        acknowledged=(*plan.acknowledged, *accepted),
    )


def adopt_namesakes(desired: DesiredState, live: LiveState) -> DesiredState:
    """Return the desired rules; each one without `adopt` adopts the unmanaged rule that has its
    name.
    """
    names = {rule.rule.name for rule in live.rules if rule.marker is None}
    rules = dict(desired.rules)
    for address, rule in desired.rules.items():
        if rule.adopt is None and rule.rule.name in names:
            rules[address] = replace(rule, adopt=rule.rule.name)
    return replace(desired, rules=rules)


def _is_relevant(finding: Finding, options: PlanOptions) -> bool:
    if finding.address is None:
        return True
    return is_selected(finding.address, options.only)


def _change_sort_key(change: Change) -> tuple[int, float, Address, str]:
    """Return the order of changes: creates, updates, deletes, each by priority; deletes in
    reverse.
    """
    match change:
        case Create():
            return 0, change.after.priority, change.address, ""
        case Update() | Adopt():
            return 1, change.after.priority, change.address, change.live.id
        case Delete():
            return 2, -change.live.rule.priority, change.address, change.live.id


def split_held_changes(
    changes: Iterable[Change],
    desired: DesiredState,
    by_owner: LiveRulesByOwner,
    options: PlanOptions,
    now: datetime,
) -> tuple[list[Change], list[HeldChange]]:
    """Return the changes to make, and the held changes; `now` decides which holds are valid."""
    copied = frozenset(
        live.marker.address
        for live in by_owner.edited_copies
        if live.marker and not live.marker.copy
    )
    holds: list[HeldChange] = []
    active: list[Change] = []
    for change in changes:
        reason = _blocked_by_copy(change, copied) or _hold_reason(
            change, desired, options, now
        )
        if reason:
            holds.append(HeldChange(change, reason))
        else:
            active.append(change)
    while waiting := _blocked_by_name(active, by_owner):
        holds += waiting
        waiting_ids = {id(hold.change) for hold in waiting}
        active = [change for change in active if id(change) not in waiting_ids]
    return active, holds


def _blocked_by_name(
    active: Sequence[Change], by_owner: LiveRulesByOwner
) -> list[HeldChange]:
    """Return the changes that need the name of a managed rule which does not change, and so keeps
    its name.
    """
    changed = {change.live.id for change in active if not isinstance(change, Create)}
    names = {
        live.rule.name: address
        for address, live in by_owner.managed.items()
        if live.id not in changed
    }
    return [
        HeldChange(
            change,
            f"its name is still used by {names[change.after.name]}, which is not changed",
        )
        for change in active
        if not isinstance(change, Delete)
        and change.after.name in names
        and (isinstance(change, Create) or change.live.rule.name != change.after.name)
    ]


def _blocked_by_copy(change: Change, copied_addresses: frozenset[Address]) -> str:
    """Return why a rule must keep its address for now: an edited copy at that address would count
    as the rule.
    """
    before = change.live.marker if not isinstance(change, Create) else None
    leaves = isinstance(change, Delete) and change.cause != "duplicate"
    moves = (
        isinstance(change, Update)
        and before is not None
        and before.address != change.address
    )
    if (
        not (leaves or moves)
        or before is None
        or before.address not in copied_addresses
    ):
        return ""
    return (
        f"an edited copy of it exists, which would then count as {before.address} and be deleted:"
        " delete the copy, or remove the last line of its description"
    )


def _hold_reason(
    change: Change, desired: DesiredState, options: PlanOptions, now: datetime
) -> str:
    rule = desired.rules.get(change.address)
    if isinstance(change, Delete) and change.cause == "duplicate":
        return ""
    if change.address in desired.skipped:
        return desired.skipped[change.address]
    if rule is not None and rule.hold is not None and now < rule.hold.until:
        return f"held until {rule.hold.until.isoformat()}: {rule.hold.reason}"
    if isinstance(change, Delete) and not options.prune:
        return (
            "this undo deletes no rule"
            if options.undo
            else "prune is off: rules that no manifest defines are kept"
        )
    if options.keep_drift and change.cause in ("drift", "both"):
        return "edited in CXone, and such edits are kept"
    return ""
