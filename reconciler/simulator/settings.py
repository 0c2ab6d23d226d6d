"""How the simulated server behaves: the switches, and the profiles (invariants "Server profiles")."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from reconciler.simulator.profile import TUTORIAL_PROFILE, TenantProfile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

SCOPES: Final = frozenset({"routing:read", "routing:write", "interaction:read", "interaction:write"})


def _random_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the server behaves. Times are in seconds; clock, sleep and ids can be replaced, so that a run repeats."""

    clients: Mapping[str, str] | None = None
    """Accepted client ids and their secrets. None: any id and secret that are not empty."""
    access_keys: Mapping[str, str] | None = None
    """Accepted access keys: ids and their secrets. None: any that are not empty."""
    issuer: str = ""  # its own address, in documents and id tokens. Empty: as whoever asks has it in the header Host.
    tenant_id: str = "11111111-2222-4333-8444-555555555555"  # the tenant's id, as id tokens have it
    custom_fields: Mapping[str, Literal["text", "number"]] = field(default_factory=dict)
    """The contacts' custom fields that were defined, and as what rules see their values."""
    scopes: frozenset[str] = SCOPES  # what every token may do
    token_seconds: int = 3600
    names_unique: bool = False  # 409 for a second rule of one name
    etags: bool = False  # ETag on each rule, and 412 for an If-Match that does not match
    idempotency_keys: bool = False  # a POST that is repeated with its Idempotency-Key gives the first answer again
    lag_seconds: float = 0.0  # a new rule is in no list for so long
    lag_reads: int = 0  # a new rule is missing in so many reads of a page
    page_cap: int = 100  # most that one page holds, whatever was asked
    latency: float = 0.0  # seconds before a request is looked at
    rate: float | None = None  # requests a second above which 429 is answered, the token's aside. None: no limit.
    burst: int = 10  # requests that may come at once under `rate`
    retry_after: Literal["seconds", "date"] = "seconds"
    profile: TenantProfile = TUTORIAL_PROFILE  # what it calls things, and how its lists come in pages
    clock: Callable[[], float] = time.time  # seconds since 1970
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    new_id: Callable[[], str] = _random_id


PROFILES: Final[Mapping[str, SimulatorSettings]] = {
    "A": SimulatorSettings(names_unique=True, etags=True),
    "B": SimulatorSettings(names_unique=True),
    "C": SimulatorSettings(),
    "D": SimulatorSettings(lag_reads=3),
    "E": SimulatorSettings(names_unique=True, etags=True, idempotency_keys=True),
}
"""Server capability profiles (invariants "Server profiles")."""
