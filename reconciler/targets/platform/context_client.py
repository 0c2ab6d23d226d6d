"""The client of the context endpoint, and its ways to write a conversation's attributes
(docs/context.md).
"""

import re
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import quote

from pydantic_core import to_json

from reconciler.core import errors
from reconciler.core.behaviour.space.value_type import number_as_text
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import Profile
from reconciler.core.text.trace_context import CURRENT_TRACE
from reconciler.targets.platform.client import (
    GONE,
    UNSUPPORTED,
    Call,
    PlatformClient,
)
from reconciler.targets.platform.settings import (
    ClientCredentials,
    ServerUrl,
    TenantSettings,
)
from reconciler.targets.platform.transport.circuit_breaker import FailFastBreaker
from reconciler.targets.platform.transport.rate_limiter import TimeSource
from reconciler.targets.platform.transport.request import ApiResponse, Transport
from reconciler.targets.platform.transport.sender import (
    CURRENT_DEADLINE,
    Deadline,
    RequestKind,
)

_CONTACTS_RIGHT: Final = "right to change contacts, which its employee's role gives"
_SIGNAL_RIGHT: Final = "right to signal contacts, which its employee's role gives"
_CALLS: Final = {
    **PlatformClient.calls,
    "context": Call(
        "POST",
        RequestKind.MERGE,
        "scope interaction:write",
        GONE,
        UNSUPPORTED,
    ),
    "custom fields": Call("PUT", RequestKind.MERGE, _CONTACTS_RIGHT, GONE, UNSUPPORTED),
    "signal": Call("POST", RequestKind.SIGNAL, _SIGNAL_RIGHT, GONE, UNSUPPORTED),
}
_PLACEHOLDER: Final = "{conversationId}"
_PATH: Final = re.compile(
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII
)
_DOT_SEGMENTS: Final = frozenset(
    first + second for first in (".", "%2e", "") for second in (".", "%2e")
)
_MIN_WRITE_SECONDS: Final = 0.05  # seconds that a call needs at the least
_READY_SECONDS: Final = 2.0  # seconds between requests for a token that failed

Attributes = Mapping[str, str | float | None]
# name, path and query, JSON body or b""
CallTenant = Callable[[str, str, bytes], Awaitable[ApiResponse]]

# the contact id of Cognigy's test chat, which does not exist
TEST_CHATS: Final = frozenset({"100000000000"})
# p1 of a signal. Cognigy's hand-over has Escalate or End there: a script can distinguish them. No
# document says whether a signal may lack p1, and Cognigy's own client refuses one without it.
SIGNAL_KIND: Final = "cxroute"
_PATHS: Final = {
    "digital-custom-fields": "/dfo/3.0/contacts/{conversationId}/custom-fields",
    "voice-signal": "/inContactAPI/services/v30.0/interactions/{conversationId}/signal",
}
# a profile may define a refusal with status 200
_FIELD_ERROR_STATUSES: Final = (
    200,
    400,
    422,
)


# `str`: the path
ContextWriter = Callable[[CallTenant, str, Attributes], Awaitable[ApiResponse]]


def write_interaction(
    call: CallTenant,
    path: str,
    attributes: Attributes,
) -> Awaitable[ApiResponse]:
    """Merge the attributes into an interaction's context, as in the tutorial."""
    return call("context", path, to_json({"attributes": attributes}, ensure_ascii=True))


async def write_custom_fields(
    call: CallTenant,
    path: str,
    attributes: Attributes,
) -> ApiResponse:
    """Set custom fields of a digital contact; twice the same values change nothing.

    Raises UndefinedFieldsError.
    """
    fields = [
        {"ident": name, "value": value_text(value)}
        for name, value in attributes.items()
    ]
    try:
        return await call("custom fields", path, to_json(fields, ensure_ascii=True))
    except errors.RejectedError as error:
        if error.status not in _FIELD_ERROR_STATUSES:
            raise
        hint = f"{custom_fields_hint(attributes)} (status {error.status})"
        raise errors.UndefinedFieldsError(hint, error.status) from error


def signal_writer(parameters: Mapping[str, int]) -> ContextWriter:
    """Return a writer that signals a voice contact's script; `parameters` numbers p1 to p9, by
    attribute. If p1 has no attribute, it holds SIGNAL_KIND.
    """
    # Each signal interrupts the script: none is sent twice. AmbiguousWriteError: it may have been
    # sent.
    numbers = sorted((number, name) for name, number in parameters.items())
    has_first = 1 in parameters.values()
    first = () if has_first else (f"p1={SIGNAL_KIND}",)

    def write(
        call: CallTenant,
        path: str,
        attributes: Attributes,
    ) -> Awaitable[ApiResponse]:
        values = [
            f"p{number}={quote(value_text(attributes.get(name)), safe='')}"
            for number, name in numbers
        ]
        query = "&".join((*first, *values))
        return call("signal", f"{path}?{query}", b"")

    return write


def value_text(value: str | float | None) -> str:
    """Return a value as text: null is empty, a number is a decimal without an exponent."""
    if value is None:
        return ""
    return value if isinstance(value, str) else number_as_text(value)


