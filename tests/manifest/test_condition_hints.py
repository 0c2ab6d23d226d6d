"""The suggested condition for a text or a mapping in another form."""

from __future__ import annotations

import pytest

from reconciler.manifest.kinds.condition import suggest_condition


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("tier = 'gold'", "{attribute: tier, equals: gold}"),
        ('tier == "0.5"', '{attribute: tier, equals: "0.5"}'),
        ("confidence >= 0.70", "{attribute: confidence, greaterThanOrEqual: 0.7}"),
        ("tier in [gold, 'a']", "{attribute: tier, in: [gold, a]}"),
        ("tier in gold, 7", "{attribute: tier, in: [gold, 7]}"),
        ("tier contains x y", "{attribute: tier, contains: x y}"),
        ("tier between [1, 2]", ""),
        ("tier exists now", ""),
        ("tier > [1]", ""),
        ("tier", ""),
        ("tier = " + "x" * 120, ""),
        (7, ""),
    ],
)
def test_a_condition_in_another_form_has_a_suggestion(written: object, expected: str) -> None:
    """Operators as signs, lists and quotes; an ambiguous text has none."""
    assert expected == suggest_condition(written)
