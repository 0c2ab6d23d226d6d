"""Texts that the tenant altered, and edits of users: the digest proves the written text, all rules
show the form.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import replace

import pytest

from reconciler.model.live import LiveRule
from reconciler.model.rule import Rule, Target
from reconciler.plan.plan import Plan, PlanOptions, draft_plan
from reconciler.plan.stored_texts import TEXT_FORMS, TextForm, is_form_of, restore_texts
from tests.support.builders import NOW, desired, live, managed, rule, unmanaged, wanted

NAMES = (
    "Cards & more",
    '  Fraud\'s "desk"  ',
    "Cafe\u0301 All",
    "All of the others at the Caf\u00e9",
)


def kept(what: Rule, **fields: object) -> Rule:
    """Return a rule as the tenant keeps it."""
    return replace(what, **fields)  # type: ignore[arg-type]


def planned(rules: list[Rule], shown: list[Rule]) -> Plan:
    """Plan with rules that the tenant returns with other texts."""
    wishes = desired(
        *(wanted(f"cards/k{number}", one) for number, one in enumerate(rules))
    )
    lives = [
        managed(f"r{number}", f"cards/k{number}", now, last_written=was)
        for number, (was, now) in enumerate(zip(rules, shown, strict=True))
    ]
    return draft_plan(wishes, live(*lives), PlanOptions(), NOW)


def findings(made: Plan) -> list[tuple[str, int]]:
    return [
        (one.message, len(one.occurrences))
        for one in made.findings
        if one.code == "CXR340"
    ]


def hints(made: Plan) -> list[str]:
    return [*{one.hint for one in made.findings if one.code == "CXR340"}]


@pytest.mark.parametrize("form", TEXT_FORMS, ids=lambda form: form.description)
def test_each_form_is_not_drift(form: TextForm) -> None:
    """Names that all have one form are not changed, and each has a finding with the form."""
    rules = [rule(name, description="") for name in NAMES]
    made = planned(rules, [kept(one, name=form.transform(one.name)) for one in rules])
    changed = sum(form.transform(name) != name for name in NAMES)
    assert () == made.changes
    assert changed == sum(count for _, count in findings(made)) > 0
    assert 4 == made.unchanged


def test_no_hint_suggests_a_text_that_the_tenant_would_change_again() -> None:
    """A lower-case name can be written so; a name with `&amp;` would come back with `&amp;amp;`."""
    rules = [rule("Cards & more"), rule("Fraud & more")]
    lower = planned(rules, [kept(one, name=one.name.lower()) for one in rules])
    escaped = planned(rules, [kept(one, name=html.escape(one.name)) for one in rules])
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
    made = planned(rules, [kept(rules[0], name="cards"), rules[1]])
    assert [("cards/k0", "drift")] == [
        (str(one.address), one.cause) for one in made.changes
    ]
    assert [] == findings(made)


def test_only_the_text_of_a_user_is_drift() -> None:
    """Of three names two are altered by the tenant, and one by a user: that one is restored."""
    rules = [rule("Cards"), rule("Fraud"), rule("All")]
    made = planned(
        rules,
        [
            kept(rules[0], name="cards"),
            kept(rules[1], name="by hand"),
            kept(rules[2], name="all"),
        ],
    )
    assert ["cards/k1"] == [str(one.address) for one in made.changes]
    assert 2 == sum(count for _, count in findings(made))


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
    shown = [
        kept(one, name=one.name[:length])
        for one, length in zip(rules, lengths, strict=True)
    ]
    short = rule("x" * 9)
    made = planned([*rules, short], [*shown, short])
    assert ["drift"] * drift == [one.cause for one in made.changes]


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
    made = planned(rules, [kept(one, name=one.name.lower(), **edit) for one in rules])
    assert ["drift", "drift"] == [one.cause for one in made.changes]
    assert [] == findings(made)


def test_a_change_of_the_manifests_is_not_called_drift() -> None:
    """The digest proves that only the form of the name differs from the written rule: the manifest
    changed.
    """
    was = [rule("Cards"), rule("Fraud")]
    wishes = desired(
        *(
            wanted(f"cards/k{number}", replace(one, priority=7))
            for number, one in enumerate(was)
        )
    )
    lives = [
        managed(
            f"r{number}",
            f"cards/k{number}",
            replace(one, name=one.name.lower()),
            last_written=one,
        )
        for number, one in enumerate(was)
    ]
    made = draft_plan(wishes, live(*lives), PlanOptions(), NOW)
    assert ["manifest", "manifest"] == [one.cause for one in made.changes]
    assert [["priority"]] * 2 == [
        [field.path for field in one.fields]  # type: ignore[union-attr]
        for one in made.changes
    ]
    assert [*lives] == [one.live for one in made.changes]  # type: ignore[union-attr]


def test_a_duplicate_may_have_another_form_of_the_name() -> None:
    """It is deleted in the state that was read."""
    what = rule("Cards")
    twins = [
        managed(one, "cards/k0", replace(what, name="cards"), last_written=what)
        for one in ("r1", "r2")
    ]
    made = draft_plan(
        desired(wanted("cards/k0", what)), live(*twins), PlanOptions(), NOW
    )
    assert [("r2", "duplicate")] == [(one.live.id, one.cause) for one in made.changes]  # type: ignore[union-attr]
    assert twins[1] is made.changes[0].live  # type: ignore[union-attr]


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
    assert [True] * 6 == [is_form_of(one, text) for one in forms]
    assert is_form_of(unicodedata.normalize("NFC", "e\u0301"), "e\u0301")
    assert [False] * 3 == [
        is_form_of(one, text) for one in ("two", "by hand", text + " by hand")
    ]
