"""Parts of scenarios of rules: a tenant before and after, unknown parts, leftovers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.core.model.live import Marker, format_description, marker_digest
from reconciler.core.model.rule import Rule, make_opaque
from tests.campaign.scenario import Json
from tests.campaign.scenario_rules import CATCH_ALL, FRAUD, at, goal, live, theirs
from tests.support.builders import OWNER, address

BEFORE: Final = live(x=at("x"), all=CATCH_ALL)
AFTER: Final = goal(x=at("x", targets=FRAUD), y=at("y"), all=CATCH_ALL)
UNKNOWN_CONDITION: Final = make_opaque(
    {"type": "schedule", "scheduleId": "s-1", "open": True}
)
UNKNOWN_OPERATOR: Final = make_opaque(
    {
        "type": "attribute",
        "attributeName": "channel",
        "operator": "soundsLike",
        "value": "chat",
    }
)
UNKNOWN_TARGET: Final = make_opaque({"type": "skill", "skillId": "s-9", "weight": 1})
LONG: Final = "n" * 255
LATER = "2026-02-01T09:00:00.000Z"
LATEST = "2026-03-01T09:00:00.000Z"
CAFE: Final = "Café"


def described(rule_id: str, what: Rule, description: str) -> Json:
    """An unmanaged rule with that description."""
    return theirs(rule_id, replace(what, description=description))


def copy_left(where: str, what: Rule) -> Json:
    """A temporary copy that an earlier run left."""
    temporary = replace(what, name=f"(next) {OWNER}/{where}")
    marker = Marker(OWNER, address(where), marker_digest(temporary), copy=True)
    return {
        **theirs("id-left", temporary),
        "description": format_description(temporary, marker),
    }


def merged(rules: list[Json], **more: Json) -> list[Json]:
    """The rules, with `more` merged into the one of its key."""
    return [{**rule, **more.get(rule["id"].removeprefix("id-"), {})} for rule in rules]


LIKE_OURS: Final = f"[cxroute:{OWNER}/cards/x#0badc0de]"
