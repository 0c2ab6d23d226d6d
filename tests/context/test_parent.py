"""The parent of workers, where the system has no more for it."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.context.workers import Parent, _Child

if TYPE_CHECKING:
    import pytest


def test_a_worker_that_cannot_be_started_again_now_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process or file more may be had for a while: that ends nobody who works, and leaves nothing open."""
    log: list[str] = []

    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with socket.socket() as one, socket.socket() as other, socket.socket() as line:
        parent = Parent([one, other], lambda: None, log.append)
        parent._children[0], parent._works = _Child(0, 0, line, 0.0), True
        del parent._due[0]
        files = len(list(Path("/proc/self/fd").iterdir()))
        monkeypatch.setattr(os, "fork", fork)
        assert (None, None) == (parent._start(), parent._start())
        assert files == len(list(Path("/proc/self/fd").iterdir()))
        assert time.monotonic() < parent._due[1] < time.monotonic() + 1
        for mine in (parent._woken, parent._waking):
            mine.close()
    (said,) = map(json.loads, log)
    assert {"event": "worker", "number": 1, "failed": "Resource temporarily unavailable", "again_in": 0.1} == said
