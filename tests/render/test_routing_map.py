"""The routing map: which rule sends which callers to which queue, before and after the plan."""

from __future__ import annotations

from reconciler.core.model.rule import make_condition
from reconciler.core.plan.stages import Changes
from reconciler.render.routing_map import Lane, build_routing_map
from tests.support.builders import at_least, intent_is, managed, rule, unmanaged, wanted
from tests.support.plans import FRAUD, GENERAL, assessed_plan, plan_of_everything


def lanes(made: Changes) -> dict[str, Lane]:
    return {lane.rule: lane for lane in build_routing_map(made)}


def test_every_rule_is_a_lane_with_its_state() -> None:
    """New, deleted, changed, unchanged; unmanaged rules and those with a deleted copy are
    included.
    """
    actual = [
        (lane.rule, lane.state) for lane in build_routing_map(plan_of_everything())
    ]
    assert [
        ("cards/twice", "gone"),
        ("cards/fax", "gone"),
        ("cards/lost", "changed"),
        ("cards/both", "changed"),
        ("cards/hand", "changed"),
        ("cards/new", "new"),
        ("cards/off", "new"),
        ('"partner"', "same"),
    ] == actual[:8]
    assert {"same"} == {state for _, state in actual[8:]}


def test_queues_are_those_before_and_after() -> None:
    """A rerouted rule has both; a new rule has none before; a rule that stays disabled is not on
    the map.
    """
    moved = rule("moved", targets=FRAUD)
    new = rule("new", targets=[])
    off = rule("off", enabled=False)
    want = [
        wanted("cards/moved", moved),
        wanted("cards/new", new),
        wanted("cards/off", off),
    ]
    live = [
        managed("1", "cards/moved", rule("moved", targets=GENERAL)),
        managed("2", "cards/off", off),
    ]
    actual = lanes(assessed_plan(want, live))
    sides = {
        name: (lane.before, lane.after, lane.state) for name, lane in actual.items()
    }
    assert {
        "cards/moved": (("General",), ("Fraud",), "changed"),
        "cards/new": ((), ("no queue",), "new"),
    } == sides


def test_a_change_without_effect_on_callers_leaves_the_lane_unchanged() -> None:
    """A new description or name does not change the lane."""
    created = assessed_plan(
        [wanted("cards/a", rule("a", description="new"))],
        [managed("1", "cards/a", rule("a", description="old"))],
    )
    assert ["same"] == [lane.state for lane in build_routing_map(created)]


def test_callers_are_named_by_intents_or_by_conditions() -> None:
    """Three intents by name, further ones counted."""
    five = rule(
        "five",
        conditions=[make_condition("cognigyDetectedIntent", "in", list("abcde"))],
    )
    sure = rule("sure", conditions=[at_least(0.5)])
    want = [
        wanted("cards/five", five),
        wanted("cards/sure", sure),
        wanted("cards/all", rule("all", conditions=[], priority=900)),
    ]
    actual = lanes(
        assessed_plan(
            want, [unmanaged("9", rule("partner", conditions=[intent_is("partner")]))]
        )
    )
    assert [
        '"a", "b", "c" and 2 more',
        "confidence >= 0.5",
        "every conversation",
        '"partner"',
    ] == [
        actual[name].callers
        for name in ("cards/five", "cards/sure", "cards/all", '"partner"')
    ]


def test_a_queue_is_of_all_rules_that_lead_there_before_or_after() -> None:
    """Of deleted, changed and new rules."""
    routing = build_routing_map(plan_of_everything())
    actual = {
        queue: [lane.rule for lane in routing if queue in lane.queues]
        for queue in ("Fraud", "General")
    }
    assert {
        "Fraud": ["cards/both", "cards/new"],
        "General": ["cards/fax", "cards/both", "cards/hand"],
    } == actual
