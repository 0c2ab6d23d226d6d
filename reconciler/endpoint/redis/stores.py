"""The stores of several instances: conversations' locks (invariants W3) and signed messages' ids (W2) are in Redis.

Within a process the requests of a conversation wait for a local lock: only the first one asks Redis.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from reconciler.endpoint.auth import CONFLICT_RESPONSE, IN_PROGRESS_RESPONSE, MESSAGE_ID_SECONDS, evict_expired
from reconciler.endpoint.conversations import (
    ConversationLocks,
    ConversationState,
    EventOrder,
    LatestEvent,
    LockUnavailableError,
)
from reconciler.endpoint.event import END_OF_TIME, Event, Timestamp, parse_timestamp
from reconciler.endpoint.messages import EndpointResponse, retry_later
from reconciler.endpoint.redis import state as scripts
from reconciler.endpoint.redis.connection import Argument
from reconciler.endpoint.redis.state import LockScripts, RedisState

_CONVERSATION: Final = LockScripts(scripts.ACQUIRE, scripts.RELEASE, lifetime=3_600_000)
_MESSAGE_ID: Final = LockScripts(scripts.CLAIM, scripts.COMPLETE, lifetime=int(MESSAGE_ID_SECONDS * 1000))
_PUBLISH_TIMEOUT: Final = 0.04  # seconds to publish the write of a late request: less than the margin in app.py
_SECONDS_DIGITS: Final = 12  # digits of a timestamp's seconds


class _UnconfirmedWrite(NamedTuple):
    """A write that Redis may not have, and the newest event before it."""

    conversation: str
    before: LatestEvent | None
    latest: LatestEvent


class RedisLocks:
    """The locks of all instances, as a LockProvider."""

    def __init__(self, state: RedisState, local_locks: ConversationLocks) -> None:
        self._state, self._local_locks = state, local_locks
        self._release_tasks: set[asyncio.Task[None]] = set()
        # By key: confirmed with the conversation's next event, or when Redis is joined again.
        self._unconfirmed_writes: dict[str, _UnconfirmedWrite] = {}

    @asynccontextmanager
    async def lock(self, conversation: str, limit: Timestamp = END_OF_TIME) -> AsyncIterator[ConversationState]:
        """Lock the conversation, here and in Redis (`LockProvider.lock`)."""
        # A write is published before its response is sent: the response then holds for all instances.
        self._state.check_usable()
        async with self._local_locks.lock(conversation, limit) as state:
            key, holder = self._state.key("c", conversation), self._state.new_holder()
            state.merge(await self._acquire(conversation, key, holder))
            state.forget_after(limit)
            self._unconfirmed_writes.pop(key, None)
            before = state.latest
            try:
                yield state
            finally:
                if state.latest is before:
                    self._release_later(key, holder)
            if state.latest is not before and state.latest is not None:
                write = self._unconfirmed_writes[key] = _UnconfirmedWrite(conversation, before, state.latest)
                state.latest = before
                task = asyncio.current_task()
                is_late = task is not None and task.cancelling() > 0  # no timer can end this request
                async with asyncio.timeout(_PUBLISH_TIMEOUT if is_late else None):
                    await self._publish_write(key, holder, write)

    async def _acquire(self, conversation: str, key: str, holder: str) -> LatestEvent | None:
        try:
            _, *fields = await self._state.acquire(_CONVERSATION, key, holder)
        except asyncio.CancelledError:
            self._release_later(key, holder)  # Redis may have given the lock, too late for this request
            raise
        return _unpack(conversation, *fields)

    async def _publish_write(self, key: str, holder: str, write: _UnconfirmedWrite) -> None:
        # Raises LockUnavailableError if the write cannot be published. An ambiguous write does not get this
        # response: a repeated event would be written twice.
        if await self._state.publish(scripts.RELEASE, (key,), holder, _CONVERSATION.lifetime, *_pack(write.latest)):
            self._mark_confirmed(key, write)
            return
        await self._confirm_write(key, write)
        if not write.latest.response.is_retryable:
            raise LockUnavailableError(
                "the event was written, but could not be recorded in Redis; send it again", "unrecorded"
            )

    async def _confirm_write(self, key: str, write: _UnconfirmedWrite) -> None:
        # A write whose lock may be lost counts unless another instance has written later: then the order of the two
        # is unknown, and a repeated event is written again.
        before = _pack(write.before)[0] if write.before is not None else ""
        if await self._state.publish(scripts.CONFIRM, (key,), _CONVERSATION.lifetime, before, *_pack(write.latest)):
            self._mark_confirmed(key, write)
        elif self._state.is_joined:
            self._unconfirmed_writes.pop(key, None)

    def _mark_confirmed(self, key: str, write: _UnconfirmedWrite) -> None:
        self._local_locks.merge(write.conversation, write.latest)
        self._unconfirmed_writes.pop(key, None)

    async def publish_all(self) -> None:
        """Publish the newest events of this process, and confirm its unconfirmed writes."""
        events = (
            (self._state.key("c", conversation), (max(_CONVERSATION.lifetime - int(age * 1000), 1), *_pack(latest)))
            for conversation, latest, age in self._local_locks.latest_events()
        )
        await self._state.publish_all(scripts.RESTORE_EVENTS, events)
        for key, write in tuple(self._unconfirmed_writes.items()):
            await self._confirm_write(key, write)

    def _release_later(self, key: str, holder: str) -> None:
        task = asyncio.get_running_loop().create_task(self._state.release(_CONVERSATION, key, holder))
        self._release_tasks.add(task)
        task.add_done_callback(self._release_tasks.discard)


def _pack(latest: LatestEvent) -> tuple[str, str, bytes]:
    """Return a position that sorts by its bytes, the event's content, and the body of the response."""
    (seconds, fraction), message = latest.order
    event, response = latest.event, latest.response
    failure = [response.status, response.outcome] if response.is_retryable else []
    content = json.dumps([event.intent, event.confidence, event.timestamp_text, *failure])
    return f"{seconds:0{_SECONDS_DIGITS}}{fraction} {message}", content, response.body


