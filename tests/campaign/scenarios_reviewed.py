"""Scenarios of reviewed plans: other users work in parallel, in the UI and as teams with their own
owners.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.core.desired.desired import DesiredState
from tests.campaign.scenario import Json
from tests.campaign.scenario_rules import (
    CATCH_ALL,
    FRAUD,
    GENERAL,
    at,
    goal,
    live,
    ours,
    scenario,
    theirs,
)

_BEFORE: Final = live(a=at("a"), b=at("b"), c=at("c"), gone=at("gone"), all=CATCH_ALL)
_AFTER: Final = goal(
    a=at("a", targets=FRAUD),
    b=at("b", priority=20),
    c=at("c"),
    new=at("new"),
    all=CATCH_ALL,
)


def _team(owner: str) -> tuple[list[Json], DesiredState]:
    """Return the rules of another owner for its own intents, and its desired rules."""
    names = [f"{owner}-{number}" for number in range(3)]
    before = [
        ours(f"cards/{name}", at(name), owner=owner, rule_id=f"id-{name}")
        for name in names[:2]
    ]
    wish = goal(**{names[0]: at(names[0], targets=FRAUD), names[2]: at(names[2])})
    return before, replace(wish, owner=owner)


_RED = _team("red")
_BLUE = _team("blue")

REVIEWED: Final = (
    scenario(
        "reviewed",
        "reviewed, queue, create, delete",
        [*_BEFORE, theirs("f-1", at("by hand", intent="h", priority=30)), *_RED[0]],
        _AFTER,
        reviewed=True,
    ),
    scenario(
        "reviewed-hidden",
        "reviewed, queue, delete",
        [*_BEFORE, theirs("f-1", at("above", intent="a", priority=1, targets=GENERAL))],
        _AFTER,
        reviewed=True,
    ),
    scenario(
        "reviewed-teams",
        "reviewed, other environment's marker",
        [*_BEFORE, *_RED[0], *_BLUE[0]],
        _AFTER,
        reviewed=True,
        teams=(_RED[1], _BLUE[1]),
    ),
)
"""The appliers of the first phase apply plans that were saved before the faults."""
