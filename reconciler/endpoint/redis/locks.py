"""Order among several machines: each conversation's turn is taken in Redis (invariants W3).

Within a process the requests about a conversation still stand in one line, so that Redis sees the first of it alone.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.endpoint.conversations import Line, Lines, NoTurnError, Place, Written
from reconciler.endpoint.event import Event, Moment, moment
from reconciler.endpoint.messages import Answer
from reconciler.endpoint.redis.scripts import CONFIRM, LEARN, RELEASE, TAKE
from reconciler.endpoint.redis.state import TURN, Shared, batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


_MEMORY: Final = 3_600_000
"""Milliseconds for which a conversation is remembered after its last event."""
_LAST: Final = 0.04
"""Seconds for Redis to note what was written by who is late already; the app keeps a bit more than that."""
_SECONDS: Final = 12
"""Digits of a moment's seconds."""


class _Doubt(NamedTuple):
    """A write that Redis may not know of, and what was known before it."""

    conversation: str
    before: Written | None
    written: Written


class SharedTurns:
    """The turns of all machines. Like Lines."""

    def __init__(self, shared: Shared, lines: Lines) -> None:
        """`lines` are those of this process."""
        self._shared, self._lines = shared, lines
        self._at_work: set[asyncio.Task[None]] = set()
        self._owed: dict[str, str] = {}
        """Turns that Redis may have given, or may still give when it reads what it was asked, and their holders."""
        self._doubts: dict[str, _Doubt] = {}
        """Of conversations: settled when they are next heard of, or when Redis is joined again."""

    @asynccontextmanager
    async def turn(self, conversation: str) -> AsyncIterator[Line]:
        """Wait for the conversation's turn, here and among all. Raises NoTurnError.

        What was written is told to Redis before anybody hears of it: an answer that says so is true of all machines.
        """
        self._shared.check()
        async with self._lines.turn(conversation) as line:
            key, holder = self._shared.key("c", conversation), self._shared.holder()
            line.learn(await self._taken(conversation, key, holder))
            self._doubts.pop(key, None)
            before = line.newest
            try:
                yield line
            finally:
                if line.newest is before:
                    self._later(key, holder)
            if line.newest is not before and line.newest is not None:
                doubt = self._doubts[key] = _Doubt(conversation, before, line.newest)
                line.newest = before
                async with asyncio.timeout(_LAST if _is_late() else None):
                    await self._tell(key, holder, doubt)

    async def _taken(self, conversation: str, key: str, holder: str) -> Written | None:
        try:
            _, *found = await self._shared.take(TAKE, key, holder, TURN, _MEMORY)
        except asyncio.CancelledError:
            self._later(key, holder)  # too late for this request, but Redis may have given it the turn
            raise
        except NoTurnError:
            self._owed[key] = holder
            raise
        return _written(conversation, *found)

    async def _tell(self, key: str, holder: str, doubt: _Doubt) -> None:
        """Give the turn back with what was written. Raises NoTurnError where it had been taken, or cannot be told.

        Whoever is told that nobody knows whether it was written is told no more than that: to send it again would do it
        twice.
        """
        if await self._shared.tell(RELEASE, (key,), holder, _MEMORY, *_packed(doubt.written)):
            self._settled(key, doubt)
            return
        await self._confirm(key, doubt)
        if not doubt.written.answer.is_passing:
            raise NoTurnError("it was written, but could not be noted: send it again", "unrecorded", 1.0)

    async def _confirm(self, key: str, doubt: _Doubt) -> None:
        """Tell of a write by who may have lost its turn: it counts unless another machine has written since.

        Where one has, nobody knows which of the two came last: whoever sends it again has it written again.
        """
        before = _packed(doubt.before)[0] if doubt.before is not None else ""
        if await self._shared.tell(CONFIRM, (key,), _MEMORY, before, *_packed(doubt.written)):
            self._settled(key, doubt)
        elif self._shared.is_joined:
            self._doubts.pop(key, None)

    def _settled(self, key: str, doubt: _Doubt) -> None:
        self._lines.learn(doubt.conversation, doubt.written)
        self._doubts.pop(key, None)

    async def tell_all(self) -> None:
        """Tell Redis of every conversation that was written from here, and settle what it may not have heard of."""
        for some in batches(self._lines.known()):
            keys = tuple(self._shared.key("c", conversation) for conversation, _, _ in some)
            said = [part for _, written, age in some for part in (max(_MEMORY - int(age * 1000), 1), *_packed(written))]
            await self._shared.tell(LEARN, keys, *said)
        for key, doubt in tuple(self._doubts.items()):
            await self._confirm(key, doubt)

    async def give_back(self) -> None:
        """Give back what was asked for and lost before it came: a Redis that hung reads it as it goes on."""
        owed, self._owed = self._owed, {}
        for key, holder in owed.items():
            await self._give(key, holder)

    async def _give(self, key: str, holder: str) -> None:
        if not await self._shared.tell(RELEASE, (key,), holder, _MEMORY) and not self._shared.is_joined:
            self._owed[key] = holder

    def _later(self, key: str, holder: str) -> None:
        """Give a turn back, and wait for nothing."""
        task = asyncio.get_running_loop().create_task(self._give(key, holder))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)


def _is_late() -> bool:
    """Say whether the time of this request was over before: no timer ends it any more."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _packed(written: Written) -> tuple[str, str, bytes]:
    """Return a place that orders by its bytes, what was said, and the answer's body."""
    (seconds, fraction), message = written.place
    place, event, answer = f"{seconds:0{_SECONDS}}{fraction} {message}", written.event, written.answer
    failed = [answer.status, answer.outcome] if answer.is_passing else []
    return place, json.dumps([event.intent, event.confidence, event.timestamp, *failed]), answer.body


def _written(conversation: str, place: bytes | None, what: bytes | None, body: bytes | None) -> Written | None:
    if place is None or what is None:
        return None
    text = place.decode("ascii")
    fraction, _, message = text[_SECONDS:].partition(" ")
    intent, confidence, timestamp, *failed = json.loads(what)
    status, outcome = failed or (200, "written")
    event = Event(conversation, intent, confidence, timestamp, moment(timestamp) if timestamp else None)
    answer = Answer(status, outcome, body or b"")
    return Written(Place(Moment(int(text[:_SECONDS]), fraction), message), event, answer)
