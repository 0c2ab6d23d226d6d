"""Desired x live -> Changes: what differs, and which of it must wait."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from reconciler.core.behaviour.endpoint_stage import TableSettings
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
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address
from reconciler.core.plan.compare import compare_rules
from reconciler.core.plan.ownership import LiveRulesByOwner, classify_by_owner
from reconciler.core.plan.stages import (
    Changes,
    LiveState,
    PlanOptions,
    stage_with_settings,
)
from reconciler.core.plan.stored_texts import attach_read_rules, restore_texts
from reconciler.core.target import RuleForm


def is_selected(address: Address, only: Sequence[str]) -> bool:
    """Return whether an address is selected."""
    if not only:
        return True
    return any(fnmatchcase(str(address), pattern) for pattern in only)


def is_planned(address: Address, options: PlanOptions) -> bool:
    """Return whether a plan is about the rule of an address."""
    if options.due and not options.only:
        return False
    return is_selected(address, options.only)


def unmatched_selectors(
    only: Sequence[str], addresses: Collection[Address]
) -> tuple[str, ...]:
    """Return the selectors that select none of the addresses."""
    return tuple(
        pattern
        for pattern in only
        if not any(is_selected(address, [pattern]) for address in addresses)
    )


def find_changes(
    desired: DesiredState, live: LiveState, options: PlanOptions, now: datetime
) -> Changes:
    """Return the changes that make the live rules the desired ones.

    `now` decides which holds are valid, if the options name no time.
    """
    desired, options = _with_settings(desired, live.settings, options)
    target = adopt_namesakes(desired, live) if options.adopt else desired
    rules, text_findings = restore_texts(live.rules, target)
    owned = classify_by_owner(rules, desired.owner)
    comparison = compare_rules(target, _covered_rules(owned, rules, desired))
    selected = _select(comparison.changes, options)
    changes, held = split_held_changes(
        attach_read_rules(selected, live.rules),
        target,
        owned,
        options,
        options.at or now,
    )
    findings = [*desired.findings, *text_findings, *comparison.findings]
    findings += _foreign_findings(owned, changes, desired.form)
    return Changes(
        desired=desired,
        live=live,
        options=options,
        generated_at=now,
        changes=tuple(sorted(changes, key=_change_sort_key)),
        held=_sort_held(held),
        findings=_select_findings(findings, options),
        unchanged=_count_selected(comparison.unchanged, options),
        managed=tuple(sorted(owned.managed)),
        unmanaged=len(owned.unmanaged),
    )


def _with_settings(
    desired: DesiredState, kept: TableSettings | None, options: PlanOptions
) -> tuple[DesiredState, PlanOptions]:
    """Return both with the settings beside the live rules, whose fallback is that before the
    change.

    If only some addresses are selected, the settings stay, except at the first save.
    """
    if kept is None:
        return desired, options
    before = replace(options, base_fallback=kept.fallback)
    if not options.is_partial or not kept.content:
        return desired, before
    endpoint = stage_with_settings(desired.endpoint, kept)
    return replace(desired, endpoint=endpoint, settings=kept), before


def _covered_rules(
    owned: LiveRulesByOwner, rules: Iterable[LiveRule], desired: DesiredState
) -> LiveRulesByOwner:
    """Return the owned rules that the desired state covers."""
    if desired.scope is None:
        return owned
    return classify_by_owner(_rules_in_scope(rules, desired), desired.owner)


def _select(changes: Iterable[Change], options: PlanOptions) -> list[Change]:
    return [change for change in changes if is_planned(change.address, options)]


def _select_findings(
    findings: Iterable[Finding], options: PlanOptions
) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if is_relevant(finding, options))


def _count_selected(addresses: Iterable[Address], options: PlanOptions) -> int:
    selected = [address for address in addresses if is_planned(address, options)]
    return len(selected)


def rules_after(plan: Changes, changes: Iterable[Change]) -> tuple[LiveRule, ...]:
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


def _foreign_findings(
    owned: LiveRulesByOwner, changes: Iterable[Change], form: RuleForm
) -> Iterator[Finding]:
    """Yield a conflict for each rule that no manifest owns, where a save would have to lose it."""
    if form.keeps_foreign_rules:
        return
    adopted = {change.live.id for change in changes if isinstance(change, Adopt)}
    for live in (*owned.unmanaged, *owned.edited_copies):
        if live.id not in adopted:
            yield form.foreign_finding(live)


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


def is_relevant(finding: Finding, options: PlanOptions) -> bool:
    """Return whether a finding is about a selected address, or about none."""
    if finding.address is None:
        return True
    return is_planned(finding.address, options)


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


def _sort_held(held: Iterable[HeldChange]) -> tuple[HeldChange, ...]:
    return tuple(sorted(held, key=lambda hold: _change_sort_key(hold.change)))


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
