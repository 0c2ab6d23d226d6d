"""The rules that `export` selects, which no manifest and no other owner has; the reason for each
other rule.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.desired.desired import DesiredState
from reconciler.core.export.export import match_rules, select_rules
from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.core.plan.ownership import classify_by_owner
from tests.support.builders import (
    OWNER,
    address,
    desired,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case

WANTED = wanted("cards/vip", rule("vip"))
OURS = managed("id-vip", "cards/vip", rule("vip"))
LOST = managed("id-lost", "lost/one", rule("lost"))
BY_HAND = unmanaged("id-hand", rule("by hand"))


def chosen(
    asked: LiveRule, *others: LiveRule, manifests: DesiredState | None = None
) -> tuple[str, str, str]:
    """Return the ids of exported rules, the reasons of skipped ones, and the locations of existing
    ones.
    """
    actual = select_rules(
        [asked],
        classify_by_owner([asked, *others], OWNER),
        manifests or desired(WANTED),
        {"cards": "manifests/cards.yaml"},
    )
    ids = actual.rules
    remaining = actual.skipped
    present = actual.already_in_manifests
    return (
        "".join(item.id for item in ids),
        "".join(item.reason for item in remaining),
        "".join(item.reason for item in present),
    )


@pytest.mark.parametrize("live", [LOST, BY_HAND])
def test_a_rule_without_manifest_and_owner_is_exported(live: LiveRule) -> None:
    """Unmanaged, or managed in a RuleSet that is not in a manifest any more."""
    assert (live.id, "", "") == chosen(live, OURS)


def test_a_rule_in_the_manifests_is_not_exported_again() -> None:
    """With its location; the same for a rule that they adopt, by name or by id."""
    assert ("", "", "it is in manifests/x.yaml:1") == chosen(OURS)
    for adopt in ("by hand", AdoptById(id="id-hand")):
        adopting = desired(wanted("cards/x", rule("x"), adopt=adopt))
        assert ("", "", "cards/x adopts it, in manifests/x.yaml:1") == chosen(
            BY_HAND, manifests=adopting
        )


def test_a_second_copy_of_a_managed_rule_is_skipped() -> None:
    """The next apply deletes it, and a temporary copy too."""
    why = "it is a second copy of a managed rule; the next apply deletes it"
    assert ("", why, "") == chosen(replace(OURS, id="id-z"), OURS)
    temporary = rule(copy_name(OWNER, address("cards/vip")))
    copy = LiveRule(
        "id-c",
        temporary,
        Marker(OWNER, address("cards/vip"), marker_digest(temporary), copy=True),
        {},
    )
    assert ("", why, "") == chosen(copy, OURS)


def test_an_edited_copy_of_a_managed_rule_is_skipped() -> None:
    """With the steps that make it exportable."""
    clone = managed("id-z", "cards/vip", rule("copy"), last_written=rule("vip"))
    why = (
        "it is an edited copy of a managed rule; delete it, or remove the last line of its "
        "description"
    )
    assert ("", why, "") == chosen(clone, OURS)


def test_a_rule_of_another_owner_is_skipped() -> None:
    """With any address."""
    assert ("", "it is managed by eve", "") == chosen(
        managed("id-e", "lost/one", rule("e"), owner="eve")
    )


def test_a_rule_with_a_name_from_a_manifest_is_skipped() -> None:
    """An unmanaged rule can be adopted there; the next apply would move a managed one."""
    assert (
        "",
        "cards/vip has its name, in manifests/x.yaml:1: write `adopt:` there",
        "",
    ) == chosen(unmanaged("id-z", rule("vip")))
    assert (
        "",
        "cards/vip has its name, in manifests/x.yaml:1: it would be moved",
        "",
    ) == chosen(managed("id-z", "lost/one", rule("vip")))


def test_a_rule_that_its_ruleset_does_not_have_is_skipped() -> None:
    """The RuleSet has a file: the rule is added there, or deleted."""
    why = "RuleSet cards is in manifests/cards.yaml: add the rule there, or leave it to be deleted"
    assert ("", why, "") == chosen(managed("id-z", "cards/gone", rule("gone")))


@each_case(
    "selector, expected",
    [
        ("vip", ["id-vip"]),
        ("id-lost", ["id-lost"]),
        ("cards/*", ["id-vip"]),
        ("lost/one", ["id-lost"]),
        ("*/*", ["id-vip", "id-lost"]),
        ("other/one", []),
    ],
)
def test_rules_are_matched_by_name_id_or_address(
    selector: str, expected: list[str]
) -> None:
    """The address of a rule of another owner matches nothing."""
    rules = [OURS, LOST, BY_HAND, managed("id-e", "other/one", rule("e"), owner="eve")]
    assert expected == [rule.id for rule in match_rules(rules, selector, OWNER)]
