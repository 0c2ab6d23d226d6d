"""Scenarios of what is found in tenants: others' rules, copies, leftovers, unknown parts, odd names, people's edits."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.canonical import opaque
from reconciler.change import Marker
from reconciler.manifest.documents import AdoptById
from reconciler.marker import digest, signed
from reconciler.model import condition
from reconciler.plan import Options
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
