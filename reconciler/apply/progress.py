"""What was tried of each planned change, and what became of it: a run's memory, and in the end its report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.apply.attempt import Attempt, Doubt, Verdict, Written, written
from reconciler.model.change import Applied, Change, Create, Delete, Failed, Outcome, Skipped, Step, Unknown, is_copy
from reconciler.plan.stored_texts import is_form_of, owned_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.model.live import LiveRule, Marker
    from reconciler.model.rule import Address, Rule
    from reconciler.plan.plan import Plan


_FIRST: Final = "what must come first is not done"


@dataclass(slots=True, kw_only=True)
class Progress:
    """What was tried of one planned change."""

    tries: Counter[str] = field(default_factory=Counter)
    error: str = ""
    id: str = ""
    moves: int = 0
    failed: bool = False
    doubt: Doubt = "none"
    kept: tuple[str, Written] | None = None
    """A rule's id and what was sent of it, where the server's answer told of other values."""
    passing: bool = False
    """That is temporary: texts that the tenant keeps otherwise do not matter."""
    wrote: Written | None = None
    """What was last acknowledged: whoever finds just this in place of the reviewed rule finds our own work."""
    sent: bool = False
    """Something of it was written, or perhaps."""
    maybe: Written | None = None
    """What was last sent and perhaps done: likewise."""

    @property
    def attempts(self) -> int:
        """How often a call of it was tried at the most."""
        return max(self.tries.values(), default=0)


class Tally:
    """The planned changes, and the progress of each."""

    def __init__(self, plan: Plan) -> None:
        self.owner, self._desired = plan.owner, plan.desired
        self.planned: dict[object, Change] = {key_of(change): change for change in plan.changes}
        self.progress = {key: Progress() for key in self.planned}
        self.copies: dict[Address, Progress] = {}
        self.clones: set[str] = set()
        """Rules that a read of this run showed as somebody's copies: they are not written, even if ours is gone."""
        self.addresses = {change.address for change in plan.changes}
        self.ids = {change.live.id for change in plan.changes if not isinstance(change, Create)}

    def look(self, rules: Iterable[LiveRule]) -> None:
        """Note which of the live rules are copies that somebody made of ours."""
        self.clones |= {one.id for one in owned_by(rules, self._desired).clones}

    def is_somebodys(self, change: Change) -> bool:
        """Say whether a change would write a rule that this run knows as somebody's copy."""
        return not isinstance(change, Create) and change.live.id in self.clones

    def planned_for(self, change: Change) -> Change | None:
        """Return the planned change that one found by a later read belongs to.

        That a copy goes belongs to the change that it stood in for, and that a duplicate goes to the create that made
        it: a lost request can be done late.
        """
        found = self.planned.get(key_of(change))
        if found is not None or not isinstance(change, Delete):
            return found
        ours = self.planned.get(change.address)
        return ours if is_copy(change) or (ours is not None and self._made_twice(change)) else None

    def unplanned(self, fresh: Plan) -> list[Change]:
        """Return the changes of a later read that are none of the planned ones: somebody changed one of our rules."""
        return [change for change in fresh.changes if self.planned_for(change) is None and change.cause != "duplicate"]

    def lost(self, fresh: Plan) -> list[Change]:
        """Return the planned changes that are not done and cannot be made any more, as changes of what is there now.

        Something that is not ours stands in the way, or the rule is not ours any more.
        """
        there, left = {one.id: one for one in fresh.live.rules}, left_of(fresh)
        found = {key_of(change) for change in fresh.changes}
        lost = (change for key, change in self.planned.items() if key not in found)
        return [change for one in lost if (change := _as_found(one, there, left)) is not None]

    def of(self, change: Change) -> Progress:
        """Return the progress of the planned change that a change found later belongs to; of a copy, its own."""
        key = key_of(change)
        if key not in self.progress and is_copy(change):
            return self.copies.setdefault(change.address, Progress())
        return self.progress[key if key in self.progress else change.address]

    def is_own_doing(self, change: Change) -> bool:
        """Say whether a change begins where this run left the rule, or clears away what a run made."""
        if isinstance(change, Create):
            return False
        if is_copy(change) or self._made_twice(change):
            return True
        progress = self.of(change)
        return (change.live.rule, change.live.marker) in (progress.wrote, progress.maybe)

    def _made_twice(self, change: Change) -> bool:
        """Say whether a change deletes a duplicate at an address where this run created."""
        duplicate = isinstance(change, Delete) and change.cause == "duplicate"
        return duplicate and bool(self.progress.get(change.address, Progress()).tries["whole create"])

    def meddled(self, fresh: Plan) -> bool:
        """Say whether somebody changed a rule that the plan is about since the plan was made."""
        return any(self._is_otherwise(change) for change in fresh.changes)

    def _is_otherwise(self, change: Change) -> bool:
        planned = self.planned_for(change)
        if planned is None or isinstance(change, Create) or self.is_own_doing(change):
            return False
        before = None if isinstance(planned, Create) else (planned.live.rule, planned.live.marker)
        return (change.live.rule, change.live.marker) != before

    def is_about(self, rule_id: str, marker: Marker | None) -> bool:
        """Say whether the plan is about a live rule."""
        if rule_id in self.ids:
            return True
        return marker is not None and marker.owner == self.owner and marker.address in self.addresses

    def note(self, step: Step, result: Attempt) -> None:
        """Keep what an attempt says of its change."""
        progress = self.of(step.change)
        progress.tries[f"{step.kind} {step.call}"] += 1
        progress.error, progress.doubt = result.error, result.doubt
        if step.kind != "copy" and not is_copy(step.change):
            progress.id = result.id or progress.id
        sent = written(step, self.owner)
        progress.sent |= result.may_have_written
        if result.verdict is Verdict.DONE:
            progress.wrote = sent or progress.wrote
        elif result.doubt != "none":
            progress.maybe = sent or progress.maybe
        progress.kept = (result.id, sent) if result.verdict is Verdict.KEPT and sent else None
        progress.passing = bool(step.name)
        progress.moves += result.verdict is Verdict.MOVED
        progress.failed = result.verdict in (Verdict.FAILED, Verdict.HALT) or progress.moves > 1

    def give_up(self, step: Step, why: str, rule_id: str) -> None:
        """Keep that a change failed although it was written; `rule_id` is what is left of it, if anything is."""
        progress = self.of(step.change)
        progress.failed, progress.error, progress.doubt, progress.kept = True, why, "none", None
        progress.id = rule_id

    def stuck(self) -> str:
        """Say which temporary copy could not be cleared away, and why; nothing where none is left."""
        left = (f"{where}: {progress.error}" for where, progress in self.copies.items() if progress.error)
        return next((f"the temporary copy of {one}; the next run deletes it" for one in left), "")

    def settle(self, rules: Iterable[LiveRule]) -> None:
        """Hold what the server is said to have kept otherwise against a read: either it did, and will again, or not."""
        doubtful = [progress for progress in self.progress.values() if progress.kept is not None]
        shown = {one.id: (one.rule, one.marker) for one in rules} if doubtful else {}
        for progress in doubtful:
            if progress.kept is None:
                continue
            rule_id, sent = progress.kept
            progress.kept = None
            found = shown.get(rule_id)
            if found is not None and (found == sent or (progress.passing and _is_kept(found, sent))):
                progress.wrote, progress.error = Written(*found), ""
            else:
                progress.failed = True

    def outcomes(self, fresh: Plan | None, skipped: str) -> tuple[Outcome, ...]:
        """Say of every planned change what became of it, by the last read; `skipped` is why one was not tried."""
        seen = None if fresh is None else _Seen.of(fresh)
        changes = [(key, change) for key, change in self.planned.items() if not is_copy(change)]
        return tuple(self._outcome(key, change, seen, skipped) for key, change in changes)

    def _outcome(self, key: object, change: Change, seen: _Seen | None, ended: str) -> Outcome:
        """Return what became of a change; `ended` says why the run did not go on, if so."""
        if seen is not None and key not in seen.left:
            return self._settled(key, change, seen)
        progress, touched = self.progress[key], self._touched(key, change, seen)
        if progress.failed:
            return Failed(change, progress.attempts, progress.error, touched)
        if seen is not None and (blocked := seen.conflicts.get(change.address)):
            return Failed(change, progress.attempts, progress.error or blocked, touched)
        unread = seen is None and (progress.doubt == "until read" or (progress.attempts and not progress.error))
        if progress.doubt == "lasting" or unread:
            known = "acknowledged, but it could not be read again" if progress.wrote else "it could not be read again"
            return Unknown(change, progress.attempts, progress.error or known)
        if progress.error or (progress.attempts and not ended):
            others = any(one.failed for one in self.progress.values())
            why = _FIRST if others else "the rule still differs"
            return Failed(change, progress.attempts, progress.error or why, touched)
        kept = "kept, since another change is not done" if isinstance(change, Delete) else _FIRST
        return Skipped(change, ended or kept, touched=touched)

    def _settled(self, key: object, change: Change, seen: _Seen) -> Outcome:
        """Return what became of a change of which nothing is left to do: done, or the rule was taken from us."""
        if isinstance(change, Delete) and change.live.id in seen.there:
            return Skipped(change, "it is not ours any more, and was left alone")
        return Applied(change, self.progress[key].attempts, self.progress[key].id)

    def _touched(self, key: object, change: Change, seen: _Seen | None) -> bool:
        """Say whether this run left a rule neither as it was nor as desired."""
        progress = self.progress[key]
        if seen is None or not progress.sent:
            return progress.sent
        if isinstance(change, Create):
            return progress.id in seen.there
        return change.address in seen.copied or seen.there.get(change.live.id) != (change.live.rule, change.live.marker)


