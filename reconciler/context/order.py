"""One conversation at a time: whose turn it is, and what was last written (invariants W2, W3)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.context.answer import brief
from reconciler.context.remembered import Remembered, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from reconciler.context.answer import Answer
    from reconciler.context.event import Event
    from reconciler.context.remembered import Place

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


@dataclass(slots=True)
class Line:
    """The requests about one conversation, one behind the other."""

    newest: Written | None
    waiting: int = 0
    """Requests that are in it: the one whose turn it is, and those behind."""
    lock: asyncio.Lock | None = None
    """What those behind wait for; there is none while nobody does."""

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
    """The lines of all conversations, and what is remembered of those that nobody asks about just now."""

    def __init__(self, clock: Callable[[], float], most: int = 100_000, seconds: float = 3600.0) -> None:
        """`clock` is monotonic. `most` conversations are remembered, each for `seconds` at the least."""
        self._lines: dict[str, Line] = {}
        self._remembered = Remembered(clock, most, seconds)

    def __len__(self) -> int:
        return len(self._remembered)

    def known(self) -> Iterator[tuple[str, Written, float]]:
        """Return the newest event of each conversation, and the seconds since anybody asked about it, or fewer.

        What a line is about that somebody stands in is kept only when the last one leaves; it may come twice here.
        """
        for conversation, line in tuple(self._lines.items()):
            if line.newest is not None:
                yield conversation, line.newest, 0.0
        yield from self._remembered.known()

    def turn(self, conversation: str) -> _Turn:
        """Wait for the conversation's line to come to this request. Raises CrowdedError."""
        return _Turn(self, conversation)

    def learn(self, conversation: str, written: Written) -> None:
        """Note what others know of a conversation."""
        line = self._lines.get(conversation) or Line(self._remembered.find(conversation))
        line.learn(written)
        if not line.waiting and line.newest is not None:
            self._remembered.keep(conversation, line.newest)

    async def enter(self, conversation: str) -> Line:
        """Begin a turn, which is to `leave`. Raises CrowdedError."""
        line = self._lines.get(conversation)
        if line is None:
            line = self._lines[conversation] = Line(self._remembered.find(conversation))
        if line.waiting >= _MOST_WAITING:
            raise CrowdedError
        line.waiting += 1
        if line.waiting > 1:
            try:
                await self._behind(line)
            except BaseException:
                self._left(conversation, line)
                raise
        return line

    def leave(self, conversation: str) -> None:
        """End a turn."""
        line = self._lines[conversation]
        if line.lock is not None:
            line.lock.release()
        self._left(conversation, line)

    async def _behind(self, line: Line) -> None:
        """Wait behind whoever is in the line; the first who does makes the lock, and takes it for the one before."""
        if line.lock is None:
            line.lock = asyncio.Lock()
            await line.lock.acquire()  # nobody has it: this does not wait
        await line.lock.acquire()

    def _left(self, conversation: str, line: Line) -> None:
        line.waiting -= 1
        if not line.waiting:
            del self._lines[conversation]
            if line.newest is not None:
                self._remembered.keep(conversation, line.newest)
