"""The only loop that writes: Plan x RuleStore -> Report.

Level-triggered, in rounds: read everything, work out what is still to be done and in which order nobody is sent
elsewhere, make the first wave of that, read again. So a lost answer, a crash or a second run at the same time is
nothing special: the next read tells, and what is proven is proven of the state just read. Deletes come last, after a
read that shows everything else done, and not at all when something else failed (reliability.md R5 to R7).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.arrange import arrange
from reconciler.attempt import Attempt, Verdict, attempt, written
from reconciler.change import Applied, Create, Delete, Failed, Skipped, Unknown, is_copy
from reconciler.errors import ApiError, RefusedError
from reconciler.guard import refusals
from reconciler.plan import Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reconciler.attempt import RuleStore, Written
    from reconciler.change import Change, LiveRule, Outcome, Step
    from reconciler.plan import Plan

MOST_ATTEMPTS: Final = 4
"""How often one change is tried in one run (reliability.md R21)."""


class Recorder(Protocol):
    """Where a run is written down: each call before and after a write, `wave` once a wave."""

    def intend(self, step: Step) -> None:
        """Record that the call is about to be made."""

    def tried(self, step: Step, result: Attempt) -> None:
        """Record what became of it."""

    def wave(self) -> None:
        """Make what was recorded last."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a run behaves.

    admit: whether a change found by a later read is the planned one (`as_intended`, `as_reviewed`).
    sleep: waits, in seconds, after a round that left something unclear: `pauses`, and at least the `lag` of lists.
    stopped: says that no new write may be started.
    """

    admit: Callable[[Change, Change], bool]
    sleep: Callable[[float], Awaitable[None]]
    stopped: Callable[[], bool] = lambda: False
    concurrency: int = 16
    """How many changes are under way at one time; the others can still be stopped."""
    lag: float = 0.0
    pauses: Sequence[float] = (0.5, 1.0, 2.0, 4.0)
    guarded: Callable[[Plan], Plan] = lambda plan: plan
    """What says of a fresh plan who would go elsewhere, and what every guard makes of it."""
    strays: int = 1
    """How often rules that the plan is not about may be found changed; with a reviewed plan, never."""


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
    run = _Run(plan, store, replan, recorder, conduct)
    fresh = await run.read()
    refused = refusals(conduct.guarded(fresh))
    if refused:
        raise RefusedError(f"the tenant changed since the plan was made, and now {refused[0].message}")
    try:
        await run.rounds(fresh)
    except ApiError as error:
        run.halted = str(error)
    return run.report()


@dataclass(slots=True)
class _Progress:
    """What was tried of one planned change."""

    tries: Counter[str] = field(default_factory=Counter)
    error: str = ""
    id: str = ""
    moves: int = 0
    failed: bool = False
    unknown: bool = False
    wrote: Written | None = None
    """What was last acknowledged: whoever finds just this in place of the reviewed rule finds our own work."""

    @property
    def attempts(self) -> int:
        """How often a call of it was tried at the most."""
        return max(self.tries.values(), default=0)


@dataclass(slots=True)
class _Run:
    plan: Plan
    store: RuleStore
    replan: Callable[[tuple[LiveRule, ...]], Plan]
    recorder: Recorder
    conduct: Conduct
    halted: str = ""
    fresh: Plan | None = None
    planned: dict[object, Change] = field(init=False)
    progress: dict[object, _Progress] = field(init=False)
    made: dict[str, None] = field(default_factory=dict)
    """Ids of the rules that this run wrote: a list that lags may not show them yet."""
    others: object = None
    strays: int = 0

    def __post_init__(self) -> None:
        self.planned = {_key(change): change for change in self.plan.changes}
        self.progress = {key: _Progress() for key in self.planned}

    async def read(self) -> Plan:
        """Read every rule and plan again; a rule that we wrote and the list does not show yet is read by itself."""
        self.fresh = None
        rules = list(await self.store.rules())
        seen = {rule.id for rule in rules}
        for unseen in [id_ for id_ in self.made if id_ not in seen]:
            read = await self.store.rule(unseen)
            rules.extend([] if read is None else [read.live])
        self.fresh = self.replan(tuple(rules))
        return self.fresh

    async def rounds(self, fresh: Plan) -> None:
        """Go on, wave by wave, until nothing is left that may be tried."""
        pauses = iter(self.conduct.pauses)
        while not self.idle():
            self.watch(fresh)
            left = arrange(replace(fresh, changes=self.open(fresh)))
            if left.unproven and not _is_allowed(self.plan, "transient"):
                self.halted = self.halted or f"no order is proven that sends nobody elsewhere: {left.unproven[0]}"
            if not left.steps or self.idle():
                return
            if await self.make(left.steps[0]):
                await self.conduct.sleep(max(self.conduct.lag, next(pauses, self.conduct.pauses[-1])))
            fresh = await self.read()

    def idle(self) -> bool:
        """Say whether no new write may be started."""
        return bool(self.halted) or self.conduct.stopped()

    def watch(self, fresh: Plan) -> None:
        """Look at the rules that this plan is not about: what was proven was proven beside them.

        Changed once, everything is planned again, guards and all; changed again, or beside a reviewed plan, it ends.
        """
        ours = {change.address for change in self.plan.changes}
        about = {change.live.id for change in self.plan.changes if not isinstance(change, Create)}
        others = {
            live.id: (live.rule, live.marker)
            for live in fresh.live.rules
            if live.id not in about and (live.marker is None or live.marker.address not in ours)
        }
        if self.others is not None and others != self.others:
            self.strays += 1
            refused = refusals(self.conduct.guarded(fresh))
            if self.strays > self.conduct.strays:
                self.halted = self.halted or "rules that this plan is not about were changed meanwhile; plan again"
            elif refused:
                self.halted = self.halted or f"rules were changed meanwhile, and now {refused[0].message}"
        self.others = others

    def open(self, fresh: Plan) -> tuple[Change, ...]:
        """Return what is still to be done of the plan's changes and may be tried (again).

        Nothing is deleted that may have to stand in for a change that will not be made.
        """
        found = [change for change in fresh.changes if self.may_be_tried(change)]
        chosen = {_key(change) for change in found}
        if any(
            key not in chosen and not isinstance(self.planned[key], Delete) for key in _left(fresh) & {*self.planned}
        ):
            found = [change for change in found if not isinstance(change, Delete)]
        return tuple(found)

    def may_be_tried(self, change: Change) -> bool:
        """Say whether a change that a read found is one of the plan's, and not given up."""
        planned = self.planned.get(_key(change))
        if planned is None and not (is_copy(change) and change.address in self.planned):
            return False
        progress = self.progress_of(change)
        ours = not isinstance(change, Create) and (change.live.rule, change.live.marker) == progress.wrote
        if planned is not None and not ours and not self.conduct.admit(planned, change):
            progress.failed, progress.error = True, progress.error or "changed since the plan was made"
        return not progress.failed and progress.attempts < MOST_ATTEMPTS

    def progress_of(self, change: Change) -> _Progress:
        """Return the progress of the planned change that a change found later belongs to."""
        key = _key(change)
        return self.progress[key if key in self.progress else change.address]

    async def make(self, wave: Sequence[Step]) -> bool:
        """Make the calls of a wave, creates before updates, each kind at once; say whether anything is unclear."""
        unclear = False
        for call in ("create", "update", "delete"):
            steps = [step for step in wave if step.call == call]
            if steps:
                places = asyncio.Semaphore(self.conduct.concurrency)
                results = await asyncio.gather(*(self.one(step, places) for step in steps))
                unclear |= any(result is not None and result.verdict is Verdict.AGAIN for result in results)
                self.recorder.wave()
        return unclear

    async def one(self, step: Step, places: asyncio.Semaphore) -> Attempt | None:
        """Make one call once, unless the run was stopped before there was a place for it."""
        async with places:
            if self.idle():
                return None
            self.recorder.intend(step)
            result = await attempt(step, self.plan.owner, self.store)
            self.recorder.tried(step, result)
        self.note(step, result)
        return result

    def note(self, step: Step, result: Attempt) -> None:
        """Keep what an attempt says of its change, and of the whole run."""
        progress = self.progress_of(step.change)
        progress.tries[f"{step.kind} {step.call}"] += 1
        progress.error, progress.unknown = result.error, result.unknown
        if step.kind != "copy" and not is_copy(step.change):
            progress.id = result.id or progress.id
        if result.verdict is Verdict.DONE:
            progress.wrote = written(step, self.plan.owner) or progress.wrote
            if step.call == "delete":
                self.made.pop(result.id, None)
            else:
                self.made[result.id] = None
        progress.moves += result.verdict is Verdict.MOVED
        progress.failed = result.verdict is Verdict.FAILED or progress.moves > 1
        if result.verdict is Verdict.HALT:
            progress.failed, self.halted = True, self.halted or result.error

    def report(self) -> Report:
        """Say of every planned change what became of it, by the last read where there was one."""
        left = None if self.fresh is None else _left(self.fresh)
        outcomes = tuple(self.outcome(key, left) for key, change in self.planned.items() if not is_copy(change))
        converged = self.fresh is not None and not self.fresh.changes and not self.fresh.conflicts
        return Report(outcomes, converged, self.conduct.stopped(), self.halted, self.fresh)

    def outcome(self, key: object, left: set[object] | None) -> Outcome:
        """Say what became of one planned change; `left` is what the last read still found to be done."""
        change, progress = self.planned[key], self.progress[key]
        if left is not None and key not in left and ("copy", change.address) not in left:
            return Applied(change, progress.attempts, progress.id)
        if progress.failed:
            return Failed(change, progress.attempts, progress.error)
        if progress.unknown or (progress.attempts and left is None and not progress.error):
            return Unknown(change, progress.attempts, progress.error or "it could not be read again")
        blocked = self.fresh and next((one for one in self.fresh.conflicts if one.address == change.address), None)
        if progress.attempts or blocked:
            error = progress.error or (blocked.message if blocked else "the rule still differs")
            return Failed(change, progress.attempts, error)
        return Skipped(change, self.why_skipped(change))

    def why_skipped(self, change: Change) -> str:
        """Return why a change was not tried."""
        if self.conduct.stopped():
            return "interrupted"
        if self.halted:
            return "the run had to stop"
        return "kept, since another change is not done" if isinstance(change, Delete) else "not tried"


def _key(change: Change) -> object:
    """Name what a change is about: a rule of ours by address; of several with one address, by id."""
    return ("delete", change.live.id) if isinstance(change, Delete) else change.address


def _left(fresh: Plan) -> set[object]:
    """Name what is not as it is desired: what is to be changed, what is left alone for now, what stands in the way."""
    held = (one.change for one in fresh.held)
    copies = {("copy", change.address) for change in fresh.changes if is_copy(change)}
    changes = {_key(change) for change in (*fresh.changes, *held)}
    return changes | copies | {finding.address for finding in fresh.conflicts}


def _is_allowed(plan: Plan, guard: str) -> bool:
    return any(result.name == guard and result.allowed is not None for result in plan.guards)
