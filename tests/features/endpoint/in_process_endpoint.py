"""The endpoint in this process: an upstream and a clock that tests control, and requests in ASGI
form.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.features.endpoint.app import ContextApp, EndpointDependencies
from reconciler.features.endpoint.handler import EventPolicy
from tests.support.server_process import KEY

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
EVENT: Mapping[str, Any] = {
    "conversationId": "c-1",
    "intent": "billing",
    "confidence": 0.9,
    "timestamp": "2026-02-01T09:00:00Z",
}
HEADERS = ((b"content-type", b"application/json"), (b"x-api-key", KEY.encode()))


def event(**said: Any) -> dict[str, Any]:
    """Return a body; a value of ... omits the field."""
    return {
        name: value for name, value in {**EVENT, **said}.items() if value is not ...
    }


@dataclass
class Upstream:
    """A tenant's contexts.

    `faults` are raised one by one; `hold` delays every write until it is set.
    """

    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Exception | None] = field(default_factory=list)
    hold: asyncio.Event | None = None
    under_way: dict[str, int] = field(default_factory=dict)
    most_under_way: int = 0

    async def write(
        self, conversation: str, attributes: Mapping[str, Any], _seconds: float
    ) -> Any:
        """Merge (api-contract "Interaction context")."""
        self.under_way[conversation] = self.under_way.get(conversation, 0) + 1
        self.most_under_way = max(self.most_under_way, self.under_way[conversation])
        try:
            await (self.hold.wait() if self.hold else asyncio.sleep(0))
            self.writes.append((conversation, dict(attributes)))
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None:
                raise fault
            merged = self.contexts.setdefault(conversation, {})
            merged.update(attributes)
            return {"id": conversation, "attributes": dict(merged)}
        finally:
            self.under_way[conversation] -= 1


@dataclass
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> Any:
        """The JSON."""
        return json.loads(self.body)


class Endpoint:
    """The endpoint, its upstream and its log."""

    def __init__(
        self,
        upstream: Upstream | None = None,
        keys: Iterable[str] = (KEY,),
        secrets: Iterable[str] = (),
        policy: EventPolicy | None = None,
        **around: Any,
    ) -> None:
        self.upstream = upstream or Upstream()
        self.log: list[dict[str, Any]] = []
        self.seconds = 0.0
        surroundings = EndpointDependencies(
            now=lambda: NOW + timedelta(seconds=self.seconds),
            clock=lambda: self.seconds,
            log=lambda line: self.log.append(json.loads(line)),
        )
        around_it = replace(surroundings, **around)
        self.app: ContextApp = ContextApp(
            self.upstream.write, keys, secrets, policy, around_it
        )

    async def post(
        self, form: Any = EVENT, headers: Sequence[tuple[bytes, bytes]] = HEADERS
    ) -> Reply:
        """Post a body: bytes unchanged, other values as JSON."""
        body = form if isinstance(form, bytes) else json.dumps(form).encode()
        return await self.request("POST", "/api/route", body, headers)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> Reply:
        """Make a request whose body arrives immediately."""
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return parts.pop(0) if parts else await asyncio.Event().wait()

        return await self.raw(method, path, headers, receive)

    async def raw(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        receive: Callable[[], Awaitable[Any]],
    ) -> Reply:
        """Make a request whose body comes from `receive`."""
        requests_sent: list[Any] = []

        async def send(message: Any) -> None:
            requests_sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "headers": list(headers),
        }
        await self.app(scope, receive, send)
        start, *rest = requests_sent
        names = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], names, b"".join(part["body"] for part in rest))


def posted(form: Any, **said: Any) -> Reply:
    """Post one body to a new endpoint."""
    return asyncio.run(Endpoint(**said).post(form))
