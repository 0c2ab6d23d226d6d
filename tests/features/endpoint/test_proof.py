"""The whole way: the running endpoint, `explain`, and a plain evaluation agree on the destination
of an event.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.checks.explain import explain
from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import load_manifests
from reconciler.core.plan.routing_table import desired_entries
from tests.features.endpoint.processes import caller, served
from tests.support.brute_force import winner
from tests.support.random_manifests import (
    BOUNDS,
    CONFIDENCE,
    INTENT,
    INTENTS,
    context_of,
    manifests_of,
    rules_of,
)
from tests.tiers import FULL

pytestmark = pytest.mark.slow

CONFIGURATIONS = 25 if FULL else 4
EVENTS = 400


def an_event(random: Random, number: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "conversationId": f"c-{number}",
        "intent": random.choice((*INTENTS, "unheard of")),
    }
    confidence = random.choice((*BOUNDS, 0.2, 0.4, 0.6, 0.9, None, ...))
    return event if confidence is ... else {**event, "confidence": confidence}


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_endpoint_explain_and_evaluation_agree(tmp_path: Path, seed: int) -> None:
    """Over HTTP with --explain, for events of every kind; each configuration applies its fallback
    to some of them.
    """
    random = Random(f"whole way {seed}")
    with (
        served(tmp_path, serve=("--explain",), manifest=manifests_of(random)) as (
            _,
            url,
        ),
        caller(url) as http,
    ):
        manifests = load_manifests(tmp_path / "manifests")
        environment = manifests.environments["prod"].document
        desired, _ = desire_offline(manifests, environment)
        declared = {
            name for loaded in manifests.intents for name in loaded.document.names
        }
        entries = desired_entries(desired)
        rules = rules_of(desired)
        outcomes = Counter[str]()
        for number in range(EVENTS):
            event = an_event(random, number)
            reply = http.post("/api/route", json=event).json()
            expected = winner(rules, (context_of(event, environment, declared), {}))
            attributes = {INTENT: event["intent"], CONFIDENCE: event.get("confidence")}
            explanation = explain(entries, attributes, environment, desired.endpoint)
            assert (expected and expected["id"]) == (
                explanation.winner and explanation.winner.name
            ), event
            assert (expected and expected["id"]) == reply["route"]["rule"], (
                event,
                reply,
            )
            assert explanation.fallback == reply.get("fallback"), (event, reply)
            outcomes[str(explanation.fallback)] += 1
    assert outcomes["None"] or environment.context.below, outcomes
