"""Texts that the tenant altered, and edits of users: the digest proves the written text, all rules
show the form.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import replace

import pytest

from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Rule, Target
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Changes, PlanOptions
from reconciler.core.plan.stored_texts import (
    TEXT_FORMS,
    TextForm,
    is_form_of,
    restore_texts,
)
from tests.support.builders import NOW, desired, live, managed, rule, unmanaged, wanted
from tests.support.cases import each_case

NAMES = (
    "Cards & more",
    '  Fraud\'s "desk"  ',
    "Cafe\u0301 All",
    "All of the others at the Caf\u00e9",
)


def kept(what: Rule, **fields: object) -> Rule:
    """Return a rule as the tenant keeps it."""
    return replace(what, **fields)  # type: ignore[arg-type]


def planned(rules: list[Rule], shown: list[Rule]) -> Changes:
    """Changes with rules that the tenant returns with other texts."""
    wishes = desired(
        *(wanted(f"cards/k{number}", rule) for number, rule in enumerate(rules))
    )
    lives = [
        managed(f"r{number}", f"cards/k{number}", now, last_written=was)
        for number, (was, now) in enumerate(zip(rules, shown, strict=True))
    ]
    return find_changes(wishes, live(*lives), PlanOptions(), NOW)


def findings(made: Changes) -> list[tuple[str, int]]:
    return [
        (finding.message, len(finding.occurrences))
        for finding in made.findings
        if finding.code == "CXR340"
    ]


def hints(made: Changes) -> list[str]:
    return [*{finding.hint for finding in made.findings if finding.code == "CXR340"}]


@each_case("form", TEXT_FORMS)
def test_each_form_is_not_drift(form: TextForm) -> None:
    """Names that all have one form are not changed, and each has a finding with the form."""
    rules = [rule(name, description="") for name in NAMES]
    created = planned(
        rules, [kept(rule, name=form.transform(rule.name)) for rule in rules]
    )
    changed = sum(form.transform(name) != name for name in NAMES)
    assert () == created.changes
    assert changed == sum(count for _, count in findings(created)) > 0
    assert 4 == created.unchanged


def test_no_hint_suggests_a_text_that_the_tenant_would_change_again() -> None:
    """A lower-case name can be written so; a name with `&amp;` would come back with `&amp;amp;`."""
    rules = [rule("Cards & more"), rule("Fraud & more")]
    lower = planned(rules, [kept(rule, name=rule.name.lower()) for rule in rules])
    escaped = planned(
        rules, [kept(rule, name=html.escape(rule.name)) for rule in rules]
    )
    assert [
        (
            "write it the same way in the manifest, or accept this finding: cxroute does not write the "
            "text again"
        )
    ] == hints(lower)
    assert [
        (
            "use a text that the tenant does not change, or accept this finding: cxroute does not "
            "write the text again"
        )
    ] == hints(escaped)


def test_a_text_in_its_written_form_shows_that_a_user_edited_the_other() -> None:
    """One lower-case name and one unchanged name do not come from the tenant: that is drift."""
    rules = [rule("Cards"), rule("Fraud")]
    created = planned(rules, [kept(rules[0], name="cards"), rules[1]])
    assert [("cards/k0", "drift")] == [
        (str(change.address), change.cause) for change in created.changes
    ]
    assert [] == findings(created)


def test_only_the_text_of_a_user_is_drift() -> None:
    """Of three names two are altered by the tenant, and one by a user: that one is restored."""
    rules = [rule("Cards"), rule("Fraud"), rule("All")]
    created = planned(
        rules,
        [
            kept(rules[0], name="cards"),
            kept(rules[1], name="by hand"),
            kept(rules[2], name="all"),
        ],
    )
    assert ["cards/k1"] == [str(change.address) for change in created.changes]
    assert 2 == sum(count for _, count in findings(created))


@pytest.mark.parametrize(
    ("lengths", "drift"), [((9, 9), 0), ((30, 30), 0), ((9, 12), 2), ((9,), 1)]
)
def test_a_cut_has_one_length_for_all(lengths: tuple[int, ...], drift: int) -> None:
    """At least two names of one length, and no longer name that was kept; a single one may be a
    user's edit.
    """
    rules = [
        rule(f"{number} is a name that is very long indeed")
        for number in range(len(lengths))
    ]
    printed = [
        kept(rule, name=rule.name[:length])
        for rule, length in zip(rules, lengths, strict=True)
    ]
    short = rule("x" * 9)
    created = planned([*rules, short], [*printed, short])
    assert ["drift"] * drift == [change.cause for change in created.changes]


@pytest.mark.parametrize(
    "edit",
    [
        {"priority": 7},
        {"enabled": False},
        {"targets": (Target("q-fraud", 1),)},
        {"conditions": ()},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_a_change_of_routing_is_never_taken_for_the_tenants(
    edit: dict[str, object],
) -> None:
    """All rules differ in the same way, and in lower-case names: each is drift and is written."""
    rules = [rule("Cards"), rule("Fraud")]
    created = planned(
        rules, [kept(rule, name=rule.name.lower(), **edit) for rule in rules]
    )
    assert ["drift", "drift"] == [change.cause for change in created.changes]
    assert [] == findings(created)


def test_a_change_of_the_manifests_is_not_called_drift() -> None:
    """The digest proves that only the form of the name differs from the written rule: the manifest
    changed.
    """
    was = [rule("Cards"), rule("Fraud")]
    wishes = desired(
        *(
            wanted(f"cards/k{number}", replace(item, priority=7))
            for number, item in enumerate(was)
        )
    )
    lives = [
        managed(
            f"r{number}",
            f"cards/k{number}",
            replace(item, name=item.name.lower()),
            last_written=item,
        )
        for number, item in enumerate(was)
    ]
    created = find_changes(wishes, live(*lives), PlanOptions(), NOW)
    assert ["manifest", "manifest"] == [change.cause for change in created.changes]
    assert [["priority"]] * 2 == [
        [field.path for field in change.fields]  # type: ignore[union-attr]
        for change in created.changes
    ]
    assert [*lives] == [change.live for change in created.changes]  # type: ignore[union-attr]


def test_a_duplicate_may_have_another_form_of_the_name() -> None:
    """It is deleted in the state that was read."""
    subject = rule("Cards")
    twins = [
        managed(item, "cards/k0", replace(subject, name="cards"), last_written=subject)
        for item in ("r1", "r2")
    ]
    created = find_changes(
        desired(wanted("cards/k0", subject)), live(*twins), PlanOptions(), NOW
    )
    assert [("r2", "duplicate")] == [
        (change.live.id, change.cause)  # type: ignore[union-attr]
        for change in created.changes
    ]
    assert twins[1] is created.changes[0].live  # type: ignore[union-attr]


def test_other_rules_stay_the_same() -> None:
    """Rules of other owners, and rules without a difference, are not searched."""
    rules: tuple[LiveRule, ...] = (
        unmanaged("f-1", rule("cards")),
        managed("r1", "cards/k0", rule("Cards")),
    )
    assert (rules, ()) == restore_texts(
        rules, desired(wanted("cards/k0", rule("Cards")))
    )


def test_a_form_of_a_text_is_any_that_a_tenant_can_make() -> None:
    """Cut, escaped, folded; not another text."""
    text = "Two\nlines & <more>\n[cxroute:acme/a/b#00000000]"
    forms = (
        text[:9],
        "",
        html.escape(text),
        text.replace("&", "&#38;"),
        " ".join(text.split()),
        text + "\n",
    )
    assert [True] * 6 == [is_form_of(form, text) for form in forms]
    assert is_form_of(unicodedata.normalize("NFC", "e\u0301"), "e\u0301")
    assert [False] * 3 == [
        is_form_of(item, text) for item in ("two", "by hand", text + " by hand")
    ]
