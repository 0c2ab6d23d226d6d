"""What a command waits for is told on stderr, over a real socket: a slow token, a 503, a 429, a slow page."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest

from reconciler.cxone.client import WritingClient
from reconciler.cxone.settings import ClientCredentials
from reconciler.cxone.transport.httpx_transport import transport_over
from reconciler.simulator.app import build_simulator
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state import TenantState
from tests.crash.served import served
from tests.endpoint.processes import environment
from tests.support.command import Command
from tests.support.fake_clock import VirtualTime
from tests.support.in_process_tenant import TENANT
from tests.support.program import Program, write
from tests.support.simulated import QUEUES, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.served import App

Kind = TypeVar("Kind", bound="Tiresome")
TOKEN = "/oauth/token"
LONG = 1.3
MANIFEST = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", requestsPerSecond: 2000}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""


@dataclass
class Tiresome:
    """A tenant whose answers to a path come late, or are others at first; statuses are from `refusals`, then `odd`."""

    app: App
    seconds: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    retry_after: str = "0.1"

    def status(self, path: str) -> int:
        """Return the status that is answered in place of the tenant's own; 0 for none."""
        refusals = self.refusals.get(path)
        return refusals.pop(0) if refusals else 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await asyncio.sleep(self.seconds.get(scope["path"], 0.0))
        status = self.status(scope["path"])
        if not status:
            await self.app(scope, receive, send)
            return
        after = [(b"retry-after", self.retry_after.encode())] if status == 429 else []
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *after]})
        await send({"type": "http.response.body"})


@contextmanager
def tiresome(
    kind: type[Kind] = Tiresome,  # type: ignore[assignment]
    rules: int = 1,
    **settings: Any,
) -> Iterator[Kind]:
    """Serve such a tenant, with so many rules wanted from it; the manifests are written here."""
    with served() as here:
        here.app = tenant = kind(build_simulator(TenantState(QUEUES), SimulatorSettings()), **settings)
        write(
            "all.yaml",
            MANIFEST.format(url=here.url) + "".join(f"- {{intent: i{n}, queue: Billing}}\n" for n in range(rules)),
        )
        yield tenant


