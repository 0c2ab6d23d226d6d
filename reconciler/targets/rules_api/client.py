"""A reading and a writing client. A plan gets the reading one, which has no method that writes."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from reconciler.core import errors, rule_json
from reconciler.core.model.live import FetchedRule, LastSave, LiveRule, Marker
from reconciler.core.model.rule import Json, Queue, Rule
from reconciler.targets.platform.auth import DOCTOR_ADVICE, TenantLogin
from reconciler.targets.platform.discovery import SendRequest
from reconciler.targets.platform.listing import read_complete_list
from reconciler.targets.platform.paging import (
    ListEndpoint,
    queues_endpoint,
    rules_endpoint,
)
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
_GONE: Final = frozenset({404, 410})
_UNSUPPORTED: Final = frozenset({405, 501})


class _Call(NamedTuple):
    """A call of the API, and the meaning of its 4xx statuses."""

    method: str
    kind: RequestKind
    right: str = "scope routing:write"  # that the client lacks at a 403
    gone: frozenset[int] = frozenset()  # statuses: the object does not exist
    # statuses: the API does not offer the call; for a read, all others
    unsupported: frozenset[int] = frozenset()
    # statuses: the caller reads the reasons in the response
    answered: frozenset[int] = frozenset()


_CONTACTS_RIGHT: Final = "right to change contacts, which its employee's role gives"
_SIGNAL_RIGHT: Final = "right to signal contacts, which its employee's role gives"
_SCRIPTS_RIGHT: Final = (
    "right to view and edit scripts in Studio, which its employee's role gives"
)
_CALLS: Final = {
    "list": _Call("GET", RequestKind.READ, "scope routing:read"),
    "list or nothing": _Call("GET", RequestKind.PAGE, "scope routing:read"),
    "read": _Call("GET", RequestKind.READ, "scope routing:read", _GONE),
    "create": _Call("POST", RequestKind.WRITE, unsupported=_GONE | _UNSUPPORTED),
    "update": _Call(
        "PUT",
        RequestKind.WRITE,
        gone=frozenset({404}),
        unsupported=_UNSUPPORTED | {410},
    ),
    "delete": _Call(
        "DELETE",
        RequestKind.DELETE,
        gone=_GONE,
        unsupported=_UNSUPPORTED | {413, 414, 431},
    ),
    "context": _Call(
        "POST", RequestKind.MERGE, "scope interaction:write", _GONE, _UNSUPPORTED
    ),
    "custom fields": _Call(
        "PUT", RequestKind.MERGE, _CONTACTS_RIGHT, _GONE, _UNSUPPORTED
    ),
    "signal": _Call("POST", RequestKind.SIGNAL, _SIGNAL_RIGHT, _GONE, _UNSUPPORTED),
    "read script": _Call("GET", RequestKind.READ, _SCRIPTS_RIGHT, _GONE),
    "lock script": _Call("PUT", RequestKind.MERGE, _SCRIPTS_RIGHT, _GONE, _UNSUPPORTED),
    "save script": _Call(
        "POST",
        RequestKind.SAVE,
        _SCRIPTS_RIGHT,
        frozenset(),
        _GONE | _UNSUPPORTED,
        frozenset({409}),
    ),
}
_REJECTION_ERRORS: Final = {
    409: errors.NameTakenError,
    412: errors.ConcurrentChangeError,
}


class ReadingClient:
    """Reads a tenant's rules and queues."""

    def __init__(
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        progress: Callable[[str, int, int], None] = lambda _noun, _pages, _total: None,
        on_wait: WaitCallback = ignore_wait,
    ) -> None:
        """`progress` gets the noun of the list, the pages read and the pages in all; `on_wait` gets
        each wait.
        """
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

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, in no particular order.

        Raises IncompleteReadError for an unproven list.
        """
        entries = await self._read_list(
            rules_endpoint(self._tenant, self._mapper, lambda: self._login.api_server)
        )
        return tuple(map(rule_json.parse_live_rule, entries))

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""
        entries = await self._read_list(
            queues_endpoint(self._tenant, lambda: self._login.api_server)
        )
        return tuple(map(rule_json.parse_queue, entries))

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return one rule, or None if it does not exist."""
        try:
            response = await self._call(
                "read", rule_path(self._tenant.rules_path, rule_id)
            )
        except errors.RuleNotFoundError:
            return None
        rule = rule_json.parse_live_rule(self._mapper.single_rule(response.payload))
        if rule.id != rule_id:
            text = (
                f"the server returned rule {rule.id[:64]!r} instead of {rule_id[:64]!r}"
            )
            raise errors.UnexpectedResponseError(f"{response.call}: {text}")
        etag = response.headers.get("etag") or ""
        # A rule without an ETag that fits into a header is compared before it is written.
        return FetchedRule(
            rule, etag if etag.isascii() and etag.isprintable() and etag else None
        )

    async def last_save(self) -> LastSave | None:
        """Return the last save of the script that holds the rules; None, because an API holds
        them.
        """
        return None

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
        call = _CALLS[name]
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


