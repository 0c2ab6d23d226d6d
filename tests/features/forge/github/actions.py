"""A GitHub Actions runner: runs the jobs and steps of a workflow's YAML against the fake GitHub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.features.forge.github.expressions import (
    condition,
    filled,
    shown,
    standard,
    true,
)
from tests.features.forge.github.fake import REPOSITORY, FakeGitHub
from tests.features.forge.github.machine import ROOT, Machine
from tests.features.forge.github.runs import Job, Ran, WorkflowEvent, archive
from tests.support import canary_secrets as canary

ACTION: Final = f"acme/cxroute@{'9' * 40}"
_NOTHING: Final = ("actions/checkout@", "actions/setup-python@", "actions/cache@")
_UPLOAD: Final = "actions/upload-artifact@"


@dataclass
class Actions:
    """Runs workflows in one repository.

    Secrets belong to environments; variables to the repository.
    """

    hub: FakeGitHub
    machine: Machine
    workspace: Path
    secrets: dict[str, dict[str, str]]
    variables: dict[str, str]
    temporary: Path

    def run(
        self,
        file: str,
        event: WorkflowEvent,
        number: int | None = None,
        attempt: int = 1,
    ) -> Ran:
        """Run one workflow; a run that has a number is repeated."""
        text = (self.workspace / ".github/workflows" / file).read_text(encoding="utf-8")
        workflow = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - plain texts; `on` stays a word
        ran = Ran(number or self.hub.number(), [])
        for identity, job in workflow["jobs"].items():
            for run in self._expanded(identity, job, event, ran, attempt):
                ran.jobs.append(run.go())
        assert [] == canary.find_leaks(ran.text)
        assert not any(token in ran.text for token in self.hub.tokens)
        if event.name == "pull_request":
            head = event.payload["pull_request"]["head"]
            own_side = {
                "id": ran.id,
                "event": event.name,
                "head_sha": head["sha"],
                "head_repository": head["repo"],
            }
            self.hub.runs = [run for run in self.hub.runs if run["id"] != ran.id]
            self.hub.runs.append(
                {
                    **own_side,
                    "path": f".github/workflows/{file}",
                    "conclusion": ran.result,
                }
            )
        return ran

    def _expanded(
        self,
        identity: str,
        job: dict[str, Any],
        event: WorkflowEvent,
        ran: Ran,
        attempt: int,
    ) -> list[JobRun]:
        """Return a job once for each value of its matrix; once if its condition does not hold."""
        names = job.get("needs", [])
        needs = {
            name: _needed(ran.jobs, name)
            for name in ([names] if isinstance(names, str) else names)
        }
        failed = any(need["result"] != "success" for need in needs.values())
        first = JobRun(self, identity, job, event, ran.id, attempt, needs, {})
        first.wanted = condition(
            job.get("if"),
            first.contexts(),
            standard("failure" if failed else "success"),
        )
        matrix = job.get("strategy", {}).get("matrix")
        if not first.wanted or not matrix:
            return [first]
        (name,) = matrix
        values = filled(matrix[name], first.contexts(), standard("success"))
        return [
            JobRun(self, identity, job, event, ran.id, attempt, needs, {name: value})
            for value in values
        ]


def _needed(jobs: list[Job], name: str) -> dict[str, Any]:
    """Return a job as dependent jobs see it: its result over the full matrix, and its outputs."""
    own_side = [job for job in jobs if job.outputs.get("") == name]
    results = {job.result for job in own_side}
    result = next(item for item in ("failure", "success", "skipped") if item in results)
    return {
        "result": result,
        "outputs": {
            key: text for job in own_side for key, text in job.outputs.items() if key
        },
    }


@dataclass
class JobRun:
    """One job in progress."""

    actions: Actions
    identity: str
    form: dict[str, Any]
    event: WorkflowEvent
    run: int
    attempt: int
    needs: dict[str, Any]
    matrix: dict[str, Any]
    wanted: bool = True
    status: str = "success"
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    job: Job = field(init=False)
    token: str = ""

    def __post_init__(self) -> None:
        """Name the job."""
        name = filled(
            self.form.get("name", self.identity), self.contexts(), standard("success")
        )
        self.job = Job(str(name), "skipped", outputs={"": self.identity})

    @property
    def temp(self) -> Path:
        """Return the runner's folder for this job."""
        return (
            self.actions.temporary
            / f"{self.run}-{self.attempt}-{self.identity}-{'-'.join(self.matrix.values())}"
        )

    def contexts(self) -> dict[str, Any]:
        """Return the contexts of expressions."""
        event = {"repository": {"default_branch": "main"}, **self.event.payload}
        github = {
            "event_name": self.event.name,
            "event": event,
            "repository": REPOSITORY,
            "token": self.token,
        }
        github |= {
            "ref_name": self.event.branch,
            "run_attempt": str(self.attempt),
            "workflow": "x",
            "ref": "x",
        }
        environment = self.form.get("environment", "")
        environment = (
            environment["name"] if isinstance(environment, dict) else environment
        )
        named = (
            filled(environment, {"matrix": self.matrix}, standard("success"))
            if self.matrix
            else ""
        )
        declared = {
            "github": github,
            "vars": self.actions.variables,
            "needs": self.needs,
            "matrix": self.matrix,
        }
        declared |= {"steps": self.steps, "runner": {"temp": str(self.temp)}, "env": {}}
        return {**declared, "secrets": self.actions.secrets.get(named, {})}

    def go(self) -> Job:
        """Run the steps, one after the other."""
        if not self.wanted:
            return self.job
        self.temp.mkdir(parents=True)
        self.token = self.actions.hub.issue_token(self.form.get("permissions", {}))
        for number, step in enumerate(self.form["steps"]):
            outcome = self._step(step, {}, self.contexts(), self.steps, str(number))
            self.job.steps[step.get("name", step.get("uses", ""))] = outcome
            if outcome == "failure":
                self.status = "failure"
        self.job.result = self.status
        for name, text in self.form.get("outputs", {}).items():
            self.job.outputs[name] = shown(
                filled(text, self.contexts(), standard(self.status))
            )
        return self.job

    def _step(
        self,
        step: dict[str, Any],
        outer: Mapping[str, str],
        contexts: dict[str, Any],
        steps: dict[str, dict[str, Any]],
        number: str,
    ) -> str:
        functions = standard(self.status)
        outcome = "skipped"
        outputs: dict[str, str] = {}
        if condition(step.get("if"), contexts, functions):
            own = {
                key: shown(filled(text, contexts, functions))
                for key, text in step.get("env", {}).items()
            }
            env = {**outer, **own}
            source_values = {
                key: filled(text, contexts, functions)
                for key, text in step.get("with", {}).items()
            }
            if "run" in step:
                passed, outputs = self._bash(
                    filled(step["run"], contexts, functions), env, number
                )
            else:
                passed, outputs = self._used(step["uses"], source_values, env, number)
            outcome = "success" if passed else "failure"
        steps[step.get("id", f"#{number}")] = {
            "outcome": outcome,
            "conclusion": outcome,
            "outputs": outputs,
        }
        return outcome

    def _bash(
        self, script: str, env: Mapping[str, str], number: str
    ) -> tuple[bool, dict[str, str]]:
        assert "${{" not in script
        files = {
            name: self.temp / f"{name}-{number}"
            for name in ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH")
        }
        payload = self.temp / "event.json"
        payload.write_text(json.dumps(self.event.payload), encoding="utf-8")
        declared = {f"GITHUB_{name}": str(path) for name, path in files.items()}
        declared |= {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(self.run),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
        }
        declared |= {
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_SHA": self.event.sha,
            "GITHUB_ACTOR": self.event.actor,
        }
        declared |= {
            "GITHUB_EVENT_NAME": self.event.name,
            "GITHUB_EVENT_PATH": str(payload),
            "GITHUB_ACTION_PATH": str(ROOT),
        }
        declared |= {
            "GITHUB_API_URL": self.actions.hub.url,
            "GITHUB_SERVER_URL": "https://github.com",
        }
        declared |= {
            "GITHUB_WORKSPACE": str(self.actions.workspace),
            "RUNNER_TEMP": str(self.temp),
        }
        code, log = self.actions.machine.bash(
            script, self.actions.workspace, {**declared, **env}
        )
        self.job.log += log
        self.job.summary += _read(files["STEP_SUMMARY"])
        assert "" == _read(files["ENV"]) + _read(files["PATH"])
        return code == 0, dict(
            line.split("=", 1) for line in _read(files["OUTPUT"]).splitlines()
        )

    def _used(
        self, uses: str, given: dict[str, Any], env: Mapping[str, str], number: str
    ) -> tuple[bool, dict[str, str]]:
        if uses.startswith(_NOTHING):
            return True, {}
        if uses.startswith(_UPLOAD):
            return self._upload(given), {}
        assert uses in (ACTION, "./"), uses
        action = yaml.load(
            (ROOT / "action.yml").read_text(encoding="utf-8"),
            yaml.BaseLoader,  # noqa: S506
        )
        inputs = {
            name: item.get("default", "") for name, item in action["inputs"].items()
        } | given
        steps: dict[str, dict[str, Any]] = {}
        contexts = {
            "inputs": inputs,
            "steps": steps,
            "env": {},
            "runner": {"temp": str(self.temp)},
        }
        for place, step in enumerate(action["runs"]["steps"]):
            if "failure" == self._step(step, env, contexts, steps, f"{number}-{place}"):
                passed = False
                break
        else:
            passed = True
        outputs = {
            name: shown(filled(item["value"], contexts, {}))
            for name, item in action["outputs"].items()
        }
        return passed, outputs

    def _upload(self, given: dict[str, Any]) -> bool:
        """Store an artifact; return whether the step passed."""
        packed = archive(self.actions.workspace / given["path"])
        if packed is None:
            return str(given.get("if-no-files-found")) != "error"
        if true(given.get("overwrite")):
            self.actions.hub.forget(self.run, given["name"])
        self.actions.hub.keep(self.run, given["name"], packed)
        return True


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
