"""The end of the process with fifty running posts: SIGTERM loses nothing, SIGKILL only unanswered
posts (W13).
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.instances import until
from tests.features.endpoint.processes import MANIFEST, caller, contexts, log, served
from tests.support.server_process import server_process
from tests.tiers import FULL

pytestmark = pytest.mark.slow

TERMS, KILLS = (100, 50) if FULL else (1, 1)
TOGETHER = 50
SERVE = ("serve", "-e", "prod", "--port", "0")


class Posts:
    """Events posted together, each by its own thread."""

    def __init__(self, http: httpx.Client, events: list[dict[str, Any]]) -> None:
        self.answers: dict[str, int | str] = {}
        self._http = http
        self._threads = [Thread(target=self._post, args=(form,)) for form in events]
        for thread in self._threads:
            thread.start()

    def _post(self, form: dict[str, Any]) -> None:
        try:
            answer: int | str = self._http.post("/api/route", json=form).status_code
        except httpx.HTTPError as error:
            answer = type(error).__name__
        self.answers[form["conversationId"]] = answer

    def await_all_under_way(self) -> None:
        """Return once the endpoint has received all of them, before a response."""
        while (
            f"cxroute_waiting {len(self._threads)}\n"
            not in self._http.get("/metrics").text
        ):
            assert {} == self.answers, (
                "the signal must come while all posts are running"
            )
            time.sleep(0.02)

    def join(self) -> set[int | str]:
        """Return the responses."""
        for thread in self._threads:
            thread.join()
        return set(self.answers.values())


@contextmanager
def tenant(folder: Path, milliseconds: int) -> Iterator[None]:
    """Run a tenant with that latency, for several endpoints."""
    (folder / "manifests").mkdir()
    slow = (
        "simulate",
        "--port",
        "0",
        "--state",
        "state.json",
        "--latency-ms",
        str(milliseconds),
    )
    with server_process(folder, *slow) as (_, url):
        (folder / "manifests" / "all.yaml").write_text(
            MANIFEST.format(url=url), encoding="utf-8"
        )
        yield


@contextmanager
def endpoint(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with ExitStack() as stack:
        server, url = stack.enter_context(server_process(folder, *SERVE))
        http = stack.enter_context(caller(url))
        http.get("/ready")
        yield server, http


def some(number: int, second: int) -> list[dict[str, Any]]:
    """Return the events of fifty conversations at one time."""
    stamp = f"2026-02-01T09:00:{second:02}Z"
    return [
        event(
            conversationId=f"c-{number}-{item}", timestamp=stamp, confidence=second / 10
        )
        for item in range(TOGETHER)
    ]


def test_sigterm_finishes_the_accepted_requests(tmp_path: Path) -> None:
    """Fifty running posts (100 times in the campaign): all are answered 200 and written, and it
    ends with 0.
    """
    ends = set()
    with tenant(tmp_path, 1500):
        for number in range(TERMS):
            with endpoint(tmp_path) as (server, http):
                posts = Posts(http, some(number, 1))
                posts.await_all_under_way()
                server.send_signal(signal.SIGTERM)
                ends.add((*posts.join(), server.wait(15)))
    assert {(200, 0)} == ends
    assert TERMS * TOGETHER == len(contexts(tmp_path))
    assert {"request"} == {line["event"] for line in log(tmp_path)}


def knock(url: str) -> None:
    """Try to connect for ten seconds."""
    where = urlsplit(url)
    for _ in range(1000):
        socket.create_connection((where.hostname or "", where.port or 0), 1).close()
        time.sleep(0.01)


@pytest.mark.parametrize("serve", [(), ("--host", "::1")])
def test_while_it_ends_new_connections_are_refused(
    tmp_path: Path, serve: tuple[str, ...]
) -> None:
    """For any number of listening sockets: a new connection is refused immediately, as a balancer
    needs.
    """
    with (
        served(tmp_path, "--latency-ms", "1200", serve=serve) as (server, url),
        caller(url) as http,
    ):
        posts = Posts(http, some(0, 1)[:1])
        posts.await_all_under_way()
        server.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            knock(url)
        assert {} == posts.answers, "it is still at work"
        assert ({200}, 0) == (posts.join(), server.wait(15))


def test_after_a_kill_the_same_events_end_in_the_right_state(tmp_path: Path) -> None:
    """SIGKILL with fifty running posts (50 times in the campaign): no response was wrong, and a
    repeat succeeds.

    Each conversation starts with an older event and ends with the event that its caller repeats.
    """
    after = []
    with tenant(tmp_path, 1500):
        for number in range(KILLS):
            with endpoint(tmp_path) as (server, http):
                assert {200} == Posts(http, some(number, 1)).join()
                posts = Posts(http, some(number, 2))
                posts.await_all_under_way()
                server.kill()
                assert 200 not in posts.join(), "it was killed before it could know"
            with endpoint(tmp_path) as (_, http):
                after.append(Posts(http, some(number, 2)).join())
    assert [{200}] * KILLS == after
    stored = contexts(tmp_path)
    assert {
        f"c-{number}-{item}": 0.2 for number in range(KILLS) for item in range(TOGETHER)
    } == {name: context["cognigyConfidence"] for name, context in stored.items()}


def test_the_log_of_a_killed_process_has_complete_lines(tmp_path: Path) -> None:
    """Each is JSON, so that a collector can continue.

    A response may be sent just before its line.
    """
    stored = tmp_path / "serve.log"
    with tenant(tmp_path, 0), endpoint(tmp_path) as (server, http):
        assert {200} == Posts(http, some(0, 1)).join()
        assert until(5, lambda: stored.read_text("utf-8").count("\n") >= TOGETHER)
        server.kill()
    assert TOGETHER == len(
        [json.loads(line) for line in stored.read_text("utf-8").splitlines()]
    )
