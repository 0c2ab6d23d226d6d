"""Rules with dates on a tenant: what an apply makes at a time is all that the time asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.core.desired.desired import DesiredState, expand_manifests, state_at
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.manifest.load import load_manifests
from tests.support.builders import QUEUES
from tests.support.in_process_tenant import InProcessTenant
from tests.support.written_manifests import ENVIRONMENT, HEAD

FIRST = datetime(2027, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def generated(random: Random, room: Path) -> DesiredState:
    """Return rules of which several begin, end and change their weights in two weeks."""
    names = [queue.name for queue in QUEUES[:3]]
    rules = []
    for number in range(5):
        times = sorted(random.sample(range(1, 336), 6))
        first, second, third, *inner = [
            (FIRST + HOUR * time).replace(tzinfo=None).isoformat() for time in times
        ]
        queue = random.choice(names)
        key = f"key: k{number}, name: n{number}"
        rules += [
            f"{{{key}, intent: i{number}, queue: {queue}, until: {first}}}",
            f"{{{key}, intent: j{number}, queue: {queue}, priority: 7, from: {second}, until: {third}}}",
        ]
        shares = ", ".join(
            f"{{at: {at}, weights: {{{names[0]}: {random.randint(1, 9)}, {names[1]}: {20 + position}}}}}"
            for position, at in enumerate(inner)
        )
        targets = f"{{queue: {names[0]}, weight: 1}}, {{queue: {names[1]}, weight: 0}}"
        rules.append(f"{{intent: s{number}, targets: [{targets}], steps: [{shares}]}}")
    (room / "m.yaml").write_text(
        f"{ENVIRONMENT}timezone: Europe/Zurich\n---\n{HEAD}"
        + "".join(f"  - {rule}\n" for rule in rules),
        "utf-8",
    )
    manifests = load_manifests(room, FIRST)
    return expand_manifests(
        manifests, manifests.environment("prod"), QueueResolver("prod", {}, QUEUES)
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_after_an_apply_at_the_same_time_is_empty(seed: int, room: Path) -> None:
    """For runs at any times of a virtual clock, also runs that sleep over several boundaries."""
    random = Random(seed)
    desired = generated(random, room)
    assert desired.calendar is not None
    boundaries = desired.calendar.boundaries
    assert len(boundaries) > 20
    times = {*random.sample(boundaries, 8)}
    times |= {time - timedelta(seconds=1) for time in random.sample(boundaries, 4)}
    times |= {FIRST + timedelta(seconds=random.randrange(336 * 3600)) for _ in range(6)}
    tenant = InProcessTenant()
    changes = 0
    for time in sorted(times):
        state = state_at(desired, time)
        changes += len(tenant.plan(state).changes)
        assert tenant.apply(state).converged
        assert not tenant.plan(state).changes
        live = {rule["name"] for rule in tenant.state.rules()}
        assert {each.rule.name for each in state.rules.values()} == live
    assert changes > 20
