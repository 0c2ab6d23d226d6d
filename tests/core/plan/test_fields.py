"""The fields in which two rules differ, as paths of the API."""

from __future__ import annotations

import random

import pytest

from reconciler.core.model.change import FieldChange
from reconciler.core.model.rule import Target, make_condition
from reconciler.core.plan.compare import diff_fields
from tests.support.builders import intent_is, rule
from tests.tiers import size


def test_equal_rules_have_no_differing_field() -> None:
    """The result is empty."""
    assert () == diff_fields(rule(), rule())


def test_an_operator_that_changed_is_a_leaf_of_its_condition() -> None:
    """Conditions on one attribute are paired; deepdiff finds the leaf."""
    before = rule(conditions=[make_condition("tier", "equals", "gold")])
    after = rule(conditions=[make_condition("tier", "notEquals", "gold")])
    assert (
        FieldChange("conditions[0].operator", "equals", "notEquals"),
    ) == diff_fields(before, after)


def test_a_value_list_is_one_leaf_however_long() -> None:
    """Ten thousand intents are not compared one by one."""
    before = rule(
        conditions=[make_condition("a", "in", [str(n) for n in range(10_000)])]
    )
    after = rule(
        conditions=[make_condition("a", "in", [str(n) for n in range(1, 10_000)])]
    )
    (change,) = diff_fields(before, after)
    assert "conditions[0].value" == change.path


def test_equal_targets_are_counted() -> None:
    """[a, a, b] against [b, a] is one target less; deepdiff alone would find no difference."""
    a = Target("a", 1)
    b = Target("b", 1)
    assert (
        FieldChange("targets[1]", {"type": "queue", "queueId": "a", "weight": 1}, None),
    ) == diff_fields(rule(targets=[a, a, b]), rule(targets=[b, a]))


def test_an_equal_number_of_another_type_does_not_differ() -> None:
    """A tenant may return the weight 1.0 for the 1 of a manifest."""
    (change,) = diff_fields(
        rule(targets=[Target("a", 1)]), rule(targets=[Target("b", 1.0)])
    )
    assert FieldChange("targets[0].queueId", "a", "b") == change


@pytest.mark.generated
def test_some_field_is_named_whenever_rules_differ() -> None:
    """For any two rules `diff_fields` is empty exactly if they are equal."""
    chance = random.Random(7)
    parts = [
        intent_is("x"),
        intent_is("y"),
        make_condition("t", "in", ["a"]),
        make_condition("t", "exists", value=True),
    ]
    targets = [Target("a", 1), Target("a", 2), Target("b", 1)]

    def some() -> object:
        return rule(
            priority=chance.choice([1, 2]),
            conditions=chance.sample(parts, chance.randint(0, 3)),
            targets=chance.choices(targets, k=chance.randint(0, 3)),
        )

    for _ in range(size(fast=300, slow=2_000)):
        item = some()
        candidate = some()
        assert (item == candidate) == (not diff_fields(item, candidate))  # type: ignore[arg-type]
