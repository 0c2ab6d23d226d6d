"""The endpoint as an ASGI application: authentication, the response, one log line for each request
(docs/context.md).

It uses no framework: four paths need no router, and a framework would add other error pages.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from reconciler.core.text.prometheus import CONTENT_TYPE, exposition
from reconciler.core.text.trace_context import CURRENT_TRACE, TraceContext, parse_trace
from reconciler.features.endpoint import messages
from reconciler.features.endpoint.auth import (
    ApiKeys,
    InMemoryMessageIds,
    MessageIdStore,
    SignatureVerifier,
    run_once,
)
from reconciler.features.endpoint.conversations import ConversationLocks, LockProvider
from reconciler.features.endpoint.decide.events import table_policy
from reconciler.features.endpoint.decide.live_table import LiveTable
from reconciler.features.endpoint.decide.service import NO_TABLE, DecisionService
from reconciler.features.endpoint.event import (
    CLOCK_TOLERANCE,
    InvalidEventError,
    format_timestamp,
    latest_timestamp,
    parse_event,
)
from reconciler.features.endpoint.handler import (
    EventHandler,
    EventPolicy,
    WriteAttributes,
)
from reconciler.features.endpoint.messages import (
    EndpointResponse,
    encode_json,
    error_response,
    retry_later,
)
from reconciler.features.endpoint.metrics import FUTURE_OUTCOME, Metrics

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

DEADLINE: Final = 5.0  # seconds for a request; the bot's platform gives up after eight
_ROUTE: Final = b"/api/route"
_PROBES: Final = (b"/health", b"/ready", b"/metrics")
_PATHS: Final = {path: path.decode() for path in (_ROUTE, *_PROBES)}
_OTHER_PATH: Final = "other"
_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
)
_CONVERSATION: Final = "cxroute.conversation"  # of a request's scope, for the log
_MARGIN: Final = 0.05  # seconds before the deadline, for the error response
_NO_STORE: Final = (b"cache-control", b"no-store")
_BEARER: Final = (b"www-authenticate", b"Bearer")
_UNAUTHORIZED: Final = error_response(
    401,
    "unauthorized",
    "no valid key or signature",
    _BEARER,
)


_ONLY_POST: Final = error_response(
    405, "method", "only POST", (b"allow", b"POST")
)._replace(closes_connection=True)
_NO_TENANT: Final = error_response(
    404, "no_tenant", "this Environment has no tenant: ask /decide or /exchange"
)._replace(closes_connection=True)


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDependencies:
    """The clocks, the log, the stores and the limits of the endpoint; the defaults are those of one
    process.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    # Whether a write to the upstream is possible.
    ready: Callable[[], Awaitable[bool]] = _always
    # Takes one line of JSON for each request.
    log: Callable[[str], object] = lambda _line: None
    # The name of a conversation in the log.
    log_label: Callable[[str], str] = lambda conversation: conversation
    metrics: Callable[[], Iterable[str]] = tuple  # the lines of additional metrics
    # Shared with other instances; default: this process's.
    stores: tuple[LockProvider, MessageIdStore] | None = None
    max_waiting: int = 200  # concurrent requests of all instances
    # This process's part of them: more than 0, at most 1.
    limit_share: Callable[[], float] = lambda: 1.0
    deadline_seconds: float = DEADLINE
    # The decision service, with `--decide`.
    decisions: DecisionService | None = None


