"""Small scenarios for manual histories."""

from __future__ import annotations

from tests.campaign.oracle_by_hand import Hand
from tests.campaign.scenario_rules import (
    CATCH_ALL,
    FRAUD,
    at,
    goal,
    live,
    ours,
    scenario,
    theirs,
)

RENAMED = scenario(
    "renamed", "", live(old=at("old", intent="x")), goal(new=at("new", intent="x"))
)
CHANGED = scenario("changed", "", live(x=at("x")), goal(x=at("x", targets=FRAUD)))
SAME = scenario("same", "", live(x=at("x")), goal(x=at("x")))
BESIDE = scenario(
    "beside",
    "",
    [*live(x=at("x")), theirs("f", at("f"))],
    goal(x=at("x", targets=FRAUD)),
)
GOES = scenario("goes", "", live(x=at("x"), y=at("y")), goal(x=at("x")))
NEW = scenario(
    "new", "", live(y=at("y"), z=at("z")), goal(x=at("x"), w=at("w"), y=at("y"))
)
_X = ours("cards/x", at("x"))
ODD = scenario(
    "odd",
    "",
    [{**_X, "tag": 1, "conditions": [{**_X["conditions"][0], "odd": 1}]}],
    goal(x=at("x", targets=FRAUD)),
)
THREE = scenario(
    "three",
    "",
    live(x=at("x"), all=CATCH_ALL),
    goal(x=at("x", targets=FRAUD), all=CATCH_ALL),
)

_LINES = at("x", description="First.\n\nSecond.")
_JOINED = ours("cards/x", _LINES)
_JOINED["description"] = _JOINED["description"].replace(
    "First.\n\nSecond.", "First. Second."
)
JOINED = scenario("joined", "", [_JOINED], goal(x=_LINES))
_OTHER = at("y", description="Two\n\nlines.")
CONTRADICTED = scenario(
    "contradicted", "", [_JOINED, ours("cards/y", _OTHER)], goal(x=_LINES, y=_OTHER)
)
REVIEWED = scenario(
    "reviewed",
    "",
    [*live(x=at("x")), theirs("f", at("x", priority=1))],
    CHANGED.wish,
    reviewed=True,
)


def right() -> Hand:
    """A rule gets another key correctly: the new one is created, read, and then the old one is
    deleted.
    """
    hand = Hand(RENAMED).start()
    hand.post(hand.wished("cards/new")).list()
    return hand.get("id-old").delete("id-old").list()
