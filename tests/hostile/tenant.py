"""A tenant on loopback with its own HTTP implementation, so that a test can break every rule of
HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tests.support import canary_secrets as canary

RULES: Final = "/api/v2/routing/rules"
QUEUES: Final = [
    {"id": "q-billing", "name": "Billing"},
    {"id": "q-general", "name": "General"},
]

Quirk = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns a rule as the tenant stores it, from the rule as it was sent."""
Script = Callable[["Turn"], Awaitable[None]]
"""Answers in place of the real answer; the connection is closed after it."""


class ReceivedRequest(NamedTuple):
    """One received request."""

    method: str
    path: str
    head: bytes
    body: bytes

    def __repr__(self) -> str:
        """Omit the secrets."""
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        """Return the kind of the request: token, list, one, queues, POST, PUT, DELETE."""
        path = urlsplit(self.path).path  # to a proxy, the whole URL is sent
        if path == "/oauth/token":
            return "token"
        if path.endswith("/queues"):
            return "queues"
        if self.method != "GET":
            return self.method
        return "list" if path == RULES else "one"


class Turn(NamedTuple):
    """The input of a script: the request, the correct response, and the connection."""

    request: ReceivedRequest
    good: bytes
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Write, and wait until it is sent."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


@dataclass
class HostileTenant:
    """Rules, queues and faults: `scripts` by kind; `applied` is whether a faulty write takes
    effect.
    """

    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)
    applied: bool = False
    keeps: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Returns the stored form of a received rule."""
    echoes: bool = False
    """Whether a write's response contains the received rule instead of the stored one."""
    asked: list[ReceivedRequest] = field(default_factory=list)
    token: str = field(default=canary.TOKEN, repr=False)
    url: str = ""

    @property
    def writes(self) -> list[str]:
        """Return the kinds of the received writes."""
        return [
            request.kind
            for request in self.asked
            if request.kind in ("POST", "PUT", "DELETE")
        ]

    async def turn(
        self, request: ReceivedRequest, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection stays open."""
        self.asked.append(request)
        script = self.scripts.get(request.kind)
        good = (
            b""
            if script and not self.applied and request.kind in self.writes
            else self.answer(request)
        )
        if script is None:
            writer.write(good)
            await writer.drain()
            return True
        await script(Turn(request, good, writer))
        return False

    def answer(self, request: ReceivedRequest) -> bytes:
        """Apply the request, and return the full response."""
        kind = request.kind
        identity = unquote(request.path.rpartition("/")[2])
        if kind == "token":
            return whole(
                {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600}
            )
        if kind == "queues":
            return whole(page(QUEUES))
        if kind == "list":
            return whole(page(list(self.rules.values())))
        if kind == "POST":
            identity = next(
                name for number in count(1) if (name := f"r{number}") not in self.rules
            )
            self.rules[identity] = {
                **self.keeps(json.loads(request.body)),
                "id": identity,
                "version": 1,
            }
        elif identity not in self.rules:
            return whole({"errors": [{"message": "gone"}]}, b"404 Not Found")
        elif kind == "PUT":
            self.rules[identity] = {
                **self.keeps(json.loads(request.body)),
                "id": identity,
            }
        elif kind == "DELETE":
            del self.rules[identity]
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        requests_sent = (
            json.loads(request.body) if self.echoes and kind in ("POST", "PUT") else {}
        )
        return whole(
            {**self.rules[identity], **requests_sent},
            b"201 Created" if kind == "POST" else b"200 OK",
        )


def page(entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "entities": entities,
        "pageNumber": 1,
        "pageSize": 100,
        "total": len(entities),
        "nextUri": None,
    }


def whole(form: object, status: bytes = b"200 OK") -> bytes:
    """Return a response with this JSON."""
    return response(json.dumps(form).encode(), status)


def response(body: bytes, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """Return a response with this body."""
    lines = [
        b"HTTP/1.1 " + status,
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving(
    tenant: HostileTenant, context: ssl.SSLContext | None = None
) -> Iterator[HostileTenant]:
    """Serve on a free port, in a separate thread."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    connections = _Connections(tenant)

    async def run() -> None:
        server = await asyncio.start_server(
            connections.accept, "127.0.0.1", 0, ssl=context
        )
        scheme = "https" if context else "http"
        tenant.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()

        server.close()  # without wait_closed: newer Pythons wait for idle connections
        # a connection in the middle of being accepted has a writer a little later
        for _ in range(4):
            await asyncio.sleep(0)
        await connections.abort()

    stop = asyncio.Event()
    # closed connections are expected
    loop.set_exception_handler(lambda _loop, _context: None)
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield tenant
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        _finish(loop)
    assert [] == connections.faults


class _Connections:
    """The open connections of a tenant, each with the task that serves it."""

    def __init__(self, tenant: HostileTenant) -> None:
        self._tenant = tenant
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.faults: list[Exception] = []

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Keep the connection at once: a task that is cancelled before it starts would never close
        it.
        """
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while await self._tenant.turn(await _request(reader), writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - a fault of the fake itself: the test fails by it
            self.faults.append(error)
        finally:
            writer.close()

    async def abort(self) -> None:
        """Close all connections, also those whose peers read nothing."""
        for task, writer in list(self._open.items()):
            task.cancel()
            # a transport that closed by itself has no loop any more
            with contextlib.suppress(AttributeError):
                writer.transport.abort()
        await asyncio.sleep(0)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    remaining = asyncio.all_tasks(loop)
    if remaining:
        loop.run_until_complete(asyncio.wait(remaining, timeout=5))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _request(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in lines
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    method, path, _ = lines[0].decode().split(" ")
    return ReceivedRequest(method, path, head, await reader.readexactly(length))


def alter_description(make: Callable[[str], str]) -> Quirk:
    return lambda rule: {**rule, "description": make(rule["description"])}


def alter_texts(make: Callable[[str], str]) -> Quirk:
    return lambda rule: {
        **rule,
        "name": make(rule["name"]),
        "description": make(rule["description"]),
    }
