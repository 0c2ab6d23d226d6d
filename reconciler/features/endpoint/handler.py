"""Handles an event once, under the conversation's lock and within the deadline, and returns the
response.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from reconciler.core import errors
from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, Doubt, FallbackPolicy
from reconciler.features.endpoint.conversations import (
    ConversationState,
    EventOrder,
    LockProvider,
    LockUnavailableError,
)
from reconciler.features.endpoint.event import (
    Event,
    format_timestamp,
    latest_timestamp,
    timestamp_from_datetime,
)
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    error_response,
    retry_later,
    success_response,
    written_response,
)
from reconciler.features.endpoint.metrics import Metrics

Attributes = Mapping[str, str | float | None]
WriteAttributes = Callable[[str, Attributes, float], Awaitable[Any]]
# Writes attributes to a conversation's context within a number of seconds and returns the
# upstream's JSON. Raises RuleNotFoundError for an unknown conversation, RateLimitedError and
# RetryLaterError if nothing was written, TimeoutError, and other ApiErrors; after an
# AmbiguousWriteError the event must not be written again.
# Attributes of a conversation -> its route as JSON.
ExplainRoute = Callable[[Mapping[str, Any]], Any]
# An event, and the attributes that its conversation had -> the decision about it as JSON.
DecideEvent = Callable[[Event, Mapping[str, Any]], Any]

_MIN_WRITE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPolicy:
    """The Environment's settings for events.

    `explain` and `decide` return the route and the decision, for the response.
    """

    # Intent, confidence, time.
    names: tuple[str, str, str] = (
        "cognigyDetectedIntent",
        "cognigyConfidence",
        "routedAt",
    )
    fallback: FallbackPolicy = NO_FALLBACK
    explain: ExplainRoute | None = None
    decide: DecideEvent | None = None
    # Not written, such as a bot's test chats.
    ignored_conversations: AbstractSet[str] = frozenset()


class EventHandler:
    """Writes events, those of each conversation in order.

    `waiting_limit` returns the maximum of concurrent events.
    """

    def __init__(
        self,
        write: WriteAttributes,
        policy: EventPolicy,
        locks: LockProvider,
        metrics: Metrics,
        waiting_limit: Callable[[], float],
    ) -> None:
        self._write = write
        self.policy = policy  # for events that begin from now on
        self._locks = locks
        self._metrics = metrics
        self._waiting_limit = waiting_limit

    async def handle(
        self,
        event: Event,
        message_id: str,
        now: datetime,
        deadline: float,
    ) -> EndpointResponse:
        """Return an event's response.

        `message_id` orders events of one time; `deadline` is by the loop's clock.
        """
        if event.conversation in self.policy.ignored_conversations:
            return success_response(
                "skipped",
                "a test chat; nothing was written",
                None,
                skipped="test-chat",
            )
        if self._metrics.waiting_requests >= self._waiting_limit():
            return retry_later(503, "shed", "too many requests are waiting")
        self._metrics.waiting_requests += 1
        limit = latest_timestamp(now)
        try:
            async with (
                asyncio.timeout_at(deadline),
                self._locks.lock(event.conversation, limit) as state,
            ):
                return await self._handle_locked(
                    state,
                    event,
                    message_id,
                    now,
                    deadline,
                )
        except (LockUnavailableError, TimeoutError, errors.ApiError) as error:
            return _failure_response(error)
        finally:
            self._metrics.waiting_requests -= 1

    async def _handle_locked(
        self,
        state: ConversationState,
        event: Event,
        message_id: str,
        now: datetime,
        deadline: float,
    ) -> EndpointResponse:
        order = EventOrder(event.timestamp or timestamp_from_datetime(now), message_id)
        if event.timestamp is not None and state.latest is not None:
            if event == state.latest.event:
                return state.latest.response
            if order < state.latest.order:
                return _STALE

        policy = self.policy  # one for the whole event
        attributes, doubt = _build_attributes(policy, event, now)
        seconds = _remaining_seconds(deadline)
        try:
            payload = await self._write(event.conversation, attributes, seconds)
        except errors.AmbiguousWriteError as error:
            # Also stored for a repeated event, which may be written.
            response = _failure_response(error)
        else:
            extra: dict[str, Any] = {"fallback": doubt} if doubt else {}
            extra |= _routes(policy, event, _all_attributes(payload, attributes))
            response = written_response(event.conversation, payload, **extra)

        state.record_write(order, event, response)
        # A repeated event does not get here.
        self._metrics.events.add(event.intent, event.confidence)
        return response


def _routes(policy: EventPolicy, event: Event, context: Attributes) -> dict[str, Any]:
    """Return what a response says of the route of a conversation, as far as it is asked for."""
    routes = {}
    if policy.explain is not None:
        routes["route"] = policy.explain(context)
    if policy.decide is not None:
        routes["decision"] = policy.decide(event, context)
    return routes


def _build_attributes(
    policy: EventPolicy,
    event: Event,
    now: datetime,
) -> tuple[dict[str, str | float | None], Doubt | None]:
    """Return the attributes to write, and why the fallback replaces the intent, if it does."""
    fallback = policy.fallback
    intent = event.intent
    doubt = fallback.doubt(intent, event.confidence)
    if doubt and fallback.intent is not None:
        intent = fallback.intent
    else:
        doubt = None

    intent_name, confidence_name, time_name = policy.names
    attributes: dict[str, str | float | None] = {
        intent_name: intent,
        confidence_name: event.confidence,
        time_name: event.timestamp_text or format_timestamp(now),
    }
    return attributes, doubt


def _remaining_seconds(deadline: float) -> float:
    """Return the seconds for a write. Raises LockUnavailableError if they are too few."""
    seconds = deadline - asyncio.get_running_loop().time()
    if seconds < _MIN_WRITE_SECONDS:
        raise LockUnavailableError(
            "the wait for earlier requests left no time for the write", "crowded"
        )
    return seconds


def _all_attributes(payload: Any, attributes: Attributes) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return a conversation's attributes: those of the upstream's response, and the new ones."""
    before = payload.get("attributes") if isinstance(payload, dict) else None
    if not isinstance(before, dict):
        return {**attributes}
    return {**before, **attributes}


