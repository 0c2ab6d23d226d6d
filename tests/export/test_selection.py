"""Which live rules `export` takes: those that no manifest and nobody else has; of each other one, why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.desired.desired import DesiredState
from reconciler.export.selection import match_rules, select_rules
from reconciler.manifest.kinds.ruleset import AdoptById
from reconciler.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.plan.ownership import classify_by_owner
from tests.support.builders import OWNER, address, desired, managed, rule, unmanaged, wanted

WANTED = wanted("cards/vip", rule("vip"))
OURS = managed("id-vip", "cards/vip", rule("vip"))
LOST = managed("id-lost", "lost/one", rule("lost"))
BY_HAND = unmanaged("id-hand", rule("by hand"))


def chosen(asked: LiveRule, *others: LiveRule, manifests: DesiredState | None = None) -> tuple[str, str, str]:
    """Choose among live rules; return the id of what is exported, why it is left out, where it is already."""
    found = select_rules(
        [asked],
        classify_by_owner([asked, *others], OWNER),
        manifests or desired(WANTED),
        {"cards": "manifests/cards.yaml"},
    )
    ids, left, there = found.rules, found.skipped, found.already_in_manifests
    return "".join(one.id for one in ids), "".join(one.reason for one in left), "".join(one.reason for one in there)


@pytest.mark.parametrize("live", [LOST, BY_HAND])
def test_a_rule_that_nobody_has_is_exported(live: LiveRule) -> None:
    """Made by hand, or of ours in a RuleSet that is in no manifest any more."""
    assert (live.id, "", "") == chosen(live, OURS)


def test_a_rule_that_the_manifests_have_is_there_already() -> None:
    """With the place; so is one that they adopt, by its name or by its id."""
    assert ("", "", "it is in manifests/x.yaml:1") == chosen(OURS)
    for adopt in ("by hand", AdoptById(id="id-hand")):
        adopting = desired(wanted("cards/x", rule("x"), adopt=adopt))
        assert ("", "", "cards/x adopts it, in manifests/x.yaml:1") == chosen(BY_HAND, manifests=adopting)


def test_a_second_copy_of_ours_is_left_out() -> None:
    """The next apply deletes it, and a temporary copy too."""
    why = "it is a second copy of a managed rule; the next apply deletes it"
    assert ("", why, "") == chosen(replace(OURS, id="id-z"), OURS)
    temporary = rule(copy_name(OWNER, address("cards/vip")))
    copy = LiveRule("id-c", temporary, Marker(OWNER, address("cards/vip"), marker_digest(temporary), copy=True), {})
    assert ("", why, "") == chosen(copy, OURS)


def test_an_edited_copy_of_ours_is_left_out() -> None:
    """With what to do so that it can be exported."""
    clone = managed("id-z", "cards/vip", rule("copy"), last_written=rule("vip"))
    why = "it is an edited copy of a managed rule; delete it, or remove the last line of its description"
    assert ("", why, "") == chosen(clone, OURS)


def test_a_rule_of_another_owner_is_left_out() -> None:
    """Whatever its address."""
    assert ("", "it is managed by eve", "") == chosen(managed("id-e", "lost/one", rule("e"), owner="eve"))


def test_a_rule_whose_name_a_manifest_has_is_left_out() -> None:
    """One made by hand can be adopted there; one of ours would be moved by the next apply."""
    assert ("", "cards/vip has its name, in manifests/x.yaml:1: write `adopt:` there", "") == chosen(
        unmanaged("id-z", rule("vip"))
    )
    assert ("", "cards/vip has its name, in manifests/x.yaml:1: it would be moved", "") == chosen(
        managed("id-z", "lost/one", rule("vip"))
    )


def test_a_rule_that_is_gone_from_its_ruleset_is_left_out() -> None:
    """The RuleSet has a file: the rule belongs there, or goes."""
    why = "RuleSet cards is in manifests/cards.yaml: add the rule there, or leave it to be deleted"
    assert ("", why, "") == chosen(managed("id-z", "cards/gone", rule("gone")))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("vip", ["id-vip"]),
        ("id-lost", ["id-lost"]),
        ("cards/*", ["id-vip"]),
        ("lost/one", ["id-lost"]),
        ("*/*", ["id-vip", "id-lost"]),
        ("other/one", []),
    ],
)
def test_rules_are_meant_by_name_id_or_address(selector: str, expected: list[str]) -> None:
    """The address of a rule of another owner means nothing here."""
    rules = [OURS, LOST, BY_HAND, managed("id-e", "other/one", rule("e"), owner="eve")]
    assert expected == [one.id for one in match_rules(rules, selector, OWNER)]
