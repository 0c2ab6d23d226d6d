"""Prometheus' HTTP API with scripted responses, on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakePrometheus:
    """The responses, in order (the last one repeats), and the requests: path, query and headers."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.queries: list[dict[str, list[str]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    def respond(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Record a request, and return the status and the body of its response."""
        parts = urlsplit(target)
        self.paths.append(parts.path)
        self.queries.append(parse_qs(parts.query))
        self.headers.append(headers)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()


def vector(*counts: tuple[str, str, str]) -> dict[str, Any]:
    """Return the response to an instant query: intent, confidence and value of each series."""
    result = [{"metric": {"intent": a, "confidence": b}, "value": [1764000000.1, value]} for a, b, value in counts]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@contextmanager
def fake_prometheus(*answers: tuple[int, Any]) -> Iterator[FakePrometheus]:
    """Serve until the end of the block."""
    fake = FakePrometheus(*answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = fake.respond(self.path, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
