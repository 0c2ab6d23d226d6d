"""One attempt at one call: the rule is read again just before the write, and written only in the
planned state.

The real client with the simulator, without the loop around it (invariants R9).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.apply.attempt import Attempt, Verdict, attempt_step, revert_step
from reconciler.core.apply.progress import matches_intent, matches_review
from reconciler.core.model.change import Adopt, Change, Create, Delete, PlanStep, Update
from reconciler.core.model.live import LiveRule
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from tests.support.builders import OWNER, address, managed, rule, unmanaged
from tests.support.cases import each_case
from tests.support.in_process_tenant import InProcessTenant

X = address("cards/x")
LIVE = managed("id-x", "cards/x", rule("x"))
WANTED = rule("x", priority=7)
UPDATE = Update(
    address=X, live=LIVE, after=WANTED, fields=(), source=None, cause="manifest"
)
DELETE = Delete(address=X, live=LIVE, cause="manifest")
EDITS: list[dict[str, Any]] = [
    {"priority": 77},
    {"enabled": False},
    {"description": "mine now"},
    {"targets": []},
]


def tried(world: InProcessTenant, change: Change) -> Attempt:
    """Try a change's one call once."""

    async def run() -> Attempt:
        return await attempt_step(PlanStep(change), OWNER, world.client())

    return asyncio.run(run())


def taken_back(world: InProcessTenant, change: Change, live: LiveRule) -> Attempt:
    """Revert a call on a rule once."""

    async def run() -> Attempt:
        return await revert_step(PlanStep(change), live, world.client())

    return asyncio.run(run())


def methods(world: InProcessTenant) -> list[str]:
    return [method for method, _ in world.writes()]


@each_case("change", [UPDATE, DELETE])
@each_case("edit", EDITS)
def test_a_rule_that_is_not_in_the_planned_state_is_not_written(
    change: Change, edit: dict[str, Any]
) -> None:
    """It was edited since the list was read, or lost its marker: neither PUT nor DELETE is sent."""
    world = InProcessTenant([LIVE])
    world.state.edit("id-x", **edit)
    result = tried(world, change)
    assert (Verdict.CONFLICT, "changed outside this run", False) == (
        result.verdict,
        result.error,
        result.was_sent,
    )
    assert [] == methods(world)


def test_a_rule_in_the_planned_state_is_deleted() -> None:
    """After a read."""
    world = InProcessTenant([LIVE])
    assert Verdict.DONE is tried(world, DELETE).verdict
    assert (["DELETE"], {}) == (methods(world), world.state.stored_rules)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(UPDATE, Verdict.CONFLICT), (DELETE, Verdict.DONE)],
    ids=["update", "delete"],
)
def test_a_deleted_rule_is_not_written(change: Change, verdict: Verdict) -> None:
    """Then a delete is done without a call, and an update must be planned again."""
    world = InProcessTenant()
    result = tried(world, change)
    assert (verdict, False, []) == (result.verdict, result.was_sent, methods(world))


def test_a_rule_in_the_desired_state_is_not_written_again() -> None:
    """A lost request was done late, or another run made the same change."""
    world = InProcessTenant([managed("id-x", "cards/x", WANTED)])
    result = tried(world, UPDATE)
    assert (Verdict.DONE, "id-x", False, []) == (
        result.verdict,
        result.id,
        result.was_sent,
        methods(world),
    )


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (
            {"priority": 9},
            "rule id-x, the original of this duplicate, was changed outside this run",
        ),
        (
            None,
            "rule id-x, the original of this duplicate, was changed outside this run",
        ),
        (
            {"division": "b"},
            "it differs from rule id-x in division, so it is not a duplicate",
        ),
    ],
    ids=["edited", "gone", "another division"],
)
def test_a_duplicate_is_deleted_only_while_its_original_exists(
    edit: dict[str, Any] | None, why: str
) -> None:
    """Both are read just before: if one changed, the listed duplicate may be the only remaining
    rule.
    """
    twin = managed("id-y", "cards/x", rule("x"))
    world = InProcessTenant([LIVE, twin])
    if edit is None:
        world.state.remove("id-x")
    else:
        world.state.edit("id-x", **edit)
    result = tried(
        world, Delete(address=X, live=twin, cause="duplicate", original=LIVE)
    )
    assert (Verdict.CONFLICT, why, []) == (result.verdict, result.error, methods(world))


def test_a_duplicate_of_an_existing_rule_is_deleted() -> None:
    """The original stays."""
    twin = managed("id-y", "cards/x", rule("x"))
    world = InProcessTenant([LIVE, twin])
    assert (
        Verdict.DONE
        is tried(
            world, Delete(address=X, live=twin, cause="duplicate", original=LIVE)
        ).verdict
    )
    assert ["id-x"] == [*world.state.stored_rules]


