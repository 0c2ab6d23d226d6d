"""The name of a group of values is text from a manifest: in every format it is only text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.core.model.rule import Queue, Target, make_condition
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.stages import Plan
from reconciler.core.text.phrases import Labels
from tests.support.builders import LABELS, intent_is, managed, rule, wanted
from tests.support.hostile_names import (
    CONTROL_CHARACTERS,
    HOSTILE_NAMES,
    MARKDOWN_NAMES,
)
from tests.support.parsed_html import parse_as_github, parse_html
from tests.support.plan_formats import FORMS, as_html, as_json, as_markdown
from tests.support.plans import assessed_plan, environment

BEST = make_condition("tier", "in", ["g", "p"])
NAMES = {kind: name for kind, name in (HOSTILE_NAMES | MARKDOWN_NAMES).items() if name}


def plan_of_group(name: str) -> Plan:
    """Return a plan with a created, a changed and a deleted rule for all values of a group."""
    want = [
        wanted(
            "cards/new",
            rule(
                "new", conditions=[intent_is("a"), BEST], targets=[Target("q-odd", 1)]
            ),
        ),
        wanted(
            "cards/changed",
            rule(
                "changed",
                conditions=[intent_is("b"), BEST],
                targets=[Target("q-odd", 1)],
            ),
        ),
    ]
    actual = [
        managed("1", "cards/changed", rule("changed", conditions=[intent_is("b")])),
        managed("2", "cards/gone", rule("gone", conditions=[intent_is("c"), BEST])),
    ]
    plan = check_guards(
        assessed_plan(want, actual, None, Queue("q-odd", "Odd")), environment()
    )
    labels = Labels(LABELS.short, {}, {"tier": {name: frozenset({"g", "p"})}})
    return replace(plan, desired=replace(plan.desired, labels=labels))


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_group_is_only_text(name: str) -> None:
    """It adds no element to a comment or a page, and no control character to any format."""
    plain = plan_of_group("Billing")
    created = plan_of_group(name)
    uncounted = ("code", "a", "span")
    for write_page, parse in ((as_markdown, parse_as_github), (as_html, parse_html)):
        expected = parse(write_page(plain))
        actual = parse(write_page(created))
        assert [] == actual.unclosed
        assert [tag for tag in expected.shape if tag.strip("/") not in uncounted] == [
            tag for tag in actual.shape if tag.strip("/") not in uncounted
        ]
        assert expected.comments == actual.comments
    for form_name, form in FORMS.items():
        assert CONTROL_CHARACTERS.search(form(created)) is None, form_name


def test_json_has_the_values() -> None:
    """A program reads the values; people read the group, in text, comment, page and the
    headline.
    """
    plain = plan_of_group("Billing")
    without = replace(plain, desired=replace(plain.desired, labels=LABELS))
    documents = [json.loads(as_json(plan)) for plan in (without, plain)]
    assert "Billing" in documents[1]["behaviour"].pop("headline")
    assert "Billing" not in documents[0]["behaviour"].pop("headline")
    for document in documents:
        del document["planId"]
    assert documents[0] == documents[1]
    for name in ("txt", "md", "html"):
        assert "Billing" in FORMS[name](plain), name
        assert "Billing" not in FORMS[name](without), name