class WritingClient(ReadingClient):
    """Reads, creates, updates and deletes rules."""

    @cached_property
    def _completed_creates(self) -> tuple[str, Counter[str]]:
        """A text that separates the Idempotency-Keys of two runs, and the acknowledged creates of
        each body.
        """
        return repr(self._time.random()), Counter()

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it from the response.

        An equal create gets another Idempotency-Key only later.
        """
        body = rule_json.rule_body(rule, marker)
        path = self._tenant.rules_path
        tenant_body = self._mapper.tenant_body(body)
        if not self._tenant.idempotency_keys:
            return await self._write("create", path, tenant_body, {})

        run, completed = self._completed_creates
        text = json.dumps(body, sort_keys=True)
        key = sha256(f"{run} {completed[text]} {text}".encode()).hexdigest()[:32]
        headers = {"Idempotency-Key": key}
        created = await self._write("create", path, tenant_body, headers)
        completed[text] += 1
        return created

    async def update(
        self, read: FetchedRule, rule: Rule, marker: Marker | None
    ) -> LiveRule:
        """Replace a rule that was just read; its unknown fields stay as they are."""
        body = rule_json.rule_body(rule, marker, read.live.raw)
        return await self._replace(read, body)

    async def restore(self, read: FetchedRule, before: LiveRule) -> LiveRule:
        """Restore an earlier state of a rule that was just read, and return the rule from the
        response.
        """
        body = rule_json.rule_body(before.rule, before.marker)
        body |= {name: before.raw[name] for name in body if name in before.raw}
        body = {**before.raw, **read.live.raw, **body}
        return await self._replace(read, body)

    async def delete(self, read: FetchedRule) -> None:
        """Delete a rule that was just read; a missing rule is a success."""
        with suppress(errors.RuleNotFoundError):
            path = rule_path(self._tenant.rules_path, read.live.id)
            await self._call("delete", path, headers=_if_match(read))

    async def _replace(self, read: FetchedRule, body: dict[str, Json]) -> LiveRule:
        path = rule_path(self._tenant.rules_path, read.live.id)
        tenant_body = self._mapper.update_body(body)
        return await self._write("update", path, tenant_body, _if_match(read))

    async def _write(
        self, call: str, path: str, body: dict[str, Json], headers: dict[str, str]
    ) -> LiveRule:
        content = json.dumps(body, allow_nan=False).encode()
        response = await self._call(call, path, content, headers)
        try:
            return rule_json.parse_live_rule(self._mapper.single_rule(response.payload))
        except errors.UnexpectedResponseError as failure:
            # The write may have been done.
            text = (
                f"the write was answered with status {response.status}, but {failure}"
            )
            raise errors.AmbiguousWriteError(text) from failure


def _if_match(read: FetchedRule) -> dict[str, str]:
    if not read.etag:
        return {}
    return {"If-Match": read.etag}


def rule_path(rules_path: str, rule_id: str) -> str:
    """Return the path of a rule.

    Ids come from the server: dots alone would lead to another path.
    """
    if rule_id in ("", ".", "..") or not rule_json.is_text(rule_id):
        raise errors.UnexpectedResponseError(
            f"{rule_id[:64]!r} cannot be the id of a rule"
        )
    return f"{rules_path}/{quote(rule_id, safe='')}"


def _new_token_error(answer: str) -> errors.CredentialsError:
    text = f"the tenant refuses a token that it has just issued ({answer})"
    advice = f"check the client's rights. {DOCTOR_ADVICE}"
    return errors.CredentialsError(f"{text}; {advice}")


def _refusal_error(call: _Call, status: int, text: str) -> errors.ApiError:
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
