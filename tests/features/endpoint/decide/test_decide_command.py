"""`cxroute serve --decide` as users start it: real processes, over sockets."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.features.endpoint.instances import until
from tests.features.endpoint.redis_server import redis_server
from tests.support.cases import each_case
from tests.support.command import run_command
from tests.support.plain_http import PLAIN
from tests.support.program import Program
from tests.support.served_tables import a_table, rule_json
from tests.support.server_process import KEY, server_process

ADMIN: Final = "key-of-a-publisher"
MANIFEST: Final = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {rules: served, served: {url: "https://routing.acme.example"}}
"""
FRAUD = a_table(rule_json("lost"))
BILLING = a_table(
    rule_json("lost", targets=[{"type": "queue", "queueId": "4002", "weight": 1}])
)


@contextmanager
def deciding(
    folder: Path, *options: str, name: str = "serve"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a decision service without a tenant."""
    (folder / "manifests").mkdir(exist_ok=True)
    (folder / "manifests" / "all.yaml").write_text(MANIFEST, encoding="utf-8")
    words = ("serve", "-e", "prod", "--port", "0", "--decide", *options)
    variables = {"CXROUTE_ADMIN_KEYS": ADMIN}
    with server_process(folder, *words, name=name, variables=variables) as started:
        yield started


def call(method: str, url: str, key: str = KEY, **said: Any) -> httpx.Response:
    """Make one request."""
    headers = {"X-API-Key": key, **said.pop("headers", {})}
    return httpx.request(
        method, url, headers=headers, trust_env=False, verify=PLAIN, timeout=20, **said
    )


def publish(url: str, table: Any, tag: str | None) -> httpx.Response:
    """Publish a table over the one with a tag."""
    condition = {"If-Match": tag} if tag else {"If-None-Match": "*"}
    return call("PUT", f"{url}/rules", ADMIN, json=table.to_json(), headers=condition)


def digest_of(url: str) -> str:
    """Return the digest of the table by which a service decides; empty without one."""
    answer = call("POST", f"{url}/decide", json={"intent": "lost"})
    return str(answer.json().get("digest", ""))


def test_from_a_publication_to_a_decision(tmp_path: Path) -> None:
    """Without a tenant: not ready, published, decided, no events; a restart keeps the table, and the
    log has no key.
    """
    with deciding(tmp_path) as (_, url):
        assert call("GET", f"{url}/ready").status_code == 503
        published = publish(url, FRAUD, None)
        assert published.status_code == 200
        assert call("GET", f"{url}/ready").status_code == 200
        refused = publish(url, BILLING, None)
        assert refused.status_code == 412
        assert refused.headers["etag"] == published.headers["etag"]
        missing = call("POST", f"{url}/api/route", json={})
        assert missing.status_code == 404
        assert "no tenant" in missing.json()["error"]
    with deciding(tmp_path, name="again") as (_, url):
        assert digest_of(url) == FRAUD.digest
        log = tmp_path / "again.log"  # a line is written after its response
        assert until(10, lambda: '"path": "/decide"' in log.read_text("utf-8"))
    assert (tmp_path / ".cxroute" / "table.json").exists()
    logs = [
        (tmp_path / f"{name}.log").read_text("utf-8") for name in ("serve", "again")
    ]
    assert all(key not in text for key in (KEY, ADMIN) for text in logs)


SANDBOX: Final = """
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
api: {rules: served, served: {url: "http://127.0.0.1:1"}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
- {intent: lost, queue: QUEUE}
"""


def test_the_sandbox_follows_an_apply(tmp_path: Path) -> None:
    """Its state stays free for `apply`, also while the service runs, and each apply is found."""
    manifest = tmp_path / "manifests" / "all.yaml"
    manifest.parent.mkdir()
    words = ("serve", "-e", "sandbox", "--port", "0", "--decide")
    manifest.write_text(SANDBOX, encoding="utf-8")
    with server_process(tmp_path, *words) as (_, url):
        for queue in ("Fraud", "Billing"):
            manifest.write_text(SANDBOX.replace("QUEUE", queue), encoding="utf-8")
            applied = run_command("apply", "--yes", "-e", "sandbox", cwd=tmp_path)
            assert applied.returncode == 0, applied
            assert until(10, partial(is_answered, url, queue))


def is_answered(url: str, queue: str) -> bool:
    """Return whether a lost card goes to a queue."""
    answer = call("POST", f"{url}/decide", json={"intent": "lost"}).json()
    return bool((answer.get("queue") or {}).get("name") == queue)


@each_case(
    "words, variables, problem",
    [
        (("--table", "t.json"), {}, "--table needs --decide"),
        (
            ("--decide", "--table", "t.json", "--shared", "redis://localhost/0"),
            {},
            "exclude each other",
        ),
        (
            ("--decide",),
            {"CXROUTE_API_KEYS": "one-key", "CXROUTE_ADMIN_KEYS": "x,one-key"},
            "have a key in common",
        ),
        (("--decide",), {"CXROUTE_READ_KEYS": " , "}, "CXROUTE_READ_KEYS"),
        (("--decide", "--host", "::"), {}, "listens on loopback only"),
    ],
)
def test_settings_that_contradict_are_refused(
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    variables: dict[str, str],
    problem: str,
) -> None:
    """Each with the reason, and without a key."""
    with monkeypatch.context() as around:
        for name, value in variables.items():
            around.setenv(name, value)
        assert cxroute("serve", "-e", "sandbox", "--port", "0", *words) == 64
    assert problem in cxroute.err
    assert "one-key" not in cxroute.err


@pytest.mark.slow
def test_three_services_outlive_their_redis(tmp_path: Path) -> None:
    """While Redis stops and starts again, every service decides by the table that it has; then each
    finds the next one. A publication meanwhile is refused.
    """
    with redis_server(tmp_path) as server, ExitStack() as stack:
        names = ("one", "two", "three")
        urls = [
            stack.enter_context(deciding(tmp_path, "--shared", server.url, name=name))[
                1
            ]
            for name in names
        ]
        tag = publish(urls[0], FRAUD, None).headers["etag"]
        assert until(10, lambda: {*map(digest_of, urls)} == {FRAUD.digest})
        load = stack.enter_context(steady_load(urls))
        assert publish(urls[1], BILLING, tag).status_code == 200
        assert until(10, lambda: {*map(digest_of, urls)} == {BILLING.digest})

        server.kill()
        assert publish(urls[2], FRAUD, tag).status_code == 503
        assert {*map(digest_of, urls)} == {BILLING.digest}
        assert [call("GET", f"{url}/ready").status_code for url in urls] == [200] * 3
        server.start()
        assert until(10, lambda: read_status(urls[0]) == 404)
        assert publish(urls[0], FRAUD, None).status_code == 200
        assert until(10, lambda: {*map(digest_of, urls)} == {FRAUD.digest})
    assert set(load) == {200}


def read_status(url: str) -> int:
    """Return the status of GET /rules."""
    return call("GET", f"{url}/rules", ADMIN).status_code


@contextmanager
def steady_load(urls: list[str]) -> Iterator[Counter[int]]:
    """Ask every service for decisions while the block runs; yield the counts of the statuses."""
    statuses = Counter[int]()
    ending = threading.Event()

    def ask(url: str) -> None:
        while not ending.wait(0.02):
            answer = call("POST", f"{url}/decide", json={"intent": "lost"})
            statuses[answer.status_code] += 1

    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ending.set()
        for thread in threads:
            thread.join()
