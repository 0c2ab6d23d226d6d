"""A GitLab runner: chooses and runs the jobs of the pipeline files with bash, against the fake
GitLab.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.features.forge.gitlab.fake import (
    FORK_ID,
    NUMBER,
    PROJECT,
    PROJECT_ID,
    FakeGitLab,
)
from tests.support import canary_secrets as canary
from tests.support.command import CLIENT, server_socket

_PYTHON: Final = """\
#!/bin/bash
# An environment is made of this file and of the command; an installation is only logged.
case "$1 $2 $3" in
  '-I -m venv') mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && cp '{cxroute}' "$4/bin/cxroute" ;;
  '-I -m pip') printf '%s\\n' "${{@: -1}}" >> '{log}' ;;
  *) exit 97 ;;
esac
"""
_CXROUTE: Final = """\
#!/bin/bash
# Each command is logged with the names of the secrets that it gets.
printf '%s %s\\n' "$(compgen -e | grep -E '^CXONE_CLIENT|_TOKEN$|HEARTBEAT' | sort | tr '\\n' ' ')" "$*" >> '{log}'
exec '{python}' -I -S '{client}' '{socket}' "$@"
"""


class ProjectVariable(NamedTuple):
    """A variable in the settings of the project."""

    name: str
    value: str
    scope: str = "*"  # of environments
    is_protected: bool = False  # only for jobs of the default branch


class PipelineEvent(NamedTuple):
    """The cause of a pipeline, and its commit; `number` is that of a merge request."""

    source: str
    sha: str
    base: str = ""  # of a merge request: the commit it starts from; of a push: the commit before
    number: int | None = None
    project: int = PROJECT_ID  # of the source branch of a merge request


@dataclass
class RanJob:
    """A job that ran, or that waits for a person."""

    status: str  # success, failed, manual, skipped
    log: str = ""
    artifacts: dict[str, bytes] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)


@dataclass
class GitLabRunner:
    """Runs pipelines in a working copy."""

    hub: FakeGitLab
    machine: Path
    workspace: Path
    variables: list[ProjectVariable]

    @property
    def commands(self) -> list[str]:
        """Return each command with the names of the secrets it got, and each installed
        requirement.
        """
        file = self.machine / "log"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def run(self, event: PipelineEvent, *play: str, run: int = 0) -> dict[str, RanJob]:
        """Run a pipeline, and those manual jobs whose name is in `play`; a given `run` is
        repeated.
        """
        number = run or self.hub.number()
        if not run and event.number:
            self.hub.add_pipeline(number, event.sha, event.project)
        config = self._config()
        ran = dict[str, RanJob]()
        for name, job in config.items():
            rule = self._rule(job, event)
            if rule is None:
                continue
            for environment in (
                job["parallel"]["matrix"][0]["ENVIRONMENT"]
                if "parallel" in job
                else [""]
            ):
                full = f"{name}: [{environment}]" if environment else name
                needs = [
                    need if isinstance(need, str) else need["job"]
                    for need in job.get("needs", [])
                ]
                before = [
                    item.status
                    for key, item in ran.items()
                    if key.partition(":")[0] in needs
                ]
                if any(status != "success" for status in before):
                    ran[full] = RanJob("skipped")
                elif rule.get("when") == "manual" and name not in play:
                    ran[full] = RanJob("manual")
                else:
                    ran[full] = self._run_job(full, job, environment, event, number)
        return ran

    def _config(self) -> dict[str, dict[str, Any]]:
        form = yaml.safe_load(
            (self.workspace / ".gitlab-ci.yml").read_text(encoding="utf-8")
        )
        for included in form.pop("include"):
            form |= yaml.safe_load(
                (self.workspace / included["local"]).read_text(encoding="utf-8")
            )
        jobs = {
            name: {**form.get(job.get("extends"), {}), **job}
            for name, job in form.items()
        }
        return {name: job for name, job in jobs.items() if not name.startswith(".")}

    def _rule(
        self, job: Mapping[str, Any], event: PipelineEvent
    ) -> Mapping[str, Any] | None:
        declared = self._predefined(event, 1, "") | {
            variable.name: variable.value
            for variable in self.variables
            if variable.scope == "*"
        }
        for rule in job["rules"]:
            if _holds(rule["if"], declared) and self._changed(
                rule.get("changes"), event
            ):
                return dict(rule)
        return None

    def _changed(self, patterns: list[str] | None, event: PipelineEvent) -> bool:
        if patterns is None:
            return True
        command = ["git", "diff", "--name-only", event.base, event.sha]
        done = subprocess.run(
            command, cwd=self.workspace, capture_output=True, text=True, check=True
        )
        parts = {"**/": "(.*/)?", "*": "[^/]*"}
        for pattern in patterns:
            regex = re.sub(
                r"\*\*/|\*|[^*]+",
                lambda match: parts.get(match[0], re.escape(match[0])),
                pattern,
            )
            if any(re.fullmatch(regex, name) for name in done.stdout.splitlines()):
                return True
        return False

    def _predefined(
        self, event: PipelineEvent, run: int, environment: str
    ) -> dict[str, str]:
        declared = {
            "CI": "true",
            "CI_API_V4_URL": f"{self.hub.url}/api/v4",
            "CI_PROJECT_PATH": PROJECT,
            "CI_PROJECT_URL": f"{self.hub.url}/{PROJECT}",
            "CI_PROJECT_DIR": str(self.workspace),
            "CI_DEFAULT_BRANCH": "main",
            "CI_PIPELINE_SOURCE": event.source,
            "CI_PIPELINE_ID": str(run),
            "CI_JOB_URL": f"{self.hub.url}/{PROJECT}/-/jobs/1",
            "CI_COMMIT_SHA": event.sha,
            "CI_COMMIT_BEFORE_SHA": event.base if event.source == "push" else "0" * 40,
            "GITLAB_USER_LOGIN": "anna",
        }
        if environment:
            declared["ENVIRONMENT"] = environment
        if event.number is None:
            return {**declared, "CI_COMMIT_BRANCH": "main"}
        request = {
            "CI_MERGE_REQUEST_IID": str(event.number),
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": event.base,
            "CI_MERGE_REQUEST_PROJECT_ID": str(PROJECT_ID),
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(event.project),
        }
        return {**declared, **request}

    def _run_job(
        self,
        name: str,
        job: dict[str, Any],
        environment: str,
        event: PipelineEvent,
        run: int,
    ) -> RanJob:
        place = str(job.get("environment", {}).get("name", "")).replace(
            "$ENVIRONMENT", environment
        )
        identity = self.hub.add_job(run, name, "running")
        declared = {
            **self._predefined(event, run, environment),
            "CI_JOB_ID": str(identity),
        }
        for variable in self.variables:
            is_open = not variable.is_protected or event.number is None
            if is_open and (
                variable.scope == "*" or (place and fnmatch(place, variable.scope))
            ):
                declared[variable.name] = variable.value
        code, log = self._bash(
            "\n".join([*job["before_script"], *job["script"]]), declared
        )
        assert [] == canary.find_leaks(log)
        assert not any(token in log for token in self.hub.tokens)
        status = "failed" if code else "success"
        self.hub.jobs = [
            {**job, "status": status} if job["id"] == identity else job
            for job in self.hub.jobs
        ]
        retained = job.get("artifacts", {})
        reports = {
            kind: path.replace("$ENVIRONMENT", environment)
            for kind, path in retained.get("reports", {}).items()
        }
        paths = [
            path.replace("$ENVIRONMENT", environment)
            for path in retained.get("paths", [])
        ]
        files = [
            file
            for path in paths
            for file in sorted((self.workspace / path).rglob("*"))
            if file.is_file()
        ]
        self.hub.artifacts[identity] = {
            str(file.relative_to(self.workspace)): file.read_bytes() for file in files
        }
        texts = {
            kind: (self.workspace / path).read_text()
            for kind, path in reports.items()
            if self._exists(path)
        }
        return RanJob(status, log, self.hub.artifacts[identity], texts)

    def _exists(self, path: str) -> bool:
        return (self.workspace / path).exists()

    def _bash(self, script: str, variables: Mapping[str, str]) -> tuple[int, str]:
        file = self.machine / "job.sh"
        file.write_text(script, encoding="utf-8")
        declared = {
            "PATH": f"{self.machine / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.machine),
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)],
            cwd=self.workspace,
            env={**declared, "TMPDIR": str(self.machine), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout


def _holds(condition: str, known: Mapping[str, str]) -> bool:
    """Evaluate a rule: comparisons joined by `&&`."""
    for part in condition.split("&&"):
        sides = [side.strip() for side in part.split("==")]
        values = [
            known.get(side[1:], "") if side.startswith("$") else side.strip('"')
            for side in sides
        ]
        assert 2 == len(values), condition
        if values[0] != values[1]:
            return False
    return True


@contextlib.contextmanager
def machine() -> Iterator[Path]:
    """Put the programs of a machine into a folder."""
    with tempfile.TemporaryDirectory(prefix="cx") as folder:
        path = Path(folder)
        (path / "bin").mkdir()
        (path / "client.py").write_text(CLIENT, encoding="utf-8")
        parts = {
            "log": path / "log",
            "client": path / "client.py",
            "socket": server_socket(),
            "python": sys.executable,
        }
        for name, text in (("cxroute", _CXROUTE), ("bin/python", _PYTHON)):
            (path / name).write_text(
                text.format(cxroute=path / "cxroute", **parts), encoding="utf-8"
            )
            (path / name).chmod(0o755)
        yield path


__all__ = [
    "FORK_ID",
    "NUMBER",
    "GitLabRunner",
    "PipelineEvent",
    "ProjectVariable",
    "RanJob",
    "machine",
]