class _Seen(NamedTuple):
    """What the last read showed: what is left to do, each rule by its id, what stands in the way, and copies."""

    left: set[object]
    there: Mapping[str, tuple[Rule, Marker | None]]
    conflicts: Mapping[Address | None, str]
    copied: set[Address]
    """The addresses for which a temporary copy stands in."""

    @classmethod
    def of(cls, fresh: Plan) -> _Seen:
        """Look at a fresh plan."""
        there = {one.id: (one.rule, one.marker) for one in fresh.live.rules}
        conflicts = {one.address: one.message for one in reversed(fresh.conflicts)}
        return cls(left_of(fresh), there, conflicts, {one.address for one in fresh.changes if is_copy(one)})


def _as_found(change: Change, there: Mapping[str, LiveRule], left: set[object]) -> Change | None:
    """Return a planned change that no later plan has, put to the rule as it is now; None where it is done."""
    live = None if isinstance(change, Create) else there.get(change.live.id)
    if isinstance(change, Delete):
        return None if live is None else replace(change, live=live)
    if change.address not in left:
        return None
    if isinstance(change, Create) or live is None:
        return Create(change.address, change.after, change.source)
    return replace(change, live=live)


def _is_kept(found: tuple[Rule, Marker | None], sent: Written) -> bool:
    """Say whether a read shows what was sent, but for texts that a tenant keeps otherwise."""
    (rule, marker), (wanted, _) = found, sent
    texts = replace(rule, name=wanted.name, description=wanted.description)
    forms = is_form_of(rule.name, wanted.name) and is_form_of(rule.description, wanted.description)
    return forms and (texts, marker) == sent


def key_of(change: Change) -> object:
    """Name what a change is about: a rule of ours by address; of several with one address, by id."""
    return ("delete", change.live.id) if isinstance(change, Delete) else change.address


def left_of(fresh: Plan) -> set[object]:
    """Name what is not as it is desired: what is to be changed, what is left alone for now, what stands in the way."""
    held = (one.change for one in fresh.held)
    changes = {key_of(change) for change in (*fresh.changes, *held)}
    return changes | {finding.address for finding in fresh.conflicts}
