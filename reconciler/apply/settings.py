"""How a run of apply behaves, and where it is written down: what it is handed from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reconciler.apply.attempt import Attempt
    from reconciler.model.change import Change, PlanStep
    from reconciler.plan.plan import Plan


Result = TypeVar("Result")


class BlockingRunner(Protocol):
    """Does a piece of work that takes long and waits for nobody."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Return what the work returns."""


async def run_inline(work: Callable[[], Result], /) -> Result:
    """Do it here and now: nobody else waits."""
    return work()


class StepRecorder(Protocol):
    """Where a run is written down: each call before and after a write, `wave` once a wave."""

    def intend(self, step: PlanStep) -> None:
        """Record that the call is about to be made."""

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record what became of it."""

    def wave(self) -> None:
        """Make what was recorded last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings:
    """How a run behaves.

    admit: whether a change found by a later read is the planned one (`as_intended`, `as_reviewed`).
    sleep: waits, in seconds, after a round that left something unclear (`pauses`), and while a missing rule may just
    not be shown yet (`lag`, by how much lists lag at the most).
    stopped: says that no new write may be started.
    """

    accepts: Callable[[Change, Change], bool]
    sleep: Callable[[float], Awaitable[None]]
    should_stop: Callable[[], bool] = lambda: False
    concurrency: int = 16
    """How many changes are under way at one time; the others can still be stopped."""
    lag: float = 0.0
    names_unique: bool = False
    """The server refuses a second rule of one name: a first create needs no confirmation that there is none."""
    backoff: Sequence[float] = (0.5, 1.0, 2.0, 4.0)
    assess: Callable[[Plan], Plan] = lambda plan: plan
    """What says of a fresh plan who would go elsewhere, and what every guard makes of it."""
    is_within_review: Callable[[Plan], bool] | None = None
    """With a reviewed plan: says whether the plan, beside the rules as they are now, moves only what was reviewed.

    Without a reviewed plan, rules that the plan is not about may change once.
    """
    freeze_reason: Callable[[], str] = lambda: ""
    """Why nothing may be written now, since a freeze has begun; empty where nothing is frozen."""
    run_blocking: BlockingRunner = run_inline
    """Plans: beside the loop, where others wait for answers there."""
