"""Order, duplicates and repeats: each conversation ends with its newest event, in any order of
arrival (W2, W3).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reconciler.core.errors import UnreachableError
from reconciler.features.endpoint.conversations import (
    ConversationLocks,
    LockUnavailableError,
)
from tests.features.endpoint.in_process_endpoint import (
    HEADERS,
    Endpoint,
    Reply,
    Upstream,
    event,
)
from tests.features.endpoint.signing import WRITTEN, signed


def at(second: int, **said: Any) -> dict[str, Any]:
    return event(
        timestamp=f"2026-02-01T09:00:{second:02}Z", intent=f"intent-{second}", **said
    )


def signing(upstream: Upstream | None = None) -> Endpoint:
    return Endpoint(upstream, keys=(), secrets=[WRITTEN])


def test_an_older_event_is_stale() -> None:
    """It is answered 200 with `stale`, and not written; the next newer one is."""
    endpoint = Endpoint()

    async def three() -> list[Reply]:
        return [await endpoint.post(at(second)) for second in (2, 1, 3)]

    replies = asyncio.run(three())
    assert [(200, None), (200, True), (200, None)] == [
        (reply.status, reply.form.get("stale")) for reply in replies
    ]
    assert ["intent-2", "intent-3"] == [
        item["cognigyDetectedIntent"] for _, item in endpoint.upstream.writes
    ]


def test_an_equal_repeat_gets_the_first_response() -> None:
    """Byte by byte, also if both arrive together; other values at the same time are written."""
    endpoint = Endpoint()

    async def posts() -> list[Reply]:
        item, two = await asyncio.gather(endpoint.post(at(1)), endpoint.post(at(1)))
        return [
            item,
            two,
            await endpoint.post(at(1)),
            await endpoint.post(at(1, confidence=0.5)),
        ]

    item, two, three, four = asyncio.run(posts())
    assert item.body == two.body == three.body != four.body
    assert [0.9, 0.5] == [
        stored["cognigyConfidence"] for _, stored in endpoint.upstream.writes
    ]


def test_events_without_a_timestamp_are_written_in_order_of_arrival() -> None:
    """Even if the wall clock is set back by an hour between them."""
    endpoint = Endpoint()

    async def posts() -> list[int]:
        statuses = []
        for seconds in (0, -3600, -3600):
            endpoint.seconds = seconds
            statuses.append(
                (
                    await endpoint.post(event(timestamp=..., intent=f"at {seconds}"))
                ).form.get("stale")
            )
        return statuses

    assert [None, None, None] == asyncio.run(posts())
    assert 3 == len(endpoint.upstream.writes)


def test_an_event_without_a_timestamp_follows_all_earlier_ones() -> None:
    """A bot's clock is ahead: its earlier event is not newer because of that, and its later event
    is.
    """
    endpoint = Endpoint()

    async def posts() -> list[bool | None]:
        times = [
            "2026-11-25T12:04:09Z",
            ...,
            "2026-11-25T12:04:08Z",
            "2026-11-25T12:04:10Z",
        ]
        return [
            (await endpoint.post(event(timestamp=time))).form.get("stale")
            for time in times
        ]

    assert [None, None, True, None] == asyncio.run(posts())


def test_an_event_that_waited_behind_a_newer_one_is_stale() -> None:
    """The newest waiting event does not wait for a value that it would replace immediately."""
    hold = asyncio.Event()
    endpoint = Endpoint(Upstream(hold=hold))

    async def posts() -> list[bool | None]:
        tasks = [asyncio.create_task(endpoint.post(at(second))) for second in (1, 9, 5)]
        await asyncio.sleep(0.01)
        hold.set()
        return [reply.form.get("stale") for reply in await asyncio.gather(*tasks)]

    assert [None, None, True] == asyncio.run(posts())
    assert "intent-9" == endpoint.upstream.contexts["c-1"]["cognigyDetectedIntent"]


def test_a_conversation_has_one_running_write_and_others_continue() -> None:
    """Ten posts for one conversation and one for another: the other does not wait for them."""
    hold = asyncio.Event()
    endpoint = Endpoint(Upstream(hold=hold))

    async def posts() -> tuple[list[str], int]:
        tasks = [asyncio.create_task(endpoint.post(at(second))) for second in range(10)]
        tasks.append(asyncio.create_task(endpoint.post(at(1, conversationId="other"))))
        await asyncio.sleep(0.01)
        under_way = [
            name for name, count in endpoint.upstream.under_way.items() if count
        ]
        hold.set()
        await asyncio.gather(*tasks)
        return sorted(under_way), endpoint.upstream.most_under_way

    assert (["c-1", "other"], 1) == asyncio.run(posts())


def test_a_flood_for_one_conversation_is_shed() -> None:
    """Sixteen wait; the next gets a Retry-After."""
    hold = asyncio.Event()
    endpoint = Endpoint(Upstream(hold=hold))

    async def posts() -> list[int]:
        tasks = [asyncio.create_task(endpoint.post(at(second))) for second in range(17)]
        await asyncio.sleep(0.01)
        hold.set()
        return [reply.status for reply in await asyncio.gather(*tasks)]

    assert [200] * 16 + [503] == asyncio.run(posts())


def test_a_signed_message_has_one_effect() -> None:
    """Later or concurrent, it gets the same response; another body is a conflict, an unsigned one
    is refused.
    """
    endpoint = signing()

    async def posts() -> list[Reply]:
        first = signed("m-1", event(timestamp=...))
        item, two = await asyncio.gather(endpoint.post(*first), endpoint.post(*first))
        candidate = await endpoint.post(*signed("m-1", event(intent="other")))
        return [
            item,
            two,
            await endpoint.post(*first),
            candidate,
            await endpoint.post(),
        ]

    item, two, three, candidate, unsigned = asyncio.run(posts())
    assert item.body == two.body == three.body
    assert [200, 409, 401] == [item.status, candidate.status, unsigned.status]
    assert 1 == len(endpoint.upstream.writes)


def test_a_failed_signed_message_may_be_repeated() -> None:
    """A client that got a 502 sends the same message again."""
    endpoint = signing(Upstream(faults=[UnreachableError("")]))

    async def posts() -> list[int]:
        return [(await endpoint.post(*signed("m-1", event()))).status for _ in range(2)]

    assert [502, 200] == asyncio.run(posts())


def test_a_signature_decides_if_it_is_present() -> None:
    """A key does not help a message with a wrong signature; without a signature, a key is
    enough.
    """
    endpoint = Endpoint(secrets=[WRITTEN])
    body, headers = signed("m-1", event())

    async def posts() -> list[int]:
        both = [*headers, HEADERS[1]]
        return [
            (await endpoint.post(body + b" ", both)).status,
            (await endpoint.post(body, both)).status,
            (await endpoint.post()).status,
        ]

    assert [401, 200, 200] == asyncio.run(posts())


def test_the_lock_itself_reports_too_many_waiting_requests() -> None:
    """The error is of this package; the app makes a 503 of it."""

    async def crowd() -> None:
        lines = ConversationLocks(lambda: 0.0)
        async with lines.lock("a"):
            waiting = [asyncio.create_task(_pass(lines)) for _ in range(15)]
            await asyncio.sleep(0)
            with pytest.raises(
                LockUnavailableError, match="too many requests for this conversation"
            ):
                await _pass(lines)
        await asyncio.gather(*waiting)

    asyncio.run(crowd())


async def _pass(lines: ConversationLocks) -> None:
    async with lines.lock("a"):
        pass
