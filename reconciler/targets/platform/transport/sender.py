"""Sends one request until it is answered: repeats it if that is safe and the budget allows, and not
into an outage.
"""

import math
from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from reconciler.core.errors import (
    AmbiguousWriteError,
    ApiError,
    OverloadedError,
    UnexpectedResponseError,
    UnreachableError,
)
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.platform.settings import TenantSettings
from reconciler.targets.platform.transport import request as http
from reconciler.targets.platform.transport.circuit_breaker import (
    Cause,
    CircuitBreaker,
    FailedAttempt,
    WaitingBreaker,
)
from reconciler.targets.platform.transport.rate_limiter import RateLimiter, TimeSource


class RequestKind(Enum):
    """The kind of a request decides whether it may be repeated, and the required content of its
    response.
    """

    READ = auto()
    PAGE = auto()  # a read; empty with status 204
    TOKEN = auto()
    WRITE = auto()  # the answer holds the new rule
    # of a document that was just read: before another attempt it must be read again
    SAVE = auto()
    DELETE = auto()  # the answer is empty
    MERGE = auto()  # repeatable; the answer may be empty
    SIGNAL = auto()  # not repeatable; the answer may be empty

    @property
    def is_repeatable(self) -> bool:
        """Return whether sending it twice changes nothing."""
        return self in (
            RequestKind.READ,
            RequestKind.PAGE,
            RequestKind.TOKEN,
            RequestKind.MERGE,
        )


@dataclass(slots=True)
class Deadline:
    """The end of the time for the calls of one task, which its owner then cancels, and whether any
    call was sent.
    """

    expires_at: float
    request_sent: bool = False


# of this task
CURRENT_DEADLINE: Final[ContextVar[Deadline | None]] = ContextVar(
    "deadline", default=None
)


_Result = http.ApiResponse | FailedAttempt


