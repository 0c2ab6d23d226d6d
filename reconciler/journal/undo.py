"""What a run did, and the tenant as it is now -> what is to be live so that the run is undone.

Only what is as the run left it is put back: a rule that was changed since is left alone, with who changed it as far as
that is known. Which rules are ours the live markers say, and never the journal (invariants R1).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.desired.desired import Desired, DesiredRule
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, copy_name, fingerprint
from reconciler.model.rule import Address, Rule, Target
from reconciler.plan.ownership import edited, own
from reconciler.plan.stored_texts import as_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.journal.history import Deed
    from reconciler.journal.journal import Run
    from reconciler.plan.plan import Live


def undo(run: Run, deeds: Iterable[Deed], later: Sequence[Run], live: Live, manifests: Desired) -> Desired:
    """Return what is to be live. `later` are the runs after it; of the manifests it takes whose rules are whose."""
    undoing = _Undoing(run, later, live, manifests)
    for deed in deeds:
        undoing.take(deed)
    return replace(
        manifests,
        rules=undoing.rules,
        findings=tuple(undoing.findings),
        about=frozenset(undoing.about),
        left=undoing.left,
    )


_KEEP_ONE: Final = "keep one of them in CXone, and undo the run again"


class _Undoing:
    """One undoing under way: what is to be live, and what is left alone."""

    def __init__(self, run: Run, later: Sequence[Run], live: Live, manifests: Desired) -> None:
        self.run, self.owner, self.manifests = run, manifests.owner, manifests
        self.owned = own(as_written(live.rules, manifests)[0], self.owner)
        self.queues = {queue.id for queue in live.queues}
        self.since = _changed_by(later)
        self.rivals = _changed_by(one for one in later if one.start.get("undo") != run.id)
        self.theirs: dict[str, list[LiveRule]] = defaultdict(list)
        for one in (*self.owned.unmanaged, *self.owned.clones):
            self.theirs[one.rule.name].append(one)
        self.by_id = {one.id: one for one in self.owned.unmanaged}
        self.copied = {one.marker.address for one in self.owned.copies if one.marker}
        self.rules: dict[Address, DesiredRule] = {}
        self.about: set[Address] = set()
        self.left: dict[Address, str] = {}
        self.findings: list[Finding] = []

    def take(self, deed: Deed) -> None:
        """Undo one change."""
        homes = {deed.address, *(one.marker.address for one in (deed.before, deed.after) if one and one.marker)}
        if homes & self.owned.undecided.keys():
            self._tell(deed, "several live rules have its marker, and nothing says which is ours", _KEEP_ONE)
            return
        now = self.owned.managed.get(deed.address)
        if deed.before is None:
            self._take_away(deed, now)
        elif deed.before.marker is None:
            self._give_back(deed, deed.before, now)
        elif deed.after is not None and deed.after.marker is None:
            self._take_over(deed, deed.before, now)
        else:
            self._restore(deed, deed.before, now)

    def _take_away(self, deed: Deed, now: LiveRule | None) -> None:
        """Undo a create."""
        if now is None:
            self._rest(deed.address, None)
            return
        self.about.add(deed.address)
        if not self._is_as_left(deed, now):
            self.left[deed.address] = self._changed(deed, now)

    def _restore(self, deed: Deed, before: LiveRule, now: LiveRule | None) -> None:
        """Undo an update or a delete; the rule may have come from another address."""
        home = before.marker.address if before.marker else deed.address
        there = self.owned.managed.get(home)
        if there is not None and there.rule == before.rule and (home == deed.address or now is None):
            self._rest(home, there)
            return
        if self._taken(deed, before.rule, now):
            return
        self.about |= {home, deed.address}
        self.rules[home] = self._wanted(home, before.rule)
        moved_in = there is not None and home != deed.address
        as_left = self._is_as_left(deed, now) or (deed.after is not None and self._is(now, before))
        why = self._changed(deed, now) if moved_in or not as_left else self._gone(before.rule)
        if why:
            self.left |= {home: why, deed.address: why}

    def _give_back(self, deed: Deed, before: LiveRule, now: LiveRule | None) -> None:
        """Undo an adoption: the rule is again as it was made by hand, and ours no longer."""
        theirs = self.by_id.get(deed.id)
        if now is None and theirs is not None and theirs.marker is None and theirs.rule == before.rule:
            self._rest(deed.address, None)
        elif now is None or now.id != deed.id:
            self._tell(deed, "the rule that was taken over is not ours any more", "it is left as it is")
        elif not self._taken(deed, before.rule, now):
            self.about.add(deed.address)
            self.rules[deed.address] = replace(self._wanted(deed.address, before.rule), released=now.id)
            as_left = self._is_as_left(deed, now) or self._is(now, before)
            why = self._gone(before.rule) if as_left else self._changed(deed, now)
            if why:
                self.left[deed.address] = why

    def _take_over(self, deed: Deed, before: LiveRule, now: LiveRule | None) -> None:
        """Undo that an adoption was undone: only where the manifests still adopt just this rule, untouched since."""
        if now is not None and now.rule == before.rule:
            self._rest(deed.address, now)
            return
        theirs, wanted = self.by_id.get(deed.id), self.manifests.rules.get(deed.address)
        adopt = wanted.adopt if wanted else None
        alone = theirs is not None and len(self.theirs[theirs.rule.name]) == 1
        named = theirs is not None and (
            adopt == theirs.rule.name and alone if isinstance(adopt, str) else adopt and adopt.id == theirs.id
        )
        untouched = theirs is not None and theirs.marker is None and self._is(theirs, deed.after)
        if now is None and named and untouched:
            if self._taken(deed, before.rule, theirs):
                return
            self.about.add(deed.address)
            self.rules[deed.address] = replace(self._wanted(deed.address, before.rule), adopt=adopt)
        else:
            self._tell(deed, "the rule was given back and is not ours", "take it over with `adopt:` in the manifest")

    def _rest(self, address: Address, now: LiveRule | None) -> None:
        """Leave what is as it was before the run; a temporary copy that was left there goes."""
        if address in self.copied:
            self.about.add(address)
            if now is not None:
                self.rules[address] = self._wanted(address, now.rule)

    def _is_as_left(self, deed: Deed, now: LiveRule | None) -> bool:
        """Say whether a rule is as the run left it, and surely by the run: not by another that made the same since."""
        return self._is(now, deed.after) and (deed.sure or str(deed.address) not in self.rivals)

    def _is(self, now: LiveRule | None, then: LiveRule | None) -> bool:
        """Say whether a rule is what it was then, be it under the temporary name that a run which ended early left."""
        if now is None or then is None:
            return now is then
        if now.rule == then.rule:
            return True
        name = copy_name(self.owner, now.marker.address) if now.marker else ""
        return now.rule.name in (name, f"{name}, renamed") and replace(now.rule, name=then.rule.name) == then.rule

    def _taken(self, deed: Deed, before: Rule, now: LiveRule | None) -> bool:
        """Say whether a rule that is not ours has the name that the rule had, and tell it."""
        taken = (now is None or now.rule.name != before.name) and before.name in self.theirs
        if taken:
            message = f'it is not put back: a rule that is not ours is named "{before.name}" now'
            self._tell(deed, message, "rename that one in CXone, and undo the run again")
        return taken

    def _gone(self, before: Rule) -> str:
        """Say that a queue is gone to which a rule sent, or nothing."""
        gone = sorted({one.queue_id for one in before.targets if isinstance(one, Target)} - self.queues)
        return f"a queue that it sent to is gone ({gone[0]})" if gone else ""

    def _changed(self, deed: Deed, now: LiveRule | None) -> str:
        """Say that a rule is not as the run left it, and who did that, as far as it is known."""
        what = "deleted" if now is None else "made again" if deed.after is None else "changed"
        by = self.since.get(str(deed.address))
        if now is not None and edited(now):
            when = now.raw.get("dateModified")
            return f"{what} in CXone since" + (f", last at {when[:40]}" if isinstance(when, str) else "")
        if by is not None:
            who, at = (str(by.start.get(name, "unknown"))[:60] for name in ("who", "at"))
            return f"{what} since by run {by.id[:130]} ({who}, {at}): undo that one first"
        if not deed.sure:
            return f"run {self.run.id} did not get an answer for it, and it is neither as before nor as after"
        return f"{what} since, and this journal does not say by whom"

    def _wanted(self, address: Address, rule: Rule) -> DesiredRule:
        return DesiredRule(
            address=address, rule=rule, fingerprint=fingerprint(rule), source=None, hold=None, adopt=None
        )

    def _tell(self, deed: Deed, message: str, hint: str) -> None:
        self.findings.append(
            Finding(code="CXR311", severity="warning", message=message, source=None, address=deed.address, hint=hint)
        )


def _changed_by(later: Iterable[Run]) -> Mapping[str, Run]:
    """Return the last of these runs that wrote, or may have written, a rule of each address."""
    return {
        str(change.get("address")): run
        for run in later
        for change in run.changes
        if change.get("status") not in ("failed", "skipped")
    }
