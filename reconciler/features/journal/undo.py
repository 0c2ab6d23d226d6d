"""A run and the current state of the tenant -> the desired rules that undo the run, and warnings.

Only a rule that has not changed since the run is restored; other rules are skipped and reported.
The markers of the live rules determine which rules are managed, not the journal (invariants R1).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.change import Change, Update
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import LiveRule, copy_name, fingerprint
from reconciler.core.model.rule import Address, Rule, Target
from reconciler.core.plan.changes import find_changes, rules_after
from reconciler.core.plan.ownership import was_edited
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions
from reconciler.core.plan.stored_texts import classify_live_rules
from reconciler.features.journal.history import NOT_APPLIED, RecordedChange, RecordedRun
from reconciler.features.journal.undo_dates import DueDate, due_date

REAPPLIED: Final = "CXR310"
_REVERT: Final = "revert the commit first"
_AMBIGUOUS_HINT: Final = "keep one of them in CXone, and undo the run again"


def build_undo_state(
    run: RecordedRun,
    changes: Iterable[RecordedChange],
    later: Sequence[RecordedRun],
    live: LiveState,
    state: DesiredState,
) -> DesiredState:
    """Return the desired rules.

    `later` are the runs after this one; `state`, of the manifests, has the owner.
    """
    builder = _UndoBuilder(run, later, live, state)
    for change in changes:
        builder.undo_change(change)
    return replace(
        state,
        rules=builder.rules,
        findings=tuple(builder.findings),
        scope=frozenset(builder.scope),
        skipped=builder.skipped,
    )


class _UndoBuilder:
    """Collects the desired rules of an undo, and the skipped ones."""

    def __init__(
        self,
        run: RecordedRun,
        later: Sequence[RecordedRun],
        live: LiveState,
        manifests: DesiredState,
    ) -> None:
        self.run = run
        self.owner = manifests.owner
        self.manifests = manifests
        self.by_owner = classify_live_rules(live.rules, manifests)
        self.queues = {queue.id for queue in live.queues}
        self.later_runs = _last_runs(later)
        self.rival_runs = _last_runs(
            later_run for later_run in later if later_run.start.get("undo") != run.id
        )

        unmanaged = self.by_owner.unmanaged
        self.unmanaged_by_id = {rule.id: rule for rule in unmanaged}
        self.unmanaged_by_name = group_pairs(
            (rule.rule.name, rule)
            for rule in (*unmanaged, *self.by_owner.edited_copies)
        )
        self.rules: dict[Address, DesiredRule] = {}
        self.scope: set[Address] = set()
        self.skipped: dict[Address, str] = {}
        self.findings: list[Finding] = []

    @cached_property
    def copied_addresses(self) -> set[Address]:
        """The addresses with a temporary copy."""
        copies = self.by_owner.temporary_copies
        return {copy.marker.address for copy in copies if copy.marker}

    def undo_change(self, change: RecordedChange) -> None:
        addresses = {change.address}
        for rule in (change.before, change.after):
            if rule and rule.marker:
                addresses.add(rule.marker.address)
        if addresses & self.by_owner.ambiguous.keys():
            self._warn(
                change,
                "several live rules have its marker, so the managed rule is not known",
                _AMBIGUOUS_HINT,
            )
            return
        now = self.by_owner.managed.get(change.address)
        if change.before is None:
            if now is None:
                self._keep_current(change.address, None)
                return
            self.scope.add(change.address)
            if not self._is_unchanged(change, now):
                self.skipped[change.address] = self._describe_change(change, now)
        elif change.before.marker is None:
            self._undo_adopt(change, change.before, now)
        elif change.after is not None and change.after.marker is None:
            self._undo_unadopt(change, change.before, now)
        else:
            self._undo_update_or_delete(change, change.before, now)

    def _undo_update_or_delete(
        self,
        change: RecordedChange,
        before: LiveRule,
        now: LiveRule | None,
    ) -> None:
        """Undo an update or a delete; the rule may have come from another address."""
        address = before.marker.address if before.marker else change.address
        current = self.by_owner.managed.get(address)
        has_moved = address != change.address
        is_restored = current is not None and current.rule == before.rule
        if is_restored and (not has_moved or now is None):
            self._keep_current(address, current)
            return
        if self._report_name_conflict(change, before.rule, now):
            return
        self.scope |= {address, change.address}
        self.rules[address] = self._desired_rule(address, before.rule)
        is_unchanged = self._is_unchanged(change, now) or (
            change.after is not None and self._matches(now, before)
        )
        if (current is not None and has_moved) or not is_unchanged:
            reason = self._describe_change(change, now)
        else:
            reason = self._missing_queue_reason(before.rule)
        if reason:
            self.skipped |= {address: reason, change.address: reason}

    def _undo_adopt(
        self,
        change: RecordedChange,
        before: LiveRule,
        now: LiveRule | None,
    ) -> None:
        """Undo an adoption: the rule becomes unmanaged again, in its original state."""
        lasting = self.manifests.form.lasting_adoption
        rule = self.unmanaged_by_id.get(change.id)
        is_original = (
            rule is not None and rule.marker is None and rule.rule == before.rule
        )
        if now is None and is_original:
            self._keep_current(change.address, None)
        elif now is not None and lasting is not None:
            message = f"its adoption is not undone: {lasting.reason}"
            hint = f"it stays managed; to give it back, {lasting.remedy}"
            self._warn(change, message, hint)
        elif now is None or now.id != change.id:
            self._warn(
                change,
                "the adopted rule is no longer managed",
                "it is not changed",
            )
        elif not self._report_name_conflict(change, before.rule, now):
            self._release(change, before, now)

    def _release(self, change: RecordedChange, before: LiveRule, now: LiveRule) -> None:
        """Make an adopted rule unmanaged, as it was before."""
        self.scope.add(change.address)
        desired = self._desired_rule(change.address, before.rule)
        self.rules[change.address] = replace(desired, unadopted_id=now.id)
        if self._is_unchanged(change, now) or self._matches(now, before):
            reason = self._missing_queue_reason(before.rule)
        else:
            reason = self._describe_change(change, now)
        if reason:
            self.skipped[change.address] = reason

    def _undo_unadopt(
        self,
        change: RecordedChange,
        before: LiveRule,
        now: LiveRule | None,
    ) -> None:
        """Undo an undone adoption, if the manifests still adopt this rule, and it has not
        changed.
        """
        if now is not None and now.rule == before.rule:
            self._keep_current(change.address, now)
            return
        rule = self.unmanaged_by_id.get(change.id)
        desired = self.manifests.rules.get(change.address)
        adopt = desired.adopt if desired else None
        is_ready = (
            now is None
            and rule is not None
            and self._adopts(adopt, rule)
            and rule.marker is None
            and self._matches(rule, change.after)
        )
        if not is_ready:
            self._warn(
                change,
                "the rule was released and is not managed",
                "adopt it with `adopt:` in the manifest",
            )
        elif not self._report_name_conflict(change, before.rule, rule):
            self.scope.add(change.address)
            restored = self._desired_rule(change.address, before.rule)
            self.rules[change.address] = replace(restored, adopt=adopt)

    def _adopts(self, adopt: str | AdoptById | None, rule: LiveRule) -> bool:
        """Return whether `adopt` of a manifest names an unmanaged rule, and no other."""
        if adopt is None:
            return False
        if isinstance(adopt, str):
            is_alone = len(self.unmanaged_by_name[rule.rule.name]) == 1
            return adopt == rule.rule.name and is_alone
        return adopt.id == rule.id

    def _keep_current(self, address: Address, now: LiveRule | None) -> None:
        """Keep a rule that is in its state before the run; delete a leftover temporary copy."""
        if address in self.copied_addresses:
            self.scope.add(address)
            if now is not None:
                self.rules[address] = self._desired_rule(address, now.rule)

    def _is_unchanged(self, change: RecordedChange, now: LiveRule | None) -> bool:
        """Return whether a rule is unchanged since the run, and certainly written by it: not by a
        later equal run.
        """
        return self._matches(now, change.after) and (
            change.is_confirmed or str(change.address) not in self.rival_runs
        )

    def _matches(self, now: LiveRule | None, then: LiveRule | None) -> bool:
        """Return whether a rule equals its earlier state, or differs only by an interrupted run's
        temporary name.
        """
        if now is None or then is None:
            return now is then
        if now.rule == then.rule:
            return True
        name = copy_name(self.owner, now.marker.address) if now.marker else ""
        return (
            now.rule.name in (name, f"{name}, renamed")
            and replace(now.rule, name=then.rule.name) == then.rule
        )

    def _report_name_conflict(
        self,
        change: RecordedChange,
        before: Rule,
        now: LiveRule | None,
    ) -> bool:
        if now is not None and now.rule.name == before.name:
            return False
        if before.name not in self.unmanaged_by_name:
            return False
        message = (
            f'it is not restored: an unmanaged rule has the name "{before.name}" now'
        )
        self._warn(change, message, "rename that rule in CXone, and undo the run again")
        return True

    def _missing_queue_reason(self, before: Rule) -> str:
        queues = {
            target.queue_id for target in before.targets if isinstance(target, Target)
        }
        missing = sorted(queues - self.queues)
        return f"its earlier queue no longer exists ({missing[0]})" if missing else ""

    def _describe_change(self, change: RecordedChange, now: LiveRule | None) -> str:
        """Return how a rule changed since the run, and the author if known."""
        action = "changed"
        if now is None:
            action = "deleted"
        elif change.after is None:
            action = "recreated"
        if now is not None and was_edited(now):
            time = now.raw.get("dateModified")
            last = f", last at {time[:40]}" if isinstance(time, str) else ""
            return f"{action} in CXone since{last}"
        run = self.later_runs.get(str(change.address))
        if run is not None:
            who = str(run.start.get("who", "unknown"))[:60]
            at = str(run.start.get("at", "unknown"))[:60]
            return f"{action} since by run {run.id[:130]} ({who}, {at}): undo that run first"
        if not change.is_confirmed:
            neither = "its state is neither that before nor that after the run"
            return f"run {self.run.id} got no response for it, and {neither}"
        return f"{action} since; the journal does not contain the author"

    def _desired_rule(self, address: Address, rule: Rule) -> DesiredRule:
        return DesiredRule(address=address, rule=rule, fingerprint=fingerprint(rule))

    def _warn(self, change: RecordedChange, message: str, hint: str) -> None:
        address = change.address
        self.findings.append(
            Finding(
                code="CXR311",
                severity="warning",
                message=message,
                address=address,
                hint=hint,
            )
        )


def _last_runs(later: Iterable[RecordedRun]) -> Mapping[str, RecordedRun]:
    last_runs = {}
    for run in later:
        for change in run.changes:
            if change.get("status") not in NOT_APPLIED:
                last_runs[str(change.get("address"))] = run
    return last_runs


def warn_reapplied_changes(
    plan: Changes,
    manifests: DesiredState,
    options: PlanOptions,
) -> tuple[Finding, ...]:
    """Return a warning for each change of an undo that the next apply, with `options`, would make
    again.
    """
    live = replace(
        plan.live,
        rules=rules_after(plan, plan.changes),
        settings=plan.desired.settings,
    )
    then = find_changes(manifests, live, options, plan.generated_at)
    touched = {address for change in plan.changes for address in _addresses(change)}
    changes = [
        change
        for change in then.changes
        if change.cause != "duplicate" and touched & set(_addresses(change))
    ]
    causes = group_pairs((due_date(manifests, change), change) for change in changes)
    findings = [
        finding for due, group in causes.items() for finding in _reapplied(group, due)
    ]
    if plan.changes_settings and then.changes_settings:
        again = "the next apply would save the settings of the manifests again"
        findings.append(_reapplied_finding(again, _REVERT))
    return tuple(findings)


def _reapplied(changes: Sequence[Change], due: DueDate | None) -> Iterator[Finding]:
    """Yield a warning for each of some changes with one cause."""
    made_again = "this change" if len(changes) == 1 else f"these {len(changes)} changes"
    message = f"the next apply would make {made_again} again"
    if due is not None:
        message = f"{message}: {due.reason}"
    finding = _reapplied_finding(message, due.hint if due else _REVERT)
    for change in changes:
        yield replace(finding, source=change.source, address=change.address)


def _reapplied_finding(message: str, hint: str) -> Finding:
    return Finding(code=REAPPLIED, severity="warning", message=message, hint=hint)


def _addresses(change: Change) -> Iterator[Address]:
    yield change.address
    if isinstance(change, Update) and change.live.marker is not None:
        yield change.live.marker.address
