"""What a run did, and the tenant as it is now -> what is to be live so that the run is undone.

Only what is as the run left it is put back: a rule that was changed since is left alone, with who changed it as far as
that is known. Which rules are ours the live markers say, and never the journal (invariants R1).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, copy_name, fingerprint
from reconciler.model.rule import Address, Rule, Target
from reconciler.plan.ownership import classify_by_owner, was_edited
from reconciler.plan.stored_texts import restore_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.journal.history import RecordedChange
    from reconciler.journal.journal import RecordedRun
    from reconciler.plan.plan import LiveState


def build_undo_state(
    run: RecordedRun,
    changes: Iterable[RecordedChange],
    later: Sequence[RecordedRun],
    live: LiveState,
    manifests: DesiredState,
) -> DesiredState:
    """Return what is to be live. `later` are the runs after it; of the manifests it takes whose rules are whose."""
    undoing = _UndoBuilder(run, later, live, manifests)
    for deed in changes:
        undoing.undo_change(deed)
    return replace(
        manifests,
        rules=undoing.rules,
        findings=tuple(undoing.findings),
        scope=frozenset(undoing.scope),
        skipped=undoing.skipped,
    )


_AMBIGUOUS_HINT: Final = "keep one of them in CXone, and undo the run again"


class _UndoBuilder:
    """One undoing under way: what is to be live, and what is left alone."""

    def __init__(
        self, run: RecordedRun, later: Sequence[RecordedRun], live: LiveState, manifests: DesiredState
    ) -> None:
        self.run, self.owner, self.manifests = run, manifests.owner, manifests
        self.by_owner = classify_by_owner(restore_texts(live.rules, manifests)[0], self.owner)
        self.queues = {queue.id for queue in live.queues}
        self.later_runs = _last_runs(later)
        self.rival_runs = _last_runs(one for one in later if one.start.get("undo") != run.id)
        self.unmanaged_by_name: dict[str, list[LiveRule]] = defaultdict(list)
        for one in (*self.by_owner.unmanaged, *self.by_owner.edited_copies):
            self.unmanaged_by_name[one.rule.name].append(one)
        self.unmanaged_by_id = {one.id: one for one in self.by_owner.unmanaged}
        self.copied_addresses = {one.marker.address for one in self.by_owner.temporary_copies if one.marker}
        self.rules: dict[Address, DesiredRule] = {}
        self.scope: set[Address] = set()
        self.skipped: dict[Address, str] = {}
        self.findings: list[Finding] = []

    def undo_change(self, change: RecordedChange) -> None:
        homes = {change.address, *(one.marker.address for one in (change.before, change.after) if one and one.marker)}
        if homes & self.by_owner.ambiguous.keys():
            self._warn(change, "several live rules have its marker, and nothing says which is ours", _AMBIGUOUS_HINT)
            return
        now = self.by_owner.managed.get(change.address)
        if change.before is None:
            self._undo_create(change, now)
        elif change.before.marker is None:
            self._undo_adopt(change, change.before, now)
        elif change.after is not None and change.after.marker is None:
            self._undo_unadopt(change, change.before, now)
        else:
            self._undo_update_or_delete(change, change.before, now)

    def _undo_create(self, change: RecordedChange, now: LiveRule | None) -> None:
        if now is None:
            self._keep_current(change.address, None)
            return
        self.scope.add(change.address)
        if not self._is_unchanged(change, now):
            self.skipped[change.address] = self._describe_change(change, now)

    def _undo_update_or_delete(self, change: RecordedChange, before: LiveRule, now: LiveRule | None) -> None:
        """Undo an update or a delete; the rule may have come from another address."""
        home = before.marker.address if before.marker else change.address
        there = self.by_owner.managed.get(home)
        if there is not None and there.rule == before.rule and (home == change.address or now is None):
            self._keep_current(home, there)
            return
        if self._report_name_conflict(change, before.rule, now):
            return
        self.scope |= {home, change.address}
        self.rules[home] = self._desired_rule(home, before.rule)
        moved_in = there is not None and home != change.address
        as_left = self._is_unchanged(change, now) or (change.after is not None and self._matches(now, before))
        why = self._describe_change(change, now) if moved_in or not as_left else self._missing_queue_reason(before.rule)
        if why:
            self.skipped |= {home: why, change.address: why}

    def _undo_adopt(self, change: RecordedChange, before: LiveRule, now: LiveRule | None) -> None:
        """Undo an adoption: the rule is again as it was made by hand, and ours no longer."""
        theirs = self.unmanaged_by_id.get(change.id)
        if now is None and theirs is not None and theirs.marker is None and theirs.rule == before.rule:
            self._keep_current(change.address, None)
        elif now is None or now.id != change.id:
            self._warn(change, "the rule that was taken over is not ours any more", "it is left as it is")
        elif not self._report_name_conflict(change, before.rule, now):
            self.scope.add(change.address)
            self.rules[change.address] = replace(self._desired_rule(change.address, before.rule), unadopted_id=now.id)
            as_left = self._is_unchanged(change, now) or self._matches(now, before)
            why = self._missing_queue_reason(before.rule) if as_left else self._describe_change(change, now)
            if why:
                self.skipped[change.address] = why

    def _undo_unadopt(self, change: RecordedChange, before: LiveRule, now: LiveRule | None) -> None:
        """Undo that an adoption was undone: only where the manifests still adopt just this rule, untouched since."""
        if now is not None and now.rule == before.rule:
            self._keep_current(change.address, now)
            return
        theirs, wanted = self.unmanaged_by_id.get(change.id), self.manifests.rules.get(change.address)
        adopt = wanted.adopt if wanted else None
        alone = theirs is not None and len(self.unmanaged_by_name[theirs.rule.name]) == 1
        named = theirs is not None and (
            adopt == theirs.rule.name and alone if isinstance(adopt, str) else adopt and adopt.id == theirs.id
        )
        untouched = theirs is not None and theirs.marker is None and self._matches(theirs, change.after)
        if now is None and named and untouched:
            if self._report_name_conflict(change, before.rule, theirs):
                return
            self.scope.add(change.address)
            self.rules[change.address] = replace(self._desired_rule(change.address, before.rule), adopt=adopt)
        else:
            self._warn(change, "the rule was given back and is not ours", "take it over with `adopt:` in the manifest")

    def _keep_current(self, address: Address, now: LiveRule | None) -> None:
        """Leave what is as it was before the run; a temporary copy that was left there goes."""
        if address in self.copied_addresses:
            self.scope.add(address)
            if now is not None:
                self.rules[address] = self._desired_rule(address, now.rule)

    def _is_unchanged(self, change: RecordedChange, now: LiveRule | None) -> bool:
        """Say whether a rule is as the run left it, and surely by the run: not by another that made the same since."""
        return self._matches(now, change.after) and (change.is_confirmed or str(change.address) not in self.rival_runs)

    def _matches(self, now: LiveRule | None, then: LiveRule | None) -> bool:
        """Say whether a rule is what it was then, be it under the temporary name that a run which ended early left."""
        if now is None or then is None:
            return now is then
        if now.rule == then.rule:
            return True
        name = copy_name(self.owner, now.marker.address) if now.marker else ""
        return now.rule.name in (name, f"{name}, renamed") and replace(now.rule, name=then.rule.name) == then.rule

    def _report_name_conflict(self, change: RecordedChange, before: Rule, now: LiveRule | None) -> bool:
        """Say whether a rule that is not ours has the name that the rule had, and tell it."""
        taken = (now is None or now.rule.name != before.name) and before.name in self.unmanaged_by_name
        if taken:
            message = f'it is not put back: a rule that is not ours is named "{before.name}" now'
            self._warn(change, message, "rename that one in CXone, and undo the run again")
        return taken

    def _missing_queue_reason(self, before: Rule) -> str:
        gone = sorted({one.queue_id for one in before.targets if isinstance(one, Target)} - self.queues)
        return f"a queue that it sent to is gone ({gone[0]})" if gone else ""

    def _describe_change(self, change: RecordedChange, now: LiveRule | None) -> str:
        """Say that a rule is not as the run left it, and who did that, as far as it is known."""
        what = "deleted" if now is None else "made again" if change.after is None else "changed"
        by = self.later_runs.get(str(change.address))
        if now is not None and was_edited(now):
            when = now.raw.get("dateModified")
            return f"{what} in CXone since" + (f", last at {when[:40]}" if isinstance(when, str) else "")
        if by is not None:
            who, at = (str(by.start.get(name, "unknown"))[:60] for name in ("who", "at"))
            return f"{what} since by run {by.id[:130]} ({who}, {at}): undo that one first"
        if not change.is_confirmed:
            return f"run {self.run.id} did not get an answer for it, and it is neither as before nor as after"
        return f"{what} since, and this journal does not say by whom"

    def _desired_rule(self, address: Address, rule: Rule) -> DesiredRule:
        return DesiredRule(
            address=address, rule=rule, fingerprint=fingerprint(rule), source=None, hold=None, adopt=None
        )

    def _warn(self, change: RecordedChange, message: str, hint: str) -> None:
        self.findings.append(
            Finding(code="CXR311", severity="warning", message=message, source=None, address=change.address, hint=hint)
        )


def _last_runs(later: Iterable[RecordedRun]) -> Mapping[str, RecordedRun]:
    return {
        str(change.get("address")): run
        for run in later
        for change in run.changes
        if change.get("status") not in ("failed", "skipped")
    }
