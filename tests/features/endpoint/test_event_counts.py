"""cxroute_events_total: one for each accepted event, by intent, tenth of the confidence, and
fallback.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from math import floor
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.errors import AmbiguousWriteError, RetryLaterError
from reconciler.features.endpoint.handler import EventPolicy
from tests.features.endpoint.event_counts import SERIES, Label, counts, metrics
from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.features.endpoint.instances import Callers, machines, shared, shuffled
from tests.support.cases import each_case
from tests.support.plain_http import PLAIN
from tests.tiers import FULL

HOSTILE = 'a "b"\\c\né'
KNOWN = frozenset({"billing", "refund", HOSTILE})
POLICY = EventPolicy(fallback=FallbackPolicy("none", 0.45, KNOWN))


def counted(
    *forms: dict[str, Any], policy: EventPolicy = POLICY, **said: Any
) -> Counter[Label]:
    """Post bodies to one endpoint, and return its counts."""
    endpoint = Endpoint(policy=policy, **said)
    for form in forms:
        asyncio.run(endpoint.post(form))
    return counts(metrics(endpoint))


@each_case(
    "confidence, tenth, reason",
    [
        (0, "0.0", "unsure"),
        (0.09999999999999999, "0.0", "unsure"),
        (0.1, "0.1", "unsure"),
        (0.29999999999999993, "0.2", "unsure"),
        (0.3, "0.3", "unsure"),
        (0.44, "0.4", "unsure"),
        (0.45, "0.4", "none"),
        (0.7, "0.7", "none"),
        (0.9999999999999999, "0.9", "none"),
        (1, "1.0", "none"),
        (1.0, "1.0", "none"),
        (None, "none", "unsure"),
        (..., "none", "unsure"),
    ],
)
def test_a_confidence_counts_in_its_tenth(
    confidence: Any, tenth: str, reason: str
) -> None:
    """By its lower bound; 1 is a tenth of its own, and a threshold may divide a tenth."""
    assert {("billing", tenth, reason): 1} == counted(event(confidence=confidence))


@pytest.mark.parametrize(
    ("intent", "label"),
    [("billing", "billing"), ("gossip", "other"), (HOSTILE, HOSTILE)],
)
def test_an_unknown_intent_is_counted_as_other(intent: str, label: str) -> None:
    """A client cannot make a series, and a known name is written as text."""
    reason = "unknown" if label == "other" else "none"
    policy = EventPolicy(fallback=FallbackPolicy("none", 0.45, KNOWN))
    endpoint = Endpoint(policy=policy)
    endpoint.app.metrics.events.add(intent, 0.9)  # an event cannot contain a line end
    assert {(label, "0.9", reason): 1} == counts(metrics(endpoint))


def test_without_intents_documents_every_intent_is_other() -> None:
    """Nothing is known, so no label shows what a client sent; the fallback has no reason either."""
    assert {("other", "0.9", "none"): 1} == counted(event(), policy=EventPolicy())


@pytest.mark.parametrize("name", ["other", "none"])
def test_an_intent_with_the_name_of_a_label_is_other(name: str) -> None:
    """`none` would be read as a missing intent."""
    policy = EventPolicy(fallback=FallbackPolicy(None, 0.0, frozenset({name})))
    assert {("other", "0.9", "none"): 1} == counted(event(intent=name), policy=policy)


def test_every_series_exists_from_the_start_and_no_other_appears() -> None:
    """Prometheus misses the first value of a series that appears later; the number of series is
    limited.
    """
    endpoint = Endpoint(policy=POLICY)
    chance = Random(4)
    before = {actual[:3] for actual in SERIES.findall(metrics(endpoint))}
    for _ in range(5000):
        intent = chance.choice([*KNOWN, f"free text {chance.random()}"])
        endpoint.app.metrics.events.add(
            intent, chance.choice([None, 0, 1, chance.random(), 0.45])
        )
    assert before == {actual[:3] for actual in SERIES.findall(metrics(endpoint))}
    assert len(KNOWN) * 13 + 12 == len(before)


def test_only_an_accepted_event_is_counted() -> None:
    """Not a repeated, older, invalid, failed or ignored one; one with an unclear write is: a repeat
    is not written.
    """
    unclear = AmbiguousWriteError("")
    away = RetryLaterError("", 1)
    first = event(timestamp="2026-02-01T09:00:05Z")
    candidate = event(conversationId="c-2")
    forms = [
        first,
        first,
        event(timestamp="2026-02-01T09:00:01Z"),
        event(confidence=2),
        candidate,
        candidate,
        candidate,
    ]
    policy = EventPolicy(
        fallback=POLICY.fallback, ignored_conversations=frozenset({"c-3"})
    )
    upstream = Upstream(faults=[None, away, unclear])
    assert {("billing", "0.9", "none"): 2} == counted(
        *forms, event(conversationId="c-3"), policy=policy, upstream=upstream
    )


def expected(accepted: Iterable[tuple[str, float | None]]) -> Counter[Label]:
    """Return the counts of events, computed without the endpoint's code."""
    actual: Counter[Label] = Counter()
    for intent, confidence in accepted:
        unsure = confidence is None or confidence < 0.45
        reason = "unknown" if intent not in KNOWN else "unsure" if unsure else "none"
        tenth = (
            "none" if confidence is None else f"{floor(confidence * 1000) // 100 / 10}"
        )
        actual[intent if intent in KNOWN else "other", tenth, reason] += 1
    return actual


