"""The client: a reading one and a writing one. A plan is handed the first, which has no method that writes.

Idempotency-Key: how a server that has such keys knows that a create came before.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from reconciler.cxone import rule_json as wire
from reconciler.cxone.auth import Access
from reconciler.cxone.listing import complete
from reconciler.cxone.paging import Book, queues_of, rules_of
from reconciler.cxone.profile_mapping import Dialect
from reconciler.cxone.transport.rate_limiter import Pacer, Tell, Time, untold
from reconciler.cxone.transport.request import ACCEPTED, Answer, Carry, Request
from reconciler.cxone.transport.sender import Kind, Sender
from reconciler.errors import (
    AmbiguousWriteError,
    ApiError,
    ConcurrentChangeError,
    CredentialsError,
    RuleNotFoundError,
    NameTakenError,
    UnsupportedCallError,
    RejectedError,
    ScopeError,
    UnexpectedResponseError,
)
from reconciler.model.live import LiveRule, Marker, FetchedRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.cxone.settings import Credentials, Tenant
    from reconciler.model.rule import Json, Queue, Rule


class Keys:
    """The keys of one client: of one body always the same, until its create was acknowledged."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns a number in [0, 1): it tells one run's keys from another's."""
        self._run = repr(random())
        self._acknowledged: Counter[str] = Counter()

    def key(self, body: object) -> str:
        """Return the key to send with a create: one that is done late is then not done twice."""
        text = json.dumps(body, sort_keys=True)
        return sha256(f"{self._run} {self._acknowledged[text]} {text}".encode()).hexdigest()[:32]

    def acknowledged(self, body: object) -> None:
        """Note that the create was done: the same one after this is meant as another."""
        self._acknowledged[json.dumps(body, sort_keys=True)] += 1


_UNAUTHORIZED: Final = HTTPStatus.UNAUTHORIZED.value
_AS_JSON: Final = {**ACCEPTED, "Content-Type": "application/json"}
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
_READS: Final = {"list": Kind.READ, "list or nothing": Kind.PAGE, "read": Kind.READ}
_KINDS: Final = {
    **_READS,
    "delete": Kind.DELETE,
    "context": Kind.MERGE,
    "custom fields": Kind.MERGE,
    "signal": Kind.SIGNAL,
}
_RIGHTS: Final = {
    **dict.fromkeys(_READS, "scope routing:read"),
    "context": "scope interaction:write",
    "custom fields": "right to change contacts, which its employee's role gives",
    "signal": "right to signal contacts, which its employee's role gives",
}
_REJECTED: Final = {409: NameTakenError, 412: ConcurrentChangeError}
_CONTACTS: Final = ("context", "custom fields", "signal")
_GONE: Final = {
    "read": {404, 410},
    "update": {404},
    "delete": {404, 410},
    **{call: {404, 410} for call in _CONTACTS},
}
_NEVER: Final = {
    "create": {404, 405, 410, 501},
    "update": {405, 410, 501},
    "delete": {405, 413, 414, 431, 501},
    **{call: {405, 501} for call in _CONTACTS},
}
"""Statuses that are about the API and not about one write. A read has nothing of its own that could be wrong: all."""


class ReadingClient:
    """Reads a tenant's rules and queues."""

    def __init__(
        self,
        carry: Carry,
        tenant: Tenant,
        credentials: Credentials,
        time: Time,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
        tell: Tell = untold,
    ) -> None:
        """`progress` is told what is read, how many of its pages are done, and of how many; `tell` each wait."""
        tenant.check()
        self._tenant, self._time = tenant, time
        self._progress = progress
        self._dialect = Dialect(tenant.profile)
        rate, places = tenant.requests_per_second, tenant.concurrency
        self.pacer = Pacer(rate, places, time, tenant.run_seconds, tenant.patience_seconds, tell)
        self._access = Access(tenant, credentials, self._send, time.clock)
        self._sender = Sender(carry, tenant, self.pacer, time, self._access.explanation)

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, in no particular order. Raises IncompleteReadError where that cannot be proven."""
        book = rules_of(self._tenant, self._dialect, lambda: self._access.base)
        return tuple(map(wire.live_rule, await self._all(book)))

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue."""
        book = queues_of(self._tenant, lambda: self._access.base)
        return tuple(map(wire.queue, await self._all(book)))

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return one rule as it is now, or None where it is gone."""
        try:
            answer = await self._call("read", self._rule_path(rule_id))
        except RuleNotFoundError:
            return None
        live = wire.live_rule(self._dialect.single(answer.form))
        if live.id != rule_id:
            raise UnexpectedResponseError(f"{answer.call}: another rule came, {live.id[:64]!r}")
        return FetchedRule(live, _sendable(answer.headers.get("etag")))

    async def _all(self, book: Book) -> list[dict[str, Any]]:
        """Return every entry of a list."""

        async def ask(query: str) -> object:
            answer = await self._call(book.call, f"{book.path}?{query}" if query else book.path)
            return answer.form

        return await complete(ask, book, self._time, self.pacer, self._progress)

    def _rule_path(self, rule_id: str) -> str:
        return rule_path(self._tenant.rules_path, rule_id)

    async def _call(
        self, call: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one call with a token; a refused token is renewed once. `path` may have a query; `content` is JSON."""
        kind = _KINDS.get(call, Kind.WRITE)
        more = {**(_AS_JSON if content else ACCEPTED), **(headers or {})}
        token = await self._access.token()
        base = self._access.base
        for turn in (1, 2):
            known = {"Authorization": f"Bearer {token}", **more}
            request = Request(self._method(call), base, f"{base.path}{path}", known, content)
            answer = await self._sender.send(request, kind)
            if answer.status != _UNAUTHORIZED:
                return self._checked(call, answer)
            if turn == 1:
                token = await self._access.token(refused=token)
        raise CredentialsError("the tenant refuses a token that it has just given; check the client's rights")

    def _method(self, call: str) -> str:
        return self._tenant.profile.update if call == "update" else _METHODS[call]

    def _checked(self, call: str, answer: Answer) -> Answer:
        """Translate the statuses that are final."""
        if answer.is_success and not self._dialect.refuses(answer):
            return answer
        why = f"{answer.call}: status {answer.status}, {self._access.explanation(answer)}"
        if answer.status == HTTPStatus.FORBIDDEN:
            raise ScopeError(f"the client lacks the {_RIGHTS.get(call, 'scope routing:write')} ({why})")
        raise _refused(call, answer.status, why)

    async def _send(self, request: Request, kind: Kind) -> Answer:
        return await self._sender.send(request, kind)


