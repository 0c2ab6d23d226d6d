"""`serve --workers`: several processes on one port keep every promise of one; whoever is killed is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.context.fleets import (
    EVENTS,
    FLOOD,
    Callers,
    caller,
    fleet,
    flood,
    gone_back,
    shuffled,
    too_fast,
    until,
    workers,
)
from tests.context.posting import event
from tests.context.processes import KEY
from tests.context.signing import WRITTEN, signed
from tests.plain import PLAIN
from tests.program import write
from tests.tiers import FULL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.program import Program

CONVERSATIONS = 500 if FULL else 20
NEWEST = {f"c-{one}": (EVENTS - 1) / EVENTS for one in range(CONVERSATIONS)}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forks")


@pytest.mark.parametrize("count", [2, 3])
def test_each_conversation_is_kept_in_order_whichever_worker_takes_its_events(tmp_path: Path, count: int) -> None:
    """Any order, a fifth twice, 5 % of calls failing: one effect for each event, none ever goes back."""
    with fleet(tmp_path, "--faults", "context:503@0.03,context:reset@0.02") as one:
        _, url = one.serve("--workers", str(count))
        callers = Callers(url)
        asyncio.run(callers.post_all(shuffled(CONVERSATIONS, count)))
        writes = one.writes()
    assert set(callers.statuses) <= {200, 502, 503, 504}
    assert [] == gone_back(writes)
    assert NEWEST == dict(writes)
    assert {} == {key: count for key, count in Counter(writes).items() if count > 1}


def test_a_signed_message_has_one_effect_whichever_worker_it_comes_to(tmp_path: Path) -> None:
    """Forty at once over forty connections, and later: the same answer; with another body it is a conflict."""

    async def posts(url: str) -> tuple[list[httpx.Response], list[httpx.Response]]:
        body, headers = signed("m-1", event(timestamp=...), time.time())
        other, others = signed("m-1", event(intent="none"), time.time())
        callers = [caller(url) for _ in range(40)]
        same = [http.post("/api/route", content=body, headers=headers) for http in callers]
        first = await asyncio.gather(*same)
        rest = [http.post("/api/route", content=other, headers=others) for http in callers[:8]]
        second = await asyncio.gather(*rest)
        for http in callers:
            await http.aclose()
        return first, second

    with fleet(tmp_path, "--latency-ms", "50") as one:
        _, url = one.serve("--workers", "2", CXROUTE_WEBHOOK_SECRETS=WRITTEN)
        same, others = asyncio.run(posts(url))
        writes = one.writes()
    assert {200} == {reply.status_code for reply in same}
    assert 1 == len({reply.content for reply in same})
    assert {409} == {reply.status_code for reply in others}
    assert 1 == len(writes)


def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    """Under load: what it had is lost or answered with 502 or 503, nothing else; all that is sent again is taken."""
    events = shuffled(CONVERSATIONS, 7)
    with fleet(tmp_path, "--latency-ms", "10") as one:
        server, url = one.serve("--workers", "2")
        before = workers(server.pid)
        callers = Callers(url)

        async def load() -> None:
            posting = asyncio.create_task(callers.post_all(events))
            await callers.answered(60)
            os.kill(before[0], signal.SIGKILL)
            await posting

        asyncio.run(load())
        after = workers(server.pid)
        again = Callers(url)
        asyncio.run(again.post_all(sorted(events)))
        assert until(5, lambda: httpx.get(f"{url}/ready", trust_env=False, verify=PLAIN).status_code == 200)
        newest = one.newest()
        said = [line for line in one.log() if line["event"] == "worker"]
    assert 2 == len(before) == len(after)
    assert before[1] in after
    assert before[0] not in after
    assert set(callers.statuses) <= {200, 502, 503, 504}
    assert {200} == set(again.statuses)
    assert NEWEST == newest
    assert [-signal.SIGKILL] == [line["ended"] for line in said]


def test_sigterm_to_the_parent_finishes_what_every_worker_accepted(tmp_path: Path) -> None:
    """Forty under way at a slow tenant, half of them handed over: all answered 200 and written, exit 0, nobody left."""

    async def posts(url: str, stop: Callable[[], None]) -> list[int]:
        async def post(number: int) -> int:
            async with caller(url) as http:
                return (await http.post("/api/route", json=event(conversationId=f"c-{number}"))).status_code

        under_way = [asyncio.create_task(post(number)) for number in range(40)]
        async with caller(url) as http:
            for _ in range(100):
                await asyncio.sleep(0.02)
                if "cxroute_waiting 40\n" in (await http.get("/metrics")).text:
                    break
        stop()
        return await asyncio.gather(*under_way)

    with fleet(tmp_path, "--latency-ms", "1800") as one:
        server, url = one.serve("--workers", "2")
        pids = workers(server.pid)
        statuses = asyncio.run(posts(url, lambda: server.send_signal(signal.SIGTERM)))
        code = server.wait(20)
        writes = one.writes()
    assert [200] * 40 == statuses
    assert 40 == len(writes)
    assert 0 == code
    assert [] == [pid for pid in pids if _lives(pid)]


def test_a_parent_that_is_killed_leaves_no_worker_behind(tmp_path: Path) -> None:
    """The workers see that it has gone, and end within seconds; the port is free again."""
    with fleet(tmp_path) as one:
        server, url = one.serve("--workers", "3")
        pids = workers(server.pid)
        server.kill()
        server.wait()
        assert 3 == len(pids)
        assert until(10, lambda: not any(map(_lives, pids)))
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health", trust_env=False, verify=PLAIN)


def test_the_metrics_are_those_of_all_workers(tmp_path: Path) -> None:
    """Whichever worker is asked: requests, histogram and calls to the tenant add up."""

    async def scrapes(url: str) -> set[str]:
        found = set()
        for _ in range(12):
            async with caller(url) as http:
                lines = (await http.get("/metrics")).text.splitlines()
            found.add("\n".join(line for line in lines if "_total" in line or "_count" in line))
        return found

    with fleet(tmp_path) as one:
        _, url = one.serve("--workers", "2")
        asyncio.run(Callers(url).post_all([(f"c-{number}", 0.5) for number in range(60)]))
        (found,) = asyncio.run(scrapes(url))
    assert 'cxroute_requests_total{status="200",outcome="written"} 60' in found
    assert "cxroute_request_seconds_count 60" in found


def test_all_workers_together_keep_to_the_tenants_rate(tmp_path: Path) -> None:
    """Two send no more in any stretch of time than one may."""
    rate = 60
    with fleet(tmp_path, rate=rate) as one:
        _, url = one.serve("--workers", "2")
        asyncio.run(flood(url))
        asked = [line["at"] for line in one.record("asked")]
        assert {200: FLOOD} == one.logged(FLOOD)
    assert [] == too_fast(asked, rate)


REFUSED = [
    (("--workers", "0"), "there may be 1 to 64"),
    (("--workers", "65"), "there may be 1 to 64"),
    (("--workers", "many"), "there may be 1 to 64"),
    (("--workers", "2"), "the sandbox lives in one process"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_what_makes_no_sense_is_refused(cxroute: Program, arguments: tuple[str, ...], said: str) -> None:
    """Exit 64 and one sentence; nobody listens."""
    write("all.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n")
    assert 64 == cxroute("serve", *arguments)
    assert said in cxroute.err


def test_windows_is_told_that_it_cannot(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process cannot be forked there: it is said what to do instead."""
    monkeypatch.setattr("reconciler.cli.admitted.sys.platform", "win32")
    assert 64 == cxroute("serve", "--workers", "2")
    assert "Windows cannot fork a process" in cxroute.err


def test_what_no_worker_could_begin_with_is_said_once(tmp_path: Path) -> None:
    """Without credentials: the exit code of the first, its sentence once, and no second one is tried."""
    with fleet(tmp_path) as one:
        with pytest.raises(AssertionError):
            one.serve("--workers", "2", CXONE_CLIENT_SECRET="", name="failing")
        said = (tmp_path / "failing.log").read_text("utf-8")
    assert 1 == said.count("error:")
    assert "CXONE_CLIENT_SECRET" in said
    assert KEY not in said


def _lives(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # orphans come to this process (tests/command.py)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
