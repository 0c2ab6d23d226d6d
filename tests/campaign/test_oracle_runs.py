"""The oracle on the requests and reports of complete runs: R8 to R22, right and wrong manual
histories.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import Applied, Skipped
from tests.campaign.oracle import Violation, fingerprint
from tests.campaign.oracle_by_hand import Hand
from tests.campaign.oracle_facts import mark
from tests.campaign.oracle_histories import (
    CHANGED,
    CONTRADICTED,
    GOES,
    JOINED,
    NEW,
    RENAMED,
    REVIEWED,
    SAME,
    right,
)
from tests.campaign.scenario_rules import at, ours
from tests.campaign.world import SECRET, Applier, ObservedTenant, run


def test_r8_a_refused_run_has_written_nothing() -> None:
    """Exit code 4 after a write is false."""
    hand = Hand(CHANGED).start()
    assert set() == hand.end(4).broken()
    hand.get("id-x").put("id-x", hand.wished("cards/x"))
    assert {"R8"} == hand.end(4).broken()


def test_r9_each_rule_is_read_just_before_it_is_written() -> None:
    """By itself; and the ETag is sent."""
    hand = Hand(CHANGED).start()
    assert {"R9"} == hand.put("id-x", hand.wished("cards/x")).broken()
    hand = Hand(CHANGED, "A").start().get("id-x")
    assert {"R9"} == hand.put("id-x", hand.wished("cards/x")).broken()
    hand = Hand(CHANGED).start().get("id-x")
    body = hand.wished("cards/x")
    assert {"R9"} == hand.put("id-x", body).put("id-x", body).broken()


def test_r9_a_reviewed_plan_stops_if_the_listed_rules_let_it_move_more() -> None:
    """An unmanaged rule that no longer hides the written one: in a list it counts, in a single read
    it does not.
    """
    hand = Hand(REVIEWED)
    hand.oracle.reviewed("a")
    hand.start().world.state.edit("f", hand.world.clock(), priority=900)
    body = hand.get("f").get("id-x").wished("cards/x")
    assert set() == hand.put("id-x", body).broken()
    assert {"R9"} == hand.list().get("id-x").put("id-x", body).broken()


def test_r10_a_plan_writes_nothing() -> None:
    """The tool's own plan, and a writing one."""
    hand = Hand(CHANGED).start()
    hand.oracle.planned(hand.applier)
    assert set() == hand.broken()
    hand.get("id-x").put("id-x", hand.wished("cards/x")).oracle.planned(hand.applier)
    assert {"R10"} == hand.broken()


def test_r11_two_complete_lists_come_before_the_first_create_or_delete() -> None:
    """One is not enough; neither are two of which a page had a duplicate item."""
    hand = Hand(NEW).sign_in().list()
    hand.ask("GET", "/api/v2/routing/queues?pageNumber=1&pageSize=5")
    assert {"R11"} == hand.post(hand.wished("cards/x")).broken()
    hand = Hand(NEW, faults="GET rules:missing@#2").start()
    assert {"R11"} == hand.post(hand.wished("cards/x")).broken()


def test_r12_only_listed_queues_are_written() -> None:
    """In this run."""
    hand = Hand(NEW).sign_in().list().list()
    assert {"R12"} == hand.post(hand.wished("cards/x")).broken()


@pytest.mark.parametrize(
    "form", ["canary-s3cret/+=", "canary-s3cret%2F%2B%3D", "Y2FuYXJ5LXMzY3JldC8rPQ"]
)
def test_r13_no_secret_is_in_the_output(form: str) -> None:
    """Plain, percent-encoded or in base64; no token either."""
    hand = right()
    hand.world.said.append(f"so {form} it is")
    assert {"R13"} == hand.end().broken()
    hand = right()
    hand.world.said.append(hand.token)
    assert {"R13"} == hand.end().broken()
    assert SECRET not in str(hand.oracle.counts)


def test_r15_in_the_end_the_tenant_is_as_desired() -> None:
    """A missing rule, an extra one, an extra copy."""
    for each in (RENAMED, GOES, NEW):
        hand = Hand(each)
        hand.oracle.quiet()
        assert {"R15"} == hand.broken()
    copy = {
        **ours("cards/x", at("x")),
        "id": "c",
        "description": "Routes x\n[cxroute:acme/cards/x~next#00000000]",
    }
    actual = mark(copy)
    assert ("acme", "cards/x", True) == actual
    hand = right()
    hand.oracle.quiet()
    assert set() == hand.broken()


def test_r16_a_run_on_a_converged_tenant_writes_nothing_and_reads_little() -> None:
    """An unnecessary write; a third list."""
    hand = Hand(SAME).start().get("id-x")
    assert {"R16"} == hand.put("id-x", hand.wished("cards/x")).list().end().broken()
    assert {"R16"} == Hand(SAME).start().list().end().broken()
    assert set() == Hand(SAME).start().end().broken()


