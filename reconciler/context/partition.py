"""One worker among several: whose a conversation is, and how an event comes to that one (reliability.md W2, W3).

Every conversation has one owner, and so has every signed message's id: order, repeats and replays are decided there, as
by the only process that there is. Which worker a caller's connection came to does not matter.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from reconciler.context.answer import Answer, later, refusal
from reconciler.context.event import Event
from reconciler.context.handover import Content, Link, LostError
from reconciler.context.moment import Moment
from reconciler.context.totals import summed

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.context.relay import Take
    from reconciler.context.replay import Ids

_ABSENT: Final = later(503, "worker_absent", "the worker that knows this conversation is being started again")
_GONE: Final = refusal(502, "worker_lost", "the worker that had this has gone; whether it was written is unknown")
_LATE: Final = refusal(504, "late", "no answer in time; whether it was written is unknown")
_WAY: Final = 0.05
"""Seconds for an answer of another worker to come in time."""
_SOON: Final = 1.0
"""Seconds for the metrics of another worker."""


class Partition:
    """This worker's conversations, and the way to those of the others."""

    def __init__(self, own: int, count: int, ids: Ids, log: Callable[[str], object]) -> None:
        """`own` is this worker's number, of 0 to `count` - 1; `ids` are those that it decides about."""
        self._own, self._count, self._ids, self._log = own, count, ids, log
        self._links: dict[int, Link] = {}
        self._granted: dict[Link, set[str]] = {}
        self._leaving: set[Link] = set()
        self._changed = asyncio.Event()
        self._take: Take = _nobody
        self._text: Callable[[], bytes] = bytes
        self._draining: Callable[[], bool] = bool
        self.hold: Callable[[float], object] = float
        """Is called with the seconds for which the tenant told another worker to wait."""

    def link(self, other: int) -> Link:
        """Return an end of a new pair to another worker; it takes the place of one whose other end has gone."""
        made = self._links[other] = Link(other, self)
        self._granted[made] = set()
        return made

    def over(self, take: Take) -> Take:
        """Be given who takes this worker's events; return what takes all."""
        self._take = take
        return self.take

    def tell_of(self, text: Callable[[], bytes], draining: Callable[[], bool]) -> None:
        """Be given this worker's metrics, and what says whether it is about to end."""
        self._text, self._draining = text, draining

    @property
    def whole(self) -> bool:
        """Say whether every other worker can be spoken to."""
        return len(self._links) == self._count - 1

    async def take(self, event: Event, message: str, now: datetime, end: float) -> Answer:
        """Answer an event: here, or where its conversation is known. Like Relay.take."""
        owner = self._owner(event.conversation)
        if owner == self._own:
            return await self._take(event, message, now, end)
        link = self._links.get(owner)
        if link is None:
            return _ABSENT
        try:
            return _answer(await link.ask("take", (_packed(event), message, now.timestamp(), end - _WAY), end))
        except TimeoutError:
            return _LATE
        except LostError:
            return _GONE

    async def claim(self, message: str, digest: bytes, end: float) -> Answer | None:
        """Ask the owner of an id whether to process it. Like Register.claim.

        All workers go by one clock: an owner that was held up does not let somebody process it who has given up.
        """
        owner = self._owner(message)
        if owner == self._own:
            return await self._ids.claim(message, digest, end)
        link = self._links.get(owner)
        if link is None:
            return _ABSENT
        try:
            found = await link.ask("claim", (message, digest, end - _WAY), end)
        except (TimeoutError, LostError):
            return _ABSENT
        return _answer(found) if found else None

    async def settle(self, message: str, answer: Answer) -> None:
        """Tell the owner of an id what became of it. Like Register.settle."""
        owner = self._owner(message)
        if owner == self._own:
            await self._ids.settle(message, answer)
        elif owner in self._links:
            self._links[owner].tell("settle", (message, _content(answer)))

    def tell_hold(self, seconds: float) -> None:
        """Tell the others that the tenant wants no calls for so long."""
        for link in self._links.values():
            link.tell("hold", (seconds,))

    async def total(self, text: bytes) -> bytes:
        """Return the metrics of all workers that answer soon; `text` has those of this one."""
        end = asyncio.get_running_loop().time() + _SOON
        asked = [link.ask("metrics", (), end) for link in self._links.values()]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return summed([text, *(one[0] for one in found if not isinstance(one, BaseException))])

    async def leave(self) -> None:
        """Say that nothing more will be asked from here, and work for the others until they need that no more."""
        for link in self._links.values():
            link.tell("leave", ())
        while not self._leaving.issuperset(self._links.values()):
            self._changed.clear()
            await self._changed.wait()
        for link in tuple(self._links.values()):
            link.close()

    async def hear(self, link: Link, kind: str, content: Content) -> Content:
        """Do what another worker asks."""
        match kind:
            case "take":
                packed, message, now, end = content
                return _content(await self._take(_event(packed), message, datetime.fromtimestamp(now, UTC), end))
            case "claim":
                return await self._grant(link, *content)
            case "settle":
                message, answer = content
                self._granted.get(link, set()).discard(message)
                await self._ids.settle(message, _answer(answer))
            case "metrics":
                return (self._text(),)
            case "hold":
                self.hold(*content)
            case "leave":
                self._left(link)
        return ()

    def _left(self, link: Link) -> None:
        """Another worker is about to end. Where this one is, too, it is asked to the last; else not any more."""
        self._leaving.add(link)
        self._changed.set()
        if not self._draining():
            self._forget(link)
            link.close()

    async def _grant(self, link: Link, message: str, digest: bytes, end: float) -> Content:
        known = await self._ids.claim(message, digest, end)
        if known is not None:
            return _content(known)
        if link in self._granted:
            self._granted[link].add(message)
        else:  # it has gone while this waited
            self._ids.lose(message)
        return ()

    def fail(self, bug: Exception) -> None:
        """Log what another worker asked in vain."""
        self._log(json.dumps({"event": "bug", "error": type(bug).__name__}))

    def lose(self, link: Link) -> None:
        """Forget another worker; whoever waits for what it was to process is told."""
        self._forget(link)
        self._leaving.discard(link)
        self._changed.set()
        for message in self._granted.pop(link, ()):
            self._ids.lose(message)

    def _forget(self, link: Link) -> None:
        if self._links.get(link.other) is link:
            del self._links[link.other]

    def _owner(self, name: str) -> int:
        return crc32(name.encode()) % self._count


async def _nobody(_event: Event, _message: str, _now: datetime, _end: float) -> Answer:
    """Before there is an app, nobody takes anything."""
    return _ABSENT


def _packed(event: Event) -> Content:
    moment = event.moment
    return event.conversation, event.intent, event.confidence, event.timestamp, moment and tuple(moment)


def _event(packed: Content) -> Event:
    conversation, intent, confidence, timestamp, moment = packed
    return Event(conversation, intent, confidence, timestamp, moment and Moment(*moment))


def _content(answer: Answer) -> tuple[Any, ...]:
    """Return what goes over of an answer. Its media is JSON, and whether it is the last is for who took the request."""
    return answer.status, answer.outcome, answer.body, answer.headers


def _answer(content: Content) -> Answer:
    status, outcome, body, headers = content
    return Answer(status, outcome, body, headers=headers)
