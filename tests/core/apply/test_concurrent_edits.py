"""Edits in the tenant during a run, and lost responses: cases that a reviewer found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.core.model.change import Applied, Failed
from reconciler.core.plan.review import ReviewedPlan
from reconciler.core.plan.stages import PlanOptions
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from tests.campaign.scenario import ROOMY, Scenario
from tests.campaign.scenario_rules import (
    CATCH_ALL,
    FRAUD,
    GENERAL,
    at,
    goal,
    goals,
    live,
    ours,
    scenario,
    theirs,
)
from tests.campaign.world import Applier, ApplierResult, Event, ObservedTenant, run


def applied(
    scene: Scenario,
    profile: str = "C",
    faults: str = "",
    *,
    saved: ReviewedPlan | None = None,
    at_request: int = 0,
    does: Callable[[ObservedTenant], object] = repr,
) -> tuple[ObservedTenant, ApplierResult]:
    """Apply a scenario's manifests, or a saved plan; before the given request an edit happens in
    the tenant.
    """
    world = ObservedTenant(scene, profile, 1)

    async def before(event: Event) -> None:
        if event.number == at_request:
            does(world)

    world.faults = FaultInjector(faults, 1) if faults else None
    applier = _applier(world, scene, saved)
    applier.before = before
    ended = run(applier)
    assert ended is not None
    return world, ended


def reviewed(scene: Scenario, profile: str = "C") -> ReviewedPlan:
    """Return the saved and reviewed plan."""
    return asyncio.run(_applier(ObservedTenant(scene, profile, 1), scene, None).saved())


def _applier(
    world: ObservedTenant, scene: Scenario, saved: ReviewedPlan | None
) -> Applier:
    return Applier(
        world,
        scene.wish,
        scene.environment,
        options=scene.options,
        allow=scene.allow,
        reviewed=saved,
    )


def writes(world: ObservedTenant) -> list[str]:
    """Return the methods of all writes."""
    requested = [event.request for event in world.events]
    return [
        item.method
        for item in requested
        if item.method != "GET" and "token" not in item.path
    ]


@pytest.mark.parametrize("way", ["--adopt", "adopt:"])
def test_a_rule_that_no_plan_showed_is_not_adopted(way: str) -> None:
    """A rule with the name that a manifest adopts is created after planning: the change fails."""
    adopting = {} if way == "--adopt" else {"x": "x"}
    wish = goals({"cards/x": at("x"), "cards/all": CATCH_ALL}, **adopting)
    scene = scenario(
        "adopt-meanwhile",
        "",
        live(all=CATCH_ALL),
        wish,
        options=PlanOptions(adopt=way == "--adopt"),
    )
    eve = theirs("human-1", at("x", targets=FRAUD, description="made by Eve"))
    world, ended = applied(scene, at_request=4, does=lambda world: world.state.put(eve))
    assert "made by Eve" == world.state.stored_rules["human-1"]["description"]
    assert ended.report
    assert isinstance(ended.report.outcomes[0], Failed)
    assert [] == writes(world)


@pytest.mark.parametrize("profile", ["A", "C"])
def test_a_reviewed_plan_swaps_names_although_a_response_is_lost(profile: str) -> None:
    """A parked rule without a response is recognised as the run's own work."""
    rules = live(a=at("a"), b=at("b"), all=CATCH_ALL)
    wish = goal(
        a=replace(at("a"), name="b"), b=replace(at("b"), name="a"), all=CATCH_ALL
    )
    scene = scenario("exchanged", "", rules, wish)
    world, ended = applied(
        scene, profile, "PUT rule:reset-applied@#1", saved=reviewed(scene, profile)
    )
    assert 0 == ended.exit_code
    assert ["a", "all", "b"] == sorted(rule["name"] for rule in world.state.rules())


@pytest.mark.parametrize("address", ["cards/x", "cards/other"])
def test_a_rule_of_another_owner_is_compared_at_any_address(address: str) -> None:
    """With a reviewed plan it may change if the plan moves no other conversation; two owners may
    use one address.
    """
    rules = [
        *live(x=at("x"), y=at("y"), all=CATCH_ALL),
        ours(
            address,
            at("theirs", intent="x", targets=GENERAL, priority=50),
            owner="staging",
            rule_id="st",
        ),
    ]
    # an update, and after it a delete
    wish = goal(x=at("x", targets=FRAUD), all=CATCH_ALL)
    scene = scenario("owners", "", rules, wish)
    _, ended = applied(
        scene,
        saved=reviewed(scene),
        at_request=5,
        does=lambda world: world.state.edit("st", priority=5),
    )
    assert 0 == ended.exit_code
    world, ended = applied(
        scene,
        saved=reviewed(scene),
        at_request=5,
        does=lambda world: world.state.edit("st", priority=500),
    )
    assert ["PUT"] == writes(world)
    assert 5 == ended.exit_code


