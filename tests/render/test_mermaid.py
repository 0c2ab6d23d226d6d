"""The routing map as Mermaid text: within its limits, and no label has a meaning in it
(tests/browser draws it).
"""

from __future__ import annotations

import re

import pytest

from reconciler.render.routing_map import (
    MAX_LANES,
    build_routing_map,
    drawn_lanes,
    label,
    render_mermaid,
)
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plans import hostile_plan, large_plan, plan_of_everything

NAMES = pytest.mark.parametrize(
    "name",
    (HOSTILE_NAMES | MARKDOWN_NAMES).values(),
    ids=HOSTILE_NAMES | MARKDOWN_NAMES,
)
LINE = re.compile(
    r"""flowchart LR|  q\d+\(\["[^"]+"\]\)|  i\d+\["[^"]+"\]|  r\d+\("[^"]+"\)"""
    r"""|  [ir]\d+ -->(\|(new|removed|changed)\|)? [rq]\d+|  linkStyle [\d,]+ stroke:#[0-9a-f]{6}[\w:,; -]*"""
)


@pytest.mark.fast_cases(16)
@NAMES
def test_every_line_has_an_intended_form(name: str) -> None:
    """Nodes with a label in quotes, lines between nodes, styles; no line that a name started."""
    lines = render_mermaid(build_routing_map(hostile_plan(name))).splitlines()
    assert [] == [line for line in lines if not LINE.fullmatch(line)]
    assert len(
        render_mermaid(build_routing_map(hostile_plan("Billing"))).splitlines()
    ) == len(lines)


@pytest.mark.fast_cases(16)
@NAMES
def test_a_label_is_short_and_harmless(name: str) -> None:
    """At most sixty characters; all except letters, digits and plain signs are numeric entities of
    Mermaid.
    """
    text = label(name)
    assert re.fullmatch(r"(\w|[ ,/-]|\.|#\d+;)+", text)
    assert len(re.sub(r"#\d+;", "x", text)) <= 60


def test_a_few_rules_are_all_drawn_with_their_state() -> None:
    """A changed queue is a new line and a removed line; unchanged rules have plain lines."""
    text = render_mermaid(build_routing_map(plan_of_everything()))
    place = {name: node for node, name in re.findall(r'(\w+)\(?\[?"([^"]+)"', text)}
    both, cards, fraud, general = (
        place[name] for name in ("cards/both", "Card Services", "Fraud", "General")
    )
    for line in (
        f"{both} -->|removed| {general}",
        f"{both} -->|new| {cards}",
        f"{both} -->|new| {fraud}",
    ):
        assert f"  {line}\n" in text
    assert f"  {place['cards/same']} --> {cards}\n" in text


def test_of_many_rules_up_to_thirty_changed_ones_are_drawn() -> None:
    """Mermaid itself stops at 500 lines and 50,000 characters."""
    routing = build_routing_map(large_plan(1_000, "\U0001f600" * 80))
    drawn = drawn_lanes(routing)
    assert MAX_LANES == len(drawn)
    assert {"same"}.isdisjoint(lane.state for lane in drawn)
    text = render_mermaid(drawn)
    assert text.count("-->") <= 120
    assert len(text) <= 50_000


def test_each_line_has_the_colour_of_its_state() -> None:
    """Lines are numbered in their order; a line without a label has the state of the line into its
    rule.
    """
    text = render_mermaid(build_routing_map(plan_of_everything()))
    colours = {"new": "#1a7f37", "removed": "#cf222e", "changed": "#9a6700"}
    expected = []
    into = {}
    for start, word, end in re.findall(r"(\w+) -->(?:\|(\w+)\|)? (\w+)", text):
        into[end] = word
        expected.append(colours.get(word or into.get(start, ""), ""))
    actual = [""] * len(expected)
    for numbers, colour in re.findall(r"linkStyle ([\d,]+) stroke:(#\w+)", text):
        for number in numbers.split(","):
            actual[int(number)] = colour
    assert set(colours.values()) <= set(expected)
    assert expected == actual


def test_a_state_is_written_once() -> None:
    """A line out of a rule has a label only if its state differs from that of the rule."""
    text = render_mermaid(build_routing_map(plan_of_everything()))
    place = {name: node for node, name in re.findall(r'(\w+)\(?\[?"([^"]+)"', text)}
    message = re.findall(r"(r\d+) -->\|(\w+)\|", text)
    assert {
        (place["cards/both"], "new"),
        (place["cards/both"], "removed"),
        (place["cards/hand"], "new"),
    } < set(message)
    assert {place["cards/both"], place["cards/hand"]} == {rule for rule, _ in message}
