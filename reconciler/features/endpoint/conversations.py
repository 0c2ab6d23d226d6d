"""The lock and the newest event of each conversation (invariants W2, W3).

The newest event and its response are stored for one to two hours. 100,000 of them as objects would
take 110 MB and slow the garbage collector; packed into bytes, without the common beginning of a
response, they take a third of that (benchmarks/README.md, "endpoint").
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from reconciler.features.endpoint.event import (
    END_OF_TIME,
    Event,
    Timestamp,
    parse_timestamp,
)
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    truncated,
    written_prefix,
)


class EventOrder(NamedTuple):
    """An event's position in its conversation."""

    timestamp: Timestamp
    message_id: str = ""


class LatestEvent(NamedTuple):
    """The newest event that was written, and its response."""

    order: EventOrder
    event: Event
    response: EndpointResponse


class ConversationCache:
    """The newest events of recent conversations, each for `seconds` at least, unless `limit` / 2
    newer ones exist.
    """

    # Two generations: a young one that is full or expired becomes the old one.
    def __init__(self, clock: Callable[[], float], limit: int, seconds: float) -> None:
        self._clock = clock
        self._generation_size = max(limit // 2, 1)
        self._seconds = seconds
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._young_since = clock()

    def find(self, conversation: str) -> LatestEvent | None:
        """Return the newest event of a conversation, if it is stored."""
        packed = self._young.get(conversation) or self._old.get(conversation)
        if packed is None:
            return None
        return unpack(conversation, packed)

    def store(self, conversation: str, latest: LatestEvent) -> None:
        """Store the newest event of a conversation."""
        age = self._clock() - self._young_since
        is_full = len(self._young) >= self._generation_size
        if is_full or age >= self._seconds:
            self._old = self._young if age < 2 * self._seconds else {}
            self._young = {}
            self._young_since += age

        self._old.pop(conversation, None)
        self._young[conversation] = pack(conversation, latest)


def pack(conversation: str, latest: LatestEvent) -> bytes:
    """Return an event's position and content as a line of JSON, and the rest of its response."""
    event = latest.event
    response = latest.response
    prefix = written_prefix(conversation)
    is_usual = response.body.startswith(prefix)
    order = latest.order
    own_timestamp = order.timestamp if order.timestamp != event.timestamp else None
    content = (
        own_timestamp,
        order.message_id,
        (event.intent, event.confidence, event.timestamp_text),
        (response.status, response.outcome, is_usual),
    )
    line = json.dumps(content, separators=(",", ":")).encode()
    return line + b"\n" + response.body.removeprefix(prefix)


def unpack(conversation: str, packed: bytes) -> LatestEvent:
    """Return the event of a conversation from its packed form."""
    line, _, body = packed.partition(b"\n")
    own_timestamp, message_id, (intent, confidence, text), response = json.loads(line)
    status, outcome, is_usual = response
    timestamp = parse_timestamp(text) if text is not None else None
    position = timestamp if own_timestamp is None else Timestamp(*own_timestamp)
    if position is None:
        raise AssertionError(
            "an event without a timestamp was stored without the time of its receipt"
        )
    if is_usual:
        body = written_prefix(conversation) + body
    event = Event(conversation, intent, confidence, text, timestamp)
    order = EventOrder(position, message_id)
    return LatestEvent(order, event, EndpointResponse(status, outcome, body))


# Requests of one conversation: a flood leaves room for other conversations.
_MAX_WAITING: Final = 16


class LockUnavailableError(Exception):
    """A request does not get its conversation's lock; `outcome` is its name in log and metrics."""

    def __init__(self, message: str, outcome: str) -> None:
        self.outcome = outcome
        super().__init__(message)


@dataclass(slots=True)
class ConversationState:
    """The newest event of one conversation, and its lock."""

    latest: LatestEvent | None
    waiting: int = 0  # requests that hold the lock or wait for it
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def forget_after(self, limit: Timestamp) -> None:
        """Forget a newest event later than `limit`, which was stored while a clock was wrong."""
        if self.latest is not None and self.latest.order.timestamp > limit:
            self.latest = None

    def record_write(
        self,
        order: EventOrder,
        event: Event,
        response: EndpointResponse,
    ) -> None:
        """Store a written event; one without a timestamp is newer than all earlier ones."""
        before = self.latest.order if self.latest is not None else order
        self.latest = LatestEvent(max(order, before), event, truncated(response))


class LockProvider(Protocol):
    """Locks conversations."""

    def lock(
        self,
        conversation: str,
        limit: Timestamp = END_OF_TIME,
    ) -> AbstractAsyncContextManager[ConversationState]:
        """Return the conversation's lock, whose entering raises LockUnavailableError.

        Its state has no newest event later than `limit`.
        """


class ConversationLocks:
    """The locks of one process, and a cache of the newest events of `limit` conversations for
    `seconds` at least.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limit: int = 100_000,
        seconds: float = 3600.0,
    ) -> None:
        self._states: dict[str, ConversationState] = {}
        self._cache = ConversationCache(clock, limit, seconds)

    @asynccontextmanager
    async def lock(
        self,
        conversation: str,
        limit: Timestamp = END_OF_TIME,
    ) -> AsyncIterator[ConversationState]:
        """Lock a conversation (`LockProvider.lock`)."""
        state = self._states.get(conversation)
        if state is None:
            state = ConversationState(self._cache.find(conversation))
            self._states[conversation] = state
        if state.waiting >= _MAX_WAITING:
            message = "too many requests for this conversation are waiting"
            raise LockUnavailableError(message, "crowded")

        state.waiting += 1
        try:
            async with state.lock:
                state.forget_after(limit)
                yield state
        finally:
            state.waiting -= 1
            if not state.waiting:
                del self._states[conversation]
                if state.latest is not None:
                    self._cache.store(conversation, state.latest)
