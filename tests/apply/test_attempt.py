"""One attempt at one call: the rule is read again right before it is written, and only what the plan saw is written.

The real client on the simulator, without the loop around it (invariants R9).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from reconciler.apply.attempt import Attempt, Verdict, attempt_step, revert_step
from reconciler.apply.progress import matches_intent, matches_review
from reconciler.model.change import Adopt, Change, Create, Delete, PlanStep, Update
from reconciler.model.live import LiveRule
from reconciler.simulator.faults.injector import FaultInjector
from tests.support.builders import OWNER, address, managed, rule, unmanaged
from tests.support.in_process_tenant import InProcessTenant

X = address("cards/x")
LIVE = managed("id-x", "cards/x", rule("x"))
WANTED = rule("x", priority=7)
UPDATE = Update(address=X, live=LIVE, after=WANTED, fields=(), source=None, cause="manifest")
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
    """Undo once what a call made of a rule."""

    async def run() -> Attempt:
        return await revert_step(PlanStep(change), live, world.client())

    return asyncio.run(run())


def methods(world: InProcessTenant) -> list[str]:
    return [method for method, _ in world.writes()]


@pytest.mark.parametrize("change", [UPDATE, DELETE], ids=["update", "delete"])
@pytest.mark.parametrize("edit", EDITS, ids="".join)
def test_a_rule_that_is_not_as_the_plan_saw_it_is_not_written(change: Change, edit: dict[str, Any]) -> None:
    """Somebody changed it since the list was read, its marker too: neither PUT nor DELETE is sent."""
    world = InProcessTenant([LIVE])
    world.state.edit("id-x", **edit)
    result = tried(world, change)
    assert (Verdict.CONFLICT, "changed outside this run", False) == (
        result.verdict,
        result.error,
        result.was_sent,
    )
    assert [] == methods(world)


def test_a_rule_as_the_plan_saw_it_is_deleted() -> None:
    """Read, and then deleted."""
    world = InProcessTenant([LIVE])
    assert Verdict.DONE is tried(world, DELETE).verdict
    assert (["DELETE"], {}) == (methods(world), world.state.stored_rules)


@pytest.mark.parametrize(
    ("change", "verdict"), [(UPDATE, Verdict.CONFLICT), (DELETE, Verdict.DONE)], ids=["update", "delete"]
)
def test_a_rule_that_is_gone_is_not_written(change: Change, verdict: Verdict) -> None:
    """Then a delete is done, without a call, and an update is to be planned again."""
    world = InProcessTenant()
    result = tried(world, change)
    assert (verdict, False, []) == (result.verdict, result.was_sent, methods(world))


def test_a_rule_that_is_as_wanted_already_is_not_written_again() -> None:
    """A lost request was done late, or another run did the same."""
    world = InProcessTenant([managed("id-x", "cards/x", WANTED)])
    result = tried(world, UPDATE)
    assert (Verdict.DONE, "id-x", False, []) == (result.verdict, result.id, result.was_sent, methods(world))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"priority": 9}, "rule id-x, the original of this duplicate, was changed outside this run"),
        (None, "rule id-x, the original of this duplicate, was changed outside this run"),
        ({"division": "b"}, "it differs from rule id-x in division, so it is not a duplicate"),
    ],
    ids=["edited", "gone", "another division"],
)
def test_a_duplicate_is_deleted_only_while_its_original_exists(edit: dict[str, Any] | None, why: str) -> None:
    """Both are read right before: where one changed, what the list showed as a duplicate may be all that is left."""
    twin = managed("id-y", "cards/x", rule("x"))
    world = InProcessTenant([LIVE, twin])
    if edit is None:
        world.state.remove("id-x")
    else:
        world.state.edit("id-x", **edit)
    result = tried(world, Delete(address=X, live=twin, cause="duplicate", original=LIVE))
    assert (Verdict.CONFLICT, why, []) == (result.verdict, result.error, methods(world))


def test_a_duplicate_of_a_rule_that_is_there_is_deleted() -> None:
    """The rule itself stays."""
    twin = managed("id-y", "cards/x", rule("x"))
    world = InProcessTenant([LIVE, twin])
    assert Verdict.DONE is tried(world, Delete(address=X, live=twin, cause="duplicate", original=LIVE)).verdict
    assert ["id-x"] == [*world.state.stored_rules]


@pytest.mark.parametrize("edit", EDITS, ids="".join)
@pytest.mark.parametrize("change", [Create(X, WANTED, None), UPDATE], ids=["create", "update"])
def test_what_somebody_changed_since_is_not_taken_back(change: Change, edit: dict[str, Any]) -> None:
    """A first write is undone only as long as the rule is as that write left it."""
    written = managed("id-x", "cards/x", WANTED)
    world = InProcessTenant([written])
    world.state.edit("id-x", **edit)
    result = taken_back(world, change, written)
    assert (Verdict.CONFLICT, False, []) == (result.verdict, result.was_sent, methods(world))


def test_an_update_is_taken_back_field_by_field() -> None:
    """The rule is written as it was read before, and is as it was."""
    written = managed("id-x", "cards/x", WANTED)
    world = InProcessTenant([written])
    assert Verdict.DONE is taken_back(world, UPDATE, written).verdict
    assert (["PUT"], 100) == (methods(world), world.state.stored_rules["id-x"].rule["priority"])


def test_an_update_of_a_rule_that_is_gone_is_not_taken_back() -> None:
    """Whoever deleted it meant that."""
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
def test_each_answer_to_a_write_is_one_verdict(
    fault: str, verdict: Verdict, doubt: str, *, may_have_written: bool
) -> None:
    """api-contract "Errors": what is tried again, what failed, and of what nobody knows whether it was done."""
    result = tried(InProcessTenant([LIVE], faults=FaultInjector(fault, 1)), UPDATE)
    assert (verdict, doubt, may_have_written) == (result.verdict, result.uncertainty, result.may_have_written), result


def test_without_a_review_another_state_of_the_same_rule_is_admitted() -> None:
    """But no delete for an update, and no adoption of a rule that was not planned."""
    edited = replace(UPDATE, live=managed("id-x", "cards/x", rule("x", priority=9)))
    by_hand, other = unmanaged("id-x", rule("x")), unmanaged("id-z", rule("x"))
    adopt = Adopt(address=X, live=by_hand, after=WANTED, fields=(), source=None)
    assert matches_intent(UPDATE, edited)
    assert not matches_intent(UPDATE, DELETE)
    assert not matches_intent(DELETE, UPDATE)
    assert matches_intent(adopt, replace(adopt, after=rule("x")))
    assert not matches_intent(adopt, replace(adopt, live=other))
    assert not matches_intent(Create(X, WANTED, None), adopt)


def test_with_a_review_only_the_very_change_is_admitted() -> None:
    """The same kind, the rule before in its reviewed state, and the rule after."""
    assert matches_review(UPDATE, replace(UPDATE, cause="both"))
    assert not matches_review(UPDATE, replace(UPDATE, live=managed("id-x", "cards/x", rule("x", priority=9))))
    assert not matches_review(UPDATE, replace(UPDATE, live=replace(LIVE, id="id-z")))
    assert not matches_review(UPDATE, replace(UPDATE, live=replace(LIVE, marker=None)))
    assert not matches_review(UPDATE, replace(UPDATE, after=rule("x", priority=8)))
    assert not matches_review(UPDATE, replace(UPDATE, unadopts=True))
    assert not matches_review(UPDATE, Adopt(address=X, live=LIVE, after=WANTED, fields=(), source=None))