@pytest.mark.slow
def test_counts_equal_the_accepted_events() -> None:
    """10,000 events of 300 conversations with repeats and restarts; the lives of the endpoint are
    summed.
    """
    chance = Random(22)
    lives = [Endpoint(policy=POLICY)]
    accepted: list[tuple[str, float | None]] = []
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    requests_sent: list[tuple[int, dict[str, Any]]] = []

    async def post_all() -> None:
        for number in range(10_000):
            if chance.random() < 0.0005:
                lives.append(Endpoint(policy=POLICY))
                newest.clear()  # the memory of a process ends with it
            if requests_sent and chance.random() < 0.3:
                second, form = chance.choice(requests_sent[-40:])
            else:
                second = chance.randrange(number + 1)
                confidence = chance.choice([None, 1, 0, chance.randrange(1000) / 1000])
                form = event(
                    conversationId=f"c-{chance.randrange(300)}",
                    intent=chance.choice(["billing", "refund", "gossip", "other"]),
                    confidence=confidence,
                    timestamp=f"2026-02-01T{9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
                )
                requests_sent.append((second, form))
            before = newest.get(form["conversationId"])
            await lives[-1].post(form)
            if before is None or (second >= before[0] and form != before[1]):
                newest[form["conversationId"]] = second, form
                accepted.append((form["intent"], form["confidence"]))

    asyncio.run(post_all())
    assert len(lives) > 3
    assert 3000 < len(accepted) < 9000
    assert len(accepted) == sum(len(life.upstream.writes) for life in lives)
    assert expected(accepted) == counts(*map(metrics, lives))


@pytest.mark.slow
def test_counts_of_two_instances_add_up_to_the_accepted_events(tmp_path: Path) -> None:
    """With --shared an event that is repeated to the other instance is not counted there."""
    with shared(tmp_path) as (fleet, server):
        urls = machines(fleet, server)
        callers = Callers(*urls)
        asyncio.run(callers.post_all(shuffled(800 if FULL else 20, 6)))
        writes = fleet.writes()
        texts = [
            httpx.get(f"{url}/metrics", trust_env=False, verify=PLAIN).text
            for url in urls
        ]
    assert {200} == set(callers.statuses)
    assert len(writes) == len(set(writes)) < len(callers.statuses)
    per_tenth = Counter(f"{floor(second * 1000) // 100 / 10}" for _, second in writes)
    actual = [counts(text) for text in texts]
    assert all(actual), "each instance counts"
    summed: Counter[str] = Counter()
    for (_, tenth, _), count in (actual[0] + actual[1]).items():
        summed[tenth] += count
    assert per_tenth == summed
