"""Requests that ask for another protocol: they are answered in HTTP/1.1 (RFC 9110, section 7.8)."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from reconciler.cli import http_server as connection
from tests.features.endpoint.in_process_endpoint import Endpoint, event
from tests.features.endpoint.raw_sockets import BODY, Said, listening, request, talk
from tests.support.cases import each_case
from tests.support.requirements import skip_or_fail
from tests.support.server_process import KEY

JAVA_PROGRAM = Path(__file__).parent / "PostEvents.java"
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAAA",
)
CHUNKS = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
UPGRADES = {
    "as Java and curl send it": H2C,
    "lower case": (
        "connection: upgrade, http2-settings",
        "upgrade: h2c",
        "http2-settings: AAEAAEAAAAIAAAAA",
    ),
    "upper case": ("CONNECTION: UPGRADE", "UPGRADE: H2C"),
    "without Connection": ("Upgrade: h2c",),
    "without Upgrade": ("Connection: Upgrade",),
    "without a protocol": ("Connection: Upgrade", "Upgrade:"),
    "WebSocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ),
    "TLS": ("Connection: Upgrade", "Upgrade: TLS/1.3"),
    "unknown": ("Connection: upgrade", "Upgrade: carrier-pigeon/2"),
    "several protocols": (
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket, h2c;q=0.5, IRC/6.9",
    ),
    "two headers": (
        "Connection: Upgrade",
        "Upgrade: h2c",
        "Connection: keep-alive",
        "Upgrade: websocket",
    ),
    "ends the connection": ("Connection: close, Upgrade", "Upgrade: h2c"),
}
ALL_UPGRADES = pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)


def chunked(*headers: str) -> bytes:
    return request("Transfer-Encoding: chunked", *headers, body=CHUNKS, length="")


async def written(
    *parts: bytes, pause: float = 0.0, count: int = 1
) -> tuple[list[int], list[tuple[str, object]]]:
    """Return the statuses on one connection, and the conversations and intents that were
    written.
    """
    endpoint = Endpoint()
    async with listening(endpoint) as port:
        text = await talk(port, *parts, pause=pause, wait=5, count=count)
    writes = endpoint.upstream.writes
    return text.statuses, [
        (name, values["cognigyDetectedIntent"]) for name, values in writes
    ]


@pytest.mark.fast_cases(3)
@ALL_UPGRADES
def test_a_request_is_answered_as_without_it(headers: tuple[str, ...]) -> None:
    """Also with a chunked body, and in HTTP/1.0."""
    old = request(*headers, line="POST /api/route HTTP/1.0")
    for data in (request(*headers), chunked(*headers), old):
        assert ([200], [("c-1", "billing")]) == asyncio.run(written(data))


@pytest.mark.fast_cases(3)
@ALL_UPGRADES
def test_its_body_may_arrive_in_any_pieces(headers: tuple[str, ...]) -> None:
    """Byte by byte, and with a pause behind the headers."""
    for data in (request(*headers), chunked(*headers)):
        cut = data.index(b"\r\n\r\n") + 4
        pieces = [data[at : at + 1] for at in range(len(data))]
        assert ([200], [("c-1", "billing")]) == asyncio.run(written(*pieces))
        assert ([200], [("c-1", "billing")]) == asyncio.run(
            written(data[:cut], data[cut:], pause=0.05)
        )


def test_a_connection_is_kept() -> None:
    """Java and curl ask again with each request."""
    bodies = [
        json.dumps(event(conversationId=f"c-{number}")).encode() for number in range(4)
    ]
    parts = [
        request(*H2C, body=bodies[0]),
        request(body=bodies[1]),
        request(*H2C, body=bodies[2]),
    ]
    statuses, writes = asyncio.run(written(*parts, pause=0.1, count=3))
    assert ([200, 200, 200], ["c-0", "c-1", "c-2"]) == (
        statuses,
        [name for name, _ in writes],
    )


@each_case(
    "line, status",
    [
        ("GET /health", 200),
        ("HEAD /ready", 200),
        ("GET /metrics", 200),
        ("GET /api/route", 405),
        ("DELETE /", 404),
    ],
)
def test_every_path_ignores_it(line: str, status: int) -> None:
    """Also a WebSocket's request, which has no body."""
    data = request(*UPGRADES["WebSocket"], body=b"", length="", line=f"{line} HTTP/1.1")
    assert ([status], []) == asyncio.run(written(data))