_STALE: Final = success_response(
    "stale",
    "a newer event of this conversation was already written",
    None,
    stale=True,
)
_UNDEFINED: Final = (
    "the tenant does not know the custom fields; the endpoint's log shows how to define "
    "them"
)
_UNCLEAR: Final = "it is unknown whether the event was written; it is not written again"
_ERROR_RESPONSES: Final[Mapping[type[Exception], tuple[int, str, str]]] = {
    errors.RuleNotFoundError: (404, "unknown_conversation", "unknown conversation"),
    errors.UndefinedFieldsError: (502, "undefined_fields", _UNDEFINED),
    errors.AmbiguousWriteError: (502, "unclear", _UNCLEAR),
    TimeoutError: (
        504,
        "late",
        "the tenant was too slow; it is unknown whether the event was written",
    ),
    errors.ApiError: (
        502,
        "upstream_failed",
        "the tenant failed; it is unknown whether the event was written",
    ),
}


def _failure_response(
    error: LockUnavailableError | TimeoutError | errors.ApiError,
) -> EndpointResponse:
    # The client never gets the text of an upstream's error.
    match error:
        case LockUnavailableError():
            return retry_later(503, error.outcome, str(error))
        case errors.RateLimitedError():
            return retry_later(
                429,
                "rate_limited",
                "the tenant's rate limit is reached",
                error.retry_after,
            )
        case errors.RetryLaterError():
            return retry_later(
                502,
                "upstream_away",
                "the tenant is unavailable; nothing was sent",
                error.retry_after,
            )
        case errors.CredentialsError() | errors.ScopeError():
            return retry_later(
                502,
                "upstream_refused",
                "the tenant refuses the endpoint's login; nothing was written",
            )
    status, outcome, text = next(
        words for kind, words in _ERROR_RESPONSES.items() if isinstance(error, kind)
    )
    return error_response(status, outcome, text)
