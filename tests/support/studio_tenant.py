"""A tenant whose rules are in a Studio script, its clients, and a wire that a test can cut at any
call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from reconciler.core.model.live import LiveRule, Marker, marker_digest
from reconciler.core.model.rule import Address, Rule, Target, make_condition
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import (
    TenantState,
    default_content,
    edit_content,
    find_snippets,
)
from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.rate_limiter import TimeSource
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    Transport,
)
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.client import StudioClient, StudioReadingClient
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import StudioScript
from tests.support import canary_secrets as canary
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.simulated import SimulatorTransport

Result = TypeVar("Result")
Reply = Callable[[ApiRequest, Transport], Awaitable[ApiResponse]]

SCRIPT: Final = "Bot\\Hand-over"
LAYOUT: Final = BlockLayout(owner="acme", block="main", variables={})
SETTINGS: Final = StudioScript(path=SCRIPT, api_version="v34.0", layout=LAYOUT)
SCRIPTS: Final = "/inContactAPI/services/v34.0/scripts"
CREDENTIALS: Final = ClientCredentials(
    client_id=canary.CLIENT, client_secret=canary.SECRET
)
NAMES: Final = {"4001": "Fraud Desk", "4002": "Card Services"}


def storable(name: str = "lost", priority: int = 10, queue: str = "4001") -> Rule:
    """Return a rule that a script can hold: conversations with intent `name` go to a skill."""
    conditions = (make_condition("intent", "equals", name),)
    return Rule(
        name=name,
        description="",
        priority=priority,
        enabled=True,
        conditions=conditions,
        targets=(Target(queue, 1),),
    )


def managed(rule: Rule) -> LiveRule:
    """Return a rule as the client is to save it."""
    address = Address("cards", rule.name)
    return LiveRule(
        str(address), rule, Marker(LAYOUT.owner, address, marker_digest(rule)), {}
    )


def block_of(*rules: LiveRule) -> str:
    """Return the block's text."""
    addresses = [
        (live.rule, live.marker.address if live.marker else None) for live in rules
    ]
    entries = [
        BlockEntry(rule, address, marker_digest(rule), "")
        for rule, address in addresses
    ]
    return build_block(entries, LAYOUT, NAMES)


def call_of(request: ApiRequest) -> str:
    """Return a short name for a request: history, version, read, lock, unlock, save; or its method
    and path.
    """
    path, _, query = request.target.partition("?")
    if path == f"{SCRIPTS}/historyByName":
        return "history"
    if path.startswith(f"{SCRIPTS}/") and request.method == "GET":
        return "version"
    locks = {"lockScript=true": "lock", "lockScript=false": "unlock"}
    lock = next((name for text, name in locks.items() if text in query), "lock?")
    names = {"GET": "read", "PUT": lock, "POST": "save"}
    return (
        names.get(request.method, request.method)
        if path == SCRIPTS
        else f"{request.method} {path}"
    )


class StudioTenant:
    """A simulated tenant with one script.

    `replies` replace the response to a call, by the call's short name.
    """

    def __init__(
        self,
        *rules: LiveRule,
        code: str | None = None,
        content: Any = None,
        settings: SimulatorSettings | None = None,
        faults: FaultInjector | None = None,
    ) -> None:
        """`code` is the text of the SNIPPET, by default the block with the rules between lines of a
        person.
        """
        queues = [{"id": number, "name": name} for number, name in NAMES.items()]
        self.clock, self.state = FakeClock(), TenantState(queues=queues)
        code = (
            f'ASSIGN intent = ""\n{block_of(*rules)}\nTRACE "done"'
            if code is None
            else code
        )
        if content is None:
            content = default_content(SCRIPT, f"{LAYOUT.owner}/{LAYOUT.block}", "4002")
            content = edit_content(content, lambda _code: code.replace("\n", "\r\n"))
        if content:
            self.state.save_script(SCRIPT, content, "Robin", 1_764_000_000.0)
        usual = SimulatorSettings(clock=lambda: 1_764_060_000.0)
        self.app = Simulator(self.state, settings or usual, faults)
        self.deliver: Transport = transport_over(SimulatorTransport(self.app))
        self.replies: dict[str, Reply] = {}
        self.requests: list[ApiRequest] = []
        self.responses: list[bytes] = []

    def client(self, time: TimeSource | None = None, **tenant: Any) -> StudioClient:
        """Return a client that writes; its waits take no time."""
        settings = replace(TENANT, **{"patience_seconds": 0.0, **tenant})
        return StudioClient(
            self.carry,
            settings,
            CREDENTIALS,
            time or self.clock.time,
            script=SETTINGS,
        )

    def reading_client(self) -> StudioReadingClient:
        """Return a client that can only read."""
        settings = replace(TENANT, patience_seconds=0.0)
        return StudioReadingClient(
            read_only_transport(self.carry, settings),
            settings,
            CREDENTIALS,
            self.clock.time,
            script=SETTINGS,
        )

    def talk(self, talk: Callable[[StudioClient], Awaitable[Result]]) -> Result:
        """Return the result of a function with a new client."""

        async def talking() -> Result:
            return await talk(self.client())

        return asyncio.run(talking())

    @property
    def calls(self) -> list[str]:
        """Return the short names of all calls so far, without those for a token."""
        return [call_of(request) for request in self.requests]

    async def carry(self, request: ApiRequest) -> ApiResponse:
        """Deliver a request, or have a test's function respond in its place."""
        if request.target.startswith("/oauth/"):
            return await self.deliver(request)
        self.requests.append(request)
        reply = self.replies.get(call_of(request))
        response = await (
            self.deliver(request) if reply is None else reply(request, self.deliver)
        )
        self.responses.append(response.content)
        return response

    def edit(self, before: str, after: str, by: str = "Kim") -> None:
        """Have a person replace a text of the SNIPPET and save the script."""
        assert before in self.code
        self.state.save_script_by_person(
            SCRIPT, by, lambda code: code.replace(before, after)
        )

    @property
    def version(self) -> dict[str, Any]:
        """Return the version of the script that runs."""
        return self.state.scripts[self.state.current_script(SCRIPT)]

    @property
    def code(self) -> str:
        """Return the SNIPPET's text in the version that runs."""
        (code,) = [item["value"] for _, item in find_snippets(self.version["content"])]
        return str(code)

    @property
    def holder(self) -> str:
        """Return who has the lock; empty without a lock."""
        return str(self.version["lock"].get("lockedName", ""))
