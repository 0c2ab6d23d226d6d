"""A client of the simulator for tests: in process, with broken connections in the form of httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from reconciler.features.practice.simulator.app import BrokenDeliveryError, Simulator
from reconciler.features.practice.simulator.messages import DeliveryMode

RULES = "/api/v2/routing/rules"
QUEUES = [{"id": "q1", "name": "Billing"}, {"id": "q2", "name": "Support"}]
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "id",
    "client_secret": "secret",
}

AS_HTTPX: dict[DeliveryMode, type[httpx.TransportError]] = {
    DeliveryMode.RESET: httpx.ReadError,
    DeliveryMode.SILENT: httpx.ReadTimeout,
    DeliveryMode.REFUSED: httpx.ConnectError,
    DeliveryMode.CUT: httpx.RemoteProtocolError,
}


class SimulatorTransport(httpx.AsyncBaseTransport):
    """A transport to the simulator; a request that the simulator loses raises a network error."""

    def __init__(self, app: Simulator) -> None:
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the simulator."""
        try:
            return await self._inner.handle_async_request(request)
        except BrokenDeliveryError as lost:
            raise AS_HTTPX[lost.delivery](str(lost), request=request) from lost


def body(name: str, **more: Any) -> dict[str, Any]:
    """Return a rule in the form of a request."""
    return {
        "name": name,
        "description": f"Routes {name}",
        "priority": 10,
        "enabled": True,
        "conditions": [
            {
                "type": "attribute",
                "attributeName": "intent",
                "operator": "equals",
                "value": name,
            }
        ],
        "targets": [{"type": "queue", "queueId": "q1", "weight": 1}],
        **more,
    }


def stored(number: int, **more: Any) -> dict[str, Any]:
    """Return a rule as the simulator stores it: `r1`, named `rule 1`."""
    return {"id": f"r{number}", **body(f"rule {number}"), "version": 1, **more}


@asynccontextmanager
async def client(app: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with a token."""
    async with httpx.AsyncClient(
        transport=SimulatorTransport(app), base_url="http://localhost"
    ) as http:
        await sign_in(http)
        yield http


def run(app: Simulator, talk: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """Return the result of a client with a token at the app."""

    async def talking() -> Any:
        async with client(app) as http:
            return await talk(http)

    return asyncio.run(talking())


async def sign_in(http: httpx.AsyncClient) -> None:
    """Fetch a token and send it with later requests."""
    answer = await http.post("/oauth/token", data=CREDENTIALS)
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
