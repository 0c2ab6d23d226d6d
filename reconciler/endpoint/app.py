"""The endpoint as an ASGI application: authentication, the response, one log line for each request (docs/context.md).

Bare ASGI: four paths need no router, and a framework would add error pages of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from reconciler.endpoint import messages
from reconciler.endpoint.auth import (
    ApiKeys,
    Deduplicator,
    InMemoryMessageIds,
    MessageIdStore,
    SignatureVerifier,
    is_signed,
)
from reconciler.endpoint.conversations import ConversationLocks, LockProvider
from reconciler.endpoint.event import InvalidEventError, format_timestamp, parse_event
from reconciler.endpoint.handler import EventHandler, EventPolicy, HandleEvent, WriteAttributes, ignore_conversations
from reconciler.endpoint.messages import EndpointResponse, encode_json, error_response, retry_later
from reconciler.endpoint.metrics import Metrics
from reconciler.text.prometheus import CONTENT_TYPE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_ROUTE: Final = b"/api/route"
_PROBES: Final = (b"/health", b"/ready", b"/metrics")
_PATHS: Final = {path: path.decode() for path in (_ROUTE, *_PROBES)}
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_MARGIN: Final = 0.05  # seconds before the deadline, for the response that the request failed
_UNAUTHORIZED: Final = error_response(
    401, "unauthorized", "no valid key or signature", (b"www-authenticate", b"Bearer")
)


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of events: of this process, or shared with other instances."""

    locks: LockProvider
    message_ids: MessageIdStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDependencies:
    """The endpoint's environment."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    ready: Callable[[], Awaitable[bool]] = _always  # whether a write to the upstream is possible
    log: Callable[[str], object] = lambda _line: None  # takes one line of JSON for each request
    log_label: Callable[[str], str] = lambda conversation: conversation  # the name of a conversation in the log
    gauges: Callable[[], Mapping[str, float]] = dict  # additional metrics
    stores: Stores | None = None  # default: stores of this process
    limit_share: Callable[[], float] = lambda: 1.0  # this process's part of the limits, above 0 and at most 1


@dataclass(slots=True)
class _RequestRecord:
    conversation: str = ""  # for the log


def build_context_app(
    write: WriteAttributes,
    keys: Iterable[str],
    secrets: Iterable[str] = (),
    policy: EventPolicy | None = None,
    dependencies: EndpointDependencies | None = None,
    limits: Limits | None = None,
) -> ContextApp:
    """Return the endpoint over a `write`; without keys and secrets every client may post.

    Raises SecretError for one of the Standard Webhooks `secrets` that is invalid.
    """
    deps, bounds, rules, metrics = (
        dependencies or EndpointDependencies(),
        limits or Limits(),
        policy or EventPolicy(),
        Metrics(),
    )
    stores = deps.stores or Stores(ConversationLocks(deps.clock), InMemoryMessageIds(deps.clock))
    handler = EventHandler(write, rules, stores.locks, metrics, lambda: bounds.max_waiting * deps.limit_share())
    authenticator = _Authenticator(ApiKeys(keys), SignatureVerifier(secrets), Deduplicator(stores.message_ids))
    handle = ignore_conversations(handler.handle, rules.ignored_conversations)
    return ContextApp(authenticator, handle, metrics, deps, bounds)


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum number of concurrent requests, and of seconds for each."""

    max_waiting: int = 200
    deadline_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class _Authenticator:
    keys: ApiKeys
    signatures: SignatureVerifier
    deduplicator: Deduplicator

    def is_signed(self, scope: Scope) -> bool:
        """Return whether the signature decides, which depends on the whole body."""
        return bool(self.signatures) and is_signed(scope["headers"])

    def accepts_key(self, scope: Scope) -> bool:
        """Return whether a request without a signature is accepted."""
        return self.keys.accepts(scope["headers"]) if self.keys else not self.signatures


