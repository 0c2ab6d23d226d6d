"""A folder with the bank's manifests, and the program as a process in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import canary_secrets as canary
from tests.support.command import (
    Command,
    RunResult,
    process_environment,
    run_measured,
    serving,
)

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: bank
owner: bank-routing
tenant: bank
api: {{baseUrl: "{url}", requestsPerSecond: {rate}, timeoutSeconds: 5}}
vars: {{overflow: overflow-partner}}
context: {{minConfidence: 0.35, below: {{intent: none}}}}
"""


class BankWorkspace:
    """A folder with the bank's manifests, and the program as a process in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifests("http://127.0.0.1:9")
        self.environment = process_environment()

    def manifests(self, url: str, rate: float = 10_000) -> None:
        """Copy the repository's manifests, and add an environment: a bank at that address."""
        for source in (ROOT / "manifests").rglob("*.yaml"):
            target = self.path / "manifests" / source.relative_to(ROOT / "manifests")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        (self.path / "manifests/environments/bank.yaml").write_text(
            ENVIRONMENT.format(url=url, rate=rate)
        )
        queues = self.path / "manifests/queues.yaml"
        text = queues.read_text(encoding="utf-8")
        queues.write_text(
            re.sub(r"(    sandbox: (\{.*\}))", r"\1\n    bank: \2", text),
            encoding="utf-8",
        )

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command and return the process."""
        pipes = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
        }
        return Command(
            *arguments,
            cwd=self.path,
            env=self.environment,
            text=True,
            **{**pipes, **options},
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        assert [] == canary.find_leaks(out + err)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run_without_waits(self, *arguments: str) -> RunResult:
        """Run a command to its end, in a process that has imported the program."""
        ended = run_measured(self.path, [*arguments], self.environment, 60)
        assert "Traceback" not in ended.err, ended.err
        assert [] == canary.find_leaks(ended.out + ended.err)
        return ended

    @contextmanager
    def simulated(self, *arguments: str) -> Iterator[str]:
        """Serve a simulated tenant and yield its address."""
        server = self.start("simulate", "--port", "0", *arguments)
        with serving(server) as url:
            try:
                yield url
            finally:
                server.terminate()
                assert 0 == server.wait(20)
