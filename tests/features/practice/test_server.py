"""The simulator over a real socket: the contract again, connections that really break, and real
kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn

from reconciler.cli.http_server import open_listener
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import encode_json
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from tests.support.command import serving
from tests.support.contract import (
    Json,
    check_response,
    examples,
    send_example,
    settings,
    tenant,
)
from tests.support.plain_http import PLAIN
from tests.support.simulated import QUEUES, RULES, body, sign_in, stored

SERVER = """
import asyncio
import sys
from pathlib import Path
from reconciler.cli.http_server import open_listener, serve
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState

state = TenantState.load(Path(sys.argv[1]), initial=TenantState([{"id": "q1", "name": "Billing"}]))
app = Simulator(state, SimulatorSettings(latency=float(sys.argv[2])))
with open_listener("127.0.0.1", 0) as listener:
    asyncio.run(serve(app, listener, lambda url: print("on", url, flush=True)))
state.close()
"""


@asynccontextmanager
async def listening(
    app: Any, http: Literal["h11", "httptools"]
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an app in this event loop under one of uvicorn's two parsers, and yield a client of
    it.
    """
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", ws="none", http=http
    )
    server = uvicorn.Server(config)
    with open_listener("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(
                base_url=url, trust_env=False, verify=PLAIN, timeout=5
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await serving


@contextmanager
def process(
    state: Path, latency: float = 0.0
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a real server process; yield it and its URL; kill it at the end if it still runs."""
    arguments = [sys.executable, "-c", SERVER, str(state), str(latency)]
    server = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with serving(server) as url:
        yield server, url


@pytest.mark.slow
@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_the_contract_holds_over_a_socket(parser: Literal["h11", "httptools"]) -> None:
    """Every example of the contract with a server's response, through uvicorn and back."""
    current: list[Any] = []

    async def switch(scope: Any, receive: Any, send: Any) -> None:
        await current[0](scope, receive, send)

    async def replay(all_of_them: list[Json]) -> None:
        async with listening(switch, parser) as http:
            for example in all_of_them:
                switches = replace(
                    settings(example["given"]), issuer="http://localhost"
                )
                current[:] = [Simulator(tenant(example["given"]), switches)]
                check_response(example, await send_example(example, http))

    asyncio.run(replay(examples()))


BROKEN = [
    ("reset", httpx.ReadError, 0),
    ("reset-applied", httpx.ReadError, 1),
    ("refuse", httpx.ReadError, 0),
    ("cut", httpx.RemoteProtocolError, 1),
    ("timeout", httpx.ReadTimeout, 0),
    ("timeout-applied", httpx.ReadTimeout, 1),
    ("late=1", httpx.ReadTimeout, 1),
]


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("parser", ["h11", "httptools"])
@pytest.mark.parametrize(("name", "expected", "made"), BROKEN)
def test_a_broken_connection_is_really_broken(
    parser: Literal["h11", "httptools"], name: str, expected: type[Exception], made: int
) -> None:
    """The client gets its own exception for a reset, a cut body or silence; the server serves the
    next request.
    """
    state = TenantState(QUEUES)
    app = Simulator(state, SimulatorSettings(), FaultInjector(f"POST rules:{name}@#1"))

    async def talk() -> int:
        async with listening(app, parser) as http:
            await sign_in(http)
            with pytest.raises(expected):
                await http.post(
                    RULES,
                    json=body("x"),
                    timeout=0.3 if expected is httpx.ReadTimeout else 5,
                )
            return int((await http.get(RULES)).json()["total"])

    assert made == asyncio.run(talk())


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_a_reset_is_a_tcp_reset(parser: Literal["h11", "httptools"]) -> None:
    """The client's kernel gets RST, not an orderly end."""
    app = Simulator(TenantState(), SimulatorSettings(), FaultInjector("GET:reset"))

    async def talk() -> None:
        async with listening(app, parser) as http:
            reader, writer = await asyncio.open_connection(
                http.base_url.host, http.base_url.port
            )
            writer.write(f"GET {RULES} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    asyncio.run(talk())


def test_a_drip_comes_a_byte_at_a_time() -> None:
    """Over a socket the bytes of a slow drip arrive one by one."""
    app = Simulator(
        TenantState(QUEUES, [stored(1)]),
        SimulatorSettings(),
        FaultInjector("GET:drip=0.001"),
    )

    async def talk() -> list[int]:
        async with listening(app, "h11") as http:
            await sign_in(http)
            async with http.stream("GET", f"{RULES}/r1") as answer:
                return [len(part) async for part in answer.aiter_raw()]

    parts = asyncio.run(talk())
    assert sum(parts) == len(encode_json(stored(1)))
    assert len(parts) > 50


H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
UPGRADES = {
    "HTTP/2, as Java and curl ask for it": H2C,
    "WebSocket": "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
    "TLS": "connection: upgrade\r\nupgrade: TLS/1.0\r\n",
}


def create_request(number: int, token: str, upgrade: str, *, chunked: bool) -> bytes:
    """Return a request that creates a rule and asks for another protocol."""
    form = json.dumps(body(f"rule {number}")).encode()
    size = f"Content-Length: {len(form)}"
    content = form
    if chunked:
        size = "Transfer-Encoding: chunked"
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form)
    head = (
        f"POST {RULES} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Type: "
        f"application/json\r\n"
    )
    return f"{head}{size}\r\n{upgrade}\r\n".encode() + content


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
def test_a_request_that_asks_for_another_protocol_keeps_its_body(
    tmp_path: Path, upgrade: str
) -> None:
    """Three creates on one connection, one of them chunked: each is answered in HTTP/1.1, and
    nothing is logged.
    """

    async def talk(url: str) -> list[bytes]:
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, verify=PLAIN
        ) as http:
            await sign_in(http)
            token = http.headers["Authorization"]
        reader, writer = await asyncio.open_connection(
            http.base_url.host, http.base_url.port
        )
        lines = []
        for number in range(3):
            writer.write(create_request(number, token, upgrade, chunked=number == 1))
            head = await reader.readuntil(b"\r\n\r\n")
            length = (
                head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            )
            await reader.readexactly(int(length))
            lines.append(head.partition(b"\r\n")[0])
        writer.close()
        return lines

    with process(tmp_path / "state.json") as (server, url):
        assert [b"HTTP/1.1 201"] * 3 == [
            line.strip()[:12] for line in asyncio.run(talk(url))
        ]
        server.terminate()
        assert "" == (server.stderr.read() if server.stderr else None)
    with TenantState.load(tmp_path / "state.json") as state:
        assert ["rule 0", "rule 1", "rule 2"] == [
            rule["name"] for rule in state.rules()
        ]


async def create(url: str, count: int, stop_at: int, stop: Any) -> set[str]:
    """Create rules 16 at a time, call `stop` after so many are acknowledged, and return all
    acknowledged ids.
    """
    acknowledged: set[str] = set()
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=PLAIN) as http:
        await sign_in(http)
        waiting = iter(range(count))

        async def worker() -> None:
            for number in waiting:
                try:
                    answer = await http.post(RULES, json=body(f"rule {number}"))
                except httpx.TransportError:
                    return
                assert 201 == answer.status_code
                acknowledged.add(answer.json()["id"])
                if len(acknowledged) == stop_at:
                    stop()

        await asyncio.gather(*(worker() for _ in range(16)))
    return acknowledged


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [1, 30, 150, 299])
def test_a_killed_server_has_every_acknowledged_create(
    tmp_path: Path, killed_at: int
) -> None:
    """SIGKILL in the middle of 300 creates: after a restart each acknowledged one is there, and at
    most 16 others.
    """
    path = tmp_path / "state.json"
    with process(path) as (server, url):
        acknowledged = asyncio.run(create(url, 300, killed_at, server.kill))
        assert -signal.SIGKILL == server.wait(5)
    with TenantState.load(path) as state:
        ids = {rule["id"] for rule in state.rules()}
    assert killed_at <= len(acknowledged)
    assert acknowledged <= ids
    assert len(ids - acknowledged) <= 16


