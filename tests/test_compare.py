"""Desired against live: every kind of change, and everything that may stand in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reconciler.canonical import opaque
from reconciler.change import Adopt, Create, Delete, FieldChange, Update
from reconciler.compare import Comparison, compare
from reconciler.manifest.documents import AdoptById
from reconciler.model import Condition, Target, condition
from reconciler.ownership import own
from tests.builders import OWNER, address, at_least, desired, intent_is, managed, rule, unmanaged, wanted

if TYPE_CHECKING:
    from reconciler.desired import DesiredRule


def compared(rules: list[DesiredRule], *live: object) -> Comparison:
    return compare(desired(*rules), own(live, OWNER))  # type: ignore[arg-type]


def codes(found: Comparison) -> list[str]:
    return [finding.code for finding in found.findings]


def test_equal_rules_need_nothing() -> None:
    """What the server adds, and the order of its lists, is no difference."""
    what = rule(conditions=[intent_is("x"), at_least(0.5)])
    found = compared([wanted("cards/vip", what)], managed("1", "cards/vip", what, version=7, selfUri="/x"))
    assert Comparison((), (address("cards/vip"),), ()) == found


def test_a_missing_rule_is_created_and_a_surplus_one_deleted() -> None:
    """Each with its address, and a delete with who made the rule superfluous."""
    gone = managed("1", "cards/old", rule("old"))
    one = wanted("cards/vip", rule())
    assert (Create(one.address, one.rule, one.source), Delete(address("cards/old"), gone, "manifest")) == compared(
        [one], gone
    ).changes


def test_a_deleted_rule_that_was_edited_says_so() -> None:
    """The cause of the delete is then both."""
    gone = managed("1", "cards/old", rule("old", priority=1), last_written=rule("old"))
    assert "both" == compared([], gone).changes[0].cause


def test_an_update_names_every_field() -> None:
    """Paths are in the API's words; conditions and targets are paired by what they are about."""
    before = rule(conditions=[intent_is("x"), at_least(0.5)], targets=[Target("q-cards", 1), Target("q-fraud", 1)])
    after = rule(
        priority=1,
        enabled=False,
        conditions=[intent_is("x"), at_least(0.7), condition("tier", "equals", "gold")],
        targets=[Target("q-cards", 3), Target("q-general", 1)],
    )
    found = compared([wanted("cards/vip", after)], managed("1", "cards/vip", before)).changes[0]
    assert isinstance(found, Update)
    assert (
        FieldChange("priority", 100, 1),
        FieldChange("enabled", before=True, after=False),
        FieldChange("conditions[0].value", 0.5, 0.7),
        FieldChange(
            "conditions[2]", None, {"type": "attribute", "attributeName": "tier", "operator": "equals", "value": "gold"}
        ),
        FieldChange("targets[0].weight", 1, 3),
        FieldChange("targets[1].queueId", "q-fraud", "q-general"),
    ) == found.fields
    assert "manifest" == found.cause


def test_another_queue_is_one_field() -> None:
    """The commonest change reads as what it is."""
    found = compared([wanted("cards/vip", rule(targets=[Target("q-fraud", 1)]))], managed("1", "cards/vip", rule()))
    assert isinstance(found.changes[0], Update)
    assert (FieldChange("targets[0].queueId", "q-cards", "q-fraud"),) == found.changes[0].fields


def test_an_old_digest_on_an_equal_rule_is_an_update_of_the_marker() -> None:
    """Never drift: the content is as desired."""
    what = rule()
    found = compared([wanted("cards/vip", what)], managed("1", "cards/vip", what, last_written=rule(priority=1)))
    (change,) = found.changes
    assert isinstance(change, Update)
    assert ("marker",) == tuple(field.path for field in change.fields)
    assert "manifest" == change.cause


def test_values_of_in_in_another_order_need_no_new_marker() -> None:
    """The digest of what was written still fits what is live."""
    one = rule(conditions=[condition("a", "in", ["x", "y"])])
    other = rule(conditions=[condition("a", "in", ["y", "x"])])
    assert () == compared([wanted("cards/vip", other)], managed("1", "cards/vip", one)).changes


def test_a_renamed_rule_is_an_update() -> None:
    """The address is who it is; the name is a field."""
    found = compared([wanted("cards/vip", rule("new name"))], managed("1", "cards/vip", rule("vip")))
    assert isinstance(found.changes[0], Update)
    assert "name" in [field.path for field in found.changes[0].fields]


def test_a_key_that_moved_while_the_name_stayed_is_one_update() -> None:
    """Not a delete and a create: the rule keeps its id."""
    found = compared([wanted("fraud/vip", rule())], managed("1", "cards/vip", rule()))
    (change,) = found.changes
    assert isinstance(change, Update)
    assert (FieldChange("address", "cards/vip", "fraud/vip"),) == change.fields
    assert address("fraud/vip") == change.address


def test_a_duplicate_is_deleted_and_a_clone_is_only_told() -> None:
    """A clone is never written."""
    ours = managed("1", "cards/vip", rule(), dateCreated="2026-01-01T00:00:00Z")
    twin = managed("2", "cards/vip", rule(), dateCreated="2026-01-02T00:00:00Z")
    clone = managed("3", "cards/vip", rule(priority=7), last_written=rule(), dateCreated="2026-01-03T00:00:00Z")
    found = compared([wanted("cards/vip", rule())], ours, twin, clone)
    assert (Delete(address("cards/vip"), twin, "duplicate"),) == found.changes
    assert ["CXR302"] == codes(found)


