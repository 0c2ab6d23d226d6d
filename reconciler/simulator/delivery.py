"""How fast the simulator lets itself be asked: a token bucket, and 429 with Retry-After.

From an answer to ASGI messages: whole, or in one of the broken manners of `Manner`.

A broken connection is a `LostError` in process, for a test's transport to turn into its client's own exception. Over a
socket the connection is really broken: `serve.py` puts the means into the scope under `EXTENSION`.
"""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from reconciler.simulator.messages import Answer, Manner, Problem, Request, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from reconciler.simulator.settings import Settings


EXTENSION: Final = "cxroute.break"
"""Holds `Callable[[Manner], None]`, which breaks the connection."""


class LostError(Exception):
    """In process: the caller gets no whole answer. `manner` says in which way."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        super().__init__(manner.value)


async def deliver(answer: Answer, request: Request, settings: Settings, asgi: tuple[Scope, Receive, Send]) -> None:
    """Send the answer in its manner. Raises LostError in process, where no whole answer comes."""
    if answer.manner not in (Manner.WHOLE, Manner.DRIPPING):
        return await _break(answer, asgi)
    send, body = asgi[2], answer.body
    request.status = answer.status
    await _start(answer, send)
    if answer.manner is Manner.DRIPPING:
        for byte in body:
            await _part(bytes([byte]), send)
            await settings.sleep(answer.pause)
        body = b""
    return await send({"type": "http.response.body", "body": body})


async def _break(answer: Answer, asgi: tuple[Scope, Receive, Send]) -> None:
    scope, receive, send = asgi
    break_off: Callable[[Manner], None] | None = (scope.get("extensions") or {}).get(EXTENSION)
    if break_off is None:
        raise LostError(answer.manner)
    if answer.manner is Manner.CUT:
        await _start(answer, send)
        await _part(answer.body[: len(answer.body) // 2], send)
    if answer.manner is not Manner.SILENT:
        break_off(answer.manner)
    await _gone(receive)


async def _start(answer: Answer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.status != 204:  # noqa: PLR2004 - no content
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _part(body: bytes, send: Send) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Wait until the caller is gone: a server that returns before would be made to answer after all."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Bucket:
    """Holds up to `burst` permits and gains `rate` a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._permits = float(settings.burst)
        self._at = settings.clock()

    def refusal(self) -> Answer | None:
        """Take a permit and return None, or the 429 that says when to come again."""
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
        return refusal(429, Problem("Rate limit exceeded", "too.many.requests"), headers=(("retry-after", after),))
