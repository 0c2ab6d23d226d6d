"""Between two workers of one machine: questions and their answers over a pair of sockets, many in one frame.

A frame is its length in four bytes, and a list of messages in Python's own form: both ends are forks of one process.
What is said within one turn of the loop goes out as one frame: a write to a socket costs more than all that is in it.
"""

from __future__ import annotations

import asyncio
import marshal
import math
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine

_LENGTH: Final = 4
_ANSWER: Final = ""
_FAILURE: Final = "!"
_NOBODY: Final = 0
"""The number of what needs no answer."""

Content = tuple[Any, ...]
"""Text, bytes, numbers, None, and tuples of these."""


class LostError(Exception):
    """The other worker has gone, or failed, before it answered: what it did of this is unknown."""


class Hearer(Protocol):
    """Whom a link brings what the other worker says."""

    async def hear(self, link: Link, kind: str, content: Content) -> Content:
        """Return the answer to a message of a kind; one that needs none is not sent."""

    def fail(self, bug: Exception) -> None:
        """Take note that a message could not be answered, which should never happen."""

    def lose(self, link: Link) -> None:
        """Take note that the other worker has gone."""


class Link(asyncio.Protocol):
    """One worker's end of the pair."""

    def __init__(self, other: int, hearer: Hearer) -> None:
        """`other` is the number of the worker at the other end."""
        self.other = other
        self._hearer = hearer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._going: list[tuple[int, str, Content]] = []
        self._number = _NOBODY
        self._asked: dict[int, tuple[asyncio.Future[Content], float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._at_work: set[asyncio.Task[None]] = set()
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, kind: str, content: Content, end: float) -> Content:
        """Return the answer. Raises LostError, and TimeoutError at `end` by the loop's clock."""
        self._number += 1
        future: asyncio.Future[Content] = self._loop.create_future()
        self._asked[self._number] = future, end
        self._put(self._number, kind, content)
        if end < self._due:
            self._wait_until(end)
        return await future

    def tell(self, kind: str, content: Content) -> None:
        """Say something that needs no answer."""
        self._put(_NOBODY, kind, content)

    def _put(self, number: int, kind: str, content: Content) -> None:
        if not self._going:
            self._loop.call_soon(self._flush)
        self._going.append((number, kind, content))

    def _flush(self) -> None:
        going, self._going = self._going, []
        if self._transport is None:
            self._fail()
            return
        frame = marshal.dumps(going)
        self._transport.write(len(frame).to_bytes(_LENGTH, "big") + frame)

    def data_received(self, data: bytes) -> None:
        """Read the frames that are whole."""
        came = self._came
        came += data
        while len(came) >= _LENGTH and len(came) >= (end := _LENGTH + int.from_bytes(came[:_LENGTH], "big")):
            messages = marshal.loads(came[_LENGTH:end])  # noqa: S302 - of a fork of this process, by an unnamed socket
            del came[:end]
            for number, kind, content in messages:
                self._take(number, kind, content)

    def _take(self, number: int, kind: str, content: Content) -> None:
        if kind not in (_ANSWER, _FAILURE):
            self._start(self._serve(number, kind, content))
            return
        future, _ = self._asked.pop(number, (None, 0.0))
        if future is not None and not future.done():
            if kind == _ANSWER:
                future.set_result(content)
            else:
                future.set_exception(LostError())
        self._close_if_over()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._at_work.add(task)  # a loop alone does not keep its tasks alive
        task.add_done_callback(self._at_work.discard)

    async def _serve(self, number: int, kind: str, content: Content) -> None:
        try:
            answer = await self._hearer.hear(self, kind, content)
        except Exception as bug:  # noqa: BLE001 - whatever it is, who asked must hear of it
            self._hearer.fail(bug)
            self._put(number, _FAILURE, ())
            return
        if number != _NOBODY:
            self._put(number, _ANSWER, answer)

    def _wait_until(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = self._loop.call_at(end, self._expire), end

    def _expire(self) -> None:
        """Give up what is late. One timer for all: few are ever late."""
        now = self._loop.time()
        late = [number for number, (_, end) in self._asked.items() if end <= now]
        for number in late:
            future, _ = self._asked.pop(number)
            if not future.done():
                future.set_exception(TimeoutError())
        self._timer, self._due = None, math.inf
        if self._asked:
            self._wait_until(min(end for _, end in self._asked.values()))
        self._close_if_over()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what was asked; what the other one asked here is finished all the same."""
        del exc
        self._transport = None
        self._fail()
        self._hearer.lose(self)

    def _fail(self) -> None:
        asked, self._asked = self._asked, {}
        for future, _ in asked.values():
            if not future.done():
                future.set_exception(LostError())

    def close(self) -> None:
        """End it, once all that was asked here was answered and all that was said has gone out."""
        self._closing = True
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._closing and self._transport is not None and not self._asked and not self._going:
            self._transport.close()
