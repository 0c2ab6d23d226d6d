"""Events of conversations that are not written: a bot's test chat has no counterpart in the tenant.

From an event to its answer: in its conversation's turn, once, within the deadline.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.endpoint.conversations import Line, NoTurnError, Place, Turns
from reconciler.endpoint.event import Event, moment_of, stamp
from reconciler.endpoint.messages import Answer, later, refusal, success, written
from reconciler.endpoint.policy import Fallback, doubt
from reconciler.errors import AmbiguousWriteError, ApiError, GoneError, LaterError, TooFastError, UndefinedFieldsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from reconciler.endpoint.metrics import Metrics

    Attributes = Mapping[str, str | float | None]
    Write = Callable[[str, Attributes, float], Awaitable[Any]]
    """Writes attributes to a conversation's context within so many seconds and returns the upstream's JSON.

    Raises GoneError for an unknown conversation, TooFastError and LaterError where nothing was sent or done,
    TimeoutError, and another ApiError for whatever else fails; of these AmbiguousWriteError says that it must not be
    written again.
    """
    Take = Callable[[Event, str, datetime, float], Awaitable[Answer]]
    """Answers an event: see Relay.take."""
    Explain = Callable[[Mapping[str, Any]], Any]


_LEAST: Final = 0.05
"""Seconds that a write needs."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the tenant calls the three attributes."""

    intent: str = "cognigyDetectedIntent"
    confidence: str = "cognigyConfidence"
    updated_at: str = "routedAt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the Environment says of events: attribute names, the fallback, the intents that are known, if any are.

    `explain` returns where a conversation with such attributes goes; without it answers do not say. `skipped` are
    conversations of which nothing is written.
    """

    names: Names = Names()
    fallback: Fallback | None = None
    known: AbstractSet[str] = frozenset()
    explain: Explain | None = None
    skipped: AbstractSet[str] = frozenset()


class Relay:
    """Writes events, each conversation's in order."""

    def __init__(self, write: Write, policy: Policy, turns: Turns, metrics: Metrics, most: Callable[[], float]) -> None:
        """`most` says how many events may be under way."""
        self._write, self._policy, self._turns, self._metrics, self._most = write, policy, turns, metrics, most

    async def take(self, event: Event, message: str, now: datetime, end: float) -> Answer:
        """Answer an event; refuse at once what could not be written in time anyway.

        `message` orders events of one time; `end` is when the loop's clock says that it is late.
        """
        if self._metrics.waiting >= self._most():
            return later(503, "shed", "too many requests are waiting")
        self._metrics.waiting += 1
        try:
            async with asyncio.timeout_at(end), self._turns.turn(event.conversation) as line:
                return await self._in_turn(line, event, message, now, end)
        except (NoTurnError, TimeoutError, ApiError) as error:
            return _failed(error)
        finally:
            self._metrics.waiting -= 1

    async def _in_turn(self, line: Line, event: Event, message: str, now: datetime, end: float) -> Answer:
        place = Place(event.moment or moment_of(now), message)
        repeated = line.repeated(event)
        if repeated is not None:
            return repeated
        if event.moment is not None and line.is_stale(place):
            return success("stale", "a newer event of this conversation was written before", None, stale=True)
        attributes, doubtful = self._attributes(event, now)
        left = end - asyncio.get_running_loop().time()
        if left < _LEAST:
            raise NoTurnError("what came before it took all the time that there is", "crowded", 1.0)
        try:
            form = await self._write(event.conversation, attributes, left)
        except AmbiguousWriteError as error:  # the same event gets this answer, too: it may have been written
            answer = _failed(error)
        else:
            answer = self._written(event, doubtful, attributes, form)
        line.wrote(place, event, answer)
        return answer

    def _attributes(self, event: Event, now: datetime) -> tuple[dict[str, str | float | None], str | None]:
        """Return what to write, and why it is not what came, if it is not."""
        policy = self._policy
        reason = doubt(event, policy.fallback, policy.known)
        if reason is not None:
            self._metrics.doubts[reason] += 1
        replaced = reason if policy.fallback is not None else None
        return {
            policy.names.intent: event.intent if policy.fallback is None or not reason else policy.fallback.intent,
            policy.names.confidence: event.confidence,
            policy.names.updated_at: event.timestamp or stamp(now),
        }, replaced

    def _written(self, event: Event, doubtful: str | None, attributes: Attributes, form: Any) -> Answer:  # noqa: ANN401
        more: dict[str, Any] = {"fallback": doubtful} if doubtful else {}
        if self._policy.explain is not None:
            more["route"] = self._policy.explain({**_context(form), **attributes})
        return written(event.conversation, form, **more)


_REFUSED: Final[Mapping[type[Exception], tuple[int, str, str]]] = {
    GoneError: (404, "unknown_conversation", "unknown conversation"),
    UndefinedFieldsError: (
        502,
        "undefined_fields",
        "the tenant does not know the custom fields; the endpoint's log says how to define them",
    ),
    AmbiguousWriteError: (502, "unclear", "whether it was written is unknown; this event is not written again"),
    TimeoutError: (504, "late", "the tenant was too slow; whether it was written is unknown"),
    ApiError: (502, "upstream_failed", "the tenant failed; whether it was written is unknown"),
}
"""Status, outcome and words for each kind of failure; the first that fits counts."""


def _failed(error: NoTurnError | TimeoutError | ApiError) -> Answer:
    """Return what to say of a failure: never a word of the error's own, which may be the upstream's."""
    match error:
        case NoTurnError():
            return later(503, error.outcome, str(error), error.seconds)
        case TooFastError():
            return later(429, "rate_limited", "the tenant allows no more requests just now", error.seconds)
        case LaterError():
            return later(502, "upstream_away", "the tenant does not answer; nothing was sent", error.seconds)
    return refusal(*next(said for kind, said in _REFUSED.items() if isinstance(error, kind)))


def _context(form: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
    """Return the attributes that the conversation had before, where the upstream tells them."""
    found = form.get("attributes") if isinstance(form, dict) else None
    return found if isinstance(found, dict) else {}


def skipping(take: Take, skipped: AbstractSet[str]) -> Take:
    """Return what takes events as `take` does, but for those of some conversations: these it answers and counts."""
    if not skipped:
        return take

    async def taken(event: Event, message: str, now: datetime, end: float) -> Answer:
        if event.conversation in skipped:
            return success("skipped", "a test chat; nothing was written", None, skipped="test-chat")
        return await take(event, message, now, end)

    return taken
