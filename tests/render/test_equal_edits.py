"""Equal edits of many rules are one line; a rule with a different edit is not hidden."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from reconciler.model.change import Update
from reconciler.model.rule import Queue, Rule, Target, make_condition
from reconciler.plan.document import plan_to_json
from reconciler.plan.plan import Plan
from reconciler.render.change_summary import MIN_GROUP, group_equal_edits
from reconciler.render.summary import summarize_plan
from tests.support.builders import address, at_least, intent_is, managed, rule, wanted
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_NAMES
from tests.support.parsed_html import parse_as_github, parse_html
from tests.support.plan_formats import as_details, as_drift_markdown, as_html, as_markdown, as_whole_markdown
from tests.support.plans import assessed_plan

LONG = [f"value {n}" for n in range(12)]


def edited(*edits: tuple[Rule, Rule], queues: Sequence[Queue] = ()) -> Plan:
    """A plan that edits rules cards/r0, cards/r1, ... from the first to the second rule of each pair."""
    want = [wanted(f"cards/r{n}", after) for n, (_, after) in enumerate(edits)]
    return assessed_plan(
        want, [managed(str(n), f"cards/r{n}", before) for n, (before, _) in enumerate(edits)], None, *queues
    )


def asks(name: str, confidence: float, **said: Any) -> Rule:
    return rule(name, conditions=[intent_is(name), at_least(confidence)], **said)


def raised(count: int) -> list[tuple[Rule, Rule]]:
    """Return rules whose confidence changes from 0.6 to 0.7."""
    return [(asks(f"i{n}", 0.6), asks(f"i{n}", 0.7)) for n in range(count)]


def grouped(made: Plan) -> list[list[str]]:
    """Return the keys of each group of more than one rule."""
    return [
        [one.address.key for one in group]
        for group in group_equal_edits(summarize_plan(made, "t").changes)
        if len(group) > 1
    ]


def test_many_equal_edits_are_one_line() -> None:
    """In the words of semantics "Effects"; -v names every rule; JSON and totals are per rule."""
    made = edited(*raised(22))
    edit = "22 rules: condition confidence >= 0.6 -> confidence >= 0.7"
    assert f"\n  ~ {edit}\n      cards/r0, cards/r1, cards/r10 and 19 more\n\n" in as_details(made)
    assert "Plan: 22 to update, 0 unchanged.\n" in as_details(made)
    assert 22 == len(plan_to_json(made)["changes"])
    comment = parse_as_github(as_markdown(made))
    assert ["~ 22 rules of cards/ confidence 0.6 → 0.7", "", ""] == comment.rows()[0][1]
    assert all(f"cards/r{n}" in comment.text_inside("details", "li") for n in range(22))
    text = as_html(made)
    assert ["22"] == [one["data-rules"] for one in parse_html(text).all("article")]
    assert all(f"<li><code>cards/r{n}</code>" in text for n in range(22))


@pytest.mark.parametrize("count", [1, MIN_GROUP - 1])
def test_one_or_two_equal_edits_are_not_grouped(count: int) -> None:
    """Two lines are easier to read than one line about two rules."""
    assert [] == grouped(edited(*raised(count)))


def test_descriptions_may_differ_outside_the_edit() -> None:
    """A generated description names the rule's intent and its queue; the rest of the edit is equal."""
    moves = [
        (
            asks(f"i{n}", 0.6, description=f"Routes i{n} to Cards"),
            asks(f"i{n}", 0.6, description=f"Routes i{n} to Fraud", targets=[Target("q-fraud", 1)]),
        )
        for n in range(3)
    ]
    made = edited(*moves)
    assert [["r0", "r1", "r2"]] == grouped(made)
    assert '\n  ~ 3 rules: queue "Card Services" -> "Fraud"\n' in as_details(made)
    alone = [(before, replace(before, description=after.description)) for before, after in moves]
    assert [] == grouped(edited(*alone))


@pytest.mark.parametrize(
    "other",
    [
        (asks("x", 0.6), asks("x", 0.75)),
        (asks("x", 0.5), asks("x", 0.7)),
        (asks("x", 0.6), asks("x", 0.7, priority=1)),
        (asks("x", 0.6), asks("x", 0.7, enabled=False)),
        (asks("x", 0.6), asks("x", 0.7, description="other")),
        (asks("x", 0.6), asks("x", 0.7, targets=[Target("q-fraud", 1)])),
        (asks("x", 0.6, targets=[Target("q-fraud", 1)]), asks("x", 0.7)),
    ],
)
def test_a_different_edit_is_not_hidden(other: tuple[Rule, Rule]) -> None:
    """By a value, by one more field."""
    assert [["r0", "r1", "r2"]] == grouped(edited(*raised(3), other))
    assert "cards/r3   manifests/x.yaml:1" in as_details(edited(*raised(3), other))


