"""Rate limiting (a token bucket, 429 with Retry-After), and the delivery of a response as ASGI messages.

A broken connection is a `BrokenDeliveryError` in process, which a test's transport turns into its client's exception.
Over a socket the connection really breaks: `server.py` puts the means into the scope under `BREAK_EXTENSION`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from reconciler.simulator.messages import ApiProblem, DeliveryMode, SimulatorRequest, SimulatorResponse, error_response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from reconciler.simulator.settings import SimulatorSettings

BREAK_EXTENSION: Final = "cxroute.break"  # holds `Callable[[DeliveryMode], None]`, which breaks the connection


class BrokenDeliveryError(Exception):
    """In process: the caller gets no whole response. `delivery` is the way in which it breaks."""

    def __init__(self, delivery: DeliveryMode) -> None:
        self.delivery = delivery
        super().__init__(delivery.value)


async def deliver(
    response: SimulatorResponse,
    request: SimulatorRequest,
    settings: SimulatorSettings,
    asgi: tuple[Scope, Receive, Send],
) -> None:
    """Send the response in its mode. Raises BrokenDeliveryError in process, if the response is not sent whole."""
    if response.delivery not in (DeliveryMode.COMPLETE, DeliveryMode.DRIPPING):
        return await _break(response, asgi)
    send, body = asgi[2], response.body
    request.status = response.status
    await _start(response, send)
    if response.delivery is DeliveryMode.DRIPPING:
        for byte in body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await settings.sleep(response.byte_pause)
        body = b""
    return await send({"type": "http.response.body", "body": body})


async def _break(response: SimulatorResponse, asgi: tuple[Scope, Receive, Send]) -> None:
    scope, receive, send = asgi
    break_off: Callable[[DeliveryMode], None] | None = (scope.get("extensions") or {}).get(BREAK_EXTENSION)
    if break_off is None:
        raise BrokenDeliveryError(response.delivery)
    if response.delivery is DeliveryMode.CUT:
        await _start(response, send)
        half = response.body[: len(response.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
    if response.delivery is not DeliveryMode.SILENT:
        break_off(response.delivery)
    # The server would answer for an application that returns before the client disconnects.
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(answer: SimulatorResponse, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.status != 204:  # noqa: PLR2004 - no content
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


class TokenBucket:
    """Holds up to `burst` permits and gains `rate` a second."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._permits = float(settings.burst)
        self._at = settings.clock()

    def take_permit(self) -> SimulatorResponse | None:
        """Take a permit and return None, or return the 429 with its Retry-After."""
        rate = self._settings.rate
        if rate is None:
            return None
        now = self._settings.clock()
        gained = max(now - self._at, 0.0) * rate
        self._permits, self._at = min(self._settings.burst, self._permits + gained), now
        if self._permits >= 1:
            self._permits -= 1
            return None
        wait = max(math.ceil((1 - self._permits) / rate), 1)
        after = str(wait) if self._settings.retry_after == "seconds" else formatdate(now + wait, usegmt=True)
        problem = ApiProblem("Rate limit exceeded", "too.many.requests")
        return error_response(429, problem, headers=(("retry-after", after),))
