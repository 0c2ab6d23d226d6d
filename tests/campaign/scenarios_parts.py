"""Scenarios of the content of rules: unknown fields and parts, odd names, manual edits, rules to
adopt.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.rule import make_condition
from reconciler.core.plan.stages import PlanOptions
from tests.campaign.scenario import Scenario
from tests.campaign.scenario_parts import (
    AFTER,
    BEFORE,
    CAFE,
    LONG,
    UNKNOWN_CONDITION,
    UNKNOWN_OPERATOR,
    UNKNOWN_TARGET,
    merged,
)
from tests.campaign.scenario_rules import (
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
from tests.support.builders import at_least, intent_is, rule

PARTS: Final[tuple[Scenario, ...]] = (
    scenario(
        "unknown-fields",
        "unknown fields",
        merged(
            BEFORE,
            x={
                "tenantTag": {"a": [1, None]},
                "skillGroup": "s",
                "audit": {"by": "u-1"},
            },
        ),
        AFTER,
    ),
    scenario(
        "unknown-fields-in-parts",
        "unknown fields",
        merged(
            BEFORE,
            x={
                "conditions": [{**BEFORE[0]["conditions"][0], "caseSensitive": False}],
                "targets": [{**BEFORE[0]["targets"][0], "overflow": "q-general"}],
            },
        ),
        goal(x=at("x", priority=90), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "opaque-conditions-beside",
        "opaque",
        [
            *BEFORE,
            theirs(
                "f-1",
                rule(
                    "hours",
                    priority=950,
                    conditions=[UNKNOWN_CONDITION, intent_is("q")],
                    targets=FRAUD,
                ),
            ),
            theirs(
                "f-2",
                rule(
                    "sound", priority=950, conditions=[UNKNOWN_OPERATOR, intent_is("q")]
                ),
            ),
        ],
        AFTER,
    ),
    scenario(
        "opaque-target-beside",
        "opaque",
        [*BEFORE, theirs("f-1", at("skilled", intent="q", targets=[UNKNOWN_TARGET]))],
        AFTER,
    ),
    scenario(
        "disabled",
        "disabled",
        live(
            x=at("x", enabled=False),
            y=at("y"),
            off=at("off", intent="x", targets=FRAUD, enabled=False),
            all=CATCH_ALL,
        ),
        goal(
            x=at("x"),
            y=at("y", enabled=False),
            off=at("off", intent="x", enabled=False),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "disabled-by-hand",
        "disabled, drift",
        [
            ours("cards/x", at("x", enabled=False), last_written=at("x")),
            ours("cards/all", CATCH_ALL),
        ],
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
        [
            ours("cards/x", at("x", priority=50), last_written=at("x")),
            ours("cards/all", CATCH_ALL),
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
        options=PlanOptions(keep_drift=True),
    ),
    scenario(
        "adopt-by-name",
        "adopt",
        [
            theirs("f-1", at("x", targets=GENERAL), custom={"a": 1}),
            *live(all=CATCH_ALL),
        ],
        goals({"cards/x": at("x"), "cards/all": CATCH_ALL}, x="x"),
    ),
    scenario(
        "adopt-all-at-first",
        "adopt",
        [
            theirs(
                "f-1",
                at("x", description="two\r\nlines", more=[at_least(0.5)]),
                custom={"a": 1},
            ),
            theirs("f-2", at("y", priority=50), custom=None),
            theirs("f-3", CATCH_ALL),
        ],
        goal(x=at("x", more=[at_least(0.5)]), y=at("y"), all=CATCH_ALL),
        options=PlanOptions(adopt=True),
    ),
    scenario(
        "adopt-by-id",
        "adopt",
        [
            theirs("f-1", at("theirs", intent="x"), custom={"a": 1}),
            *live(all=CATCH_ALL),
        ],
        goals(
            {"cards/x": at("ours", intent="x"), "cards/all": CATCH_ALL},
            x=AdoptById(id="f-1"),
        ),
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
        [
            theirs("f-1", at("x", targets=GENERAL)),
            theirs("f-2", at("y")),
            *live(all=CATCH_ALL),
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
        options=PlanOptions(adopt=True),
    ),
    scenario(
        "unicode-names",
        "unicode",
        live(
            nfc=at(unicodedata.normalize("NFC", CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFD", CAFE), intent="y", targets=FRAUD),
            all=CATCH_ALL,
        ),
        goal(
            nfc=at(unicodedata.normalize("NFC", CAFE), intent="x", targets=GENERAL),
            nfd=at(unicodedata.normalize("NFD", CAFE), intent="y"),
            rtl=at("كرت \u202eabc", intent="z"),
            emoji=at("💳👩‍👩‍👧 cards", intent="💳", description="🧾\n\nend"),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "unicode-names-exchanged",
        "unicode, names exchanged",
        live(
            nfc=at(unicodedata.normalize("NFC", CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFD", CAFE), intent="y", targets=FRAUD),
        ),
        goal(
            nfc=at(unicodedata.normalize("NFD", CAFE), intent="x"),
            nfd=at(unicodedata.normalize("NFC", CAFE), intent="y", targets=FRAUD),
        ),
    ),
    scenario(
        "long-names",
        "long names",
        live(a=at(f"{LONG}a", intent="x"), b=at(f"{LONG}b", intent="y"), all=CATCH_ALL),
        goal(
            a=at(f"{LONG}b", intent="x"),
            b=at(f"{LONG}a", intent="y"),
            c=at(f"{LONG}c", intent="z"),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "values-written-otherwise",
        "unchanged, drift",
        [
            ours(
                "cards/x",
                rule(
                    "x",
                    conditions=[
                        make_condition(
                            "cognigyConfidence", "greaterThanOrEqual", "0.70"
                        ),
                        intent_is("x"),
                    ],
                ),
                last_written=sure("x", 0.7),
            ),
            ours("cards/all", CATCH_ALL),
        ],
        goal(x=sure("x", 0.7), y=at("y"), all=CATCH_ALL),
    ),
)
