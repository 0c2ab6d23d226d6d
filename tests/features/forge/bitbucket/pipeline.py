"""The pipelines of bitbucket-pipelines.yml, step by step with bash, in a repository with a tenant
on loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.features.forge.pipeline_files import (
    PIPELINES,
    UNKNOWN_ACTION,
    PipelineSettings,
    build_pipelines,
)
from tests.features.forge.bitbucket.fake import REPOSITORY, TOKEN, FakeBitbucket
from tests.features.forge.contract import FakeRun
from tests.features.forge.github.scene import (
    ENVIRONMENT,
    VARIABLES,
    TenantProcess,
    rules,
)
from tests.support import canary_secrets as canary
from tests.support.command import CLIENT, server_socket

FILE: Final = "bitbucket-pipelines.yml"
CARDS: Final = "manifests/cards.yaml"
_TENANT: Final = dict(zip(VARIABLES, (canary.CLIENT, canary.SECRET), strict=True))
_SECRETS: Final = (canary.CLIENT, canary.SECRET, TOKEN)
_TOOLS: Final = {
    # Only pretends to install, and logs which secrets it gets.
    "python": '[ "$*" = "-m pip install --quiet --disable-pip-version-check $CXROUTE_PACKAGE" ] || exit 97',
    "cxroute": f"exec '{sys.executable}' -I -S 'CLIENT' 'SOCKET' \"$@\"",
    "curl": f"exec '{shutil.which('curl')}' \"$@\"",
}


def pipelines(*environments: str) -> dict[str, Any]:
    """Return the parsed file for these environments."""
    settings = PipelineSettings(UNKNOWN_ACTION, "manifests", VARIABLES, environments)
    ((_, text),) = build_pipelines(PIPELINES["bitbucket"], settings)
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def steps(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the steps of a pipeline in their order."""
    for item in items:
        yield from (
            steps(item["parallel"]["steps"]) if "parallel" in item else [item["step"]]
        )


@dataclass
class PipelineResult:
    """The exit code of each step by its name, and the full log."""

    codes: dict[str, int]
    log: str


