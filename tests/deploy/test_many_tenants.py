"""deploy/: the files that run cxroute for many tenants fit each other, the program and their own
schemas.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.cli.commands import apply, plan
from reconciler.cli.environments import parse_shard
from reconciler.cli.parsing import CommandParser
from tests.deploy.manifests import documents, pods, problems
from tests.support.requirements import skip_or_fail

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
CRONJOB: Final = DEPLOY / "kubernetes" / "reconcile.yaml"
WORKFLOW: Final = DEPLOY / "github" / "routing-many.yml"
SERVICE = DEPLOY / "systemd" / "cxroute.service"
TIMER = DEPLOY / "systemd" / "cxroute.timer"
HIGHEST_EXPOSURE: Final = 2.0
"""systemd's measure of the rights of a compromised service: 10 is full access, below 2 is `OK`."""


def parsed_apply(words: list[str]) -> apply.ApplyOptions:
    """Return the options of a command line. Raises UsageError for an invalid one."""
    words = [word for word in words if word != "apply"]
    return CommandParser("apply", apply).parse_args(words)


def cronjob() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the Job's spec, its pod and its container."""
    (document,) = documents(CRONJOB)
    (pod,) = pods(document)
    (container,) = pod["containers"]
    return document["spec"]["jobTemplate"]["spec"], pod, container


def test_kubernetes_accepts_the_cron_job() -> None:
    """By its own schemas; every reference has a target."""
    assert [] == problems(CRONJOB)


def test_each_pod_applies_one_shard_and_none_is_omitted() -> None:
    """There are as many pods as shards, numbered by Kubernetes; a failed shard is retried alone."""
    job, pod, container = cronjob()
    options = parsed_apply(container["args"])
    assert options.shard
    assert (True, True, "/manifests") == (options.all, options.yes, options.manifests)
    shares = {
        parse_shard(options.shard, {"JOB_COMPLETION_INDEX": str(index)})
        for index in range(job["completions"])
    }
    assert job["completions"] == len(shares)
    assert {job["completions"]} == {share.count for share in shares}
    assert ("Indexed", "Never") == (job["completionMode"], pod["restartPolicy"])
    assert job["backoffLimitPerIndex"] > 0
    (codes,) = [
        item["onExitCodes"]
        for item in job["podFailurePolicy"]["rules"]
        if "onExitCodes" in item
    ]
    assert container["name"] == codes["containerName"]
    assert {3, 4, 64} == set(codes["values"]), "final errors; 1 and 5 are retried"


def test_the_pod_has_minimal_permissions() -> None:
    """No root, no token of the cluster, only its folder is writable; secrets are files."""
    _, pod, container = cronjob()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    allowed = container["securityContext"]
    assert (False, True, ["ALL"]) == (
        allowed["allowPrivilegeEscalation"],
        allowed["readOnlyRootFilesystem"],
        allowed["capabilities"]["drop"],
    )
    assert all(
        item["name"].endswith("_FILE") and item["value"].startswith("/secrets/")
        for item in container["env"]
    )
    assert "envFrom" not in container
    (user,) = re.findall(
        r"^USER (\d+):", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert int(user) == pod["securityContext"]["runAsUser"]


def linted(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of this environment's linters."""
    tool = Path(sys.executable).with_name(command[0])
    return subprocess.run(
        [tool, *command[1:]], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_github_accepts_the_workflow() -> None:
    """By GitHub's schema; and zizmor, which checks for attacks, has no findings."""
    read = linted(
        "check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)
    )
    assert 0 == read.returncode, read.stdout
    looked_at = linted(
        "zizmor", "--offline", "--no-progress", "--persona=auditor", str(WORKFLOW)
    )
    assert 0 == looked_at.returncode, looked_at.stdout


def test_the_jobs_of_the_workflow_apply_all_shards() -> None:
    """The matrix counts from 0 without a gap, and each job applies its shard of the saved plan."""
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    shares = jobs["apply"]["strategy"]["matrix"]["share"]
    assert list(range(len(shares))) == shares
    assert (
        f"Apply, share ${{{{ matrix.share }}}} of {len(shares)}"
        == jobs["apply"]["name"]
    )
    assert jobs["apply"]["strategy"]["fail-fast"] is False
    words = [word for word in _step(jobs["plan"], "cxroute plan") if word != "plan"]
    planned = CommandParser("plan", plan).parse_args(words)
    assert (True, "plans.json") == (planned.all, planned.out)
    applying = next(
        step
        for step in jobs["apply"]["steps"]
        if "cxroute apply" in step.get("run", "")
    )
    assert (
        "${{ strategy.job-index }}/${{ strategy.job-total }}"
        == applying["env"]["SHARE"]
    )
    applied = parsed_apply(_step(jobs["apply"], "cxroute apply"))
    assert ("$RUNNER_TEMP/reviewed/plans.json", "$SHARE", True) == (
        applied.plan,
        applied.shard,
        applied.yes,
    )


def _step(job: dict[str, Any], command: str) -> list[str]:
    """Return the words of a command in a job's steps, without shell operators after it."""
    lines = [
        line
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
        if command in line
    ]
    (line,) = lines
    return shlex.split(line.partition("||")[0])[1:]


def unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return a unit's settings by section; a name may occur several times."""
    actual: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            actual.setdefault(section, []).append((name, value))
    return actual


def settings(path: Path, section: str, name: str) -> list[str]:
    """Return the values of one setting."""
    return [value for item, value in unit(path)[section] if item == name]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd-analyze reports no problem, and a low exposure of the service."""
    if shutil.which("systemd-analyze") is None:
        skip_or_fail(
            "systemd-analyze is not installed (Debian: apt-get install systemd)"
        )
    if os.geteuid() != 0 and not Path("/run/systemd").exists():
        skip_or_fail(
            "systemd-analyze needs /run/systemd, which a system has that systemd started (root: "
            "mkdir it)"
        )
    for path in (SERVICE, TIMER):
        text = path.read_text(encoding="utf-8").replace(
            "/opt/cxroute/bin/cxroute", "/bin/true"
        )
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    units = [str(tmp_path / path.name) for path in (SERVICE, TIMER)]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (verified.returncode, verified.stderr)
    threshold = f"--threshold={HIGHEST_EXPOSURE * 10:.0f}"
    measure = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        "--no-pager",
        threshold,
        units[0],
    ]
    measured = subprocess.run(measure, capture_output=True, text=True, check=False)
    assert 0 == measured.returncode, measured.stdout[-300:]


def test_the_service_runs_a_valid_command() -> None:
    """It never asks, its timer starts it, and every secret that it names is passed to it."""
    (started,) = settings(SERVICE, "Service", "ExecStart")
    options = parsed_apply(shlex.split(started)[1:])
    assert (True, True, True) == (options.all, options.yes, options.no_input)
    assert ["oneshot"] == settings(SERVICE, "Service", "Type")
    assert SERVICE.stem == TIMER.stem
    handed = {
        value.partition(":")[0]
        for value in settings(SERVICE, "Service", "LoadCredential")
    }
    variables = dict(
        value.split("=", 1) for value in settings(SERVICE, "Service", "Environment")
    )
    assert all(name.endswith("_FILE") for name in variables)
    assert {f"%d/{name}" for name in handed} == set(variables.values())


def test_the_readme_names_every_file() -> None:
    """Each file of deploy/ is named, and each named file exists."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = {
        target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target
    }
    assert set() == {target for target in named if not (DEPLOY / target).exists()}
    files = {
        str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.*") if path.is_file()
    } - {"README.md"}
    assert files <= named
