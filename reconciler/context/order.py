"""One conversation at a time: whose turn it is, and what was last written (reliability.md W2, W3)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from reconciler.context.answer import brief

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from reconciler.context.answer import Answer
    from reconciler.context.event import Event
    from reconciler.context.moment import Moment

_MOST_WAITING: Final = 16
"""Requests about one conversation: whoever floods one takes no more of what all have."""


class NoTurnError(Exception):
    """A request does not get its turn. `seconds` says when to come again, `outcome` is its name in log and metrics."""

    def __init__(self, message: str, outcome: str, seconds: float) -> None:
        """Keep both beside the message."""
        self.outcome, self.seconds = outcome, seconds
        super().__init__(message)


class CrowdedError(NoTurnError):
    """Too many requests about one conversation are waiting."""

    def __init__(self) -> None:
        super().__init__("too many requests about this conversation are waiting", "crowded", 1.0)


class Place(NamedTuple):
    """Where an event stands among those of its conversation."""

    moment: Moment
    id: str = ""


class Written(NamedTuple):
    """The newest event that was written, and how it was answered."""

    place: Place
    event: Event
    answer: Answer


@dataclass(slots=True)
class Line:
    """The requests about one conversation, one behind the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    newest: Written | None = None
    touched: float = 0.0

    def repeated(self, event: Event) -> Answer | None:
        """Return the answer to the very same event, if that was the newest."""
        same = self.newest is not None and event.moment is not None and event == self.newest.event
        return self.newest.answer if self.newest is not None and same else None

    def is_stale(self, place: Place) -> bool:
        """Say whether a newer event was written already."""
        return self.newest is not None and place < self.newest.place

    def learn(self, written: Written | None) -> None:
        """Note what others know of the conversation, where that is no older than what is known here."""
        if written is not None and (self.newest is None or written.place >= self.newest.place):
            self.newest = written

    def wrote(self, place: Place, event: Event, answer: Answer) -> None:
        """Note what was written; what came without a timestamp stands behind all that came before it."""
        before = self.newest.place if self.newest is not None else place
        self.newest = Written(max(place, before), event, brief(answer))


class Turns(Protocol):
    """Lets one request of each conversation through at a time."""

    def turn(self, conversation: str) -> AbstractAsyncContextManager[Line]:
        """Wait for the conversation's line to come to this request. Raises NoTurnError."""


class _Turn:
    """One request's turn; a generator in its place would cost the endpoint a fiftieth of its time."""

    __slots__ = ("_conversation", "_lines")

    def __init__(self, lines: Lines, conversation: str) -> None:
        self._lines, self._conversation = lines, conversation

    async def __aenter__(self) -> Line:
        return await self._lines.enter(self._conversation)

    async def __aexit__(self, *_error: object) -> None:
        self._lines.leave(self._conversation)


class Lines:
    """The lines of all conversations that were heard of lately: so many at most, for so many seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 100_000, seconds: float = 3600.0) -> None:
        """`clock` is monotonic."""
        self._clock, self._most, self._seconds = clock, most, seconds
        self._lines: OrderedDict[str, Line] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lines)

    def known(self) -> list[tuple[str, Written, float]]:
        """Return the newest event of each conversation, and the seconds since anybody asked about it."""
        now = self._clock()
        return [
            (name, line.newest, now - line.touched) for name, line in self._lines.items() if line.newest is not None
        ]

    def turn(self, conversation: str) -> _Turn:
        """Wait for the conversation's line to come to this request. Raises CrowdedError."""
        return _Turn(self, conversation)

    async def enter(self, conversation: str) -> Line:
        """Begin a turn, which is to `leave`. Raises CrowdedError."""
        line = self._lines.get(conversation)
        if line is None:
            line = self._lines[conversation] = Line()
        if line.waiting >= _MOST_WAITING:
            raise CrowdedError
        line.waiting += 1
        try:
            await line.lock.acquire()
        except BaseException:
            self._left(conversation, line)
            raise
        return line

    def leave(self, conversation: str) -> None:
        """End a turn."""
        line = self._lines[conversation]
        line.lock.release()
        self._left(conversation, line)

    def _left(self, conversation: str, line: Line) -> None:
        line.waiting -= 1
        line.touched = self._clock()
        self._lines.move_to_end(conversation)
        self._forget()

    def _forget(self) -> None:
        """Let go of what nobody asked about for long, or longest; a line that somebody stands in stays."""
        old = self._clock() - self._seconds
        while self._lines:
            conversation, line = next(iter(self._lines.items()))
            if len(self._lines) <= self._most and line.touched > old:
                return
            if line.waiting:
                self._lines.move_to_end(conversation)
                return
            del self._lines[conversation]
