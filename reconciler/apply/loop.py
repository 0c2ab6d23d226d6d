"""The only loop that writes: Plan x RuleStore -> Report.

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

from reconciler.apply.attempt import Attempt, RuleStore, Verdict, attempt, take_back, written
from reconciler.apply.first_contact import FirstWrite, advice, became, before, difference, first_write, undoing, unseen
from reconciler.apply.known_state import Sight
from reconciler.apply.progress import Tally
from reconciler.apply.report import Report
from reconciler.errors import ApiError, RefusedError
from reconciler.model.change import Change, Delete, Step
from reconciler.plan.guards import refusals
from reconciler.plan.schedule import arrange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.apply.settings import Conduct, Recorder
    from reconciler.model.live import LiveRule
    from reconciler.plan.plan import GuardResult, Plan


MOST_ATTEMPTS: Final = 4
"""How often one change is tried in one run (invariants R21)."""

CONFIRMATIONS: Final = 3
"""Reads, spread over the time by which lists lag, that must all miss a rule before it is created (again)."""

ONCE_MORE: Final = 1
"""Further reads of that kind where lists are said not to lag, behind a create or a read that raised a doubt."""


async def apply(
    plan: Plan,
    store: RuleStore,
    replan: Callable[[tuple[LiveRule, ...]], Plan],
    recorder: Recorder,
    conduct: Conduct,
) -> Report:
    """Make the plan's changes. `replan` plans again from rules just read, without guards.

    Raises RefusedError, and ApiError from the first read, before anything was written; after that it reports.
    """
    run = _Run(plan=plan, store=store, replan=replan, recorder=recorder, conduct=conduct)
    fresh = await run.read()
    refused = await run.refused(fresh)
    if refused:
        raise RefusedError(f"the tenant changed since the plan was made, and now {refused[0].message}")
    if why := await run.obstacle(fresh):
        raise RefusedError(f"the tenant changed since the plan was made: {why}")
    try:
        await run.rounds(fresh)
    except ApiError as error:
        run.halt(str(error) + ("" if run.first is None or run.latest is None else unseen(run.first.step, run.latest)))
    return run.report()


@dataclass(slots=True, kw_only=True)
class _Run:
    plan: Plan
    store: RuleStore
    replan: Callable[[tuple[LiveRule, ...]], Plan]
    recorder: Recorder
    conduct: Conduct
    halted: str = ""
    fresh: Plan | None = None
    tally: Tally = field(init=False)
    sight: Sight = field(init=False)
    others: object = field(init=False)
    strays: int = 0
    cut_off: bool = False
    """The tenant does not let us in any more: not even to look what became of it."""
    unkept: bool = False
    """The tenant did not keep the first write."""
    first: FirstWrite | None = None
    """The write that went alone, as long as no read shows that the tenant keeps our markers."""
    latest: Attempt | None = None
    """What the last call came to."""
    unconfirmed: int = field(init=False)
    """How many more reads must miss a rule before it is created."""

    def __post_init__(self) -> None:
        self.tally = Tally(self.plan)
        self.tally.look(self.plan.live.rules)
        self.sight = Sight(self.store, self.plan.live.rules)
        self.others = self.beside(self.plan)
        self.unconfirmed = CONFIRMATIONS if self.conduct.lag and not self.conduct.names_unique else 0

    async def read(self) -> Plan:
        """Read every rule and plan again."""
        self.fresh = None
        rules = await self.sight.read()
        if self.sight.missed:
            self.doubt()
        self.tally.settle(rules)
        self.tally.look(rules)
        self.fresh = await self.conduct.thinking(lambda: self.replan(rules))
        return self.fresh

    async def refused(self, fresh: Plan) -> tuple[GuardResult, ...]:
        """Return the guards that refuse what a read found."""
        return refusals(await self.conduct.thinking(lambda: self.conduct.guarded(fresh)))

    async def rounds(self, fresh: Plan) -> None:
        """Go on, wave by wave, until nothing is left that may be tried."""
        pauses = iter(self.conduct.pauses)
        while not self.idle():
            if why := await self.obstacle(fresh):
                self.halt(why)
                return
            left = await self.left(fresh)
            if left.unproven and not _is_allowed(self.plan, "transient"):
                self.halt(f"no order is proven that sends nobody elsewhere: {left.unproven[0]}")
            wave = _one_each(left.steps[0]) if left.steps else []
            if wave:
                self.halt(self.conduct.frozen())
            if self.idle() or (not wave and not self.unsure()):
                return
            if not wave or (self.unconfirmed and any(step.call == "create" for step in wave)):
                self.unconfirmed -= bool(wave)
                await self.conduct.sleep(self.conduct.lag / CONFIRMATIONS)
            elif await self.go(wave, fresh):
                await self.conduct.sleep(next(pauses, self.conduct.pauses[-1]))
            if self.cut_off:
                self.fresh = None
                return
            fresh = await self.look_back(await self.read())

    def unsure(self) -> bool:
        """Say whether, where lists lag, a rule was missed just now that a further read may show."""
        return bool(self.conduct.lag) and self.sight.missed

    def doubt(self) -> None:
        """Take back that a rule which is not seen is not there."""
        self.unconfirmed = CONFIRMATIONS if self.conduct.lag else ONCE_MORE

    def idle(self) -> bool:
        """Say whether no new write may be started."""
        return bool(self.halted) or self.conduct.stopped()

    async def obstacle(self, fresh: Plan) -> str:
        """Return why nothing more may be written beside what others changed; nothing where the run may go on.

        What was proven, and what guards let pass, was so beside the rules as they were. The order is proven anew for
        each wave. A reviewed plan goes on while it moves only what was reviewed; another plan goes on after one change
        of rules that it is not about. It ends where somebody changed a managed rule that the plan is not about.
        """
        if strange := self.tally.unplanned(fresh):
            return f"{strange[0].address} was changed meanwhile, which this plan is not about; plan again"
        others = self.beside(fresh)
        strayed = others != self.others
        self.strays += strayed
        self.others = others
        if self.conduct.within is None and self.strays > 1:
            return "rules that this plan is not about were changed meanwhile; plan again"
        if (strayed or self.tally.meddled(fresh)) and (refused := await self.refused(fresh)):
            return f"rules were changed meanwhile, and now {refused[0].message}"
        if strayed and not await self.conduct.thinking(lambda: self.is_within(fresh)):
            return "rules were changed meanwhile, and the plan would now send conversations elsewhere; plan again"
        return ""

    def is_within(self, fresh: Plan) -> bool:
        """Say whether all of the plan, beside the rules of others as they are now, moves only what was reviewed."""
        if self.conduct.within is None:
            return True
        about = [one for one in self.plan.live.rules if self.tally.is_about(one.id, one.marker)]
        others = [one for one in fresh.live.rules if not self.tally.is_about(one.id, one.marker)]
        return self.conduct.within(replace(self.plan, live=replace(self.plan.live, rules=(*about, *others))))

    def halt(self, why: str) -> None:
        """Write nothing more; the first reason is the one that is told."""
        self.halted = self.halted or why

    def beside(self, plan: Plan) -> object:
        """Return the live rules that the changes are not about, as what routes and who owns it."""
        return {
            live.id: (live.rule, live.marker)
            for live in plan.live.rules
            if not self.tally.is_about(live.id, live.marker)
        }

    async def left(self, fresh: Plan) -> Plan:
        """Return what is still to be done of the plan's changes, in order, without what may not be tried (again).

        Nor is anything deleted then, which may have to stand in, or made that had to wait for what is given up.
        """
        changes = [change for change in fresh.changes if self.tally.planned_for(change) is not None]
        lost = self.tally.lost(fresh)
        given_up = [change for change in changes if not self.may_be_tried(change)] + lost
        if any(not isinstance(change, Delete) for change in given_up):
            given_up += [change for change in changes if isinstance(change, Delete)]
        left = replace(fresh, changes=(*changes, *lost))
        return await self.conduct.thinking(lambda: arrange(left, given_up))

    def may_be_tried(self, change: Change) -> bool:
        """Say whether one of the plan's changes, as a read found it, is not given up."""
        planned = self.tally.planned_for(change)
        if planned is None:
            return False
        progress = self.tally.of(change)
        if self.tally.is_somebodys(change):
            progress.failed, progress.error = True, "the rule is gone, and the other one with its marker is a copy"
        if not self.tally.is_own_doing(change) and not self.conduct.admit(planned, change):
            progress.failed, progress.error = True, progress.error or "changed since the plan was made"
        return not progress.failed and progress.attempts < MOST_ATTEMPTS

    async def go(self, wave: Sequence[Step], fresh: Plan) -> bool:
        """Make a wave, of a first contact one call alone; say whether anything is unclear."""
        self.first = first_write(wave, fresh.live.rules, self.plan.owner, self.conduct.lag)
        return await self.make(wave if self.first is None else [self.first.step])

    async def look_back(self, fresh: Plan) -> Plan:
        """Take back what the tenant did not keep of a first write, then write nothing more; return a fresh plan."""
        first, result = self.first, self.latest
        if first is None or result is None:
            return fresh
        lost = first.lost(result, fresh.live.rules)
        if not lost:
            seen = any(live.id == result.id for live in fresh.live.rules)
            self.first = None if seen and result.doubt == "none" else first
            return fresh
        self.unkept = True
        self.halt(advice(first, lost[0].live))
        left, errors = lost, [""]
        for pause in self.conduct.pauses:
            done = [await self.take_back(first.step, one.live) for one in left if one.sure]
            fresh = await self.read()
            left, errors = first.lost(result, fresh.live.rules), [one.error for one in done]
            if not left or not done or any(one.verdict not in (Verdict.AGAIN, Verdict.DONE) for one in done):
                break
            await self.conduct.sleep(pause)
        self.halted = f"{self.halted}. {became(first.step, left, '; '.join(errors))}"
        self.tally.give_up(first.step, difference(first, lost[0].live), left[0].live.id if left else "")
        return fresh

    async def take_back(self, step: Step, live: LiveRule) -> Attempt:
        """Undo what a first write made of a rule."""
        back = undoing(step, live)
        self.recorder.intend(back)
        result = await take_back(step, live, self.store)
        self.recorder.tried(back, result)
        self.recorder.wave()
        if result.verdict is Verdict.DONE:
            self.sight.wrote(live.id, before(step))
        return result

    async def make(self, wave: Sequence[Step]) -> bool:
        """Make the calls of a wave, creates before updates, each kind at once; say whether anything is unclear.

        Behind a call that is not known to be done no other kind is begun: a read comes first.
        """
        for call in ("create", "update", "delete"):
            steps = [step for step in wave if step.call == call]
            if not steps:
                continue
            places = asyncio.Semaphore(self.conduct.concurrency)
            results = await asyncio.gather(*(self.one(step, places) for step in steps))
            self.recorder.wave()
            verdicts = {result.verdict for result in results if result is not None}
            if call == "create" and verdicts & {Verdict.AGAIN, Verdict.KEPT}:
                self.doubt()
            if verdicts - {Verdict.DONE}:
                return Verdict.AGAIN in verdicts
        return False

    async def one(self, step: Step, places: asyncio.Semaphore) -> Attempt | None:
        """Make one call once, unless the run was stopped before there was a place for it."""
        async with places:
            if self.idle():
                return None
            self.recorder.intend(step)
            result = await attempt(step, self.plan.owner, self.store)
            self.recorder.tried(step, result)
        self.tally.note(step, result)
        self.latest = result
        if result.verdict in (Verdict.DONE, Verdict.KEPT):
            self.sight.wrote(result.id, written(step, self.plan.owner))
        if result.verdict is Verdict.HALT:
            self.halt(result.error)
            self.cut_off |= not result.wrote
        return result

    def report(self) -> Report:
        """Say of every planned change what became of it, by the last read where there was one."""
        stopped = self.conduct.stopped()
        skipped = "interrupted" if stopped else "the run had to stop" if self.halted else ""
        converged = self.fresh is not None and not self.fresh.changes and not self.fresh.conflicts
        error = self.halted or ("" if converged else self.tally.stuck())
        return Report(
            outcomes=self.tally.outcomes(self.fresh, skipped),
            converged=converged,
            interrupted=stopped,
            error=error,
            left=self.fresh,
            unkept=self.unkept,
        )


def _one_each(wave: Sequence[Step]) -> list[Step]:
    """Return the first step of each address: what became of it is read before the next (invariants R6)."""
    return list({step.change.address: step for step in reversed(wave)}.values())[::-1]


def _is_allowed(plan: Plan, guard: str) -> bool:
    return any(result.name == guard and result.allowed is not None for result in plan.guards)
