"""The Cognigy side: the Code node's text, run by Node.js with replacements for Cognigy's
globals.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.features.cognigy.command import PAYLOAD, code
from reconciler.features.endpoint.event import parse_event
from tests.support.code_node import run_code_node
from tests.support.program import Program

GIVEN: list[tuple[dict[str, Any], str, float | None]] = [
    ({"intent": "billing", "intentScore": 0.93}, "billing", 0.93),
    ({"intent": "billing", "intentScore": 1}, "billing", 1),
    ({"intent": "billing", "intentScore": 1.0000001}, "billing", 1),
    ({"intent": "billing", "intentScore": -0.1}, "billing", 0),
    ({"intent": "billing", "intentScore": "0.9"}, "billing", None),
    ({"intent": " größe? ", "intentScore": 0}, "größe?", 0),
    ({"intent": "x" * 300, "intentScore": None}, "x" * 256, None),
    ({"intent": "😀" * 300}, "😀" * 256, None),
    ({"intent": None, "intentScore": None}, "none", None),
    ({"intent": ""}, "none", None),
    ({}, "none", None),
]


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize(("given", "intent", "confidence"), GIVEN)
def test_the_code_node_builds_an_event_that_the_endpoint_accepts(
    given: dict[str, Any], intent: str, confidence: float | None
) -> None:
    """For any result of the bot, including none: the body is an event with exactly the same
    letters.
    """
    body = run_code_node(
        code("input.sessionId", "none"), {"sessionId": "session-1", **given}
    )
    actual = parse_event(json.dumps(body).encode())
    assert ("session-1", intent, confidence) == (
        actual.conversation,
        actual.intent,
        actual.confidence,
    )
    assert actual.timestamp is not None
    assert set(PAYLOAD) == set(body)


def test_the_id_and_the_missing_intent_can_be_set() -> None:
    """The place of CXone's id in the flow, and the intent for none; quotes in them stay in them."""
    body = run_code_node(
        code("input.data.contactId", 'a "b"'), {"data": {"contactId": "c-7"}}
    )
    assert ("c-7", 'a "b"') == (body["conversationId"], body["intent"])


def test_the_code_uses_only_the_functions_of_a_code_node() -> None:
    """No require, no import, no waiting."""
    words = code("input.sessionId", "none").partition("\n")[2]
    assert not [
        word
        for word in ("require", "import", "await", "fetch", "setTimeout")
        if word in words
    ]


def test_both_nodes_are_printed(cxroute: Program) -> None:
    """With URL, header, payload, time-out and retries; with --code the code alone."""
    assert 0 == cxroute("cognigy", "--url", "https://bot.example/")
    for part in (
        "https://bot.example/api/route",
        "X-API-Key",
        "8 seconds",
        "input.intentScore",
        '"$cs"',
    ):
        assert part in cxroute.out
    assert 0 == cxroute("cognigy", "--code")
    assert code("input.sessionId", "none") == cxroute.out


@pytest.mark.parametrize(
    "wrong",
    [
        ("--none", " "),
        ("--none", "x" * 257),
        ("--conversation", ""),
        ("--url", "bot.example"),
    ],
)
def test_invalid_options_are_refused(cxroute: Program, wrong: tuple[str, str]) -> None:
    """Exit 64, and nothing printed."""
    assert (64, "") == (cxroute("cognigy", *wrong), cxroute.out)
