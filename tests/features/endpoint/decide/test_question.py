"""The body of POST /decide: the limits of an event, and attributes beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.features.endpoint.decide.question import BotNames, parse_question
from reconciler.features.endpoint.event import InvalidEventError
from tests.support.cases import each_case

NAMES = BotNames("cognigyDetectedIntent", "cognigyConfidence")
SECRET = "secret-of-a-customer"


def parse(form: Any) -> Any:
    """Return the question in a body."""
    body = form if isinstance(form, bytes) else json.dumps(form).encode()
    return parse_question(body, NAMES)


def test_all_fields_make_a_question() -> None:
    """The intent and the confidence under the names of the table; the time is not used."""
    question = parse(
        {
            "conversationId": "c-1",
            "intent": "lost",
            "confidence": 0.9,
            "attributes": {"tier": "gold", "age": 42, "vip": True, "x": None},
            "timestamp": "2026-02-01T09:00:00Z",
            "scriptQueue": "Billing",
        }
    )
    assert question == (
        "c-1",
        {
            "tier": "gold",
            "age": 42,
            "vip": True,
            "x": None,
            "cognigyDetectedIntent": "lost",
            "cognigyConfidence": 0.9,
        },
        "Billing",
    )


@each_case("identity", [..., None, 0])
def test_a_conversation_may_have_no_id(identity: Any) -> None:
    """Missing, null and zero are not ids."""
    form = {} if identity is ... else {"conversationId": identity}
    assert parse(form).conversation is None


@each_case(
    "form, field",
    [
        ({"conversationId": ".."}, "conversationId"),
        ({"conversationId": 7}, "conversationId"),
        ({"conversationId": False}, "conversationId"),
        ({"conversationId": f"{SECRET} x"}, "conversationId"),
        ({"intent": ""}, "intent"),
        ({"intent": f"{SECRET}\x00"}, "intent"),
        ({"intent": 5}, "intent"),
        ({"intent": "x" * 257}, "intent"),
        ({"confidence": "0.5"}, "confidence"),
        ({"confidence": 1.1}, "confidence"),
        ({"confidence": True}, "confidence"),
        ({"timestamp": SECRET}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"scriptQueue": [SECRET]}, "scriptQueue"),
        ({"scriptQueue": "x" * 513}, "scriptQueue"),
        ({"attributes": [SECRET]}, "attributes"),
        ({"attributes": {SECRET: {}}}, "attributes"),
        ({"attributes": {SECRET: [1]}}, "attributes"),
        ({"attributes": {"": 1}}, "attributes"),
        ({"attributes": {"x" * 257: 1}}, "attributes"),
        ({"attributes": {str(number): 1 for number in range(101)}}, "attributes"),
        ({"attributes": {"intent": SECRET}}, "attributes"),
        ({"attributes": {"confidence": 1}}, "attributes"),
        ({"attributes": {"cognigyDetectedIntent": SECRET}}, "attributes"),
        ({"attributes": {"cognigyConfidence": 1}}, "attributes"),
        (b'{"intent": "a", "intent": "b"}', "the body is not valid JSON"),
        (b"[]", "the body must be a JSON object"),
    ],
)
def test_an_error_names_the_field_alone(form: Any, field: str) -> None:
    """And repeats nothing of the body."""
    with pytest.raises(InvalidEventError) as raised:
        parse(form)
    assert str(raised.value).startswith(field)
    assert SECRET not in str(raised.value)


def test_the_limits_are_inside() -> None:
    """A hundred attributes, and names of 256 characters."""
    names = ["x" * 256, *(str(number) for number in range(99))]
    question = parse({"attributes": dict.fromkeys(names, 1), "intent": "y" * 256})
    assert len(question.attributes) == 102
