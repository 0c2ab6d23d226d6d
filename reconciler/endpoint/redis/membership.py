"""Joins Redis, also after a loss: publishes this process's state, and counts the instances that share the rate.

Redis may have lost everything in a restart, and does not know the tenant's writes. So the first instance that joins
starts a grace period: all instances publish their state, and the running writes end before the next one begins.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from reconciler.endpoint.redis.connection import RedisUnavailableError
from reconciler.endpoint.redis.state import HEARTBEAT, JOIN, SCRIPTS, RedisState
from reconciler.endpoint.redis.stores import RedisLocks, RedisMessageIds

Log = Callable[[str], object]

_GRACE_MILLISECONDS: Final = 6_000  # one second for all to reconnect, and five for running writes
_HEARTBEAT_SECONDS: Final = 0.5  # between two heartbeats, and between two attempts to join
_MEMBER_MILLISECONDS: Final = 3_000  # lifetime of an instance without a heartbeat
_JOIN_SECONDS: Final = 1.0  # until the other instances count a new one, and reduce their share of the rate


class PaceControl(NamedTuple):
    """The client's rate limiter: its share of the tenant's rate, and the pause of all calls."""

    set_share: Callable[[float], object]
    pause: Callable[[float], object]
    pause_seconds: Callable[[], float]


class ClusterMembership:
    """Keeps the shared state usable."""

    def __init__(self, state: RedisState, locks: RedisLocks, ids: RedisMessageIds, pace: PaceControl, log: Log) -> None:
        self._state, self._locks, self._ids, self._pace, self._log = state, locks, ids, pace, log
        self._logged_state = ""
        self.instances = 1  # including this one

    async def run(self) -> None:
        """Join, send heartbeats, and join again after a loss; never ends."""
        while True:
            try:
                await self._join()
                await self._heartbeat_until_lost()
            except RedisUnavailableError as error:
                self._state.mark_lost(str(error))
            except Exception as bug:  # noqa: BLE001 - no error may end this loop
                self._state.mark_lost(type(bug).__name__)
            self._log_state("away", reason=self._state.reason)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def leave(self) -> None:
        """Leave: the other instances get this instance's share of the rate."""
        try:
            await self._state.connection.call("ZREM", self._state.key("instances"), self._state.instance)
        except RedisUnavailableError:
            return  # the instance expires soon
        finally:
            await self._state.connection.close()

    async def _join(self) -> None:
        redis = self._state
        await redis.connection.open()
        redis.lost_event.clear()
        call = redis.connection.call
        run_id = re.search(rb"^run_id:([^\r\n]+)", await call("INFO", "server"), re.MULTILINE)
        if run_id is None:  # the server's id, which changes with a restart
            raise RedisUnavailableError("NoRunId")
        for script in SCRIPTS:
            await call("SCRIPT", "LOAD", script.text)
        keys = (redis.key("generation"), redis.key("settling"))
        join = JOIN.command(keys, run_id[1], secrets.token_hex(4), _GRACE_MILLISECONDS)
        redis.generation, settling = await call(*join)
        redis.is_joined = True
        await self._locks.publish_all()
        await self._ids.publish_all()
        await self._heartbeat()
        if settling:
            self._log_state("settling", seconds=round(settling / 1000, 1))
        end = asyncio.get_running_loop().time() + max(settling / 1000, _JOIN_SECONDS)
        while (remaining := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(remaining, _HEARTBEAT_SECONDS))
            await self._heartbeat()
        await redis.release_pending()
        if redis.lost_event.is_set():
            raise RedisUnavailableError(redis.reason)
        redis.is_usable = True
        self._log_state("open", instances=self.instances)

    async def _heartbeat_until_lost(self) -> None:
        while not self._state.lost_event.is_set():
            await self._heartbeat()
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await self._state.lost_event.wait()

    async def _heartbeat(self) -> None:
        redis = self._state
        keys = (redis.key("generation"), redis.key("instances"), redis.key("hold"))
        pause = int(self._pace.pause_seconds() * 1000)
        beat = HEARTBEAT.command(keys, redis.generation, redis.instance, _MEMBER_MILLISECONDS, pause)
        status, *counts = await redis.connection.call(*beat)
        if status == b"lost":
            raise RedisUnavailableError("Forgotten")
        self.instances, shared_pause = counts
        self._pace.set_share(1 / self.instances)
        if shared_pause > pause:
            self._pace.pause(shared_pause / 1000)

    def _log_state(self, state: str, **fields: float | str) -> None:
        if state != self._logged_state:
            self._logged_state = state
            self._log(json.dumps({"event": "shared", "state": state, **fields}))
