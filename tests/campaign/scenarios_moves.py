"""Scenarios of manifest changes: keys, names, queues, priorities, intents, files."""

from __future__ import annotations

from typing import Final

from reconciler.core.model.rule import Target, make_condition
from tests.campaign.scenario import Scenario
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
)
from tests.support.builders import at_least, rule

_BOTH: Final = rule(
    "both", conditions=[make_condition("cognigyDetectedIntent", "in", ["x", "y"])]
)

MOVES: Final[tuple[Scenario, ...]] = (
    scenario(
        "as-it-is",
        "unchanged",
        live(x=at("x"), all=CATCH_ALL),
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "key-renamed",
        "rename",
        live(old=at("old", intent="x")),
        goal(new=at("new", intent="x")),
    ),
    scenario(
        "key-renamed-name-kept",
        "rename",
        live(old=at("x"), all=CATCH_ALL),
        goal(new=at("x", targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "queue-changed",
        "queue",
        live(x=at("x"), y=at("y"), all=CATCH_ALL),
        goal(x=at("x", targets=FRAUD), y=at("y"), all=CATCH_ALL),
    ),
    scenario(
        "queues-swapped",
        "queue",
        live(x=at("x"), y=at("y", targets=FRAUD)),
        goal(x=at("x", targets=FRAUD), y=at("y")),
    ),
    scenario(
        "two-priorities-swapped",
        "swap of two",
        live(
            a=at("a", intent="x", priority=10),
            b=at("b", intent="x", priority=20, targets=FRAUD),
        ),
        goal(
            a=at("a", intent="x", priority=20),
            b=at("b", intent="x", priority=10, targets=FRAUD),
        ),
    ),
    scenario(
        "three-priorities-in-a-ring",
        "swap of three",
        live(
            a=at("a", intent="x", priority=10),
            b=at("b", intent="x", priority=20, targets=FRAUD),
            c=at("c", intent="x", priority=30, targets=GENERAL),
        ),
        goal(
            a=at("a", intent="x", priority=20),
            b=at("b", intent="x", priority=30, targets=FRAUD),
            c=at("c", intent="x", priority=10, targets=GENERAL),
        ),
    ),
    scenario(
        "intents-swapped",
        "intents swapped, temporary copy",
        live(
            a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL
        ),
        goal(
            a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    scenario(
        "names-and-intents-swapped",
        "intents swapped, temporary copy, names exchanged",
        live(
            a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL
        ),
        goal(
            a=at("b", intent="y"), b=at("a", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    scenario(
        "names-exchanged",
        "names exchanged",
        live(a=at("a", intent="x"), b=at("b", intent="y")),
        goal(a=at("b", intent="x"), b=at("a", intent="y")),
    ),
    scenario(
        "names-in-a-ring",
        "names exchanged",
        live(
            a=at("a", intent="x"),
            b=at("b", intent="y"),
            c=at("c", intent="z", targets=FRAUD),
        ),
        goal(
            a=at("b", intent="x"),
            b=at("c", intent="y"),
            c=at("a", intent="z", targets=FRAUD),
        ),
    ),
    scenario(
        "name-taken-from-one-that-goes",
        "rename, delete",
        live(old=at("same", intent="x"), all=CATCH_ALL),
        goal(new=at("same", intent="x", more=[at_least(0)]), all=CATCH_ALL),
    ),
    scenario(
        "specific-above-catch-all",
        "fallback, create",
        live(all=CATCH_ALL),
        goal(x=at("x"), y=sure("y", 0.7, targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "catch-all-comes-specific-goes",
        "fallback, delete",
        live(x=at("x"), y=at("y", targets=FRAUD)),
        goal(all=CATCH_ALL, y=at("y", targets=FRAUD)),
    ),
    scenario(
        "catch-all-goes",
        "fallback, delete",
        live(k=at("k", intent="x"), all=CATCH_ALL),
        goal(k=at("k", intent="y")),
    ),
    scenario(
        "deletes",
        "delete",
        live(x=at("x"), y=at("y"), z=at("z", targets=FRAUD), all=CATCH_ALL),
        goal(x=at("x"), all=CATCH_ALL),
    ),
    scenario(
        "emptied", "emptied, delete", live(x=at("x"), y=at("y")), goals({}, "cards")
    ),
    scenario(
        "split-in-two",
        "split",
        live(both=_BOTH, all=CATCH_ALL),
        goal(x=at("x"), y=at("y", targets=FRAUD), all=CATCH_ALL),
    ),
    scenario(
        "merged-into-one",
        "merge",
        live(x=at("x"), y=at("y", targets=FRAUD), all=CATCH_ALL),
        goal(both=_BOTH, all=CATCH_ALL),
    ),
    scenario(
        "file-split",
        "split, other ruleset",
        live(x=at("x"), y=at("y")),
        goals({"cards/x": at("x"), "loans/y": at("y")}),
    ),
    scenario(
        "files-merged",
        "merge, other ruleset",
        [ours("cards/x", at("x")), ours("loans/y", at("y", targets=FRAUD))],
        goals({"cards/x": at("x"), "cards/y": at("y", targets=GENERAL)}),
    ),
    scenario(
        "key-moved-name-kept",
        "other ruleset, rename",
        [ours("cards/x", at("x")), ours("cards/all", CATCH_ALL)],
        goals({"fraud/x": at("x", targets=FRAUD), "cards/all": CATCH_ALL}),
    ),
    scenario(
        "all-at-once",
        "queue, create, delete, thresholds",
        live(
            x=at("x", priority=30),
            y=at("y", priority=20, targets=FRAUD),
            w=at("w"),
            all=CATCH_ALL,
        ),
        goal(
            x=sure("x", 0.5, priority=10, targets=FRAUD),
            y=at("y", priority=15),
            z=at("z", priority=5),
            all=everything(priority=500),
        ),
    ),
    scenario(
        "ring-of-names-and-intents",
        "intents swapped, names exchanged, temporary copy",
        live(
            a=at("a", intent="x", priority=2),
            b=at("b", intent="y", priority=1, targets=FRAUD),
            c=at("c", intent="z", priority=1, targets=GENERAL),
            all=CATCH_ALL,
        ),
        goal(
            a=rule(
                "c",
                priority=4,
                conditions=[make_condition("cognigyDetectedIntent", "notEquals", "y")],
            ),
            b=rule("a", priority=4, conditions=[at_least(0.5)], targets=GENERAL),
            c=rule(
                "b",
                priority=1,
                conditions=[make_condition("cognigyDetectedIntent", "notEquals", "x")],
                targets=FRAUD,
            ),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "weights-changed",
        "weights",
        live(
            x=at("x", targets=[Target("q-cards", 80), Target("q-fraud", 20)]),
            all=CATCH_ALL,
        ),
        goal(
            x=at(
                "x",
                targets=[
                    Target("q-cards", 50),
                    Target("q-fraud", 30),
                    Target("q-general", 20),
                ],
            ),
            all=CATCH_ALL,
        ),
    ),
    scenario(
        "thresholds-moved",
        "thresholds",
        live(
            low=sure("low", 0.4, intent="x", priority=200),
            high=sure("high", 0.8, intent="x", targets=FRAUD),
        ),
        goal(
            low=sure("low", 0.3, intent="x", priority=200),
            high=sure("high", 0.9, intent="x", targets=FRAUD),
        ),
    ),
    scenario(
        "ties",
        "ties",
        live(a=at("a", intent="x"), b=at("b", intent="x", targets=FRAUD)),
        goal(a=at("z-last", intent="x"), b=at("b", intent="x", targets=FRAUD)),
    ),
)
