"""A reading and a writing client. A plan gets the reading one, which has no method that writes."""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from reconciler.cxone import rule_json
from reconciler.cxone.auth import TenantLogin
from reconciler.cxone.listing import read_complete_list
from reconciler.cxone.paging import ListEndpoint, queues_endpoint, rules_endpoint
from reconciler.cxone.profile_mapping import ProfileMapper
from reconciler.cxone.transport.rate_limiter import RateLimiter, TimeSource, WaitCallback, ignore_wait
from reconciler.cxone.transport.request import ACCEPT_HEADERS, ApiRequest, ApiResponse, Transport
from reconciler.cxone.transport.sender import RequestKind, RetryingSender
from reconciler.errors import (
    AmbiguousWriteError,
    ApiError,
    ConcurrentChangeError,
    CredentialsError,
    NameTakenError,
    RejectedError,
    RuleNotFoundError,
    ScopeError,
    UnexpectedResponseError,
    UnsupportedCallError,
)
from reconciler.model.live import FetchedRule, LiveRule, Marker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.cxone.settings import ClientCredentials, TenantSettings
    from reconciler.model.rule import Json, Queue, Rule


class IdempotencyKeys:
    """The Idempotency-Key values of one client: constant for one body until its create is acknowledged."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns a number in [0, 1): it separates the keys of two runs."""
        self._run = repr(random())
        self._completed: Counter[str] = Counter()

    def key_for(self, body: object) -> str:
        """Return the key for a create, so that a delayed request is not executed twice."""
        text = json.dumps(body, sort_keys=True)
        return sha256(f"{self._run} {self._completed[text]} {text}".encode()).hexdigest()[:32]

    def mark_completed(self, body: object) -> None:
        """Record that the create was done: an equal create after this gets another key."""
        self._completed[json.dumps(body, sort_keys=True)] += 1


_UNAUTHORIZED: Final = HTTPStatus.UNAUTHORIZED.value
_AS_JSON: Final = {**ACCEPT_HEADERS, "Content-Type": "application/json"}
_METHODS: Final = {
    "list": "GET",
    "list or nothing": "GET",
    "read": "GET",
    "create": "POST",
    "delete": "DELETE",
    "context": "POST",
    "custom fields": "PUT",
    "signal": "POST",
}
_READ_KINDS: Final = {"list": RequestKind.READ, "list or nothing": RequestKind.PAGE, "read": RequestKind.READ}
_REQUEST_KINDS: Final = {
    **_READ_KINDS,
    "delete": RequestKind.DELETE,
    "context": RequestKind.MERGE,
    "custom fields": RequestKind.MERGE,
    "signal": RequestKind.SIGNAL,
}
_REQUIRED_RIGHTS: Final = {
    **dict.fromkeys(_READ_KINDS, "scope routing:read"),
    "context": "scope interaction:write",
    "custom fields": "right to change contacts, which its employee's role gives",
    "signal": "right to signal contacts, which its employee's role gives",
}
_REJECTION_ERRORS: Final = {409: NameTakenError, 412: ConcurrentChangeError}
_CONTACT_CALLS: Final = ("context", "custom fields", "signal")
_GONE_STATUSES: Final = {
    "read": {404, 410},
    "update": {404},
    "delete": {404, 410},
    **{call: {404, 410} for call in _CONTACT_CALLS},
}
_UNSUPPORTED_STATUSES: Final = {
    "create": {404, 405, 410, 501},
    "update": {405, 410, 501},
    "delete": {405, 413, 414, 431, 501},
    **{call: {405, 501} for call in _CONTACT_CALLS},
}
"""Statuses that are about the API and not about one write. A read has nothing of its own that could be wrong: all."""