def test_an_unmanaged_rule_of_that_name_is_a_conflict() -> None:
    """It is named, and the other rules are planned all the same."""
    found = compared([wanted("cards/vip", rule()), wanted("cards/new", rule("new"))], unmanaged("1", rule(priority=3)))
    assert ["cards/new"] == [str(change.address) for change in found.changes]
    assert ["CXR301"] == codes(found)
    assert ["error"] == [finding.severity for finding in found.findings]


def test_adopt_takes_the_rule_of_that_name_over() -> None:
    """By its live name, whatever ours is called."""
    live = unmanaged("1", rule("Cards (by hand)", priority=3))
    found = compared([wanted("cards/vip", rule(), adopt="Cards (by hand)")], live)
    (change,) = found.changes
    assert isinstance(change, Adopt)
    assert live == change.live
    assert {"name", "description", "priority", "conditions[0].value"} == {field.path for field in change.fields}


def test_adopt_by_id_solves_what_a_name_cannot() -> None:
    """Two live rules of one name: the name alone is a conflict, the id is not (once the other is renamed)."""
    one, two = unmanaged("1", rule("same")), unmanaged("2", rule("same"))
    assert ["CXR304"] == codes(compared([wanted("cards/vip", rule("mine"), adopt="same")], one, two))
    for name in ("mine", "same"):
        found = compared([wanted("cards/vip", rule(name), adopt=AdoptById(id="2"))], one, two)
        assert ["2"] == [change.live.id for change in found.changes if isinstance(change, Adopt)]
        assert (["CXR308"] if name == "same" else []) == codes(found)


def test_where_names_are_unique_no_namesake_can_be_written() -> None:
    """The server answers 409, whoever had the name first: that is told at plan. What needs no write stays as it is."""
    other, same = unmanaged("1", rule(priority=3)), managed("2", "cards/vip", rule())
    adopting = wanted("cards/vip", rule(), adopt=AdoptById(id="2"))
    for wish, live, codes_found in (
        (adopting, unmanaged("2", rule()), ["CXR301"]),
        (wanted("cards/vip", rule(priority=5)), same, ["CXR301"]),
        (wanted("cards/vip", rule()), same, ["CXR308"]),
    ):
        found = compare(replace(desired(wish), names_unique=True), own((other, live), OWNER))
        assert ((), codes_found) == (found.changes, codes(found))


def test_taking_over_what_another_tool_manages_is_told() -> None:
    """Every plan says so, whoever wrote the `adopt:`."""
    theirs = unmanaged("1", rule(description="do not edit\n[flowsync:ivr/branch@4]"))
    (told,) = compared([wanted("cards/vip", rule(), adopt="vip")], theirs).findings
    assert ("CXR309", "warning") == (told.code, told.severity)
    assert told.message.endswith("managed by another tool: [flowsync:ivr/branch@4]")


def test_nothing_to_adopt_is_a_create() -> None:
    """So one manifest serves a tenant as found, and an empty one."""
    found = compared([wanted("cards/vip", rule(), adopt="Cards (by hand)")])
    assert [Create] == [type(change) for change in found.changes]
    assert ["CXR305"] == codes(found)


def test_what_was_adopted_stays_so() -> None:
    """Once the rule is ours, `adopt:` says nothing any more."""
    found = compared([wanted("cards/vip", rule(), adopt="vip")], managed("1", "cards/vip", rule()))
    assert ((), ()) == (found.changes, found.findings)


@pytest.mark.parametrize("adopt", [None, "vip", AdoptById(id="1")])
def test_a_rule_of_another_owner_is_never_taken(adopt: object) -> None:
    """Neither by accident nor by `adopt:`."""
    found = compared([wanted("cards/vip", rule(), adopt=adopt)], managed("1", "x/vip", rule(), owner="other"))
    assert ((), ["CXR303"]) == (found.changes, codes(found))


def test_one_live_rule_is_adopted_once() -> None:
    """A second manifest that wants it is a conflict."""
    rules = [wanted("cards/a", rule("a"), adopt="hand"), wanted("cards/b", rule("b"), adopt="hand")]
    found = compared(rules, unmanaged("1", rule("hand")))
    assert (["cards/a"], ["CXR304"]) == ([str(change.address) for change in found.changes], codes(found))


def test_renaming_ours_to_a_taken_name_is_a_conflict() -> None:
    """And so is adopting one rule under another's name."""
    taken = unmanaged("2", rule("taken"))
    assert ["CXR301"] == codes(compared([wanted("cards/vip", rule("taken"))], managed("1", "cards/vip", rule()), taken))
    adopting = wanted("cards/vip", rule("taken"), adopt="hand")
    assert ["CXR301"] == codes(compared([adopting], unmanaged("1", rule("hand")), taken))


def test_a_namesake_of_a_managed_rule_is_only_told() -> None:
    """Ours is there already; somebody else's rule of the same name is left alone."""
    found = compared([wanted("cards/vip", rule())], managed("1", "cards/vip", rule()), unmanaged("2", rule(priority=3)))
    assert ((), ["CXR308"]) == (found.changes, codes(found))


def test_a_condition_that_nobody_knows_is_replaced_whole() -> None:
    """A managed rule that somebody gave a condition of another kind is healed, and the change shows it."""
    odd = {"type": "schedule", "open": "09:00"}
    edited = rule(conditions=[intent_is("vip"), opaque(odd)])
    found = compared([wanted("cards/vip", rule())], managed("1", "cards/vip", edited, last_written=rule()))
    (change,) = found.changes
    assert isinstance(change, Update)
    assert (FieldChange("conditions[1]", odd, None),) == change.fields
    assert "drift" == change.cause
    assert ["CXR306"] == codes(found)
    assert isinstance(change.after.conditions[0], Condition)
