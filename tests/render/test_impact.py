"""The impact in words for long rows, and for an analysis that stopped at its bound."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from reconciler.render.impact import ALL_ROWS, NO_KNOWN_IMPACT, OTHERS_UNCHANGED, summarize_impact

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.routing_entry import order_entries
from reconciler.plan.traffic_shares import measure_traffic
from reconciler.text.phrases import Labels
from reconciler.traffic.sample import SampleRow, TrafficSample
from tests.support.brute_force_checks import QUEUES
from tests.support.grown_pairs import generate_pair
from tests.support.plan_formats import as_github, as_html, as_markdown, as_text
from tests.support.plans import large_plan
from tests.support.random_rules import attribute, entries, queue, rule

LABELS = Labels({"intent": "intent", "conf": "confidence"})


def test_a_row_with_many_exceptions_is_shown_if_it_is_the_only_one() -> None:
    """Every format shows the row: none has the title alone."""
    kept = [
        rule(f"k{number:02}", 1, [attribute(name, "equals", "x"), attribute(other, "equals", "y")], "B")
        for number, (name, other) in enumerate((f"a{number}", f"b{number}") for number in range(41))
    ]
    last = rule("last", 9, [], "A")
    found = compare_behaviour(entries([*kept, last]), entries([*kept, {**last, "targets": kept[0]["targets"]}]))
    (row,) = found.rows
    assert 41 == len(row.excepts)
    (case,) = summarize_impact(found, QUEUES, LABELS).cases
    assert ("every conversation", '"Queue A" -> "Queue B"') == (case.callers, case.route)
    assert 41 == len(case.exceptions)


def test_the_share_is_a_minimum_with_unknown_cases() -> None:
    """Callers of unknown cases may move, too: neither a share nor "at most" holds for all."""
    pair = generate_pair(Random(0))
    before, after = order_entries(entries(pair.old)), order_entries(entries(pair.new))
    sample = TrafficSample(
        name="t.csv",
        digest="",
        period="June",
        rows=(SampleRow({"intent": "intent_0"}, 4, 2), SampleRow({}, 6, 3)),
        total=10,
    )
    part = compare_behaviour(before, after, work=1_000)
    assert part.undecided
    assert part.rows
    moved = measure_traffic(part, before, after, sample)
    assert f"at least {moved.total.least:.1f} % of June" == summarize_impact(part, QUEUES, LABELS, moved).share
    whole = compare_behaviour(before, after)
    assert not summarize_impact(whole, QUEUES, LABELS, measure_traffic(whole, before, after, sample)).share.startswith(
        "at least"
    )


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ("A", "B", '"General" (A) -> "General" (B)'),
        (
            [queue("A", 1), queue("C", 1)],
            [queue("A", 1000), queue("C", 1001)],
            '50 % "General", 50 % "Other" -> 50.024988 % "Other", 49.975012 % "General"',
        ),
        (
            [queue("A", 1), queue("C", 1)],
            [queue("A", 2 * 10**8), queue("C", 2 * 10**8 + 1)],
            '50 % "General" (A), 50 % "Other" (C) -> 49.999999875 % "General" (A), 50.000000125 % "Other" (C)',
        ),
        ([queue("A", 1), queue("C", 1)], "A", '50 % "General", 50 % "Other" -> "General"'),
    ],
)
def test_no_row_has_equal_texts_for_origin_and_destination(old: Any, new: Any, way: str) -> None:
    """Two queues of one name, and splits that are equal in eight digits, have ids and all digits."""
    found = compare_behaviour(entries([rule("a", 1, [], old)]), entries([rule("a", 1, [], new)]))
    (case,) = summarize_impact(found, {"A": "General", "B": "General", "C": "Other"}, LABELS).cases
    assert way == case.route


def test_two_queues_of_one_name_are_two_in_the_balance() -> None:
    """Otherwise one name would have two different shares."""
    before, after = ([rule("a", 1, [], name)] for name in "AB")
    sample = TrafficSample(name="t.csv", digest="", period="June", rows=(SampleRow({}, 1, 2),), total=1)
    found = compare_behaviour(entries(before), entries(after))
    moved = measure_traffic(found, entries(before), entries(after), sample)
    told = summarize_impact(found, {"A": "General", "B": "General"}, LABELS, moved)
    assert {'"General" (A)', '"General" (B)'} == {one.queue for one in told.balance}


def test_conditions_that_are_not_understood_are_distinguished() -> None:
    """Text besides the attribute, the operator and the value is shown, too: they are two conditions."""
    plainly = {"type": "attribute", "attributeName": "x", "operator": "matches", "value": "a"}
    old = [rule("a", 1, [plainly], "A"), rule("b", 2, [{**plainly, "ignoreCase": True}], "C")]
    new = [{**one, "targets": [queue("B")]} for one in old]
    told = summarize_impact(compare_behaviour(entries(old), entries(new)), QUEUES, LABELS)
    second = next(case.callers for case in told.cases if "unless" in case.callers)
    assert 'unless x matches "a" (not understood here)' in second
    assert '"ignoreCase":true' in second


def unlikely(*names: str) -> BehaviourChange:
    """Return the impact of two rules; each row depends on an attribute value of a type that no rule expects."""
    old = [rule(name, 1, [attribute("tier", "equals", name)], "A") for name in "ab"]
    found = compare_behaviour(
        entries(old), entries([{**old[0], "targets": [queue("B")]}, {**old[1], "targets": [queue("C")]}])
    )
    assert 2 == len(found.rows)
    rows = [replace(row, unlikely=(name,) if name else ()) for row, name in zip(found.rows, names, strict=True)]
    return replace(found, rows=tuple(rows))


def test_rows_of_an_unlikely_type_are_one_row() -> None:
    """A single such row is shown unchanged; -v lists each."""
    several = summarize_impact(unlikely("tier", "conf"), QUEUES, LABELS)
    (case,) = several.cases
    assert (
        "some conversations in which tier or confidence is of another type, text or number, than the rules compare it"
        " with: 2 rows, which -v and JSON list"
    ) == case.callers
    assert ('"Queue A" -> "Queue B"; "Queue C"', ()) == (case.route, case.exceptions)
    assert 2 == len(summarize_impact(unlikely("tier", "conf"), QUEUES, LABELS, limit=ALL_ROWS).cases)
    assert ['tier "a"', 'tier "b"'] == sorted(
        one.callers for one in summarize_impact(unlikely("", "tier"), QUEUES, LABELS).cases
    )


def test_hidden_rows_are_counted_with_their_share() -> None:
    """The rows of most callers are shown first; the others have a total."""
    found = unlikely("", "")
    old = [rule(name, 1, [attribute("tier", "equals", name)], "A") for name in "ab"]
    after = [{**old[0], "targets": [queue("B")]}, {**old[1], "targets": [queue("C")]}]
    sample = TrafficSample(
        name="t.csv",
        digest="",
        period="June",
        rows=(SampleRow({"tier": "a"}, 1, 2), SampleRow({"tier": "b"}, 3, 3)),
        total=4,
    )
    told = summarize_impact(
        found, QUEUES, LABELS, measure_traffic(found, entries(old), entries(after), sample), limit=1
    )
    assert ['tier "b"'] == [case.callers for case in told.cases]
    assert "and 1 more row, 25.0 % of callers" == told.rest_text()
    assert "and 2 more rows" == told.rest_text(extra_hidden=1)
    assert "" == summarize_impact(found, QUEUES, LABELS).rest_text()
    assert "and 1 more row" == summarize_impact(found, QUEUES, LABELS, limit=1).rest_text()


def test_a_stopped_analysis_is_never_called_proven() -> None:
    """The bound ended the analysis before its first row: the title does not say that no conversation moves."""
    found = compare_behaviour(entries([rule("a", 1, [], "A")]), entries([rule("a", 1, [], "B")]), work=0)
    assert (False, ()) == (found.complete, found.rows)
    summary = summarize_impact(found, QUEUES, LABELS)
    assert NO_KNOWN_IMPACT == summary.title
    assert summary.unknown
    plan = replace(large_plan(1), behaviour=found)
    for render in (as_text, as_github, as_markdown, as_html):
        page = render(plan)
        assert NO_KNOWN_IMPACT.removesuffix(".") in page, page
        assert "goes elsewhere (proven)" not in page, page
        assert OTHERS_UNCHANGED not in page, page


@pytest.mark.parametrize("limit", [1, 2])
def test_hidden_rows_have_at_most_the_total_share(limit: int) -> None:
    """The sample does not say which row its callers belong to: each row has all of them, all rows together as well."""
    old = [rule(name, 1, [attribute("tier", "equals", name)], "A") for name in "abcd"]
    new = [{**one, "targets": [queue(name)]} for one, name in zip(old, "BCDE", strict=True)]
    sample = TrafficSample(
        name="t.csv",
        digest="",
        period="June",
        rows=(SampleRow({}, 3, 2), SampleRow({"tier": "none of these"}, 7, 3)),
        total=10,
    )
    found = compare_behaviour(entries(old), entries(new))
    traffic = measure_traffic(found, entries(old), entries(new), sample)
    summary = summarize_impact(found, QUEUES, LABELS, traffic, limit=limit)
    assert limit == len(summary.cases)
    assert {"at most 30.0 %"} == {case.share for case in summary.cases}
    assert "at most 30.0 % of June" == summary.share
    assert f"and {4 - limit} more rows, at most 30.0 % of callers" == summary.rest_text()
