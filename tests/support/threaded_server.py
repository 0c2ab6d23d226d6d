"""An HTTP server on a loopback socket, in threads, that answers by a function."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit


class HttpRequest(NamedTuple):
    """A request; `headers` are found by names in any case."""

    method: str
    target: str
    headers: Message
    content: bytes

    @property
    def parts(self) -> SplitResult:
        """Return the path and the query."""
        return urlsplit(self.target)

    @property
    def form(self) -> Any:
        """Return the JSON of the body, or None without one."""
        return json.loads(self.content) if self.content else None


class HttpReply(NamedTuple):
    """A response. With a `Content-Length` of its own it is cut, and the connection closed."""

    status: int
    form: Any = None  # JSON, or the bytes of the body
    headers: Mapping[str, str] = {}

    @property
    def content(self) -> bytes:
        """Return the bytes of the body."""
        return (
            self.form
            if isinstance(self.form, bytes)
            else json.dumps(self.form).encode()
        )


@contextmanager
def threaded_server(
    respond: Callable[[HttpRequest], HttpReply | bytes],
) -> Iterator[str]:
    """Serve until the end of the block, and yield the address.

    Bytes are sent as they are, then the connection ends.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reply = respond(HttpRequest(self.command, self.path, self.headers, content))
            if isinstance(reply, bytes):
                self.wfile.write(reply)
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, text in {
                "Content-Length": str(len(reply.content)),
                **reply.headers,
            }.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(reply.content)
            self.close_connection |= "Content-Length" in reply.headers

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server names them

        def log_message(self, *_arguments: object) -> None:
            """Do nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