@each_case("edit", EDITS)
@each_case("change", [Create(X, WANTED, None), UPDATE])
def test_a_first_write_that_was_edited_is_not_reverted(
    change: Change, edit: dict[str, Any]
) -> None:
    """It is reverted only while the rule is in the state of that write."""
    stored = managed("id-x", "cards/x", WANTED)
    world = InProcessTenant([stored])
    world.state.edit("id-x", **edit)
    result = taken_back(world, change, stored)
    assert (Verdict.CONFLICT, False, []) == (
        result.verdict,
        result.was_sent,
        methods(world),
    )


def test_an_update_is_reverted_field_by_field() -> None:
    """The rule is written with the fields of the earlier read, and has its earlier state."""
    stored = managed("id-x", "cards/x", WANTED)
    world = InProcessTenant([stored])
    assert Verdict.DONE is taken_back(world, UPDATE, stored).verdict
    assert (["PUT"], 100) == (
        methods(world),
        world.state.stored_rules["id-x"]["priority"],
    )


def test_an_update_of_a_deleted_rule_is_not_reverted() -> None:
    """The deletion was intended."""
    world = InProcessTenant()
    result = taken_back(world, UPDATE, managed("id-x", "cards/x", WANTED))
    assert (Verdict.CONFLICT, "deleted outside this run", []) == (
        result.verdict,
        result.error,
        methods(world),
    )


@pytest.mark.parametrize(
    ("fault", "verdict", "doubt", "may_have_written"),
    [
        ("PUT rule:429", Verdict.RETRY, "none", False),
        ("PUT rule:503", Verdict.RETRY, "lasting", True),
        ("PUT rule:reset-applied", Verdict.RETRY, "lasting", True),
        ("PUT rule:refuse", Verdict.RETRY, "none", False),
        ("PUT rule:409", Verdict.RETRY, "until read", True),
        ("PUT rule:404", Verdict.CONFLICT, "none", False),
        ("PUT rule:412", Verdict.CONFLICT, "none", False),
        ("PUT rule:422", Verdict.FAILED, "none", False),
        ("PUT rule:403", Verdict.ABORT, "none", False),
        ("PUT rule:other", Verdict.ALTERED, "none", True),
    ],
)
def test_each_response_to_a_write_is_one_verdict(
    fault: str, verdict: Verdict, doubt: str, *, may_have_written: bool
) -> None:
    """api-contract "Errors": a retry, a failure, or an unknown outcome."""
    result = tried(InProcessTenant([LIVE], faults=FaultInjector(fault, 1)), UPDATE)
    assert (verdict, doubt, may_have_written) == (
        result.verdict,
        result.uncertainty,
        result.may_have_written,
    ), result


def test_without_a_review_another_state_of_the_same_rule_is_accepted() -> None:
    """But not a delete instead of an update, and not an adoption that was not planned."""
    edited = replace(UPDATE, live=managed("id-x", "cards/x", rule("x", priority=9)))
    by_hand = unmanaged("id-x", rule("x"))
    candidate = unmanaged("id-z", rule("x"))
    adopt = Adopt(address=X, live=by_hand, after=WANTED, fields=(), source=None)
    assert matches_intent(UPDATE, edited)
    assert not matches_intent(UPDATE, DELETE)
    assert not matches_intent(DELETE, UPDATE)
    assert matches_intent(adopt, replace(adopt, after=rule("x")))
    assert not matches_intent(adopt, replace(adopt, live=candidate))
    assert not matches_intent(Create(X, WANTED, None), adopt)


def test_with_a_review_only_the_same_change_is_accepted() -> None:
    """The same kind, the reviewed state of the rule before, and the same rule after."""
    assert matches_review(UPDATE, replace(UPDATE, cause="both"))
    assert not matches_review(
        UPDATE, replace(UPDATE, live=managed("id-x", "cards/x", rule("x", priority=9)))
    )
    assert not matches_review(UPDATE, replace(UPDATE, live=replace(LIVE, id="id-z")))
    assert not matches_review(UPDATE, replace(UPDATE, live=replace(LIVE, marker=None)))
    assert not matches_review(UPDATE, replace(UPDATE, after=rule("x", priority=8)))
    assert not matches_review(UPDATE, replace(UPDATE, unadopts=True))
    assert not matches_review(
        UPDATE, Adopt(address=X, live=LIVE, after=WANTED, fields=(), source=None)
    )
