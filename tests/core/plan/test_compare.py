"""Desired against live: every kind of change, and every conflict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.change import Adopt, Create, Delete, FieldChange, Update
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import (
    Condition,
    Rule,
    Target,
    make_condition,
    make_opaque,
)
from reconciler.core.plan.compare import Comparison, compare_rules
from reconciler.core.plan.ownership import classify_by_owner
from tests.support.builders import (
    OWNER,
    address,
    at_least,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)


def compared(rules: list[DesiredRule], *live: object) -> Comparison:
    return compare_rules(desired(*rules), classify_by_owner(live, OWNER))  # type: ignore[arg-type]


def codes(found: Comparison) -> list[str]:
    return [finding.code for finding in found.findings]


def test_equal_rules_need_no_change() -> None:
    """Fields that the server adds, and the order of its lists, are not a difference."""
    subject = rule(conditions=[intent_is("x"), at_least(0.5)])
    actual = compared(
        [wanted("cards/vip", subject)],
        managed("1", "cards/vip", subject, version=7, selfUri="/x"),
    )
    assert Comparison((), (address("cards/vip"),), ()) == actual


def test_a_missing_rule_is_created_and_a_surplus_one_deleted() -> None:
    """Each change has its address; a delete has the cause that made the rule superfluous."""
    removed = managed("1", "cards/old", rule("old"))
    item = wanted("cards/vip", rule())
    assert (
        Create(item.address, item.rule, item.source),
        Delete(address=address("cards/old"), live=removed, cause="manifest"),
    ) == compared([item], removed).changes


def test_the_delete_of_an_edited_rule_has_the_cause_both() -> None:
    """The cause of the delete is then both."""
    removed = managed(
        "1", "cards/old", rule("old", priority=1), last_written=rule("old")
    )
    assert "both" == compared([], removed).changes[0].cause


def test_an_update_names_every_field() -> None:
    """Paths are those of the API; conditions and targets are paired by attribute and queue."""
    before = rule(
        conditions=[intent_is("x"), at_least(0.5)],
        targets=[Target("q-cards", 1), Target("q-fraud", 1)],
    )
    after = rule(
        priority=1,
        enabled=False,
        conditions=[
            intent_is("x"),
            at_least(0.7),
            make_condition("tier", "equals", "gold"),
        ],
        targets=[Target("q-cards", 3), Target("q-general", 1)],
    )
    actual = compared(
        [wanted("cards/vip", after)], managed("1", "cards/vip", before)
    ).changes[0]
    assert isinstance(actual, Update)
    assert (
        FieldChange("priority", 100, 1),
        FieldChange("enabled", before=True, after=False),
        FieldChange("conditions[0].value", 0.5, 0.7),
        FieldChange(
            "conditions[2]",
            None,
            {
                "type": "attribute",
                "attributeName": "tier",
                "operator": "equals",
                "value": "gold",
            },
        ),
        FieldChange("targets[0].weight", 1, 3),
        FieldChange("targets[1].queueId", "q-fraud", "q-general"),
    ) == actual.fields
    assert "manifest" == actual.cause


def test_another_queue_is_one_field() -> None:
    """The most common change is displayed as one field."""
    actual = compared(
        [wanted("cards/vip", rule(targets=[Target("q-fraud", 1)]))],
        managed("1", "cards/vip", rule()),
    )
    assert isinstance(actual.changes[0], Update)
    assert (FieldChange("targets[0].queueId", "q-cards", "q-fraud"),) == actual.changes[
        0
    ].fields


def test_an_old_digest_on_an_equal_rule_is_an_update_of_the_marker() -> None:
    """It is not drift, because the content is the desired one."""
    subject = rule()
    actual = compared(
        [wanted("cards/vip", subject)],
        managed("1", "cards/vip", subject, last_written=rule(priority=1)),
    )
    (change,) = actual.changes
    assert isinstance(change, Update)
    assert ("marker",) == tuple(field.path for field in change.fields)
    assert "manifest" == change.cause


def test_another_order_of_values_needs_no_new_marker() -> None:
    """The digest of the written rule still matches the live rule."""
    item = rule(conditions=[make_condition("a", "in", ["x", "y"])])
    candidate = rule(conditions=[make_condition("a", "in", ["y", "x"])])
    assert (
        ()
        == compared(
            [wanted("cards/vip", candidate)], managed("1", "cards/vip", item)
        ).changes
    )


def test_a_renamed_rule_is_an_update() -> None:
    """The address identifies the rule; the name is a field."""
    actual = compared(
        [wanted("cards/vip", rule("new name"))], managed("1", "cards/vip", rule("vip"))
    )
    assert isinstance(actual.changes[0], Update)
    assert "name" in [field.path for field in actual.changes[0].fields]


def test_a_moved_key_with_the_same_name_is_one_update() -> None:
    """Not a delete and a create: the rule keeps its id."""
    actual = compared([wanted("fraud/vip", rule())], managed("1", "cards/vip", rule()))
    (change,) = actual.changes
    assert isinstance(change, Update)
    assert (FieldChange("address", "cards/vip", "fraud/vip"),) == change.fields
    assert address("fraud/vip") == change.address


def test_a_duplicate_is_deleted_and_an_edited_copy_is_reported() -> None:
    """An edited copy is never written."""
    own_side = managed("1", "cards/vip", rule(), dateCreated="2026-01-01T00:00:00Z")
    twin = managed("2", "cards/vip", rule(), dateCreated="2026-01-02T00:00:00Z")
    clone = managed(
        "3",
        "cards/vip",
        rule(priority=7),
        last_written=rule(),
        dateCreated="2026-01-03T00:00:00Z",
    )
    actual = compared([wanted("cards/vip", rule())], own_side, twin, clone)
    assert (
        Delete(address=address("cards/vip"), live=twin, cause="duplicate"),
    ) == actual.changes
    assert ["CXR302"] == codes(actual)


def test_a_copy_with_other_unknown_fields_is_not_a_duplicate() -> None:
    """It is kept; the message names the fields and the original rule."""
    own_side = managed(
        "1", "cards/vip", rule(), dateCreated="2026-01-01T00:00:00Z", division="home"
    )
    twin = managed(
        "2",
        "cards/vip",
        rule(),
        dateCreated="2026-01-02T00:00:00Z",
        division="away",
        schedule=7,
    )
    actual = compared([wanted("cards/vip", rule())], own_side, twin)
    assert () == actual.changes
    ((code, message),) = [
        (finding.code, finding.message) for finding in actual.findings
    ]
    assert "CXR302" == code
    text = 'live rule "vip" (2) is a copy of cards/vip (1) with other values in division, schedule; it is not changed'
    assert text == message


def both_edited(**fields: Any) -> tuple[LiveRule, LiveRule]:
    """Return two rules with one marker, both edited, without dates."""
    first = managed("1", "cards/vip", rule(priority=7), last_written=rule(), **fields)
    return first, managed(
        "2", "cards/vip", rule("mine", priority=8), last_written=rule(), **fields
    )


def test_ambiguous_rules_of_an_address_are_not_changed() -> None:
    """A conflict if the manifests define the rule, otherwise a warning; other addresses are
    planned; a copy stays.
    """
    remaining = managed("3", "cards/vip", rule("(next) acme/cards/vip"))
    assert remaining.marker is not None
    remaining = replace(remaining, marker=replace(remaining.marker, copy=True))
    candidate = wanted("cards/new", rule("new"))
    actual = compared(
        [wanted("cards/vip", rule()), candidate], *both_edited(), remaining
    )
    assert ["cards/new"] == [str(change.address) for change in actual.changes]
    assert [("CXR312", "error")] == [
        (finding.code, finding.severity) for finding in actual.findings
    ]
    assert (
        "2 live rules have the marker of cards/vip (1, 2)" in actual.findings[0].message
    )
    unwanted = compared([candidate], *both_edited(), remaining)
    assert ["cards/new"] == [str(change.address) for change in unwanted.changes]
    assert [("CXR312", "warning")] == [
        (finding.code, finding.severity) for finding in unwanted.findings
    ]


def test_ambiguous_rules_may_stay_while_all_are_as_desired() -> None:
    """They differ in fields that cxroute does not write: there is no change, but a warning reports
    the rules.
    """
    rules = [managed(n, "cards/vip", rule(), division=n) for n in ("1", "2")]
    actual = compared([wanted("cards/vip", rule())], *rules)
    assert ((), (address("cards/vip"),)) == (actual.changes, actual.unchanged)
    assert [("CXR312", "warning")] == [
        (finding.code, finding.severity) for finding in actual.findings
    ]
    actual = compared([wanted("cards/vip", rule(priority=1))], *rules)
    assert ((), [("CXR312", "error")]) == (
        actual.changes,
        [(finding.code, finding.severity) for finding in actual.findings],
    )


def test_a_key_does_not_move_from_ambiguous_rules() -> None:
    """Otherwise a third rule with the name would be created."""
    actual = compared([wanted("fraud/vip", rule("mine"))], *both_edited())
    assert () == actual.changes
    assert [("CXR312", "error", "fraud/vip"), ("CXR312", "warning", "cards/vip")] == [
        (finding.code, finding.severity, str(finding.address))
        for finding in actual.findings
    ]


def test_ids_of_rules_in_a_message_are_escaped_and_bounded() -> None:
    """They come from the tenant."""
    rules = [
        managed(
            f"{n:02}\x1b[31m" + "x" * 500,
            "cards/vip",
            rule(priority=n),
            last_written=rule(),
        )
        for n in range(1, 30)
    ]
    (finding,) = compared([wanted("cards/vip", rule())], *rules).findings
    assert "\x1b" not in finding.message
    assert " and 21 more)" in finding.message
    assert len(finding.message) < 1000


def test_a_name_of_an_edited_copy_is_a_conflict() -> None:
    """The message names the copy, and the plan does not change the address."""
    own_side = managed("1", "cards/vip", rule("old"))
    copy = managed("2", "cards/vip", rule("vip", priority=7), last_written=rule("old"))
    actual = compared([wanted("cards/vip", rule("vip"))], own_side, copy)
    assert () == actual.changes
    conflict = next(
        finding for finding in actual.findings if finding.severity == "error"
    )
    assert ("CXR302", 'its name is that of 2, an edited copy of cards/vip: "vip"') == (
        conflict.code,
        conflict.message,
    )


def test_an_unmanaged_rule_of_that_name_is_a_conflict() -> None:
    """The message names it, and the other rules are planned."""
    actual = compared(
        [wanted("cards/vip", rule()), wanted("cards/new", rule("new"))],
        unmanaged("1", rule(priority=3)),
    )
    assert ["cards/new"] == [str(change.address) for change in actual.changes]
    assert ["CXR301"] == codes(actual)
    assert ["error"] == [finding.severity for finding in actual.findings]


def test_adopt_uses_the_live_name() -> None:
    """`adopt` finds the rule by its live name, independent of the name in the manifest."""
    live = unmanaged("1", rule("Cards (by hand)", priority=3))
    actual = compared([wanted("cards/vip", rule(), adopt="Cards (by hand)")], live)
    (change,) = actual.changes
    assert isinstance(change, Adopt)
    assert live == change.live
    assert {"name", "description", "priority", "conditions[0].value"} == {
        field.path for field in change.fields
    }


def test_adopt_by_id_resolves_an_ambiguous_name() -> None:
    """Of two live rules of one name, the name alone is a conflict, the id is not (once the other is
    renamed).
    """
    item = unmanaged("1", rule("same"))
    two = unmanaged("2", rule("same"))
    assert ["CXR304"] == codes(
        compared([wanted("cards/vip", rule("mine"), adopt="same")], item, two)
    )
    for name in ("mine", "same"):
        actual = compared(
            [wanted("cards/vip", rule(name), adopt=AdoptById(id="2"))], item, two
        )
        assert ["2"] == [
            change.live.id for change in actual.changes if isinstance(change, Adopt)
        ]
        assert (["CXR308"] if name == "same" else []) == codes(actual)


def test_with_unique_names_a_taken_name_is_a_conflict() -> None:
    """The server would answer 409, so the plan reports the conflict.

    A rule without a change is not affected.
    """
    candidate = unmanaged("1", rule(priority=3))
    same = managed("2", "cards/vip", rule())
    adopting = wanted("cards/vip", rule(), adopt=AdoptById(id="2"))
    for wish, live, codes_found in (
        (adopting, unmanaged("2", rule()), ["CXR301"]),
        (wanted("cards/vip", rule(priority=5)), same, ["CXR301"]),
        (wanted("cards/vip", rule()), same, ["CXR308"]),
    ):
        actual = compare_rules(
            replace(desired(wish), names_unique=True),
            classify_by_owner((candidate, live), OWNER),
        )
        assert ((), codes_found) == (actual.changes, codes(actual))


def test_adopting_a_rule_of_another_tool_is_a_warning() -> None:
    """Every plan reports it, independent of the author of the `adopt:`."""
    foreign_side = unmanaged(
        "1", rule(description="do not edit\n[flowsync:ivr/branch@4]")
    )
    (output,) = compared(
        [wanted("cards/vip", rule(), adopt="vip")], foreign_side
    ).findings
    assert ("CXR309", "warning") == (output.code, output.severity)
    assert output.message.endswith("managed by another tool: [flowsync:ivr/branch@4]")


def test_without_a_rule_to_adopt_the_rule_is_created() -> None:
    """So one manifest fits a tenant with the rule, and an empty one."""
    actual = compared([wanted("cards/vip", rule(), adopt="Cards (by hand)")])
    assert [Create] == [type(change) for change in actual.changes]
    assert ["CXR305"] == codes(actual)


def test_an_adopted_rule_stays_adopted() -> None:
    """Once the rule is managed, `adopt:` has no effect."""
    actual = compared(
        [wanted("cards/vip", rule(), adopt="vip")], managed("1", "cards/vip", rule())
    )
    assert ((), ()) == (actual.changes, actual.findings)


@pytest.mark.parametrize(
    ("adopt", "which"),
    [
        (None, 'a live rule named "vip"'),
        ("vip", 'the live rule named "vip"'),
        (AdoptById(id="1"), 'the live rule with id "1"'),
    ],
)
def test_a_rule_of_another_owner_is_never_adopted(adopt: object, which: str) -> None:
    """Neither by its name nor by `adopt:`."""
    actual = compared(
        [wanted("cards/vip", rule(), adopt=adopt)],
        managed("1", "x/vip", rule(), owner="other"),
    )
    assert ((), ["CXR303"]) == (actual.changes, codes(actual))
    assert f"{which} is managed by other" == actual.findings[0].message


def test_one_live_rule_is_adopted_once() -> None:
    """A second manifest that adopts it is a conflict."""
    rules = [
        wanted("cards/a", rule("a"), adopt="hand"),
        wanted("cards/b", rule("b"), adopt="hand"),
    ]
    actual = compared(rules, unmanaged("1", rule("hand")))
    assert (["cards/a"], ["CXR304"]) == (
        [str(change.address) for change in actual.changes],
        codes(actual),
    )


def test_renaming_a_managed_rule_to_a_taken_name_is_a_conflict() -> None:
    """So is the adoption of one rule under the name of another one."""
    claimed = unmanaged("2", rule("taken"))
    assert ["CXR301"] == codes(
        compared(
            [wanted("cards/vip", rule("taken"))],
            managed("1", "cards/vip", rule()),
            claimed,
        )
    )
    adopting = wanted("cards/vip", rule("taken"), adopt="hand")
    assert ["CXR301"] == codes(
        compared([adopting], unmanaged("1", rule("hand")), claimed)
    )


def test_an_unmanaged_rule_with_the_name_of_a_managed_one_is_a_warning() -> None:
    """The managed rule exists already; the unmanaged rule is not changed."""
    actual = compared(
        [wanted("cards/vip", rule())],
        managed("1", "cards/vip", rule()),
        unmanaged("2", rule(priority=3)),
    )
    assert ((), ["CXR308"]) == (actual.changes, codes(actual))


def test_an_unknown_condition_is_replaced() -> None:
    """A managed rule that got an unknown kind of condition in CXone is restored, and the change
    shows it.
    """
    odd = {"type": "schedule", "open": "09:00"}
    edited = rule(conditions=[intent_is("vip"), make_opaque(odd)])
    actual = compared(
        [wanted("cards/vip", rule())],
        managed("1", "cards/vip", edited, last_written=rule()),
    )
    (change,) = actual.changes
    assert isinstance(change, Update)
    assert (FieldChange("conditions[1]", odd, None),) == change.fields
    assert "drift" == change.cause
    assert ["CXR306"] == codes(actual)
    assert isinstance(change.after.conditions[0], Condition)


@pytest.mark.parametrize(
    ("live", "cause"), [(rule(), "manifest"), (rule(priority=7), "both")]
)
def test_a_rule_that_moved_and_was_edited_differs_by_both(
    live: Rule, cause: str
) -> None:
    """The manifest gave it another address, so drift is not the only cause."""
    actual = compared(
        [wanted("fraud/vip", rule())],
        managed("1", "cards/vip", live, last_written=rule()),
    )
    assert [("fraud/vip", cause)] == [
        (str(change.address), change.cause) for change in actual.changes
    ]


def test_a_key_that_two_rules_of_one_name_may_have_left_is_a_create() -> None:
    """It is not known which of the two moved, so both are deleted as rules without a manifest."""
    actual = compared(
        [wanted("fraud/vip", rule())],
        managed("1", "cards/a", rule()),
        managed("2", "cards/b", rule(priority=7)),
    )
    assert [Create, Delete, Delete] == [type(change) for change in actual.changes]


RELEASED = wanted("cards/vip", rule("by hand", priority=3), unadopted_id="1")


def test_a_rule_given_back_loses_its_marker_and_is_restored() -> None:
    """The undo of an adoption writes the rule as it was before, without the marker."""
    live = managed("1", "cards/vip", rule())
    assert live.marker is not None
    (change,) = compared([RELEASED], live).changes
    assert isinstance(change, Update)
    assert (live, RELEASED.rule, True) == (change.live, change.after, change.unadopts)
    assert FieldChange("marker", live.marker.digest, None) == change.fields[-1]
    assert {"name", "priority"} < {field.path for field in change.fields}


def test_a_rule_that_was_given_back_already_needs_no_change() -> None:
    """It is unmanaged and in its state before the adoption."""
    actual = compared([RELEASED], unmanaged("1", RELEASED.rule))
    assert ((), (RELEASED.address,), ()) == (
        actual.changes,
        actual.unchanged,
        actual.findings,
    )


@pytest.mark.parametrize(
    "live",
    [
        (),
        (unmanaged("1", rule("by hand", priority=4)),),
        (managed("1", "cards/vip", rule("by hand", priority=3), owner="other"),),
        (managed("2", "cards/vip", rule()),),
    ],
    ids=["gone", "edited", "another owner", "another rule"],
)
def test_a_rule_that_is_no_longer_managed_is_not_given_back(
    live: tuple[LiveRule, ...],
) -> None:
    """The marker was removed: the undo is a conflict, and the rule is not changed."""
    actual = compared([RELEASED], *live)
    assert ((), ["CXR311"]) == (actual.changes, codes(actual))
    (conflict,) = actual.findings
    assert ("error", "the rule to give back is no longer managed by cxroute") == (
        conflict.severity,
        conflict.message,
    )
    assert "it is not changed; check it in CXone" == conflict.hint


def test_a_rule_is_not_given_back_under_a_taken_name() -> None:
    """Two unmanaged rules would have one name; a rule that kept its name does not need the
    check.
    """
    candidate = unmanaged("2", rule("by hand"))
    actual = compared([RELEASED], managed("1", "cards/vip", rule()), candidate)
    assert ((), ["CXR301"]) == (actual.changes, codes(actual))
    retained = compared(
        [RELEASED], managed("1", "cards/vip", rule("by hand")), candidate
    )
    assert ([Update], []) == (
        [type(change) for change in retained.changes],
        codes(retained),
    )
