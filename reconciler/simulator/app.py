"""The simulator as an ASGI application.

Bare ASGI: six paths need no router, the faults need the raw `send`, and the import of Starlette alone costs 0.1 s of
CPU, more than a whole run against the sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.simulator.api import MAX_BODY_BYTES, SimulatorApi
from reconciler.simulator.auth import TokenIssuer
from reconciler.simulator.delivery import deliver
from reconciler.simulator.faults.injector import FaultInjector
from reconciler.simulator.messages import SimulatorRequest, SimulatorResponse
from reconciler.simulator.state import TenantState

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from reconciler.simulator.settings import SimulatorSettings

_MAX_READ_BYTES: Final = 2 * MAX_BODY_BYTES


def build_simulator(state: TenantState, settings: SimulatorSettings, faults: FaultInjector | None = None) -> Simulator:
    """Return an ASGI application that simulates CXone over `state`."""
    return Simulator(SimulatorApi(state, settings), faults)


class Simulator:
    """An ASGI application; tests may read and change `state` and `tokens` meanwhile."""

    def __init__(self, api: SimulatorApi, faults: FaultInjector | None) -> None:
        self.api = api
        self._faults = faults

    @property
    def state(self) -> TenantState:
        """The tenant's state."""
        return self.api.state

    @property
    def tokens(self) -> TokenIssuer:
        """The issuer of the tokens."""
        return self.api.tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and end; at its end, write and close the state."""
        if scope["type"] == "http":
            settings = self.api.settings
            request = settings.profile.canonical_request(await _read(scope, receive), settings.page_cap)
            self.state.record(request)
            answer = settings.profile.tenant_response(await self._respond(request), request)
            await deliver(answer, request, self.api.settings, (scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)

    async def _respond(self, request: SimulatorRequest) -> SimulatorResponse:
        if self.api.settings.latency:
            await self.api.settings.sleep(self.api.settings.latency)
        return self.api.handle(request) if self._faults is None else self._faults.handle(request, self.api)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        self.state.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _read(scope: Scope, receive: Receive) -> SimulatorRequest:
    # Of a body that is far too long, only enough is kept to refuse it.
    parts, size, more_body = [], 0, True
    while more_body:
        message = await receive()
        if size <= _MAX_READ_BYTES:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        more_body = message.get("more_body", False)
    return SimulatorRequest(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts),
    )
