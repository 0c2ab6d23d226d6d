"""One request, sent until it is answered: again where that is safe and the budget allows, and never into an outage."""

from __future__ import annotations

import math
from asyncio import CancelledError
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from reconciler.cxone.transport.circuit_breaker import Admission, Cause, CircuitBreaker, FailedAttempt, WaitingBreaker
from reconciler.cxone.transport.request import (
    ACCEPTED,
    LENIENT,
    Answer,
    Carry,
    GarbledAnswerError,
    LostError,
    NotSentError,
    Request,
    UntrustedError,
    exchange,
    final,
    reason,
)
from reconciler.errors import AmbiguousWriteError, ApiError, OverloadedError, UnexpectedAnswerError, UnreachableError
from reconciler.text.strict_json import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.cxone.settings import Tenant
    from reconciler.cxone.transport.rate_limiter import Pacer, Time


class Kind(Enum):
    """What a request asks for: that decides what may be sent again, and what its answer must hold."""

    READ = auto()
    PAGE = auto()  # a read; where status 204 says that there is nothing, the answer holds nothing
    TOKEN = auto()
    WRITE = auto()  # the answer is what was written
    DELETE = auto()  # the answer holds nothing
    MERGE = auto()  # the same values may be written again; the answer may hold nothing
    SIGNAL = auto()  # it must not come again; the answer may hold nothing

    @property
    def safe(self) -> bool:
        """Say whether sending it twice changes nothing."""
        return self in (Kind.READ, Kind.PAGE, Kind.TOKEN, Kind.MERGE)


@dataclass(slots=True)
class Budget:
    """Until when the calls of one task may take, by the clock, and whether any of them was sent.

    Whoever sets it cancels the task then, and nobody else does.
    """

    end: float
    sent: bool = False


BUDGET: Final[ContextVar[Budget | None]] = ContextVar("budget", default=None)
"""Of this task; a command's calls have none but the time for each and for the whole run."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt that may be repeated, unless it may have been done. `paced`: the server said how long to wait.

    `brief` is the failure in a few words, none of them the server's own.
    """

    error: ApiError
    brief: str
    paced: bool = False