@pytest.mark.fast_cases(4)
@ALL_UPGRADES
@pytest.mark.parametrize(
    "behind",
    [request(), request(*H2C), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x81\x85", b"x"],
)
def test_data_directly_after_it_is_not_read(
    headers: tuple[str, ...], behind: bytes
) -> None:
    """The other protocol's bytes do not reach it; neither does a second request."""
    for data in (request(*headers), chunked(*headers)):
        assert ([200], [("c-1", "billing")]) == asyncio.run(
            written(data + behind, count=0)
        )


@pytest.mark.fast_cases(2)
@ALL_UPGRADES
def test_connect_is_refused(headers: tuple[str, ...]) -> None:
    """It asks for a tunnel, which is not an upgrade."""
    for target in ("elsewhere.example:443", "/api/route", "127.0.0.1:80"):
        data = request(*headers, line=f"CONNECT {target} HTTP/1.1", body=b"", length="")
        assert ([400], []) == asyncio.run(written(data + request(), count=0))


def test_the_limits_of_the_headers_hold() -> None:
    """431 with more than 64 headers or 16 KiB; the header that is ignored counts, too."""
    many = request(*H2C, *(f"X-{number}: a" for number in range(60)))
    long = request(*H2C, "X-A: " + "a" * 16_384)
    endless = request("Connection: Upgrade", "Upgrade: " + "h2c," * 5000)
    for data in (many, long, endless):
        assert ([431], []) == asyncio.run(written(data))


def test_a_body_that_stops_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit of the body holds."""
    monkeypatch.setattr(connection, "_BODY_TIMEOUT", 0.1)

    async def stop() -> Said:
        async with listening(Endpoint()) as port:
            return await talk(port, request(*H2C)[:-5], wait=5)

    text = asyncio.run(stop())
    assert ([408], True) == (text.statuses, text.closed)


async def run_client(*words: str, entry: str = "") -> tuple[str, list[str]]:
    """Run a client of another project against the endpoint; return its output, and the written
    conversations.
    """
    endpoint = Endpoint()
    async with listening(endpoint) as port:
        pipe = asyncio.subprocess.PIPE
        url = f"http://127.0.0.1:{port}/api/route"
        command = [word.replace("URL", url) for word in words]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe
        )
        output, _ = await process.communicate(entry.encode())
    return output.decode(), [name for name, _ in endpoint.upstream.writes]


@pytest.mark.slow
def test_a_jdk_posts_events() -> None:
    """Its client asks for HTTP/2 unless a program tells it otherwise; it keeps the connection."""
    if shutil.which("java") is None:
        skip_or_fail("java is not installed (Debian: default-jdk-headless)")
    events = [
        json.dumps(event(conversationId=f"c-{number}", intent=f"ä {number}"))
        for number in range(3)
    ]

    output, written = asyncio.run(
        run_client("java", str(JAVA_PROGRAM), "URL", KEY, entry="\n".join(events))
    )

    lines = [line.split(" ", 2) for line in output.splitlines()]
    assert [["HTTP_1_1", "200"]] * 3 == [line[:2] for line in lines]
    assert [True] * 3 == [json.loads(line[2])["success"] for line in lines]
    assert ["c-0", "c-1", "c-2"] == written


@pytest.mark.parametrize("way", ["--http2", "--http1.1", "--http1.0"])
def test_curl_posts_an_event(way: str) -> None:
    """With each version of HTTP that it asks for over plain HTTP."""
    if shutil.which("curl") is None:
        skip_or_fail("curl is not installed")
    headers = ["-H", "Content-Type: application/json", "-H", f"X-API-Key: {KEY}"]
    printed = ["-sS", "-o", "-", "-w", " %{http_version} %{http_code}"]

    output, written = asyncio.run(
        run_client(
            "curl",
            way,
            *printed,
            *headers,
            "-d",
            json.dumps(event(conversationId="c-7")),
            "URL",
        )
    )

    body, _, outcome = output.rpartition("} ")
    assert ("1.1 200", ["c-7"]) == (outcome, written)
    assert json.loads(body + "}")["success"]
