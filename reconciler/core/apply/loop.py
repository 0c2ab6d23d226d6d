"""The loop of apply, the only one that writes: Plan x RuleStore -> ApplyReport."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import filterfalse
from typing import Final

from reconciler.core.apply import first_contact
from reconciler.core.apply.attempt import (
    Attempt,
    Verdict,
    attempt_step,
    revert_step,
)
from reconciler.core.apply.known_state import KnownState
from reconciler.core.apply.progress import ApplyProgress, ApplyReport
from reconciler.core.apply.settings import ApplySettings, Replanner
from reconciler.core.errors import ApiError, RefusedError
from reconciler.core.model.change import Change, Delete, PlanStep, write_payload
from reconciler.core.model.live import LiveRule
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import Changes, GuardResult, Plan, Scheduled
from reconciler.core.target import RuleStore

MAX_ATTEMPTS: Final = 4  # how often one change is tried in one run (invariants R21)
# reads, spread over the lag of lists, that must all miss a rule before it is created (again)
CONFIRMATIONS: Final = 3
# of these reads if lists have no lag, after a create or a read with an unclear result
EXTRA_CONFIRMATIONS: Final = 1


async def apply_changes(
    plan: Plan,
    store: RuleStore,
    planner: Replanner,
    settings: ApplySettings,
) -> ApplyReport:
    """Make the plan's changes; `planner` plans again from each read.

    Raises RefusedError; before a write, ApiError.
    """
    run = _ApplyRun(plan, store, planner, settings)
    fresh = await run.read()
    refused = await run.failed_guards(fresh)
    if refused:
        raise RefusedError(
            f"the tenant changed since the plan was created, and now {refused[0].message}"
        )
    obstacle = await run.find_obstacle(fresh)
    if obstacle:
        raise RefusedError(f"the tenant changed since the plan was created: {obstacle}")
    try:
        await run.run_rounds(fresh)
    except ApiError as error:  # after the first read, errors are part of the report
        first = run.first_write
        result = run.latest_attempt
        unread = ""
        if first and result:
            unread = first_contact.describe_unread(first.step, result)
        run.stop(f"{error}{unread}")
    return run.build_report()


class _ApplyRun:
    def __init__(
        self,
        plan: Plan,
        store: RuleStore,
        planner: Replanner,
        settings: ApplySettings,
    ) -> None:
        self.plan = plan
        self.store = store
        self.planner = planner
        self.settings = settings
        self.progress = ApplyProgress(plan)
        self.progress.note_edited_copies(plan.live.rules)
        self.known_state = KnownState(store, plan.live.rules)
        self.fresh_changes: Changes | None = None
        self.stop_reason = ""
        self.outside_rules = self.list_outside_rules(plan)
        self.outside_changes = 0
        # the tenant refuses access: no further read is possible
        self.access_lost = False
        self.first_write_altered = False  # the tenant did not keep the first write
        # The write that goes alone, until a read shows that the tenant keeps markers.
        self.first_write: first_contact.FirstWrite | None = None
        self.latest_attempt: Attempt | None = None  # the result of the last call
        # The number of reads that must still miss a rule before it is created:
        self.confirmations_left = (
            CONFIRMATIONS if settings.lag and not settings.names_unique else 0
        )

    async def read(self) -> Changes:
        self.fresh_changes = None
        rules = await self.known_state.read()
        if self.known_state.saw_missing:
            self.require_confirmation()
        self.progress.resolve_altered(rules)
        self.progress.note_edited_copies(rules)
        live = replace(self.plan.live, rules=rules)
        self.fresh_changes = await self.settings.run_blocking(
            lambda: self.planner.find_changes(live)
        )
        return self.fresh_changes

    async def failed_guards(self, fresh: Changes) -> tuple[GuardResult, ...]:
        plan = await self.settings.run_blocking(lambda: self.planner.complete(fresh))
        return guard_refusals(plan)

    async def run_rounds(self, fresh: Changes) -> None:
        """Make the remaining changes, wave by wave, until none may be tried."""
        pauses = iter(self.settings.backoff)
        while not self.must_stop():
            obstacle = await self.find_obstacle(fresh)
            if obstacle:
                self.stop(obstacle)
                return

            wave = await self.next_wave(fresh)
            if wave:
                self.stop(self.planner.freeze())
            may_appear = bool(self.settings.lag) and self.known_state.saw_missing
            if self.must_stop() or (not wave and not may_appear):
                return

            creates = any(step.call == "create" for step in wave)
            if not wave or (self.confirmations_left and creates):
                self.confirmations_left -= bool(wave)
                await self.settings.sleep(self.settings.lag / CONFIRMATIONS)
            elif await self.run_wave(wave, fresh):
                await self.settings.sleep(next(pauses, self.settings.backoff[-1]))
            if self.access_lost:
                self.fresh_changes = None
                return
            fresh = await self.revert_altered(await self.read())

    async def next_wave(self, fresh: Changes) -> list[PlanStep]:
        """Return the steps to make next; stop the run if their order is not proven."""
        remaining = await self.plan_remaining(fresh)
        is_allowed = any(
            guard.name == "transient" and guard.allowed is not None
            for guard in self.plan.guards
        )
        if remaining.unproven and not is_allowed:
            address = remaining.unproven[0]
            self.stop(
                f"no proven order keeps each conversation at its old or its new queue: "
                f"{address}"
            )
        if not remaining.steps:
            return []
        # The first step of each address: the result is read before the next step (invariants
        # R6).
        last_to_first = reversed(remaining.steps[0])
        steps_by_address = {step.change.address: step for step in last_to_first}
        return list(steps_by_address.values())[::-1]

    def require_confirmation(self) -> None:
        """Require further reads before a rule that is not listed counts as missing."""
        self.confirmations_left = (
            CONFIRMATIONS if self.settings.lag else EXTRA_CONFIRMATIONS
        )

    def must_stop(self) -> bool:
        return bool(self.stop_reason) or self.settings.should_stop()

    async def find_obstacle(self, fresh: Changes) -> str:
        """Return the change outside this run that forbids further writes; empty if there is
        none.
        """
        # A reviewed plan continues while it moves only reviewed conversations; another plan
        # continues after one change of rules outside the plan. A change of a managed rule outside
        # the plan ends the run.
        unplanned = self.progress.unplanned_changes(fresh)
        if unplanned:
            return f"{unplanned[0].address} changed but is not part of this plan. Run `plan` again"
        outside_rules = self.list_outside_rules(fresh)
        has_strayed = outside_rules != self.outside_rules
        self.outside_changes += has_strayed
        self.outside_rules = outside_rules
        if self.settings.is_within_review is None and self.outside_changes > 1:
            return "other rules changed during the apply. Run `plan` again"
        is_edited = has_strayed or self.progress.has_external_edits(fresh)
        if is_edited and (refused := await self.failed_guards(fresh)):
            return f"rules changed during the apply, and now {refused[0].message}"
        if has_strayed and not await self.settings.run_blocking(
            lambda: self.is_within_review(fresh)
        ):
            return (
                "rules changed during the apply, and the plan would now send conversations "
                "elsewhere. Run `plan` again"
            )
        return ""

    def is_within_review(self, fresh: Changes) -> bool:
        """Return whether the full plan, with the current other rules, moves only reviewed
        conversations.
        """
        if self.settings.is_within_review is None:
            return True
        is_planned = self.progress.is_planned_rule
        planned = filter(is_planned, self.plan.live.rules)
        unplanned = filterfalse(is_planned, fresh.live.rules)
        live = replace(self.plan.live, rules=(*planned, *unplanned))
        return self.settings.is_within_review(replace(self.plan, live=live))

    def stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def list_outside_rules(self, plan: Changes) -> object:
        return {
            live.id: live.content
            for live in plan.live.rules
            if not self.progress.is_planned_rule(live)
        }

    async def plan_remaining(self, fresh: Changes) -> Scheduled:
        """Return the remaining planned changes, in order, without those that may not be tried
        (again).
        """
        # With an abandoned change no rule is deleted, because it may be needed, and no step that
        # waits for it is made.
        changes = [
            change
            for change in fresh.changes
            if self.progress.planned_for(change) is not None
        ]
        lost = self.progress.unreachable_changes(fresh)
        abandoned = [change for change in changes if not self.may_attempt(change)]
        abandoned += lost
        if any(not isinstance(change, Delete) for change in abandoned):
            abandoned += [change for change in changes if isinstance(change, Delete)]
        remaining = replace(fresh, changes=(*changes, *lost))
        return await self.settings.run_blocking(
            lambda: schedule_steps(remaining, abandoned)
        )

    def may_attempt(self, change: Change) -> bool:
        planned = self.progress.planned_for(change)
        if planned is None:
            return False
        progress = self.progress.progress_of(change)
        if self.progress.is_edited_copy(change):
            progress.failed = True
            progress.error = (
                "the rule was deleted, and the other rule with its marker is a copy"
            )
        is_own_write = self.progress.is_own_write(change)
        if not is_own_write and not self.settings.accepts(planned, change):
            progress.failed = True
            progress.error = progress.error or "changed since the plan was created"
        return not progress.failed and progress.attempts < MAX_ATTEMPTS

    async def revert_altered(self, fresh: Changes) -> Changes:
        """Revert a first write that the tenant altered, and stop the run; return a fresh plan."""
        first = self.first_write
        result = self.latest_attempt
        if first is None or result is None:
            return fresh
        altered = first.altered_rules(result, fresh.live.rules)
        if not altered:
            is_listed = any(live.id == result.id for live in fresh.live.rules)
            if is_listed and result.uncertainty == "none":
                self.first_write = None
            return fresh

        self.first_write_altered = True
        self.stop(first_contact.describe_abort(first, altered[0].live))
        fresh, remaining, error = await self.revert_rules(first, result, fresh)

        outcome = first_contact.describe_revert(first.step, remaining, error)
        self.stop_reason = f"{self.stop_reason}. {outcome}"
        difference = first_contact.describe_difference(first, altered[0].live)
        remaining_id = remaining[0].live.id if remaining else ""
        self.progress.record_failure(first.step, difference, remaining_id)
        return fresh

    async def revert_rules(
        self,
        first: first_contact.FirstWrite,
        result: Attempt,
        fresh: Changes,
    ) -> tuple[Changes, list[first_contact.AlteredRule], str]:
        """Revert the rules of an altered first write, with retries.

        Return a fresh plan, the rules that remain altered, and the errors of the last round.
        """
        remaining = first.altered_rules(result, fresh.live.rules)
        error = ""
        for pause in self.settings.backoff:
            attempts = [
                await self.revert_rule(first.step, rule.live)
                for rule in remaining
                if rule.is_certain
            ]
            fresh = await self.read()
            remaining = first.altered_rules(result, fresh.live.rules)
            error = "; ".join(attempt.error for attempt in attempts)
            can_retry = all(
                attempt.verdict in (Verdict.RETRY, Verdict.DONE) for attempt in attempts
            )
            if not remaining or not attempts or not can_retry:
                break
            await self.settings.sleep(pause)
        return fresh, remaining, error

    async def revert_rule(self, step: PlanStep, live: LiveRule) -> Attempt:
        recorder = self.settings.recorder
        back = first_contact.reverting_step(step, live)
        recorder.intend(back)
        result = await revert_step(step, live, self.store)
        recorder.tried(back, result)
        recorder.wave()
        if result.verdict is Verdict.DONE:
            payload = first_contact.payload_before(step)
            self.known_state.record_write(live.id, payload)
        return result

    async def run_wave(self, steps: Sequence[PlanStep], fresh: Changes) -> bool:
        """Make the calls of a wave in parallel, or the first write alone.

        Return whether a result is unclear.
        """
        # One kind of call after the other; after a call that is not certainly done, a read comes
        # first.
        self.first_write = first_contact.find_first_write(
            steps,
            fresh.live.rules,
            self.plan.owner,
            self.settings.lag,
        )
        wave = [self.first_write.step] if self.first_write else steps
        for call in ("create", "update", "delete"):
            steps = [step for step in wave if step.call == call]
            if not steps:
                continue
            slots = asyncio.Semaphore(self.settings.concurrency)
            self.settings.recorder.announce(steps)
            results = await asyncio.gather(
                *(self.run_step(step, slots) for step in steps)
            )
            self.settings.recorder.wave()
            verdicts = {result.verdict for result in results if result is not None}
            if call == "create" and verdicts & {Verdict.RETRY, Verdict.ALTERED}:
                self.require_confirmation()
            if verdicts - {Verdict.DONE}:
                return Verdict.RETRY in verdicts
        return False

    async def run_step(
        self,
        step: PlanStep,
        slots: asyncio.Semaphore,
    ) -> Attempt | None:
        async with slots:
            if self.must_stop():
                return None
            self.settings.recorder.intend(step)
            result = await attempt_step(step, self.plan.owner, self.store)
            self.settings.recorder.tried(step, result)
        self.progress.record_attempt(step, result)
        self.latest_attempt = result
        if result.verdict in (Verdict.DONE, Verdict.ALTERED):
            self.known_state.record_write(
                result.id, write_payload(step, self.plan.owner)
            )
        if result.verdict is Verdict.ABORT:
            self.stop(result.error)
            self.access_lost |= not result.was_sent
        return result

    def build_report(self) -> ApplyReport:
        report = self.progress.report(
            self.fresh_changes,
            self.stop_reason,
            interrupted=self.settings.should_stop(),
        )
        error = report.error
        if not error and not report.converged:
            error = self.progress.leftover_copy_error()
        return replace(
            report,
            error=error,
            first_write_altered=self.first_write_altered,
        )
