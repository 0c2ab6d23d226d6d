"""A run of the release workflow without a network: its scripts with bash, its artifacts as folders.

What a step publishes is compared with SHA256SUMS; `make` and `gh` are stand-ins that record their
arguments.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.release.packages import ReleaseError

WORKFLOW: Final = ".github/workflows/release.yml"
REPOSITORY: Final = "Owner/cxroute"
_IMAGE: Final = re.compile(r"ghcr\.io/[a-z0-9._/-]+:\d+\.\d+\.\d+")
_EXPRESSION: Final = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
_STAND_INS: Final = {
    # The build: the files that were checked are those that the job leaves in dist/.
    "make": 'printf "make %s\\n" "$*" >> "$CALLS"; [ "$*" = release-check ]; mkdir dist; cp "$CHECKED"/* dist/',
    # The release: each file that it is given must exist.
    "gh": 'printf "gh %s\\n" "$*" >> "$CALLS"; for word in "$@"; do case "$word" in ./*) [ -f "$word" ];; esac; done',
}


def subjects(folder: Path) -> str:
    """Return what attestations are about, in the form of SHA256SUMS: digest and name of each file
    of a folder.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in files
    )


@dataclass
class DryRun:
    """One run of the workflow for a tag.

    `checked` has the files of the release, `source` those of the commit.
    """

    source: Path
    checked: Path
    folder: Path
    tag: str
    lines: list[str] = field(default_factory=list)
    published: dict[str, str] = field(default_factory=dict)
    _outputs: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> list[str]:
        """Return the calls of the stand-ins."""
        file = self.folder / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def run(self) -> None:
        """Take every step of every job in the order of `needs`; raise ReleaseError at the first one
        that fails.
        """
        form = yaml.load(
            (self.source / WORKFLOW).read_text(encoding="utf-8"),
            yaml.BaseLoader,  # noqa: S506 - plain texts
        )
        if not any(
            re.fullmatch(pattern.replace(".", r"\."), self.tag)
            for pattern in form["on"]["push"]["tags"]
        ):
            raise ReleaseError(f"{WORKFLOW} does not run for the tag {self.tag}")
        (self.folder / "bin").mkdir(parents=True)
        for name, script in _STAND_INS.items():
            (self.folder / "bin" / name).write_text(
                f"#!/bin/bash\nset -e\n{script}\n", encoding="utf-8"
            )
            (self.folder / "bin" / name).chmod(0o755)
        jobs = dict(form["jobs"])
        finished = set[str]()
        while ready := [
            name for name, job in jobs.items() if job.get("needs") in {None, *finished}
        ]:
            self._job(ready[0], jobs.pop(ready[0]))
            finished.add(ready[0])
        if jobs:
            raise ReleaseError(f"the jobs {sorted(jobs)} never run")

    def _job(self, name: str, job: dict[str, Any]) -> None:
        workspace = self.folder / "jobs" / name
        workspace.mkdir(parents=True)
        self._outputs.clear()
        if "uses" in job:
            self._called_workflow(job["uses"])
        for step in job.get("steps", []):
            label = (
                f"{name}: {step.get('name', step.get('uses', '').partition('@')[0])}"
            )
            if "run" in step:
                self._script(step, workspace)
                self.lines.append(f"{label}: ran")
            else:
                inputs = {
                    key: self._filled(text)
                    for key, text in step.get("with", {}).items()
                }
                self.lines.append(
                    f"{label}: {self._action(step['uses'].partition('@')[0], inputs, workspace)}"
                )

    def _called_workflow(self, path: str) -> None:
        form = yaml.load(
            (self.source / path).read_text(encoding="utf-8"),
            yaml.BaseLoader,  # noqa: S506 - plain texts
        )
        if "workflow_call" not in form["on"]:
            raise ReleaseError(f"{path} cannot be called by another workflow")
        self.lines.append(f"{path}: can be called")

    def _script(self, step: dict[str, Any], workspace: Path) -> None:
        """Run a script as the runner does, and keep its outputs."""
        output = self.folder / "output"
        output.write_text("", encoding="utf-8")
        variables = {
            name: self._filled(text) for name, text in step.get("env", {}).items()
        }
        variables |= {
            "GITHUB_OUTPUT": str(output),
            "GITHUB_REPOSITORY": REPOSITORY,
            "HOME": str(self.folder),
        }
        variables |= {"CALLS": str(self.folder / "calls"), "CHECKED": str(self.checked)}
        variables["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        command = [
            "bash",
            "--noprofile",
            "--norc",
            "-eo",
            "pipefail",
            "-c",
            step["run"],
        ]
        done = subprocess.run(
            command,
            cwd=workspace,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ReleaseError(
                f"the step {step.get('name')} failed: {done.stdout}{done.stderr}"
            )
        for line in output.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            self._outputs[f"steps.{step['id']}.outputs.{name}"] = value

    def _filled(self, text: str) -> str:
        declared = {
            "github.ref_name": self.tag,
            "github.repository": REPOSITORY,
            "github.server_url": "https://git.example",
            "github.sha": "0" * 40,
            "github.actor": "anna",
            "github.token": "a token",
            **self._outputs,
        }
        if unknown := set(_EXPRESSION.findall(text)) - declared.keys():
            raise ReleaseError(f"no earlier step sets {sorted(unknown)}")
        return _EXPRESSION.sub(lambda actual: declared[actual[1]], text)

    def _action(self, action: str, inputs: dict[str, str], workspace: Path) -> str:
        """Do what an action does here, check its inputs, and return a word about it."""
        declared: dict[str, Callable[[dict[str, str], Path], str]] = {
            "actions/checkout": self._checkout,
            "actions/setup-python": lambda _, __: "present",
            "actions/upload-artifact": self._upload,
            "actions/download-artifact": self._download,
            "docker/setup-buildx-action": lambda _, __: "needs a network",
            "docker/login-action": lambda _, __: "needs a network",
            "docker/build-push-action": self._image,
            "pypa/gh-action-pypi-publish": self._packages,
        }
        if action not in declared:
            raise ReleaseError(f"the dry run does not know the action {action}")
        return declared[action](inputs, workspace)

    def _checkout(self, _: dict[str, str], workspace: Path) -> str:
        shutil.copytree(self.source, workspace, dirs_exist_ok=True)
        return "copied"

    def _upload(self, inputs: dict[str, str], workspace: Path) -> str:
        target = self.folder / "artifacts" / inputs["name"]
        target.mkdir(parents=True)
        for pattern in inputs["path"].split():
            files = sorted(workspace.glob(pattern))
            if not files:
                raise ReleaseError(
                    f"the artifact {inputs['name']} has no file {pattern}"
                )
            for file in files:
                shutil.copyfile(file, target / file.name)
        return f"{len(list(target.iterdir()))} files"

    def _download(self, inputs: dict[str, str], workspace: Path) -> str:
        artifact = self.folder / "artifacts" / inputs["name"]
        if not artifact.exists():
            raise ReleaseError(f"no earlier job stores the artifact {inputs['name']}")
        shutil.copytree(artifact, workspace / inputs["path"], dirs_exist_ok=True)
        return f"{len(list(artifact.iterdir()))} files"

    def _packages(self, inputs: dict[str, str], workspace: Path) -> str:
        """Check what the index gets: exactly the wheel and the archive, each with an attestation of
        its digest.
        """
        if inputs.get("attestations") != "true":
            raise ReleaseError("the package is published without attestations")
        self.published["package"] = subjects(workspace / inputs["packages-dir"])
        sums = (
            (self.checked / "SHA256SUMS")
            .read_text(encoding="utf-8")
            .splitlines(keepends=True)
        )
        if self.published["package"] != "".join(
            line for line in sums if line.endswith((".whl\n", ".tar.gz\n"))
        ):
            raise ReleaseError(
                f"the publish step gets other files than were checked:\n{self.published['package']}"
            )
        return "attests the checked digests of 2 files"

    def _image(self, inputs: dict[str, str], workspace: Path) -> str:
        if not (workspace / inputs["context"] / "Dockerfile").is_file():
            raise ReleaseError("the image has no Dockerfile in its context")
        if (inputs.get("provenance"), inputs.get("sbom")) != ("mode=max", "true"):
            raise ReleaseError("the image is published without provenance or SBOM")
        if not _IMAGE.fullmatch(inputs["tags"]):
            raise ReleaseError(f"not a valid name of an image: {inputs['tags']}")
        self.published["image"] = inputs["tags"]
        return "name, context, provenance and SBOM are valid"
