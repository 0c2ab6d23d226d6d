"""JSON and the model: an invalid rule is refused with the field's name, and unknown fields are
written back.
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.errors import UnexpectedResponseError
from reconciler.core.model.live import Marker, format_description
from reconciler.core.model.rule import Address, Opaque, Queue, Target
from reconciler.core.rule_json import (
    MAX_LEVELS,
    parse_live_rule,
    parse_queue,
    rule_body,
)
from tests.support.builders import intent_is, rule
from tests.support.cases import each_case

ASKS = {
    "type": "attribute",
    "attributeName": "cognigyDetectedIntent",
    "operator": "equals",
    "value": "vip",
}
SENDS = {"type": "queue", "queueId": "q-cards", "weight": 1}
MARKER = Marker("acme", Address("cards", "vip"), "0123abcd")


def form(**more: Any) -> dict[str, Any]:
    """A rule in the server's form."""
    text = {
        "id": "7",
        "name": "vip",
        "description": "Routes vip",
        "priority": 100,
        "enabled": True,
    }
    return {**text, "conditions": [ASKS], "targets": [SENDS], **more}


def nested(levels: int) -> Any:
    actual: Any = 1
    for _ in range(levels):
        actual = [actual]
    return actual


@each_case(
    "field, value, must",
    [
        ("id", 7, "text"),
        ("id", "", "text"),
        ("id", None, "text"),
        ("name", 7, "text"),
        ("name", None, "text"),
        ("name", ["vip"], "text"),
        ("description", 7, "text"),
        ("description", ["Routes vip"], "text"),
        ("priority", "1", "a number"),
        ("priority", True, "a number"),
        ("priority", None, "a number"),
        ("enabled", "yes", "true or false"),
        ("enabled", 1, "true or false"),
        ("enabled", 0, "true or false"),
        ("enabled", None, "true or false"),
        ("conditions", ASKS, "a list of objects"),
        ("conditions", ["all"], "a list of objects"),
        ("targets", "q-cards", "a list of objects"),
        ("targets", [SENDS, None], "a list of objects"),
    ],
)
def test_a_field_of_another_type_is_refused_by_its_name(
    field: str, value: object, must: str
) -> None:
    """A numeric name, `enabled: "yes"`: no value is guessed, and the message names rule and
    field.
    """
    printed = "'7'" if field != "id" else f"{str(value)!r}"
    with pytest.raises(UnexpectedResponseError) as raised:
        parse_live_rule(form(**{field: value}))
    assert f"rule {printed} in the response: `{field}` is not {must}" == str(
        raised.value
    )


@each_case("value", [None, 7, "vip", [], [form()]])
def test_a_value_that_is_not_an_object_is_not_a_rule(value: object) -> None:
    """The message has no rule id: there is none."""
    with pytest.raises(
        UnexpectedResponseError, match=r"^a rule in the response is not a JSON object$"
    ):
        parse_live_rule(value)


def test_a_rule_that_is_nested_too_deeply_is_refused() -> None:
    """The limit is a number of levels, the same on every Python: the rule itself is the first."""
    assert "7" == parse_live_rule(form(hints=nested(MAX_LEVELS - 1))).id
    with pytest.raises(
        UnexpectedResponseError,
        match=r"^rule '7' in the response is nested too deeply$",
    ):
        parse_live_rule(form(hints=nested(MAX_LEVELS)))


def test_missing_fields_have_their_defaults() -> None:
    """No description, enabled, no conditions and no targets; null means the same except for a
    flag.
    """
    bare = {"id": "7", "name": "vip", "priority": 100}
    expected = rule("vip", description="", conditions=[], targets=[])
    assert expected == parse_live_rule(bare).rule
    assert (
        expected
        == parse_live_rule(
            {**bare, "description": None, "conditions": None, "targets": None}
        ).rule
    )
    assert parse_live_rule({**bare, "enabled": False}).rule.enabled is False


@each_case(
    "odd",
    [
        {**ASKS, "type": "skill"},
        {**ASKS, "attributeName": 7},
        {**ASKS, "operator": "soundsLike"},
        {**ASKS, "operator": ["equals"]},
        {**ASKS, "value": None},
        {"operator": "equals"},
    ],
)
def test_an_unknown_condition_is_kept_unchanged(odd: dict[str, Any]) -> None:
    """It is opaque, and is written back exactly."""
    (part,) = parse_live_rule(form(conditions=[odd])).rule.conditions
    assert isinstance(part, Opaque)
    assert [odd] == rule_body(rule(conditions=[part]), None)["conditions"]


@each_case(
    "odd",
    [
        {**SENDS, "type": "skill"},
        {**SENDS, "queueId": 7},
        {**SENDS, "weight": "1"},
        {**SENDS, "weight": True},
        {**SENDS, "weight": None},
        {**SENDS, "weight": 1e301},
        {**SENDS, "weight": -1e301},
    ],
)
def test_an_unknown_target_is_kept_unchanged(odd: dict[str, Any]) -> None:
    """So is a weight that is not a number, or that is too large to be added up."""
    (part,) = parse_live_rule(form(targets=[odd])).rule.targets
    assert isinstance(part, Opaque)
    assert [odd] == rule_body(rule(targets=[part]), None)["targets"]


def test_a_target_without_a_weight_has_weight_one() -> None:
    """The API's default."""
    assert (Target("q-cards", 1),) == parse_live_rule(
        form(targets=[{"type": "queue", "queueId": "q-cards"}])
    ).rule.targets


def test_an_update_keeps_unknown_fields_of_rule_and_parts() -> None:
    """A new part is written as in the manifest; of two equal parts each is written back once."""
    hinted = {**SENDS, "hint": 7}
    twin = {**SENDS, "hint": 8}
    raw = form(
        division={"id": "home"},
        targets=[hinted, twin],
        conditions=[{**ASKS, "note": "x"}],
    )
    target = Target("q-cards", 1)
    requests_sent = rule_body(
        rule(targets=[target, target, target], priority=7), MARKER, raw
    )
    assert ({"id": "home"}, "7", 7) == (
        requests_sent["division"],
        requests_sent["id"],
        requests_sent["priority"],
    )
    assert [hinted, twin, SENDS] == requests_sent["targets"]
    assert [{**ASKS, "note": "x"}] == requests_sent["conditions"]
    assert format_description(rule(), MARKER) == requests_sent["description"]
    assert [{**ASKS, "value": "other"}] == rule_body(
        rule(conditions=[intent_is("other")]), MARKER, raw
    )["conditions"]
    assert [SENDS] == rule_body(rule(), MARKER, {**raw, "targets": "none"})["targets"]


def test_a_queue_has_canonical_names() -> None:
    """Its id, its name, and whether it may be used."""
    assert Queue("q1", "Cards", active=False) == parse_queue(
        {"id": "q1", "name": "Cards", "active": False, "more": 1}
    )
