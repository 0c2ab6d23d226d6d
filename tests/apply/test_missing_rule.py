"""A rule that one read misses, in the list and by its id, is not created a second time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.simulator.faults.injector import FaultInjector
from reconciler.simulator.settings import PROFILES
from tests.support.builders import desired, managed, rule, wanted
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import InProcessTenant

OLD = [managed(f"id-{key}", f"cards/{key}", rule(key)) for key in ("keep", "change")]
GOAL = desired(wanted("cards/keep", rule("keep")), wanted("cards/change", rule("change", priority=1)))


@pytest.mark.parametrize("lag", [0.0, 5.0])
def test_a_rule_that_a_replica_does_not_show_is_not_created_again(lag: float) -> None:
    """A replica that is behind answers the first read of the run. The rule is updated, once another read shows it."""
    clock = FakeClock()
    behind = FaultInjector("GET rules:missing@#2,GET rule:404@#1", 1)
    world = InProcessTenant(OLD, replace(PROFILES["C"], clock=clock), behind)
    report = world.apply(GOAL, lag=lag, sleep=clock.sleep)
    assert report.converged, report
    assert [] == [path for method, path in world.writes() if method == "POST"]
    assert {"id-keep": 100, "id-change": 1} == {one["id"]: one["priority"] for one in world.state.rules()}
