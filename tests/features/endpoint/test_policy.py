"""The Environment's settings for events: the fallback for doubtful intents, and a conversation's
destination.
"""

from __future__ import annotations

import asyncio
from typing import Any

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.features.endpoint.handler import EventPolicy
from tests.features.endpoint.event_counts import counts, metrics
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.support.cases import each_case

FALLBACK = EventPolicy(
    fallback=FallbackPolicy("none", 0.4, frozenset({"billing", "refund"}))
)
DOUBTS = [
    ({}, "billing", None),
    ({"confidence": 0.4}, "billing", None),
    ({"confidence": 0.39}, "none", "unsure"),
    ({"confidence": None}, "none", "unsure"),
    ({"confidence": ...}, "none", "unsure"),
    ({"intent": "gossip"}, "none", "unknown"),
    ({"intent": "gossip", "confidence": 0.1}, "none", "unknown"),
]


@each_case("said, intent, reason", DOUBTS)
def test_unsure_and_unknown_intents_become_the_fallback(
    said: dict[str, Any], intent: str, reason: str | None
) -> None:
    """The response says so, the metrics count it, the confidence is not changed."""
    endpoint = Endpoint(policy=FALLBACK)
    reply = asyncio.run(endpoint.post(event(**said)))
    ((_, stored),) = endpoint.upstream.writes
    assert (intent, reason) == (
        stored["cognigyDetectedIntent"],
        reply.form.get("fallback"),
    )
    confidence = event(**said).get("confidence")
    assert confidence == stored["cognigyConfidence"]
    assert [reason or "none"] == [
        fallback for (_, _, fallback) in counts(metrics(endpoint))
    ]


def test_without_a_context_block_values_are_written_unchanged() -> None:
    """An unknown intent is still counted."""
    endpoint = Endpoint(
        policy=EventPolicy(
            fallback=FallbackPolicy(known_intents=frozenset({"billing"}))
        )
    )
    reply = asyncio.run(endpoint.post(event(intent="gossip", confidence=None)))
    ((_, stored),) = endpoint.upstream.writes
    assert ("gossip", None) == (
        stored["cognigyDetectedIntent"],
        reply.form.get("fallback"),
    )
    assert {("other", "none", "unknown"): 1} == counts(metrics(endpoint))


def test_with_explain_the_response_has_the_destination() -> None:
    """By the attributes just written, and the conversation's earlier ones."""
    upstream = Upstream(
        contexts={"c-1": {"customerTier": "gold", "cognigyDetectedIntent": "old"}}
    )
    endpoint = Endpoint(
        upstream,
        policy=EventPolicy(
            explain=lambda source_values: sorted(source_values.items())[:2]
        ),
    )
    expected = [["cognigyConfidence", 0.9], ["cognigyDetectedIntent", "billing"]]
    assert expected == asyncio.run(endpoint.post()).form["route"]
