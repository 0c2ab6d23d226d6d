"""Clients of a decision service's table. The reading one has no call that writes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from reconciler.core import errors
from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, TableSettings
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.model.rule import Queue
from reconciler.core.rule_json import rule_body
from reconciler.core.target import Author, CallCounts
from reconciler.core.text.escape import sanitize
from reconciler.targets.decide.publication import Publication, parse_publication
from reconciler.targets.decide.rules_routes import (
    AUTHOR_HEADER,
    COMMIT_HEADER,
    RULES_PATH,
)
from reconciler.targets.decide.table import (
    MAX_TABLE_BYTES,
    TableError,
    published_id,
)
from reconciler.targets.platform.service import ServiceConnection
from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.rate_limiter import RateLimiter
from reconciler.targets.platform.transport.request import (
    ACCEPT_HEADERS,
    ApiRequest,
    ApiResponse,
)
from reconciler.targets.platform.transport.sender import RequestKind, RetryingSender

ListQueues = Callable[[Mapping[str, str]], Awaitable[tuple[Queue, ...]]]
"""Returns every queue; gets those of the published table, names by id."""
_NO_TABLE: Final = TableSettings(NO_FALLBACK, "")
_MAX_REASON: Final = 300  # characters


class ServiceReader:
    """Reads the published table, and the queues of the tenant or of the manifests."""

    def __init__(self, connection: ServiceConnection, list_queues: ListQueues) -> None:
        settings = connection.settings
        self._server = ServerUrl.parse(settings.base_url)
        self._key = connection.key
        self._list_queues = list_queues
        self._limiter = RateLimiter(
            settings.requests_per_second,
            settings.concurrency,
            connection.time,
            settings.run_seconds,
            settings.patience_seconds,
            connection.on_wait,
        )
        self._sender = RetryingSender(
            connection.transport, settings, self._limiter, connection.time, _explain
        )
        self._read: Publication | None = None  # the last one

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every published rule; none before the first publication."""
        response = await self._call("GET", RequestKind.READ)
        if response.status == HTTPStatus.NOT_FOUND:
            self._read = None
            return ()
        self._check_read(response)
        try:
            self._read = parse_publication(response.payload)
        except TableError as error:
            raise errors.UnexpectedResponseError(
                f"{response.call}: a decision service has another answer: {error}"
            ) from None
        return self._read.table.rules

    async def queues(self) -> tuple[Queue, ...]:
        """Return every queue that a rule may name."""
        published = self._read.table.queues if self._read else {}
        return await self._list_queues(published)

    async def last_save(self) -> LastSave | None:
        """Return who published the table of the last read, and when."""
        if self._read is None:
            return None
        facts = self._read.facts
        return LastSave(sanitize(facts.published_by), sanitize(facts.published_at))

    async def table_settings(self) -> TableSettings:
        """Return the settings beside the rules of the last read."""
        if self._read is None:
            return _NO_TABLE
        return self._read.table.settings.table_settings

    def limit_time(self, seconds: float) -> None:
        """Start the time limit of all further calls."""
        self._limiter.restart_time_limit(seconds)

    def call_counts(self) -> CallCounts:
        """Return the numbers of calls so far."""
        limiter = self._limiter
        return CallCounts(limiter.requests, limiter.retries, limiter.throttled)

    async def _call(
        self,
        method: str,
        kind: RequestKind,
        content: bytes = b"",
        headers: Mapping[str, str] = {},
    ) -> ApiResponse:
        authorization = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        request = ApiRequest(
            method,
            self._server,
            f"{self._server.path}{RULES_PATH}",
            {**ACCEPT_HEADERS, **authorization, **headers},
            content,
        )
        response = await self._sender.send(request, kind)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            right = "publish" if method == "PUT" else "read"
            raise errors.CredentialsError(
                f"the decision service refuses the key ({_described(response)}); set the variable of "
                f"`served.keyEnv` to a key that may {right} (CXROUTE_ADMIN_KEYS of the service)"
            )
        return response

    def _check_read(self, response: ApiResponse) -> None:
        if not response.is_success:
            raise errors.UnsupportedCallError(
                f"{_described(response)}; check the address in `served.url`"
            )