class ContextApp:
    """The ASGI application; while `draining` is set, /ready answers 503."""

    def __init__(
        self,
        authenticator: _Authenticator,
        handle: HandleEvent,
        metrics: Metrics,
        dependencies: EndpointDependencies,
        limits: Limits,
    ) -> None:
        self._authenticator, self._handle = authenticator, handle
        self._dependencies, self._limits = dependencies, limits
        self.metrics = metrics
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; `lifespan` and `ws` are off in endpoint/server.py."""
        began, record = self._dependencies.clock(), _RequestRecord()
        path = scope.get("raw_path") or scope["path"].encode()
        response = await self._respond(path, scope, receive, record)
        await _send(response, scope, send)
        self._record_request(path, scope, response, record, self._dependencies.clock() - began)

    async def _respond(self, path: bytes, scope: Scope, receive: Receive, record: _RequestRecord) -> EndpointResponse:
        try:
            if path == _ROUTE:
                return await self._respond_to_event(scope, receive, record)
            return await self._respond_to_probe(path, scope)
        except messages.RequestRefusedError as refused:
            return refused.response._replace(closes_connection=True)
        except Exception as bug:  # noqa: BLE001 - the client gets JSON after any error, and may retry
            self._dependencies.log(json.dumps({"event": "bug", "error": type(bug).__name__}))
            return retry_later(503, "bug", "the endpoint failed")

    async def _respond_to_probe(self, path: bytes, scope: Scope) -> EndpointResponse:
        if path not in _PROBES:
            unknown = error_response(404, "path", "there is no such path; post to /api/route")
            return unknown._replace(closes_connection=True)
        if scope["method"] not in ("GET", "HEAD"):
            return error_response(405, "method", "only GET", (b"allow", b"GET, HEAD"))._replace(closes_connection=True)
        if path == b"/health":
            return EndpointResponse(200, "ok", encode_json({"status": "ok"}))
        if path == b"/metrics":
            return EndpointResponse(200, "ok", self.metrics.render(self._dependencies.gauges()), CONTENT_TYPE)
        if self.draining or not await self._dependencies.ready():
            return retry_later(503, "not_ready", "no token can be had, or the endpoint is about to end")
        return EndpointResponse(200, "ok", encode_json({"status": "ready"}))

    async def _respond_to_event(self, scope: Scope, receive: Receive, record: _RequestRecord) -> EndpointResponse:
        end = asyncio.get_running_loop().time() + self._limits.deadline_seconds - _MARGIN
        if scope["method"] != "POST":
            return error_response(405, "method", "only POST", (b"allow", b"POST"))._replace(closes_connection=True)
        signed = self._authenticator.is_signed(scope)
        if not signed and not self._authenticator.accepts_key(scope):
            return _UNAUTHORIZED._replace(closes_connection=True)
        messages.check_headers(scope["headers"])
        body = await messages.read_body(receive)
        if not signed:
            return await self._handle_body(body, "", end, record)
        now = self._dependencies.now().timestamp()
        message = self._authenticator.signatures.verify(scope["headers"], body, now)
        if message is None:
            return _UNAUTHORIZED
        return await self._authenticator.deduplicator.run_once(
            message, body, end, lambda: self._handle_body(body, message, end, record)
        )

    async def _handle_body(self, body: bytes, message: str, end: float, record: _RequestRecord) -> EndpointResponse:
        try:
            event = parse_event(body)
        except InvalidEventError as error:
            return error_response(400, "invalid", str(error))
        record.conversation = event.conversation
        return await self._handle(event, message, self._dependencies.now(), end)

    def _record_request(
        self, path: bytes, scope: Scope, response: EndpointResponse, record: _RequestRecord, seconds: float
    ) -> None:
        if path == _ROUTE:
            self.metrics.count_response(response.status, response.outcome, seconds)
        elif response.status == 200:  # noqa: PLR2004 - a successful probe is not logged: there are too many
            return
        method, name = scope["method"] if scope["method"] in _METHODS else "other", _PATHS.get(path, "other")
        label = self._dependencies.log_label(record.conversation) if record.conversation else ""
        conversation = f', "conversation": "{label}"' if record.conversation else ""
        # No value needs an escape in JSON; to encode a dictionary takes five times as long.
        self._dependencies.log(
            f'{{"time": "{format_timestamp(self._dependencies.now())}", "event": "request",'
            f' "method": "{method}", "path": "{name}",'
            f' "status": {response.status}, "outcome": "{response.outcome}", "ms": {seconds * 1000:.1f}{conversation}}}'
        )


async def _send(response: EndpointResponse, scope: Scope, send: Send) -> None:
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", b"%d" % len(response.body)),
        (b"cache-control", b"no-store"),
        *response.headers,
    ]
    if response.closes_connection:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