class RetryingSender:
    """Sends the requests of one client, which share a rate limiter, a retry budget and a circuit
    breaker.
    """

    def __init__(
        self,
        transport: http.Transport,
        tenant: TenantSettings,
        rate_limiter: RateLimiter,
        time: TimeSource,
        explain: Callable[[http.ApiResponse], str],
    ) -> None:
        """`explain` returns a displayable text for an error response."""
        self._transport = transport
        self._timeout_seconds = tenant.timeout_seconds
        self._rate_limiter = rate_limiter
        self._time = time
        self._explain = explain
        self.circuit: CircuitBreaker = WaitingBreaker(
            tenant.patience_seconds,
            time,
            rate_limiter,
        )

    async def send(
        self,
        request: http.ApiRequest,
        kind: RequestKind,
    ) -> http.ApiResponse:
        """Return the response with any status except 429 and 5xx.

        If the status is a success, its JSON is parsed.
        """
        # A read is repeated within the budget; a write only if it was certainly not executed.
        # Raises UnreachableError, OverloadedError, UnexpectedResponseError and AmbiguousWriteError.
        attempts = [0, 0]  # not throttled, and throttled
        since = math.inf
        while True:
            self._rate_limiter.check_time_limit()
            result = await self._send_when_admitted(request, kind)
            if isinstance(result, http.ApiResponse):
                return result
            if result is not None:
                if kind is RequestKind.SAVE:
                    raise result.error
                since = min(since, self._time.clock())
                throttled = result.cause is Cause.THROTTLED
                if not self.circuit.is_open:  # otherwise another request failed
                    attempts[throttled] += 1
                await self._wait_before_retry(result, attempts[throttled], since)

    async def _wait_before_retry(
        self,
        failure: FailedAttempt,
        attempt: int,
        since: float,
    ) -> None:
        """Wait before another attempt; the first failed at `since`.

        Raises the last error without a retry.
        """
        limiter = self._rate_limiter
        throttled = failure.cause is Cause.THROTTLED
        may_retry = limiter.may_retry_throttled if throttled else limiter.may_retry
        if (
            isinstance(failure.error, AmbiguousWriteError)
            or self.circuit.gave_up
            or not may_retry(attempt)
        ):
            raise failure.error
        wait = limiter.pause_seconds if throttled else limiter.backoff(attempt)
        deadline = CURRENT_DEADLINE.get()
        if deadline is not None and self._time.clock() + wait >= deadline.expires_at:
            raise failure.error
        limiter.retries += 1
        limiter.throttled_retries += throttled
        if throttled:
            return
        if not self.circuit.is_open:  # it reports its own waits
            text = (
                f"waiting for the tenant: {failure.brief}, attempt {attempt + 1} in "
                f"{math.ceil(wait)} s"
            )
            limiter.on_wait(failure.brief, text, self._time.clock() - since + wait)
        await self._time.sleep(wait)

    async def _send_when_admitted(
        self,
        request: http.ApiRequest,
        kind: RequestKind,
    ) -> _Result | None:
        """Send an admitted request; None if it was not sent, or only as a probe that failed."""
        async with self.circuit.admit() as is_probe:
            deadline = CURRENT_DEADLINE.get()
            expires_at = deadline.expires_at if deadline else math.inf
            sent_at = await self._rate_limiter.acquire(expires_at)
            try:
                if is_probe:
                    return await self._probe(request, kind, sent_at)
                if self.circuit.is_open:
                    return None
                return await self._attempt(request, kind, sent_at)
            finally:
                self._rate_limiter.release()

    async def _probe(
        self,
        request: http.ApiRequest,
        kind: RequestKind,
        sent_at: float,
    ) -> _Result | None:
        """Probe an unavailable server.

        In place of a write, which could be lost there, a read is sent.
        """
        if kind.is_repeatable:
            result = await self._attempt(request, kind, sent_at)
            is_final = isinstance(result, http.ApiResponse) or self.circuit.gave_up
            return result if is_final else None  # otherwise it waits for the next probe
        headers = {
            **http.ACCEPT_HEADERS,
            "Authorization": request.headers["Authorization"],
        }
        path, _, _ = request.target.partition("?")
        read = request._replace(method="GET", target=path, headers=headers, content=b"")
        await self._attempt(read, RequestKind.READ, sent_at)
        return None

    async def _attempt(
        self,
        request: http.ApiRequest,
        kind: RequestKind,
        sent_at: float,
    ) -> _Result:
        """Send a request once. Raises errors that repeating would not change."""
        host = request.server.host
        self._rate_limiter.requests += 1
        try:
            response = await http.send_with_timeout(
                self._transport,
                request,
                self._attempt_timeout(),
                self._time,
            )
        except http.NotSentError as failure:
            return self._failed(_not_sent(host, failure))
        except (http.NoResponseError, TimeoutError) as failure:
            reason = http.describe_failure(failure)
            return self._failed(_no_answer(request, reason, kind))
        except CancelledError:
            if CURRENT_DEADLINE.get() is not None:  # the server exceeded the deadline
                failed = self._failed(_no_answer(request, "no response in time", kind))
                # The owner of the deadline must learn that a write may have been done.
                if not kind.is_repeatable:
                    raise failed.error from None
            raise
        except UnexpectedResponseError as failure:
            text = f"{request.call}: {failure}"
            raise _unusable_response_error(text, kind) from failure

        if not response.is_success:
            refusal = self._failure_of(response, host, kind, sent_at)
            if refusal:
                return refusal
        return self._parse_response(response, kind, host, sent_at)

    def _failed(self, attempt: FailedAttempt) -> FailedAttempt:
        self.circuit.record_failure(attempt)
        return attempt

    def _failure_of(
        self,
        reply: http.ApiResponse,
        host: str,
        kind: RequestKind,
        sent_at: float,
    ) -> _Result | None:
        call = reply.call
        status = reply.status
        retry_after = reply.headers.get("retry-after")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.circuit.record_answer(host)
            self._rate_limiter.on_throttle(sent_at, retry_after)
            error = OverloadedError(f"{call}: the tenant limits the rate (429)")
            return FailedAttempt(host, error, "429", Cause.THROTTLED)
        is_server_error = (
            status >= HTTPStatus.INTERNAL_SERVER_ERROR
            and status != HTTPStatus.NOT_IMPLEMENTED
        )
        if not is_server_error and status != HTTPStatus.REQUEST_TIMEOUT:
            return None  # the outcome is known
        reason = f"status {status}, {self._explain(reply)}"
        failure = _no_response_error(call, reason, kind)
        brief = f"HTTP {status} from {call}"
        attempt = FailedAttempt(host, failure, brief, Cause.ERROR_STATUS, retry_after)
        return self._failed(attempt)

    def _attempt_timeout(self) -> float:
        """Return the time-out of one attempt; infinite if its task ends earlier."""
        deadline = CURRENT_DEADLINE.get()
        if deadline is None:
            return self._timeout_seconds
        deadline.request_sent = True
        ends_earlier = self._time.clock() + self._timeout_seconds >= deadline.expires_at
        return math.inf if ends_earlier else self._timeout_seconds

    def _parse_response(
        self,
        reply: http.ApiResponse,
        kind: RequestKind,
        host: str,
        sent_at: float,
    ) -> _Result:
        is_token = kind is RequestKind.TOKEN
        is_read = kind in (RequestKind.READ, RequestKind.PAGE)
        if reply.is_success and kind is RequestKind.DELETE and reply.is_html():
            raise _unusable_response_error(
                f"{reply.call}: a web page (status {reply.status})", kind
            )
        try:
            if reply.is_success and not _may_be_empty(kind, reply):
                decoder = http.LENIENT_DECODER if is_token else STRICT_DECODER
                reply = reply._replace(payload=reply.json(decoder))
        except UnexpectedResponseError as error:
            may_recover = is_read or (
                is_token and reply.content.lstrip().startswith(b"{")
            )
            if isinstance(error, http.MalformedResponseError) and may_recover:
                return FailedAttempt(
                    host,
                    error,
                    f"an unusable response to {reply.call}",
                    Cause.UNUSABLE,
                )
            raise _unusable_response_error(str(error), kind) from error
        self.circuit.record_answer(host)
        if not is_token:  # tenants count token requests separately or not at all
            self._rate_limiter.on_accepted(sent_at)
        return reply