@pytest.fixture
def program(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, with credentials and without a proxy."""
    monkeypatch.delenv("CXROUTE_PROXY")
    monkeypatch.setenv("CXONE_CLIENT_ID", "id")
    return cxroute


COMMANDS = {
    "plan": ("plan", "-e", "prod"),
    "apply": ("apply", "-e", "prod", "--yes"),
    "drift": ("drift", "-e", "prod"),
    "diff": ("diff", "live:prod", "manifests:prod"),
    "export": ("export", "-e", "prod", "--all"),
    "explain": ("explain", "-e", "prod", "--live", "--intent", "i0"),
    "doctor": ("doctor", "-e", "prod"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_slow_token_is_told(program: Program, name: str) -> None:
    """Once in the first five seconds, by every command that asks a tenant; stdout has the result alone."""
    with tiresome(seconds={TOKEN: LONG}):
        program(*COMMANDS[name])
    assert ["waiting for an access token from 127.0.0.1 (1 s so far)"] == waits(program.err)
    assert [] == waits(program.out)


def waits(text: str) -> list[str]:
    return [line for line in text.splitlines() if "waiting for" in line or "slower calls" in line]


def test_quiet_tells_no_wait_and_a_json_log_has_an_event(program: Program) -> None:
    """The event has the reason and the seconds."""
    with tiresome(seconds={TOKEN: LONG}):
        program("-q", *COMMANDS["plan"])
        assert [] == waits(program.err)
        program("--log-format", "json", *COMMANDS["plan"])
    [event] = [form for form in map(json.loads, program.err.splitlines()) if form.get("event") == "wait"]
    assert "waiting for an access token from 127.0.0.1 (1 s so far)" == event.pop("message")
    assert pytest.approx(1.0, abs=0.3) == event.pop("seconds")
    kept = {"level": "info", "event": "wait", "environment": "prod", "reason": "an access token from 127.0.0.1"}
    assert kept == event


def test_a_503_is_told(program: Program) -> None:
    """By the call that was answered so, and until when; two minutes would be blank otherwise."""
    with tiresome(refusals={RULES: [503] * 4}):
        assert 0 == program(*COMMANDS["plan"])
    assert [f"waiting for the tenant: HTTP 503 from GET {RULES}, next attempt in 2 s"] == waits(program.err)


def test_a_429_is_told(program: Program) -> None:
    """With the seconds that the tenant asks for."""
    with tiresome(refusals={RULES: [429]}, retry_after="1"):
        assert 0 == program(*COMMANDS["plan"])
    assert ["the tenant asks for slower calls (429): next call in 1 s"] == waits(program.err)


def test_several_environments_say_whose_wait_it_is(program: Program) -> None:
    """Each line begins with its environment."""
    with tiresome(seconds={TOKEN: LONG}):
        program("plan", "--all")
    assert ["prod: waiting for an access token from 127.0.0.1 (1 s so far)"] == waits(program.err)


@pytest.mark.usefixtures("program")
def test_the_loop_tells_its_waits_too(tmp_path: Path) -> None:
    """Each round has a client of its own."""
    command = ("watch", "-e", "prod", "--every", "1h")
    with (
        tiresome(seconds={TOKEN: LONG}),
        Command(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), cwd=tmp_path, text=True
        ) as process,
    ):
        assert process.stderr
        try:
            assert "waiting for an access token from 127.0.0.1 (1 s so far)\n" == next(process.stderr)
        finally:
            process.kill()


@pytest.mark.usefixtures("program")
def test_a_terminal_shows_the_wait_above_the_bar(tmp_path: Path) -> None:
    """On a line of its own, while a list is read whose pages come late."""
    control, terminal = pty.openpty()
    known = {**environment(), "CXONE_CLIENT_ID": "id", "TERM": "xterm", "COLUMNS": "100"}
    with (
        tiresome(seconds={RULES: LONG}),
        Command(*COMMANDS["plan"], stdout=subprocess.DEVNULL, stderr=terminal, env=known, cwd=tmp_path) as process,
    ):
        os.close(terminal)
        seen = bytearray()
        try:
            while block := os.read(control, 1000):
                seen += block
        except OSError:  # the terminal is closed
            pass
        assert 0 == process.wait(20)
    os.close(control)
    lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).replace(b"\r", b"\n").decode().split("\n")
    assert f"waiting for an answer to GET {RULES} (1 s so far)" in lines


def told(virtual: VirtualTime, *answers: httpx.Response) -> list[tuple[str, str, float]]:
    """Read a rule that is answered so, one after the other; return what the client told of its waits."""
    found: list[tuple[str, str, float]] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return left.pop(0) if left else httpx.Response(200, json={"id": "1", "name": "x", "priority": 1})

    def tell(reason: str, text: str, seconds: float, /) -> None:
        found.append((reason, text, seconds))

    carry = transport_over(httpx.MockTransport(answer))
    client = WritingClient(
        carry, TENANT, ClientCredentials(client_id="id", client_secret="s"), virtual.time, on_wait=tell
    )
    asyncio.run(client.rule("1"))
    return found


def test_a_client_tells_each_wait_with_its_reason() -> None:
    """What an attempt comes after, and in how many seconds; the seconds are those of all its waits."""
    brief = f"HTTP 503 from GET {RULES}/1"
    first, second = (
        (brief, f"waiting for the tenant: {brief}, attempt {number} in 1 s", seconds)
        for number, seconds in ((2, 0.5), (3, 1.5))
    )
    assert [first, second] == told(VirtualTime(0.5), *[httpx.Response(503)] * 2)
    slower = ("429", "the tenant asks for slower calls (429): next call in 7 s", 7.0)
    assert [slower] == told(VirtualTime(), httpx.Response(429, headers={"retry-after": "7"}))


def test_what_a_server_says_is_not_repeated() -> None:
    """It can be the secret."""
    said = {"errors": [{"message": "canary"}]}
    assert "canary" not in str(told(VirtualTime(0.5), *[httpx.Response(503, json=said)] * 6))
