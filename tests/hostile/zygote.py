"""Runs the command in processes forked from one that has imported it, and measures each: code, seconds, peak memory.

Started as a script. Jobs come as JSON lines: `{"cwd", "arguments", "environment", "output", "patience"}`. Waits between
attempts take no time, deadlines are real: what is measured is how long a server can hold the program up.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.measure import before_forking

_SLEEP, _CLOCK = asyncio.sleep, time.monotonic
_slept = 0.0


async def _sleep(seconds: float, result: object = None) -> object:
    """Let the time go by without waiting for it."""
    global _slept  # noqa: PLW0603 - one clock for the whole process
    _slept += max(seconds, 0.0)
    return await _SLEEP(0, result)


def _clock() -> float:
    return _CLOCK() + _slept


def _import() -> None:
    """Import what the commands need, with a clock on which waits between attempts take no time."""
    random.random = lambda: 0.5
    asyncio.sleep, time.monotonic = _sleep, _clock  # type: ignore[assignment]
    import_module("reconciler.cxone.pace")  # takes sleep and clock from the modules as they are now
    time.monotonic = _CLOCK
    for name in ("main", "parsing", "apply", "diff", "drift", "explain", "plan"):
        import_module(f"reconciler.cli.{name}")
    import_module("reconciler.cxone.network")


def main() -> None:
    """Fork for each job, and say what became of it."""
    _import()
    before_forking()
    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(job)
        _, status, usage = os.wait4(child, 0)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        code = os.waitstatus_to_exitcode(status)
        said = {"code": code, "seconds": time.monotonic() - started, "peak": peak}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _run(job: dict[str, Any]) -> None:
    """Be the command: its folder, variables, arguments, and files for what it prints."""
    from reconciler.cli.main import main as command  # noqa: PLC0415 - after the waits are replaced

    signal.alarm(job["patience"])
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        path = Path(os.devnull if name == "stdin" else f"{job['output']}/{name}")
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the old one holds our jobs
    code = 99
    try:
        code = command(job["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