def test_r18_the_exit_code_and_each_outcome_are_true() -> None:
    """Zero although a rule is missing; a change without an outcome; a false `applied` or
    `skipped`.
    """
    assert {"R18"} == Hand(NEW).start().end(0).broken()
    created = _planned(CHANGED)
    outcome = Applied(created.changes[0], 1, "id-x")
    assert {"R18"} == Hand(CHANGED).start().end(
        5, planned=created, report=_report(outcome)
    ).broken()
    assert {"R18"} == Hand(CHANGED).start().end(
        5, planned=created, report=_report()
    ).broken()
    skipped = Skipped(created.changes[0], "not tried")
    assert (
        set()
        == Hand(CHANGED)
        .start()
        .end(1, planned=created, report=_report(skipped))
        .broken()
    )
    hand = Hand(CHANGED).start().get("id-x")
    hand.put("id-x", hand.wished("cards/x")).list()
    assert {"R18"} == hand.end(5, planned=created, report=_report(skipped)).broken()


def test_r18_a_text_that_the_tenant_joined_needs_a_finding() -> None:
    """With it, the run may end with 0; not if another managed rule shows that the tenant keeps
    white space.
    """
    planned = _planned(JOINED)
    assert ["CXR340"] == [finding.code for finding in planned.findings]
    assert set() == Hand(JOINED).start().end(0, planned=planned).broken()
    assert {"R18"} == Hand(JOINED).start().end(
        0, planned=replace(planned, findings=())
    ).broken()
    assert {"R18"} == Hand(CONTRADICTED).start().end(0).broken()


def test_r18_a_run_cannot_know_of_writes_after_its_last_read() -> None:
    """A user removes the rule after the run's last read."""
    hand = right()
    hand.world.state.remove(next(iter(hand.world.state.stored_rules)))
    assert set() == hand.end(0).broken()


def test_r19_the_written_rule_is_the_manifests_rule() -> None:
    """Except for its name, which may be a temporary one."""
    hand = Hand(CHANGED).start().get("id-x")
    assert set() == hand.put("id-x", hand.wished("cards/x", name="(next) x")).broken()
    hand = Hand(CHANGED).start().get("id-x")
    assert {"R19"} == hand.put("id-x", hand.wished("cards/x", priority=7)).broken()


def test_r20_a_token_is_used_until_it_is_refused() -> None:
    """An unnecessary second one; a third attempt after two refusals."""
    assert {"R20"} == Hand(SAME).sign_in().sign_in().broken()
    hand = (
        Hand(SAME, faults="GET rule:401@#1-2")
        .sign_in()
        .get("id-x")
        .sign_in()
        .get("id-x")
    )
    assert set() == hand.broken()
    assert {"R20"} == hand.sign_in().get("id-x").broken()


def test_r21_a_failed_request_is_repeated_at_most_four_times() -> None:
    """A wrong one is not repeated, and not everything is repeated ten times.

    A 429 is waited out, but not forever.
    """
    hand = Hand(SAME, faults="GET rule:503").start()
    for _ in range(4):
        hand.get("id-x").list()
    assert set() == hand.broken()
    hand = Hand(SAME, faults="GET rule:429").start()
    for _ in range(8):
        hand.get("id-x")
    assert set() == hand.broken()
    hand.world.fake_clock.seconds += 90.0
    assert {"R21"} == hand.get("id-x").get("id-x").broken()
    hand = Hand(NEW, faults="POST rules:422").start()
    assert {"R21"} == hand.post(hand.wished("cards/x")).post(
        hand.wished("cards/x")
    ).broken()
    hand = Hand(
        SAME,
        faults=",".join(
            f"GET rule:503@#{start}-{start + 2}" for start in range(1, 60, 4)
        ),
    ).start()
    for number in range(60):
        hand.get(f"r{number % 20}")
    assert {"R21"} == hand.broken()


def test_r22_two_runs_of_one_case_send_the_same_requests() -> None:
    """And another history has another fingerprint."""
    assert fingerprint(right().world) == fingerprint(right().world)
    assert fingerprint(right().world) != fingerprint(right().list().world)


def test_a_violation_names_its_place() -> None:
    """The sender, the rule, the conversation."""
    actual = Hand(RENAMED).start().get("id-old").delete("id-old").oracle.violations[0]
    message = (
        "no rule serves {'cognigyDetectedIntent': 'x'} after a wrote the end of 'old'"
    )
    assert Violation("R3", message) == actual


def _planned(each: Any) -> Any:
    world = ObservedTenant(each, "C", 1)
    ended = run(Applier(world, each.wish, each.environment, allow=each.allow))
    assert ended is not None
    return ended.planned


def _report(*outcomes: Any) -> ApplyReport:
    return ApplyReport(outcomes=outcomes, converged=False)
