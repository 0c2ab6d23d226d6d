"""Stored events equal the original ones, in a quarter of the memory; a waiting request gets the
lock.
"""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.features.endpoint.conversations import (
    ConversationCache,
    ConversationLocks,
    EventOrder,
    LatestEvent,
)
from reconciler.features.endpoint.event import (
    Event,
    Timestamp,
    parse_event,
    parse_timestamp,
)
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    error_response,
    written_response,
)
from tests.features.endpoint import in_process_endpoint as posting

SECOND = "2026-02-01T09:00:00Z"
NAMES = st.from_regex(r"[A-Za-z0-9._:-]{1,40}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda part: st.lists(part) | st.dictionaries(TEXTS, part),
)
PLACES = st.builds(
    EventOrder,
    st.builds(Timestamp, st.integers(0, 10**11), st.sampled_from(["", "5", "000001"])),
    TEXTS,
)


def forgetful(
    most: int = 100, seconds: float = 3600.0
) -> tuple[ConversationCache, list[float]]:
    """Return a cache and its clock."""
    now = [0.0]
    return ConversationCache(lambda: now[0], most, seconds), now


def one(
    name: str, second: str | None = SECOND, answer: EndpointResponse | None = None
) -> LatestEvent:
    point = parse_timestamp(second) if second else None
    text = Event(name, "billing", 0.9, second, point)
    return LatestEvent(
        EventOrder(point or Timestamp(1, "")),
        text,
        answer or written_response(name, {"status": "updated"}),
    )


@pytest.mark.slow
@given(
    NAMES,
    TEXTS,
    st.none() | st.integers(0, 1) | st.floats(0, 1),
    st.none() | st.just(SECOND),
    PLACES,
    JSON,
)
def test_a_stored_event_is_restored_unchanged(
    name: str,
    intent: str,
    confidence: float | None,
    second: str | None,
    place: EventOrder,
    said: Any,
) -> None:
    """For any event and any response of the tenant, and with an order that is not the event's
    own.
    """
    about = Event(
        name, intent, confidence, second, parse_timestamp(second) if second else None
    )
    for answer in (
        written_response(name, said),
        written_response(name, said, route=said),
        error_response(502, "unclear", "unknown"),
    ):
        for where in (
            place,
            EventOrder(about.timestamp or place.timestamp, place.message_id),
        ):
            remembered, _ = forgetful()
            remembered.store(name, LatestEvent(where, about, answer))
            actual = remembered.find(name)
            assert LatestEvent(where, about, answer) == actual
            assert repr(confidence) == repr(actual.event.confidence)


def test_the_cache_keeps_an_hour_and_at_least_the_newer_half_of_its_limit() -> None:
    """It evicts the conversations without events for the longest time; a new event makes a
    conversation new again.
    """
    remembered, now = forgetful(most=4)
    for name in ("a", "b", "c", "a", "d", "e"):
        remembered.store(name, one(name))
    assert ["a", "c", "d", "e"] == [
        name for name in "abcdef" if remembered.find(name) is not None
    ]

    for second in (3599.0, 3601.0, 7190.0):
        now[0] = second
        remembered.store("late", one("late"))
    assert remembered.find("late") is not None
    now[0] = 20_000.0
    remembered.store("later", one("later"))
    assert ["later"] == [
        name for name in ("late", "later") if remembered.find(name) is not None
    ]


def test_no_conversation_is_evicted_within_the_hour() -> None:
    """At any change of generations: stored at any second, known 3,599 seconds later."""
    for heard in range(0, 9000, 450):
        remembered, now = forgetful()
        for second in range(0, heard + 3600, 150):
            now[0] = float(second)
            remembered.store("c" if second == heard else "another", one("c"))
        assert remembered.find("c") is not None, heard


@pytest.mark.slow
def test_a_hundred_thousand_take_less_than_forty_megabytes() -> None:
    """The stored number (docs/context.md), of a usual length; a tenth is measured."""
    lines = ConversationLocks(lambda: 0.0)

    async def turns() -> float:
        tracemalloc.start()
        try:
            for number in range(10_000):
                name = f"12345678-1234-1234-1234-{number:012}"
                about = parse_event(
                    json.dumps(posting.event(conversationId=name)).encode()
                )
                async with lines.lock(about.conversation) as line:
                    assert about.timestamp is not None
                    line.record_write(
                        EventOrder(about.timestamp),
                        about,
                        written_response(about.conversation, {"status": "updated"}),
                    )
            return tracemalloc.get_traced_memory()[0] / 10_000
        finally:
            tracemalloc.stop()

    assert asyncio.run(turns()) * 100_000 < 40 * 2**20


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_waiting_request_that_gives_up_does_not_block_others(gone: int) -> None:
    """The first waiting request, the second or the last: the others get the lock, in order, one at
    a time.
    """
    lines = ConversationLocks(lambda: 0.0)
    observed: list[int] = []
    inside = 0

    async def stand(number: int, leave: asyncio.Event) -> None:
        nonlocal inside
        async with lines.lock("c"):
            assert not inside
            inside += 1
            observed.append(number)
            await leave.wait()
            inside -= 1

    async def crowd() -> None:
        leave = asyncio.Event()
        tasks = [asyncio.create_task(stand(number, leave)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[gone].cancel()
        await asyncio.sleep(0)
        leave.set()
        late = asyncio.create_task(stand(4, leave))
        actual = await asyncio.gather(*tasks, late, return_exceptions=True)
        assert [gone] == [
            number
            for number, item in enumerate(actual)
            if isinstance(item, asyncio.CancelledError)
        ]

    asyncio.run(crowd())
    assert [number for number in range(5) if number != gone] == observed
