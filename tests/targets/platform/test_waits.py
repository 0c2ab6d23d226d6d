"""Waits of a command are reported on stderr, over a real socket: a slow token, a 503, a 429, a slow
page.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support.command import Command
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.program import Program
from tests.support.server_process import server_environment
from tests.support.simulated import RULES
from tests.support.slow_tenant import slow_tenant

TOKEN = "/oauth/token"
LONG = 1.3


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


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_slow_token_is_reported(program: Program, name: str) -> None:
    """Once in the first five seconds, by every command that calls a tenant; stdout has only the
    result.
    """
    with slow_tenant(seconds={TOKEN: LONG}):
        program(*COMMANDS[name])
    assert ["waiting for an access token from 127.0.0.1 (1 s so far)"] == waits(
        program.err
    )
    assert [] == waits(program.out)


def waits(text: str) -> list[str]:
    return [
        line
        for line in text.splitlines()
        if "waiting for" in line or "limits the rate" in line
    ]


@pytest.mark.slow
def test_quiet_reports_no_wait_and_a_json_log_has_an_event(program: Program) -> None:
    """The event has the reason and the seconds."""
    with slow_tenant(seconds={TOKEN: LONG}):
        program("-q", *COMMANDS["plan"])
        assert [] == waits(program.err)
        program("--log-format", "json", *COMMANDS["plan"])
    [event] = [
        form
        for form in map(json.loads, program.err.splitlines())
        if form.get("event") == "wait"
    ]
    assert "waiting for an access token from 127.0.0.1 (1 s so far)" == event.pop(
        "message"
    )
    assert pytest.approx(1.0, abs=0.3) == event.pop("seconds")
    retained = {
        "level": "info",
        "event": "wait",
        "environment": "prod",
        "reason": "an access token from 127.0.0.1",
    }
    assert retained == event


def test_a_503_is_reported(program: Program) -> None:
    """With the call and the end of the wait; otherwise the screen would be empty for two
    minutes.
    """
    with slow_tenant(refusals={RULES: [503] * 4}):
        assert 0 == program(*COMMANDS["plan"])
    assert [
        f"waiting for the tenant: HTTP 503 from GET {RULES}, next attempt in 2 s"
    ] == waits(program.err)


def test_a_429_is_reported(program: Program) -> None:
    """With the tenant's seconds."""
    with slow_tenant(refusals={RULES: [429]}, retry_after="1"):
        assert 0 == program(*COMMANDS["plan"])
    assert ["the tenant limits the rate (429): next call in 1 s"] == waits(program.err)


def test_waits_of_several_environments_have_their_names(program: Program) -> None:
    """Each line begins with its environment."""
    with slow_tenant(seconds={TOKEN: LONG}):
        program("plan", "--all")
    assert ["prod: waiting for an access token from 127.0.0.1 (1 s so far)"] == waits(
        program.err
    )


@pytest.mark.usefixtures("program")
def test_the_watch_loop_reports_its_waits(tmp_path: Path) -> None:
    """Each cycle has a separate client."""
    command = ("watch", "-e", "prod", "--every", "1h")
    with (
        slow_tenant(seconds={TOKEN: LONG}),
        Command(
            *command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=server_environment(),
            cwd=tmp_path,
            text=True,
        ) as process,
    ):
        assert process.stderr
        try:
            assert "waiting for an access token from 127.0.0.1 (1 s so far)\n" == next(
                process.stderr
            )
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.usefixtures("program")
def test_a_terminal_shows_the_wait_above_the_bar(tmp_path: Path) -> None:
    """On a separate line, during the read of a list with slow pages."""
    control, terminal = pty.openpty()
    declared = {
        **server_environment(),
        "CXONE_CLIENT_ID": "id",
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    with (
        slow_tenant(seconds={RULES: LONG}),
        Command(
            *COMMANDS["plan"],
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            env=declared,
            cwd=tmp_path,
        ) as process,
    ):
        os.close(terminal)
        observed = bytearray()
        try:
            while block := os.read(control, 1000):
                observed += block
        except OSError:  # the terminal is closed
            pass
        assert 0 == process.wait(20)
    os.close(control)
    lines = (
        re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", observed)
        .replace(b"\r", b"\n")
        .decode()
        .split("\n")
    )
    assert f"waiting for an answer to GET {RULES} (1 s so far)" in lines


def told(virtual: FakeClock, *answers: httpx.Response) -> list[tuple[str, str, float]]:
    """Read a rule with these responses, in order; return the waits that the client reported."""
    actual: list[tuple[str, str, float]] = []
    remaining = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return (
            remaining.pop(0)
            if remaining
            else httpx.Response(200, json={"id": "1", "name": "x", "priority": 1})
        )

    def tell(reason: str, text: str, seconds: float, /) -> None:
        actual.append((reason, text, seconds))

    carry = transport_over(httpx.MockTransport(answer))
    client = WritingClient(
        carry,
        TENANT,
        ClientCredentials(client_id="id", client_secret="s"),
        virtual.time,
        on_wait=tell,
    )
    asyncio.run(client.rule("1"))
    return actual


def test_a_client_reports_each_wait_with_its_reason() -> None:
    """The failure before an attempt, and the seconds to it; the seconds are the sum of all its
    waits.
    """
    brief = f"HTTP 503 from GET {RULES}/1"
    first, second = (
        (brief, f"waiting for the tenant: {brief}, attempt {number} in 1 s", seconds)
        for number, seconds in ((2, 0.5), (3, 1.5))
    )
    assert [first, second] == told(FakeClock(0.5), *[httpx.Response(503)] * 2)
    slower = ("429", "the tenant limits the rate (429): next call in 7 s", 7.0)
    assert [slower] == told(
        FakeClock(), httpx.Response(429, headers={"retry-after": "7"})
    )


def test_the_server_s_text_is_not_repeated() -> None:
    """It can contain the secret."""
    text = {"errors": [{"message": "canary"}]}
    assert "canary" not in str(
        told(FakeClock(0.5), *[httpx.Response(503, json=text)] * 6)
    )
