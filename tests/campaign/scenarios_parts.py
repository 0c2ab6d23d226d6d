"""Scenarios of what rules hold: unknown fields and parts, odd names, people's edits, rules to take over."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.canonical import opaque
from reconciler.change import Marker
from reconciler.manifest.documents import AdoptById
from reconciler.marker import digest, signed
from reconciler.model import condition
from reconciler.options import Options
from tests.builders import OWNER, address, intent_is, rule
from tests.campaign.scenarios_words import (
    CATCH_ALL,
    FRAUD,
    GENERAL,
    at,
    everything,
    goal,
    goals,
    live,
    ours,
    scenario,
    sure,
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

PARTS: Final[tuple[Scenario, ...]] = (
    scenario(
        "unknown-fields",
        "unknown fields",
        _with(_BEFORE, x={"tenantTag": {"a": [1, None]}, "skillGroup": "s", "audit": {"by": "u-1"}}),
        _AFTER,
    ),
    scenario(
        "unknown-fields-in-parts",
        "unknown fields",
        _with(
            _BEFORE,
            x={
                "conditions": [{**_BEFORE[0]["conditions"][0], "caseSensitive": False}],
                "targets": [{**_BEFORE[0]["targets"][0], "overflow": "q-general"}],
            },
        ),
        goal(x=at("x", priority=90), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "opaque-conditions-beside",
        "opaque",
        [
            *_BEFORE,
            theirs("f-1", rule("hours", priority=950, conditions=[_UNKNOWN_CONDITION, intent_is("q")], targets=FRAUD)),
            theirs("f-2", rule("sound", priority=950, conditions=[_UNKNOWN_OPERATOR, intent_is("q")])),
        ],
        _AFTER,
    ),
    scenario(
        "opaque-target-beside",
        "opaque",
        [*_BEFORE, theirs("f-1", at("skilled", intent="q", targets=[_UNKNOWN_TARGET]))],
        _AFTER,
    ),
    scenario(
        "disabled",
        "disabled",
        live(
            x=at("x", enabled=False), y=at("y"), off=at("off", intent="x", targets=FRAUD, enabled=False), all=CATCH_ALL
        ),
        goal(x=at("x"), y=at("y", enabled=False), off=at("off", intent="x", enabled=False), all=CATCH_ALL),
    ),
    scenario(
        "disabled-by-hand",
        "disabled, drift",
        [ours("cards/x", at("x", enabled=False), last_written=at("x")), ours("cards/all", CATCH_ALL)],
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "drift",
        "drift",
        [
            ours("cards/x", at("x", targets=GENERAL), last_written=at("x")),
            ours("cards/y", at("renamed by hand", intent="y"), last_written=at("y")),
            ours("cards/all", everything(priority=800), last_written=CATCH_ALL),
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "drift-and-manifest",
        "drift, delete",
        [
            ours("cards/x", at("x", priority=50), last_written=at("x")),
            ours("cards/w", at("w", priority=50), last_written=at("w")),
            ours("cards/all", CATCH_ALL),
        ],
        goal(x=at("x", targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "drift-kept",
        "drift",
        [ours("cards/x", at("x", priority=50), last_written=at("x")), ours("cards/all", CATCH_ALL)],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
        options=Options(keep_drift=True),
    ),
    scenario(
        "adopt-by-name",
        "adopt",
        [theirs("f-1", at("x", targets=GENERAL), custom={"a": 1}), *live(all=CATCH_ALL)],
        goals({"cards/x": at("x"), "cards/all": CATCH_ALL}, x="x"),
    ),
    scenario(
        "adopt-by-id",
        "adopt",
        [theirs("f-1", at("theirs", intent="x"), custom={"a": 1}), *live(all=CATCH_ALL)],
        goals({"cards/x": at("ours", intent="x"), "cards/all": CATCH_ALL}, x=AdoptById(id="f-1")),
    ),
    scenario(
        "adopt-what-is-not-there",
        "adopt, create",
        live(all=CATCH_ALL),
        goals({"cards/x": at("x"), "cards/all": CATCH_ALL}, x="nobody's"),
    ),
    scenario(
        "adopt-all-namesakes",
        "adopt",
        [theirs("f-1", at("x", targets=GENERAL)), theirs("f-2", at("y")), *live(all=CATCH_ALL)],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
        options=Options(adopt=True),
    ),
    scenario(
        "unicode-names",
        "unicode",
        live(
            nfc=at(unicodedata.normalize("NFC", _CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFD", _CAFE), intent="y", targets=FRAUD),
            all=CATCH_ALL,
        ),
        goal(
            nfc=at(unicodedata.normalize("NFC", _CAFE), intent="x", targets=GENERAL),
            nfd=at(unicodedata.normalize("NFD", _CAFE), intent="y"),
            rtl=at("كرت \u202eabc", intent="z"),
            emoji=at("💳👩‍👩‍👧 cards", intent="💳", description="🧾\n\nend"),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "unicode-names-exchanged",
        "unicode, names exchanged",
        live(
            nfc=at(unicodedata.normalize("NFC", _CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFD", _CAFE), intent="y", targets=FRAUD),
        ),
        goal(
            nfc=at(unicodedata.normalize("NFD", _CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFC", _CAFE), intent="y", targets=FRAUD),
        ),
    ),
    scenario(
        "long-names",
        "long names",
        live(a=at(f"{_LONG}a", intent="x"), b=at(f"{_LONG}b", intent="y"), all=CATCH_ALL),
        goal(
            a=at(f"{_LONG}b", intent="x"), b=at(f"{_LONG}a", intent="y"), c=at(f"{_LONG}c", intent="z"), all=CATCH_ALL
        ),
    ),
    scenario(
        "values-written-otherwise",
        "unchanged, drift",
        [
            ours(
                "cards/x",
                rule("x", conditions=[condition("cognigyConfidence", "greaterThanOrEqual", "0.70"), intent_is("x")]),
                last_written=sure("x", 0.7),
            ),
            ours("cards/all", CATCH_ALL),
        ],
        goal(x=sure("x", 0.7), y=at("y"), all=CATCH_ALL),
    ),
)
