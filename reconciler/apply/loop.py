"""The only loop that writes: Plan x RuleStore -> ApplyReport.

Level-triggered, in rounds: read everything, work out what is still to be done and in which order nobody is sent
elsewhere, make the first wave of that, read again. So a lost answer, a crash or a second run at the same time is
nothing special: the next read tells, and what is proven is proven of the state just read. On a tenant that is not known
to keep markers the first write goes alone (see `reconciler.apply.first_contact`). Deletes come last, after a
read that shows everything else done, and not at all when something else failed (invariants R5 to R7). Where lists
lag, that a rule is missing is believed only after some reads in a row.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from reconciler.apply.attempt import Attempt, RuleStore, Verdict, attempt_step, revert_step, write_payload
from reconciler.apply.first_contact import (
    FirstWrite,
    describe_abort,
    describe_difference,
    describe_revert,
    describe_unread,
    find_first_write,
    payload_before,
    reverting_step,
)
from reconciler.apply.known_state import KnownState
from reconciler.apply.progress import ApplyProgress
from reconciler.apply.report import ApplyReport
from reconciler.errors import ApiError, RefusedError
from reconciler.model.change import Change, Delete, PlanStep
from reconciler.plan.guards import guard_refusals
from reconciler.plan.schedule import schedule_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.apply.settings import ApplySettings, Planner, StepRecorder
    from reconciler.model.live import LiveRule
    from reconciler.plan.plan import GuardResult, Plan


MAX_ATTEMPTS: Final = 4  # how often one change is tried in one run (invariants R21)

CONFIRMATIONS: Final = 3
"""Reads, spread over the time by which lists lag, that must all miss a rule before it is created (again)."""

EXTRA_CONFIRMATIONS: Final = 1
"""Further reads of that kind where lists are said not to lag, behind a create or a read that raised a doubt."""


async def apply_changes(
    plan: Plan, store: RuleStore, planner: Planner, recorder: StepRecorder, settings: ApplySettings
) -> ApplyReport:
    """Make the plan's changes. `planner` plans again from each read.

    Raises RefusedError, and ApiError from the first read, before anything was written; after that it reports.
    """
    run = _ApplyRun(plan=plan, store=store, planner=planner, recorder=recorder, settings=settings)
    fresh = await run.read()
    refused = await run.failed_guards(fresh)
    if refused:
        raise RefusedError(f"the tenant changed since the plan was made, and now {refused[0].message}")
    if why := await run.find_obstacle(fresh):
        raise RefusedError(f"the tenant changed since the plan was made: {why}")
    try:
        await run.run_rounds(fresh)
    except ApiError as error:
        run.stop(
            str(error)
            + (
                ""
                if run.first_write is None or run.latest_attempt is None
                else describe_unread(run.first_write.step, run.latest_attempt)
            )
        )
    return run.build_report()


@dataclass(slots=True, kw_only=True)
class _ApplyRun:
    plan: Plan
    store: RuleStore
    planner: Planner
    recorder: StepRecorder
    settings: ApplySettings
    stop_reason: str = ""
    fresh_plan: Plan | None = None
    progress: ApplyProgress = field(init=False)
    known_state: KnownState = field(init=False)
    outside_rules: object = field(init=False)
    outside_changes: int = 0
    access_lost: bool = False  # the tenant does not let us in any more: not even to look what became of it
    first_write_altered: bool = False  # the tenant did not keep the first write
    first_write: FirstWrite | None = None
    """The write that went alone, as long as no read shows that the tenant keeps our markers."""
    latest_attempt: Attempt | None = None  # what the last call came to
    confirmations_left: int = field(init=False)  # how many more reads must miss a rule before it is created

    def __post_init__(self) -> None:
        self.progress = ApplyProgress(self.plan)
        self.progress.note_foreign_copies(self.plan.live.rules)
        self.known_state = KnownState(self.store, self.plan.live.rules)
        self.outside_rules = self.list_outside_rules(self.plan)
        self.confirmations_left = CONFIRMATIONS if self.settings.lag and not self.settings.names_unique else 0

    async def read(self) -> Plan:
        self.fresh_plan = None
        rules = await self.known_state.read()
        if self.known_state.saw_missing:
            self.require_confirmation()
        self.progress.resolve_altered(rules)
        self.progress.note_foreign_copies(rules)
        self.fresh_plan = await self.settings.run_blocking(
            lambda: self.planner.plan(replace(self.plan.live, rules=rules))
        )
        return self.fresh_plan

    async def failed_guards(self, fresh: Plan) -> tuple[GuardResult, ...]:
        return guard_refusals(await self.settings.run_blocking(lambda: self.planner.assess(fresh)))

    async def run_rounds(self, fresh: Plan) -> None:
        """Go on, wave by wave, until nothing is left that may be tried."""
        pauses = iter(self.settings.backoff)
        while not self.must_stop():
            if why := await self.find_obstacle(fresh):
                self.stop(why)
                return
            left = await self.plan_remaining(fresh)
            if left.unproven and not _is_allowed(self.plan, "transient"):
                self.stop(f"no order is proven that sends nobody elsewhere: {left.unproven[0]}")
            wave = _first_step_per_address(left.steps[0]) if left.steps else []
            if wave:
                self.stop(self.planner.freeze())
            if self.must_stop() or (not wave and not self.may_still_appear()):
                return
            if not wave or (self.confirmations_left and any(step.call == "create" for step in wave)):
                self.confirmations_left -= bool(wave)
                await self.settings.sleep(self.settings.lag / CONFIRMATIONS)
            elif await self.run_wave(wave, fresh):
                await self.settings.sleep(next(pauses, self.settings.backoff[-1]))
            if self.access_lost:
                self.fresh_plan = None
                return
            fresh = await self.revert_altered(await self.read())

    def may_still_appear(self) -> bool:
        """Say whether, where lists lag, a rule was missed just now that a further read may show."""
        return bool(self.settings.lag) and self.known_state.saw_missing

    def require_confirmation(self) -> None:
        """Take back that a rule which is not seen is not there."""
        self.confirmations_left = CONFIRMATIONS if self.settings.lag else EXTRA_CONFIRMATIONS

    def must_stop(self) -> bool:
        return bool(self.stop_reason) or self.settings.should_stop()

    async def find_obstacle(self, fresh_plan: Plan) -> str:
        """Return why nothing more may be written beside what others changed; nothing where the run may go on."""
        # What was proven, and what guards let pass, was so beside the rules as they were. The order is proven anew for
        # each wave. A reviewed plan goes on while it moves only what was reviewed; another plan goes on after one
        # change of rules that it is not about. It ends where somebody changed a managed rule that the plan is not
        # about.
        if strange := self.progress.unplanned_changes(fresh_plan):
            return f"{strange[0].address} was changed meanwhile, which this plan is not about; plan again"
        others = self.list_outside_rules(fresh_plan)
        strayed = others != self.outside_rules
        self.outside_changes += strayed
        self.outside_rules = others
        if self.settings.is_within_review is None and self.outside_changes > 1:
            return "rules that this plan is not about were changed meanwhile; plan again"
        if (strayed or self.progress.has_external_edits(fresh_plan)) and (
            refused := await self.failed_guards(fresh_plan)
        ):
            return f"rules were changed meanwhile, and now {refused[0].message}"
        if strayed and not await self.settings.run_blocking(lambda: self.is_within_review(fresh_plan)):
            return "rules were changed meanwhile, and the plan would now send conversations elsewhere; plan again"
        return ""

    def is_within_review(self, fresh: Plan) -> bool:
        """Say whether all of the plan, beside the rules of others as they are now, moves only what was reviewed."""
        if self.settings.is_within_review is None:
            return True
        about = [one for one in self.plan.live.rules if self.progress.is_planned_rule(one.id, one.marker)]
        others = [one for one in fresh.live.rules if not self.progress.is_planned_rule(one.id, one.marker)]
        return self.settings.is_within_review(replace(self.plan, live=replace(self.plan.live, rules=(*about, *others))))

    def stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def list_outside_rules(self, plan: Plan) -> object:
        """Return the live rules that the changes are not about, as what routes and who owns it."""
        return {
            live.id: (live.rule, live.marker)
            for live in plan.live.rules
            if not self.progress.is_planned_rule(live.id, live.marker)
        }

    async def plan_remaining(self, fresh: Plan) -> Plan:
        """Return what is still to be done of the plan's changes, in order, without what may not be tried (again)."""
        # Nor is anything deleted then, which may have to stand in, or made that had to wait for what is given up.
        changes = [change for change in fresh.changes if self.progress.planned_for(change) is not None]
        lost = self.progress.unreachable_changes(fresh)
        given_up = [change for change in changes if not self.may_attempt(change)] + lost
        if any(not isinstance(change, Delete) for change in given_up):
            given_up += [change for change in changes if isinstance(change, Delete)]
        left = replace(fresh, changes=(*changes, *lost))
        return await self.settings.run_blocking(lambda: schedule_steps(left, given_up))

    def may_attempt(self, change: Change) -> bool:
        planned = self.progress.planned_for(change)
        if planned is None:
            return False
        progress = self.progress.progress_of(change)
        if self.progress.is_foreign_copy(change):
            progress.failed, progress.error = True, "the rule is gone, and the other one with its marker is a copy"
        if not self.progress.is_own_write(change) and not self.settings.accepts(planned, change):
            progress.failed, progress.error = True, progress.error or "changed since the plan was made"
        return not progress.failed and progress.attempts < MAX_ATTEMPTS

    async def run_wave(self, wave: Sequence[PlanStep], fresh: Plan) -> bool:
        """Make a wave, of a first contact one call alone; say whether anything is unclear."""
        self.first_write = find_first_write(wave, fresh.live.rules, self.plan.owner, self.settings.lag)
        return await self.run_calls(wave if self.first_write is None else [self.first_write.step])

    async def revert_altered(self, fresh: Plan) -> Plan:
        """Take back what the tenant did not keep of a first write, then write nothing more; return a fresh plan."""
        first, result = self.first_write, self.latest_attempt
        if first is None or result is None:
            return fresh
        lost = first.altered_rules(result, fresh.live.rules)
        if not lost:
            seen = any(live.id == result.id for live in fresh.live.rules)
            self.first_write = None if seen and result.uncertainty == "none" else first
            return fresh
        self.first_write_altered = True
        self.stop(describe_abort(first, lost[0].live))
        left, errors = lost, [""]
        for pause in self.settings.backoff:
            done = [await self.revert_rule(first.step, one.live) for one in left if one.is_certain]
            fresh = await self.read()
            left, errors = first.altered_rules(result, fresh.live.rules), [one.error for one in done]
            if not left or not done or any(one.verdict not in (Verdict.RETRY, Verdict.DONE) for one in done):
                break
            await self.settings.sleep(pause)
        self.stop_reason = f"{self.stop_reason}. {describe_revert(first.step, left, '; '.join(errors))}"
        self.progress.record_failure(
            first.step, describe_difference(first, lost[0].live), left[0].live.id if left else ""
        )
        return fresh

    async def revert_rule(self, step: PlanStep, live: LiveRule) -> Attempt:
        back = reverting_step(step, live)
        self.recorder.intend(back)
        result = await revert_step(step, live, self.store)
        self.recorder.tried(back, result)
        self.recorder.wave()
        if result.verdict is Verdict.DONE:
            self.known_state.record_write(live.id, payload_before(step))
        return result

    async def run_calls(self, wave: Sequence[PlanStep]) -> bool:
        """Make the calls of a wave, creates before updates, each kind at once; say whether anything is unclear."""
        # Behind a call that is not known to be done no other kind is begun: a read comes first.
        for call in ("create", "update", "delete"):
            steps = [step for step in wave if step.call == call]
            if not steps:
                continue
            places = asyncio.Semaphore(self.settings.concurrency)
            results = await asyncio.gather(*(self.run_step(step, places) for step in steps))
            self.recorder.wave()
            verdicts = {result.verdict for result in results if result is not None}
            if call == "create" and verdicts & {Verdict.RETRY, Verdict.ALTERED}:
                self.require_confirmation()
            if verdicts - {Verdict.DONE}:
                return Verdict.RETRY in verdicts
        return False

    async def run_step(self, step: PlanStep, slots: asyncio.Semaphore) -> Attempt | None:
        async with slots:
            if self.must_stop():
                return None
            self.recorder.intend(step)
            result = await attempt_step(step, self.plan.owner, self.store)
            self.recorder.tried(step, result)
        self.progress.record_attempt(step, result)
        self.latest_attempt = result
        if result.verdict in (Verdict.DONE, Verdict.ALTERED):
            self.known_state.record_write(result.id, write_payload(step, self.plan.owner))
        if result.verdict is Verdict.ABORT:
            self.stop(result.error)
            self.access_lost |= not result.was_sent
        return result

    def build_report(self) -> ApplyReport:
        """Say of every planned change what became of it, by the last read where there was one."""
        stopped = self.settings.should_stop()
        skipped = "interrupted" if stopped else "the run had to stop" if self.stop_reason else ""
        converged = self.fresh_plan is not None and not self.fresh_plan.changes and not self.fresh_plan.conflicts
        error = self.stop_reason or ("" if converged else self.progress.leftover_copy_error())
        return ApplyReport(
            outcomes=self.progress.outcomes(self.fresh_plan, skipped),
            converged=converged,
            interrupted=stopped,
            error=error,
            remaining=self.fresh_plan,
            first_write_altered=self.first_write_altered,
        )


def _first_step_per_address(wave: Sequence[PlanStep]) -> list[PlanStep]:
    """Return the first step of each address: what became of it is read before the next (invariants R6)."""
    return list({step.change.address: step for step in reversed(wave)}.values())[::-1]


def _is_allowed(plan: Plan, guard: str) -> bool:
    return any(result.name == guard and result.allowed is not None for result in plan.guards)