class ContextApp:
    """The endpoint over a `write`, as an ASGI application; while `draining` is set, /ready answers
    503.
    """

    def __init__(
        self,
        write: WriteAttributes | None,
        keys: Iterable[str],
        secrets: Iterable[str] = (),
        policy: EventPolicy | None = None,
        dependencies: EndpointDependencies | None = None,
    ) -> None:
        """Without keys and secrets every client may post. Without a `write` no event is taken: there
        is no tenant.

        Raises SecretError for an invalid signing secret.
        """
        deps = dependencies or EndpointDependencies()
        rules = policy or EventPolicy()
        locks, self._message_ids = deps.stores or (
            ConversationLocks(deps.clock),
            InMemoryMessageIds(deps.clock),
        )
        self.metrics = Metrics(rules.fallback)
        self.draining = False
        limit = deps.max_waiting
        share = deps.limit_share
        self._handler = write and EventHandler(
            write,
            rules,
            locks,
            self.metrics,
            lambda: limit * share(),
        )
        self._policy = rules
        self._live: LiveTable | None = None  # whose names and fallback events have
        self._keys = ApiKeys(keys)
        self._signatures = SignatureVerifier(secrets)
        self._dependencies = deps

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request; `lifespan` and `ws` are off in cli/http_server.py."""
        began = self._dependencies.clock()
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        trace = parse_trace(scope["headers"])
        before = CURRENT_TRACE.set(trace)
        try:
            response = await self._respond(path, scope, receive)
        finally:
            CURRENT_TRACE.reset(before)
        headers = [
            (b"content-type", response.media_type),
            (b"content-length", b"%d" % len(response.body)),
            _NO_STORE,
        ]
        headers += response.headers
        if response.closes_connection:
            headers.append((b"connection", b"close"))
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": headers,
            }
        )
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})
        seconds = self._dependencies.clock() - began
        self._record_request(path, scope, response, seconds, trace)

    async def _respond(
        self,
        path: bytes,
        scope: "Scope",
        receive: "Receive",
    ) -> EndpointResponse:
        try:
            if path == _ROUTE:
                return await self._respond_to_event(scope, receive)
            decisions = self._dependencies.decisions
            is_probe = path in _PATHS or _name_of(path, decisions) == _OTHER_PATH
            if decisions is not None and not is_probe:
                return await decisions.answer(path.decode(), scope, receive)
            return await self._respond_to_probe(path, scope)
        except messages.RequestRefusedError as refused:
            return refused.response._replace(closes_connection=True)
        except Exception as bug:  # noqa: BLE001 - the client gets JSON after any error, and may retry
            line = {"event": "bug", "error": type(bug).__name__}
            self._dependencies.log(json.dumps(line))
            return retry_later(503, "bug", "the endpoint failed")

    async def _respond_to_probe(self, path: bytes, scope: "Scope") -> EndpointResponse:
        if path not in _PROBES:
            raise messages.RequestRefusedError(
                404,
                "path",
                "unknown path; post to /api/route",
            )
        if scope["method"] not in ("GET", "HEAD"):
            allow = (b"allow", b"GET, HEAD")
            refusal = error_response(405, "method", "only GET", allow)
            return refusal._replace(closes_connection=True)
        if path == b"/health":
            return EndpointResponse(200, "ok", encode_json({"status": "ok"}))
        if path == b"/metrics":
            page = exposition(self._metric_lines())
            return EndpointResponse(200, "ok", page.encode(), CONTENT_TYPE)
        if self.draining or not await self._dependencies.ready():
            problem = "not ready: no access token, or the endpoint is shutting down"
            return retry_later(503, "not_ready", problem)
        decisions = self._dependencies.decisions
        if decisions is not None and not await decisions.is_ready():
            return retry_later(503, "not_ready", f"not ready: {NO_TABLE}")
        return EndpointResponse(200, "ok", encode_json({"status": "ready"}))

    def _metric_lines(self) -> Iterator[str]:
        decisions = self._dependencies.decisions
        if decisions is not None and decisions.follower.held is not None:
            self._use_table(decisions.follower.held, decisions)
        yield from self.metrics.lines()
        yield from self._dependencies.metrics()
        if decisions is not None:
            yield from decisions.metric_lines()

    async def _respond_to_event(
        self,
        scope: "Scope",
        receive: "Receive",
    ) -> EndpointResponse:
        now = asyncio.get_running_loop().time()
        end = now + self._dependencies.deadline_seconds - _MARGIN
        if scope["method"] != "POST":
            return _ONLY_POST
        if self._handler is None:
            return _NO_TENANT

        headers = scope["headers"]
        # With a signature only the signature counts; it covers the complete body.
        signed = bool(self._signatures) and any(
            name == b"webhook-signature" for name, _ in headers
        )
        if not signed and not self._accepts_unsigned(headers):
            return _UNAUTHORIZED._replace(closes_connection=True)
        messages.check_headers(headers)
        body = await messages.read_body(receive)
        if not signed:
            return await self._handle_body(body, "", end, scope)

        timestamp = self._dependencies.now().timestamp()
        message_id = self._signatures.verify(headers, body, timestamp)
        if message_id is None:
            return _UNAUTHORIZED
        handle = partial(self._handle_body, body, message_id, end, scope)
        return await run_once(self._message_ids, message_id, body, end, handle)

    def _accepts_unsigned(self, headers: messages.Headers) -> bool:
        """Return whether a request without a signature has a key, or needs none."""
        if self._keys:
            return self._keys.accepts(headers)
        decisions = self._dependencies.decisions
        is_closed = decisions is not None and not decisions.keys.is_open
        return not self._signatures and not is_closed

    async def _handle_body(
        self,
        body: bytes,
        message_id: str,
        deadline: float,
        scope: "Scope",
    ) -> EndpointResponse:
        handler = self._handler
        if handler is None:
            raise AssertionError("an event was read without a tenant")
        try:
            event = parse_event(body)
        except InvalidEventError as error:
            return error_response(400, "invalid", str(error))
        scope[_CONVERSATION] = event.conversation
        now = self._dependencies.now()
        if event.timestamp is not None and event.timestamp > latest_timestamp(now):
            limit = f"must be at most {CLOCK_TOLERANCE} seconds ahead of"
            clock = f"the endpoint's clock, which says {format_timestamp(now)}"
            text = f"timestamp: {limit} {clock}"
            return error_response(400, FUTURE_OUTCOME, text)
        decisions = self._dependencies.decisions
        if decisions is not None:
            # the fallback of events is that of the table
            live = await decisions.follower.current()
            if live is None:
                return retry_later(503, "no_table", NO_TABLE)
            self._use_table(live, decisions)
        return await handler.handle(event, message_id, now, deadline)

    def _use_table(self, live: LiveTable, decisions: DecisionService) -> None:
        """Take the names and the fallback of events from a table."""
        if live is self._live or self._handler is None:
            return
        self._live = live
        self._handler.policy = table_policy(self._policy, live, decisions)
        self.metrics.use(live.table.settings.fallback)

    def drain(self) -> None:
        """Answer 503 to /ready from now on."""
        self.draining = True

    def record_refusal(self, status: HTTPStatus | None, reason: str) -> None:
        """Count and log a request that the connection refused (`server.RefusalListener`)."""
        self.metrics.count_refusal(status)
        line = {
            "time": format_timestamp(self._dependencies.now()),
            "event": "refused",
            "status": status,
            "reason": reason,
        }
        self._dependencies.log(json.dumps(line))

    def _record_request(
        self,
        path: bytes,
        scope: "Scope",
        response: EndpointResponse,
        seconds: float,
        trace: TraceContext | None,
    ) -> None:
        if path == _ROUTE:
            self.metrics.count_response(response.status, response.outcome, seconds)
        elif response.status == 200 and path in _PROBES:  # noqa: PLR2004 - a successful probe is not logged: probes are too frequent
            return
        deps = self._dependencies
        method = scope["method"] if scope["method"] in _METHODS else "other"
        name = _name_of(path, deps.decisions)
        label = ""
        conversation = scope.get(_CONVERSATION, "")
        if conversation:
            label = f', "conversation": "{deps.log_label(conversation)}"'
        if trace is not None:
            label += f', "trace_id": "{trace.trace_id}"'

        # No value needs an escape in JSON; encoding a dictionary takes five times as long.
        deps.log(
            f'{{"time": "{format_timestamp(deps.now())}", "event": "request",'
            f' "method": "{method}", "path": "{name}",'
            f' "status": {response.status}, "outcome": "{response.outcome}", "ms": {seconds * 1000:.1f}{label}}}'
        )


def _name_of(path: bytes, decisions: DecisionService | None) -> str:
    """Return the name of a path in the log; `other` for one that is not answered."""
    name = _PATHS.get(path)
    if name is None and decisions is not None and path.isascii():
        name = decisions.path_name(path.decode())
    return name or _OTHER_PATH
