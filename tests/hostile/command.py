"""The command against such a tenant: run, and measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import canary_secrets as canary
from tests.support.command import measured

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Ended

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


@dataclass
class Place:
    """A folder with manifests for a tenant, and the command run in it."""

    path: Path
    more: dict[str, str]
    patience: int = 30

    def manifests(self, url: str, *intents: str, queue: str = "billing", seconds: float = 10) -> None:
        """Write an environment at that address, and a rule for each intent."""
        folder = self.path / "manifests"
        folder.mkdir(exist_ok=True)
        (folder / "evil.yaml").write_text(ENVIRONMENT.format(url=url, seconds=seconds), "utf-8")
        rules = "".join(f"  - {{intent: {intent}, queue: {queue}}}\n" for intent in intents)
        (folder / "routing.yaml").write_text(MANIFEST + rules if rules else MANIFEST[:-1] + " []\n", "utf-8")

    def __call__(self, *arguments: str) -> Ended:
        """Run a command against the tenant. No traceback, and no secret, in whatever case."""
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        variables |= {"CXONE_CLIENT_ID": canary.CLIENT, "CXONE_CLIENT_SECRET": canary.SECRET, "PYTHONUTF8": "1"}
        variables |= {"CXONE_ACCESS_KEY_ID": canary.KEY, "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET}
        ended = measured(self.path, ["-e", "evil", *arguments], {**variables, **self.more}, self.patience)
        assert "Traceback" not in ended.out + ended.err, ended.err
        assert [] == canary.found(ended.out + ended.err)
        return ended

    def secretive(self) -> None:
        """Look once more: at every file that is left."""
        assert [] == list(canary.leaks_in(self.path))
