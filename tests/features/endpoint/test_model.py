"""Duplicates, replays and reordering with lost responses, against a model of the permitted effects
(W2, W3, W4).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from tests.features.endpoint.in_process_endpoint import Reply, event
from tests.features.endpoint.signing import WRITTEN, signed
from tests.features.endpoint.stepped_tenant import SteppedEndpoint
from tests.support.stepping_clock import run
from tests.tiers import FULL

pytestmark = pytest.mark.slow

CONVERSATIONS = 500 if FULL else 50
EVENTS = 20
"""Of each conversation; a fifth of all occur twice."""
FAULTS = "context:500-applied@0.02,context:reset-applied@0.01,context:reset@0.02"
SIGNED = ("1", "3", "5", "7", "9")
"""Every other conversation has a client that signs."""
Key = tuple[str, float]
"""A conversation and the second of its event, which is also its confidence."""


@dataclass
class Model:
    """The effects at the tenant, and the permitted ones."""

    effects: Counter[Key] = field(default_factory=Counter)
    lost: Counter[Key] = field(default_factory=Counter)
    newest: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def written(self, conversation: str, attributes: dict[str, Any]) -> None:
        """Record an effect: an older value never replaces a conversation's value."""
        second = attributes["cognigyConfidence"]
        self.effects[conversation, second] += 1
        if second < self.newest.get(conversation, -1.0):
            self.faults.append(f"{conversation} went back to {second}")
        self.newest[conversation] = second

    def answered(self, conversation: str, second: float, reply: Reply) -> None:
        """Compare a response with the effects: a 200 was written, or is older than a write; no
        other success exists.
        """
        if reply.status not in (200, 502):
            self.faults.append(f"{conversation}: status {reply.status}")
        if (
            reply.status == 200
            and reply.form.get("stale")
            and not second < self.newest.get(conversation, -1.0)
        ):
            self.faults.append(f"{conversation}: {second} is called stale")
        if (
            reply.status == 200
            and not reply.form.get("stale")
            and not self.effects[conversation, second]
        ):
            self.faults.append(f"{conversation}: {second} is called written")


async def _world(seed: int) -> tuple[Model, dict[str, Any]]:
    chance = Random(seed)
    model = Model()
    scene = SteppedEndpoint(faults=FAULTS, seed=seed, secrets=(WRITTEN,))
    merge = scene.state.merge

    def noting(conversation: str, attributes: dict[str, Any]) -> dict[str, Any]:
        model.written(conversation, attributes)
        return merge(conversation, attributes)

    scene.state.merge = noting  # type: ignore[method-assign]
    events = [
        (f"c-{item}", second / EVENTS)
        for item in range(CONVERSATIONS)
        for second in range(EVENTS)
    ]
    events += chance.sample(events, len(events) // 5)
    chance.shuffle(events)
    await asyncio.gather(
        *(_caller(scene, model, events[start::20]) for start in range(20))
    )
    for body in scene.far.lost:
        attributes = json.loads(body)["attributes"]
        model.lost[
            attributes["cognigyDetectedIntent"], attributes["cognigyConfidence"]
        ] += 1
    return model, scene.state.contexts


async def _caller(scene: SteppedEndpoint, model: Model, mine: list[Key]) -> None:
    """Post events, each until it is accepted, signed or with the key."""
    for conversation, second in mine:
        stamp = f"2026-02-01T09:00:{round(second * EVENTS):02}Z"
        form = event(
            conversationId=conversation,
            intent=conversation,
            confidence=second,
            timestamp=stamp,
        )
        message = signed(
            f"{conversation}-{round(second * EVENTS)}",
            form,
            scene.around_now().timestamp(),
        )
        for _ in range(50):
            reply = await (
                scene.post(*message)
                if conversation.endswith(SIGNED)
                else scene.post(form)
            )
            model.answered(conversation, second, reply)
            if reply.status == 200:
                break
            await asyncio.sleep(1)


@pytest.mark.parametrize("seed", range(2))
def test_the_model_holds_for_any_order_and_number_of_events(seed: int) -> None:
    """Events in any order, a fifth twice, 5 % of writes failing: each has one effect, plus one per
    lost response.

    1,000 of 50 conversations, 10,000 of 500 in the campaign. No older value replaces another; the
    last is the newest.
    """
    model, contexts = run(_world(seed))
    assert [] == model.faults
    assert {
        f"c-{item}": (EVENTS - 1) / EVENTS for item in range(CONVERSATIONS)
    } == model.newest
    assert model.newest == {
        name: context["cognigyConfidence"] for name, context in contexts.items()
    }
    assert {} == {
        key: count
        for key, count in model.effects.items()
        if count > 1 + model.lost[key]
    }
    assert 0 < sum(count - 1 for count in model.effects.values()) <= model.lost.total()
