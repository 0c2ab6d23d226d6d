"""Order among several machines: each conversation's turn is taken in Redis (invariants W3).

Within a process the requests about a conversation still stand in one line, so that Redis sees the first of it alone.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.endpoint.conversations import (
    ConversationLocks,
    ConversationState,
    EventOrder,
    LatestEvent,
    LockUnavailableError,
)
from reconciler.endpoint.event import Event, Timestamp, parse_timestamp
from reconciler.endpoint.messages import EndpointResponse
from reconciler.endpoint.redis.scripts import ACQUIRE, CONFIRM, RELEASE, RESTORE_EVENTS
from reconciler.endpoint.redis.state import LOCK_MILLISECONDS, RedisState, batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MEMORY_MILLISECONDS: Final = 3_600_000  # milliseconds for which a conversation is remembered after its last event
_PUBLISH_TIMEOUT: Final = 0.04
"""Seconds for Redis to note what was written by who is late already; the app keeps a bit more than that."""
_SECONDS_DIGITS: Final = 12  # digits of a moment's seconds


class _UnconfirmedWrite(NamedTuple):
    """A write that Redis may not know of, and what was known before it."""

    conversation: str
    before: LatestEvent | None
    latest: LatestEvent


class RedisLocks:
    """The turns of all machines. Like ConversationLocks."""

    def __init__(self, state: RedisState, local_locks: ConversationLocks) -> None:
        """`local_locks` are those of this process."""
        self._state, self._local_locks = state, local_locks
        self._release_tasks: set[asyncio.Task[None]] = set()
        self._pending_releases: dict[str, str] = {}
        """Turns that Redis may have given, or may still give when it reads what it was asked, and their holders."""
        self._unconfirmed_writes: dict[str, _UnconfirmedWrite] = {}
        """Of conversations: settled when they are next heard of, or when Redis is joined again."""

    @asynccontextmanager
    async def lock(self, conversation: str) -> AsyncIterator[ConversationState]:
        """Wait for the conversation's turn, here and among all. Raises LockUnavailableError.

        What was written is told to Redis before anybody hears of it: an answer that says so is true of all machines.
        """
        self._state.check_usable()
        async with self._local_locks.lock(conversation) as line:
            key, holder = self._state.key("c", conversation), self._state.new_holder()
            line.merge(await self._acquire(conversation, key, holder))
            self._unconfirmed_writes.pop(key, None)
            before = line.latest
            try:
                yield line
            finally:
                if line.latest is before:
                    self._release_later(key, holder)
            if line.latest is not before and line.latest is not None:
                doubt = self._unconfirmed_writes[key] = _UnconfirmedWrite(conversation, before, line.latest)
                line.latest = before
                async with asyncio.timeout(_PUBLISH_TIMEOUT if _is_late() else None):
                    await self._publish_write(key, holder, doubt)

    async def _acquire(self, conversation: str, key: str, holder: str) -> LatestEvent | None:
        try:
            _, *found = await self._state.acquire(ACQUIRE, key, holder, LOCK_MILLISECONDS, _MEMORY_MILLISECONDS)
        except asyncio.CancelledError:
            self._release_later(key, holder)  # too late for this request, but Redis may have given it the turn
            raise
        except LockUnavailableError:
            self._pending_releases[key] = holder
            raise
        return _unpack(conversation, *found)

    async def _publish_write(self, key: str, holder: str, doubt: _UnconfirmedWrite) -> None:
        """Give the turn back with what was written.

        Raises LockUnavailableError where it had been taken, or cannot be told. Whoever is told that nobody knows
        whether it was written is told no more than that: to send it again would do it twice.
        """
        if await self._state.publish(RELEASE, (key,), holder, _MEMORY_MILLISECONDS, *_pack(doubt.latest)):
            self._mark_confirmed(key, doubt)
            return
        await self._confirm_write(key, doubt)
        if not doubt.latest.response.is_retryable:
            raise LockUnavailableError("it was written, but could not be noted: send it again", "unrecorded", 1.0)

    async def _confirm_write(self, key: str, doubt: _UnconfirmedWrite) -> None:
        """Tell of a write by who may have lost its turn: it counts unless another machine has written since.

        Where one has, nobody knows which of the two came last: whoever sends it again has it written again.
        """
        before = _pack(doubt.before)[0] if doubt.before is not None else ""
        if await self._state.publish(CONFIRM, (key,), _MEMORY_MILLISECONDS, before, *_pack(doubt.latest)):
            self._mark_confirmed(key, doubt)
        elif self._state.is_joined:
            self._unconfirmed_writes.pop(key, None)

    def _mark_confirmed(self, key: str, doubt: _UnconfirmedWrite) -> None:
        self._local_locks.merge(doubt.conversation, doubt.latest)
        self._unconfirmed_writes.pop(key, None)

    async def publish_all(self) -> None:
        """Tell Redis of every conversation that was written from here, and settle what it may not have heard of."""
        for some in batches(self._local_locks.latest_events()):
            keys = tuple(self._state.key("c", conversation) for conversation, _, _ in some)
            said = [
                part
                for _, written, age in some
                for part in (max(_MEMORY_MILLISECONDS - int(age * 1000), 1), *_pack(written))
            ]
            await self._state.publish(RESTORE_EVENTS, keys, *said)
        for key, doubt in tuple(self._unconfirmed_writes.items()):
            await self._confirm_write(key, doubt)

    async def release_pending(self) -> None:
        """Give back what was asked for and lost before it came: a Redis that hung reads it as it goes on."""
        owed, self._pending_releases = self._pending_releases, {}
        for key, holder in owed.items():
            await self._release(key, holder)

    async def _release(self, key: str, holder: str) -> None:
        if not await self._state.publish(RELEASE, (key,), holder, _MEMORY_MILLISECONDS) and not self._state.is_joined:
            self._pending_releases[key] = holder

    def _release_later(self, key: str, holder: str) -> None:
        """Give a turn back, and wait for nothing."""
        task = asyncio.get_running_loop().create_task(self._release(key, holder))
        self._release_tasks.add(task)
        task.add_done_callback(self._release_tasks.discard)


def _is_late() -> bool:
    """Say whether the time of this request was over before: no timer ends it any more."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _pack(written: LatestEvent) -> tuple[str, str, bytes]:
    """Return a place that orders by its bytes, what was said, and the answer's body."""
    (seconds, fraction), message = written.order
    place, event, answer = f"{seconds:0{_SECONDS_DIGITS}}{fraction} {message}", written.event, written.response
    failed = [answer.status, answer.outcome] if answer.is_retryable else []
    return place, json.dumps([event.intent, event.confidence, event.timestamp_text, *failed]), answer.body


def _unpack(conversation: str, place: bytes | None, what: bytes | None, body: bytes | None) -> LatestEvent | None:
    if place is None or what is None:
        return None
    text = place.decode("ascii")
    fraction, _, message = text[_SECONDS_DIGITS:].partition(" ")
    intent, confidence, timestamp, *failed = json.loads(what)
    status, outcome = failed or (200, "written")
    event = Event(conversation, intent, confidence, timestamp, parse_timestamp(timestamp) if timestamp else None)
    answer = EndpointResponse(status, outcome, body or b"")
    return LatestEvent(EventOrder(Timestamp(int(text[:_SECONDS_DIGITS]), fraction), message), event, answer)
