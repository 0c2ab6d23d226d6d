"""The attempts at each planned change, the changes that a plan covers, and the report of a run."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reconciler.core.apply.attempt import Attempt, Uncertainty, Verdict
from reconciler.core.model.change import (
    Adopt,
    Applied,
    Change,
    Create,
    Delete,
    Failed,
    Outcome,
    PlanStep,
    Skipped,
    UnknownOutcome,
    is_copy_removal,
    is_unadoption,
    write_payload,
)
from reconciler.core.model.live import LiveRule, WritePayload
from reconciler.core.model.rule import Address
from reconciler.core.plan.stages import Changes
from reconciler.core.plan.stored_texts import classify_live_rules, is_form_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyReport:
    """The result of an apply.

    `converged`: a read after the last write showed no remaining change.
    """

    outcomes: tuple[Outcome, ...]
    converged: bool
    interrupted: bool = False
    error: str = ""  # why the run ended early, if it did
    remaining: Changes | None = None  # what the last read still shows
    # the tenant altered the first write: another run would end the same way
    first_write_altered: bool = False
    run_id: str = ""  # the run's name in the journal, if one was written
    who: str = ""  # the person who started it
    notes: tuple[str, ...] = ()  # edits since the plan, and warnings of the tenant
    has_saved_settings: bool = False  # those beside the rules were saved


def outcomes_to_json(report: ApplyReport) -> list[dict[str, Any]]:
    """Return the outcomes in the form of plan-json "Apply"."""
    return [
        {
            "address": str(outcome.change.address),
            "action": outcome.change.action,
            "status": outcome.status,
            "error": None if isinstance(outcome, Applied) else outcome.error,
            "attempts": outcome.attempts,
        }
        for outcome in report.outcomes
    ]


_DEPENDENCY_FAILED: Final = "a change it depends on was not applied"


@dataclass(slots=True, kw_only=True)
class ChangeProgress:
    """The attempts at one planned change."""

    attempts_by_call: Counter[str] = field(default_factory=Counter)
    error: str = ""
    id: str = ""
    conflicts: int = 0
    failed: bool = False
    uncertainty: Uncertainty = "none"
    # a rule's id and payload, where the response had other values
    altered: tuple[str, WritePayload] | None = None
    # that payload is temporary: a tenant's form of its texts does not matter
    is_temporary: bool = False
    # A rule in the state of one of these payloads is the run's own work:
    acknowledged: WritePayload | None = None  # the last acknowledged payload
    # the last payload that was sent and perhaps written
    unconfirmed: WritePayload | None = None
    may_have_written: bool = False  # a part of the change was written, or may have been

    @property
    def attempts(self) -> int:
        """Return the highest number of attempts at one call of the change."""
        return max(self.attempts_by_call.values(), default=0)

    @property
    def is_refused(self) -> bool:
        """Return whether the change failed, and no lost request can still make it."""
        return self.failed and self.uncertainty != "lasting"

    def record_payload(self, result: Attempt, payload: WritePayload | None) -> None:
        """Store which state of the rule an attempt wrote, or may have written."""
        self.may_have_written |= result.may_have_written
        self.altered = None
        if result.verdict is Verdict.DONE:
            self.acknowledged = payload or self.acknowledged
        elif result.uncertainty != "none":
            self.unconfirmed = payload or self.unconfirmed
        if result.verdict is Verdict.ALTERED and payload:
            self.altered = (result.id, payload)


class _LastRead:
    """The last read: the remaining changes, each rule by id, conflicts, and addresses with a
    temporary copy.
    """

    def __init__(self, fresh: Changes) -> None:
        self.remaining = remaining_keys(fresh)
        self.live_by_id = {live.id: live.content for live in fresh.live.rules}
        # a table gives a created rule its id when it is saved
        self.ids_by_address = {
            live.marker.address: live.id
            for live in fresh.live.rules
            if live.marker is not None and live.marker.owner == fresh.owner
        }
        self.conflicts = {
            finding.address: finding.message for finding in reversed(fresh.conflicts)
        }
        self.copied_addresses = {
            change.address for change in fresh.changes if is_copy_removal(change)
        }

    def final_outcome(self, change: Change, progress: ChangeProgress) -> Outcome:
        """Return the outcome of a change that no longer remains."""
        if isinstance(change, Delete) and change.live.id in self.live_by_id:
            return Skipped(change, "no longer managed by cxroute; not changed")
        rule_id = progress.id
        if isinstance(change, Create) and rule_id not in self.live_by_id:
            rule_id = self.ids_by_address.get(change.address, rule_id)
        return Applied(change, progress.attempts, rule_id)


class ApplyProgress:
    """The planned changes, and the progress of each."""

    def __init__(self, plan: Changes) -> None:
        self.owner = plan.owner
        self._desired = plan.desired
        self.planned: dict[object, Change] = {
            change_key(change): change for change in plan.changes
        }
        self.progress = {key: ChangeProgress() for key in self.planned}
        self.copy_progress: dict[Address, ChangeProgress] = {}
        # Ids of rules that a read showed as edited copies: not written, even if the original is
        # deleted.
        self.edited_copy_ids: set[str] = set()
        self.addresses = {change.address for change in plan.changes}
        self.ids = {
            change.live.id for change in plan.changes if not isinstance(change, Create)
        }

    def note_edited_copies(self, rules: Iterable[LiveRule]) -> None:
        """Store which live rules are edited copies of managed rules."""
        self.edited_copy_ids |= {
            live.id for live in classify_live_rules(rules, self._desired).edited_copies
        }

    def is_edited_copy(self, change: Change) -> bool:
        """Return whether a change would write a rule that this run knows as an edited copy."""
        return not isinstance(change, Create) and change.live.id in self.edited_copy_ids

    def planned_for(self, change: Change) -> Change | None:
        """Return the planned change that a change of a later read belongs to."""
        # The removal of a temporary copy belongs to the change of its address; that of a duplicate
        # to the create that made it, because a lost request can be done late.
        planned = self.planned.get(change_key(change))
        if planned is not None or not isinstance(change, Delete):
            return planned
        planned = self.planned.get(change.address)
        if is_copy_removal(change) or (planned and self._is_own_duplicate(change)):
            return planned
        return None

    def unplanned_changes(self, fresh: Changes) -> list[Change]:
        """Return the changes of a later read that are not planned: a managed rule was edited."""
        return [
            change
            for change in fresh.changes
            if self.planned_for(change) is None and change.cause != "duplicate"
        ]

    def unreachable_changes(self, fresh: Changes) -> list[Change]:
        """Return the planned changes that are not done and can no longer be made, as changes of the
        current rules.
        """
        live_by_id = {live.id: live for live in fresh.live.rules}
        remaining = remaining_keys(fresh)
        fresh_keys = {change_key(change) for change in fresh.changes}
        changes = []
        for key, planned in self.planned.items():
            if key in fresh_keys:
                continue
            change = _retarget(planned, live_by_id, remaining)
            if change is not None:
                changes.append(change)
        return changes

    def progress_of(self, change: Change) -> ChangeProgress:
        """Return the progress of the planned change that a later change belongs to; a temporary
        copy has its own.
        """
        key = change_key(change)
        if key not in self.progress and is_copy_removal(change):
            return self.copy_progress.setdefault(change.address, ChangeProgress())
        return self.progress[key if key in self.progress else change.address]

    def is_own_write(self, change: Change) -> bool:
        """Return whether a change starts from this run's last write, or removes a rule that a run
        created.
        """
        if isinstance(change, Create):
            return False
        if is_copy_removal(change) or self._is_own_duplicate(change):
            return True
        progress = self.progress_of(change)
        return change.live.content in (progress.acknowledged, progress.unconfirmed)

    def _is_own_duplicate(self, change: Change) -> bool:
        if not isinstance(change, Delete) or change.cause != "duplicate":
            return False
        progress = self.progress.get(change.address)
        return progress is not None and progress.attempts_by_call["whole create"] > 0

    def has_external_edits(self, fresh: Changes) -> bool:
        """Return whether a rule of the plan was edited outside this run since the plan was
        created.
        """
        for change in fresh.changes:
            if isinstance(change, Create):
                continue
            planned = self.planned_for(change)
            if not planned or self.is_own_write(change):
                continue
            if isinstance(planned, Create):
                return True
            if change.live.content != planned.live.content:
                return True
        return False

    def is_planned_rule(self, live: LiveRule) -> bool:
        """Return whether a live rule belongs to the plan."""
        marker = live.marker
        is_managed = (
            marker is not None
            and marker.owner == self.owner
            and marker.address in self.addresses
        )
        return live.id in self.ids or is_managed

    def record_attempt(self, step: PlanStep, result: Attempt) -> None:
        """Store the result of an attempt at a change."""
        progress = self.progress_of(step.change)
        progress.attempts_by_call[f"{step.kind} {step.call}"] += 1
        is_refused = result.verdict.is_refusal
        if is_refused and progress.uncertainty == "lasting":
            # the request that was lost earlier can still be done: a refusal does not settle that
            progress.error = f"{progress.error}; then {result.error}"
        else:
            progress.error = result.error
            progress.uncertainty = result.uncertainty
        if step.kind != "copy" and not is_copy_removal(step.change):
            progress.id = result.id or progress.id

        progress.is_temporary = bool(step.name)
        progress.record_payload(result, write_payload(step, self.owner))

        progress.conflicts += result.verdict is Verdict.CONFLICT
        progress.failed = is_refused or progress.conflicts > 1

    def record_failure(self, step: PlanStep, reason: str, rule_id: str) -> None:
        """Store that a change failed although it was written; `rule_id` is the remaining rule, if
        there is one.
        """
        progress = self.progress_of(step.change)
        progress.failed = True
        progress.error = reason
        progress.id = rule_id
        progress.uncertainty = "none"
        progress.altered = None

    def leftover_copy_error(self) -> str:
        """Return which temporary copy could not be deleted, and why; empty if none remains."""
        for address, progress in self.copy_progress.items():
            if progress.error:
                return f"the temporary copy of {address}: {progress.error}; the next run deletes it"
        return ""

    def resolve_altered(self, rules: Iterable[LiveRule]) -> None:
        """Compare rules whose response had other values with a read: the change was made, or it
        failed.
        """
        doubtful = [
            (progress, progress.altered)
            for progress in self.progress.values()
            if progress.altered
        ]
        states = {live.id: live.content for live in rules} if doubtful else {}
        for progress, (rule_id, payload) in doubtful:
            progress.altered = None
            state = states.get(rule_id)
            if state is not None and (
                state == payload
                or (progress.is_temporary and _is_stored_form(state, payload))
            ):
                progress.acknowledged = state
                progress.error = ""
            else:
                progress.failed = True

    def report(
        self,
        fresh: Changes | None,
        stop_reason: str,
        *,
        interrupted: bool,
    ) -> ApplyReport:
        """Return the outcome of every planned change, by the last read; `stop_reason` is why the
        run ended early.
        """
        skip_reason = ""
        if interrupted:
            skip_reason = "interrupted"
        elif stop_reason:
            skip_reason = "the run stopped early"
        last_read = None if fresh is None else _LastRead(fresh)
        outcomes = tuple(
            self._outcome(key, change, last_read, skip_reason)
            for key, change in self.planned.items()
            if not is_copy_removal(change)
        )
        return ApplyReport(
            outcomes=outcomes,
            converged=fresh is not None and not fresh.has_work and not fresh.conflicts,
            interrupted=interrupted,
            error=stop_reason,
            remaining=fresh,
        )

    def _outcome(
        self,
        key: object,
        change: Change,
        last_read: _LastRead | None,
        skip_reason: str,
    ) -> Outcome:
        progress = self.progress[key]
        attempts = progress.attempts
        if last_read is not None and key not in last_read.remaining:
            return last_read.final_outcome(change, progress)

        left_partial = self._is_left_partial(key, change, last_read)
        blocked = ""
        if last_read is not None and not progress.failed:
            blocked = last_read.conflicts.get(change.address, "")
        if progress.is_refused or blocked:
            return Failed(change, attempts, progress.error or blocked, left_partial)

        if _is_unknown(progress, last_read):
            return UnknownOutcome(change, attempts, _unread_reason(progress))

        if progress.error or (attempts and not skip_reason):
            reason = progress.error or self._failure_reason()
            return Failed(change, attempts, reason, left_partial)

        reason = skip_reason or _skip_reason(change)
        return Skipped(change, reason, left_partial=left_partial)

    def _failure_reason(self) -> str:
        """Return why a change that was tried without an error still remains."""
        has_failures = any(each.failed for each in self.progress.values())
        return _DEPENDENCY_FAILED if has_failures else "the rule still differs"

    def _is_left_partial(
        self,
        key: object,
        change: Change,
        last_read: _LastRead | None,
    ) -> bool:
        progress = self.progress[key]
        if last_read is None or not progress.may_have_written:
            return progress.may_have_written
        if isinstance(change, Create):
            return progress.id in last_read.live_by_id
        state = last_read.live_by_id.get(change.live.id)
        return (
            change.address in last_read.copied_addresses or state != change.live.content
        )


def _skip_reason(change: Change) -> str:
    if isinstance(change, Delete):
        return "kept, because another change was not applied"
    return _DEPENDENCY_FAILED


def _unread_reason(progress: ChangeProgress) -> str:
    """Return why it is unknown whether a change was made."""
    reason = "it could not be read again"
    if progress.acknowledged:
        reason = f"acknowledged, but {reason}"
    return progress.error or reason


def _is_unknown(progress: ChangeProgress, last_read: _LastRead | None) -> bool:
    """Return whether no read shows if a change that did not fail was made."""
    if progress.uncertainty == "lasting":
        return True
    was_tried = progress.attempts > 0 and not progress.error
    return last_read is None and (progress.uncertainty == "until read" or was_tried)


def _retarget(
    change: Change,
    live_by_id: Mapping[str, LiveRule],
    remaining: set[object],
) -> Change | None:
    """Return a planned change that a later plan does not have, for the current rule; None if it is
    done.
    """
    live = None if isinstance(change, Create) else live_by_id.get(change.live.id)
    if isinstance(change, Delete):
        return None if live is None else replace(change, live=live)
    if change.address not in remaining:
        return None
    if isinstance(change, Create) or live is None:
        return Create(change.address, change.after, change.source)
    return replace(change, live=live)


def _is_stored_form(state: WritePayload, payload: WritePayload) -> bool:
    """Return whether a read shows the payload, except for texts that the tenant alters."""
    rule, marker = state
    intended = payload.rule
    if not is_form_of(rule.name, intended.name):
        return False
    if not is_form_of(rule.description, intended.description):
        return False
    with_texts = replace(rule, name=intended.name, description=intended.description)
    return (with_texts, marker) == payload


def change_key(change: Change) -> object:
    """Return the key of a change: the address of its rule; for a delete, the id."""
    return ("delete", change.live.id) if isinstance(change, Delete) else change.address


def remaining_keys(fresh: Changes) -> set[object]:
    """Return the keys of all differences: changes, held changes and conflicts."""
    changes = [*fresh.changes, *(hold.change for hold in fresh.held)]
    keys = {change_key(change) for change in changes}
    return keys | {finding.address for finding in fresh.conflicts}


def matches_intent(planned: Change, fresh: Change) -> bool:
    """Return whether a change has the intent of the planned one, in any state of the rule: without
    a reviewed plan.
    """
    # an unmanaged rule is adopted only if that was planned (invariants R1)
    if isinstance(fresh, Adopt):
        return isinstance(planned, Adopt) and planned.live.id == fresh.live.id
    return isinstance(planned, Delete) == isinstance(fresh, Delete)


def matches_review(planned: Change, fresh: Change) -> bool:
    """Return whether a change is the reviewed one, on a rule in the reviewed state."""
    if type(planned) is not type(fresh):
        return False
    return _reviewed_state(planned) == _reviewed_state(fresh)


def _reviewed_state(change: Change) -> object:
    before = None
    if not isinstance(change, Create):
        before = (change.live.id, change.live.content)
    after = None if isinstance(change, Delete) else change.after
    return (before, after, is_unadoption(change))
