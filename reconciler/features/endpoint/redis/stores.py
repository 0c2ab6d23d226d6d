"""The stores of several instances in Redis: locks of conversations (W3), ids of messages (W2).

Within a process the requests of a conversation wait for a local lock: the first one asks Redis.
Only the events in Redis count: after Redis lost its data, an instance that remembers more would
refuse events that are newer than the one that another instance wrote.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from reconciler.features.endpoint.auth import (
    CONFLICT_RESPONSE,
    IN_PROGRESS_RESPONSE,
    MESSAGE_ID_SECONDS,
)
from reconciler.features.endpoint.conversations import (
    ConversationLocks,
    ConversationState,
    LatestEvent,
    LockUnavailableError,
    pack,
    unpack,
)
from reconciler.features.endpoint.event import END_OF_TIME, Timestamp
from reconciler.features.endpoint.messages import EndpointResponse, retry_later
from reconciler.features.endpoint.redis.connection import SharedRedis

_LOCK_SECONDS: Final = 7  # lifetime of a lock: a request's deadline, and a reserve
_RELEASE_ATTEMPTS: Final = 14
_RELEASE_PAUSE: Final = 0.5  # seconds between two attempts
# Between two attempts to take a lock, or to read a response.
_POLL_SECONDS: Final = 0.02
_EVENT_MILLISECONDS: Final = 3_600_000  # lifetime of a conversation's newest event
# For the write of a late request: less than the margin in app.py.
_RECORD_SECONDS: Final = 0.04
_ID_MILLISECONDS: Final = int(MESSAGE_ID_SECONDS * 1000)
_DIGEST_BYTES: Final = 32
_CLAIMED: Final = b"?"  # between the digest and the token


class RedisLocks:
    """The locks of all instances, as a LockProvider."""

    def __init__(self, redis: SharedRedis, local_locks: ConversationLocks) -> None:
        self._redis = redis
        self._local_locks = local_locks

    @asynccontextmanager
    async def lock(
        self,
        conversation: str,
        limit: Timestamp = END_OF_TIME,
    ) -> AsyncIterator[ConversationState]:
        """Lock the conversation, here and in Redis (`LockProvider.lock`)."""
        self._redis.check_usable()
        key = self._redis.key("event", conversation)
        async with (
            self._local_locks.lock(conversation, limit) as state,
            self._lock_in_redis(key),
        ):
            stored = await self._redis.get(key)
            state.latest = unpack(conversation, stored) if stored else None
            state.forget_after(limit)
            before = state.latest
            try:
                yield state
            finally:
                written = state.latest
                state.latest = None
            # Recorded before the response is sent: it then holds for all instances.
            if written is not None and written is not before:
                await self._record(conversation, stored, written)

    @asynccontextmanager
    async def _lock_in_redis(self, key: str) -> AsyncIterator[None]:
        lock = self._redis.client.lock(f"{key}:lock", timeout=_LOCK_SECONDS)
        token = secrets.token_bytes(16)
        try:
            # Another process may have the lock: there is no event to wait for.
            while not await self._redis.call(lock.acquire(blocking=False, token=token)):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            yield
        finally:
            # Also after a cancellation: Redis may have given the lock.
            self._redis.in_background(_release(lock, token))

    async def _record(
        self,
        conversation: str,
        stored: bytes,
        written: LatestEvent,
    ) -> None:
        """Record a write. Raises LockUnavailableError if it is not recorded."""
        # If this instance stood still for longer than its lock, another one may have written: then
        # the order of the two is unknown, and a repeated event is written again. The response to an
        # ambiguous write stays, because it does not ask for a repeat.
        task = asyncio.current_task()
        # No timer can end a late request.
        is_late = task is not None and task.cancelling() > 0
        async with asyncio.timeout(_RECORD_SECONDS if is_late else None):
            is_recorded = await self._redis.compare_and_set(
                self._redis.key("event", conversation),
                stored,
                pack(conversation, written),
                _EVENT_MILLISECONDS,
            )
        if not is_recorded and not written.response.is_retryable:
            text = "the event was written, but could not be recorded in Redis; send it again"
            raise LockUnavailableError(text, "unrecorded")


async def _release(lock: Lock, token: bytes) -> None:
    """Release a lock, if need be after an outage, which Redis may survive with its data."""
    for _ in range(_RELEASE_ATTEMPTS):
        try:
            await lock.do_release(token)
        except LockError:  # it was not given, or it expired
            return
        except (RedisError, OSError):
            await asyncio.sleep(_RELEASE_PAUSE)
        else:
            return


class RedisMessageIds:
    """The message ids of all instances, as a MessageIdStore.

    An id's value is the digest of the body; then a random token while the message is processed, or
    a line with the response's status and outcome, and the response's body.
    """

    def __init__(self, redis: SharedRedis) -> None:
        self._redis = redis
        self._claims: dict[str, bytes] = {}

    async def claim(
        self,
        message_id: str,
        digest: bytes,
        deadline: float,
    ) -> EndpointResponse | None:
        """Return an id's response, once it exists; None: the caller must process the message."""
        key = self._redis.key("message", message_id)
        claim = digest + _CLAIMED + secrets.token_bytes(16)
        try:
            async with asyncio.timeout_at(deadline):
                stored = await self._claim_or_wait(key, claim)
        except LockUnavailableError as error:
            return retry_later(503, error.outcome, str(error))
        except TimeoutError:
            return IN_PROGRESS_RESPONSE
        if stored is None:
            self._claims[message_id] = claim
            return None
        if stored[:_DIGEST_BYTES] != digest:
            return CONFLICT_RESPONSE
        head, _, body = stored[_DIGEST_BYTES:].partition(b"\n")
        status, _, outcome = head.decode("ascii").partition(" ")
        return EndpointResponse(int(status), outcome, body)

    async def _claim_or_wait(self, key: str, claim: bytes) -> bytes | None:
        """Return the value of an id with a response or another body; None once it is claimed."""
        while True:
            self._redis.check_usable()
            setting = self._redis.client.set(
                key,
                claim,
                nx=True,
                get=True,
                px=_LOCK_SECONDS * 1000,
            )
            stored: Any = await self._redis.call(setting)
            same_message = claim[: _DIGEST_BYTES + len(_CLAIMED)]
            if stored is None or not stored.startswith(same_message):
                return cast("bytes | None", stored)
            await asyncio.sleep(_POLL_SECONDS)

    async def complete(self, message_id: str, response: EndpointResponse) -> None:
        """Publish the response to all instances; a retryable one frees the id."""
        claim = self._claims.pop(message_id)
        digest = claim[:_DIGEST_BYTES]
        head = f"{response.status} {response.outcome}\n"
        value = digest + head.encode() + response.body
        milliseconds = 0 if response.is_retryable else _ID_MILLISECONDS

        key = self._redis.key("message", message_id)
        completing = self._redis.compare_and_set(key, claim, value, milliseconds)
        await asyncio.shield(self._redis.in_background(completing))
