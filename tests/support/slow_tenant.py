"""A tenant over a real socket that responds late, or refuses at first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from tests.support.loopback_server import App, loopback_server
from tests.support.program import write
from tests.support.simulated import QUEUES

Kind = TypeVar("Kind", bound="SlowTenant")
MANIFEST = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", requestsPerSecond: 2000}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""


@dataclass
class SlowTenant:
    """A tenant with late or other first responses for a path; statuses are from `refusals`, then
    `odd`.
    """

    app: App
    seconds: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    retry_after: str = "0.1"

    def status(self, path: str) -> int:
        """Return the status instead of the tenant's own; 0 for none."""
        refusals = self.refusals.get(path)
        return refusals.pop(0) if refusals else 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to a request."""
        await asyncio.sleep(self.seconds.get(scope["path"], 0.0))
        status = self.status(scope["path"])
        if not status:
            await self.app(scope, receive, send)
            return
        after = [(b"retry-after", self.retry_after.encode())] if status == 429 else []
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-length", b"0"), *after],
            }
        )
        await send({"type": "http.response.body"})


@contextmanager
def slow_tenant(
    kind: type[Kind] = SlowTenant,  # type: ignore[assignment]
    rules: int = 1,
    **settings: Any,
) -> Iterator[Kind]:
    """Serve a slow tenant, with so many desired rules; this function writes the manifests."""
    with loopback_server() as here:
        here.app = tenant = kind(
            Simulator(TenantState(QUEUES), SimulatorSettings()), **settings
        )
        write(
            "all.yaml",
            MANIFEST.format(url=here.url)
            + "".join(f"- {{intent: i{n}, queue: Billing}}\n" for n in range(rules)),
        )
        yield tenant
