"""The endpoint as an ASGI application: who may, what came, its answer, one line of log (docs/context.md).

Bare ASGI: four paths need no router, and a framework's own error pages would be one more thing that could be said.
"""

from __future__ import annotations

import asyncio
import json
import time
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
from reconciler.endpoint.handler import EventHandler, EventPolicy, ignore_conversations
from reconciler.endpoint.messages import EndpointResponse, encode_json, error_response, retry_later
from reconciler.endpoint.metrics import Metrics
from reconciler.text.prometheus import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from reconciler.endpoint.handler import HandleEvent, WriteAttributes

_ROUTE: Final = b"/api/route"
_PROBES: Final = (b"/health", b"/ready", b"/metrics")
_PATHS: Final = {path: path.decode() for path in (_ROUTE, *_PROBES)}
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_MARGIN: Final = 0.05  # seconds of each request's that are kept to say that there was no answer
_UNAUTHORIZED: Final = error_response(
    401, "unauthorized", "no valid key or signature", (b"www-authenticate", b"Bearer")
)


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Stores:
    """What is remembered of events: by this process alone, or by others, too."""

    locks: LockProvider
    message_ids: MessageIdStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDependencies:
    """What the endpoint takes from the world around it. `now` is in UTC, `clock` monotonic.

    ready: says whether the upstream could be written to. log: is given one line of JSON a request. log_label: what to
    call a conversation in the log. gauges: more values for the metrics. stores: of events; none is this process's own.
    limit_share: how much of the limits this process has, above 0 and at most 1.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    ready: Callable[[], Awaitable[bool]] = _always
    log: Callable[[str], object] = lambda _line: None
    log_label: Callable[[str], str] = lambda conversation: conversation
    gauges: Callable[[], Mapping[str, float]] = dict
    stores: Stores | None = None
    limit_share: Callable[[], float] = lambda: 1.0


@dataclass(slots=True)
class _RequestRecord:
    """What the log says of a request beside its answer."""

    conversation: str = ""


def build_context_app(
    write: WriteAttributes,
    keys: Iterable[str],
    secrets: Iterable[str] = (),
    policy: EventPolicy | None = None,
    dependencies: EndpointDependencies | None = None,
    limits: Limits | None = None,
) -> ContextApp:
    """Return the endpoint over a `write`. Without keys and secrets anybody may post who can reach it.

    Raises SecretError where one of `secrets`, which sign as Standard Webhooks says, cannot be one.
    """
    around, bounds = dependencies or EndpointDependencies(), limits or Limits()
    memory, metrics = (
        around.stores or Stores(ConversationLocks(around.clock), InMemoryMessageIds(around.clock)),
        Metrics(),
    )
    said = policy or EventPolicy()
    relay = EventHandler(write, said, memory.locks, metrics, lambda: bounds.max_waiting * around.limit_share())
    gate = _Authenticator(ApiKeys(keys), SignatureVerifier(secrets), Deduplicator(memory.message_ids))
    return ContextApp(gate, ignore_conversations(relay.handle, said.ignored_conversations), metrics, around, bounds)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests may be under way, and how many seconds each may take."""

    max_waiting: int = 200
    deadline_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class _Authenticator:
    """Who may post."""

    keys: ApiKeys
    signatures: SignatureVerifier
    deduplicator: Deduplicator

    def is_signed(self, scope: Scope) -> bool:
        """Say whether the signature decides, which only the whole body can tell."""
        return bool(self.signatures) and is_signed(scope["headers"])

    def accepts_key(self, scope: Scope) -> bool:
        """Say whether a request that is not signed may go on."""
        if not self.keys:
            return not self.signatures
        return self.keys.accepts(scope["headers"])


class ContextApp:
    """The ASGI application. `draining` makes /ready say no."""

    def __init__(
        self,
        authenticator: _Authenticator,
        handle: HandleEvent,
        metrics: Metrics,
        dependencies: EndpointDependencies,
        limits: Limits,
    ) -> None:
        self._authenticator, self._handle, self._dependencies, self._limits = (
            authenticator,
            handle,
            dependencies,
            limits,
        )
        self.metrics = metrics
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the server hands over nothing else (endpoint/server.py: `lifespan` and `ws` are off)."""
        began, record = self._dependencies.clock(), _RequestRecord()
        path = scope.get("raw_path") or scope["path"].encode()
        answer = await self._respond(path, scope, receive, record)
        await _send(answer, scope, send)
        self._record_request(path, scope, answer, record, self._dependencies.clock() - began)

    async def _respond(self, path: bytes, scope: Scope, receive: Receive, record: _RequestRecord) -> EndpointResponse:
        try:
            if path == _ROUTE:
                return await self._respond_to_event(scope, receive, record)
            return await self._respond_to_probe(path, scope)
        except messages.RequestRefusedError as refused:
            return refused.response._replace(closes_connection=True)
        except Exception as bug:  # noqa: BLE001 - whatever it is, the caller gets JSON, and may come again
            self._dependencies.log(json.dumps({"event": "bug", "error": type(bug).__name__}))
            return retry_later(503, "bug", "the endpoint failed")

    async def _respond_to_probe(self, path: bytes, scope: Scope) -> EndpointResponse:
        if path not in _PROBES:
            refused = error_response(404, "path", "there is no such path; post to /api/route")
            return refused._replace(closes_connection=True)
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
        """Take an event that somebody sent who may."""
        try:
            found = parse_event(body)
        except InvalidEventError as error:
            return error_response(400, "invalid", str(error))
        record.conversation = found.conversation
        return await self._handle(found, message, self._dependencies.now(), end)

    def _record_request(
        self, path: bytes, scope: Scope, answer: EndpointResponse, record: _RequestRecord, seconds: float
    ) -> None:
        """Count and log an answer, but for probes that went well: these come every few seconds for ever."""
        if path == _ROUTE:
            self.metrics.count_response(answer.status, answer.outcome, seconds)
        elif answer.status == 200:  # noqa: PLR2004 - well
            return
        method, name = scope["method"] if scope["method"] in _METHODS else "other", _PATHS.get(path, "other")
        about = (
            f', "conversation": "{self._dependencies.log_label(record.conversation)}"' if record.conversation else ""
        )
        # No value of these can hold what JSON would escape; to encode a dictionary takes five times as long.
        self._dependencies.log(
            f'{{"time": "{format_timestamp(self._dependencies.now())}", "event": "request",'
            f' "method": "{method}", "path": "{name}",'
            f' "status": {answer.status}, "outcome": "{answer.outcome}", "ms": {seconds * 1000:.1f}{about}}}'
        )


async def _send(answer: EndpointResponse, scope: Scope, send: Send) -> None:
    headers = [
        (b"content-type", answer.media_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"cache-control", b"no-store"),
        *answer.headers,
    ]
    if answer.closes_connection:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
