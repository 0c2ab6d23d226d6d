"""An agent of Azure Pipelines: runs the stages, jobs and steps of a pipeline's YAML against the
fake Azure DevOps.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.features.forge.azure.fake import FakeAzure
from tests.features.forge.contract import FakeRun
from tests.support import canary_secrets as canary
from tests.support.command import CLIENT, server_socket

PACKAGE: Final = "cxroute @ git+https://git.example/acme/cxroute@0123456789abcdef0123456789abcdef01234567"
# a step gets them only by name
_SECRETS: Final = (
    "SYSTEM_ACCESSTOKEN",
    "CXROUTE_MEMBERS_TOKEN",
)
_MACRO: Final = re.compile(r"\$\(([A-Z][\w.]*)\)")
_COMMAND: Final = re.compile(r"##vso\[([\w.]+)([^\]]*)\](.*)")
_PYTHON: Final = """\
#!/bin/bash
# The calls of the install step: an environment, and a package in it. Each call is logged.
printf '%s\\n' "$*" >> '{log}'
case "$1 $2" in
  '-m venv') mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp '{command}' "$3/bin/cxroute" ;;
  '-m pip') ;;
  *) exit 97 ;;
esac
"""


@dataclass
class AzureRunResult:
    """The result of a run: of each job by its name, and everything that it printed and uploaded."""

    id: int
    results: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""

    @property
    def result(self) -> str:
        """Return the result as a build has it."""
        return "failed" if "failed" in self.results.values() else "succeeded"


@dataclass
class Agent:
    """A machine that runs pipelines in one folder. Variable groups by their names."""

    hub: FakeAzure
    workspace: Path
    temporary: Path
    groups: dict[str, dict[str, str]] = field(repr=False)

    def __post_init__(self) -> None:
        """Put Python and the command onto the machine."""
        self.bin = self.temporary / "bin"
        self.bin.mkdir(parents=True)
        client = self.temporary / "client.py"
        command = self.temporary / "cxroute"
        client.write_text(CLIENT, encoding="utf-8")
        run = f"#!/bin/bash\nexec '{sys.executable}' -I -S '{client}' '{server_socket()}' \"$@\"\n"
        command.write_text(run, encoding="utf-8")
        command.chmod(0o755)
        python = self.bin / "python3"
        python.write_text(
            _PYTHON.format(log=self.temporary / "log", command=command),
            encoding="utf-8",
        )
        python.chmod(0o755)

    @property
    def installed(self) -> list[str]:
        """Return the calls of Python."""
        file = self.temporary / "log"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def run(self, file: str, run: FakeRun, is_fork: str = "False") -> AzureRunResult:
        """Run a pipeline."""
        form = self.read(file)
        variables = self.hub.variables(run) | {
            "SYSTEM_PULLREQUEST_ISFORK": is_fork if run.pull_request else ""
        }
        ran = AzureRunResult(run.id)
        passed = True
        for stage in form.get("stages", [{"jobs": form.get("jobs")}]):
            expected = Condition(passed, variables).holds(stage.get("condition"))
            for job in stage["jobs"]:
                name = job["displayName"]
                created = PipelineJob(
                    self, run, job, variables | self.group_values(form), ran
                )
                ran.results[name] = (
                    created.go()
                    if expected
                    and Condition(True, variables).holds(job.get("condition"))
                    else "skipped"
                )
                passed &= ran.results[name] == "succeeded"
        assert [] == canary.find_leaks(ran.log + ran.summary)
        assert not any(token in ran.log + ran.summary for token in self.hub.tokens)
        return ran

    def read(self, file: str) -> dict[str, Any]:
        """Return a pipeline's YAML, as plain texts."""
        text = (self.workspace / ".azure-pipelines" / file).read_text(encoding="utf-8")
        return dict(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - plain texts

    def group_values(self, form: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables of the groups of a pipeline or job. A missing group ends the run."""
        return {
            name: text
            for item in form.get("variables", [])
            for name, text in self.groups[item["group"]].items()
        }


@dataclass
class Condition:
    """The functions of a condition."""

    passed: bool
    variables: Mapping[str, str]

    def holds(self, text: str | None) -> bool:
        """Evaluate a condition of our own templates."""
        declared = defaultdict(
            str, {name.upper(): value for name, value in self.variables.items()}
        )
        functions: dict[str, Any] = {
            "succeeded": lambda: self.passed,
            "succeededOrFailed": lambda: True,
            "all_": lambda *values: all(values),
            "eq": lambda item, candidate: item == candidate,
            "ne": lambda item, candidate: item != candidate,
            "value": lambda name: declared[name.upper().replace(".", "_")],
        }
        code = re.sub(
            r"variables\[('[\w.]+')\]", r"value(\1)", text or "succeeded()"
        ).replace("and(", "all_(")
        return bool(eval(code, {"__builtins__": {}}, functions))  # noqa: S307 - a text of this project


@dataclass
class PipelineJob:
    """One job in progress.

    `variables` are those of a step: predefined ones, and those of the groups.
    """

    agent: Agent
    run: FakeRun
    form: dict[str, Any]
    variables: dict[str, str] = field(repr=False)
    ran: AzureRunResult
    path: str = ""

    def go(self) -> str:
        """Run the steps, one after the other."""
        self.temp = (
            self.agent.temporary
            / f"{self.run.id}-{self.run.attempt}-{len(self.ran.results)}"
        )
        self.temp.mkdir()
        self.secrets = self.agent.group_values(self.form) | {
            "System.AccessToken": self.variables["SYSTEM_ACCESSTOKEN"]
        }
        self.path, passed = f"{self.agent.bin}:{os.environ['PATH']}", True
        steps = (
            self.form["strategy"]["runOnce"]["deploy"]["steps"]
            if "deployment" in self.form
            else self.form["steps"]
        )
        for step in self._expanded(steps):
            if Condition(passed, self.variables).holds(step.get("condition")):
                passed &= (
                    self._publish(step)
                    if "publish" in step
                    else self._bash(step)
                    if "bash" in step
                    else True
                )
        return "succeeded" if passed else "failed"

    def _expanded(self, steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for step in steps:
            if "template" not in step:
                assert {"bash", "publish", "checkout", "download"} & set(step), step
                yield step
                continue
            template = self.agent.read(step["template"])
            (parameter,) = template["parameters"]
            source_values = step.get("parameters", {}).get(
                parameter["name"], parameter["default"]
            )
            for inner in template["steps"]:
                yield {
                    key: text.replace("${{ parameters.condition }}", source_values)
                    for key, text in inner.items()
                }

    def _filled(self, text: str) -> str:
        declared = (
            {
                "System.JobAttempt": str(self.run.attempt),
                "Agent.TempDirectory": str(self.temp),
            }
            | self.variables
            | self.secrets
        )
        # an unknown one stays
        return _MACRO.sub(lambda match: declared.get(match[1], match[0]), text)

    def _bash(self, step: Mapping[str, Any]) -> bool:
        assert [] == _MACRO.findall(step["bash"])
        assert "${{" not in step["bash"]
        file = self.temp / "step.sh"
        file.write_text(step["bash"], encoding="utf-8")
        declared = {
            name: text for name, text in self.variables.items() if name not in _SECRETS
        }
        declared |= {
            "PATH": self.path,
            "HOME": str(self.temp),
            "LANG": "C.UTF-8",
            "AGENT_TEMPDIRECTORY": str(self.temp),
        }
        own = {name: self._filled(text) for name, text in step.get("env", {}).items()}
        command = ["bash", "--noprofile", "--norc", str(file)]
        done = subprocess.run(
            command,
            cwd=self.agent.workspace,
            env=declared | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        log: str = done.stdout
        for line in log.splitlines():
            # anywhere in a line, as the agent finds it
            if match := _COMMAND.search(line):
                self._execute(match[1], match[2], match[3])
        self.ran.log += log
        return done.returncode == 0

    def _execute(self, name: str, options: str, value: str) -> None:
        if name == "task.prependpath":
            self.path = f"{value}:{self.path}"
        elif name == "task.setvariable":
            self.variables[options.removeprefix(" variable=").upper()] = value
        elif name == "task.uploadsummary":
            file = Path(value)
            self.ran.summary += (
                file.read_text(encoding="utf-8") if file.exists() else ""
            )
        else:
            assert "task.logissue" == name, name

    def _publish(self, step: Mapping[str, Any]) -> bool:
        place = self.agent.workspace / self._filled(step["publish"])
        name = self._filled(step["artifact"])
        if not place.exists():
            return False
        files = (
            sorted(path for path in place.rglob("*") if path.is_file())
            if place.is_dir()
            else [place]
        )
        root = place if place.is_dir() else place.parent
        self.agent.hub.publish(
            self.run.id,
            name,
            {str(path.relative_to(root)): path.read_bytes() for path in files},
        )
        return True
