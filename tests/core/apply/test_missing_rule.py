"""A rule that a replica does not show, in the list and by its id, is not created a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.state import TenantState
from tests.support.builders import desired, managed, rule, wanted
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import InProcessTenant

OLD = [managed(f"id-{key}", f"cards/{key}", rule(key)) for key in ("keep", "change")]
GOAL = desired(
    wanted("cards/keep", rule("keep")),
    wanted("cards/change", rule("change", priority=1)),
)


class ReplicaBehind:
    """A tenant whose reads with these numbers, from 1, come from a replica that does not have one
    rule yet.
    """

    def __init__(
        self, app: Simulator, state: TenantState, missing: str, reads: range
    ) -> None:
        self.app, self.state, self.missing, self.reads = app, state, missing, reads
        self.count = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request from the state of the replica."""
        if scope["method"] == "GET" and "/rules" in scope["path"]:
            self.count += 1
            with self._without_rule() if self.count in self.reads else self._as_it_is():
                await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    @contextmanager
    def _without_rule(self) -> Iterator[None]:
        stored = self.state.stored_rules.pop(self.missing)
        yield
        self.state.stored_rules[self.missing] = stored

    @contextmanager
    def _as_it_is(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize("lag", [0.0, 5.0])
@pytest.mark.parametrize("reads", [range(2, 4), range(2, 3)])
def test_a_rule_that_a_replica_does_not_show_is_not_created_again(
    lag: float, reads: range
) -> None:
    """The first list of the run misses it, and the read by id as well.

    The next list shows it: it is updated.
    """
    clock = FakeClock()
    world = InProcessTenant(OLD)
    world.app = cast(
        "Simulator", ReplicaBehind(world.app, world.state, "id-change", reads)
    )
    report = world.apply(GOAL, lag=lag, sleep=clock.sleep)
    assert report.converged, report
    assert ["PUT"] == [method for method, _ in world.writes()]
    assert {"id-keep": 100, "id-change": 1} == {
        rule["id"]: rule["priority"] for rule in world.state.rules()
    }
