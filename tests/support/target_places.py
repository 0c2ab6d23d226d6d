"""A place for the rules of each target, in this process: what the contract suite runs on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.rule import Queue
from reconciler.core.target import Access, Author, RuleTarget
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.rules_routes import RulesRequest, respond
from reconciler.targets.decide.target import TARGET as SERVED
from reconciler.targets.platform.client import Connection
from reconciler.targets.platform.connect import limit_access
from reconciler.targets.platform.service import ServiceConnection, service_settings
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from reconciler.targets.rules_api.target import TARGET as RULES_API
from reconciler.targets.studio.target import TARGET as STUDIO
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.json_file_target import TARGET as JSON_FILE
from tests.support.simulated import SimulatorTransport
from tests.support.studio_tenant import CREDENTIALS, StudioTenant


class TargetPlace(Protocol):
    """A place with two queues, and no rule yet."""

    target: RuleTarget
    api: str
    """The part `api` of its Environment, as YAML."""
    queues: tuple[str, str]
    """The names of its queues."""

    def connection(self) -> Connection | None:
        """Return a new connection to its tenant; None if it has no tenant."""


@dataclass(frozen=True)
class PlaceSurroundings:
    """What the target of a place gets to open the rules."""

    environment: Environment
    place: TargetPlace

    @property
    def has_tenant(self) -> bool:
        """Whether the place has a tenant."""
        return self.place.connection() is not None

    def expected_queues(self) -> tuple[Queue, ...]:
        """Return the queues of the place."""
        return tuple(Queue(name, name) for name in self.place.queues)

    def author(self) -> Author:
        """Return a person."""
        return Author("alice", "0123abc")

    @asynccontextmanager
    async def connect_service(
        self, url: str, key_variable: str, access: Access
    ) -> AsyncIterator[ServiceConnection]:
        """Connect to the service of the place."""
        del key_variable
        assert isinstance(self.place, ServedPlace)
        settings = service_settings(url)
        transport = limit_access(self.place.send, settings, access)
        yield ServiceConnection(transport, settings, "key", self.place.clock.time)

    @asynccontextmanager
    async def connect(self, access: Access) -> AsyncIterator[Connection]:
        """Connect to the tenant of the place."""
        connection = self.place.connection()
        assert connection is not None, "this target has no tenant"
        transport = limit_access(connection.transport, connection.tenant, access)
        yield connection._replace(transport=transport)


class RulesApiPlace:
    """The simulated API."""

    target: RuleTarget = RULES_API
    api = "{rules: rules-api}"
    queues = ("Fraud", "Card Services")

    def __init__(self, folder: Path) -> None:
        del folder
        self.tenant = InProcessTenant()

    def connection(self) -> Connection:
        """Return a new connection to the simulated API."""
        transport = transport_over(SimulatorTransport(self.tenant.app))
        return Connection(transport, TENANT, CREDENTIALS, self.tenant.clock.time)


class StudioPlace:
    """A script of the simulated tenant."""

    target: RuleTarget = STUDIO
    api = "{rules: studio, queues: acd-skills, studio: {script: 'Bot\\Hand-over'}}"
    queues = ("Fraud Desk", "Card Services")

    def __init__(self, folder: Path) -> None:
        del folder
        self.tenant = StudioTenant()

    def connection(self) -> Connection:
        """Return a new connection to the simulated tenant."""
        return Connection(
            self.tenant.carry, TENANT, CREDENTIALS, self.tenant.clock.time
        )


class JsonFilePlace:
    """A file in the folder of the test."""

    target: RuleTarget = JSON_FILE
    queues = ("Fraud Desk", "Billing")

    def __init__(self, folder: Path) -> None:
        file = folder / "live.json"
        queues = [{"id": name, "name": name} for name in self.queues]
        file.write_text(json.dumps({"rules": [], "queues": queues}), "utf-8")
        self.api = f"{{rules: json-file, json-file: {{path: '{file}'}}}}"

    def connection(self) -> None:
        """Return None: a file has no tenant."""


class ServedPlace:
    """The routes of a decision service over a file in the folder of the test."""

    target: RuleTarget = SERVED
    api = "{rules: served, served: {url: 'http://localhost:3000'}}"
    queues = ("Fraud Desk", "Billing")

    def __init__(self, folder: Path) -> None:
        self.tables = FileTables(folder / "table.json")
        self.clock = FakeClock()

    def connection(self) -> None:
        """Return None: the queues are those of the manifests."""

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Answer a request as the service does."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = RulesRequest(request.method, request.target, headers, request.content)
        answer = await respond(asked, self.tables, lambda: datetime.now(UTC))
        return ApiResponse(request.call, answer.status, answer.headers, answer.body)


PLACES: Final[dict[str, Any]] = {
    "rules-api": RulesApiPlace,
    "studio": StudioPlace,
    "json-file": JsonFilePlace,
    "served": ServedPlace,
}
"""The place of each target that this repository has, by the target's name."""
