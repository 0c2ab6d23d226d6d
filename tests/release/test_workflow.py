"""The workflow that publishes a release, and what the other workflows install for their tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def jobs_of(name: str) -> dict[str, Any]:
    text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["jobs"])


def test_a_job_can_do_only_what_its_step_of_the_release_needs() -> None:
    """The token for attestations, the image and the release are in three jobs; none of them runs
    project code.
    """
    jobs = jobs_of("release.yml")
    writing = {
        name: {key for key, value in job["permissions"].items() if value == "write"}
        for name, job in jobs.items()
    }
    assert {
        "test": set(),
        "build": set(),
        "package": {"id-token"},
        "image": {"packages"},
        "release": {"contents"},
    } == writing
    assert ["package"] == [name for name, job in jobs.items() if "environment" in job]
    for name in ("package", "image", "release"):
        assert not [
            step
            for step in jobs[name]["steps"]
            if re.search(r"\b(make|python|pip)\b", step.get("run", ""))
        ]


def test_nothing_is_published_before_all_tests_pass() -> None:
    """Each job needs the one before it: tests, build, package, image, release."""
    needs = {name: job.get("needs") for name, job in jobs_of("release.yml").items()}
    assert {
        "test": None,
        "build": "test",
        "package": "build",
        "image": "package",
        "release": "image",
    } == needs


def test_a_release_is_built_without_a_cache() -> None:
    """An earlier run could have left other packages in it."""
    uses = [
        step
        for job in jobs_of("release.yml").values()
        for step in job.get("steps", [])
        if "uses" in step
    ]
    assert not [
        step
        for step in uses
        if "cache" in step["uses"] or "cache" in step.get("with", {})
    ]


def test_the_job_that_publishes_the_site_runs_no_code_of_the_project() -> None:
    """It takes the files of the other job, which may only read; neither runs for it in a pull
    request.
    """
    jobs = jobs_of("site.yml")
    assert {"contents": "read"} == jobs["build"]["permissions"]
    publish = jobs["publish"]
    assert {"pages": "write", "id-token": "write"} == publish["permissions"]
    assert "build" == publish["needs"]
    assert "github.event_name == 'push' && vars.PUBLISH_SITE == 'true'" == publish["if"]
    assert [["uses"]] == [list(step) for step in publish["steps"]]


@pytest.mark.parametrize("workflow", ["ci.yml", "weekly.yml"])
def test_jobs_that_run_tests_install_the_programs_of_tests(workflow: str) -> None:
    """A runner has neither Redis nor LibreOffice, which .ci/run installs; with CI=true a test
    without them fails.
    """
    listed = re.search(
        r"^packages=\((.*?)^\)",
        (ROOT / ".ci/run").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert listed
    needed = {"libreoffice-calc-nogui", "redis-server"}
    assert needed <= {
        line.split()[0] for line in listed[1].splitlines() if line.strip()
    }
    checked = 0
    for name, job in jobs_of(workflow).items():
        text = "\n".join(step.get("run", "") for step in job["steps"])
        if re.search(r"make \"?(test|campaign)", text):
            assert needed <= set(text.split()), name
            checked += 1
    assert checked
