"""The client of the context endpoint: writes a conversation's attributes, or says in time why it cannot."""

from __future__ import annotations

import re
from asyncio import CancelledError
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from reconciler.cxone.client import ReadingClient
from reconciler.cxone.context_writers import INTERACTION, Writer
from reconciler.cxone.settings import Credentials, Server, Tenant
from reconciler.cxone.transport.circuit_breaker import FailFastBreaker
from reconciler.cxone.transport.sender import BUDGET, Budget, Sender
from reconciler.errors import ApiError, LaterError, OverloadedError, RejectedError, TooFastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.cxone.transport.rate_limiter import Time
    from reconciler.cxone.transport.request import Carry


_PLACE: Final = "{conversationId}"
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_DIRECTIONS: Final = frozenset(first + second for first in (".", "%2e", "") for second in (".", "%2e"))
_LEAST: Final = 0.05
"""Seconds without which no call is begun."""
_SOON: Final = 2.0
"""Seconds for which a token that could not be had is not asked for again, however often somebody wants to know."""


class ContextClient(ReadingClient):
    """Writes contexts, in the way of its writer. Time for all it does has no end; each call has one."""

    def __init__(
        self,
        carry: Carry,
        tenant: Tenant,
        credentials: Credentials,
        time: Time,
        path: str,
        writer: Writer = INTERACTION,
    ) -> None:
        """`path` holds {conversationId}. Raises UsageError where it would not be asked for as it stands."""
        super().__init__(carry, tenant, credentials, time)
        self.circuit = FailFastBreaker(time)
        self._path, self._writer = path, writer
        self._segment = next((part for part in path.split("/") if _PLACE in part), "")
        self._unready_until = time.clock()
        self._sender = Sender(carry, tenant, self.pacer, time, self._access.explanation, self.circuit)
        below = Server.of(tenant.base_url).path if tenant.base_url else ""
        if not _is_plain(f"{below}{self._path_of('conversation')}"):
            raise UsageError(
                f"{path[:100]!r} is no path that can be asked for as it stands: it has . or .. in it, or signs that no"
                " URL has"
            )

    async def write(self, conversation: str, attributes: Mapping[str, str | float | None], seconds: float) -> Any:  # noqa: ANN401 - any JSON
        """Write a conversation's attributes and return what the tenant answers.

        Repeated where there is no answer, if writing the same values twice changes nothing. Whoever calls this cancels
        it when the `seconds` are over, and is told what is known by then. Raises GoneError for an unknown conversation,
        TooFastError, LaterError, TimeoutError when it is cancelled, and other ApiErrors; AmbiguousWriteError where
        nobody knows whether it was done, and it must not be done twice.
        """
        path = self._path_of(conversation)
        held = self.pacer.held
        if max(held, _LEAST) > seconds:
            raise TooFastError("no call fits into the time that there is", max(held, 1.0))
        budget = Budget(self._time.clock() + seconds)
        token = BUDGET.set(budget)
        try:
            answer = await self._writer.ask(self._call, path, attributes)
        except CancelledError:
            raise self._late(budget) from None
        except LaterError as error:
            if budget.sent:  # before the circuit opened: nobody knows what came of that
                raise OverloadedError(str(error)) from error
            raise
        except OverloadedError as error:
            if self._time.clock() < budget.end and self.pacer.held <= 0:
                raise
            raise self._late(budget) from error
        finally:
            BUDGET.reset(token)
        return answer.form

    async def ready(self) -> bool:
        """Say whether a token can be had."""
        if self._time.clock() < self._unready_until:
            return False
        token = BUDGET.set(Budget(self._time.clock() + _SOON))
        try:
            async with self._time.deadline(_SOON):
                await self._access.token()
        except (ApiError, TimeoutError):
            self._unready_until = self._time.clock() + _SOON
            return False
        finally:
            BUDGET.reset(token)
        return True

    def _late(self, budget: Budget) -> Exception:
        """Return what to raise when the time is over: what was never sent did nothing."""
        if self.pacer.held > 0 or not budget.sent:
            return TooFastError("no more calls fit into the time that there is", max(self.pacer.held, 1.0))
        return TimeoutError()

    def _path_of(self, conversation: str) -> str:
        """Put an id into the path. Raises RejectedError where it would lead elsewhere: quoted, dots alone can."""
        quoted = quote(conversation, safe="")
        if self._segment.replace(_PLACE, quoted).lower() in _DIRECTIONS:
            raise RejectedError("a conversation's id would lead to another path", HTTPStatus.BAD_REQUEST)
        return self._path.replace(_PLACE, quoted)


def _is_plain(path: str) -> bool:
    """Say whether a server is asked for just this path: on the way and there, dots are taken for directions."""
    return _PATH.fullmatch(path) is not None and not _DIRECTIONS.intersection(path.lower().split("/"))
