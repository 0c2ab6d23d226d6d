"""A step of a pipeline on each fake forge: its variables, and the real commands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest

from reconciler.features.forge.command import FORGES
from reconciler.features.forge.forge import Approvals, Forge
from reconciler.rest.client import RestClient
from tests.features.forge.contract import FakeForge, FakeRun, Permission
from tests.support.plain_http import PLAIN
from tests.support.program import Program

HOME: Final = Path(__file__).parent


def _fakes() -> dict[str, str]:
    """Return the module of each fake by its forge."""
    modules = {}
    for folder in sorted(
        path.name
        for path in HOME.iterdir()
        if path.is_dir() and not path.name.startswith("_")
    ):
        for module in (
            f"tests.features.forge.{folder}.contract_fake",
            f"tests.features.forge.{folder}.fake",
        ):
            if find_spec(module) and hasattr(import_module(module), "fake_forge"):
                modules[folder] = module
                break
    return modules


FAKES: Final = _fakes()
assert sorted(FAKES) == sorted(FORGES)


def offering(permission: Permission) -> pytest.MarkDecorator:
    """Return the mark of a test for the forges that have this.

    LACKS in a fake's module names what its forge lacks.
    """
    offered = [
        name
        for name, fake in FAKES.items()
        if permission not in getattr(import_module(fake), "LACKS", ())
    ]
    return pytest.mark.parametrize("stage", offered, indirect=True)


@dataclass
class ForgeStage:
    """A step of a pipeline on one forge: its variables, the commands, and what they printed."""

    forge: FakeForge
    cxroute: Program
    patch: pytest.MonkeyPatch
    slept: list[float]

    @property
    def note_task(self) -> str:
        """Return the name of the task that publishes a plan."""
        return "comment" if self.forge.name == "github" else "note"

    @property
    def module(self) -> ModuleType:
        """Return the adapter's module."""
        return import_module(f"reconciler.features.forge.{self.forge.name}")

    @property
    def shown(self) -> str:
        """Return what the last command printed."""
        return self.cxroute.out + self.cxroute.err

    def enter(self, run: FakeRun) -> None:
        """Set the variables of a step."""
        for name, value in self.forge.variables(run).items():
            self.patch.setenv(name, value)

    def grant(self, *permissions: Permission) -> None:
        """Give the step a token with these permissions alone."""
        self.patch.setenv(self.forge.token_variable, self.forge.token(*permissions))

    def run(self, *arguments: str) -> int:
        """Run a task of the forge's command."""
        code = self.cxroute(self.forge.name, *arguments)
        assert os.environ[self.forge.token_variable] not in self.shown
        assert "Traceback" not in self.cxroute.err
        return code

    def note(
        self, text: str = "**1 to create**", environment: str = "prod", create: int = 1
    ) -> int:
        """Publish a plan as a note."""
        return self.run(
            self.note_task, "--report", write_report(environment, text, create)
        )

    @contextmanager
    def adapter(self) -> Iterator[Forge]:
        """Connect the adapter as a command does."""
        with httpx.Client(
            trust_env=False, follow_redirects=False, timeout=10, verify=PLAIN
        ) as http:
            run = self.module.read_run(os.environ)
            token = os.environ[self.forge.token_variable]
            client = RestClient(
                dialect=self.module.DIALECT, http=http, base=run.api, token=token
            )
            yield self.module.ADAPTER(client, run)

    def approvals(self) -> Approvals:
        """Read the approvals of the pull request."""
        with self.adapter() as forge:
            return forge.fetch_approvals(7)

    def members(self, owner: str) -> frozenset[str]:
        """Read the members of an owner."""
        with self.adapter() as forge:
            return forge.fetch_members(owner)

    def says_permission(self) -> bool:
        """Return whether the last command advised on a permission in the words of the adapter."""
        advice = (
            self.module.DIALECT.permission_advice,
            self.module.DIALECT.missing_advice,
        )
        patterns = (re.escape(text).replace(re.escape("{}"), ".+") for text in advice)
        return any(
            re.search(pattern, " ".join(self.cxroute.err.split()))
            for pattern in patterns
        )


def plan(environment: str = "prod", create: int = 1, **more: Any) -> dict[str, Any]:
    """Return the parts of a plan's document that the tasks read."""
    counts = {"create": create, "update": 0, "adopt": 0, "delete": 0}
    changes = [
        {"action": "create", "address": f"cards/r{number}", "after": {}}
        for number in range(create)
    ]
    form = {
        "environment": environment,
        "planId": "0123456789ab",
        "summary": counts,
        "changes": changes,
    }
    return {**form, "findings": [], "guards": [], **more}


def write_report(environment: str, text: str, create: int) -> str:
    """Write a report as `cxroute plan --report DIR` does."""
    folder = Path("out", environment)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(
        json.dumps(plan(environment, create)), encoding="utf-8"
    )
    first = f"<!-- cxroute:plan env={environment} -->\n"
    (folder / "plan.md").write_text(
        text if text.startswith(first) else f"{first}{text}\n", encoding="utf-8"
    )
    return str(folder)
