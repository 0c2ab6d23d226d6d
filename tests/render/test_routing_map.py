"""The routing map: which rule sends which callers to which queue, before and after; and the positions of its shapes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from reconciler.model.rule import Target, make_condition
from reconciler.render.html import MAX_CHANGED, WIDTH, draw_map
from reconciler.render.routing_map import Lane, RoutingMap, build_routing_map
from tests.support.builders import at_least, intent_is, managed, rule, unmanaged, wanted
from tests.support.plans import FRAUD, GENERAL, assessed_plan, large_plan, plan_of_everything


def lanes(routing: RoutingMap) -> dict[str, Lane]:
    return {lane.rule: lane for lane in (*routing.lanes, *routing.disabled)}


def test_every_rule_is_a_lane_with_its_state() -> None:
    """New, deleted, changed, unchanged; unmanaged rules and those with a deleted copy are included."""
    found = [(lane.rule, lane.state) for lane in build_routing_map(plan_of_everything()).lanes]
    assert [
        ("cards/twice", "gone"),
        ("cards/fax", "gone"),
        ("cards/lost", "changed"),
        ("cards/both", "changed"),
        ("cards/hand", "changed"),
        ("cards/new", "new"),
        ("cards/off", "new"),
        ('"partner"', "same"),
    ] == found[:8]
    assert {"same"} == {state for _, state in found[8:]}


def test_queues_are_those_before_and_after() -> None:
    """A rerouted rule has both; a new rule has none before; a disabled rule has none."""
    moved, new, off = rule("moved", targets=FRAUD), rule("new", targets=[]), rule("off", enabled=False)
    want = [wanted("cards/moved", moved), wanted("cards/new", new), wanted("cards/off", off)]
    live = [managed("1", "cards/moved", rule("moved", targets=GENERAL)), managed("2", "cards/off", off)]
    found = lanes(build_routing_map(assessed_plan(want, live)))
    sides = {name: (lane.before, lane.after, lane.state) for name, lane in found.items()}
    assert {
        "cards/moved": (("General",), ("Fraud",), "changed"),
        "cards/new": (None, ("no queue",), "new"),
        "cards/off": (None, None, "off"),
    } == sides


def test_a_change_without_effect_on_callers_leaves_the_lane_unchanged() -> None:
    """A new description or name does not change the lane."""
    made = assessed_plan(
        [wanted("cards/a", rule("a", description="new"))], [managed("1", "cards/a", rule("a", description="old"))]
    )
    assert ["same"] == [lane.state for lane in build_routing_map(made).lanes]


def test_a_share_is_that_of_the_rule_s_intents_in_the_sample() -> None:
    """Of 1,000 conversations 400 are about a lost card, with any confidence."""
    found = lanes(build_routing_map(plan_of_everything()))
    assert pytest.approx(40.0) == found["cards/lost"].share
    assert pytest.approx(0.4) == found["cards/fax"].share
    assert "October 2026" == build_routing_map(plan_of_everything()).period


def test_callers_are_named_by_intents_or_by_conditions() -> None:
    """Three intents by name, further ones counted."""
    five = rule("five", conditions=[make_condition("cognigyDetectedIntent", "in", list("abcde"))])
    sure = rule("sure", conditions=[at_least(0.5)])
    want = [
        wanted("cards/five", five),
        wanted("cards/sure", sure),
        wanted("cards/all", rule("all", conditions=[], priority=900)),
    ]
    found = lanes(
        build_routing_map(assessed_plan(want, [unmanaged("9", rule("partner", conditions=[intent_is("partner")]))]))
    )
    assert ['"a", "b", "c" and 2 more', "confidence >= 0.5", "every conversation", '"partner"'] == [
        found[name].callers for name in ("cards/five", "cards/sure", "cards/all", '"partner"')
    ]


def test_queues_have_all_their_rules() -> None:
    """Queues with the most changes first; each with every rule that leads there before or after."""
    routing = build_routing_map(plan_of_everything())
    found = {queue: [lane.rule for lane in routing.lanes if queue in lane.queues] for queue in routing.queues}
    assert "Card Services" == next(iter(found))
    assert ["cards/both", "cards/new"] == found["Fraud"]
    assert ["cards/fax", "cards/both", "cards/hand"] == found["General"]


@pytest.mark.parametrize("count", [5, 60, 1_000])
def test_boxes_do_not_overlap_and_are_inside_the_picture(count: int) -> None:
    """For any number of rules."""
    drawing = draw_map(build_routing_map(large_plan(count)))
    assert drawing.boxes
    for column in {box.x for box in drawing.boxes}:
        boxes = sorted((box for box in drawing.boxes if box.x == column), key=lambda box: box.y)
        assert all(one.y + one.height <= other.y for one, other in pairwise(boxes))
    assert all(0 <= box.x and box.x + box.width <= WIDTH for box in drawing.boxes)
    assert all(0 <= box.y and box.y + box.height <= drawing.height for box in drawing.boxes)


def test_a_large_map_draws_changed_rules_and_groups_the_others() -> None:
    """At most eighty changed rules, and the number of the rest; for other rules one box per queue."""
    want = [wanted(f"cards/r{n}", rule(f"r{n}", targets=[Target("q-cards", 1)])) for n in range(50)]
    live = [managed(str(n), f"cards/r{n}", rule(f"r{n}")) for n in range(49)]
    few = draw_map(build_routing_map(assessed_plan(want, live)))
    assert 1 == sum("49 unchanged rules" in box.text for box in few.boxes)
    many = build_routing_map(large_plan(1_000))
    assert len(many.changed) - MAX_CHANGED == draw_map(many).hidden_rules
    assert MAX_CHANGED == sum(box.state != "same" and box.x < 100 for box in draw_map(many).boxes)


def test_a_line_is_as_wide_as_its_share_within_bounds() -> None:
    """More callers, a thicker line; each line is visible; the title of a cut text is complete."""
    drawing = draw_map(build_routing_map(plan_of_everything()))
    wide = {edge.title: edge.thickness for edge in drawing.edges}
    lost = next(thick for title, thick in wide.items() if title.startswith("card_lost"))
    fax = next(thick for title, thick in wide.items() if title.startswith("legacy_fax"))
    assert 18 == lost
    assert pytest.approx(1.5 + 0.45 * 0.4) == fax
    assert all(1.5 <= thick <= 18 for thick in wide.values())
    cut = [box for box in draw_map(build_routing_map(large_plan(5, "long " * 30))).boxes if box.text.endswith("…")]
    assert cut
    assert all(box.title.startswith(box.text[:-1]) for box in cut)
