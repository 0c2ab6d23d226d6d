"""The fake Azure DevOps on loopback, over real sockets: its API, and the separate server for artifacts."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from tests.forge.azure.fake import FakeAzure


def _handler(hub: FakeAzure) -> type[BaseHTTPRequestHandler]:
    from tests.forge.azure.fake import AzureReply, AzureRequest  # noqa: PLC0415 - the fake serves itself

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def _do(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            hub.asked.append(f"{self.command} {unquote(parts.path)}")
            if parts.path == "/check-in":
                self._send(200, b"", {})
            elif parts.path.startswith("/blob/"):
                self._send_blob(parts.path)
            else:
                granted = hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
                form, kind = json.loads(content) if content else None, self.headers.get("Content-Type", "")
                query = dict(parse_qsl(parts.query))
                reply = hub.answer(AzureRequest(self.command, unquote(parts.path), query, form, kind, granted))
                self._send(reply.status, reply.content, reply.headers)

        def _send_blob(self, path: str) -> None:
            hub.token_sent_elsewhere |= "Authorization" in self.headers
            run, name = path.removeprefix("/blob/").split("/")
            reply = hub.take_fault(f"GET {path}") or AzureReply(200, body=hub.artifacts[int(run), name])
            self._send(reply.status, reply.content, reply.headers)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, text in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection |= "Content-Length" in headers

        do_GET = do_POST = do_PATCH = _do  # noqa: N815 - as http.server names them

        def log_message(self, *_arguments: object) -> None:
            """Do nothing."""

    return Handler


@contextlib.contextmanager
def serving(hub: FakeAzure) -> Iterator[None]:
    """Serve the API on one port of loopback, and the artifacts on another."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) for _ in range(2)]
    hub.url, hub.blobs = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.daemon_threads = True
        thread.start()
    try:
        yield
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join(5)
            server.server_close()