def _unpack(conversation: str, position: bytes | None, content: bytes | None, body: bytes | None) -> LatestEvent | None:
    if position is None or content is None:
        return None
    text = position.decode("ascii")
    fraction, _, message = text[_SECONDS_DIGITS:].partition(" ")
    intent, confidence, timestamp, *failure = json.loads(content)
    status, outcome = failure or (200, "written")
    event = Event(conversation, intent, confidence, timestamp, parse_timestamp(timestamp) if timestamp else None)
    response = EndpointResponse(status, outcome, body or b"")
    return LatestEvent(EventOrder(Timestamp(int(text[:_SECONDS_DIGITS]), fraction), message), event, response)


class _CompletedMessage(NamedTuple):
    digest: bytes
    packed_response: bytes
    expires_at: float


class RedisMessageIds:
    """The message ids of all instances, as a MessageIdStore."""

    def __init__(self, state: RedisState, clock: Callable[[], float], limit: int = 100_000) -> None:
        self._state, self._clock, self._limit = state, clock, limit
        self._claims: dict[str, tuple[str, bytes]] = {}
        self._completed: OrderedDict[str, _CompletedMessage] = OrderedDict()  # of this process: Redis may lose them

    async def claim(self, message_id: str, digest: bytes, deadline: float) -> EndpointResponse | None:
        """Wait for an id's response and return it, or return None if the caller must process the message."""
        key, holder = self._state.key("m", message_id), self._state.new_holder()
        try:
            async with asyncio.timeout_at(deadline):
                status, *fields = await self._state.acquire(_MESSAGE_ID, key, holder, digest)
        except LockUnavailableError as error:
            return retry_later(503, error.outcome, str(error))
        except TimeoutError:
            return IN_PROGRESS_RESPONSE
        if status == b"conflict":
            return CONFLICT_RESPONSE
        if status == b"known":
            head, _, body = fields[0].partition(b"\n")
            code, outcome = head.decode("ascii").split(" ")
            return EndpointResponse(int(code), outcome, body)
        self._claims[message_id] = holder, digest
        return None

    async def complete(self, message_id: str, response: EndpointResponse) -> None:
        """Publish the response to all instances; a retryable one frees the id."""
        holder, digest = self._claims.pop(message_id)
        arguments: list[Argument] = [holder, _MESSAGE_ID.lifetime]
        if not response.is_retryable:
            now = self._clock()
            evict_expired(self._completed, self._limit, now)
            packed = f"{response.status} {response.outcome}\n".encode() + response.body
            self._completed[message_id] = _CompletedMessage(digest, packed, now + MESSAGE_ID_SECONDS)
            arguments.append(packed)
        await self._state.publish(scripts.COMPLETE, (self._state.key("m", message_id),), *arguments)

    async def publish_all(self) -> None:
        """Publish every id that was completed here and is not expired."""
        now = self._clock()
        messages = (
            (self._state.key("m", message), (int((end - now) * 1000) + 1, digest, response))
            for message, (digest, response, end) in tuple(self._completed.items())
            if end > now
        )
        await self._state.publish_all(scripts.RESTORE_IDS, messages)
