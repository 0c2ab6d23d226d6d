"""The rows for readers agree with every representative input: exact, disjoint, complete and few."""

from __future__ import annotations

import json
from itertools import combinations
from random import Random

import pytest

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.plan.behaviour_json import behaviour_to_json
from reconciler.render.colour import no_style
from reconciler.render.impact import ALL_ROWS, summarize_impact
from reconciler.render.text.behaviour import impact_lines
from reconciler.text.phrases import Labels
from tests.support.brute_force import Destination, Json
from tests.support.brute_force_checks import (
    QUEUES,
    RoutingDifference,
    assumption,
    completions,
    destination_of,
    entry_name,
    holds_where,
)
from tests.support.grown_pairs import generate_pair, generate_tangled_pair
from tests.support.random_rules import RulePair, a_pair, attribute, entries, rule
from tests.support.read_back import parse_rows
from tests.tiers import FULL

LABELS = Labels({"intent": "intent", "conf": "confidence"})
BLOCKS = 20
SIZE = 200 if FULL else 50
"""Pairs of each kind in each block."""


def check(pair: RulePair, steps: int | None = None) -> list[Json]:
    found = compare_behaviour(entries(pair.old), entries(pair.new), pair.evaluation, steps)
    document = behaviour_to_json(found, QUEUES)
    moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
    rows: list[Json] = document["summary"]["rows"]
    seen = 0
    for row in rows:
        inside = check_row(moved, row)
        assert not inside & seen, f"{moved.report}{row}\nin two rows: {moved.universe.example(inside & seen)}"
        seen |= inside
    for where in document.get("unknown", []):
        seen |= moved.universe.all_of(where["where"])
    missed = moved.all & ~seen
    assert not missed, f"{moved.report}in no row: {moved.universe.example(missed)}"
    check_text(found, rows, moved)
    return rows


def check_text(found: BehaviourChange, rows: list[Json], moved: RoutingDifference) -> None:
    """Assert that the text, parsed again, moves the same inputs as the JSON."""
    told = summarize_impact(found, QUEUES, LABELS, limit=ALL_ROWS)
    text = "\n".join(impact_lines(told, no_style))
    words = {own_words(name): name for name, values in moved.universe.axes.items() if values == [False, True]}
    read = parse_rows(text, moved.universe, LABELS.short, words)
    report = f"{moved.report}{text}"
    assert len(rows) == len(read), report
    by_inputs = {moved.universe.region(row): row for row in rows}
    for one in read:
        assert one.inputs in by_inputs, report
        row = by_inputs[one.inputs]
        assert rounded(destination_of(row["after"])) == rounded(one.after), report
        assert list(map(rounded, map(destination_of, row["before"]))) == list(map(rounded, one.befores)), report


def rounded(goes: Destination) -> object:
    return None if goes is None else {(queue, f"{float(share):.3g}") for queue, share in goes}


def own_words(text: str) -> str:
    form = json.loads(text)
    if isinstance(form.get("attributeName"), str) and isinstance(form.get("operator"), str):
        return f"{form['attributeName']} {form['operator']} {json.dumps(form.get('value'))}"
    return text


def check_row(moved: RoutingDifference, row: Json) -> int:
    """Assert that all inputs of a row move as it says, from each of its origins; return them."""
    inside = moved.universe.region(row)
    report = f"{moved.report}row: {row}\n"
    origins = [destination_of(one) for one in row["before"]]
    assert len(origins) == len(set(origins)), report
    wrong = inside & ~(moved.all & moved.to["after"].get(destination_of(row["after"]), 0))
    assert not wrong, report + str(moved.universe.example(wrong))
    assert {one for one, bits in moved.to["before"].items() if bits & inside} == set(origins), report
    for side, wins in moved.wins.items():
        assert {entry_name(rule) for rule, bits in wins if bits & inside} == set(row[f"{side}Rules"]), report
    for assumed in completions(moved.universe, assumption(row)):
        assert holds_where(row["where"], row["except"], (row["example"], assumed)), report
    return inside


def check_few(rows: list[Json]) -> None:
    """Assert that no two rows can be one: that is, none differ only in the listed texts of one attribute."""
    for one, other in combinations(rows, 2):
        if one["after"] != other["after"] or sorted(map(str, one["except"])) != sorted(map(str, other["except"])):
            continue
        parts = [
            part for part in (*one["where"], *other["where"]) if (part in one["where"]) != (part in other["where"])
        ]
        listed = [part["attributeName"] for part in parts if _lists_texts(part)]
        assert not (len(parts) == len(listed) == 2 and listed[0] == listed[1]), (one, other)


def _lists_texts(part: Json) -> bool:
    value = part.get("value")
    texts = all(isinstance(one, str) for one in (value if isinstance(value, list) else [value]))
    return texts and part.get("operator") in ("equals", "in") and not part.get("negate") and "attributeName" in part


@pytest.mark.parametrize("block", range(BLOCKS))
def test_rows_of_small_pairs_are_exact(block: int) -> None:
    """Every input that moves is in one row, with its origin and its destination; an input that stays is in none."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check_few(check(a_pair(Random(seed), 5 if seed % 4 else 9)))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_rows_of_grown_pairs_are_exact(block: int) -> None:
    """The same for 20 to 60 rules: a changed default, deleted rules, language and tier splits, a first plan."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check_few(check(generate_pair(Random(seed))))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_rows_of_tangled_pairs_are_exact(block: int) -> None:
    """The same for rules with conditions on five attributes, whose earlier rules overlap in many ways."""
    for seed in range(block * SIZE, (block + 1) * SIZE):
        check_few(check(generate_tangled_pair(Random(seed))))


@pytest.mark.parametrize("block", range(4))
def test_rows_within_a_work_limit_are_exact(block: int) -> None:
    """With little work rows are still correct, and every other input that moves is in `undecided`."""
    for seed in range(block * 60, (block + 1) * 60):
        check(a_pair(Random(f"bound {seed}"), 8), seed % 7)


def test_all_that_one_rule_takes_over_is_one_row() -> None:
    """Conversations that already have the destination are left out, except those that earlier rules redirect today."""
    intent, sure = attribute("intent", "equals", "x"), attribute("conf", "greaterThanOrEqual", 0.7)
    old = [
        rule("a", 1, [intent], "A"),
        rule("c", 2, [attribute("lang", "equals", "de"), attribute("said", "contains", "a")], "C"),
        rule("b", 3, [sure], "B"),
    ]
    (row,) = check(RulePair(old, [rule("n", 1, [], "B")], "lowest-first"))
    assert [] == row["where"]
    assert 3 == len(row["before"])
    assert 2 == len(row["except"])
