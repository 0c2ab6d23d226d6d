"""The command as a process: `Command(...)` is a `subprocess.Popen` of it, `run_command(...)` runs
it to its end.

On Linux the process is forked from one that has imported the program
(tests/support/fork_server.py), which saves most of its start; it is nevertheless a child of this
process. On other systems, with CXROUTE_TESTS_START=python, and with its own locale, Python starts
normally, except for runs with skipped waits: the fork server returns their exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support import canary_secrets as canary

ROOT: Final = Path(__file__).resolve().parents[2]
FORKS: Final = (
    sys.platform == "linux" and os.environ.get("CXROUTE_TESTS_START") != "python"
)
LOCALE: Final = ("LC_ALL", "PYTHONIOENCODING", "PYTHONCOERCECLOCALE")
"""The variables that decide how Python reads and writes when it starts."""
_PR_SET_CHILD_SUBREAPER: Final = 36
CLIENT: Final = """\
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
job = {"cwd": os.getcwd(), "arguments": sys.argv[2:], "environment": dict(os.environ)}
job |= {"waits": "skipped", "patience": 60, "wait": True}
socket.send_fds(line, [json.dumps(job).encode()], [0, 1, 2])
line.shutdown(socket.SHUT_WR)
sys.exit(int(line.recv(16) or b"99"))
"""
"""For scripts that start the command: `python client.py SOCKET ARGUMENTS`.

Waits between attempts take no time.
"""


@cache
def server_socket() -> str:
    """Return the path of the fork server's socket.

    The first call starts the server, which ends with this process.
    """
    folder = tempfile.TemporaryDirectory(prefix="cx")  # paths of sockets are short
    path = f"{folder.name}/s"
    command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), path]
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    assert server.stdout is not None
    assert "ready\n" == server.stdout.readline()

    def end() -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
        server.wait(10)
        folder.cleanup()

    atexit.register(end)
    return path


class Command(subprocess.Popen[Any]):
    """A started `cxroute ARGUMENTS`; takes Popen's options.

    `waits="skipped"`: waits between attempts take no time.
    """

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        waits: str = "real",
        patience: int = 0,
        **more: Any,
    ) -> None:
        self.waits, self.patience = waits, patience
        start = (
            ["-m", "reconciler"]
            if FORKS or waits == "real"
            else ["-I", "-S", "-c", CLIENT, server_socket()]
        )
        env = {**(os.environ if env is None else env), "PYTHONPATH": str(ROOT)}
        super().__init__([sys.executable, *start, *arguments], env=env, **more)

    def _execute_child(self, *given: Any) -> None:
        """Have the fork server start the process.

        The order of the parameters is that of Popen's own method.
        """
        arguments, _, _, _, _, cwd, environment, _, _, _, *pipes = given
        if not FORKS or any(
            environment.get(name) != os.environ.get(name)
            for name in LOCALE
            if name in environment
        ):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        streams = [
            source_values if source_values != -1 else inherited
            for inherited, source_values in enumerate((pipes[0], pipes[3], pipes[5]))
        ]
        job = {
            "cwd": str(cwd or Path.cwd()),
            "arguments": arguments[3:],
            "environment": dict(environment),
        }
        job |= {"waits": self.waits, "patience": self.patience, "wait": False}
        try:
            self.pid = _started(job, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]


def _started(job: Mapping[str, Any], streams: list[int]) -> int:
    """Start a process with the fork server; it becomes a child of this one. Return its number."""
    assert 0 == ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(server_socket())
        socket.send_fds(line, [json.dumps(job).encode()], streams)
        line.shutdown(socket.SHUT_WR)
        number = line.recv(16)
        line.recv(1)  # the end: now the process is a child of this one
        return int(number)


def process_environment(**variables: str) -> dict[str, str]:
    """Return variables for a process: a few of this one, canaries for the client's credentials, and
    the given ones.
    """
    names = ("PATH", "HOME", "LANG", "SYSTEMROOT", "GIT_CONFIG_NOSYSTEM")
    retained = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **retained,
        "CXONE_CLIENT_ID": canary.CLIENT,
        "CXONE_CLIENT_SECRET": canary.SECRET,
        **variables,
    }


@contextlib.contextmanager
def serving(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the URL of a started server.

    After the block the process has ended, by SIGKILL if necessary.
    """
    with process:
        assert process.stdout
        try:
            line = next((line for line in process.stdout if "on http://" in line), "")
            assert line, (process.poll(), process.stderr and process.stderr.read())
            yield "http://" + line.partition("on http://")[2].split()[0]
        finally:
            process.kill()


def run_command(*arguments: str, **more: Any) -> subprocess.CompletedProcess[Any]:
    """Run `cxroute ARGUMENTS` to its end, for at most a minute; text is captured, unless `more`
    differs.
    """
    pipes = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with Command(*arguments, **{**pipes, **more}) as process:
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


class RunResult(NamedTuple):
    """The end of a run; its seconds of the processor, and its `peak` bytes, if they were
    measured.
    """

    code: int
    out: str
    err: str
    cpu_seconds: float = 0.0
    peak: int = 0


def run_measured(
    folder: Path, arguments: list[str], environment: Mapping[str, str], patience: int
) -> RunResult:
    """Run the command in that folder, for at most so many seconds; waits between attempts take no
    time.
    """
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        process = Command(
            *arguments,
            cwd=folder,
            env=environment,
            waits="skipped",
            patience=patience,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text, warned = ((folder / name).read_text("utf-8") for name in ("stdout", "stderr"))
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return RunResult(
        process.returncode, text, warned, usage.ru_utime + usage.ru_stime, peak
    )
