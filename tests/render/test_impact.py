"""What is said of who is affected where rows are long, and where the analysis stopped at its bound."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.behaviour.diff.difference import difference
from reconciler.behaviour.routing_entry import in_order
from reconciler.plan.traffic_shares import shares
from reconciler.render.impact import EVERYTHING, affected
from reconciler.traffic.sample import Row, Sample
from tests.support.brute_force_checks import QUEUES
from tests.support.grown_pairs import grown_pair
from tests.support.random_rules import attribute, entries, queue, rule

if TYPE_CHECKING:
    from reconciler.behaviour.diff.difference import Behaviour

LABELS = {"intent": "intent", "conf": "confidence"}


def test_a_row_with_many_exceptions_is_said_where_there_is_no_other() -> None:
    """Every form says who is affected: none has the heading alone."""
    kept = [
        rule(f"k{number:02}", 1, [attribute(name, "equals", "x"), attribute(other, "equals", "y")], "B")
        for number, (name, other) in enumerate((f"a{number}", f"b{number}") for number in range(41))
    ]
    last = rule("last", 9, [], "A")
    found = difference(entries([*kept, last]), entries([*kept, {**last, "targets": kept[0]["targets"]}]))
    (row,) = found.rows
    assert 41 == len(row.excepts)
    (case,) = affected(found, QUEUES, LABELS).cases
    assert ("every conversation", '"Queue A" -> "Queue B"') == (case.who, case.way)
    assert 41 == len(case.excepts)


def test_the_share_is_a_least_where_something_is_not_known() -> None:
    """Callers of whom nothing is known may move, too: neither a share nor "at most" one is true of all."""
    pair = grown_pair(Random(0))
    before, after = in_order(entries(pair.old)), in_order(entries(pair.new))
    sample = Sample(
        name="t.csv", digest="", period="June", rows=(Row({"intent": "intent_0"}, 4, 2), Row({}, 6, 3)), total=10
    )
    part = difference(before, after, work=1_000)
    assert part.unknown
    assert part.rows
    moved = shares(part, before, after, sample)
    assert f"at least {moved.total.least:.1f} % of June" == affected(part, QUEUES, LABELS, moved).share
    whole = difference(before, after)
    assert not affected(whole, QUEUES, LABELS, shares(whole, before, after, sample)).share.startswith("at least")


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
def test_no_row_goes_from_a_place_to_the_same_place(old: Any, new: Any, way: str) -> None:
    """Two queues of one name, and splits that eight digits do not tell apart, are said with ids and all digits."""
    found = difference(entries([rule("a", 1, [], old)]), entries([rule("a", 1, [], new)]))
    (case,) = affected(found, {"A": "General", "B": "General", "C": "Other"}, LABELS).cases
    assert way == case.way


def test_two_queues_of_one_name_are_two_in_the_balance() -> None:
    """Else one name would get two different shares."""
    before, after = ([rule("a", 1, [], name)] for name in "AB")
    sample = Sample(name="t.csv", digest="", period="June", rows=(Row({}, 1, 2),), total=1)
    found = difference(entries(before), entries(after))
    moved = shares(found, entries(before), entries(after), sample)
    told = affected(found, {"A": "General", "B": "General"}, LABELS, moved)
    assert {'"General" (A)', '"General" (B)'} == {one.queue for one in told.balance}


def test_conditions_that_are_not_understood_are_told_apart() -> None:
    """What one says beside the attribute, the operator and the value is said, too: they are two conditions."""
    plainly = {"type": "attribute", "attributeName": "x", "operator": "matches", "value": "a"}
    old = [rule("a", 1, [plainly], "A"), rule("b", 2, [{**plainly, "ignoreCase": True}], "C")]
    new = [{**one, "targets": [queue("B")]} for one in old]
    told = affected(difference(entries(old), entries(new)), QUEUES, LABELS)
    second = next(case.who for case in told.cases if "unless" in case.who)
    assert 'unless x matches "a" (not understood here)' in second
    assert '"ignoreCase":true' in second


def unlikely(*names: str) -> Behaviour:
    """What goes elsewhere of two rules; each row hangs on a value of a type that no rule expects of an attribute."""
    old = [rule(name, 1, [attribute("tier", "equals", name)], "A") for name in "ab"]
    found = difference(
        entries(old), entries([{**old[0], "targets": [queue("B")]}, {**old[1], "targets": [queue("C")]}])
    )
    assert 2 == len(found.rows)
    rows = [replace(row, unlikely=(name,) if name else ()) for row, name in zip(found.rows, names, strict=True)]
    return replace(found, rows=tuple(rows))


def test_rows_that_hang_on_an_unlikely_type_are_told_as_one() -> None:
    """One alone is told as it is; -v lists each."""
    several = affected(unlikely("tier", "conf"), QUEUES, LABELS)
    (case,) = several.cases
    assert (
        "some conversations in which tier or confidence is of another type, text or number, than the rules compare it"
        " with: 2 rows, which -v and JSON list"
    ) == case.who
    assert ('"Queue A" -> "Queue B"; "Queue C"', ()) == (case.way, case.excepts)
    assert 2 == len(affected(unlikely("tier", "conf"), QUEUES, LABELS, most=EVERYTHING).cases)
    assert ['tier "a"', 'tier "b"'] == sorted(one.who for one in affected(unlikely("", "tier"), QUEUES, LABELS).cases)


def test_what_is_left_out_is_counted_with_its_share() -> None:
    """The rows of most callers are shown first; of the others the sum is said."""
    found = unlikely("", "")
    old = [rule(name, 1, [attribute("tier", "equals", name)], "A") for name in "ab"]
    after = [{**old[0], "targets": [queue("B")]}, {**old[1], "targets": [queue("C")]}]
    sample = Sample(
        name="t.csv", digest="", period="June", rows=(Row({"tier": "a"}, 1, 2), Row({"tier": "b"}, 3, 3)), total=4
    )
    told = affected(found, QUEUES, LABELS, shares(found, entries(old), entries(after), sample), most=1)
    assert ['tier "b"'] == [case.who for case in told.cases]
    assert "and 1 more row, 25.0 % of callers" == told.rest()
    assert "and 2 more rows" == told.rest(left_out=1)
    assert "" == affected(found, QUEUES, LABELS).rest()
    assert "and 1 more row" == affected(found, QUEUES, LABELS, most=1).rest()
