"""A gate at one request: the request waits there until it is let through or its client is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any, Final

from tests.support.loopback_server import App

_PATIENCE: Final = 30
_UNSEEN: Final = 0.3
"""Seconds in which a process receives a signal, on systems that do not show pending signals."""


class Gate:
    """The app, in which the request `at`, counted from 1 among all requests or among the writes,
    waits at the gate.
    """

    def __init__(self, app: App, at: int, *, of: str = "all") -> None:
        self.app, self.at, self.of = app, at, of
        self.reached, self._open = threading.Event(), threading.Event()
        self.seen = self.seen_at_opening = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request; hold one back."""
        self.seen += self.of == "all" or is_write(scope)
        if self.seen == self.at and not self.reached.is_set():
            self.reached.set()
            await asyncio.to_thread(self._open.wait, _PATIENCE)
        await self.app(scope, receive, send)

    def wait(self) -> None:
        """Wait until the request is at the gate."""
        assert self.reached.wait(_PATIENCE)

    def open(self) -> None:
        """Let the request through."""
        self.seen_at_opening = self.seen
        self._open.set()


def is_write(scope: Any) -> bool:
    """Return whether a request may change a rule."""
    return scope["method"] != "GET" and not scope["path"].endswith("/token")


def wait_until_heard(pid: int) -> None:
    """Wait until the process has received a signal, so that it reads any later response after
    it.
    """
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        time.sleep(_UNSEEN)
        return
    while any(
        int(line.split()[1], 16)
        for line in status.read_text().splitlines()
        if line.startswith("ShdPnd:")
    ):
        time.sleep(0.001)