class WritingClient(ReadingClient):
    """Reads, creates, updates and deletes rules."""

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it as the server answered."""
        body = wire.body(rule, marker)
        headers = {"Idempotency-Key": self._keys.key(body)} if self._tenant.idempotency_keys else {}
        sent = self._dialect.body(body)
        made = self._written(await self._call("create", self._tenant.rules_path, _encoded(sent), headers))
        self._keys.acknowledged(body)
        return made

    @cached_property
    def _keys(self) -> Keys:
        return Keys(self._time.random)

    async def update(self, read: FetchedRule, rule: Rule, marker: Marker | None) -> LiveRule:
        """Replace a rule that was just read; what we do not know of it goes back as it was."""
        path, headers = self._rule_path(read.live.id), {"If-Match": read.etag} if read.etag else {}
        sent = self._dialect.update(wire.body(rule, marker, read.live.raw))
        return self._written(await self._call("update", path, _encoded(sent), headers))

    async def restore(self, read: FetchedRule, before: LiveRule) -> LiveRule:
        """Write a rule that was just read back as it was earlier, and return it as the server answered."""
        ours = wire.body(before.rule, before.marker)
        ours |= {name: before.raw[name] for name in ours if name in before.raw}
        raw = {**before.raw, **read.live.raw, **ours}
        path, headers = self._rule_path(read.live.id), {"If-Match": read.etag} if read.etag else {}
        return self._written(await self._call("update", path, _encoded(self._dialect.update(raw)), headers))

    async def delete(self, read: FetchedRule) -> None:
        """Delete a rule that was just read; one that is gone already is a success."""
        headers = {"If-Match": read.etag} if read.etag else {}
        try:
            await self._call("delete", self._rule_path(read.live.id), headers=headers)
        except RuleNotFoundError:
            return

    def _written(self, answer: Answer) -> LiveRule:
        """Read the answer to a write; one that cannot be used leaves open what was written."""
        try:
            return wire.live_rule(self._dialect.single(answer.form))
        except UnexpectedResponseError as error:
            raise AmbiguousWriteError(f"the write was answered with status {answer.status}, but {error}") from error


def rule_path(rules_path: str, rule_id: str) -> str:
    """Quote the id into the path. Ids come from the server: dots alone would lead out of the rules."""
    if rule_id in ("", ".", "..") or not wire.is_text(rule_id):
        raise UnexpectedResponseError(f"{rule_id[:64]!r} cannot be the id of a rule")
    return f"{rules_path}/{quote(rule_id, safe='')}"


def _encoded(body: Json) -> bytes:
    return json.dumps(body, allow_nan=False).encode()


def _sendable(etag: str | None) -> str | None:
    """Return the ETag if it can go back in a header; a rule without a usable one is compared before it is written."""
    return etag if etag and etag.isascii() and etag.isprintable() else None


def _refused(call: str, status: int, why: str) -> ApiError:
    """Return what a 4xx or a 501 means for a call (invariants F14, F18 to F22)."""
    if status in _GONE.get(call, ()):
        return RuleNotFoundError(why, status)
    if call in _READS or status in _NEVER[call]:
        return UnsupportedCallError(why)
    return _REJECTED.get(status, RejectedError)(why, status)
