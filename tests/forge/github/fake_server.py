"""The fake GitHub on loopback, over real sockets: its API, and the separate server for artifacts."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.forge.github.fake import FakeGitHub, FakeReply


def _encoded(reply: FakeReply) -> bytes:
    return reply.form if isinstance(reply.form, bytes) else json.dumps(reply.form).encode()


def _handler(hub: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def _do(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            hub.asked.append(f"{self.command} {parts.path}")
            granted = hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            if parts.path == "/check-in":
                self._send(200, b"", {})
                return
            if parts.path.startswith("/blob/"):
                hub.token_sent_elsewhere |= "Authorization" in self.headers
                fault = hub.take_fault(f"{self.command} {parts.path}")
                archive = hub.artifacts[int(parts.path.rpartition("/")[2])][1]
                self._send(*((fault.status, _encoded(fault), fault.headers) if fault else (200, archive, {})))
                return
            query = parse_qs(parts.query)
            form = json.loads(content) if content else None
            asked = (self.command, parts.path)
            reply = FakeReply(401, {"message": "Bad"}) if granted is None else hub.answer(asked, query, form, granted)
            reply = hub.paged(parts.path, reply, query) if self.command == "GET" else reply
            self._send(reply.status, _encoded(reply), reply.headers)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, text in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = "Content-Length" in headers  # the response is cut

        do_GET = do_POST = do_PATCH = _do  # noqa: N815 - as http.server names them

        def log_message(self, *_arguments: object) -> None:
            """Do nothing."""

    return Handler


@contextlib.contextmanager
def serving(hub: FakeGitHub) -> Iterator[FakeGitHub]:
    """Serve the API on one port of loopback, and the artifacts on another."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) for _ in range(2)]
    hub.url, hub.blobs = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.daemon_threads = True
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join(5)
            server.server_close()