@pytest.mark.slow
def test_a_restarted_server_serves_the_existing_rules(tmp_path: Path) -> None:
    """After a kill and a new start on the same file, it lists over HTTP the rules created
    before.
    """
    path = tmp_path / "state.json"
    with process(path) as (server, url):
        acknowledged = asyncio.run(create(url, 20, 20, server.kill))

    async def talk(url: str) -> Any:
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, verify=PLAIN
        ) as http:
            await sign_in(http)
            return (await http.get(RULES)).json()

    with process(path) as (_, url):
        page = asyncio.run(talk(url))
    assert acknowledged == {rule["id"] for rule in page["entities"]}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(tmp_path: Path, ending: signal.Signals) -> None:
    """A running call is answered; then exit 0, nothing on stderr, and the file has everything."""
    path = tmp_path / "state.json"
    with process(path, latency=0.2) as (server, url):

        async def talk() -> int:
            async with httpx.AsyncClient(
                base_url=url, trust_env=False, verify=PLAIN
            ) as http:
                await sign_in(http)
                call = asyncio.create_task(http.post(RULES, json=body("x")))
                await asyncio.sleep(0.1)
                os.kill(server.pid, ending)
                return (await call).status_code

        assert 201 == asyncio.run(talk())
        assert (0, "") == (
            server.wait(5),
            server.stderr.read() if server.stderr else None,
        )
    assert ["x"] == [rule["name"] for rule in json.loads(path.read_text())["rules"]]
