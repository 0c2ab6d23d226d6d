"""A caller's trace reaches CXone's calls and the log, over real sockets; each call has that of its
own event.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.features.endpoint.in_process_endpoint import HEADERS, Endpoint, event
from tests.features.endpoint.instances import Fleet, fleet
from tests.support.plain_http import PLAIN
from tests.support.server_process import KEY

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CALLS = 60


def trace_of(number: int) -> dict[str, str]:
    """Return the headers of the trace of an event; every third event has none, and every fifth an
    invalid one.
    """
    if number % 3 == 0:
        return {}
    if number % 5 == 0:
        return {
            "traceparent": f"00-{number:032X}-{number:016x}-zz",
            "tracestate": "a=1",
        }
    return {
        "traceparent": f"00-{number:032x}-{number:016x}-01",
        "tracestate": f"bot=event{number}",
    }


def passed_on(number: int) -> dict[str, str]:
    """Return the headers that CXone must get."""
    return trace_of(number) if number % 3 and number % 5 else {}


async def post_all(url: str, numbers: range) -> list[int]:
    """Post an event of each conversation, all at the same time over many connections."""
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(
        base_url=url,
        headers={"X-API-Key": KEY},
        trust_env=False,
        verify=PLAIN,
        timeout=20,
        limits=limits,
    ) as http:

        async def post(number: int) -> int:
            form = event(conversationId=f"c-{number}")
            return (
                await http.post("/api/route", json=form, headers=trace_of(number))
            ).status_code

        return await asyncio.gather(*map(post, numbers))


def asked(one: Fleet) -> dict[str, list[dict[str, str]]]:
    """Return the headers of all calls that wrote a conversation, by its id."""
    actual: dict[str, list[dict[str, str]]] = {}
    for line in one.record("asked"):
        actual.setdefault(line["path"].split("/")[-2], []).append(line["trace"])
    return actual


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        "context:500@#3,context:reset@#20,context:429=1@#40",
        "",
        "token:500@#1",
        "context:revoke@#20",
    ],
)
def test_each_call_has_the_trace_of_its_event(tmp_path: Path, faults: str) -> None:
    """Concurrent ones, and those that are repeated; a call for a token has none."""
    tenant = ["--faults", faults] if faults else []
    with fleet(tmp_path, *tenant) as item:
        _, url = item.serve()
        statuses = asyncio.run(post_all(url, range(1, CALLS + 1)))
        log = item.logged(CALLS)

    assert CALLS == log.total()
    assert {200} == {*statuses}
    actual = asked(item)
    assert {f"c-{number}" for number in range(1, CALLS + 1)} == {*actual}
    for number in range(1, CALLS + 1):
        calls = actual[f"c-{number}"]
        assert [passed_on(number)] * len(calls) == calls
    assert faults.startswith("context") == (sum(map(len, actual.values())) > CALLS)
    assert [] == [line for line in item.record("token") if line["trace"]]

    traces = {
        line["conversation"]: line.get("trace_id")
        for line in item.log()
        if line["event"] == "request"
    }
    expected = {
        f"c-{number}": f"{number:032x}" if passed_on(number) else None
        for number in range(1, CALLS + 1)
    }
    assert expected == traces


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (HEADERS, 200),
        ([HEADERS[0], (b"x-api-key", b"wrong")], 401),
        ([HEADERS[1]], 415),
    ],
    ids=["written", "no valid key", "wrong media type"],
)
def test_the_log_has_the_trace_of_each_outcome(headers: Any, status: int) -> None:
    """Also where nothing was written."""
    endpoint = Endpoint()
    reply = asyncio.run(
        endpoint.post(headers=[*headers, (b"traceparent", PARENT.encode())])
    )
    [line] = endpoint.log
    assert (status, TRACE) == (reply.status, line["trace_id"])


def test_the_log_has_no_trace_without_a_valid_one() -> None:
    """A caller cannot write into the log."""
    endpoint = Endpoint()
    for value in (b"", b'00-"}\n{', PARENT.upper().encode(), b"x" * 4000):
        asyncio.run(endpoint.post(headers=[*HEADERS, (b"traceparent", value)]))
    assert [] == [line for line in endpoint.log if "trace_id" in line]
    assert 4 == len(endpoint.log)


def test_a_trace_ends_with_its_request() -> None:
    """The next one of the same task has none."""
    endpoint = Endpoint()

    async def posts() -> None:
        await endpoint.post(headers=[*HEADERS, (b"traceparent", PARENT.encode())])
        await endpoint.post(event(conversationId="c-2"))

    asyncio.run(posts())
    assert [TRACE, None] == [line.get("trace_id") for line in endpoint.log]
