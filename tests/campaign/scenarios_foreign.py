"""Scenarios of rules that are not managed, or not any more: look-alikes, copies, duplicates,
leftovers.
"""

from __future__ import annotations

from typing import Final

from tests.campaign.scenario import Scenario
from tests.campaign.scenario_parts import (
    AFTER,
    BEFORE,
    LATER,
    LATEST,
    LIKE_OURS,
    copy_left,
    described,
)
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
from tests.support.builders import OWNER

_NO_DATE: Final = {"dateCreated": None}
_OTHER: Final = {"division": {"id": "other"}}

COPIES: Final[tuple[Scenario, ...]] = (
    scenario(
        "clone-edited-with-equal-age",
        "clone",
        [*BEFORE, {**BEFORE[0], "id": "a-clone", "name": "Copy of x"}],
        AFTER,
    ),
    scenario(
        "clone-edited-with-dates-in-milliseconds",
        "clone, delete",
        [
            *live(x=at("x"), all=CATCH_ALL),
            ours("cards/w", at("w"), dateCreated=1767690000000),
            {
                **ours("cards/w", at("w")),
                "id": "a-clone",
                "name": "Copy of w",
                "dateCreated": 1767603600000,
            },
        ],
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "clone-switched-off",
        "clone",
        [
            *BEFORE,
            {**BEFORE[0], "id": "zz-clone", "enabled": False, "dateCreated": LATER},
        ],
        AFTER,
    ),
    scenario(
        "original-edited-and-a-copy-kept",
        "clone, drift",
        [
            {**BEFORE[0], "priority": 7},
            *BEFORE[1:],
            {**BEFORE[0], "id": "zz-copy", "dateCreated": LATER},
        ],
        AFTER,
    ),
    scenario(
        "two-edited-without-dates-and-wanted-no-more",
        "clone, delete",
        [
            *BEFORE,
            {**ours("cards/w", at("w"), **_NO_DATE), "priority": 7},
            {
                **ours("cards/w", at("w"), **_NO_DATE),
                "id": "a-clone",
                "name": "Copy of w",
            },
        ],
        AFTER,
    ),
    scenario(
        "copy-in-another-division",
        "duplicates, unknown fields, queue",
        [*BEFORE, {**BEFORE[0], "id": "zz-copy", "dateCreated": LATER, **_OTHER}],
        AFTER,
    ),
    scenario(
        "copy-in-another-division-without-dates",
        "duplicates, unknown fields",
        [
            {**BEFORE[0], **_NO_DATE},
            *BEFORE[1:],
            {**BEFORE[0], "id": "a-copy", **_NO_DATE, **_OTHER},
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "copy-with-another-hint-in-a-target",
        "duplicates, unknown fields",
        [
            *BEFORE,
            {
                **BEFORE[0],
                "id": "zz-copy",
                "dateCreated": LATER,
                "targets": [
                    {**item, "overflow": "q-general"} for item in BEFORE[0]["targets"]
                ],
            },
        ],
        AFTER,
    ),
)
"""Several rules with one marker, of which a user changed one or more: those are never written."""
SPACES: Final = ("\n", "\r\n", "  ", " \t\n\n")
"""Texts that tenants append to a description."""

FOREIGN: Final[tuple[Scenario, ...]] = (
    *COPIES,
    scenario(
        "foreign-in-our-style",
        "foreign name style",
        [
            *BEFORE,
            theirs("f-1", at("cards/x", intent="q", priority=300)),
            theirs("f-2", at("X", intent="q")),
        ],
        AFTER,
    ),
    scenario(
        "foreign-with-our-prefix",
        "foreign marker prefix, malformed marker",
        [
            *BEFORE,
            described("f-1", at("f1", intent="q"), "Ours once\n[cxroute:"),
            described("f-2", at("f2", intent="q"), f"[cxroute:{OWNER}/cards/x#XYZ]"),
            described("f-3", at("f3", intent="r"), f"[cxroute:{OWNER}/cards/x]"),
            described("f-4", at("f4", intent="r"), f"Text\n {LIKE_OURS}"),
            described("f-5", at("f5", intent="r"), f"Text {LIKE_OURS}\n"),
        ],
        AFTER,
    ),
    scenario(
        "white-space-behind-the-marker",
        "white space, queue",
        [
            {**rule, "description": rule["description"].replace("\n", "\r\n") + space}
            for rule, space in zip(
                live(x=at("x"), y=at("y"), z=at("z"), all=CATCH_ALL),
                SPACES,
                strict=True,
            )
        ],
        goal(x=at("x"), y=at("y", targets=FRAUD), z=at("z"), all=CATCH_ALL),
    ),
    scenario(
        "other-owners",
        "other environment's marker",
        [
            *BEFORE,
            ours(
                "cards/x",
                at("dev x", intent="x", priority=101),
                rule_id="f-1",
                owner="acme-dev",
            ),
            ours(
                "cards/gone",
                at("dev gone", intent="q"),
                rule_id="f-2",
                owner="acme-dev",
            ),
            ours(
                "cards/y",
                at("their y", intent="y", priority=950),
                rule_id="f-3",
                owner="acm",
            ),
        ],
        AFTER,
    ),
    scenario(
        "marker-in-free-text",
        "marker in free text",
        [
            *BEFORE,
            described("f-1", at("f1", intent="q"), f"Copied from {LIKE_OURS}"),
            described("f-2", at("f2", intent="q"), f"{LIKE_OURS}\nis what it said"),
            {
                **ours("cards/z", at("z", targets=GENERAL)),
                "description": f"See {LIKE_OURS} there",
            },
        ],
        AFTER,
    ),
    scenario(
        "marker-in-our-own-text",
        "marker in free text",
        live(x=at("x", description=f"Was {LIKE_OURS} once"), all=CATCH_ALL),
        goal(
            x=at("x", description=f"Was {LIKE_OURS} twice", targets=FRAUD),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "clone-unedited",
        "clone",
        [*BEFORE, {**BEFORE[0], "id": "zz-clone", "dateCreated": LATER}],
        goal(x=at("x"), all=CATCH_ALL, y=at("y")),
    ),
    scenario(
        "clone-edited",
        "clone",
        [
            *BEFORE,
            {**BEFORE[0], "id": "zz-clone", "name": "Copy of x", "dateCreated": LATER},
        ],
        AFTER,
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
                "dateCreated": LATER,
            },
        ],
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "duplicates-left",
        "duplicates",
        [
            *BEFORE,
            ours("cards/x", at("x"), rule_id="zz-1", dateCreated=LATER),
            ours("cards/x", at("x of old"), rule_id="zz-2", dateCreated=LATEST),
        ],
        goal(x=at("x"), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "duplicate-of-another-version",
        "duplicates, queue",
        [
            *BEFORE,
            ours(
                "cards/x",
                at("x, as of old", intent="x"),
                rule_id="zz-1",
                dateCreated=LATER,
            ),
        ],
        AFTER,
    ),
    scenario(
        "copy-left",
        "leftover copy, temporary copy",
        [
            *live(
                a=at("a", intent="x"),
                b=at("b", intent="y", targets=FRAUD),
                all=CATCH_ALL,
            ),
            copy_left("cards/a", at("a", intent="y")),
        ],
        goal(
            a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    scenario(
        "copy-left-of-an-older-manifest",
        "leftover copy, temporary copy, intents swapped",
        [
            *live(
                a=at("a", intent="x"),
                b=at("b", intent="y", targets=FRAUD),
                all=CATCH_ALL,
            ),
            copy_left("cards/a", at("a", intent="z", priority=20)),
        ],
        goal(
            a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    scenario(
        "copy-left-of-what-is-done",
        "leftover copy",
        [*BEFORE, copy_left("cards/x", at("x"))],
        goal(x=at("x"), all=CATCH_ALL),
    ),
)
