"""The command against a hostile tenant, with its output and resources measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.hostile.scripts import MEGABYTE
from tests.hostile.tenant import HostileTenant
from tests.support import canary_secrets as canary
from tests.support.command import RunResult, process_environment, run_measured

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
MOST_MEMORY: Final = 250 * MEGABYTE
DEADLINE: Final = 0.1
MOST_WORK: Final = 5.0
"""Seconds of the processor.

A run that waits for ever is ended by `Workspace.patience`, with another exit code.
"""


@dataclass
class Workspace:
    """A folder with manifests for a tenant, in which the command runs."""

    path: Path
    more: dict[str, str]
    patience: int = 30

    def manifests(
        self, url: str, *intents: str, queue: str = "billing", seconds: float = 10
    ) -> None:
        """Write an environment at that address, and a rule for each intent."""
        folder = self.path / "manifests"
        folder.mkdir(exist_ok=True)
        (folder / "evil.yaml").write_text(
            ENVIRONMENT.format(url=url, seconds=seconds), "utf-8"
        )
        rules = "".join(
            f"  - {{intent: {intent}, queue: {queue}}}\n" for intent in intents
        )
        (folder / "routing.yaml").write_text(
            MANIFEST + rules if rules else MANIFEST[:-1] + " []\n", "utf-8"
        )

    def __call__(self, *arguments: str) -> RunResult:
        """Run a command against the tenant. The output has no traceback and no secret."""
        keys = {
            "CXONE_ACCESS_KEY_ID": canary.KEY,
            "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET,
            "PYTHONUTF8": "1",
        }
        variables = process_environment(**{**keys, **self.more})
        ended = run_measured(
            self.path, ["-e", "evil", *arguments], variables, self.patience
        )
        assert "Traceback" not in ended.out + ended.err, ended.err
        assert [] == canary.find_leaks(ended.out + ended.err)
        return ended

    def secretive(self) -> None:
        """Assert that no written file contains a secret."""
        assert [] == list(canary.leaks_in(self.path))


def assert_refused(ended: RunResult, tenant: HostileTenant) -> None:
    """Assert exit code 1, one sentence after the wait, no write, and bounded time and memory."""
    assert (1, "") == (ended.code, ended.out), ended
    *waits, _ = ended.err.strip().splitlines()
    assert all(line.startswith("waiting for ") for line in waits), ended.err
    assert len(ended.err) < 500
    assert [] == tenant.writes
    assert ended.peak < MOST_MEMORY
