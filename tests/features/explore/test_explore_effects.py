"""The effects on the page of `cxroute explore`: its data alone say which conversations move, and
where they go.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from reconciler.features.explore.effects import MAX_ROWS
from reconciler.features.explore.page import explore_data
from tests.support.brute_force import Json, Universe
from tests.support.brute_force_checks import RoutingDifference, destination_of
from tests.support.explore_pages import (
    a_compared_page,
    bank_page,
    changed_bank_page,
    compared_page,
    html_of,
    large_change_page,
    two_sides_page,
)
from tests.support.parsed_html import parse_html
from tests.support.plans import ORIGIN
from tests.support.random_rules import a_pair
from tests.tiers import size

BLOCKS = 8
SIZE = size(fast=10, slow=30, full=150)


class PageReader:
    """Reads the page's data without its script."""

    def __init__(self, data: Json, universe: Universe) -> None:
        self.data = data
        self.universe = universe

    def condition(self, position: int) -> Json:
        """Return a condition as the API has it; below 0: the complement of another one."""
        if position < 0:
            return {**self.condition(~position), "negate": True}
        attribute, operator, value = self.data["conditions"][position]
        if operator is None:
            return dict(_decoded(value))
        form = {
            "type": "attribute",
            "attributeName": self.data["attributes"][attribute][0],
            "operator": operator,
        }
        return form if "xists" in operator else {**form, "value": _decoded(value)}

    def destination(self, position: int) -> Any:
        """Return a destination, with ids where the data have names alone."""
        form = self.data["destinations"][position][0]
        if "queues" not in form:
            return destination_of(form)
        queues = [
            {"queueId": item["queueId"] or item["queueName"], "share": item["share"]}
            for item in form["queues"]
        ]
        return destination_of({"queues": queues})

    def inputs(self, row: Any) -> int:
        """Return the inputs of a row."""
        where, earlier, *_ = row
        actual = self.universe.all_of(map(self.condition, where))
        for first, length in zip(earlier[::2], earlier[1::2], strict=True):
            for conditions in self.data["named"][first : first + length]:
                actual &= ~self.universe.all_of(map(self.condition, conditions))
        return actual

    def destinations(self, side: int) -> dict[Any, int]:
        """Return the inputs of each destination, by the rules of a side in the order of the
        data.
        """
        remaining = self.universe.all_inputs
        actual: dict[Any, int] = {}
        for _, _, conditions, destination, sides, is_on, *_ in self.data["rules"]:
            if side in sides and is_on:
                claimed = remaining & self.universe.all_of(
                    map(self.condition, conditions)
                )
                key = self.destination(destination)
                actual[key] = actual.get(key, 0) | claimed
                remaining &= ~claimed
        actual[None] = actual.get(None, 0) | remaining
        return actual


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_decoded, value))
    if not isinstance(value, dict):
        return value
    return (
        int(value["big"])
        if "big" in value
        else {name: _decoded(part) for name, part in value["object"].items()}
    )


@pytest.mark.fast_cases(3)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_data_say_exactly_what_moves(block: int) -> None:
    """For random changes, by trying all inputs: today's and the later queues; each row moves, once,
    and none lacks.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        pair = a_pair(Random(seed))
        page = a_compared_page(Random(seed), direct=True)
        moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
        reader = PageReader(json.loads(json.dumps(explore_data(page))), moved.universe)
        for side, name in enumerate(("before", "after")):
            text = {
                key: bits for key, bits in reader.destinations(side).items() if bits
            }
            assert {
                key: bits for key, bits in moved.to[name].items() if bits
            } == text, moved.report

        observed = 0
        for _, rows, unwritten in reader.data["effects"]:
            for row in (*rows, *unwritten):
                inside = reader.inputs(row)
                before, after = map(reader.destination, row[2:])
                assert inside, moved.report + str(row)
                assert not inside & observed, moved.report + str(row)
                assert not inside & ~(
                    moved.to["before"][before] & moved.to["after"][after]
                ), moved.report + str(row)
                observed |= inside
        assert page.impact is not None
        assert page.impact.behaviour.complete
        assert moved.all == observed, moved.report


@pytest.mark.slow
def test_the_page_begins_with_the_headline_and_the_effects() -> None:
    """Each effect has its cause, rows, shares and earlier rules; the tabs come after the
    headline.
    """
    read = parse_html(html_of(changed_bank_page()))
    text = html_of(changed_bank_page())
    assert (
        text.index('class="headline"')
        < text.index("<nav")
        < text.index('id="view-changes"')
        < text.index('id="try"')
    )
    tables = [
        rows
        for rows in read.rows()
        if rows[0][:3] == ["Callers", "Today", "After this change"]
    ]
    pin = next(rows for rows in tables if rows[1][0].startswith("PIN blocked"))
    assert ["Card Services", "Fraud Desk"] == pin[1][1:3]
    assert pin[1][3].endswith("%")
    assert "Earlier rules keep theirs: languages/german" in text
    assert "Everyone else: no change (proven)." in text


@pytest.mark.slow
def test_equal_edits_list_their_rules() -> None:
    """One effect has all of them; the place of an edit is a link."""
    text = html_of(changed_bank_page())
    assert "<code>6 rules of transfers/</code> confidence 0.6 → 0.8" in text
    assert (
        "<summary>which rules</summary><ul><li><code>transfers/declined-transfer</code>"
        in text
    )
    assert f'/blob/{ORIGIN.commit}/manifests/set-0.yaml#L13"' in html_of(
        large_change_page(40, 2)
    )


@pytest.mark.slow
def test_the_number_of_rules_is_one_number() -> None:
    """In the head, at the switch, and in the data: of each side, switched-off rules included."""
    page = changed_bank_page()
    counts = [len(side.entries) for side in page.sides]
    assert [69, 68] == counts
    text = html_of(page)
    assert "69 rules today, 68 rules after this change" in text
    assert "today (69 rules)" in text
    assert "after this change (68 rules)" in text
    rules = explore_data(page)["rules"]
    assert counts == [sum(side in rule[4] for rule in rules) for side in (0, 1)]
    assert "By the manifests of prod · 69 rules" in html_of(bank_page())


def test_a_change_without_moves_says_so() -> None:
    """And its list of effects is empty."""
    page = bank_page()
    entries = page.sides[0].entries
    described = [
        replace(entries[0], rule=replace(entries[0].rule, description="new")),
        *entries[1:],
    ]
    page = compared_page(entries, described, page.desired, page.queues)
    assert "No conversation goes elsewhere (proven). 1 edit." in html_of(page)
    assert [] == explore_data(page)["effects"]


@pytest.mark.slow
def test_a_page_of_one_side_has_no_effects() -> None:
    """Neither the view nor data for it."""
    assert 'id="view-changes"' not in html_of(bank_page())
    assert "effects" not in explore_data(bank_page())
    assert 'id="view-changes"' in html_of(two_sides_page())


@pytest.mark.campaign
def test_ten_thousand_rules_with_a_change_fit() -> None:
    """In 3 MB with a hundred edits; a page leaves out the rows behind the first thousand, and says
    how many.
    """
    assert len(html_of(large_change_page(10_000, 100)).encode()) <= 3_000_000
    page = large_change_page(3_000, 3_000)
    assert page.change is not None
    assert MAX_ROWS == sum(len(each.rows) for each in page.change.effects)
    hidden = len(page.change.summary.rows) - MAX_ROWS
    assert hidden > 0
    assert (
        f"and {hidden:,} more moves, which this page leaves out; plan.json has all."
        in html_of(page)
    )