class Sender:
    """Sends the requests of one client, which share its pace, its budget of retries and its circuit."""

    def __init__(
        self,
        carry: Carry,
        tenant: Tenant,
        pacer: Pacer,
        time: Time,
        explain: Callable[[Answer], str],
        circuit: CircuitBreaker | None = None,
    ) -> None:
        """`explain` returns what an answer says of an error, fit to be shown. `circuit` is for who cannot wait."""
        self._carry, self._seconds, self._pacer, self._time = carry, tenant.timeout_seconds, pacer, time
        self._explain = explain
        self.circuit: CircuitBreaker = circuit or WaitingBreaker(tenant.patience_seconds, time, pacer)

    async def send(self, request: Request, kind: Kind) -> Answer:
        """Return the answer, whatever its status, 429 and 5xx aside; that of a success has its JSON read.

        A read is repeated within the budget; a write only where it is certain that it was not done. Raises
        UnreachableError, OverloadedError, UnexpectedAnswerError and AmbiguousWriteError.
        """
        times, since = {True: 0, False: 0}, math.inf
        while True:
            self._pacer.check()
            result = await self._passed(request, kind)
            if isinstance(result, Answer):
                return result
            if result is not None:
                since = min(since, self._time.clock())
                times[result.paced] += not self.circuit.is_open  # else it was not this request that failed
                await self._again(result, times[result.paced], since)

    async def _again(self, failure: _Failure, attempt: int, since: float) -> None:
        """Wait before another attempt; the first failed at `since`. Raises the last one's error where there is none."""
        again = self._pacer.may_wait(attempt) if failure.paced else self._pacer.may_retry(attempt)
        if isinstance(failure.error, AmbiguousWriteError) or self.circuit.gave_up or not again:
            raise failure.error
        wait = self._pacer.held if failure.paced else self._pacer.backoff(attempt)
        budget = BUDGET.get()
        if budget is not None and self._time.clock() + wait >= budget.end:
            raise failure.error
        self._pacer.retries += 1
        self._pacer.waits += failure.paced
        if failure.paced:
            return
        if not self.circuit.is_open:  # it tells its own waits
            text = f"waiting for the tenant: {failure.brief}, attempt {attempt + 1} in {math.ceil(wait)} s"
            self._pacer.tell(failure.brief, text, self._time.clock() - since + wait)
        await self._time.sleep(wait)

    async def _passed(self, request: Request, kind: Kind) -> Answer | _Failure | None:
        """Send a request once it may go; None where it was not sent, or only as a probe that failed."""
        async with self.circuit.admit() as admission:
            budget = BUDGET.get()
            sent = await self._pacer.enter(budget.end if budget else math.inf)
            try:
                if admission is not Admission.REQUEST:
                    return await self._probe(request, kind, sent, admission)
                return None if self.circuit.is_open else await self._try(request, kind, sent)
            finally:
                self._pacer.leave()

    async def _probe(self, request: Request, kind: Kind, sent: float, admission: Admission) -> Answer | _Failure | None:
        """Ask a server that is away. A write lost there is one more that nobody knows of: a read goes in its place."""
        if kind.safe:
            result = await self._try(request, kind, sent)
            return None if admission is Admission.PROBE and not isinstance(result, Answer) else result
        asked = {**ACCEPTED, "Authorization": request.headers["Authorization"]}
        path, _, _ = request.target.partition("?")
        await self._try(request._replace(method="GET", target=path, headers=asked, content=b""), Kind.READ, sent)
        return None

    async def _try(self, request: Request, kind: Kind, sent: float) -> Answer | _Failure:
        """Send a request. Raises what asking again would not change."""
        call, host = request.call, request.server.host
        self._pacer.requests += 1
        try:
            seconds = self._patience()
            if seconds == math.inf:
                answer = final(await self._carry(request))
            else:
                answer = await exchange(self._carry, request, seconds, self._time)
        except NotSentError as failure:
            return self._unreachable(failure, host)
        except (LostError, TimeoutError) as failure:
            error, brief = _lost(call, reason(failure), kind), f"no answer to {call}"
            self.circuit.record_failure(FailedAttempt(host, error, brief, Cause.NO_ANSWER))
            return _Failure(error, brief)
        except CancelledError:
            if BUDGET.get() is not None:  # so it was the server that let it wait
                error = _lost(call, "no answer in time", kind)
                self.circuit.record_failure(FailedAttempt(host, error, f"no answer to {call}", Cause.NO_ANSWER))
                if not kind.safe:  # whoever set the time has to know that it may have been done
                    raise error from None
            raise
        except UnexpectedAnswerError as failure:
            raise _unusable(f"{call}: {failure}", kind) from failure
        failed = None if answer.is_success else self._failure(answer, host, kind, sent)
        return failed or self._read(answer, kind, host, sent)

    def _failure(self, answer: Answer, host: str, kind: Kind, sent: float) -> _Failure | None:
        """Return what an answer says that is none: too fast, or somebody failed."""
        call = answer.call
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.circuit.record_answer(host)
            self._pacer.refused(sent, answer.headers.get("retry-after"))
            return _Failure(OverloadedError(f"{call}: the tenant says that this is too fast (429)"), "429", paced=True)
        if _is_no_answer(answer.status):
            error = _lost(call, f"status {answer.status}, {self._explain(answer)}", kind)
            brief = f"HTTP {answer.status} from {call}"
            retry_after = answer.headers.get("retry-after")
            self.circuit.record_failure(FailedAttempt(host, error, brief, Cause.ERROR_STATUS, retry_after))
            return _Failure(error, brief)
        return None

    def _patience(self) -> float:
        """Return the seconds that a request may take: without end where its task ends before that anyway."""
        budget = BUDGET.get()
        if budget is None:
            return self._seconds
        budget.sent = True
        return self._seconds if self._time.clock() + self._seconds < budget.end else math.inf

    def _unreachable(self, failure: NotSentError, host: str) -> _Failure:
        """Translate a connection that was not made; one to a server that nobody vouches for is not tried again."""
        error, brief = UnreachableError(f"{host} cannot be reached: {reason(failure)}"), f"{host} cannot be reached"
        cause = Cause.UNTRUSTED if isinstance(failure, UntrustedError) else Cause.NO_ANSWER
        self.circuit.record_failure(FailedAttempt(host, error, brief, cause))
        return _Failure(error, brief)

    def _read(self, answer: Answer, kind: Kind, host: str, sent: float) -> Answer | _Failure:
        """Read the JSON of a success. One that is cut or no JSON at all is asked for again, where that is safe."""
        well = answer.is_success
        if well and kind is Kind.DELETE and answer.is_page():
            raise _unusable(f"{answer.call}: a web page (status {answer.status})", kind)
        try:
            if well and not _may_hold_nothing(kind, answer):
                answer = answer._replace(form=answer.json(LENIENT if kind is Kind.TOKEN else STRICT))
        except GarbledAnswerError as error:
            if kind in (Kind.READ, Kind.PAGE) or (kind is Kind.TOKEN and answer.is_fragment()):
                return _Failure(error, f"an unusable answer to {answer.call}")
            raise _unusable(str(error), kind) from error
        except UnexpectedAnswerError as error:
            raise _unusable(str(error), kind) from error
        self.circuit.record_answer(host)
        if kind is not Kind.TOKEN:  # tenants count tokens apart, if at all
            self._pacer.accepted(sent)
        return answer


def _is_no_answer(status: int) -> bool:
    """Say whether a status leaves open what was done: 5xx, and a server that got tired of waiting for the request."""
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return failed or status == HTTPStatus.REQUEST_TIMEOUT


def _may_hold_nothing(kind: Kind, answer: Answer) -> bool:
    """Say whether the body of a success need not be looked at."""
    if kind is Kind.PAGE:
        return answer.status == HTTPStatus.NO_CONTENT
    return kind is Kind.DELETE or (not answer.content and kind in (Kind.MERGE, Kind.SIGNAL))


def _lost(call: str, why: str, kind: Kind) -> ApiError:
    if kind.safe:
        return OverloadedError(f"{call}: no usable answer: {why}")
    return AmbiguousWriteError(f"{call}: nobody knows whether it was done: {why}")


def _unusable(why: str, kind: Kind) -> ApiError:
    return UnexpectedAnswerError(why) if kind.safe else AmbiguousWriteError(why)
