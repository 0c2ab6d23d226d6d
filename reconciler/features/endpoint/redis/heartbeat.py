"""Finds out whether Redis is usable, and how many instances share the tenant's rate."""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from redis.exceptions import RedisError

from reconciler.features.endpoint.redis.connection import (
    SharedRedis,
    pending_cancellations,
)

Log = Callable[[str], object]

_SECONDS: Final = 0.5  # between two heartbeats
_LIFE_SECONDS: Final = 3  # of an instance without a heartbeat
_TIMEOUT: Final = 2.0  # seconds for all commands of a heartbeat
# Seconds by which a pause must be longer than the shared one.
_NOTICEABLE_PAUSE: Final = 0.1


class PaceControl(NamedTuple):
    """The client's rate limiter: its share of the tenant's rate, and the pause of all calls."""

    set_share: Callable[[float], object]
    pause: Callable[[float], object]
    pause_seconds: Callable[[], float]


class Heartbeat:
    """Counts this instance among those that share the rate, and shares a pause after a 429."""

    def __init__(self, redis: SharedRedis, pace: PaceControl, log: Log) -> None:
        self._redis = redis
        self._pace = pace
        self._log = log
        self._logged_state = ""
        self._instance = secrets.token_hex(8)
        self.instances = 1  # including this one

    async def run(self) -> None:
        """Send heartbeats; never ends."""
        redis = self._redis
        while True:
            redis.lost_event.clear()
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._beat()
            except Exception as error:  # noqa: BLE001 - no error may end this loop
                redis.mark_lost(type(error).__name__)
                self._log_state("away", reason=redis.reason)
                await asyncio.sleep(_SECONDS)
                continue
            if pending_cancellations():  # that redis-py ignored: see SharedRedis.call
                raise asyncio.CancelledError
            redis.is_usable = True
            self._log_state("open", instances=self.instances)
            await self._wait()

    async def leave(self) -> None:
        """Leave: the other instances get this instance's share of the rate."""
        with suppress(RedisError, OSError):  # the instance expires soon
            await self._redis.client.zrem(self._redis.key("beats"), self._instance)

    async def _wait(self) -> None:
        """Wait until the next heartbeat, or until a request noticed that Redis is unusable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await self._redis.lost_event.wait()
        if self._redis.lost_event.is_set():
            self._log_state("away", reason=self._redis.reason)

    async def _beat(self) -> None:
        client = self._redis.client
        instances = self._redis.key("beats")
        now, _ = await client.time()  # Redis' clock: those of the instances may differ

        async with client.pipeline(transaction=False) as pipeline:
            pipeline.zadd(instances, {self._instance: now})
            pipeline.zremrangebyscore(instances, "-inf", now - _LIFE_SECONDS)
            pipeline.zcard(instances)
            pipeline.expire(instances, _LIFE_SECONDS)
            pipeline.pttl(self._redis.key("hold"))
            results = await pipeline.execute()
        _, _, self.instances, _, hold_milliseconds = results

        self._pace.set_share(1 / self.instances)
        hold_seconds = max(hold_milliseconds, 0) / 1000
        await self._share_pause(hold_seconds)

    async def _share_pause(self, shared_seconds: float) -> None:
        own_seconds = self._pace.pause_seconds()
        if own_seconds > shared_seconds + _NOTICEABLE_PAUSE:
            key = self._redis.key("hold")
            milliseconds = int(own_seconds * 1000)
            await self._redis.client.set(key, b"1", px=milliseconds)
        elif shared_seconds > own_seconds:
            self._pace.pause(shared_seconds)

    def _log_state(self, state: str, **fields: float | str) -> None:
        if state != self._logged_state:
            self._logged_state = state
            line = {"event": "shared", "state": state, **fields}
            self._log(json.dumps(line))
