"""One change in words: each changed field as a row, and the reason unless it is the manifest
alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from reconciler.core.model.change import Cause, Delete
from reconciler.core.model.rule import (
    Opaque,
    Queue,
    Rule,
    Target,
    make_condition,
    make_opaque,
)
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import LiveState, PlanOptions
from reconciler.render.change_summary import FieldRow, summarize_change
from tests.support.builders import (
    NOW,
    QUEUES,
    at_least,
    desired,
    intent_is,
    live,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case

NIGHTS = make_opaque({"type": "schedule", "name": "nights"})
DAYS = make_opaque({"type": "schedule", "name": "days"})
SAME_NAME = Queue("q-cards-2", "Card Services")
CARDS = Target("q-cards", 1)
FRAUD = Target("q-fraud", 3)
NIGHTS_SHOWN = (
    'a part that cxroute does not understand: {"name":"nights","type":"schedule"}'
)
NIGHTS_QUEUE = (
    'something that cxroute does not understand ({"name":"nights","type":"schedule"})'
)
ODD = [make_opaque({"type": "skill", "text": "x" * 400 + end}) for end in "ab"]
ODD_SHOWN = 'something that cxroute does not understand ({"text":"' + "x" * 291 + "...)"
ODD_QUEUES = f'50 % "Card Services" (q-cards), 50 % {ODD_SHOWN}'


def rows(before: Rule, after: Rule) -> tuple[FieldRow, ...]:
    """Return the differences between a live rule and the desired one in words."""
    (change,) = (
        created := find_changes(
            desired(wanted("cards/vip", after)),
            LiveState((managed("1", "cards/vip", before),), (*QUEUES, SAME_NAME)),
            PlanOptions(),
            NOW,
        )
    ).changes
    return summarize_change(created, change).rows


@each_case(
    "before, after, expected",
    [
        ([CARDS], [FRAUD], [("queue", '"Card Services"', '"Fraud"')]),
        (
            [CARDS],
            [CARDS, FRAUD],
            [("queue", '"Card Services"', '75 % "Fraud", 25 % "Card Services"')],
        ),
        (
            [CARDS, FRAUD],
            [CARDS],
            [("queue", '75 % "Fraud", 25 % "Card Services"', '"Card Services"')],
        ),
        ([CARDS], [], [("queue", '"Card Services"', "no queue")]),
        (
            [CARDS],
            [Target("q-cards", 2)],
            [
                (
                    "queue",
                    '"Card Services" with weight 1',
                    '"Card Services" with weight 2',
                )
            ],
        ),
        (
            [CARDS],
            [Target("q-cards-2", 1)],
            [("queue", '"Card Services" (q-cards)', '"Card Services" (q-cards-2)')],
        ),
        (
            [CARDS],
            [Target("gone", 1)],
            [("queue", '"Card Services"', "an unknown queue (gone)")],
        ),
        ([CARDS, ODD[0]], [CARDS, ODD[1]], [("queue", ODD_QUEUES, ODD_QUEUES)]),
        (
            [CARDS, NIGHTS],
            [CARDS],
            [
                (
                    "queue",
                    f'50 % "Card Services", 50 % {NIGHTS_QUEUE}',
                    '"Card Services"',
                )
            ],
        ),
    ],
)
def test_differences_of_queues(
    before: list[Target | Opaque],
    after: list[Target | Opaque],
    expected: list[tuple[str, str, str]],
) -> None:
    """One row for the destination with its shares, or with the weights if these alone differ."""
    assert expected == [
        (row.name, row.before, row.after)
        for row in rows(rule(targets=before), rule(targets=after))
    ]


@each_case(
    "before, after, expected",
    [
        (
            [at_least(0.5)],
            [at_least(0.7)],
            [("condition", "confidence >= 0.5", "confidence >= 0.7")],
        ),
        (
            [at_least(0.5)],
            [make_condition("cognigyConfidence", "lessThan", 0.7)],
            [("condition", "confidence >= 0.5", "confidence < 0.7")],
        ),
        (
            [make_condition("tier", "in", ["gold", "platinum"])],
            [make_condition("tier", "notIn", ["gold", "platinum"])],
            [
                (
                    "condition",
                    'tier is one of "gold", "platinum"',
                    'tier is none of "gold", "platinum"',
                )
            ],
        ),
        (
            [make_condition("tier", "exists", value=True)],
            [make_condition("tier", "equals", "gold")],
            [("condition", "tier exists", 'tier is "gold"')],
        ),
        (
            [],
            [make_condition("tier", "equals", "gold")],
            [("condition", "(none)", 'tier is "gold"')],
        ),
        (
            [make_condition("tier", "equals", "gold")],
            [],
            [("condition", 'tier is "gold"', "(none)")],
        ),
        (
            [NIGHTS],
            [DAYS],
            [
                ("condition", "(none)", NIGHTS_SHOWN.replace("nights", "days")),
                ("condition", NIGHTS_SHOWN, "(none)"),
            ],
        ),
    ],
)
def test_differences_of_conditions(
    before: list[object], after: list[object], expected: list[tuple[str, str, str]]
) -> None:
    """One row for each changed condition, with the labels of attributes."""
    output = rows(
        *(
            rule(conditions=[intent_is("vip"), *selected])
            for selected in (before, after)
        )
    )
    assert expected == [(row.name, row.before, row.after) for row in output]


def test_differences_of_other_fields() -> None:
    """Fields by name, values as JSON."""
    before = rule("old", description="a", priority=7)
    after = rule("new", description="b", enabled=False)
    same = replace(before, conditions=after.conditions)
    expected = [
        ("priority", "7", "100"),
        ("enabled", "true", "false"),
        ("name", '"old"', '"new"'),
        ("description", '"a"', '"b"'),
    ]
    assert expected == [(row.name, row.before, row.after) for row in rows(same, after)]


def test_differences_of_the_marker() -> None:
    """A moved rule, a rule with an outdated marker, and a rule that becomes unmanaged."""
    moved = find_changes(
        desired(wanted("fraud/vip", rule())),
        live(managed("1", "cards/vip", rule())),
        PlanOptions(),
        NOW,
    )
    assert (FieldRow("moved", "cards/vip", "fraud/vip"),) == summarize_change(
        moved, moved.changes[0]
    ).rows
    old = live(managed("1", "cards/vip", rule(), last_written=rule(priority=1)))
    marked = find_changes(desired(wanted("cards/vip", rule())), old, PlanOptions(), NOW)
    output = summarize_change(marked, marked.changes[0])
    assert () == output.rows
    assert (
        "the rule matches the manifest; only its marker is updated",
    ) == output.sentences
    source_values = find_changes(
        desired(wanted("cards/vip", rule(), unadopted_id="1")),
        live(managed("1", "cards/vip", rule())),
        PlanOptions(undo="run-7"),
        NOW,
    )
    output = summarize_change(source_values, source_values.changes[0])
    assert (FieldRow("managed", "yes", "no"),) == output.rows
    assert (
        "run run-7 adopted this unmanaged rule; after this change it is unmanaged again",
    ) == output.sentences


def test_each_change_has_a_reason() -> None:
    """The origin of the difference, except for the manifest."""
    want = desired(
        wanted("cards/new", rule("new")),
        wanted("cards/changed", rule("changed", priority=1)),
        wanted("cards/drifted", rule("drifted")),
        wanted("cards/both", rule("both", priority=1)),
        wanted("cards/hand", rule("hand"), adopt="by hand"),
        wanted("cards/twice", rule("twice")),
    )
    copy = managed("8", "cards/drifted", rule("(next) acme/cards/drifted"))
    assert copy.marker is not None
    actual = live(
        managed("1", "cards/changed", rule("changed")),
        managed(
            "2",
            "cards/drifted",
            rule("drifted", enabled=False),
            last_written=rule("drifted"),
        ),
        managed(
            "3", "cards/both", rule("both", enabled=False), last_written=rule("both")
        ),
        managed("4", "cards/gone", rule("gone")),
        unmanaged("5", rule("by hand")),
        managed("6", "cards/twice", rule("twice")),
        managed("7", "cards/twice", rule("twice")),
        replace(copy, marker=replace(copy.marker, copy=True)),
    )
    created = find_changes(want, actual, PlanOptions(), NOW)
    output = [summarize_change(created, change) for change in created.changes]
    second = (
        "a second copy of this rule, left by a lost response or two concurrent runs; the other "
        "copy stays"
    )
    expected = {
        ("create", "cards/new"): "",
        ("update", "cards/changed"): "",
        ("update", "cards/drifted"): "changed in CXone since the last apply",
        (
            "update",
            "cards/both",
        ): "changed in CXone since the last apply, and in the manifests",
        ("adopt", "cards/hand"): 'adopts the unmanaged rule "by hand"',
        ("delete", "cards/gone"): "no manifest defines it here any more",
        ("delete", "cards/twice"): second,
        (
            "delete",
            "cards/drifted",
        ): "a temporary copy that an earlier run left; it is deleted",
    }
    assert expected == {
        (item.action, str(item.address)): item.reason for item in output
    }
    assert {"create", "delete"} == {item.action for item in output if item.rule_text}
    assert set(get_args(Cause)) == {change.cause for change in created.changes}


def test_an_undo_names_the_change_of_the_run() -> None:
    """The run created, changed or deleted the rule."""
    want = desired(
        wanted("cards/new", rule("new")), wanted("cards/vip", rule(priority=1))
    )
    actual = live(
        managed("1", "cards/vip", rule()), managed("2", "cards/gone", rule("gone"))
    )
    created = find_changes(want, actual, PlanOptions(undo="run-7"), NOW)
    output = {
        change.action: change
        for change in (summarize_change(created, change) for change in created.changes)
    }
    assert (
        "run run-7 deleted it",
        "run run-7 created it",
        "run run-7 changed it",
    ) == tuple(output[action].reason for action in ("create", "delete", "update"))


def test_a_note_is_the_first_sentence() -> None:
    """It is one of the sentences."""
    created = find_changes(
        desired(), live(managed("1", "cards/gone", rule("gone"))), PlanOptions(), NOW
    )
    (change,) = created.changes
    assert isinstance(change, Delete)
    output = summarize_change(created, change, "not applied: incident 42")
    assert "not applied: incident 42" == output.sentences[0]
    assert 'intent is "gone": to "Card Services", priority 100' == output.rule_text
