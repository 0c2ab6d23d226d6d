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

from reconciler.endpoint import messages as reading
from reconciler.endpoint.auth import Ids, Keys, Register, Replays, Signatures, is_signed
from reconciler.endpoint.conversations import Lines, Turns
from reconciler.endpoint.event import InvalidError, event, stamp
from reconciler.endpoint.handler import Policy, Relay, skipping
from reconciler.endpoint.messages import Answer, encoded, later, refusal
from reconciler.endpoint.metrics import Metrics
from reconciler.text.prometheus import MEDIA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from reconciler.endpoint.handler import Take, Write


_ROUTE: Final = b"/api/route"
_PROBES: Final = (b"/health", b"/ready", b"/metrics")
_PATHS: Final = {path: path.decode() for path in (_ROUTE, *_PROBES)}
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_MARGIN: Final = 0.05
"""Seconds of each request's that are kept to say that there was no answer."""
_UNAUTHORIZED: Final = refusal(401, "unauthorized", "no valid key or signature", (b"www-authenticate", b"Bearer"))


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of events: by this process alone, or by others, too."""

    turns: Turns
    register: Register


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the endpoint takes from the world around it. `now` is in UTC, `clock` monotonic.

    ready: says whether the upstream could be written to. log: is given one line of JSON a request. label: what to call
    a conversation in the log. gauges: more values for the metrics. memory: of events; none is this process's own.
    part: how much of the limits this process has, above 0 and at most 1.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    ready: Callable[[], Awaitable[bool]] = _always
    log: Callable[[str], object] = lambda _line: None
    label: Callable[[str], str] = lambda conversation: conversation
    gauges: Callable[[], Mapping[str, float]] = dict
    memory: Memory | None = None
    part: Callable[[], float] = lambda: 1.0


@dataclass(slots=True)
class _Record:
    """What the log says of a request beside its answer."""

    conversation: str = ""


def context_app(
    write: Write,
    keys: Iterable[str],
    secrets: Iterable[str] = (),
    policy: Policy | None = None,
    surroundings: Surroundings | None = None,
    limits: Limits | None = None,
) -> ContextApp:
    """Return the endpoint over a `write`. Without keys and secrets anybody may post who can reach it.

    Raises SecretError where one of `secrets`, which sign as Standard Webhooks says, cannot be one.
    """
    around, bounds = surroundings or Surroundings(), limits or Limits()
    memory, metrics = around.memory or Memory(Lines(around.clock), Ids(around.clock)), Metrics()
    said = policy or Policy()
    relay = Relay(write, said, memory.turns, metrics, lambda: bounds.waiting * around.part())
    gate = _Gate(Keys(keys), Signatures(secrets), Replays(memory.register))
    return ContextApp(gate, skipping(relay.take, said.skipped), metrics, around, bounds)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests may be under way, and how many seconds each may take."""

    waiting: int = 200
    deadline: float = 5.0


@dataclass(frozen=True, slots=True)
class _Gate:
    """Who may post."""

    keys: Keys
    signatures: Signatures
    replays: Replays

    def is_signed(self, scope: Scope) -> bool:
        """Say whether the signature decides, which only the whole body can tell."""
        return bool(self.signatures) and is_signed(scope["headers"])

    def admits(self, scope: Scope) -> bool:
        """Say whether a request that is not signed may go on."""
        if not self.keys:
            return not self.signatures
        return self.keys.admit(scope["headers"])


class ContextApp:
    """The ASGI application. `draining` makes /ready say no."""

    def __init__(self, gate: _Gate, take: Take, metrics: Metrics, around: Surroundings, limits: Limits) -> None:
        self._gate, self._take, self._around, self._limits = gate, take, around, limits
        self.metrics = metrics
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the server hands over nothing else (endpoint/server.py: `lifespan` and `ws` are off)."""
        began, record = self._around.clock(), _Record()
        path = scope.get("raw_path") or scope["path"].encode()
        answer = await self._answer(path, scope, receive, record)
        await _send(answer, scope, send)
        self._note(path, scope, answer, record, self._around.clock() - began)

    async def _answer(self, path: bytes, scope: Scope, receive: Receive, record: _Record) -> Answer:
        try:
            if path == _ROUTE:
                return await self._route(scope, receive, record)
            return await self._probe(path, scope)
        except reading.RefusedError as refused:
            return refused.answer._replace(last=True)
        except Exception as bug:  # noqa: BLE001 - whatever it is, the caller gets JSON, and may come again
            self._around.log(json.dumps({"event": "bug", "error": type(bug).__name__}))
            return later(503, "bug", "the endpoint failed")

    async def _probe(self, path: bytes, scope: Scope) -> Answer:
        if path not in _PROBES:
            return refusal(404, "path", "there is no such path; post to /api/route")._replace(last=True)
        if scope["method"] not in ("GET", "HEAD"):
            return refusal(405, "method", "only GET", (b"allow", b"GET, HEAD"))._replace(last=True)
        if path == b"/health":
            return Answer(200, "ok", encoded({"status": "ok"}))
        if path == b"/metrics":
            return Answer(200, "ok", self.metrics.text(self._around.gauges()), MEDIA)
        if self.draining or not await self._around.ready():
            return later(503, "not_ready", "no token can be had, or the endpoint is about to end")
        return Answer(200, "ok", encoded({"status": "ready"}))

    async def _route(self, scope: Scope, receive: Receive, record: _Record) -> Answer:
        end = asyncio.get_running_loop().time() + self._limits.deadline - _MARGIN
        if scope["method"] != "POST":
            return refusal(405, "method", "only POST", (b"allow", b"POST"))._replace(last=True)
        signed = self._gate.is_signed(scope)
        if not signed and not self._gate.admits(scope):
            return _UNAUTHORIZED._replace(last=True)
        reading.check_head(scope["headers"])
        body = await reading.read(receive)
        if not signed:
            return await self._taken(body, "", end, record)
        now = self._around.now().timestamp()
        message = self._gate.signatures.verified(scope["headers"], body, now)
        if message is None:
            return _UNAUTHORIZED
        return await self._gate.replays.once(message, body, end, lambda: self._taken(body, message, end, record))

    async def _taken(self, body: bytes, message: str, end: float, record: _Record) -> Answer:
        """Take an event that somebody sent who may."""
        try:
            found = event(body)
        except InvalidError as error:
            return refusal(400, "invalid", str(error))
        record.conversation = found.conversation
        return await self._take(found, message, self._around.now(), end)

    def _note(self, path: bytes, scope: Scope, answer: Answer, record: _Record, seconds: float) -> None:
        """Count and log an answer, but for probes that went well: these come every few seconds for ever."""
        if path == _ROUTE:
            self.metrics.answered(answer.status, answer.outcome, seconds)
        elif answer.status == 200:  # noqa: PLR2004 - well
            return
        method, name = scope["method"] if scope["method"] in _METHODS else "other", _PATHS.get(path, "other")
        about = f', "conversation": "{self._around.label(record.conversation)}"' if record.conversation else ""
        # No value of these can hold what JSON would escape; to encode a dictionary takes five times as long.
        self._around.log(
            f'{{"time": "{stamp(self._around.now())}", "event": "request", "method": "{method}", "path": "{name}",'
            f' "status": {answer.status}, "outcome": "{answer.outcome}", "ms": {seconds * 1000:.1f}{about}}}'
        )


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    headers = [
        (b"content-type", answer.media),
        (b"content-length", b"%d" % len(answer.body)),
        (b"cache-control", b"no-store"),
        *answer.headers,
    ]
    if answer.last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
