"""Signed messages that several instances receive: each id is claimed in Redis (invariants W2)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from reconciler.endpoint.auth import CONFLICT_RESPONSE, IN_PROGRESS_RESPONSE, MESSAGE_ID_SECONDS, evict_expired
from reconciler.endpoint.conversations import LockUnavailableError
from reconciler.endpoint.messages import EndpointResponse, retry_later
from reconciler.endpoint.redis.scripts import CLAIM, COMPLETE, RESTORE_IDS
from reconciler.endpoint.redis.state import LOCK_MILLISECONDS, RedisState, batches

_MEMORY_MILLISECONDS: Final = int(MESSAGE_ID_SECONDS * 1000)


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
        self._pending_releases: dict[str, str] = {}  # holders of ids whose claim Redis did not confirm

    async def claim(self, message: str, digest: bytes, deadline: float) -> EndpointResponse | None:
        """Return an id's response, waiting for it, or None if the caller must process it."""
        holder = self._state.new_holder()
        try:
            async with asyncio.timeout_at(deadline):
                status, *answer = await self._state.acquire(
                    CLAIM, self._key(message), holder, LOCK_MILLISECONDS, _MEMORY_MILLISECONDS, digest
                )
        except LockUnavailableError as error:
            self._pending_releases[message] = holder
            return retry_later(503, error.outcome, str(error), error.retry_after)
        except TimeoutError:
            return IN_PROGRESS_RESPONSE
        if status == b"conflict":
            return CONFLICT_RESPONSE
        if status == b"known":
            return _unpack_response(answer[0])
        self._claims[message] = holder, digest
        return None

    async def complete(self, message: str, response: EndpointResponse) -> None:
        """Publish the response to all instances; a retryable one frees the id."""
        holder, digest = self._claims.pop(message)
        if response.is_retryable:
            await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS)
            return
        now = self._clock()
        evict_expired(self._completed, self._limit, now)
        packed = f"{response.status} {response.outcome}\n".encode() + response.body
        self._completed[message] = _CompletedMessage(digest, packed, now + MESSAGE_ID_SECONDS)
        await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS, packed)

    async def publish_all(self) -> None:
        """Publish every id that was completed here and is not expired."""
        now = self._clock()
        for batch in batches([item for item in self._completed.items() if item[1].expires_at > now]):
            keys = tuple(self._key(message) for message, _ in batch)
            arguments = [
                part
                for _, record in batch
                for part in (int((record.expires_at - now) * 1000) + 1, record.digest, record.packed_response)
            ]
            await self._state.publish(RESTORE_IDS, keys, *arguments)

    async def release_pending(self) -> None:
        """Release the unconfirmed claims: a Redis that hung may still execute them."""
        pending, self._pending_releases = self._pending_releases, {}
        for message, holder in pending.items():
            await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS)

    def _key(self, message: str) -> str:
        return self._state.key("m", message)


def _unpack_response(packed: bytes) -> EndpointResponse:
    head, _, body = packed.partition(b"\n")
    status, outcome = head.decode("ascii").split(" ")
    return EndpointResponse(int(status), outcome, body)