def test_texts_that_reports_cut_are_compared_completely() -> None:
    """Long lists, long texts, and queues of one name."""
    values = [[*LONG, "a"], [*LONG, "b"], [*LONG, "c"]]
    tiers = [(rule(f"i{n}"), rule(f"i{n}", conditions=[make_condition("tier", "in", values[n])])) for n in range(3)]
    assert [] == grouped(edited(*tiers))
    texts = [(rule(f"i{n}"), rule(f"i{n}", description=f"{'x' * 400}{n}")) for n in range(3)]
    assert [] == grouped(edited(*texts))
    queues = [Queue(f"q{n}", "Same") for n in range(3)]
    moved = [(rule(f"i{n}"), rule(f"i{n}", targets=[Target(f"q{n}", 1)])) for n in range(3)]
    assert [] == grouped(edited(*moved, queues=queues))


def test_deletes_and_creates_are_not_grouped() -> None:
    """Each of them is a complete rule."""
    want = [wanted(f"cards/new{n}", rule(f"new{n}")) for n in range(4)]
    made = assessed_plan(want, [managed(str(n), f"cards/gone{n}", rule(f"gone{n}")) for n in range(4)])
    assert [] == grouped(made)


VALUES = {
    "priority": some.sampled_from([1, 2]),
    "enabled": some.booleans(),
    "description": some.sampled_from(["to a", "to b", "by b"]),
    "confidence": some.sampled_from([0.6, 0.7]),
    "targets": some.sampled_from([[Target("q-cards", 1)], [Target("q-fraud", 1)]]),
}
RULES = some.tuples(some.fixed_dictionaries(VALUES), some.fixed_dictionaries(VALUES))


@settings(max_examples=60, deadline=None)
@given(some.lists(RULES, min_size=1, max_size=12))
def test_grouping_loses_no_rule_and_joins_only_equal_edits(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Every change is in one group, in order; in a group all fields have the same values before and after."""
    edits = [(asks(f"i{n}", **before), asks(f"i{n}", **after)) for n, (before, after) in enumerate(pairs)]
    made = edited(*edits)
    groups = group_equal_edits(summarize_plan(made, "t").changes)
    assert sorted(one.address for one in made.changes) == sorted(one.address for group in groups for one in group)
    for group in groups:
        fields = {
            str([(one.path, one.before, one.after) for one in change.fields])
            for change in made.changes
            if isinstance(change, Update) and change.address in [one.address for one in group]
        }
        assert 1 == len(fields)
        assert len(group) == 1 or len(group) >= MIN_GROUP
    text = as_details(made)
    assert all(
        f"cards/r{n}" in text or re.search(r"and \d+ more", text)
        for n, _ in enumerate(pairs)
        if edits[n][0] != edits[n][1]
    )


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_hostile_values_in_a_group_are_text(name: str) -> None:
    """As attribute, value, queue and words of a description of equal edits."""

    def made(said: str) -> Plan:
        before = [rule(f"i{n}", description=f"a{n} {said} b") for n in range(4)]
        asked = make_condition(said, "equals", said)
        after = [
            rule(
                f"i{n}",
                description=f"a{n} {said}2 b",
                conditions=[intent_is(f"i{n}"), asked],
                targets=[Target("q", 1)],
            )
            for n in range(4)
        ]
        return edited(*zip(before, after, strict=True), queues=[Queue("q", said)])

    odd, usual = made(name), made("Billing")
    assert [["r0", "r1", "r2", "r3"]] == grouped(odd)
    assert CONTROL_CHARACTERS.search(as_details(odd)) is None
    for form in (as_whole_markdown, as_drift_markdown):
        shapes = [[tag for tag in parse_as_github(form(one)).shape if tag.strip("/") != "code"] for one in (usual, odd)]
        assert shapes[0] == shapes[1]
    tags = [[tag for tag, _ in parse_html(as_html(one)).tags if tag != "code"] for one in (usual, odd)]
    assert tags[0] == tags[1]
    assert address("cards/r0") in [one.address for one in odd.changes]
