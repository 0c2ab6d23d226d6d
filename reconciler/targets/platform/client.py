"""A client of the platform: login, one call, the list of queues. Clients of targets and of the endpoint extend it."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import quote

from reconciler.core import errors, rule_json
from reconciler.core.model.live import LastSave
from reconciler.core.model.rule import Queue
from reconciler.core.target import CallCounts
from reconciler.targets.platform.auth import DOCTOR_ADVICE, TenantLogin
from reconciler.targets.platform.discovery import SendRequest
from reconciler.targets.platform.listing import read_complete_list
from reconciler.targets.platform.paging import ListEndpoint, queues_endpoint
from reconciler.targets.platform.profile_mapping import ProfileMapper
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.rate_limiter import (
    RateLimiter,
    TimeSource,
    WaitCallback,
    ignore_wait,
)
from reconciler.targets.platform.transport.request import (
    ACCEPT_HEADERS,
    ApiRequest,
    ApiResponse,
    Transport,
)
from reconciler.targets.platform.transport.sender import RequestKind, RetryingSender

_JSON_HEADERS: Final = {**ACCEPT_HEADERS, "Content-Type": "application/json"}
GONE: Final = frozenset({404, 410})
UNSUPPORTED: Final = frozenset({405, 501})


class Call(NamedTuple):
    """A call of the API, and the meaning of its 4xx statuses."""

    method: str
    kind: RequestKind
    right: str = "scope routing:write"  # that the client lacks at a 403
    gone: frozenset[int] = frozenset()  # statuses: the object does not exist
    # statuses: the API does not offer the call; for a read, all others
    unsupported: frozenset[int] = frozenset()
    # statuses: the caller reads the reasons in the response
    answered: frozenset[int] = frozenset()


_CALLS: Final = {
    "list": Call("GET", RequestKind.READ, "scope routing:read"),
    "list or nothing": Call("GET", RequestKind.PAGE, "scope routing:read"),
}
_REJECTION_ERRORS: Final = {
    409: errors.NameTakenError,
    412: errors.ConcurrentChangeError,
}


ProgressCallback = Callable[[str, int, int], None]
"""Gets the noun of a list, the pages read and the pages in all."""


def ignore_progress(noun: str, pages: int, total: int) -> None:
    """Do nothing."""
    del noun, pages, total


class Connection(NamedTuple):
    """What a client of a tenant needs, in the order of its parameters."""

    transport: Transport
    tenant: TenantSettings
    credentials: ClientCredentials
    time: TimeSource
    progress: ProgressCallback = ignore_progress
    on_wait: WaitCallback = ignore_wait


class PlatformClient:
    """Calls a tenant, and reads its queues."""

    calls: ClassVar[Mapping[str, Call]] = _CALLS

    def __init__(
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        progress: ProgressCallback = ignore_progress,
        on_wait: WaitCallback = ignore_wait,
    ) -> None:
        """`on_wait` gets each wait."""
        tenant.check_hosts()
        self._tenant = tenant
        self._time = time
        self._progress = progress
        self._mapper = ProfileMapper(tenant.profile)
        self.rate_limiter = RateLimiter(
            tenant.requests_per_second,
            tenant.concurrency,
            time,
            tenant.run_seconds,
            tenant.patience_seconds,
            on_wait,
        )
        send: SendRequest = lambda request, kind: self._sender.send(request, kind)  # noqa: E731, PLW0108 - set below
        self._login = TenantLogin(tenant, credentials, send, time.clock)
        self._sender = RetryingSender(
            transport, tenant, self.rate_limiter, time, self._login.explain_error
        )

    def limit_time(self, seconds: float) -> None:
        """Start the time limit of all further calls."""
        self.rate_limiter.restart_time_limit(seconds)

    def call_counts(self) -> CallCounts:
        """Return the numbers of calls so far."""
        limiter = self.rate_limiter
        return CallCounts(limiter.requests, limiter.retries, limiter.throttled)

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""
        entries = await self._read_list(
            queues_endpoint(self._tenant, lambda: self._login.api_server)
        )
        return tuple(map(rule_json.parse_queue, entries))

    async def last_save(self) -> LastSave | None:
        """Return None: no document holds all rules."""
        return None

    async def table_settings(self) -> None:
        """Return None: only rules are kept."""

    async def _read_list(self, endpoint: ListEndpoint) -> list[dict[str, Any]]:
        async def fetch_page(query: str) -> object:
            path = f"{endpoint.path}?{query}"
            response = await self._call(endpoint.call, path)
            return response.payload

        return await read_complete_list(
            fetch_page, endpoint, self._time, self.rate_limiter, self._progress
        )

    async def _call(
        self,
        name: str,
        path: str,
        content: bytes = b"",
        headers: Mapping[str, str] = {},
    ) -> ApiResponse:
        """Make one call; a refused token is renewed once.

        `path` may have a query; `content` is JSON.
        """
        call = self.calls[name]
        method = self._tenant.profile.update if name == "update" else call.method
        fields = _JSON_HEADERS if content else ACCEPT_HEADERS
        token = ""
        for _ in range(2):
            token = await self._login.token(rejected=token)
            server = self._login.api_server
            all_headers = {"Authorization": f"Bearer {token}", **fields, **headers}
            target = f"{server.path}{path}"
            request = ApiRequest(method, server, target, all_headers, content)
            response = await self._sender.send(request, call.kind)
            if response.status != HTTPStatus.UNAUTHORIZED:
                is_good = response.is_success and not self._mapper.is_refusal(response)
                if is_good or response.status in call.answered:
                    return response
                raise _refusal_error(call, response.status, self._answer_text(response))

        raise _new_token_error(self._answer_text(response))

    def _answer_text(self, response: ApiResponse) -> str:
        explanation = self._login.explain_error(response)
        return f"{response.call}: status {response.status}, {explanation}"


def object_path(path: str, object_id: str) -> str:
    """Return the path of an object, such as a rule, below `path`.

    Ids come from the server: dots alone would lead to another path.
    """
    if object_id in ("", ".", "..") or not rule_json.is_text(object_id):
        raise errors.UnexpectedResponseError(
            f"{object_id[:64]!r} cannot be the id of a rule"
        )
    return f"{path}/{quote(object_id, safe='')}"


def _new_token_error(answer: str) -> errors.CredentialsError:
    text = f"the tenant refuses a token that it has just issued ({answer})"
    advice = f"check the client's rights. {DOCTOR_ADVICE}"
    return errors.CredentialsError(f"{text}; {advice}")


def _refusal_error(call: Call, status: int, text: str) -> errors.ApiError:
    """Return the error for a 4xx or a 501 (invariants F14, F18 to F22)."""
    if status == HTTPStatus.FORBIDDEN:
        return errors.ScopeError(f"the client lacks the {call.right} ({text})")
    if status in call.gone:
        return errors.RuleNotFoundError(text, status)
    is_read = call.kind in (RequestKind.READ, RequestKind.PAGE)
    if is_read or status in call.unsupported:
        return errors.UnsupportedCallError(text)
    error_class = _REJECTION_ERRORS.get(status, errors.RejectedError)
    return error_class(text, status)
