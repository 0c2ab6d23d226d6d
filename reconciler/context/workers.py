"""Several processes that serve one port: a parent that only watches, and workers that it starts again when they die.

The parent runs no loop and no thread, so that it can fork at any time. All that passes between it and a worker goes
over one pair of sockets: that the worker is ready, the ends of new pairs to other workers, and, by closing, that one of
the two has gone or is to go.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY: Final = b"r"
_GRACE: Final = 25.0
"""Seconds for what was accepted before a signal: a worker gives it ten, and as long again for what others gave it."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_LONG: Final = 30.0
"""Seconds after which a worker counts as one that works."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is given: its number, where it listens, the way to its parent, and to the workers before it."""

    number: int
    count: int
    listener: socket.socket
    parent: socket.socket
    others: dict[int, socket.socket] = field(default_factory=dict)


@dataclass(slots=True)
class _Child:
    """A worker, as its parent sees it."""

    number: int
    pid: int
    line: socket.socket
    began: float
    ready: bool = False


class Parent:
    """Starts workers, one for each socket that listens, and starts them again."""

    def __init__(
        self, listeners: Sequence[socket.socket], announce: Callable[[], object], log: Callable[[str], object]
    ) -> None:
        """`announce` is called once all workers are ready; `log` is given a line of JSON for each that died."""
        self._listeners, self._announce, self._log = listeners, announce, log
        self._children: dict[int, _Child] = {}
        self._due = dict.fromkeys(range(len(listeners)), 0.0)
        """Which workers are not there, and when to start them."""
        self._pauses = dict.fromkeys(range(len(listeners)), _FIRST_PAUSE)
        self._woken, self._waking = socket.socketpair()
        self._ending = self._works = self._announced = False
        self.code = 0
        """How it ended: with the exit code of the first worker, where that could not begin (it said why)."""

    def watch(self) -> Worker | None:
        """Return in every worker with what it is given; in the parent with None, when all is over."""
        gc.collect()
        gc.freeze()  # what was imported and read stays shared between the processes
        self._waking.settimeout(0)
        before = {one: signal.signal(one, self._end) for one in (signal.SIGINT, signal.SIGTERM)}
        signal.set_wakeup_fd(self._waking.fileno())
        try:
            while not self._ending:
                worker = self._start()
                if worker is not None:
                    return worker
                self._look(self._pause())
            self._finish()
        finally:
            signal.set_wakeup_fd(-1)
            for one, handler in before.items():
                signal.signal(one, handler)
            for mine in (self._woken, self._waking):
                mine.close()
        return None

    def _end(self, _signal: int, _frame: object) -> None:
        self._ending = True

    def _start(self) -> Worker | None:
        """Start who is due; until one has begun to work no other, for it would fail alike."""
        now = time.monotonic()
        for number in [number for number, at in self._due.items() if at <= now]:
            if not self._works and self._children:
                return None
            try:
                worker = self._fork(number)
            except OSError as error:  # too many processes or files, for now
                if not self._works:
                    raise
                self._put_off(number, 0.0, failed=error.strerror or type(error).__name__)
                return None
            if worker is not None:
                return worker
        return None

    def _fork(self, number: int) -> Worker | None:
        """Start one worker and introduce it to the others: here None, there what it is given."""
        ours, theirs = socket.socketpair()
        pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        try:
            for other in self._children:
                pairs[other] = socket.socketpair()
            pid = os.fork()
        except OSError:
            for one in (ours, theirs, *(end for pair in pairs.values() for end in pair)):
                one.close()
            raise
        if pid == 0:
            self._let_go(number, ours, *(far for _, far in pairs.values()))
            near = {other: pair[0] for other, pair in pairs.items()}
            return Worker(number, len(self._listeners), self._listeners[number], theirs, near)
        theirs.close()
        for other, pair in pairs.items():
            with pair[0], pair[1], contextlib.suppress(OSError):  # it has just died: its successor will meet this one
                socket.send_fds(self._children[other].line, [bytes([number])], [pair[1].fileno()])
        del self._due[number]
        self._children[number] = _Child(number, pid, ours, time.monotonic())
        return None

    def _let_go(self, number: int, *parents: socket.socket) -> None:
        """Close in a worker what is its parent's: the end of one is to be seen by the other."""
        mine = self._listeners[number]
        others = (listener for listener in self._listeners if listener is not mine)
        for one in (*parents, *others, *(child.line for child in self._children.values())):
            one.close()

    def _pause(self) -> float | None:
        """Return for how many seconds nothing is to be done but to look."""
        if not self._works and self._children:
            return None
        return max(min(self._due.values()) - time.monotonic(), 0.0) if self._due else None

    def _look(self, seconds: float | None) -> None:
        """Wait for a signal, or for news of a worker."""
        lines = {child.line: child for child in self._children.values()}
        heard, _, _ = select.select([self._woken, *lines], [], [], seconds)
        for one in heard:
            said = _said(one)
            if one not in lines:
                continue
            if said:
                self._is_ready(lines[one])
            else:
                self._died(lines[one])

    def _is_ready(self, child: _Child) -> None:
        child.ready = self._works = True
        if not self._announced and not self._due and all(one.ready for one in self._children.values()):
            self._announced = True
            self._announce()

    def _died(self, child: _Child) -> None:
        """Take leave of a worker, and say when it is to be started again."""
        child.line.close()
        del self._children[child.number]
        code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        if self._ending:
            return
        if not self._works:
            self._ending, self.code = True, code if code > 0 else 1
            return
        self._put_off(child.number, time.monotonic() - child.began, ended=code)

    def _put_off(self, number: int, lived: float, **why: int | str) -> None:
        """Start a worker later, and say so: soon after one that lived for long, else later each time."""
        pause = _FIRST_PAUSE if lived > _LONG else self._pauses[number]
        self._pauses[number] = min(2 * pause, _LONGEST_PAUSE)
        self._due[number] = time.monotonic() + pause
        self._log(json.dumps({"event": "worker", "number": number, **why, "again_in": round(pause, 1)}))

    def _finish(self) -> None:
        """Let all workers finish what was accepted; kill who takes too long."""
        for listener in self._listeners:
            listener.close()
        for child in self._children.values():
            with contextlib.suppress(OSError):
                child.line.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _GRACE
        while self._children and (left := end - time.monotonic()) > 0:
            self._look(left)
        for child in tuple(self._children.values()):
            os.kill(child.pid, signal.SIGKILL)
            self._died(child)


def _said(line: socket.socket) -> bytes:
    """Return what came; nothing of who has gone, also where that one left something unread."""
    try:
        return line.recv(64)
    except ConnectionResetError:
        return b""
