"""The client of the context endpoint: writes a conversation's attributes within a time limit."""

from __future__ import annotations

import re
from asyncio import CancelledError
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from reconciler.cxone.client import ReadingClient
from reconciler.cxone.context_writers import INTERACTION_WRITER, ContextWriter
from reconciler.cxone.settings import ClientCredentials, ServerUrl, TenantSettings
from reconciler.cxone.transport.circuit_breaker import FailFastBreaker
from reconciler.cxone.transport.rate_limiter import TimeSource
from reconciler.cxone.transport.request import Transport
from reconciler.cxone.transport.sender import CURRENT_DEADLINE, Deadline, RetryingSender
from reconciler.errors import ApiError, OverloadedError, RateLimitedError, RejectedError, RetryLaterError, UsageError

_PLACEHOLDER: Final = "{conversationId}"
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_DOT_SEGMENTS: Final = frozenset(first + second for first in (".", "%2e", "") for second in (".", "%2e"))
_MIN_WRITE_SECONDS: Final = 0.05  # seconds that a call needs at the least
_READY_SECONDS: Final = 2.0  # seconds between requests for a token that failed


class ContextClient(ReadingClient):
    """Writes contexts through its writer. The client has no time limit of its own; each call has one."""

    def __init__(
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        path_template: str,
        writer: ContextWriter = INTERACTION_WRITER,
    ) -> None:
        """`path_template` holds {conversationId}. Raises UsageError for a path that servers would normalize."""
        super().__init__(transport, tenant, credentials, time)
        self.circuit = FailFastBreaker(time)
        self._path_template, self._writer = path_template, writer
        self._placeholder_segment = next((part for part in path_template.split("/") if _PLACEHOLDER in part), "")
        self._unready_until = time.clock()
        explain = self._login.explain_error
        self._sender = RetryingSender(transport, tenant, self.rate_limiter, time, explain, self.circuit)
        base = ServerUrl.parse(tenant.base_url).path if tenant.base_url else ""
        path = f"{base}{self._conversation_path('conversation')}"
        if not _PATH.fullmatch(path) or _DOT_SEGMENTS.intersection(path.lower().split("/")):
            raise UsageError(
                f"{path_template[:100]!r} is no path that can be asked for as it stands: it has . or .. in it, or signs"
                " that no URL has"
            )

    async def write(self, conversation: str, attributes: Mapping[str, str | float | None], seconds: float) -> Any:  # noqa: ANN401 - any JSON
        """Write a conversation's attributes within `seconds` and return the response's JSON.

        Raises RuleNotFoundError for an unknown conversation, RateLimitedError, RetryLaterError, TimeoutError when the
        caller cancels it, AmbiguousWriteError for a write that may have been done and must not be repeated, and other
        ApiErrors. A failed call is repeated if writing the same values twice changes nothing.
        """
        path = self._conversation_path(conversation)
        pause = self.rate_limiter.pause_seconds
        if max(pause, _MIN_WRITE_SECONDS) > seconds:
            raise RateLimitedError("no call fits into the time that there is", max(pause, 1.0))
        budget = Deadline(self._time.clock() + seconds)
        token = CURRENT_DEADLINE.set(budget)
        try:
            answer = await self._writer.write(self._call, path, attributes)
        except CancelledError:
            raise self._deadline_error(budget) from None
        except RetryLaterError as error:
            if budget.request_sent:  # before the circuit opened: it may have been done
                raise OverloadedError(str(error)) from error
            raise
        except OverloadedError as error:
            if self._time.clock() < budget.expires_at and self.rate_limiter.pause_seconds <= 0:
                raise
            raise self._deadline_error(budget) from error
        finally:
            CURRENT_DEADLINE.reset(token)
        return answer.payload

    async def is_ready(self) -> bool:
        """Return whether a token is available."""
        if self._time.clock() < self._unready_until:
            return False
        token = CURRENT_DEADLINE.set(Deadline(self._time.clock() + _READY_SECONDS))
        try:
            async with self._time.deadline(_READY_SECONDS):
                await self._login.token()
        except (ApiError, TimeoutError):
            self._unready_until = self._time.clock() + _READY_SECONDS
            return False
        finally:
            CURRENT_DEADLINE.reset(token)
        return True

    def _deadline_error(self, budget: Deadline) -> Exception:
        if self.rate_limiter.pause_seconds > 0 or not budget.request_sent:
            pause = max(self.rate_limiter.pause_seconds, 1.0)
            return RateLimitedError("no more calls fit into the time that there is", pause)
        return TimeoutError()

    def _conversation_path(self, conversation: str) -> str:
        quoted = quote(conversation, safe="")
        if self._placeholder_segment.replace(_PLACEHOLDER, quoted).lower() in _DOT_SEGMENTS:
            raise RejectedError("a conversation's id would lead to another path", HTTPStatus.BAD_REQUEST)
        return self._path_template.replace(_PLACEHOLDER, quoted)
