"""Signed messages that come again to another machine: each id is claimed in Redis (invariants W2)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.endpoint.auth import IN_PROGRESS_RESPONSE, MESSAGE_ID_SECONDS, conflict_response
from reconciler.endpoint.conversations import LockUnavailableError
from reconciler.endpoint.messages import EndpointResponse, retry_later
from reconciler.endpoint.redis.scripts import CLAIM, COMPLETE, RESTORE_IDS
from reconciler.endpoint.redis.state import LOCK_MILLISECONDS, RedisState, batches

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY_MILLISECONDS: Final = int(MESSAGE_ID_SECONDS * 1000)


class _CompletedMessage(NamedTuple):
    digest: bytes
    packed_response: bytes
    expires_at: float


class RedisMessageIds:
    """The register of all machines. Like InMemoryMessageIds."""

    def __init__(self, state: RedisState, clock: Callable[[], float], limit: int = 100_000) -> None:
        self._state, self._clock, self._limit = state, clock, limit
        self._claims: dict[str, tuple[str, bytes]] = {}
        self._completed: OrderedDict[str, _CompletedMessage] = OrderedDict()
        """What was answered here: Redis may forget it."""
        self._pending_releases: dict[str, str] = {}  # ids that Redis may have given away to nobody, and their holders

    async def claim(self, message: str, digest: bytes, deadline: float) -> EndpointResponse | None:
        """Look an id up, and wait for whoever processes it."""
        holder = self._state.new_holder()
        try:
            async with asyncio.timeout_at(deadline):
                found = await self._state.acquire(
                    CLAIM, self._key(message), holder, LOCK_MILLISECONDS, _MEMORY_MILLISECONDS, digest
                )
        except LockUnavailableError as error:
            self._pending_releases[message] = holder
            return retry_later(503, error.outcome, str(error), error.retry_after)
        except TimeoutError:
            return IN_PROGRESS_RESPONSE
        if found[0] == b"conflict":
            return conflict_response()
        if found[0] == b"known":
            return _unpack_response(found[1])
        self._claims[message] = holder, digest
        return None

    async def complete(self, message: str, response: EndpointResponse) -> None:
        """Tell the answer to all machines, unless the id may come again."""
        holder, digest = self._claims.pop(message)
        if response.is_retryable:
            await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS)
            return
        self._evict_expired()
        packed = f"{response.status} {response.outcome}\n".encode() + response.body
        self._completed[message] = _CompletedMessage(digest, packed, self._clock() + MESSAGE_ID_SECONDS)
        await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS, packed)

    async def publish_all(self) -> None:
        """Tell Redis of every id that was answered here and is not too old."""
        now = self._clock()
        for some in batches([(name, one) for name, one in self._completed.items() if one.expires_at > now]):
            keys = tuple(self._key(message) for message, _ in some)
            said = [
                part
                for _, one in some
                for part in (int((one.expires_at - now) * 1000) + 1, one.digest, one.packed_response)
            ]
            await self._state.publish(RESTORE_IDS, keys, *said)

    async def release_pending(self) -> None:
        """Give back what was asked for and lost before it came: a Redis that hung reads it as it goes on."""
        owed, self._pending_releases = self._pending_releases, {}
        for message, holder in owed.items():
            await self._state.publish(COMPLETE, (self._key(message),), holder, _MEMORY_MILLISECONDS)

    def _key(self, message: str) -> str:
        return self._state.key("m", message)

    def _evict_expired(self) -> None:
        now = self._clock()
        while self._completed:
            message, known = next(iter(self._completed.items()))
            if len(self._completed) < self._limit and known.expires_at > now:
                return
            del self._completed[message]


def _unpack_response(packed: bytes) -> EndpointResponse:
    head, _, body = packed.partition(b"\n")
    status, outcome = head.decode("ascii").split(" ")
    return EndpointResponse(int(status), outcome, body)
