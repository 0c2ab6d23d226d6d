"""The simulator as an ASGI application, and the delivery of its responses.

It uses no framework: six paths need no router, the faults need the raw `send`, and the import of
Starlette costs 0.1 s of CPU, more than a complete run against the sandbox.

In process, a broken connection is a `BrokenDeliveryError`, which a test's transport turns into its
client's exception. Over a socket the connection really breaks: under uvicorn, the object whose
method `send` is has the transport.
"""

import asyncio
import json
import socket
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from reconciler.core.text.json_values import parse_object
from reconciler.features.practice.simulator.api import MAX_BODY_BYTES, SimulatorApi
from reconciler.features.practice.simulator.decision_tables import StateTables
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import (
    JSON_TYPE,
    ApiProblem,
    DeliveryMode,
    SimRequest,
    SimResponse,
    error_response,
)
from reconciler.features.practice.simulator.script_engine import ContactScript
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.decide.rules_routes import (
    RulesRequest,
    is_rules_path,
    respond,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# of a table of the decision service
_MAX_READ_BYTES: Final = 17 * MAX_BODY_BYTES
CONTACTS_PATH: Final = "/studio/contacts"
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Simulator:
    """An ASGI application that simulates CXone over `state`; tests may read and change `state` and
    `tokens`.
    """

    def __init__(
        self,
        state: TenantState,
        settings: SimulatorSettings,
        faults: FaultInjector | None = None,
    ) -> None:
        self.api = SimulatorApi(state, settings)
        self.state = state
        self._faults = faults
        self.tokens = self.api.tokens

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request; its server has no `lifespan` and no `ws`."""
        settings = self.api.settings
        request = await _read(scope, receive)
        self.state.requests.append(request)
        if settings.latency:
            await settings.sleep(settings.latency)
        response = await self._answer(request)
        if response.delivery in (DeliveryMode.COMPLETE, DeliveryMode.DRIPPING):
            request.status = response.status
            await _deliver(response, settings, send)
        else:
            await _break_delivery(response, receive, send)

    async def _answer(self, request: SimRequest) -> SimResponse:
        if is_rules_path(request.path):
            return await self._answer_for_service(request)
        script = self.api.settings.script
        if script is not None and request.path == CONTACTS_PATH:
            return await _run_contact(request, script)
        if self._faults:
            return self._faults.handle(request, self.api)
        return self.api.handle(request)

    async def _answer_for_service(self, request: SimRequest) -> SimResponse:
        """Return the response of the decision service, whose table is a part of the state."""
        asked = RulesRequest(
            request.method, request.path, request.headers, request.body
        )
        answer = await respond(
            asked, StateTables(self.state), lambda: datetime.now(UTC)
        )
        headers = [("content-type", "application/json"), *answer.headers.items()]
        return SimResponse(status=answer.status, body=answer.body, headers=headers)


async def _run_contact(request: SimRequest, script: ContactScript) -> SimResponse:
    """Return the run of a contact, {"contactId": 1, "variables": {...}}, through the script."""
    form = parse_object(request.body)
    variables = form.get("variables")
    contact = form.get("contactId", 0)
    if request.method != "POST" or not isinstance(variables, dict):
        problem = (
            'POST {"contactId": 1, "variables": {"intent": "...", "confidence": "0.9"}}'
        )
        return error_response(400, ApiProblem(problem))
    number = contact if isinstance(contact, int) else 0
    ran = await asyncio.to_thread(script.run, variables, number)
    body = json.dumps(ran.to_json()).encode()
    return SimResponse(status=200, body=body, headers=[JSON_TYPE])


async def _read(scope: "Scope", receive: "Receive") -> SimRequest:
    # Of a body that is far too long, it reads only enough to refuse it.
    parts = []
    size = 0
    more_body = True
    while more_body:
        message = await receive()
        if size <= _MAX_READ_BYTES:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        more_body = message.get("more_body", False)
    headers = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")
    return SimRequest(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=b"".join(parts),
    )


class BrokenDeliveryError(Exception):
    """In process: the response is missing or incomplete.

    `delivery` is the way in which it breaks.
    """

    def __init__(self, delivery: DeliveryMode) -> None:
        self.delivery = delivery
        super().__init__(delivery.value)


async def _deliver(
    response: SimResponse,
    settings: SimulatorSettings,
    send: "Send",
) -> None:
    body = response.body
    await _start(response, send)
    if response.delivery is DeliveryMode.DRIPPING:
        for byte in body:
            await send(
                {"type": "http.response.body", "body": bytes([byte]), "more_body": True}
            )
            await settings.sleep(response.byte_pause)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def _break_delivery(
    response: SimResponse,
    receive: "Receive",
    send: "Send",
) -> None:
    # Sends a part of the response at most. Raises BrokenDeliveryError in process.
    transport: asyncio.Transport | None = getattr(
        getattr(send, "__self__", None),
        "transport",
        None,
    )
    if transport is None:
        raise BrokenDeliveryError(response.delivery)
    if response.delivery is DeliveryMode.CUT:
        await _start(response, send)
        half = response.body[: len(response.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
    if response.delivery is not DeliveryMode.SILENT:
        _break_transport(transport, response.delivery)
    # The server would answer for an application that returns before the client disconnects.
    while (await receive())["type"] != "http.disconnect":
        pass


def _break_transport(transport: asyncio.Transport, mode: DeliveryMode) -> None:
    if mode is DeliveryMode.CUT:
        transport.close()
        return
    # With SO_LINGER 0 the kernel answers RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET,
        socket.SO_LINGER,
        _LINGER_ZERO,
    )
    transport.abort()


async def _start(response: SimResponse, send: "Send") -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    if response.status != 204:  # noqa: PLR2004 - no content
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send(
        {"type": "http.response.start", "status": response.status, "headers": headers}
    )
