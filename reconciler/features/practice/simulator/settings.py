"""The settings of the simulated server, and its profiles (invariants "Server profiles")."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.features.practice.simulator.script_engine import ContactScript
from reconciler.features.practice.simulator.snippet import SimDialect

SCOPES: Final = frozenset(
    {"routing:read", "routing:write", "interaction:read", "interaction:write"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """The settings of the server.

    Times are in seconds; clock, sleep and ids can be replaced for repeatable runs.
    """

    clients: Mapping[str, str] | None = (
        None  # accepted ids and their secrets. None: all nonempty ones.
    )
    access_keys: Mapping[str, str] | None = (
        None  # accepted ids and their secrets. None: all nonempty ones.
    )
    # the server's address in documents and id tokens. Empty: the request's header Host.
    issuer: str = ""
    tenant_id: str = (
        "11111111-2222-4333-8444-555555555555"  # the tenant's id in id tokens
    )
    custom_fields: Collection[str] = ()  # the defined ones
    # the phone numbers with their scripts; None: one for each script of the state
    points_of_contact: Sequence[Mapping[str, object]] | None = None
    channels: Sequence[Mapping[str, object]] = ()  # digital ones, with their scripts
    business_unit: Mapping[str, object] = field(
        default_factory=lambda: {"maxScriptHistory": 50, "apiPublishedLimit": 100}
    )
    scopes: frozenset[str] = SCOPES  # of every token
    token_seconds: int = 3600
    names_unique: bool = False  # 409 for a second rule of one name
    etags: bool = (
        False  # ETag on each rule, and 412 for an If-Match that does not match
    )
    # a POST that is repeated with its Idempotency-Key gets the first response
    idempotency_keys: bool = False
    lag_seconds: float = 0.0  # time during which lists lack a new rule
    lag_reads: int = 0  # number of page reads that lack a new rule
    page_cap: int = 100  # maximum size of a page
    latency: float = 0.0  # delay before a request is processed
    rate: float | None = (
        None  # requests a second, without those for tokens; more get 429. None: no limit.
    )
    burst: int = 10  # number of requests that `rate` allows without a pause
    locks_bind: bool = False  # a script that another user has locked cannot be saved
    # what a contact runs at POST /studio/contacts; None: there is no such path
    script: ContactScript | None = None
    studio_dialect: SimDialect = field(default_factory=SimDialect)
    clock: Callable[[], float] = time.time  # seconds since 1970
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())


PROFILES: Final[Mapping[str, SimulatorSettings]] = {
    "A": SimulatorSettings(names_unique=True, etags=True),
    "B": SimulatorSettings(names_unique=True),
    "C": SimulatorSettings(),
    "D": SimulatorSettings(lag_reads=3),
    "E": SimulatorSettings(names_unique=True, etags=True, idempotency_keys=True),
}
