"""One conversation at a time: whose turn it is, and what was last written (invariants W2, W3).

What is remembered of conversations: the newest event of each, and its answer, for an hour or two and in little room.

A hundred thousand of them as objects would take 110 MB, and the garbage collector would look at each again and again;
one piece of bytes each, and most of an answer made anew, takes a third of that (benchmarks/README.md, "endpoint").
"""

from __future__ import annotations

import asyncio
import marshal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from reconciler.endpoint.event import Event, Timestamp, parse_timestamp
from reconciler.endpoint.messages import EndpointResponse, truncated, written_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager


class EventOrder(NamedTuple):
    """Where an event stands among those of its conversation."""

    timestamp: Timestamp
    message_id: str = ""


class LatestEvent(NamedTuple):
    """The newest event that was written, and how it was answered."""

    order: EventOrder
    event: Event
    response: EndpointResponse


class ConversationCache:
    """The conversations that were heard of lately, in two generations: a young one that is full or old becomes the old.

    So each is remembered for `seconds` at the least, unless half of `limit` others were heard of since.
    """

    def __init__(self, clock: Callable[[], float], limit: int, seconds: float) -> None:
        """`clock` is monotonic."""
        self._clock, self._generation_size, self._seconds = clock, max(limit // 2, 1), seconds
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._young_since = clock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, conversation: str) -> LatestEvent | None:
        """Return the newest event of a conversation, if it is known."""
        packed = self._young.get(conversation) or self._old.get(conversation)
        return _unpack(conversation, packed) if packed is not None else None

    def store(self, conversation: str, latest: LatestEvent) -> None:
        """Keep the newest event of a conversation that was heard of just now."""
        age = self._clock() - self._young_since
        if age >= self._seconds or len(self._young) >= self._generation_size:
            self._old = self._young if age < 2 * self._seconds else {}
            self._young = {}
            self._young_since += age
        self._old.pop(conversation, None)
        self._young[conversation] = _pack(conversation, latest)

    def latest_events(self) -> Iterator[tuple[str, LatestEvent, float]]:
        """Return the newest event of each, and the seconds since it was heard of, or fewer.

        Others may be kept meanwhile.
        """
        for generation, age in ((self._young, 0.0), (self._old, self._clock() - self._young_since)):
            for conversation in tuple(generation):
                written = self.find(conversation)
                if written is not None:
                    yield conversation, written, age


def _pack(conversation: str, written: LatestEvent) -> bytes:
    (point, message), event, answer = written
    begin = written_prefix(conversation)
    is_usual = answer.body.startswith(begin)
    body = answer.body[len(begin) :] if is_usual else answer.body
    moment_apart = None if point == event.timestamp else (point.seconds, point.fraction)
    said = (event.intent, event.confidence, event.timestamp_text)
    return marshal.dumps((moment_apart, message, said, (answer.status, answer.outcome, is_usual, body)))


def _unpack(conversation: str, packed: bytes) -> LatestEvent:
    moment_apart, message, (intent, confidence, timestamp), answer = marshal.loads(packed)  # noqa: S302 - packed above
    status, outcome, is_usual, body = answer
    own = parse_timestamp(timestamp) if timestamp is not None else None
    point = own if moment_apart is None else Timestamp(*moment_apart)
    if point is None:
        raise AssertionError("an event without a time of its own was kept without the one that it was given")
    whole = written_prefix(conversation) + body if is_usual else body
    event = Event(conversation, intent, confidence, timestamp, own)
    return LatestEvent(EventOrder(point, message), event, EndpointResponse(status, outcome, whole))


_MAX_WAITING: Final = 16  # requests about one conversation: whoever floods one takes no more of what all have


class LockUnavailableError(Exception):
    """A request does not get its turn.

    `retry_after` says when to come again, `outcome` is its name in log and metrics.
    """

    def __init__(self, message: str, outcome: str, retry_after: float) -> None:
        """Keep both beside the message."""
        self.outcome, self.retry_after = outcome, retry_after
        super().__init__(message)


class TooManyWaitingError(LockUnavailableError):
    """Too many requests about one conversation are waiting."""

    def __init__(self) -> None:
        super().__init__("too many requests about this conversation are waiting", "crowded", 1.0)


