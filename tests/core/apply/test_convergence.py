"""Every (desired, live) pair of a small universe: apply, then the plan is empty and a second apply
writes nothing.

The universe: three keys, each desired and live as absent, version 1 or version 2 (live: managed, as
last written). So 27 times 27 pairs, through the real client and the real simulator; each also has
an unmanaged rule.
"""

from __future__ import annotations

import json
from itertools import islice, product

import pytest

from reconciler.core.model.change import Applied
from reconciler.core.model.rule import Target
from tests.support.builders import desired, managed, rule, unmanaged, wanted
from tests.support.in_process_tenant import InProcessTenant, raw
from tests.tiers import size

KEYS = ("a", "b", "c")
STATES = (None, 1, 2)
STEP = size(fast=4, slow=1)
THEIRS = unmanaged(
    "theirs", rule("theirs"), owner="somebody", nested={"kept": [1, {"as": "it is"}]}
)


def version(key: str, number: int) -> object:
    queue = {1: "q-cards", 2: "q-fraud"}[number]
    return rule(key, priority=number, targets=[Target(queue, 1)])


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("live", list(product(STATES, repeat=3)), ids=str)
def test_every_pair_converges_and_stays(live: tuple[int | None, ...]) -> None:
    """One apply converges; a second one has no change and sends no write; the unmanaged rule does
    not change.
    """
    own_side = [
        managed(
            f"id-{key}",
            f"cards/{key}",
            version(key, state),  # type: ignore[arg-type]
            division={"id": "home"},
        )
        for key, state in zip(KEYS, live, strict=True)
        if state
    ]
    for want in islice(product(STATES, repeat=3), 0, None, STEP):
        world = InProcessTenant([*own_side, THEIRS])
        goal = desired(
            *(
                wanted(f"cards/{key}", version(key, state))  # type: ignore[arg-type]
                for key, state in zip(KEYS, want, strict=True)
                if state
            )
        )
        report = world.apply(goal)
        assert all(isinstance(outcome, Applied) for outcome in report.outcomes), (
            want,
            report,
        )
        assert report.converged
        assert sum(a != b for a, b in zip(live, want, strict=True)) == len(
            report.outcomes
        )
        writes = len(world.writes())
        assert len(report.outcomes) == writes
        assert () == world.plan(goal).changes
        again = world.apply(goal)
        assert (True, ()) == (again.converged, again.outcomes)
        assert writes == len(world.writes())
        rules = {rule["id"]: rule for rule in world.state.rules()}
        assert json.dumps(raw(THEIRS)) == json.dumps(rules["theirs"])
        assert all(
            rules[our.id]["division"] == {"id": "home"}
            for our in own_side
            if our.id in rules
        )