@pytest.mark.parametrize(("at_request", "code"), [(4, 4), (5, 1)])
def test_guards_are_checked_again_after_an_edit_of_a_planned_rule(
    at_request: int, code: int
) -> None:
    """The plan changes the description of a protected rule, whose priority is edited: the run must
    not revert that.

    Before the first read of the run it is refused; after that the run ends. In both cases nothing
    was written.
    """
    guard = {**ROOMY, "protected": ["cards/x"]}
    wish = goal(x=at("x", description="new"), all=CATCH_ALL)
    scene = replace(
        scenario("protected", "", live(x=at("x"), all=CATCH_ALL), wish, guard=guard),
        allow=(),
    )
    world, ended = applied(
        scene,
        at_request=at_request,
        does=lambda world: world.state.edit("id-x", priority=7),
    )
    assert 7 == world.state.stored_rules["id-x"]["priority"]
    assert code == ended.exit_code
    assert [] == writes(world)


def test_guards_are_checked_again_after_an_unmanaged_rule_is_deleted() -> None:
    """The rule would take the conversations of a deleted rule: without it they would reach no
    queue.
    """
    cover = theirs("cover", replace(CATCH_ALL, name="by hand"))
    rules = [*live(x=at("x"), y=at("y")), cover]
    scene = replace(
        scenario("uncovered", "", rules, goal(x=at("x", targets=FRAUD))), allow=()
    )
    world, ended = applied(
        scene, at_request=5, does=lambda world: world.state.remove("cover")
    )
    assert ["PUT"] == writes(world)
    assert "id-y" in world.state.stored_rules
    assert 5 == ended.exit_code
    assert ended.report
    assert (
        "and now conversations that reach a queue today would fall"
        in ended.report.error
    )


def test_a_changed_managed_rule_outside_the_plan_ends_the_run() -> None:
    """The edit is not part of the plan, and the proof no longer holds."""
    rules = live(x=at("x"), y=at("y"), z=at("z"), all=CATCH_ALL)
    scene = scenario(
        "unplanned", "", rules, goal(x=at("x", targets=FRAUD), y=at("y"), all=CATCH_ALL)
    )
    world, ended = applied(
        scene, at_request=5, does=lambda world: world.state.edit("id-y", priority=7)
    )
    assert ["PUT"] == writes(world)
    assert 7 == world.state.stored_rules["id-y"]["priority"]
    assert 5 == ended.exit_code


def test_an_unclear_create_is_followed_by_a_read() -> None:
    """It is unknown whether it was done: no update of the same wave starts before the read."""
    scene = scenario(
        "unclear",
        "",
        live(x=at("x"), all=CATCH_ALL),
        goal(x=at("x", targets=FRAUD), n=at("n"), all=CATCH_ALL),
    )
    world, ended = applied(scene, faults="POST rules:500@#1")
    assert 0 == ended.exit_code
    requested = [
        (event.request.method, event.request.path.rpartition("/")[2])
        for event in world.events
    ]
    created = requested.index(("POST", "rules"))
    assert ("GET", "rules") == requested[created + 1]
    assert ("PUT", "id-x") in requested[created + 2 :]


def test_eighty_creates_that_no_list_shows_are_not_missing() -> None:
    """With lagging lists, the rules of this run are read by id."""
    wish = goals(
        {
            **{f"cards/k{number}": at(f"k{number}") for number in range(80)},
            "cards/all": CATCH_ALL,
        }
    )
    world, ended = applied(scenario("many", "", live(all=CATCH_ALL), wish), "D")
    assert 0 == ended.exit_code
    assert 81 == len(world.state.stored_rules)
    assert ended.report
    assert all(isinstance(outcome, Applied) for outcome in ended.report.outcomes)


def test_a_delete_that_is_refused_permanently_has_failed() -> None:
    """A conflict is a refusal, and the read after it shows the rule: the outcome is known."""
    scene = scenario(
        "conflict", "", live(x=at("x"), all=CATCH_ALL), goal(all=CATCH_ALL)
    )
    world, ended = applied(scene, faults="DELETE rule:409@1")
    assert "id-x" in world.state.stored_rules
    assert ended.report
    assert ["Failed"] == [type(outcome).__name__ for outcome in ended.report.outcomes]
    assert 1 == ended.exit_code


def test_a_state_neither_before_nor_after_the_change_is_reported() -> None:
    """The server kept another priority than was sent: the report names it, and that the rule
    changed.
    """
    scene = scenario(
        "kept",
        "",
        live(x=at("x"), all=CATCH_ALL),
        goal(x=at("x", targets=FRAUD), all=CATCH_ALL),
    )
    _, ended = applied(scene, faults="PUT rule:altered=priority@1")
    assert ended.report
    outcome = ended.report.outcomes[0]
    assert isinstance(outcome, Failed)
    assert "priority" in outcome.error
    assert outcome.left_partial
