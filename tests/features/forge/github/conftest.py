"""A GitHub on loopback, and a step of a workflow that talks to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.rest.client import RestClock
from tests.features.forge.github.fake import MERGE, REPOSITORY, TOKEN, FakeGitHub
from tests.features.forge.github.fake_server import serving
from tests.features.forge.github.machine import Machine, machine
from tests.features.forge.github.scene import (
    RepositoryDriver,
    TenantProcess,
    tenant_process,
)
from tests.support.program import Program


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    """The repository."""
    with serving(FakeGitHub()) as item:
        yield item


@dataclass
class Stage:
    """A step in this process: its variables, the command, and its results."""

    cxroute: Program
    patch: pytest.MonkeyPatch
    slept: list[float]

    def __call__(self, *arguments: str) -> int:
        """Run the command; its output never has the token."""
        for name in ("output", "summary"):
            Path(name).unlink(missing_ok=True)
        code = self.cxroute("github", *arguments)
        assert (
            TOKEN
            not in self.cxroute.out
            + self.cxroute.err
            + self.summary
            + json.dumps(self.outputs)
        )
        assert "Traceback" not in self.cxroute.err
        return code

    def on(
        self,
        event: str,
        run: int,
        attempt: int = 1,
        pull: int | None = 7,
        sha: str = MERGE,
    ) -> None:
        """Set the variables of a step in that run."""
        head = {"pull_request": {"number": pull, "head": {"sha": sha}}} if pull else {}
        Path("event.json").write_text(json.dumps(head), encoding="utf-8")
        declared = {
            "EVENT_NAME": event,
            "RUN_ID": str(run),
            "RUN_ATTEMPT": str(attempt),
            "SHA": sha,
        }
        for name, value in declared.items():
            self.patch.setenv(f"GITHUB_{name}", value)

    @property
    def summary(self) -> str:
        """Return the text added to the job's summary."""
        return _text("summary")

    @property
    def outputs(self) -> dict[str, str]:
        """Return the step's outputs."""
        return dict(line.split("=", 1) for line in _text("output").splitlines())


def _text(name: str) -> str:
    return Path(name).read_text(encoding="utf-8") if Path(name).exists() else ""


@pytest.fixture
def stage(hub: FakeGitHub, cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A step of a pull request's run."""
    declared = {
        "REPOSITORY": REPOSITORY,
        "ACTOR": "anna",
        "API_URL": hub.url,
        "SERVER_URL": "https://github.com",
    }
    declared |= {
        "TOKEN": TOKEN,
        "EVENT_PATH": "event.json",
        "OUTPUT": "output",
        "STEP_SUMMARY": "summary",
    }
    for name, value in declared.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.delenv("CXROUTE_PROXY")
    monkeypatch.delenv("GITHUB_REF", raising=False)
    slept: list[float] = []
    monkeypatch.setattr(
        RestClock.__new__, "__defaults__", (time.monotonic, time.time, slept.append)
    )
    created = Stage(cxroute, monkeypatch, slept)
    created.on("pull_request", 100)
    return created


@pytest.fixture(scope="session")
def computer() -> Iterator[Machine]:
    """The machine of all steps."""
    with machine() as item:
        yield item


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantProcess]:
    """The tenant, for all scenarios."""
    with tenant_process(tmp_path_factory.mktemp("tenant")) as item:
        yield item


@pytest.fixture
def scene(
    tmp_path: Path, computer: Machine, bank: TenantProcess
) -> Iterator[RepositoryDriver]:
    """A repository without rules, and a tenant without rules."""
    bank.clear()
    with serving(FakeGitHub()) as hub:
        (tmp_path / "repository").mkdir()
        yield RepositoryDriver(tmp_path / "repository", hub, bank, computer)


def write_report(
    form: dict[str, Any], text: str = "**1 to create**", into: str = "out/prod"
) -> str:
    """Write the files of `cxroute plan --report DIR`."""
    folder = Path(into)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(form), encoding="utf-8")
    first = f"<!-- cxroute:plan env={form.get('environment')} -->"
    (folder / "plan.md").write_text(f"{first}\n{text}\n", encoding="utf-8")
    return into
