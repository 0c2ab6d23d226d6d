"""Events of conversations that are not written: a bot's test chat has no counterpart in the tenant.

From an event to its answer: in its conversation's turn, once, within the deadline.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.endpoint.conversations import ConversationState, EventOrder, LockProvider, LockUnavailableError
from reconciler.endpoint.event import Event, format_timestamp, timestamp_from_datetime
from reconciler.endpoint.messages import (
    EndpointResponse,
    error_response,
    retry_later,
    success_response,
    written_response,
)
from reconciler.endpoint.policy import FallbackPolicy, fallback_reason
from reconciler.errors import (
    AmbiguousWriteError,
    ApiError,
    RateLimitedError,
    RetryLaterError,
    RuleNotFoundError,
    UndefinedFieldsError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from reconciler.endpoint.metrics import Metrics

    Attributes = Mapping[str, str | float | None]
    WriteAttributes = Callable[[str, Attributes, float], Awaitable[Any]]
    """Writes attributes to a conversation's context within so many seconds and returns the upstream's JSON.

    Raises GoneError for an unknown conversation, TooFastError and LaterError where nothing was sent or done,
    TimeoutError, and another ApiError for whatever else fails; of these AmbiguousWriteError says that it must not be
    written again.
    """
    HandleEvent = Callable[[Event, str, datetime, float], Awaitable[EndpointResponse]]
    """Answers an event: see Relay.take."""
    ExplainRoute = Callable[[Mapping[str, Any]], Any]

_MIN_WRITE_SECONDS: Final = 0.05  # seconds that a write needs


@dataclass(frozen=True, slots=True)
class AttributeNames:
    """What the tenant calls the three attributes."""

    intent: str = "cognigyDetectedIntent"
    confidence: str = "cognigyConfidence"
    updated_at: str = "routedAt"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPolicy:
    """What the Environment says of events: attribute names, the fallback, the intents that are known, if any are.

    `explain` returns where a conversation with such attributes goes; without it answers do not say.
    `ignored_conversations` are conversations of which nothing is written.
    """

    names: AttributeNames = AttributeNames()
    fallback: FallbackPolicy | None = None
    known_intents: AbstractSet[str] = frozenset()
    explain: ExplainRoute | None = None
    ignored_conversations: AbstractSet[str] = frozenset()


class EventHandler:
    """Writes events, each conversation's in order."""

    def __init__(
        self,
        write: WriteAttributes,
        policy: EventPolicy,
        locks: LockProvider,
        metrics: Metrics,
        waiting_limit: Callable[[], float],
    ) -> None:
        """`waiting_limit` says how many events may be under way."""
        self._write, self._policy, self._locks, self._metrics, self._waiting_limit = (
            write,
            policy,
            locks,
            metrics,
            waiting_limit,
        )

    async def handle(self, event: Event, message_id: str, now: datetime, deadline: float) -> EndpointResponse:
        """Answer an event; refuse at once what could not be written in time anyway.

        `message_id` orders events of one time; `deadline` is when the loop's clock says that it is late.
        """
        if self._metrics.waiting_requests >= self._waiting_limit():
            return retry_later(503, "shed", "too many requests are waiting")
        self._metrics.waiting_requests += 1
        try:
            async with asyncio.timeout_at(deadline), self._locks.lock(event.conversation) as line:
                return await self._handle_locked(line, event, message_id, now, deadline)
        except (LockUnavailableError, TimeoutError, ApiError) as error:
            return _failure_response(error)
        finally:
            self._metrics.waiting_requests -= 1

    async def _handle_locked(
        self, line: ConversationState, event: Event, message: str, now: datetime, end: float
    ) -> EndpointResponse:
        place = EventOrder(event.timestamp or timestamp_from_datetime(now), message)
        repeated = line.repeated_response(event)
        if repeated is not None:
            return repeated
        if event.timestamp is not None and line.is_stale(place):
            return success_response("stale", "a newer event of this conversation was written before", None, stale=True)
        attributes, doubtful = self._build_attributes(event, now)
        left = end - asyncio.get_running_loop().time()
        if left < _MIN_WRITE_SECONDS:
            raise LockUnavailableError("what came before it took all the time that there is", "crowded", 1.0)
        try:
            form = await self._write(event.conversation, attributes, left)
        except AmbiguousWriteError as error:  # the same event gets this answer, too: it may have been written
            answer = _failure_response(error)
        else:
            answer = self._build_response(event, doubtful, attributes, form)
        line.record_write(place, event, answer)
        return answer

    def _build_attributes(self, event: Event, now: datetime) -> tuple[dict[str, str | float | None], str | None]:
        """Return what to write, and why it is not what came, if it is not."""
        policy = self._policy
        reason = fallback_reason(event, policy.fallback, policy.known_intents)
        if reason is not None:
            self._metrics.fallback_reasons[reason] += 1
        replaced = reason if policy.fallback is not None else None
        return {
            policy.names.intent: event.intent if policy.fallback is None or not reason else policy.fallback.intent,
            policy.names.confidence: event.confidence,
            policy.names.updated_at: event.timestamp_text or format_timestamp(now),
        }, replaced

    def _build_response(
        self,
        event: Event,
        doubtful: str | None,
        attributes: Attributes,
        form: Any,  # noqa: ANN401 - whatever the callback returns
    ) -> EndpointResponse:
        more: dict[str, Any] = {"fallback": doubtful} if doubtful else {}
        if self._policy.explain is not None:
            more["route"] = self._policy.explain({**_previous_attributes(form), **attributes})
        return written_response(event.conversation, form, **more)


_ERROR_RESPONSES: Final[Mapping[type[Exception], tuple[int, str, str]]] = {
    RuleNotFoundError: (404, "unknown_conversation", "unknown conversation"),
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


def _failure_response(error: LockUnavailableError | TimeoutError | ApiError) -> EndpointResponse:
    """Return what to say of a failure: never a word of the error's own, which may be the upstream's."""
    match error:
        case LockUnavailableError():
            return retry_later(503, error.outcome, str(error), error.retry_after)
        case RateLimitedError():
            return retry_later(429, "rate_limited", "the tenant allows no more requests just now", error.retry_after)
        case RetryLaterError():
            return retry_later(502, "upstream_away", "the tenant does not answer; nothing was sent", error.retry_after)
    return error_response(*next(said for kind, said in _ERROR_RESPONSES.items() if isinstance(error, kind)))


def _previous_attributes(form: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
    """Return the attributes that the conversation had before, where the upstream tells them."""
    found = form.get("attributes") if isinstance(form, dict) else None
    return found if isinstance(found, dict) else {}


def ignore_conversations(handle: HandleEvent, ignored: AbstractSet[str]) -> HandleEvent:
    """Return what takes events as `handle` does, but for those of some conversations: these it answers and counts."""
    if not ignored:
        return handle

    async def taken(event: Event, message: str, now: datetime, end: float) -> EndpointResponse:
        if event.conversation in ignored:
            return success_response("skipped", "a test chat; nothing was written", None, skipped="test-chat")
        return await handle(event, message, now, end)

    return taken
