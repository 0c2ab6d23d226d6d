"""Prometheus' HTTP API with scripted responses, on a real socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server


class FakePrometheus:
    """The responses, in order (the last one repeats), and the requests: path, query and headers."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.queries: list[dict[str, list[str]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    def respond(self, request: HttpRequest) -> HttpReply:
        """Record a request, and return its response."""
        self.paths.append(request.parts.path)
        self.queries.append(parse_qs(request.parts.query))
        self.headers.append(dict(request.headers))
        return HttpReply(
            *(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        )


def vector(*counts: tuple[str, str, str]) -> dict[str, Any]:
    """Return the response to an instant query: intent, confidence and value of each series."""
    result = [
        {"metric": {"intent": a, "confidence": b}, "value": [1764000000.1, value]}
        for a, b, value in counts
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@contextmanager
def fake_prometheus(*answers: tuple[int, Any]) -> Iterator[FakePrometheus]:
    """Serve until the end of the block."""
    fake = FakePrometheus(*answers)

    with threaded_server(fake.respond) as fake.url:
        yield fake
