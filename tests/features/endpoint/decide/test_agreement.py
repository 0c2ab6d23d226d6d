"""/decide, /exchange, `explain` and the independent evaluator agree; splits keep their shares."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.checks.explain import explain
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.targets.decide.decision import decider_steps
from reconciler.targets.decide.slices import finish
from reconciler.targets.decide.table import PublishedTable
from tests.features.endpoint.decide.decision_endpoint import DecisionEndpoint, in_folder
from tests.support.brute_force import Json, destination, is_supported
from tests.support.endpoint_oracle import (
    CONFIDENCE,
    INTENT,
    Behind,
    a_fallback,
    events_for,
)
from tests.support.random_rules import a_list
from tests.support.served_tables import a_table, rule_json
from tests.tiers import size

EVENTS = 5
"""Of each random table."""
QUEUES = [{"id": letter, "name": f"Queue {letter}"} for letter in "ABC"]
CRITICAL = 16.27
"""Chi-square with three degrees of freedom, exceeded once in a thousand by chance."""


def understood(rules: list[Json]) -> list[Json]:
    """Return the rules that a table may have, each with conditions and queues that are known."""
    return [
        rule
        for rule in rules
        if all(map(is_supported, rule["conditions"]))
        and all(target["type"] == "queue" for target in rule["targets"])
    ]


def random_side(random: Random) -> tuple[PublishedTable, Behind, Any]:
    """Return a random table, the same for the evaluator, and the order of its evaluation."""
    rules = understood(a_list(random, 6))
    fallback = a_fallback(random)
    evaluation = random.choice(("lowest-first", "highest-first"))
    endpoint = {
        "intent": INTENT,
        "confidence": CONFIDENCE,
        "fallback": fallback.settings,
        "types": {},
    }
    table = a_table(*rules, queues=QUEUES, endpoint=endpoint, evaluation=evaluation)
    return table, Behind(rules, fallback), evaluation


def is_sendable(event: dict[str, Any]) -> bool:
    """Return whether a bot can send an intent: not an empty or invisible one."""
    intent = event.get(INTENT, "a")
    return isinstance(intent, str) and bool(intent.strip()) and intent.isprintable()


async def answers(
    service: DecisionEndpoint, event: dict[str, Any], conversation: str
) -> tuple[Any, Any]:
    """Return the answers of both routes about an event."""
    others = {
        name: value for name, value in event.items() if name not in (INTENT, CONFIDENCE)
    }
    decided = await service.decide(
        conversationId=conversation,
        intent=event.get(INTENT),
        confidence=event.get(CONFIDENCE),
        attributes=others,
    )
    confidence = event.get(CONFIDENCE)
    payload = {
        **others,
        "intent": event.get(INTENT, ""),
        "confidence": "" if confidence is None else json.dumps(confidence),
    }
    form = {
        "executionInfo": {"contactId": conversation},
        "customPayload": payload,
    }
    return decided, await service.exchange(form)


def check(
    answer: tuple[Any, Any], table: PublishedTable, side: Behind, event: Any, order: str
) -> None:
    """Compare the answers about an event with `explain` and the evaluator."""
    decided, exchanged = answer
    winner = side.winner((event, {}), order)
    expected = destination(winner) or frozenset()
    assert decided["rule"] == (winner["name"] if winner else None)
    queue = decided["queue"]
    if queue is None:
        assert not expected
    else:
        shares = {name: float(share) for name, share in expected}
        assert shares[queue["id"]] == decided["share"]

    environment = Environment.model_validate(
        {"name": "prod", "owner": "acme", "api": {"evaluation": order}}
    )
    stage = table.settings.stage
    explained = explain(list(table.entries()), event, environment, stage)
    assert decided["rule"] == (explained.winner.name if explained.winner else None)
    assert decided.get("fallback") == explained.fallback

    variables = exchanged["customPayload"]
    assert variables["cxr_rule"] == (decided["rule"] or "")
    assert variables.get("cxr_skill") == (queue["id"] if queue else None)
    assert variables.get("cxr_fallback") == decided.get("fallback")
    assert variables["cxr_digest"] == decided["digest"] == table.digest


def test_all_ways_to_decide_agree(tmp_path: Path) -> None:
    """On random tables with every operator, splits, ties and fallbacks, and events for each of
    their differences.
    """
    random = Random(37)

    async def compare() -> Counter[str]:
        seen = Counter[str]()
        service = in_folder(tmp_path)
        while seen["events"] < size(fast=300, slow=10_000):
            table, side, order = random_side(random)
            await service.publish(table)
            universe = events_for(side)
            for _ in range(EVENTS):
                event, _ = universe.example(1 << random.randrange(universe.size))
                if not is_sendable(event):
                    continue
                conversation = f"c-{seen['events']}"
                answer = await answers(service, event, conversation)
                check(answer, table, side, event, order)
                seen["events"] += 1
                seen["rule" if answer[0]["rule"] else "default"] += 1
                seen["fallback"] += "fallback" in answer[0]
                seen["split"] += answer[0].get("share", 1) < 1
        return seen

    seen = asyncio.run(compare())
    assert min(seen[kind] for kind in ("rule", "default", "fallback", "split")) > 5


SPLIT = a_table(
    rule_json(
        "lost",
        targets=[
            {"type": "queue", "queueId": letter, "weight": weight}
            for letter, weight in (("A", 1), ("B", 0.5), ("C", 2.5), ("D", 6))
        ],
    ),
    queues=[*QUEUES, {"id": "D", "name": "Queue D"}],
)
SHARES = {
    "A": Fraction(1, 10),
    "B": Fraction(1, 20),
    "C": Fraction(1, 4),
    "D": Fraction(3, 5),
}


@pytest.mark.parametrize("identity", ["c-{}", "{}", "2026-{:08}", None])
def test_shares_hold_over_many_conversations(identity: str | None) -> None:
    """By chi-square, for ids that follow one another, and for conversations without an id."""
    decider = finish(decider_steps(SPLIT))
    total = size(fast=5_000, slow=100_000)
    counts = Counter(
        decider.decide(
            {"intent": "lost"}, identity.format(number) if identity else None
        ).queue_id
        for number in range(total)
    )
    distance = sum(
        (counts[queue] - float(share * total)) ** 2 / float(share * total)
        for queue, share in SHARES.items()
    )
    assert distance < CRITICAL


def test_a_repeat_gets_the_same_queue() -> None:
    """From one service, and from another one with the same table."""
    copy = a_table(*(dict(rule.raw) for rule in SPLIT.rules), **_parts())
    first = finish(decider_steps(SPLIT))
    second = finish(decider_steps(copy))
    names = [f"c-{number}" for number in range(300)]
    decisions = [first.decide({"intent": "lost"}, name) for name in names]
    assert decisions == [first.decide({"intent": "lost"}, name) for name in names]
    assert decisions == [second.decide({"intent": "lost"}, name) for name in names]


def _parts() -> dict[str, Any]:
    """Return the rest of the table with the split."""
    form = SPLIT.to_json()
    return {name: form[name] for name in ("queues", "endpoint", "evaluation")}
