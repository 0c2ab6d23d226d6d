"""Calls to a tenant without the client's retries."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.core.errors import (
    UnexpectedResponseError,
    UnreachableError,
    UnsupportedCallError,
)
from reconciler.core.text.escape import sanitize
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.platform.auth import TenantLogin
from reconciler.targets.platform.diagnosis.reply import (
    ProbeReply,
    ReplyKind,
)
from reconciler.targets.platform.paging import (
    ListEndpoint,
    queues_endpoint,
    rules_endpoint,
)
from reconciler.targets.platform.profile_mapping import ProfileMapper
from reconciler.targets.platform.settings import (
    ClientCredentials,
    TenantSettings,
)
from reconciler.targets.platform.transport import request as http
from reconciler.targets.platform.transport.rate_limiter import TimeSource
from reconciler.targets.platform.transport.sender import RequestKind

MAX_CALL_SECONDS: Final = 10.0  # seconds for one call, unless the settings allow less
_FAILURE_KINDS: Final[dict[type[Exception], ReplyKind]] = {
    UnexpectedResponseError: "garbled",  # too large, or in another encoding
    http.UntrustedCertificateError: "untrusted",
    http.NotSentError: "unreachable",
    http.NoResponseError: "broken",
}


class FirstPage(NamedTuple):
    """The first page of a list."""

    entries: list[dict[str, object]]
    total: int
    is_complete: bool  # the list has no second page


class Probe:
    """Makes single calls, each once: a diagnosis shows what one call meets."""

    def __init__(
        self,
        transport: http.Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
    ) -> None:
        """`transport` lets only reads through."""
        self._transport = transport
        self._tenant = tenant
        self._time = time
        self._login = TenantLogin(tenant, credentials, self._send_for_login, time.clock)
        self._mapper = ProfileMapper(tenant.profile)
        self.replies: list[ProbeReply] = []

    async def request_token(self) -> ProbeReply:
        """Request a token; return the reply. Raises ApiError; the last reply has the details."""
        await self._login.token()
        return next(
            reply for reply in reversed(self.replies) if reply.call.startswith("POST")
        )

    async def rules(self) -> tuple[ProbeReply, FirstPage | None]:
        """Request the first page of rules."""
        return await self._read_first_page(
            rules_endpoint(self._tenant, self._mapper, lambda: self._login.api_server)
        )

    async def queues(self) -> tuple[ProbeReply, FirstPage | None]:
        """Request the first page of queues."""
        return await self._read_first_page(
            queues_endpoint(self._tenant, lambda: self._login.api_server)
        )

    async def _read_first_page(
        self, endpoint: ListEndpoint
    ) -> tuple[ProbeReply, FirstPage | None]:
        query = endpoint.page_query()
        reply = await self.get(f"{endpoint.path}?{query}")
        if reply.status == HTTPStatus.NO_CONTENT and endpoint.call == "list or nothing":
            reply = replace(reply, kind="json")
        if not reply.is_good:
            return reply, None
        try:
            page = endpoint.parse_page(reply.payload, query)
        except UnexpectedResponseError as error:
            return replace(reply, kind="strange", error_text=str(error)), None
        total = page.total or 0
        is_complete = (
            len(page.entities) >= total and not page.token and not page.unknown_link
        )
        return reply, FirstPage(page.entities, total, is_complete)

    async def get(self, path: str) -> ProbeReply:
        """Request a path of the API."""
        base = self._login.api_server
        headers = {
            "Authorization": f"Bearer {await self._login.token()}",
            **http.ACCEPT_HEADERS,
        }
        reply, response = await self._send(
            http.ApiRequest("GET", base, f"{base.path}{path}", headers)
        )
        if reply.is_good and response is not None and self._mapper.is_refusal(response):
            return replace(
                reply, kind="denied", error_text=self._login.explain_error(response)
            )
        return reply

    async def _send_for_login(
        self, request: http.ApiRequest, _call: RequestKind
    ) -> http.ApiResponse:
        reply, response = await self._send(request)
        if response is None:
            raise UnreachableError(f"{reply.call}: {reply.error_text}")
        if reply.kind == "redirect":
            raise UnsupportedCallError(
                f"{reply.call}: the server redirects to another place"
            )
        if response.is_success and reply.kind != "json":
            raise UnexpectedResponseError(f"{reply.call}: the response is not JSON")
        return response

    async def _send(
        self, request: http.ApiRequest
    ) -> tuple[ProbeReply, http.ApiResponse | None]:
        reply, response = await self._exchange(request)
        self.replies.append(reply)
        return reply, response

    async def _exchange(
        self, request: http.ApiRequest
    ) -> tuple[ProbeReply, http.ApiResponse | None]:
        before = self._time.now()
        seconds = min(self._tenant.timeout_seconds, MAX_CALL_SECONDS)
        try:
            async with self._time.deadline(seconds):
                response = await self._transport(request)
        except TimeoutError:
            return ProbeReply(call=request.call, kind="silent"), None
        except (http.NoResponseError, UnexpectedResponseError) as error:
            kind = next(
                kind
                for cause, kind in _FAILURE_KINDS.items()
                if isinstance(error, cause)
            )
            text = http.describe_failure(error)
            return ProbeReply(call=request.call, kind=kind, error_text=text), None
        middle = before + (self._time.now() - before) / 2
        reply = ProbeReply(
            call=request.call,
            kind=_reply_kind(response),
            status=response.status,
            headers=response.headers,
            clock_skew=_clock_skew(response, middle),
        )
        return self._parse_body(reply, response)

    def _parse_body(
        self, reply: ProbeReply, response: http.ApiResponse
    ) -> tuple[ProbeReply, http.ApiResponse]:
        text = ""
        kind = reply.kind
        if kind == "redirect":
            # only the host of the location: the rest may hold a session
            with suppress(ValueError):
                location = urlsplit(response.headers.get("location", ""))
                text = sanitize(location.hostname or "", 100)
        elif kind == "json":
            is_post = response.call.startswith("POST")
            decoder = http.LENIENT_DECODER if is_post else STRICT_DECODER
            try:
                response = response._replace(payload=response.json(decoder))
            except UnexpectedResponseError:
                kind = "garbled"
        if response.status >= HTTPStatus.BAD_REQUEST and kind == "json":
            text = self._login.explain_error(response)
        return replace(
            reply, kind=kind, error_text=text, payload=response.payload
        ), response


def _clock_skew(response: http.ApiResponse, middle: datetime) -> float | None:
    """Return by how many seconds the tenant's clock is ahead; None if it does not send its time."""
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(response.headers.get("date", ""))
        return date.timestamp() - middle.timestamp()
    return None


def _reply_kind(response: http.ApiResponse) -> ReplyKind:
    if response.status in http.REDIRECTS:
        return "redirect"
    return "page" if response.is_html() else "json"
