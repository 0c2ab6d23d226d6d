"""What is said of who is affected where rows are long, and where the analysis stopped at its bound."""

from __future__ import annotations

from random import Random

from reconciler.behaviour.difference import difference
from reconciler.behaviour.entry import in_order
from reconciler.render.affected import affected
from reconciler.shares import shares
from reconciler.traffic import Row, Sample
from tests.brute_checks import QUEUES
from tests.brute_rules import attribute, entries, rule
from tests.grown_pairs import grown_pair

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
    sample = Sample("t.csv", "", "June", (Row({"intent": "intent_0"}, 4, 2), Row({}, 6, 3)), 10)
    part = difference(before, after, steps=0)
    assert part.unknown
    assert part.rows
    moved = shares(part, before, after, sample)
    assert f"at least {moved.total.least:.1f} % of June" == affected(part, QUEUES, LABELS, moved).share
    whole = difference(before, after)
    assert not affected(whole, QUEUES, LABELS, shares(whole, before, after, sample)).share.startswith("at least")
