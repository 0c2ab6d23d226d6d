"""A simulated tenant and the client that writes contexts to it, with each writer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from reconciler.core.errors import (
    ApiError,
    CredentialsError,
    RateLimitedError,
    RejectedError,
    RuleNotFoundError,
    ScopeError,
    UnexpectedResponseError,
    UnsupportedCallError,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import DEFAULT_PROFILE
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.context_client import (
    ContextClient,
    ContextWriter,
    choose_writer,
    context_path,
)
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from tests.support import canary_secrets as canary
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.simulated import SimulatorTransport

SAID: dict[str, str | float | None] = {
    "cognigyDetectedIntent": "billing",
    "cognigyConfidence": 0.9,
    "routedAt": "2026-02-01T09:00:00Z",
}


FIELDS = ("cognigyDetectedIntent", "cognigyConfidence", "routedAt")


def ways() -> dict[str, tuple[str, ContextWriter]]:
    """Return the writers, each with its own path."""

    def way(writer: str) -> tuple[str, ContextWriter]:
        text = {
            "name": "prod",
            "owner": "acme",
            "tenant": "acme",
            "context": {"writer": writer},
        }
        environment = Environment.model_validate(text)
        return context_path(environment, DEFAULT_PROFILE), choose_writer(environment)

    return {
        name: way(name)
        for name in ("interaction", "digital-custom-fields", "voice-signal")
    }


WAYS = pytest.mark.parametrize("way", ways())


class ContextTenant:
    """A simulated tenant and clients that write contexts to it, on one clock; `ways` are the
    writers.
    """

    def __init__(
        self, faults: str = "", way: str = "interaction", **settings: Any
    ) -> None:
        self.clock, self.path, self.writer = FakeClock(), *ways()[way]
        fields: Any = {"custom_fields": FIELDS, **settings}
        switches = SimulatorSettings(clock=self.clock, sleep=self.clock.sleep, **fields)
        self.app: Simulator = Simulator(
            TenantState(), switches, FaultInjector(faults, 0) if faults else None
        )

    def client(
        self, transport: httpx.AsyncBaseTransport | None = None, path: str = ""
    ) -> ContextClient:
        """Return a client of the tenant."""
        http = transport_over(transport or SimulatorTransport(self.app))
        credentials = ClientCredentials(
            client_id=canary.CLIENT, client_secret=canary.SECRET
        )
        return ContextClient(
            http, TENANT, credentials, self.clock.time, path or self.path, self.writer
        )

    def run(self, *ids: str, seconds: float = 5.0, at_once: int = 1) -> list[Any]:
        """Write once for each id, so many at a time; return the results, including errors."""

        async def write() -> list[Any]:
            client = self.client()
            actual: list[Any] = []
            for start in range(0, len(ids), at_once):
                part = (
                    client.write(item, SAID, seconds)
                    for item in ids[start : start + at_once]
                )
                actual += await asyncio.gather(*part, return_exceptions=True)
            return actual

        return asyncio.run(write())

    def asked(self) -> Counter[str]:
        """Return how often each kind of path was requested."""
        return Counter(
            "token" if request.path == "/oauth/token" else "context"
            for request in self.app.state.requests
        )


FAULTS: list[tuple[str, type]] = [
    ("context:reset@#1", dict),
    ("context:500-applied@#1", dict),
    ("context:429=1@#1", dict),
    ("context:refuse@#1", dict),
    ("context:cut@#1", dict),
    ("context:revoke@#2", dict),
    ("token:500@#1", dict),
    ("context:401", CredentialsError),
    ("context:403", ScopeError),
    ("context:404", RuleNotFoundError),
    ("context:410", RuleNotFoundError),
    ("context:405", UnsupportedCallError),
    ("context:501", UnsupportedCallError),
    ("context:400", RejectedError),
    ("context:413", RejectedError),
    ("context:422", RejectedError),
    ("context:redirect", UnsupportedCallError),
    ("context:html", UnexpectedResponseError),
    ("context:nan", UnexpectedResponseError),
    ("context:deep", UnexpectedResponseError),
    ("context:gzip=20", UnexpectedResponseError),
    ("context:429=3600", RateLimitedError),
    ("context:429=30", RateLimitedError),
    ("context:500", ApiError),
    ("context:timeout", ApiError),
    ("token:401", CredentialsError),
    ("token:html", UnexpectedResponseError),
    ("token:503", ApiError),
]
