"""The only loop that writes: Plan x RuleStore -> Report.

Level-triggered, in rounds: read everything, work out what is still to be done, try each change once, read again. So a
lost answer, a crash or a second run at the same time is nothing special: the next read tells. Creates and updates come
first; deletes last, only after a read that shows everything else done, and not at all when something else failed
(reliability.md R5 to R7).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.attempt import Attempt, Verdict, attempt
from reconciler.change import Adopt, Applied, Create, Delete, Failed, Skipped, Unknown, Update
from reconciler.errors import ApiError, RefusedError
from reconciler.guard import refusals
from reconciler.plan import Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from reconciler.attempt import RuleStore
    from reconciler.change import Change, LiveRule, Outcome
    from reconciler.plan import Plan

MOST_ATTEMPTS: Final = 4
"""How often one change is tried in one run (reliability.md R21)."""


class Recorder(Protocol):
    """Where a run is written down: each call before and after a write, `wave` once a wave."""

    def intend(self, change: Change) -> None:
        """Record that the change is about to be written."""

    def tried(self, change: Change, result: Attempt) -> None:
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


async def apply(
    plan: Plan,
    store: RuleStore,
    replan: Callable[[tuple[LiveRule, ...]], Plan],
    recorder: Recorder,
    conduct: Conduct,
) -> Report:
    """Make the plan's changes. `replan` plans again from rules just read.

    Raises RefusedError, and ApiError from the first read, before anything was written; after that it reports.
    """
    run = _Run(plan, store, replan, recorder, conduct)
    fresh = await run.read()
    refused = refusals(fresh)
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

    attempts: int = 0
    error: str = ""
    id: str = ""
    moves: int = 0
    failed: bool = False
    unknown: bool = False
    done: bool = False


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

    def __post_init__(self) -> None:
        self.planned = {_key(change): change for change in self.plan.changes}
        self.progress = {key: _Progress() for key in self.planned}

    async def read(self) -> Plan:
        """Read every rule and plan again; a rule that we created and the list does not show yet is read by itself."""
        self.fresh = None
        rules = list(await self.store.rules())
        seen = {rule.id for rule in rules}
        for progress in self.progress.values():
            if progress.done and progress.id not in seen:
                read = await self.store.rule(progress.id)
                rules.extend([] if read is None else [read.live])
        self.fresh = self.replan(tuple(rules))
        return self.fresh

    async def rounds(self, fresh: Plan) -> None:
        """Go on, round by round, until nothing is left that may be tried."""
        pauses = iter(self.conduct.pauses)
        while not self.idle():
            others = self.open(fresh, (Create, Update, Adopt))
            if not others and self.unfinished():
                return
            wave = others or self.open(fresh, (Delete,))
            if not wave:
                return
            unclear = await self.make(wave)
            if unclear:
                await self.conduct.sleep(max(self.conduct.lag, next(pauses, self.conduct.pauses[-1])))
            fresh = await self.read()

    def idle(self) -> bool:
        """Say whether no new write may be started."""
        return bool(self.halted) or self.conduct.stopped()

    def open(self, fresh: Plan, kinds: tuple[type, ...]) -> list[Change]:
        """Return what is still to be done of the plan's changes, of these kinds, and may be tried (again)."""
        found = []
        for change in fresh.changes:
            planned = self.planned.get(_key(change))
            if planned is None or not isinstance(change, kinds):
                continue
            progress = self.progress[_key(change)]
            if not self.conduct.admit(planned, change):
                progress.failed, progress.error = True, progress.error or "changed since the plan was made"
            if not progress.failed and progress.attempts < MOST_ATTEMPTS:
                found.append(change)
        return found

    def unfinished(self) -> bool:
        """Say whether a create or update is not done: then nothing is deleted that it may have to stand in for."""
        waiting = _left(self.fresh) if self.fresh else set(self.planned)
        return any(key in waiting and not isinstance(change, Delete) for key, change in self.planned.items())

    async def make(self, changes: Iterable[Change]) -> bool:
        """Try the changes, creates before updates, each kind at once; return whether anything was left unclear."""
        unclear = False
        for kinds in ((Create,), (Update, Adopt), (Delete,)):
            wave = [change for change in changes if isinstance(change, kinds)]
            if wave:
                places = asyncio.Semaphore(self.conduct.concurrency)
                results = await asyncio.gather(*(self.one(change, places) for change in wave))
                unclear |= any(result is not None and result.verdict is Verdict.AGAIN for result in results)
                self.recorder.wave()
        return unclear

    async def one(self, change: Change, places: asyncio.Semaphore) -> Attempt | None:
        """Try one change once, unless the run was stopped before there was a place for it."""
        async with places:
            if self.idle():
                return None
            self.recorder.intend(change)
            result = await attempt(change, self.plan.owner, self.store)
            self.recorder.tried(change, result)
        self.note(change, result)
        return result

    def note(self, change: Change, result: Attempt) -> None:
        """Keep what an attempt says of its change, and of the whole run."""
        progress = self.progress[_key(change)]
        progress.attempts += 1
        progress.error, progress.unknown = result.error, result.unknown
        progress.id = result.id or progress.id
        progress.done = result.verdict is Verdict.DONE and not isinstance(change, Delete)
        progress.moves += result.verdict is Verdict.MOVED
        progress.failed = result.verdict is Verdict.FAILED or progress.moves > 1
        if result.verdict is Verdict.HALT:
            progress.failed, self.halted = True, self.halted or result.error

    def report(self) -> Report:
        """Say of every planned change what became of it, by the last read where there was one."""
        left = None if self.fresh is None else _left(self.fresh)
        outcomes = tuple(self.outcome(key, left) for key in self.planned)
        converged = self.fresh is not None and not self.fresh.changes and not self.fresh.conflicts
        return Report(outcomes, converged, self.conduct.stopped(), self.halted, self.fresh)

    def outcome(self, key: object, left: set[object] | None) -> Outcome:
        """Say what became of one planned change; `left` is what the last read still found to be done."""
        change, progress = self.planned[key], self.progress[key]
        if left is not None and key not in left:
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
    return {_key(change) for change in (*fresh.changes, *held)} | {finding.address for finding in fresh.conflicts}
