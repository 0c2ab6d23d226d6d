"""The command against such a tenant: run, and measured."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests import canary

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: evil
owner: acme
api: {{baseUrl: "{url}", timeoutSeconds: {seconds}, requestsPerSecond: 10000}}
---
apiVersion: routing/v1
kind: Queues
name: queues
queues: {{billing: Billing, general: General}}
"""
MANIFEST = """\
apiVersion: routing/v1
kind: RuleSet
name: routing
rules:
"""


class Ended(NamedTuple):
    """What became of one run. `peak` is bytes of memory."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int


@dataclass
class Zygote:
    """The process that forks the command."""

    process: subprocess.Popen[str]

    def run(self, cwd: Path, arguments: list[str], environment: dict[str, str], patience: int) -> Ended:
        """Run the command to its end, or for so many seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job: dict[str, Any] = {"cwd": str(cwd), "output": str(cwd), "patience": patience}
        job |= {"arguments": arguments, "environment": environment}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        out, err = ((cwd / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return Ended(said["code"], out, err, said["seconds"], said["peak"])


@contextlib.contextmanager
def zygote() -> Iterator[Zygote]:
    """Start it, and end it."""
    command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Zygote(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


@dataclass
class Place:
    """A folder with manifests for a tenant, and the command run in it."""

    path: Path
    zygote: Zygote
    more: dict[str, str]
    patience: int = 30

    def manifests(self, url: str, *intents: str, queue: str = "billing", seconds: float = 10) -> None:
        """Write an environment at that address, and a rule for each intent."""
        folder = self.path / "manifests"
        folder.mkdir(exist_ok=True)
        (folder / "evil.yaml").write_text(ENVIRONMENT.format(url=url, seconds=seconds), "utf-8")
        rules = "".join(f"  - {{intent: {intent}, queue: {queue}}}\n" for intent in intents)
        (folder / "routing.yaml").write_text(MANIFEST + rules if rules else MANIFEST[:-1] + " []\n", "utf-8")

    def __call__(self, *arguments: str) -> Ended:
        """Run a command against the tenant. No traceback, and no secret, in whatever case."""
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        variables |= {"CXONE_CLIENT_ID": canary.CLIENT, "CXONE_CLIENT_SECRET": canary.SECRET, "PYTHONUTF8": "1"}
        variables |= {"CXONE_ACCESS_KEY_ID": canary.KEY, "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET}
        ended = self.zygote.run(self.path, ["-e", "evil", *arguments], {**variables, **self.more}, self.patience)
        assert "Traceback" not in ended.out + ended.err, ended.err
        assert [] == canary.found(ended.out + ended.err)
        return ended

    def secretive(self) -> None:
        """Look once more: at every file that is left."""
        assert [] == list(canary.leaks_in(self.path))
