"""The settings of a run of apply, and the interfaces that it gets from outside."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from reconciler.core.apply.attempt import Attempt
from reconciler.core.model.change import Change, PlanStep
from reconciler.core.plan.stages import Changes, LiveState, Plan

Result = TypeVar("Result")


class BlockingRunner(Protocol):
    """Runs CPU-bound work."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Return the result of the work."""


async def run_inline(work: Callable[[], Result], /) -> Result:
    """Run the work in this thread."""
    return work()


class Replanner(Protocol):
    """Plans again from each read."""

    def find_changes(self, live: LiveState, /) -> Changes:
        """Return what differs."""

    def complete(self, changes: Changes, /) -> Plan:
        """Return the plan of the changes, with the results of the guards."""

    def freeze(self) -> str:
        """Return why the environment is frozen now; empty if it is not."""


class StepRecorder:
    """Records a run: each call before and after a write, and the end of each wave.

    This base class records nothing.
    """

    def announce(self, steps: Sequence[PlanStep]) -> None:
        """Prepare for the calls of these steps, which are made together."""

    def intend(self, step: PlanStep) -> None:
        """Record that the call is about to be made."""

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record the result of the call."""

    def wave(self) -> None:
        """Make the records durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings:
    """The settings of a run. Times are in seconds."""

    recorder: StepRecorder = field(default_factory=StepRecorder)
    # whether the planned change (first) covers a change of a later read
    accepts: Callable[[Change, Change], bool]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    should_stop: Callable[[], bool] = lambda: False  # whether no new write may start
    # the number of changes in progress at one time; the others can still be stopped
    concurrency: int = 16
    lag: float = 0.0  # the maximum lag of lists, during which they may not show a rule
    # the server refuses a second rule of one name: a first create needs no confirmation
    names_unique: bool = False
    # pauses after rounds with an unclear result
    backoff: Sequence[float] = (0.5, 1.0, 2.0, 4.0)
    # With a reviewed plan: whether the plan, with the current other rules, moves only reviewed
    # conversations. Without a reviewed plan, rules outside the plan may change once.
    is_within_review: Callable[[Changes], bool] | None = None
    # plans in another thread, if the event loop must not wait
    run_blocking: BlockingRunner = run_inline
