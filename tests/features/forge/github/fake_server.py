"""The fake GitHub on loopback, over real sockets: its API, and the separate server for
artifacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from tests.features.forge.github.fake import REPOSITORY, FakeGitHub
from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server


@contextmanager
def serving(hub: FakeGitHub) -> Iterator[FakeGitHub]:
    """Serve the API on one port of loopback, and the artifacts on another."""

    def respond(request: HttpRequest) -> HttpReply:
        path = request.parts.path
        query = parse_qs(request.parts.query)
        hub.asked.append(f"{request.method} {path}")
        if path == "/check-in":
            return HttpReply(200)
        if path.startswith("/blob/"):
            hub.token_sent_elsewhere |= "Authorization" in request.headers
            archive = hub.artifacts[int(path.rpartition("/")[2])][1]
            return hub.take_fault(f"{request.method} {path}") or HttpReply(200, archive)
        if hub.git and (answer := hub.git.answer(request, f"/{REPOSITORY}.git")):
            return answer
        granted = hub.tokens.get(
            request.headers.get("Authorization", "").removeprefix("Bearer ")
        )
        if granted is None:
            return HttpReply(401, {"message": "Bad"})
        reply = hub.answer((request.method, path), query, request.form, granted)
        return hub.paged(path, reply, query) if request.method == "GET" else reply

    with threaded_server(respond) as hub.url, threaded_server(respond) as hub.blobs:
        yield hub
