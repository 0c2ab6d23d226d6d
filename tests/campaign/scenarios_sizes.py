"""Scenarios of numbers of rules, and of refusals by guards."""

from __future__ import annotations

from typing import Final

from reconciler.core.model.rule import Rule, Target
from tests.campaign.profiles import TENANT
from tests.campaign.scenario import Json, Scenario
from tests.campaign.scenario_rules import (
    CATCH_ALL,
    FRAUD,
    at,
    goal,
    goals,
    live,
    ours,
    scenario,
    theirs,
)

_PAGE: Final = TENANT.page_size
_GUARDED: Final = {"deletes": {"count": 1, "percent": 10}}


def _rules(count: int) -> dict[str, Rule]:
    return {
        f"cards/k{number:02d}": at(f"k{number:02d}") for number in range(1, count + 1)
    }


def _sized(name: str, count: int) -> Scenario:
    """So many managed and unmanaged rules: one is deleted, one is changed, one is created."""
    actual = _rules(count)
    live: list[Json] = [
        theirs(f"f-{where}", item) if number % 4 == 3 else ours(where, item)
        for number, (where, item) in enumerate(actual.items())
    ]
    wished = {
        where: item
        for number, (where, item) in enumerate(actual.items())
        if number % 4 != 3
    }
    if count > 1:
        del wished["cards/k01"]
    if count > 2:
        wished["cards/k02"] = at("k02", targets=FRAUD)
    return scenario(name, "sizes", live, goals({**wished, "cards/new": at("new")}))


SIZES: Final[tuple[Scenario, ...]] = (
    scenario("nothing-at-all", "sizes", (), goals({}, "cards")),
    scenario(
        "first-rules",
        "sizes, create",
        (),
        goal(x=at("x"), y=at("y", targets=FRAUD), all=CATCH_ALL),
    ),
    _sized("one-rule", 1),
    _sized("page-less-one", _PAGE - 1),
    _sized("page", _PAGE),
    _sized("page-and-one", _PAGE + 1),
    _sized("ten-pages", 10 * _PAGE),
)

REFUSED: Final[tuple[Scenario, ...]] = (
    scenario(
        "emptied-refused",
        "emptied, refused",
        live(x=at("x"), y=at("y")),
        goals({}, "cards"),
        allow=(),
    ),
    scenario(
        "too-many-deletes-refused",
        "delete, refused",
        live(x=at("x"), y=at("y"), z=at("z")),
        goal(x=at("x", targets=FRAUD)),
        guard=_GUARDED,
    ),
    scenario(
        "protected-refused",
        "refused, queue",
        live(x=at("x"), y=at("y"), all=CATCH_ALL),
        goal(x=at("x", targets=FRAUD), y=at("y"), all=CATCH_ALL),
        guard={"deletes": {"count": 9, "percent": 100}, "protected": ["cards/x"]},
    ),
    scenario(
        "unrouted-refused",
        "refused, delete",
        live(x=at("x"), y=at("y")),
        goal(y=at("y")),
        allow=(),
    ),
    scenario(
        "no-weight-refused",
        "refused, weights",
        live(x=at("x"), y=at("y"), all=CATCH_ALL),
        goal(x=at("x", targets=[Target("q-cards", 0)]), y=at("y"), all=CATCH_ALL),
        allow=(),
    ),
    scenario(
        "switched-off-refused",
        "refused, disabled",
        live(x=at("x"), y=at("y"), z=at("z"), all=CATCH_ALL),
        goal(
            x=at("x", enabled=False), y=at("y", enabled=False), z=at("z"), all=CATCH_ALL
        ),
        guard=_GUARDED,
    ),
)
"""The guards refuse them: exit 4, and nothing is written (R8)."""