@dataclass(slots=True)
class ConversationState:
    """The requests about one conversation, one behind the other."""

    latest: LatestEvent | None
    waiting: int = 0  # requests that are in it: the one whose turn it is, and those behind
    lock: asyncio.Lock | None = None  # what those behind wait for; there is none while nobody does

    def repeated_response(self, event: Event) -> EndpointResponse | None:
        """Return the answer to the very same event, if that was the newest."""
        same = self.latest is not None and event.timestamp is not None and event == self.latest.event
        return self.latest.response if self.latest is not None and same else None

    def is_stale(self, order: EventOrder) -> bool:
        """Say whether a newer event was written already."""
        return self.latest is not None and order < self.latest.order

    def merge(self, latest: LatestEvent | None) -> None:
        """Note what others know of the conversation, where that is no older than what is known here."""
        if latest is not None and (self.latest is None or latest.order >= self.latest.order):
            self.latest = latest

    def record_write(self, order: EventOrder, event: Event, response: EndpointResponse) -> None:
        """Note what was written; what came without a timestamp stands behind all that came before it."""
        before = self.latest.order if self.latest is not None else order
        self.latest = LatestEvent(max(order, before), event, truncated(response))


class LockProvider(Protocol):
    """Lets one request of each conversation through at a time."""

    def lock(self, conversation: str) -> AbstractAsyncContextManager[ConversationState]:
        """Wait for the conversation's line to come to this request. Raises LockUnavailableError."""


class _ConversationLock:
    """One request's turn; a generator in its place would cost the endpoint a fiftieth of its time."""

    __slots__ = ("_conversation", "_locks")

    def __init__(self, lines: ConversationLocks, conversation: str) -> None:
        self._locks, self._conversation = lines, conversation

    async def __aenter__(self) -> ConversationState:
        return await self._locks.acquire(self._conversation)

    async def __aexit__(self, *_error: object) -> None:
        self._locks.release(self._conversation)


class ConversationLocks:
    """The lines of all conversations, and what is remembered of those that nobody asks about just now."""

    def __init__(self, clock: Callable[[], float], limit: int = 100_000, seconds: float = 3600.0) -> None:
        """`clock` is monotonic. `limit` conversations are remembered, each for `seconds` at the least."""
        self._states: dict[str, ConversationState] = {}
        self._cache = ConversationCache(clock, limit, seconds)

    def __len__(self) -> int:
        return len(self._cache)

    def latest_events(self) -> Iterator[tuple[str, LatestEvent, float]]:
        """Return the newest event of each conversation, and the seconds since anybody asked about it, or fewer.

        What a line is about that somebody stands in is kept only when the last one leaves; it may come twice here.
        """
        for conversation, line in tuple(self._states.items()):
            if line.latest is not None:
                yield conversation, line.latest, 0.0
        yield from self._cache.latest_events()

    def lock(self, conversation: str) -> _ConversationLock:
        """Wait for the conversation's line to come to this request. Raises TooManyWaitingError."""
        return _ConversationLock(self, conversation)

    def merge(self, conversation: str, latest: LatestEvent) -> None:
        """Note what others know of a conversation."""
        line = self._states.get(conversation) or ConversationState(self._cache.find(conversation))
        line.merge(latest)
        if not line.waiting and line.latest is not None:
            self._cache.store(conversation, line.latest)

    async def acquire(self, conversation: str) -> ConversationState:
        """Begin a turn, which is to `release`. Raises TooManyWaitingError."""
        line = self._states.get(conversation)
        if line is None:
            line = self._states[conversation] = ConversationState(self._cache.find(conversation))
        if line.waiting >= _MAX_WAITING:
            raise TooManyWaitingError
        line.waiting += 1
        if line.waiting > 1:
            try:
                await self._wait_for_lock(line)
            except BaseException:
                self._forget_if_idle(conversation, line)
                raise
        return line

    def release(self, conversation: str) -> None:
        """End a turn."""
        line = self._states[conversation]
        if line.lock is not None:
            line.lock.release()
        self._forget_if_idle(conversation, line)

    async def _wait_for_lock(self, line: ConversationState) -> None:
        """Wait behind whoever is in the line; the first who does makes the lock, and takes it for the one before."""
        if line.lock is None:
            line.lock = asyncio.Lock()
            await line.lock.acquire()  # nobody has it: this does not wait
        await line.lock.acquire()

    def _forget_if_idle(self, conversation: str, line: ConversationState) -> None:
        line.waiting -= 1
        if not line.waiting:
            del self._states[conversation]
            if line.latest is not None:
                self._cache.store(conversation, line.latest)
