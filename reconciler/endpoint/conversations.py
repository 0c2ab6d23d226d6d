"""One conversation at a time: whose turn it is, and what was last written (invariants W2, W3).

What is remembered of conversations: the newest event of each, and its answer, for an hour or two and in little room.

A hundred thousand of them as objects would take 110 MB, and the garbage collector would look at each again and again;
one piece of bytes each, and most of an answer made anew, takes a third of that (benchmarks/README.md, "endpoint").
"""

from __future__ import annotations

import asyncio
import marshal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from reconciler.endpoint.event import Event, Moment, moment
from reconciler.endpoint.messages import Answer, beginning, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager


class Place(NamedTuple):
    """Where an event stands among those of its conversation."""

    moment: Moment
    id: str = ""


class Written(NamedTuple):
    """The newest event that was written, and how it was answered."""

    place: Place
    event: Event
    answer: Answer


class Remembered:
    """The conversations that were heard of lately, in two generations: a young one that is full or old becomes the old.

    So each is remembered for `seconds` at the least, unless half of `most` others were heard of since.
    """

    def __init__(self, clock: Callable[[], float], most: int, seconds: float) -> None:
        """`clock` is monotonic."""
        self._clock, self._half, self._seconds = clock, max(most // 2, 1), seconds
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._since = clock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, conversation: str) -> Written | None:
        """Return the newest event of a conversation, if it is known."""
        packed = self._young.get(conversation) or self._old.get(conversation)
        return _written(conversation, packed) if packed is not None else None

    def keep(self, conversation: str, written: Written) -> None:
        """Keep the newest event of a conversation that was heard of just now."""
        age = self._clock() - self._since
        if age >= self._seconds or len(self._young) >= self._half:
            self._old = self._young if age < 2 * self._seconds else {}
            self._young = {}
            self._since += age
        self._old.pop(conversation, None)
        self._young[conversation] = _packed(conversation, written)

    def known(self) -> Iterator[tuple[str, Written, float]]:
        """Return the newest event of each, and the seconds since it was heard of, or fewer.

        Others may be kept meanwhile.
        """
        for generation, age in ((self._young, 0.0), (self._old, self._clock() - self._since)):
            for conversation in tuple(generation):
                written = self.find(conversation)
                if written is not None:
                    yield conversation, written, age


def _packed(conversation: str, written: Written) -> bytes:
    (point, message), event, answer = written
    begin = beginning(conversation)
    is_usual = answer.body.startswith(begin)
    body = answer.body[len(begin) :] if is_usual else answer.body
    moment_apart = None if point == event.moment else (point.seconds, point.fraction)
    said = (event.intent, event.confidence, event.timestamp)
    return marshal.dumps((moment_apart, message, said, (answer.status, answer.outcome, is_usual, body)))


def _written(conversation: str, packed: bytes) -> Written:
    moment_apart, message, (intent, confidence, timestamp), answer = marshal.loads(packed)  # noqa: S302 - packed above
    status, outcome, is_usual, body = answer
    own = moment(timestamp) if timestamp is not None else None
    point = own if moment_apart is None else Moment(*moment_apart)
    if point is None:
        raise AssertionError("an event without a time of its own was kept without the one that it was given")
    whole = beginning(conversation) + body if is_usual else body
    event = Event(conversation, intent, confidence, timestamp, own)
    return Written(Place(point, message), event, Answer(status, outcome, whole))


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
