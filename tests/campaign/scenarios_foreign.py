"""Scenarios of rules that are not ours, or not ours any more: look-alikes, copies, duplicates, leftovers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.canonical import opaque
from reconciler.change import Marker
from reconciler.marker import digest, signed
from tests.builders import OWNER, address
from tests.campaign.scenarios_words import (
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

if TYPE_CHECKING:
    from reconciler.model import Rule
    from tests.campaign.scenario import Json, Scenario

_BEFORE: Final = live(x=at("x"), all=CATCH_ALL)
_AFTER: Final = goal(x=at("x", targets=FRAUD), y=at("y"), all=CATCH_ALL)
_UNKNOWN_CONDITION: Final = opaque({"type": "schedule", "scheduleId": "s-1", "open": True})
_UNKNOWN_OPERATOR: Final = opaque(
    {"type": "attribute", "attributeName": "channel", "operator": "soundsLike", "value": "chat"}
)
_UNKNOWN_TARGET: Final = opaque({"type": "skill", "skillId": "s-9", "weight": 1})
_LONG: Final = "n" * 255
_LATER, _LATEST = "2026-02-01T09:00:00.000Z", "2026-03-01T09:00:00.000Z"
_CAFE: Final = "Café"


def _described(rule_id: str, what: Rule, description: str) -> Json:
    return theirs(rule_id, replace(what, description=description))


def _copy(where: str, what: Rule) -> Json:
    """A temporary copy that an earlier run left."""
    temporary = replace(what, name=f"(next) {OWNER}/{where}")
    marker = Marker(OWNER, address(where), digest(temporary), copy=True)
    return {**theirs("id-left", temporary), "description": signed(temporary, marker)}


def _with(rules: list[Json], **more: Json) -> list[Json]:
    """The rules, `more` merged into the one whose key it names."""
    return [{**one, **more.get(one["id"].removeprefix("id-"), {})} for one in rules]


_LIKE_OURS: Final = f"[cxroute:{OWNER}/cards/x#0badc0de]"

FOREIGN: Final[tuple[Scenario, ...]] = (
    scenario(
        "foreign-in-our-style",
        "foreign name style",
        [*_BEFORE, theirs("f-1", at("cards/x", intent="q", priority=300)), theirs("f-2", at("X", intent="q"))],
        _AFTER,
    ),
    scenario(
        "foreign-with-our-prefix",
        "foreign marker prefix, malformed marker",
        [
            *_BEFORE,
            _described("f-1", at("f1", intent="q"), "Ours once\n[cxroute:"),
            _described("f-2", at("f2", intent="q"), f"[cxroute:{OWNER}/cards/x#XYZ]"),
            _described("f-3", at("f3", intent="r"), f"[cxroute:{OWNER}/cards/x]"),
            _described("f-4", at("f4", intent="r"), f"Text\n{_LIKE_OURS} "),
            _described("f-5", at("f5", intent="r"), f"Text\n{_LIKE_OURS}\n"),
        ],
        _AFTER,
    ),
    scenario(
        "other-owners",
        "other environment's marker",
        [
            *_BEFORE,
            ours("cards/x", at("dev x", intent="x", priority=101), rule_id="f-1", owner="acme-dev"),
            ours("cards/gone", at("dev gone", intent="q"), rule_id="f-2", owner="acme-dev"),
            ours("cards/y", at("their y", intent="y", priority=950), rule_id="f-3", owner="acm"),
        ],
        _AFTER,
    ),
    scenario(
        "marker-in-free-text",
        "marker in free text",
        [
            *_BEFORE,
            _described("f-1", at("f1", intent="q"), f"Copied from {_LIKE_OURS}"),
            _described("f-2", at("f2", intent="q"), f"{_LIKE_OURS}\nis what it said"),
            {**ours("cards/z", at("z", targets=GENERAL)), "description": f"See {_LIKE_OURS} there"},
        ],
        _AFTER,
    ),
    scenario(
        "marker-in-our-own-text",
        "marker in free text",
        live(x=at("x", description=f"Was {_LIKE_OURS} once"), all=CATCH_ALL),
        goal(x=at("x", description=f"Was {_LIKE_OURS} twice", targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "clone-unedited",
        "clone",
        [*_BEFORE, {**_BEFORE[0], "id": "zz-clone", "dateCreated": _LATER}],
        goal(x=at("x"), all=CATCH_ALL, y=at("y")),
    ),
    scenario(
        "clone-edited",
        "clone",
        [*_BEFORE, {**_BEFORE[0], "id": "zz-clone", "name": "Copy of x", "dateCreated": _LATER}],
        _AFTER,
    ),
    scenario(
        "clone-edited-of-one-that-goes",
        "clone, delete",
        [
            *live(w=at("w"), x=at("x"), all=CATCH_ALL),
            {
                **ours("cards/w", at("w")),
                "id": "zz-clone",
                "name": "Copy of w",
                "dateCreated": _LATER,
            },
        ],
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "duplicates-left",
        "duplicates",
        [
            *_BEFORE,
            ours("cards/x", at("x"), rule_id="zz-1", dateCreated=_LATER),
            ours("cards/x", at("x of old"), rule_id="zz-2", dateCreated=_LATEST),
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "duplicate-of-another-version",
        "duplicates, queue",
        [
            *_BEFORE,
            ours("cards/x", at("x, as of old", intent="x"), rule_id="zz-1", dateCreated=_LATER),
        ],
        _AFTER,
    ),
    scenario(
        "copy-left",
        "leftover copy, temporary copy",
        [
            *live(a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL),
            _copy("cards/a", at("a", intent="y")),
        ],
        goal(a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "copy-left-of-what-is-done",
        "leftover copy",
        [*_BEFORE, _copy("cards/x", at("x"))],
        goal(x=at("x"), all=CATCH_ALL),
    ),
)
