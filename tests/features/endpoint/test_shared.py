"""`serve --shared`: several instances with Redis keep every promise of one process, and refuse
while it is down.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.instances import (
    EVENTS,
    FLOOD,
    Callers,
    caller,
    fleet,
    flood,
    gone_back,
    machines,
    ready,
    shared,
    shuffled,
    too_fast,
)
from tests.features.endpoint.redis_server import PREFIX, redis_server
from tests.features.endpoint.signing import WRITTEN, signed
from tests.support.plain_http import PLAIN
from tests.support.program import Program
from tests.support.server_process import KEY
from tests.tiers import FULL

pytestmark = pytest.mark.slow

CONVERSATIONS = 500 if FULL else 20
NEWEST = {f"c-{item}": (EVENTS - 1) / EVENTS for item in range(CONVERSATIONS)}


def post(url: str, **said: object) -> httpx.Response:
    """Post one event."""
    return httpx.post(
        f"{url}/api/route",
        json=event(**said),
        headers={"X-API-Key": KEY},
        trust_env=False,
        verify=PLAIN,
        timeout=10,
    )


def send(url: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
    """Send one signed message."""
    return httpx.post(
        f"{url}/api/route",
        content=body,
        headers=headers,
        trust_env=False,
        verify=PLAIN,
        timeout=10,
    )


def test_each_conversation_keeps_its_order_across_instances(tmp_path: Path) -> None:
    """Any order, a fifth twice, 5 % of calls failing: one effect for each event, no older value
    replaces a newer.
    """
    with shared(tmp_path, "--faults", "context:503@0.03,context:reset@0.02") as (
        one,
        server,
    ):
        callers = Callers(*machines(one, server))
        asyncio.run(callers.post_all(shuffled(CONVERSATIONS, 3)))
        writes = one.writes()
        with server.client() as client:
            lives = {key.decode(): client.pttl(key) for key in client.scan_iter()}
    assert set(callers.statuses) <= {200, 502, 503, 504}
    assert [] == gone_back(writes)
    assert NEWEST == dict(writes)
    assert {} == {key: count for key, count in Counter(writes).items() if count > 1}
    assert {True} == {name.startswith(PREFIX) for name in lives}
    assert [] == [name for name, life in lives.items() if not 0 < life <= 3_600_000]


def test_a_signed_message_has_one_effect_across_instances(tmp_path: Path) -> None:
    """Twenty together to two instances, and later: the same response; with another body it is a
    conflict.
    """

    async def posts(
        urls: list[str],
    ) -> tuple[list[httpx.Response], list[httpx.Response]]:
        body, headers = signed("m-1", event(timestamp=...), time.time())
        candidate, remaining_items = signed("m-1", event(intent="none"), time.time())
        callers = [caller(urls[number % 2]) for number in range(20)]
        same = [
            http.post("/api/route", content=body, headers=headers) for http in callers
        ]
        first = await asyncio.gather(*same)
        rest = [
            http.post("/api/route", content=candidate, headers=remaining_items)
            for http in callers[:4]
        ]
        second = await asyncio.gather(*rest)
        for http in callers:
            await http.aclose()
        return first, second

    with shared(tmp_path, "--latency-ms", "50") as (one, server):
        urls = machines(one, server, CXROUTE_WEBHOOK_SECRETS=WRITTEN)
        same, remaining_items = asyncio.run(posts(urls))
        writes = one.writes()
    assert {200} == {reply.status_code for reply in same}
    assert 1 == len({reply.content for reply in same})
    assert {409} == {reply.status_code for reply in remaining_items}
    assert 1 == len(writes)


def test_a_redis_that_is_killed_and_returns_empty_promises_order_again(
    tmp_path: Path,
) -> None:
    """Under load: only 503 during the outage; afterwards the events are in order again."""
    with shared(tmp_path, "--latency-ms", "10") as (one, server):
        first, second = machines(one, server)
        post(first, conversationId="known", timestamp="2026-02-01T09:00:09Z")
        callers = Callers(first, second)

        async def load() -> None:
            posting = asyncio.create_task(callers.post_all(shuffled(CONVERSATIONS, 5)))
            await callers.answered(80)
            server.kill()
            await asyncio.sleep(2)
            server.start()
            await posting

        asyncio.run(load())
        times = ("2026-02-01T09:00:05Z", "2026-02-01T09:00:03Z", "2026-02-01T09:00:07Z")
        replies = [
            post(url, conversationId="known", timestamp=stamp)
            for url, stamp in zip((second, first, second), times, strict=True)
        ]
        repeated = post(first, conversationId="known", timestamp=times[-1])
        states = [
            line["state"] for line in one.log("machine-0") if line["event"] == "shared"
        ]
    assert {200, 503} == set(callers.statuses)
    assert ["open", "away", "open"] == states[-3:]
    assert [200] * 3 == [reply.status_code for reply in replies]
    assert [False, True, False] == [
        reply.json().get("stale", False) for reply in replies
    ]
    assert replies[-1].content == repeated.content


def test_a_hanging_redis_is_detected_once(tmp_path: Path) -> None:
    """Each request is refused; /ready and a metric show it; it recovers by itself."""
    with shared(tmp_path) as (one, server):
        (url,) = machines(one, server, count=1)
        server.freeze()
        first = post(url)
        statuses = {post(url).status_code for _ in range(20)}
        away = httpx.get(f"{url}/metrics", trust_env=False, verify=PLAIN).text
        says_no = ready(url, 1, status=503)
        server.thaw()
        healed = ready(url)
        last = post(url)
    assert (503, "1") == (first.status_code, first.headers["retry-after"])
    assert {503} == statuses
    assert "cxroute_shared_away 1" in away
    assert says_no
    assert healed
    assert 200 == last.status_code


def test_it_starts_without_redis_and_is_ready_once_that_runs(tmp_path: Path) -> None:
    """/health lives, /ready and a post give 503; one line of log has the reason; nothing must be
    restarted.
    """
    with shared(tmp_path) as (one, server):
        server.kill()
        _, url = one.serve("--shared", server.url)
        health = httpx.get(f"{url}/health", trust_env=False, verify=PLAIN).status_code
        early = post(url)
        text = httpx.get(f"{url}/ready", trust_env=False, verify=PLAIN).status_code
        time.sleep(1.5)
        server.start()
        assert ready(url)
        late = post(url)
        states = [line["state"] for line in one.log() if line["event"] == "shared"]
    assert [200, 503, 503, 200] == [health, early.status_code, text, late.status_code]
    assert ["away", "open"] == states


def test_other_instances_replace_a_killed_one(tmp_path: Path) -> None:
    """Its locks are free after seconds; its writes are known; all repeated events are accepted."""
    with shared(tmp_path, "--latency-ms", "20") as (one, server):
        victim, url = one.serve("--shared", server.url, name="victim")
        urls = [url, *machines(one, server, count=1)]
        assert ready(url)
        callers = Callers(*urls)

        async def load() -> None:
            posting = asyncio.create_task(callers.post_all(shuffled(CONVERSATIONS, 9)))
            await callers.answered(80)
            victim.kill()
            callers.leave(url)
            await posting

        asyncio.run(load())
        newest = one.newest()
    assert set(callers.statuses) <= {200, 502, 503, 504}
    assert NEWEST == newest


def test_all_instances_together_keep_the_tenants_rate(tmp_path: Path) -> None:
    """Two send no more in any period than one may."""
    rate = 60
    with shared(tmp_path, rate=rate) as (one, server):
        asyncio.run(flood(*machines(one, server)))
        requested = [line["at"] for line in one.record("asked")]
        assert {200: FLOOD} == one.logged(FLOOD, "machine-0", "machine-1")
    assert [] == too_fast(requested, rate)


def test_a_password_opens_redis_and_is_never_shown(tmp_path: Path) -> None:
    """With a wrong one it is not ready, and logs the kind of the error; neither is in log or
    responses.
    """
    right = "right-password-of-redis"
    wrong = "wrong-password-of-redis"
    with redis_server(tmp_path, right) as server, fleet(tmp_path) as one:
        place = f"127.0.0.1:{server.port}/3"
        (tmp_path / "shared").write_text(
            f"redis://:{right}@{place}\n", encoding="utf-8"
        )
        _, good = one.serve(name="good", CXROUTE_SHARED_FILE=str(tmp_path / "shared"))
        _, bad = one.serve(name="bad", CXROUTE_SHARED=f"redis://:{wrong}@{place}")
        assert ready(good)
        refused = post(bad)
        text = (
            "".join(
                (tmp_path / f"{name}.log").read_text("utf-8")
                for name in ("good", "bad")
            )
            + refused.text
        )
    assert 503 == refused.status_code
    assert '"reason": "AuthenticationError"' in text
    assert right not in text
    assert wrong not in text


REFUSED = [
    ("http://localhost", "the URL must be redis://HOST:PORT/DB"),
    ("redis://", "the URL must be redis://HOST:PORT/DB"),
    ("localhost:6379", "the URL must be redis://HOST:PORT/DB"),
    (
        "redis://:hunter2pass@localhost:99999/0",
        "the port must be a number from 1 to 65535",
    ),
    (
        "redis://:hunter2pass@localhost:port/0",
        "the port must be a number from 1 to 65535",
    ),
    ("redis://:hunter2pass@localhost/zero", "the database must be a number"),
    (
        "rediss://:hunter2pass@localhost/0?ssl_cert_reqs=none",
        "the URL must end after the database's number",
    ),
    ("redis://:hunter2pass@[::1/0", "the URL must be redis://HOST:PORT/DB"),
]


@pytest.mark.parametrize(("url", "said"), REFUSED)
def test_an_invalid_url_is_refused_at_the_start(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    """As an option and as a variable: exit 64, and no part of it is repeated."""
    assert 64 == cxroute("serve", "--shared", url)
    assert said in cxroute.err
    assert "hunter2" not in cxroute.err
    monkeypatch.setenv("CXROUTE_SHARED", url)
    assert 64 == cxroute("serve")
    assert said in cxroute.err


def test_a_password_on_the_command_line_causes_a_warning(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other users see it there; a variable or a URL without one is fine.

    Without keys the command ends here.
    """
    line = ["serve", "--host", "0.0.0.0", "--shared"]  # noqa: S104 - nothing listens
    advice = "every user of this machine can see command lines"
    assert 64 == cxroute(*line, "redis://:hunter2pass@localhost/0")
    assert advice in cxroute.err
    assert "hunter2" not in cxroute.err
    assert 64 == cxroute(*line, "redis://localhost/0")
    assert advice not in cxroute.err
    monkeypatch.setenv("CXROUTE_SHARED", "redis://:hunter2pass@localhost/0")
    assert 64 == cxroute(*line[:-1])
    assert advice not in cxroute.err


def test_an_unreadable_file_is_reported(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 64, without the path; an empty file is also refused."""
    monkeypatch.setenv("CXROUTE_SHARED_FILE", "nowhere")
    assert 64 == cxroute("serve")
    assert "the file that CXROUTE_SHARED_FILE names cannot be read" in cxroute.err
    Path("empty").touch()
    monkeypatch.setenv("CXROUTE_SHARED_FILE", "empty")
    assert 64 == cxroute("serve")
    assert "the file that CXROUTE_SHARED_FILE names is empty" in cxroute.err