def custom_fields_hint(names: Iterable[str]) -> str:
    """Return how to define custom fields."""
    return (
        f"CXone has to know the custom fields {', '.join(names)}: an administrator defines them "
        f"under Digital, Custom"
        " Fields, for cases, as text, with these idents; other idents go into `attributes` of the "
        "Environment"
    )


def choose_writer(environment: Environment) -> ContextWriter:
    """Return the environment's writer."""
    writer = environment.context.writer
    if writer == "voice-signal":
        names = environment.attributes
        signal = environment.context.signal
        numbers = {
            names.intent: signal.intent,
            names.confidence: signal.confidence,
            names.updated_at: signal.updated_at,
        }
        return signal_writer(numbers)
    if writer == "digital-custom-fields":
        return write_custom_fields
    return write_interaction


def context_path(environment: Environment, profile: Profile) -> str:
    """Return the path to write to: the environment's, the profile's, or the public one of its
    writer.
    """
    public_path = None
    if "context_path" not in profile.model_fields_set:
        public_path = _PATHS.get(environment.context.writer)
    return environment.api.context_path or public_path or profile.context_path


def ignored_conversations(environment: Environment) -> frozenset[str]:
    """Return the conversations that are not written."""
    return TEST_CHATS if environment.context.writer in _PATHS else frozenset()


class ContextClient(PlatformClient):
    """Writes contexts through its writer. Each call has a time limit; the client has none."""

    calls: ClassVar[Mapping[str, Call]] = _CALLS

    def __init__(
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        path_template: str,
        writer: ContextWriter = write_interaction,
    ) -> None:
        """`path_template` holds {conversationId}. Raises UsageError for a path that servers would
        normalize.
        """
        super().__init__(transport, tenant, credentials, time)
        self._sender.circuit = self.circuit = FailFastBreaker(time)
        self._path_template = path_template
        self._writer = writer
        self._placeholder_segment = next(
            (part for part in path_template.split("/") if _PLACEHOLDER in part), ""
        )
        self._unready_until = time.clock()

        base = ServerUrl.parse(tenant.base_url).path if tenant.base_url else ""
        path = f"{base}{self._conversation_path('conversation')}"
        segments = path.lower().split("/")
        if not _PATH.fullmatch(path) or _DOT_SEGMENTS.intersection(segments):
            text = (
                "is not a path that can be requested unchanged: it has . or .. in it, or "
                "characters that no URL has"
            )
            raise errors.UsageError(f"{path_template[:100]!r} {text}")

    async def write(
        self,
        conversation: str,
        attributes: Attributes,
        seconds: float,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Write attributes within `seconds`; return the response's JSON.

        Raises as `handler.WriteAttributes`.
        """
        # A failed call is repeated if writing the same values twice changes nothing. TimeoutError:
        # the caller cancels.
        path = self._conversation_path(conversation)
        pause = self.rate_limiter.pause_seconds
        if max(pause, _MIN_WRITE_SECONDS) > seconds:
            raise errors.RateLimitedError("no time remains for a call", max(pause, 1.0))
        deadline = Deadline(self._time.clock() + seconds)
        trace = CURRENT_TRACE.get()
        call = partial(self._call, headers=trace.headers if trace is not None else {})
        token = CURRENT_DEADLINE.set(deadline)
        try:
            response = await self._writer(call, path, attributes)
        except CancelledError:
            raise self._deadline_error(deadline) from None
        except errors.RetryLaterError as error:
            # before the circuit opened: it may have been done
            if deadline.request_sent:
                raise errors.OverloadedError(str(error)) from error
            raise
        except errors.OverloadedError as error:
            if (
                self._time.clock() < deadline.expires_at
                and self.rate_limiter.pause_seconds <= 0
            ):
                raise
            raise self._deadline_error(deadline) from error
        finally:
            CURRENT_DEADLINE.reset(token)
        return response.payload

    async def is_ready(self) -> bool:
        """Return whether a token is available."""
        if self._time.clock() < self._unready_until:
            return False
        token = CURRENT_DEADLINE.set(Deadline(self._time.clock() + _READY_SECONDS))
        try:
            async with self._time.deadline(_READY_SECONDS):
                await self._login.token()
        except (errors.ApiError, TimeoutError):
            self._unready_until = self._time.clock() + _READY_SECONDS
            return False
        finally:
            CURRENT_DEADLINE.reset(token)
        return True

    def _deadline_error(self, deadline: Deadline) -> Exception:
        if self.rate_limiter.pause_seconds > 0 or not deadline.request_sent:
            pause = max(self.rate_limiter.pause_seconds, 1.0)
            return errors.RateLimitedError("no time remains for another call", pause)
        return TimeoutError()

    def _conversation_path(self, conversation: str) -> str:
        quoted = quote(conversation, safe="")
        if (
            self._placeholder_segment.replace(_PLACEHOLDER, quoted).lower()
            in _DOT_SEGMENTS
        ):
            raise errors.RejectedError(
                "a conversation's id would lead to another path", HTTPStatus.BAD_REQUEST
            )
        return self._path_template.replace(_PLACEHOLDER, quoted)
