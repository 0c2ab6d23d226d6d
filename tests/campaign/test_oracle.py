"""The oracle reports broken promises, and nothing else: right and wrong manual histories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.campaign.oracle import Oracle
from tests.campaign.oracle_by_hand import RULES, Hand
from tests.campaign.oracle_histories import (
    BESIDE,
    CHANGED,
    GOES,
    NEW,
    ODD,
    RENAMED,
    THREE,
    right,
)
from tests.campaign.scenario_rules import FRAUD, at, goal, live, scenario, theirs
from tests.campaign.world import Applier, ObservedTenant, run
from tests.support.builders import desired, rule, wanted
from tests.support.cases import each_case


def test_a_correct_run_breaks_no_promise() -> None:
    """Each kind of check was made, and the next run writes nothing."""
    hand = right().end()
    hand.again().sign_in().list()
    hand.ask("GET", "/api/v2/routing/queues?pageNumber=1&pageSize=5")
    hand.end().oracle.quiet()
    assert [] == hand.oracle.violations
    checked = {
        "R1",
        "R3",
        "R4",
        "R5",
        "R6",
        "R7",
        "R9",
        "R11",
        "R12",
        "R13",
        "R15",
        "R16",
        "R18",
        "R20",
        "R21",
    }
    checked.add("promises")
    assert set() == checked - {*hand.oracle.counts}


@pytest.mark.slow
def test_the_tool_itself_breaks_no_promise() -> None:
    """The real one, on all profiles."""
    for profile in "ABCDE":
        for each in (RENAMED, CHANGED, BESIDE, GOES, NEW, ODD, THREE):
            world = ObservedTenant(each, profile, 1)
            oracle = Oracle(world, each)
            applier = Applier(world, each.wish, each.environment, allow=each.allow)
            oracle.ended(applier, run(applier))
            oracle.quiet()
            assert [] == oracle.violations, (profile, each.name)


def test_r1_only_managed_rules_are_written() -> None:
    """An unmanaged rule, one that was never read, and one that loses its marker by the write."""
    hand = Hand(BESIDE).start().get("f")
    assert {"R1"} <= hand.put("f", hand.wished("cards/x")).broken()
    hand = Hand(BESIDE).sign_in()
    assert {"R1", "R9", "R11"} <= hand.delete("id-x").broken()
    hand = Hand(BESIDE).start().get("id-x")
    assert {"R1"} <= hand.put(
        "id-x", hand.wished("cards/x", description="nobody's")
    ).broken()
    hand = Hand(BESIDE).start()
    hand.ask("PATCH", f"{RULES}/id-x", {})
    assert {"R1"} == hand.broken()


def test_r1_a_planned_adoption_is_allowed() -> None:
    """By name; an unmarked rule of another name must still not be written."""
    wish = desired(
        wanted("cards/f", at("f", targets=FRAUD), adopt="f"), wanted("cards/x", at("x"))
    )
    each = scenario(
        "adopt",
        "",
        [*live(x=at("x")), theirs("f", at("f")), theirs("g", at("g"))],
        wish,
    )
    hand = Hand(each).start().get("f")
    hand.put("f", hand.wished("cards/f"))
    assert set() == hand.broken()
    assert {"R1"} <= hand.get("g").put("g", hand.wished("cards/f", name="g")).broken()


def test_r1_counts_a_removed_marker_if_the_server_has_etags() -> None:
    """Without ETags the tool cannot know of it; with them the server refuses."""
    for profile in "AC":
        hand = Hand(CHANGED, profile).start()
        answer = hand.ask("GET", f"{RULES}/id-x")
        hand.world.state.edit("id-x", description="mine now")
        etag = (
            {"if-match": answer.headers["etag"]}
            if answer and "etag" in answer.headers
            else {}
        )
        hand.put("id-x", hand.wished("cards/x"), **etag)
        assert set() == hand.broken()


def test_r2_undeclared_parts_are_written_back() -> None:
    """In the rule, and in its remaining parts."""
    hand = Hand(ODD).start().get("id-x")
    assert {"R2"} == hand.put("id-x", hand.wished("cards/x")).broken()
    hand = Hand(ODD).start().get("id-x")
    plain = hand.wished("cards/x", hand.rule("id-x"))
    assert {"R2"} == hand.put("id-x", plain).broken()
    hand = Hand(ODD).start().get("id-x")
    retained = hand.wished(
        "cards/x", hand.rule("id-x"), conditions=hand.rule("id-x")["conditions"]
    )
    assert set() == hand.put("id-x", retained).broken()


def test_r3_no_conversation_is_unrouted_on_the_way() -> None:
    """The old rule is deleted before the new one exists."""
    hand = Hand(RENAMED).start().get("id-old").delete("id-old")
    assert {"R3", "promises"} == hand.broken()


def test_r4_no_conversation_goes_to_a_third_queue() -> None:
    """The rule is deleted, and the catch-all takes over; also by a tie."""
    hand = Hand(THREE).start().get("id-x").delete("id-x")
    assert {"R4", "promises"} == hand.broken()
    hand = Hand(THREE).start().get("id-x")
    tied = hand.wished("cards/x", priority=900, targets=hand.rule("id-x")["targets"])
    assert {"R4", "R19", "promises"} == hand.put("id-x", tied).broken()
    hand = Hand(THREE).start().get("id-x")
    assert set() == hand.put("id-x", hand.wished("cards/x")).broken()


def test_r4_a_users_change_is_not_a_fault_of_an_applier() -> None:
    """From then on that state is allowed too; but no third one."""
    hand = Hand(THREE).start()
    hand.world.state.remove("id-x")
    hand.list().list()
    assert set() == hand.post(hand.wished("cards/x")).broken()
    hand = Hand(THREE).start()
    hand.world.state.edit("id-all", targets=hand.rule("id-x")["targets"])
    hand.list().get("id-all")
    hand.put(
        "id-all",
        hand.wished(
            "cards/all", targets=[{"type": "queue", "queueId": "q-fraud", "weight": 1}]
        ),
    )
    assert {"R4", "R19", "promises"} == hand.broken()


def test_r5_nothing_exists_twice() -> None:
    """Created twice; a user's copy does not count; neither does a delayed request, until the
    end.
    """
    hand = Hand(NEW).start()
    body = hand.wished("cards/x")
    assert {"R5"} <= hand.post(body).list().post(body).broken()
    hand = Hand(CHANGED).start()
    hand.world.state.put({**hand.rule("id-x"), "id": "copy", "name": "copy"})
    assert set() == hand.broken()
    hand = Hand(NEW, faults="POST rules:late=2@#1").start()
    hand.post(hand.wished("cards/x")).list()
    assert set() == hand.list().broken() - {"R6"}
    hand.post(hand.wished("cards/x"))
    assert set() == hand.broken()
    hand.oracle.quiet()
    assert {"R5", "R15"} == hand.broken()


def test_r5_two_appliers_may_race_but_not_leave_a_duplicate() -> None:
    """While both run it is not a fault; at quiescence it must not exist."""
    hand = Hand(NEW).start()
    first = hand.applier
    line = hand.line
    hand.again("b").start().post(hand.wished("cards/x"))
    hand.applier, hand.line = first, line
    hand.post(hand.wished("cards/x"))
    assert set() == hand.broken()
    hand.oracle.quiet()
    assert {"R5", "R15"} == hand.broken()


@each_case(
    "fault",
    ["500", "500-applied", "reset-applied", "timeout", "html", "empty", "no-id"],
)
def test_r6_a_read_follows_a_lost_response(fault: str) -> None:
    """The same key is not written, nothing is deleted; another key may be, and after a read all is
    allowed.
    """
    hand = Hand(NEW, faults=f"POST rules:{fault}@#1").start()
    body = hand.wished("cards/x")
    hand.post(body)
    assert set() == hand.post(hand.wished("cards/w")).broken()
    assert {"R6"} <= hand.get("id-z").delete("id-z").broken()
    hand = Hand(NEW, faults=f"POST rules:{fault}@#1").start()
    assert {"R6"} <= hand.post(body).post(body).broken()
    hand = Hand(NEW, faults="POST rules:500@#1").start()
    assert (
        set()
        == hand.post(body).list().post(body).list().get("id-z").delete("id-z").broken()
    )


@each_case("fault", ["refuse", "401", "429", "409", "422", "501"])
def test_r6_a_write_that_was_surely_not_done_leaves_nothing_open(fault: str) -> None:
    """The response itself says so."""
    hand = Hand(NEW, faults=f"POST rules:{fault}@#1").start()
    body = hand.wished("cards/x")
    assert "R6" not in hand.post(body).post(body).broken()


def test_r6_a_repeat_that_the_server_recognises_is_not_a_second_write() -> None:
    """With the Idempotency-Key of the first one, if the server has such keys."""
    for profile, expected in (("E", set()), ("C", {"R6"})):
        hand = Hand(NEW, profile, "POST rules:500-applied@#1").start()
        for _ in range(2):
            hand.ask("POST", RULES, hand.wished("cards/x"), **{"idempotency-key": "k"})
        assert expected == hand.broken() - {"R5"}


def test_r6_an_incomplete_list_is_not_a_read() -> None:
    """Its last page is missing."""
    many = replace(
        NEW,
        rules=(
            *NEW.rules,
            *(theirs(f"f{number}", at(f"f{number}")) for number in range(5)),
        ),
    )
    hand = Hand(many, faults="POST rules:500@#1").start()
    hand.post(hand.wished("cards/x"))
    hand.ask("GET", f"{RULES}?pageNumber=1&pageSize=5")
    assert {"R6", "R11"} == hand.post(hand.wished("cards/x")).broken()


def test_r7_a_replacement_was_read_and_not_only_written() -> None:
    """The response to the write or an older read is not enough."""
    hand = Hand(RENAMED).start()
    hand.post(hand.wished("cards/new")).get("id-old").delete("id-old")
    assert {"R7"} == hand.broken()


def test_r7_a_rule_that_serves_for_a_failed_one_is_not_deleted() -> None:
    """Even if another rule to the same queue takes over."""
    rules = [
        *live(old=at("old", intent="x")),
        theirs("f", rule("f", conditions=[], priority=900)),
    ]
    hand = Hand(
        scenario("failed", "", rules, goal(new=at("new", intent="x"))),
        faults="POST rules:422",
    ).start()
    hand.post(hand.wished("cards/new")).list().get("id-old").delete("id-old")
    assert {"R7"} == hand.broken()
    hand = Hand(GOES).start().get("id-y").delete("id-y")
    assert set() == hand.broken()
