"""SIGKILL at one request: just before the server carries it out, or after it and before the
response.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any, Final, Literal

from tests.support.loopback_server import App

Side = Literal["before", "after"]
SIDES: Final[tuple[Side, ...]] = ("before", "after")
_MOMENT: Final = 0.001  # seconds


class Killer:
    """The app; at one request, counted from 1, the process `victim` is killed, and the request is
    never answered.
    """

    # `before`: the request is not carried out, as if the process died before sending it. `after`:
    # it is carried out.

    def __init__(self, app: App, at: int, side: Side) -> None:
        self.app, self.at, self.side = app, at, side
        self.victim: int | None = None
        self.seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or kill its client."""
        self.seen += 1
        if self.seen != self.at:
            await self.app(scope, receive, send)
            return
        if self.side == "after":
            await self.app(scope, receive, _unheard)
        # A process may send its first request before the test knows its number.
        while self.victim is None:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(_MOMENT)
        os.kill(self.victim, signal.SIGKILL)
        while (await receive())["type"] != "http.disconnect":
            pass


class RequestTimes:
    """The app, and the times of its first and its last request; `started` is set by the first."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.started = threading.Event()
        self.first = self.last = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.started.set()
        await self.app(scope, receive, send)


async def _unheard(_message: Any) -> None:
    pass