def _may_be_empty(kind: RequestKind, response: http.ApiResponse) -> bool:
    if kind is RequestKind.PAGE:
        return response.status == HTTPStatus.NO_CONTENT
    return kind is RequestKind.DELETE or (
        not response.content and kind in (RequestKind.MERGE, RequestKind.SIGNAL)
    )


def _no_response_error(call: str, why: str, kind: RequestKind) -> ApiError:
    text = (
        "no usable response"
        if kind.is_repeatable
        else "it is unknown whether it was done"
    )
    return (OverloadedError if kind.is_repeatable else AmbiguousWriteError)(
        f"{call}: {text}: {why}"
    )


def _unusable_response_error(why: str, kind: RequestKind) -> ApiError:
    if kind.is_repeatable:
        return UnexpectedResponseError(why)
    return AmbiguousWriteError(why)


def _not_sent(host: str, failure: http.NotSentError) -> FailedAttempt:
    """Return the failure of a request that was certainly not sent."""
    brief = f"{host} cannot be reached"
    error = UnreachableError(f"{brief}: {http.describe_failure(failure)}")
    cause = Cause.NO_ANSWER
    if isinstance(failure, http.UntrustedCertificateError):
        cause = Cause.UNTRUSTED
    return FailedAttempt(host, error, brief, cause)


def _no_answer(
    request: http.ApiRequest,
    reason: str,
    kind: RequestKind,
) -> FailedAttempt:
    """Return the failure of a request that was sent, and has no response."""
    error = _no_response_error(request.call, reason, kind)
    brief = f"no response to {request.call}"
    return FailedAttempt(request.server.host, error, brief, Cause.NO_ANSWER)