class ReadingClient:
    """Reads a tenant's rules and queues."""

    def __init__(
        self,
        transport: Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
        on_wait: WaitCallback = ignore_wait,
    ) -> None:
        """`progress` gets the noun of the list, the pages read and the pages in all; `on_wait` gets each wait."""
        tenant.check_hosts()
        self._tenant, self._time = tenant, time
        self._progress = progress
        self._mapper = ProfileMapper(tenant.profile)
        rate, places = tenant.requests_per_second, tenant.concurrency
        self.rate_limiter = RateLimiter(rate, places, time, tenant.run_seconds, tenant.patience_seconds, on_wait)
        self._login = TenantLogin(tenant, credentials, self._send, time.clock)
        self._sender = RetryingSender(transport, tenant, self.rate_limiter, time, self._login.explain_error)

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, in no particular order. Raises IncompleteReadError for an unproven list."""
        book = rules_endpoint(self._tenant, self._mapper, lambda: self._login.api_server)
        return tuple(map(rule_json.parse_live_rule, await self._read_list(book)))

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""
        book = queues_endpoint(self._tenant, lambda: self._login.api_server)
        return tuple(map(rule_json.parse_queue, await self._read_list(book)))

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return one rule, or None if it does not exist."""
        try:
            answer = await self._call("read", self._rule_path(rule_id))
        except RuleNotFoundError:
            return None
        live = rule_json.parse_live_rule(self._mapper.single_rule(answer.payload))
        if live.id != rule_id:
            raise UnexpectedResponseError(f"{answer.call}: another rule came, {live.id[:64]!r}")
        return FetchedRule(live, _usable_etag(answer.headers.get("etag")))

    async def _read_list(self, book: ListEndpoint) -> list[dict[str, Any]]:

        async def ask(query: str) -> object:
            answer = await self._call(book.call, f"{book.path}?{query}" if query else book.path)
            return answer.payload

        return await read_complete_list(ask, book, self._time, self.rate_limiter, self._progress)

    def _rule_path(self, rule_id: str) -> str:
        return rule_path(self._tenant.rules_path, rule_id)

    async def _call(
        self, call: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Make one call; a refused token is renewed once. `path` may have a query; `content` is JSON."""
        kind = _REQUEST_KINDS.get(call, RequestKind.WRITE)
        more = {**(_AS_JSON if content else ACCEPT_HEADERS), **(headers or {})}
        token = await self._login.token()
        base = self._login.api_server
        for turn in (1, 2):
            known = {"Authorization": f"Bearer {token}", **more}
            request = ApiRequest(self._method(call), base, f"{base.path}{path}", known, content)
            answer = await self._sender.send(request, kind)
            if answer.status != _UNAUTHORIZED:
                return self._check_response(call, answer)
            if turn == 1:
                token = await self._login.token(rejected=token)
        raise CredentialsError("the tenant refuses a token that it has just given; check the client's rights")

    def _method(self, call: str) -> str:
        return self._tenant.profile.update if call == "update" else _METHODS[call]

    def _check_response(self, call: str, answer: ApiResponse) -> ApiResponse:
        if answer.is_success and not self._mapper.is_refusal(answer):
            return answer
        why = f"{answer.call}: status {answer.status}, {self._login.explain_error(answer)}"
        if answer.status == HTTPStatus.FORBIDDEN:
            raise ScopeError(f"the client lacks the {_REQUIRED_RIGHTS.get(call, 'scope routing:write')} ({why})")
        raise _refusal_error(call, answer.status, why)

    async def _send(self, request: ApiRequest, kind: RequestKind) -> ApiResponse:
        return await self._sender.send(request, kind)


class WritingClient(ReadingClient):
    """Reads, creates, updates and deletes rules."""

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it from the response."""
        body = rule_json.rule_body(rule, marker)
        headers = {"Idempotency-Key": self._idempotency_keys.key_for(body)} if self._tenant.idempotency_keys else {}
        sent = self._mapper.tenant_body(body)
        made = self._parse_written_rule(
            await self._call("create", self._tenant.rules_path, _encode_json(sent), headers)
        )
        self._idempotency_keys.mark_completed(body)
        return made

    @cached_property
    def _idempotency_keys(self) -> IdempotencyKeys:
        return IdempotencyKeys(self._time.random)

    async def update(self, read: FetchedRule, rule: Rule, marker: Marker | None) -> LiveRule:
        """Replace a rule that was just read; its unknown fields stay as they are."""
        path, headers = self._rule_path(read.live.id), {"If-Match": read.etag} if read.etag else {}
        sent = self._mapper.update_body(rule_json.rule_body(rule, marker, read.live.raw))
        return self._parse_written_rule(await self._call("update", path, _encode_json(sent), headers))

    async def restore(self, read: FetchedRule, before: LiveRule) -> LiveRule:
        """Restore an earlier state of a rule that was just read, and return the rule from the response."""
        ours = rule_json.rule_body(before.rule, before.marker)
        ours |= {name: before.raw[name] for name in ours if name in before.raw}
        raw = {**before.raw, **read.live.raw, **ours}
        path, headers = self._rule_path(read.live.id), {"If-Match": read.etag} if read.etag else {}
        return self._parse_written_rule(
            await self._call("update", path, _encode_json(self._mapper.update_body(raw)), headers)
        )

    async def delete(self, read: FetchedRule) -> None:
        """Delete a rule that was just read; a missing rule is a success."""
        headers = {"If-Match": read.etag} if read.etag else {}
        try:
            await self._call("delete", self._rule_path(read.live.id), headers=headers)
        except RuleNotFoundError:
            return

    def _parse_written_rule(self, answer: ApiResponse) -> LiveRule:
        try:
            return rule_json.parse_live_rule(self._mapper.single_rule(answer.payload))
        except UnexpectedResponseError as error:
            raise AmbiguousWriteError(f"the write was answered with status {answer.status}, but {error}") from error


def rule_path(rules_path: str, rule_id: str) -> str:
    """Return the path of a rule. Ids come from the server: dots alone would lead to another path."""
    if rule_id in ("", ".", "..") or not rule_json.is_text(rule_id):
        raise UnexpectedResponseError(f"{rule_id[:64]!r} cannot be the id of a rule")
    return f"{rules_path}/{quote(rule_id, safe='')}"


def _encode_json(body: Json) -> bytes:
    return json.dumps(body, allow_nan=False).encode()


def _usable_etag(etag: str | None) -> str | None:
    return etag if etag and etag.isascii() and etag.isprintable() else None


def _refusal_error(call: str, status: int, why: str) -> ApiError:
    """Return the error for a 4xx or a 501 (invariants F14, F18 to F22)."""
    if status in _GONE_STATUSES.get(call, ()):
        return RuleNotFoundError(why, status)
    if call in _READ_KINDS or status in _UNSUPPORTED_STATUSES[call]:
        return UnsupportedCallError(why)
    return _REJECTION_ERRORS.get(status, RejectedError)(why, status)
