"""Runs the command in processes forked from one that has imported it: each starts in a hundredth of
a second.

Started as a script with the path of a socket. Each connection brings one job, `{"cwd", "arguments",
"environment", "waits", "patience", "wait"}`, and three file descriptors: the streams of the
process. The answer is the number of the process, or, to a job that says `wait`, its exit code once
it has ended. tests/support/command.py speaks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TextIO, cast

from reconciler.cli import clients as connect
from reconciler.cli.arguments import all_commands, command_module
from reconciler.core.apply.settings import ApplySettings
from reconciler.core.manifest.load import load_manifests
from reconciler.rest.client import RestClock
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from tests.support.measure import before_forking

ROOT: Final = Path(__file__).resolve().parents[2]
_SLEEP = asyncio.sleep
_CLOCK = time.monotonic
_slept = 0.0


async def _sleep(seconds: float, result: Any = None) -> Any:
    """Advance the time without waiting."""
    global _slept  # noqa: PLW0603 - one clock for the process
    _slept += max(seconds, 0.0)
    return await _SLEEP(0, result)


def _clock() -> float:
    return _CLOCK() + _slept


def _skip_waits() -> None:
    """Make the waits between attempts take no time; deadlines stay real."""
    random.random = lambda: 0.5
    asyncio.sleep = _sleep  # type: ignore[assignment]
    waitless = replace(REAL_TIME, sleep=_sleep, clock=_clock, random=random.random)
    setattr(connect, "REAL_TIME", waitless)  # noqa: B010 - a constant of the program
    (ApplySettings.__init__.__kwdefaults__ or {})["sleep"] = _sleep
    RestClock.__new__.__defaults__ = (time.monotonic, time.time, lambda _seconds: None)


def main() -> None:
    """Serve until an empty job comes."""
    for command in all_commands():
        command_module(command)
    for name in (
        "reconciler.targets.rules_api.client",
        "reconciler.features.journal.run_journal",
        "reconciler.features.journal.undo_request",
        "reconciler.targets.platform.transport.aiohttp_transport",
        "reconciler.targets.platform.transport.httpx_transport",
        "reconciler.features.forge.github",
        "reconciler.__main__",
        "reconciler.cli.http_server",
        "uvicorn",
    ):
        import_module(name)
    # Builds the models of manifests, which takes longer than most commands.
    load_manifests(ROOT / "manifests")
    before_forking()
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            with connection:
                job, streams = _received(connection)
                if not job:
                    return
                _start(json.loads(job), streams, connection)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return a job and its streams."""
    job, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while part := connection.recv(1 << 20):
        job += part
    return job, streams


def _start(job: dict[str, Any], streams: list[int], connection: socket.socket) -> None:
    """Fork twice, so that the process is an orphan: its new parent is the caller
    (tests/support/command.py).
    """
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child == 0:
            _run(job, streams)
        answer = (
            os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if job["wait"] else child
        )
        connection.sendall(str(answer).encode())
        os._exit(0)
    for stream in streams:
        os.close(stream)
    if not job["wait"]:
        # The number is valid after the process has its new parent. The connection ends when this
        # function returns.
        os.waitpid(between, 0)


def _run(job: dict[str, Any], streams: list[int]) -> None:
    """Run the command with its folder, variables, arguments and streams."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(streams) + 8)
        if job["patience"]:
            signal.alarm(job["patience"])
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.stdin, sys.stdout, sys.stderr = (_opened(number) for number in range(3))
        if job["waits"] == "skipped":
            _skip_waits()
        sys.argv = ["cxroute", *job["arguments"]]
        code = import_module("reconciler.__main__").run()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - as the interpreter ends a program
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _opened(number: int) -> TextIO:
    """Return a standard stream in the interpreter's form."""
    mode = "r" if number == 0 else "w"
    errors = "backslashreplace" if number == 2 else "strict"
    by_lines = (
        number == 2 or os.isatty(number) or bool(os.environ.get("PYTHONUNBUFFERED"))
    )
    return cast(
        "TextIO",
        os.fdopen(number, mode, 1 if by_lines else -1, "utf-8", errors, closefd=False),
    )


if __name__ == "__main__":
    main()
