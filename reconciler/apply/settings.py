"""The settings of a run of apply, and the interfaces that it gets from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from reconciler.apply.attempt import Attempt
from reconciler.model.change import Change, PlanStep
from reconciler.plan.plan import LiveState, Plan

Result = TypeVar("Result")


class BlockingRunner(Protocol):
    """Does a piece of work that takes long and waits for nobody."""

    async def __call__(self, work: Callable[[], Result], /) -> Result:
        """Return what the work returns."""


async def run_inline(work: Callable[[], Result], /) -> Result:
    """Do it here and now: nobody else waits."""
    return work()


class Replanner(Protocol):
    """Plans again from each read."""

    def plan(self, live: LiveState, /) -> Plan:
        """Return what differs, without an order and without guards."""

    def assess(self, plan: Plan, /) -> Plan:
        """Return the plan with the conversations that it moves, and the results of the guards."""

    def freeze(self) -> str:
        """Return why the environment is frozen now; empty if it is not."""


class StepRecorder(Protocol):
    """Where a run is written down: each call before and after a write, `wave` once a wave."""

    def intend(self, step: PlanStep) -> None:
        """Record that the call is about to be made."""

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record what became of it."""

    def wave(self) -> None:
        """Make what was recorded last."""


class NoRecorder:
    """Records nothing."""

    def intend(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing."""

    tried = wave = intend


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings:
    """How a run behaves.

    accepts: whether a change found by a later read is the planned one (`matches_intent`, `matches_review`).
    sleep: waits, in seconds, after a round that left something unclear (`backoff`), and while a missing rule may just
    not be shown yet (`lag`, by how much lists lag at the most).
    should_stop: says that no new write may be started.
    """

    accepts: Callable[[Change, Change], bool]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    should_stop: Callable[[], bool] = lambda: False
    concurrency: int = 16  # how many changes are under way at one time; the others can still be stopped
    lag: float = 0.0
    names_unique: bool = False  # the server refuses a second rule of one name: a first create needs no confirmation
    backoff: Sequence[float] = (0.5, 1.0, 2.0, 4.0)
    # With a reviewed plan: says whether the plan, beside the rules as they are now, moves only what was reviewed.
    # Without a reviewed plan, rules that the plan is not about may change once.
    is_within_review: Callable[[Plan], bool] | None = None
    run_blocking: BlockingRunner = run_inline  # plans: beside the loop, where others wait for answers there
