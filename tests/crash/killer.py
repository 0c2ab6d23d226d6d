"""SIGKILL at one request: just before the server does it, or when it is done and nobody has heard of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any, Final, Literal

from tests.support.loopback_server import App

Side = Literal["before", "after"]
SIDES: Final[tuple[Side, ...]] = ("before", "after")


class Killer:
    """The app, but for one request (counted from 1) at which the process `victim` is killed; it is never answered.

    `before`: the request is not done, as if the process had died just before it sent it. `after`: done, not answered.
    """

    def __init__(self, app: App, at: int, side: Side) -> None:
        self.app, self.at, self.side = app, at, side
        self.victim: int | None = None
        self.seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or kill who asks."""
        self.seen += 1
        if self.seen != self.at:
            await self.app(scope, receive, send)
            return
        if self.side == "after":
            await self.app(scope, receive, _unheard)
        self.kill()
        while (await receive())["type"] != "http.disconnect":
            pass

    def kill(self) -> None:
        """Kill the victim."""
        assert self.victim is not None
        os.kill(self.victim, signal.SIGKILL)


class RequestTimes:
    """The app, and when its first and its last request came; `started` is set by the first."""

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
