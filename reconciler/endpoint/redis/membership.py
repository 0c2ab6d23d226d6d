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

from reconciler.endpoint.redis.connection import BrokenError
from reconciler.endpoint.redis.scripts import BEAT, JOIN, SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.endpoint.redis.locks import SharedTurns
    from reconciler.endpoint.redis.message_ids import SharedIds
    from reconciler.endpoint.redis.state import Shared


_SETTLING: Final = 6_000
"""Milliseconds: a second for all to find Redis again, and five for writes that were under way."""
_EVERY: Final = 0.5
"""Seconds between two beats, and between two attempts to join."""
_LIFE: Final = 3_000
"""Milliseconds after which who was not heard of counts no more."""
_INTRODUCED: Final = 1.0
"""Seconds in which all others hear of one more, and take less of the rate."""


class Pace(NamedTuple):
    """The tenant's pace, as the client has it: what part of the rate to take, and for how long it holds all calls."""

    part: Callable[[float], object]
    hold: Callable[[float], object]
    held: Callable[[], float]


class Keeper:
    """Keeps what is shared usable."""

    def __init__(
        self, shared: Shared, turns: SharedTurns, ids: SharedIds, pace: Pace, log: Callable[[str], object]
    ) -> None:
        self._shared, self._turns, self._ids, self._pace, self._log = shared, turns, ids, pace, log
        self._said = ""
        self.instances = 1
        """Processes that are at work, this one too."""

    async def keep(self) -> None:
        """Join, beat, and join again, for as long as the process lives."""
        while True:
            try:
                await self._join()
                await self._beat_on()
            except BrokenError as error:
                self._shared.lose(str(error))
            except Exception as bug:  # noqa: BLE001 - whatever it is, it must not end the only way back
                self._shared.lose(type(bug).__name__)
            self._say("away", reason=self._shared.reason)
            await asyncio.sleep(_EVERY)

    async def leave(self) -> None:
        """Take part no more: the others may have this one's part of the rate."""
        try:
            await self._shared.line.call("ZREM", self._shared.key("instances"), self._shared.name)
        except BrokenError:
            return  # it is forgotten in a moment
        finally:
            await self._shared.line.close()

    async def _join(self) -> None:
        shared = self._shared
        await shared.line.open()
        shared.lost.clear()
        call = shared.line.call
        information = await call("INFO", "server")
        for script in SCRIPTS:
            await call("SCRIPT", "LOAD", script.text)
        keys = (shared.key("generation"), shared.key("settling"))
        shared.generation, settling = await call(
            *JOIN.command(keys, _run_id(information), secrets.token_hex(4), _SETTLING)
        )
        shared.is_joined = True
        await self._turns.tell_all()
        await self._ids.tell_all()
        await self._beat()
        if settling:
            self._say("settling", seconds=round(settling / 1000, 1))
        await self._wait(max(settling / 1000, _INTRODUCED))
        await self._turns.give_back()
        await self._ids.give_back()
        if shared.lost.is_set():
            raise BrokenError(shared.reason)
        shared.is_open = True
        self._say("open", instances=self.instances)

    async def _wait(self, seconds: float) -> None:
        """Beat for so long. Raises BrokenError."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _EVERY))
            await self._beat()

    async def _beat_on(self) -> None:
        """Beat until Redis is lost. Raises BrokenError."""
        while not self._shared.lost.is_set():
            await self._beat()
            try:
                async with asyncio.timeout(_EVERY):
                    await self._shared.lost.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        shared = self._shared
        keys = (shared.key("generation"), shared.key("instances"), shared.key("hold"))
        held = int(self._pace.held() * 1000)
        found = await shared.line.call(*BEAT.command(keys, shared.generation, shared.name, _LIFE, held))
        if found[0] == b"lost":
            raise BrokenError("Forgotten")
        self.instances = found[1]
        self._pace.part(1 / self.instances)
        if found[2] > held:
            self._pace.hold(found[2] / 1000)

    def _say(self, state: str, **more: float | str) -> None:
        """Log a state once."""
        if state != self._said:
            self._said = state
            self._log(json.dumps({"event": "shared", "state": state, **more}))


def _run_id(information: bytes) -> str:
    """Return the name that a server has until it ends. Raises BrokenError."""
    for line in information.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == "run_id" and value:
            return value
    raise BrokenError("NoRunId")
