"""Joins Redis, and joins it again: tells it what this process knows, and hears how many share the tenant's rate.

A Redis that was away may have forgotten everything, and what is written at the tenant it cannot know. So whoever joins
first lets all settle for a while: each machine tells what it knows, and every write that was under way has ended before
the next one begins.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.endpoint.redis.connection import RedisUnavailableError
from reconciler.endpoint.redis.scripts import HEARTBEAT, JOIN, SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.endpoint.redis.locks import RedisLocks
    from reconciler.endpoint.redis.message_ids import RedisMessageIds
    from reconciler.endpoint.redis.state import RedisState

_GRACE_MILLISECONDS: Final = 6_000
"""Milliseconds: a second for all to find Redis again, and five for writes that were under way."""
_HEARTBEAT_SECONDS: Final = 0.5  # seconds between two beats, and between two attempts to join
_MEMBER_MILLISECONDS: Final = 3_000  # milliseconds after which who was not heard of counts no more
_JOIN_SECONDS: Final = 1.0  # seconds in which all others hear of one more, and take less of the rate


class PaceControl(NamedTuple):
    """The tenant's pace, as the client has it: what part of the rate to take, and for how long it holds all calls."""

    set_share: Callable[[float], object]
    pause: Callable[[float], object]
    pause_seconds: Callable[[], float]


class ClusterMembership:
    """Keeps what is shared usable."""

    def __init__(
        self,
        state: RedisState,
        locks: RedisLocks,
        ids: RedisMessageIds,
        pace: PaceControl,
        log: Callable[[str], object],
    ) -> None:
        self._state, self._locks, self._ids, self._pace, self._log = state, locks, ids, pace, log
        self._logged_state = ""
        self.instances = 1  # processes that are at work, this one too

    async def run(self) -> None:
        """Join, beat, and join again, for as long as the process lives."""
        while True:
            try:
                await self._join()
                await self._heartbeat_until_lost()
            except RedisUnavailableError as error:
                self._state.mark_lost(str(error))
            except Exception as bug:  # noqa: BLE001 - whatever it is, it must not end the only way back
                self._state.mark_lost(type(bug).__name__)
            self._log_state("away", reason=self._state.reason)
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    async def leave(self) -> None:
        """Take part no more: the others may have this one's part of the rate."""
        try:
            await self._state.connection.call("ZREM", self._state.key("instances"), self._state.instance)
        except RedisUnavailableError:
            return  # it is forgotten in a moment
        finally:
            await self._state.connection.close()

    async def _join(self) -> None:
        shared = self._state
        await shared.connection.open()
        shared.lost_event.clear()
        call = shared.connection.call
        information = await call("INFO", "server")
        for script in SCRIPTS:
            await call("SCRIPT", "LOAD", script.text)
        keys = (shared.key("generation"), shared.key("settling"))
        shared.generation, settling = await call(
            *JOIN.command(keys, _run_id(information), secrets.token_hex(4), _GRACE_MILLISECONDS)
        )
        shared.is_joined = True
        await self._locks.publish_all()
        await self._ids.publish_all()
        await self._heartbeat()
        if settling:
            self._log_state("settling", seconds=round(settling / 1000, 1))
        await self._heartbeat_for(max(settling / 1000, _JOIN_SECONDS))
        await self._locks.release_pending()
        await self._ids.release_pending()
        if shared.lost_event.is_set():
            raise RedisUnavailableError(shared.reason)
        shared.is_usable = True
        self._log_state("open", instances=self.instances)

    async def _heartbeat_for(self, seconds: float) -> None:
        """Beat for so long. Raises RedisUnavailableError."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _HEARTBEAT_SECONDS))
            await self._heartbeat()

    async def _heartbeat_until_lost(self) -> None:
        """Beat until Redis is lost. Raises RedisUnavailableError."""
        while not self._state.lost_event.is_set():
            await self._heartbeat()
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await self._state.lost_event.wait()
            except TimeoutError:
                continue

    async def _heartbeat(self) -> None:
        shared = self._state
        keys = (shared.key("generation"), shared.key("instances"), shared.key("hold"))
        held = int(self._pace.pause_seconds() * 1000)
        found = await shared.connection.call(
            *HEARTBEAT.command(keys, shared.generation, shared.instance, _MEMBER_MILLISECONDS, held)
        )
        if found[0] == b"lost":
            raise RedisUnavailableError("Forgotten")
        self.instances = found[1]
        self._pace.set_share(1 / self.instances)
        if found[2] > held:
            self._pace.pause(found[2] / 1000)

    def _log_state(self, state: str, **more: float | str) -> None:
        """Log a state once."""
        if state != self._logged_state:
            self._logged_state = state
            self._log(json.dumps({"event": "shared", "state": state, **more}))


def _run_id(information: bytes) -> str:
    """Return the name that a server has until it ends. Raises RedisUnavailableError."""
    for line in information.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "run_id" and value:
            return value
    raise RedisUnavailableError("NoRunId")