class ServicePublisher(ServiceReader):
    """Reads and publishes the table."""

    notes: tuple[str, ...] = ()

    def __init__(
        self, connection: ServiceConnection, list_queues: ListQueues, author: Author
    ) -> None:
        super().__init__(connection, list_queues)
        self._author = author

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold nothing: each publication names the table that it replaces."""
        yield

    async def save(
        self,
        read: Sequence[LiveRule],
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: TableSettings | None,
    ) -> tuple[str, ...]:
        """Publish a table in place of the last one that was read.

        Raises ConcurrentChangeError if another one was published since.
        """
        before = self._read
        if tuple(read) != (before.table.rules if before else ()):
            raise errors.ConcurrentChangeError(
                "the published table changed since it was read", HTTPStatus.CONFLICT
            )
        response = await self._publish(self._table_json(after, queue_names, settings))
        if response.status == HTTPStatus.PRECONDITION_FAILED:
            raise errors.ConcurrentChangeError(_described(response), response.status)
        if not response.is_success:
            raise errors.RejectedError(
                f"the decision service refuses the table, and nothing was published: "
                f"{_described(response)}",
                response.status,
            )
        return ()

    async def _publish(self, content: dict[str, Any]) -> ApiResponse:
        """Send a table in place of the last one that was read."""
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(body) > MAX_TABLE_BYTES:
            limit = f"{MAX_TABLE_BYTES // 2**20} MiB"
            raise errors.RejectedError(
                f"the table would have more than {limit}, the limit of a decision service",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        condition = {"If-None-Match": "*"}
        if self._read is not None:
            condition = {"If-Match": self._read.etag}
        headers = {
            "Content-Type": "application/json",
            **condition,
            **_author_headers(self._author),
        }
        return await self._call("PUT", RequestKind.SAVE, body, headers)

    def _table_json(
        self,
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: TableSettings | None,
    ) -> dict[str, Any]:
        """Return the table to publish; queues of rules that the tenant no longer lists keep their
        names.
        """
        known = dict(self._read.table.queues) if self._read else {}
        names = {**known, **queue_names}
        rules = self._rules_json(after)
        used = {
            target["queueId"]
            for rule in rules
            for target in rule["targets"]
            if isinstance(target.get("queueId"), str)
        }
        queues = [
            {"id": queue_id, "name": names.get(queue_id, queue_id)}
            for queue_id in sorted(used)
        ]
        content = json.loads(settings.content) if settings else {}
        return {"rules": rules, "queues": queues, **content}

    def _rules_json(self, after: Sequence[LiveRule]) -> list[dict[str, Any]]:
        """Return the rules as JSON: unchanged ones as they were read, and new ones with an id."""
        before = {
            live.id: live for live in (self._read.table.rules if self._read else ())
        }
        taken = frozenset(before) | {live.id for live in after}
        rules = []
        for live in after:
            read = before.get(live.id)
            if read is not None and read.content == live.content:
                rules.append(dict(read.raw))
                continue
            rule_id = live.id
            if read is None and live.marker is not None:
                rule_id = published_id(live.marker.owner, live.marker.address, taken)
            body = rule_body(live.rule, live.marker, read.raw if read else None)
            rules.append({**body, "id": rule_id})
        return rules


def _author_headers(author: Author) -> dict[str, str]:
    """Return the headers that say who publishes; only what a header may have."""
    facts = {AUTHOR_HEADER: author.name, COMMIT_HEADER: author.commit}
    return {
        name: text.encode("ascii", "replace").decode()
        for name, text in facts.items()
        if text and text.isprintable()
    }


def _described(response: ApiResponse) -> str:
    return f"{response.call}: status {response.status}, {_explain(response)}"


def _explain(response: ApiResponse) -> str:
    """Return the service's own words in one safe line."""
    payload = response.payload
    if payload is None:
        try:
            payload = json.loads(response.content[:65_536])
        except ValueError:
            payload = {}
    text = payload.get("error") if isinstance(payload, dict) else None
    return sanitize(text, _MAX_REASON) if isinstance(text, str) else "no reason given"
