"""The server profiles (invariants "Server profiles"), with the matching text of an Environment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from reconciler.features.practice.simulator.settings import PROFILES as SERVERS
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.targets.platform.settings import TenantSettings

TENANT: Final = TenantSettings(
    base_url="http://localhost",
    token_url="http://localhost/oauth/token",
    rules_path="/api/v2/routing/rules",
    queues_path="/api/v2/routing/queues",
    requests_per_second=1e6,
    page_size=5,
)
"""Pages of five, so that a dozen rules need several."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server's settings, and the matching settings of the tool."""

    settings: SimulatorSettings
    tenant: TenantSettings = TENANT
    list_lag_seconds: float = 0.0
    concurrency: int = 16


PROFILES: Final = {
    "A": Profile(SERVERS["A"]),
    "B": Profile(SERVERS["B"]),
    "C": Profile(SERVERS["C"]),
    "D": Profile(SimulatorSettings(lag_seconds=4.0), list_lag_seconds=5.0),
    "E": Profile(SERVERS["E"], replace(TENANT, idempotency_keys=True)),
}