@dataclass
class BitbucketRepository:
    """Actions of users on a repository, and its pipelines."""

    path: Path
    tools: Path
    hub: FakeBitbucket
    tenant: TenantProcess
    package: str = "cxroute @ git+https://git.example/OWNER/cxroute@" + "0" * 40
    token: str = TOKEN
    runs: int = 100
    heads: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the repository: an empty set of rules, and the pipelines."""
        self.tools.mkdir(parents=True)
        (self.tools / "client.py").write_text(CLIENT, encoding="utf-8")
        for name, tool in _TOOLS.items():
            script = tool.replace("CLIENT", str(self.tools / "client.py")).replace(
                "SOCKET", server_socket()
            )
            names = "|".join(VARIABLES)
            expected = f'grep -E "^({names}|CXROUTE_BITBUCKET_TOKEN|/)"'
            logged = f'{{ env; echo "$0 $*"; }} | {expected} | cut -d= -f1'
            log = self.tools / "log"
            (self.tools / name).write_text(
                f"#!/bin/bash\n{{ {logged}; echo; }} >> '{log}'\n{script}\n",
                encoding="utf-8",
            )
            (self.tools / name).chmod(0o755)
        self.path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.path))
        (self.path / ".git/info/exclude").write_text(
            "out/\n.cxroute/\n", encoding="utf-8"
        )
        self.write("manifests/prod.yaml", ENVIRONMENT.format(url=self.tenant.url))
        self.write(CARDS, rules())
        self.hub.tip = self.commit("first")

    def git(self, *arguments: str) -> str:
        """Run git, without the user's settings."""
        declared = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        declared |= {
            f"GIT_{who}_{subject}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for subject in ("NAME", "EMAIL")
        }
        command = ["git", *arguments]
        variables = {**os.environ, **declared}
        done = subprocess.run(
            command,
            cwd=self.path,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        sha = self.git("rev-parse", "HEAD")
        self.hub.commits[sha] = self.hub.clock
        return sha

    def push(self, number: int, text: str) -> None:
        """Push these rules to the branch of a pull request, and open it if it is new."""
        self.git(
            "checkout",
            "-q",
            "-B",
            f"change-{number}",
            *(() if number in self.heads else ("main",)),
        )
        self.write(CARDS, text)
        self.heads[number] = self.commit("change")
        self.hub.push(self.heads[number])

    def check(
        self, number: int, *, run: int | None = None, attempt: int = 1, head: str = ""
    ) -> PipelineResult:
        """Run the pipeline of a pull request: Bitbucket merges the target into the head, and
        shortens its hash.
        """
        head = head or self.heads[number]
        self.git("checkout", "-q", "--detach", head)
        self.git("merge", "-q", "--no-edit", "main")
        created = FakeRun(self._run(run), attempt, head[:12], number)
        ran = self._execute(
            pipelines("prod")["pipelines"]["pull-requests"]["**"], created
        )
        self.hub.ran(
            created.id, "FAILED" if any(ran.codes.values()) else "SUCCESSFUL", head=head
        )
        return ran

    def merge(self, number: int, repository: str = REPOSITORY) -> str:
        """Merge a pull request, and return the commit."""
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", self.heads[number])
        sha = self.git("rev-parse", "HEAD")
        self.hub.commits[sha] = self.hub.clock
        self.hub.merge(sha, number, repository)
        return sha

    def apply(self, sha: str) -> PipelineResult:
        """Run the pipeline of a push to the default branch, its approvals included."""
        self.git("checkout", "-q", "--detach", sha)
        return self._execute(
            pipelines("prod")["pipelines"]["branches"]["main"],
            FakeRun(self._run(), 1, sha, None),
        )

    def custom(self, name: str) -> PipelineResult:
        """Run a custom pipeline on the default branch."""
        self.git("checkout", "-q", "--detach", "main")
        return self._execute(
            pipelines("prod")["pipelines"]["custom"][name],
            FakeRun(self._run(), 1, self.hub.tip, None),
        )

    def calls(self) -> list[list[str]]:
        """Return each call of a tool: the names of the secrets that it got, and then its command
        line.
        """
        text = (self.tools / "log").read_text(encoding="utf-8")
        return [part.splitlines() for part in text.strip().split("\n\n")]

    def _run(self, run: int | None = None) -> int:
        self.runs += run is None
        return run or self.runs

    def _execute(self, items: list[dict[str, Any]], run: FakeRun) -> PipelineResult:
        ran = PipelineResult({}, "")
        for step in steps(items):
            place = str(step.get("deployment") or step.get("environment") or "")
            variables = self._variables(run, place)
            script = "\n".join(step["script"])
            command = ["bash", "-e", "-c", script]
            done = subprocess.run(
                command,
                cwd=self.path,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            ran.codes[step["name"]] = done.returncode
            ran.log += done.stdout + done.stderr
            if done.returncode and all("parallel" not in item for item in items):
                break
        assert not [secret for secret in _SECRETS if secret in ran.log]
        return ran

    def _variables(self, run: FakeRun, place: str) -> Mapping[str, str]:
        declared = self.hub.variables(run)
        declared.pop("CXROUTE_BITBUCKET_TOKEN")
        declared |= {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "HOME": str(self.tools),
            "LANG": "C.UTF-8",
            "CI": "true",
        }
        declared |= {"CXROUTE_PACKAGE": self.package}
        declared |= (
            {"BITBUCKET_PR_DESTINATION_BRANCH": "main"} if run.pull_request else {}
        )
        return declared | (
            {**_TENANT, "CXROUTE_BITBUCKET_TOKEN": self.token}
            if place and self.token
            else {}
        )
