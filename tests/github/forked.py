"""The command, forked from a process that has imported it: a step's process starts in a hundredth of a second.

Started as a script with the path of a socket. Each connection brings one job, `{"cwd", "arguments", "environment"}`,
and the three streams of whoever asks; what goes back is the exit code.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

import reconciler.cli.apply
import reconciler.cli.drift
import reconciler.cli.github
import reconciler.cli.plan
import reconciler.cli.validate
import reconciler.cxone.network  # noqa: F401
from reconciler.cli.main import main as command
from reconciler.github.rest import Time
from tests.measure import before_forking

CLIENT = """\
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
job = {"cwd": os.getcwd(), "arguments": sys.argv[2:], "environment": dict(os.environ)}
socket.send_fds(line, [json.dumps(job).encode()], [0, 1, 2])
line.shutdown(socket.SHUT_WR)
sys.exit(int(line.recv(16) or b"99"))
"""


def main() -> None:
    """Serve until an empty job comes. No wait for GitHub takes any time here."""
    Time.__new__.__defaults__ = (time.monotonic, time.time, lambda _seconds: None)
    before_forking()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            line, _ = server.accept()
            with line:
                job, streams = _received(line)
                if not job:
                    return
                line.sendall(str(_done(json.loads(job), streams)).encode())


def _received(line: socket.socket) -> tuple[bytes, list[int]]:
    """Return a job and its streams."""
    job, streams, _, _ = socket.recv_fds(line, 1 << 20, 3)
    while part := line.recv(1 << 20):
        job += part
    return job, streams


def _done(job: dict[str, Any], streams: list[int]) -> int:
    """Fork, wait, and return the exit code."""
    child = os.fork()
    if child == 0:
        _run(job, streams)
    for stream in streams:
        os.close(stream)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(job: dict[str, Any], streams: list[int]) -> None:
    code = 99
    try:
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["environment"])
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        # The old ones are of another kind of file.
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        code = command(job["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
