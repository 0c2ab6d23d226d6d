"""The tenant of the matrix: one apply of it makes every kind of request, and reads several
pages.
"""

from __future__ import annotations

from typing import Any, Final

from reconciler.core.model.rule import Rule, Target
from tests.campaign.scenario import Scenario
from tests.support.builders import (
    OWNER,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.in_process_tenant import raw

FRAUD = (Target("q-fraud", 1),)
GENERAL = (Target("q-general", 1),)
CATCH_ALL: Final = rule("All", priority=900, conditions=[], targets=GENERAL)
UNKNOWN: Final[dict[str, Any]] = {
    "division": {"id": "d1"},
    "skills": [{"level": None}],
    "mode": "NEW-7",
}
"""Unknown fields; they survive every update."""
ODD: Final = {
    "type": "attribute",
    "attributeName": "mood",
    "operator": "soundsLike",
    "value": "x",
}
"""A condition of unknown type."""
SAME: Final = tuple(f"s{number}" for number in range(2))


def _on(name: str, intent: str, **said: Any) -> Rule:
    return rule(name, conditions=[intent_is(intent)], **said)


def _before() -> tuple[dict[str, Any], ...]:
    """Two rules to delete, two to change, three unchanged, and three unmanaged, one odd and one
    with a false marker.
    """
    odd = _on("Odd", "t1", priority=7)
    own_side = (
        managed("id-old", "m/old", _on("Old X", "x"), **UNKNOWN),
        managed("id-bye", "m/bye", _on("Bye W", "w", targets=FRAUD)),
        managed("id-up", "m/up", _on("Up Y", "y", targets=FRAUD), **UNKNOWN),
        managed("id-edit", "m/edit", _on("Edit Z", "z"), **UNKNOWN),
        managed("id-all", "m/all", CATCH_ALL),
        *(
            managed(f"id-{name}", f"m/{name}", _on(f"Same {name}", name))
            for name in SAME
        ),
    )
    remaining_items = (
        unmanaged("id-odd", odd, **UNKNOWN),
        managed("id-two", "m/up", _on("Two", "t2"), owner=f"{OWNER}-two"),
        unmanaged(
            "id-posing",
            _on(
                "Posing",
                "t3",
                description="[cxroute:acme/m/up#00000000] is no marker here",
            ),
        ),
    )
    rules = [
        {**raw(item), "version": 1, "dateCreated": "2026-01-01T08:00:00Z"}
        for item in (*own_side, *remaining_items)
    ]
    strange = next(rule for rule in rules if rule["id"] == "id-odd")
    strange["conditions"] = [*strange["conditions"], ODD]
    return tuple(rules)


TENANT: Final = Scenario(
    "everything at once",
    _before(),
    desired(
        wanted("m/cover", _on("Cover X", "x")),
        wanted("m/extra", _on("Extra V", "v")),
        wanted("m/hello", _on("Hello W", "w", targets=FRAUD)),
        wanted("m/up", _on("Up Y", "y", targets=GENERAL)),
        wanted("m/edit", _on("Edit Z", "z", priority=50)),
        wanted("m/all", CATCH_ALL),
        *(wanted(f"m/{name}", _on(f"Same {name}", name)) for name in SAME),
    ),
    tuple(
        {"cognigyDetectedIntent": intent}
        for intent in (*"vwxyz", *SAME, "t2", "t3", "none")
    ),
)
"""Three creates, two updates and two deletes, each delete covered by a created rule; two pages,
then three."""

COVERED: Final = {"m/cover": "id-old", "m/hello": "id-bye"}
"""The created rule that must exist before a rule may be deleted."""
FOREIGN: Final = ("id-odd", "id-two", "id-posing")
"""Unmanaged rules."""
